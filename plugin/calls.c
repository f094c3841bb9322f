/*
 * calls.c
 *		Encoders of types that are rendered by calling a function.
 *
 * The functions are looked up once, when an encoder is made, and called in a
 * guard. One guard, and so one subtransaction, renders a column's whole value,
 * however many elements an array has: a transaction can have a limited number
 * of subtransactions.
 *
 * A cast in C cannot read a table. If it tries, the column's whole value is
 * printed as if there were no cast, so that all parts of an array look alike.
 */
#include "postgres.h"

#include "calls.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "budget.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "guard.h"
#include "present.h"
#include "sandbox.h"
#include "text.h"
#include "types.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "values.h"
#include "watch.h"

/* Encoder.detail of a type that is rendered by calling a function. */
typedef struct Call
{
	GuardLevel	level;
	Sandbox		sandbox;
	bool		is_cast;		/* to json; else it is an output function */
	bool		as_text;		/* true while a value is printed again, without the cast */
	bool		impatient;		/* it failed last time: another session may hold a lock */
	const Encoder *plain;		/* of a cast: the type's encoder without it */
	Conduct    *conduct;		/* of users' code, else NULL */
	FmgrInfo	function;
} Call;

/* The last call of the open guard, or NULL. */
static Call *running;

/* One call of such a function. */
typedef struct CallRun
{
	Call	   *call;
	Datum		value;
	const char *result;
	Size		size;
} CallRun;

/* A cast may also take the target's type modifier, and whether the cast is explicit. */
static Datum
call_cast(FmgrInfo *function, Datum value)
{
	switch (function->fn_nargs)
	{
		case 1:
			return FunctionCall1(function, value);
		case 2:
			return FunctionCall2(function, value, Int32GetDatum(-1));
		default:
			return FunctionCall3(function, value, Int32GetDatum(-1), BoolGetDatum(true));
	}
}

static void
run_call(void *arg)
{
	CallRun    *run = arg;

	if (run->call->is_cast)
	{
		struct varlena *json = PG_DETOAST_DATUM_PACKED(call_cast(&run->call->function, run->value));

		run->result = VARDATA_ANY(json);
		run->size = VARSIZE_ANY_EXHDR(json);
	}
	else
	{
		run->result = OutputFunctionCall(&run->call->function, run->value);
		run->size = strlen(run->result);
	}
}

/* The same for code that is not the server's own, in the open guard. */
static void
run_confined(CallRun *run)
{
	Call	   *call = run->call;

	running = call;
	if (call->level == GUARD_USER)
		budget_count_call();
	/* the server locks composite types, and another session may lock them for ever */
	sandbox_enter(call->sandbox, call->sandbox == SANDBOX_SERVER && !call->impatient);
	run_call(run);
	sandbox_leave();
	if (call->sandbox == SANDBOX_LIBRARY && sandbox_refused())
		elog(ERROR, "function %u continued after a rejected access", call->function.fn_oid);
	if (call->conduct != NULL)
		budget_note(call->conduct, false);
}

static bool
call_and_append(Out *o, const Encoder *e, Datum value)
{
	CallRun		run = {.call = e->detail, .value = value};

	if (run.call->level >= GUARD_LIBRARY)
		run_confined(&run);
	else if (!guarded(run.call->level, run_call, &run))
		return false;
	return run.call->is_cast ? encode_json_text(o, run.result, run.size) :
		text_string_unchecked(o, run.result, run.size);
}

static inline bool
prints_plain(const Call *call)
{
	return call->as_text || (call->conduct != NULL && call->conduct->off);
}

/* A value that is being rendered in a guard. */
typedef struct GuardedValue
{
	Out		   *o;
	const Encoder *e;
	Datum		value;
	bool		rendered;
} GuardedValue;

static void
render(void *arg)
{
	GuardedValue *v = arg;

	v->rendered = v->e->whole(v->o, v->e, v->value);
}

/* The failed cast that tried to read a table is disabled: then try again. */
static Call *
leave_cast_aside(void)
{
	Call	   *call = running;

	if (call == NULL || !call->is_cast || call->sandbox != SANDBOX_LIBRARY || call->as_text ||
		!sandbox_refused())
		return NULL;
	call->as_text = true;
	return call;
}

/*
 * Render the value in a guard of its own, without the casts that read tables.
 * Code that raises leaves memory allocated, perhaps a gigabyte: free it before
 * the next try, and before the next value.
 */
static bool
encode_in_guard(Out *o, const Encoder *e, Datum value)
{
	GuardedValue v = {.o = o, .e = e, .value = value};
	Size		begin = out_tell(o);
	int			depth = o->depth;
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(old, "walspout guard", ALLOCSET_SMALL_SIZES);
	Call	   *aside;
	List	   *all_aside = NIL;
	ListCell   *lc;
	bool		done;

	if (e->calls == GUARD_USER)
		AcceptInvalidationMessages();	/* a REVOKE counts from the next row on */
	for (;;)
	{
		running = NULL;
		v.rendered = false;
		MemoryContextSwitchTo(context);
		done = guarded(e->calls, render, &v);
		MemoryContextSwitchTo(old);
		if (done || (aside = leave_cast_aside()) == NULL)
			break;
		all_aside = lappend(all_aside, aside);
		out_rewind(o, begin);
		o->depth = depth;
		MemoryContextReset(context);
	}
	if (running != NULL)
		running->impatient = !done;
	if (!done && running != NULL && running->conduct != NULL)
		budget_note(running->conduct, true);
	MemoryContextDelete(context);
	foreach(lc, all_aside)
		((Call *) lfirst(lc))->as_text = false;
	return done && v.rendered;
}

/* The outermost value opens the guard, and its parts use it. */
static bool
encode_guarded(Out *o, const Encoder *e, Datum value)
{
	return guard_is_open() ? e->whole(o, e, value) : encode_in_guard(o, e, value);
}

static bool
encode_by_call(Out *o, const Encoder *e, Datum value)
{
	const Call *call = e->detail;
	MemoryContext context;
	MemoryContext old;
	bool		done;

	if (prints_plain(call))
		return call->plain->encode(o, call->plain, value);
	if (e->typlen == -1)
	{
		struct varlena *v = varlena_plain(value);

		if (v == NULL)
			return encode_toasted(o, e, value);
		value = PointerGetDatum(v);
	}
	/* an array may hold a million values: free what one leaves before the next */
	context = AllocSetContextCreate(CurrentMemoryContext, "walspout call",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	done = call_and_append(o, e, value);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return done;
}

Encoder *
make_guarded(Encoder *e, int calls)
{
	if (calls == 0)
		return e;
	e->calls = calls;
	e->whole = e->encode;
	e->encode = encode_guarded;
	return e;
}

/* The server's own output functions that look at the search path. */
static bool
prints_names(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
			return true;
		default:
			return false;
	}
}

typedef struct LookUp
{
	Oid			type;
	Oid			function;		/* of the cast, or InvalidOid */
	bool		user_casts;
	bool		refused;		/* must not be called */
	Call	   *call;
} LookUp;

/*
 * May this cast in SQL or a procedural language be called? The present
 * catalogs decide: a dropped cast, or one that PUBLIC may not execute, is not
 * called.
 */
static bool
may_call_user_cast(Oid type, Oid function)
{
	return sandbox_objection(function) == NULL && present_cast(type, function);
}

static TransactionId
function_version(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	TransactionId version = InvalidTransactionId;

	if (HeapTupleIsValid(tuple))
	{
		version = HeapTupleHeaderGetRawXmin(tuple->t_data);
		ReleaseSysCache(tuple);
	}
	return version;
}

/* How far the function is trusted. */
static void
judge_function(LookUp *l)
{
	Call	   *call = l->call;

	if (!sandbox_function_is_c(l->function))
	{
		call->level = GUARD_USER;
		call->sandbox = SANDBOX_USER;
		l->refused = !call->is_cast || !l->user_casts ||
			!may_call_user_cast(l->type, l->function);
		if (!l->refused)
			call->conduct = budget_conduct(l->function, function_version(l->function));
	}
	else if (l->type >= FirstNormalObjectId)
	{
		call->level = GUARD_LIBRARY;
		call->sandbox = l->function >= FirstNormalObjectId ? SANDBOX_LIBRARY : SANDBOX_SERVER;
	}
	else
	{
		Oid			element = get_element_type(l->type);

		call->level = prints_names(OidIsValid(element) ? element : l->type) ? GUARD_NAMES :
			GUARD_BUILTIN;
	}
}

/* Find the function that renders the type; raises if its library is gone. */
static void
look_up_function(void *arg)
{
	LookUp	   *l = arg;
	bool		is_varlena;

	l->call->is_cast = OidIsValid(l->function);
	if (!l->call->is_cast)
		getTypeOutputInfo(l->type, &l->function, &is_varlena);
	watch_syscache(PROCOID, l->function);
	judge_function(l);
	if (!l->refused)
		fmgr_info_cxt(l->function, &l->call->function, GetMemoryChunkContext(l->call));
}

/* Fill in call; false if the function cannot or must not be called. */
static bool
look_up(LookUp *l)
{
	return guarded(l->type >= FirstNormalObjectId ? GUARD_LOADING : GUARD_BUILTIN,
				   look_up_function, l) && !l->refused;
}

static Encoder *
make_call(Oid type, Call *call)
{
	Encoder    *e = make_encoder(type, encode_by_call, call);

	return make_guarded(e, call->level >= GUARD_LIBRARY ? call->level : 0);
}

Encoder *
make_output_call(Oid type)
{
	Call	   *call = palloc0(sizeof(Call));
	LookUp		l = {.type = type, .call = call};

	if (!look_up(&l))
		return make_encoder(type, encode_nothing, NULL);
	if (call->function.fn_addr == textout)
		return make_encoder(type, encode_text, NULL);
	return make_call(type, call);
}

Encoder *
make_cast_call(Oid type, Oid function, bool user_casts, Encoder *plain)
{
	Call	   *call = palloc0(sizeof(Call));
	LookUp		l = {.type = type, .function = function, .user_casts = user_casts, .call = call};
	bool		found = look_up(&l);

	if (l.refused)
		return NULL;
	if (!found)
		return make_encoder(type, encode_nothing, NULL);
	call->plain = plain;
	return make_call(type, call);
}
