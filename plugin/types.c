/*
 * types.c
 *		The choice of an encoder for a type.
 *
 * The rules are json_categorize_type()'s: domains are looked through; arrays
 * and composites are JSON arrays and objects; types of users that have a
 * cast to json go through it; the rest is what its output function prints, as
 * a string. For types without an encoder of their own the functions are
 * looked up here once and called in a guard for each value.
 */
#include "postgres.h"

#include "types.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "guard.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "text.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "values.h"
#include "watch.h"

/* Encoder.detail of a type that is rendered by calling a function. */
typedef struct Call
{
	GuardLevel	level;
	Oid			owner;			/* of the function, if it is not the server's own */
	bool		is_cast;		/* to json; else it is an output function */
	int			timeouts;		/* how often it did not end in time */
	int			failures;		/* in a row */
	FmgrInfo	function;
} Call;

/*
 * After so many times that it did not end in time, or failures in a row, a
 * user's function is not called any more for this relation: the rows behind
 * must go on, and PL/pgSQL leaves memory behind for good whenever it fails to
 * compile a function.
 */
#define TIMEOUTS 3
#define FAILURES 1000

/* One run of such a function. */
typedef struct CallRun
{
	Call	   *call;
	Datum		value;
	const char *result;
	Size		size;
} CallRun;

/* A cast may also take the target's type modifier, and whether it is explicit. */
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

static bool
append_call(Out *o, Call *call, Datum value)
{
	CallRun		run = {.call = call, .value = value};

	if (!guarded(call->level, call->owner, run_call, &run))
	{
		call->timeouts += guard_expired();
		call->failures += call->level == GUARD_USER;
		return false;
	}
	call->failures = 0;
	return call->is_cast ? text_raw(o, run.result, run.size) :
		text_string_unchecked(o, run.result, run.size);
}

static bool
encode_by_call(Out *o, const Encoder *e, Datum value)
{
	Call	   *call = e->detail;
	MemoryContext context;
	MemoryContext old;
	bool		done;

	if (call->timeouts >= TIMEOUTS || call->failures >= FAILURES)
		return false;
	if (e->typlen == -1)
	{
		struct varlena *v = varlena_plain(value);

		if (v == NULL)
			return encode_toasted(o, e, value);
		value = PointerGetDatum(v);
	}
	/* an array may hold a million values: what one leaves behind goes before the next */
	context = AllocSetContextCreate(CurrentMemoryContext, "walspout call",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	done = append_call(o, call, value);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return done;
}

static bool
encode_nothing(Out *o, const Encoder *e, Datum value)
{
	return false;
}

/*
 * Labels of an enum, in quotes and escaped, by their OID's last bits. A label
 * that shares its place with another is looked up again.
 */
#define ENUM_PLACES 64

typedef struct EnumLabels
{
	MemoryContext context;
	struct
	{
		Oid			oid;
		int			size;
		char	   *json;
	}			places[ENUM_PLACES];
} EnumLabels;

static bool
look_up_label(EnumLabels *labels, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(oid));
	int			place = oid % ENUM_PLACES;
	MemoryContext old;

	if (!HeapTupleIsValid(tuple))
		return false;
	old = MemoryContextSwitchTo(labels->context);
	if (labels->places[place].json != NULL)
		pfree(labels->places[place].json);
	labels->places[place].json =
		text_label("", NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel), "");
	labels->places[place].size = strlen(labels->places[place].json);
	labels->places[place].oid = oid;
	MemoryContextSwitchTo(old);
	ReleaseSysCache(tuple);
	return true;
}

static bool
encode_enum(Out *o, const Encoder *e, Datum value)
{
	EnumLabels *labels = e->detail;
	Oid			oid = DatumGetObjectId(value);
	int			place = oid % ENUM_PLACES;

	if (labels->places[place].oid != oid && !look_up_label(labels, oid))
		return false;
	append(o, labels->places[place].json, labels->places[place].size);
	return true;
}

static Encoder *
make_encoder(Oid type, Encode encode, void *detail)
{
	Encoder    *e = palloc0(sizeof(Encoder));

	e->encode = encode;
	e->type = type;
	e->detail = detail;
	get_typlenbyvalalign(type, &e->typlen, &e->typbyval, &e->typalign);
	return e;
}

static Encoder *
make_enum(Oid type)
{
	EnumLabels *labels = palloc0(sizeof(EnumLabels));

	labels->context = CurrentMemoryContext;
	return make_encoder(type, encode_enum, labels);
}

static Encoder *
make_array(Oid type, Oid element, EncoderSet *made)
{
	Elements   *elements = palloc0(sizeof(Elements));

	elements->type = element;
	elements->encoder = types_encoder(element, made);
	return make_encoder(type, encode_array, elements);
}

Field
make_field(Form_pg_attribute att, EncoderSet *made)
{
	Field		f;

	f.label = text_label(",", NameStr(att->attname), ":");
	f.label_size = strlen(f.label);
	f.index = att->attnum - 1;
	f.encoder = types_encoder(att->atttypid, made);
	return f;
}

static Encoder *
make_composite(Oid type, EncoderSet *made)
{
	Composite  *c = palloc0(sizeof(Composite));
	TupleDesc	desc = lookup_rowtype_tupdesc_noerror(type, -1, true);

	if (desc == NULL)
		return make_encoder(type, encode_nothing, NULL);
	watch_relation(get_typ_typrelid(type));
	c->desc = CreateTupleDescCopyConstr(desc);
	ReleaseTupleDesc(desc);
	c->values = palloc0(sizeof(Datum) * c->desc->natts);
	c->nulls = palloc0(sizeof(bool) * c->desc->natts);
	c->fields = palloc0(sizeof(Field) * c->desc->natts);
	for (int i = 0; i < c->desc->natts; i++)
		if (!TupleDescAttr(c->desc, i)->attisdropped)
			c->fields[c->nfields++] = make_field(TupleDescAttr(c->desc, i), made);
	return make_encoder(type, encode_composite, c);
}

/* Output functions of the server's own that look at the search path. */
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

/* The function of a cast to json, for types that row_to_json() looks for one. */
static Oid
cast_to_json(Oid type)
{
	Oid			function = InvalidOid;

	if (type < FirstNormalObjectId ||
		find_coercion_pathway(JSONOID, type, COERCION_EXPLICIT, &function) !=
		COERCION_PATH_FUNC)
		return InvalidOid;
	return function;
}

typedef struct LookUp
{
	Oid			type;
	Oid			cast;			/* to json, or InvalidOid */
	Call	   *call;
} LookUp;

/* How much the function is to be trusted, and as whom it runs. */
static void
judge_function(Call *call, Oid type, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	if (proc->prolang != INTERNALlanguageId && proc->prolang != ClanguageId)
		call->level = GUARD_USER;
	else if (type >= FirstNormalObjectId)
		call->level = GUARD_LIBRARY;
	else
		call->level = prints_names(type) ? GUARD_NAMES : GUARD_BUILTIN;
	if (call->level >= GUARD_LIBRARY)
		call->owner = proc->proowner;
	ReleaseSysCache(tuple);
}

/* Find the function that renders the type; raises if its library is gone. */
static void
look_up_function(void *arg)
{
	LookUp	   *l = arg;
	Oid			function = l->cast;
	bool		is_varlena;

	l->call->is_cast = OidIsValid(function);
	if (!l->call->is_cast)
		getTypeOutputInfo(l->type, &function, &is_varlena);
	judge_function(l->call, l->type, function);
	fmgr_info_cxt(function, &l->call->function, GetMemoryChunkContext(l->call));
	watch_syscache(PROCOID, function);
}

static Encoder *
make_call(Oid type, Oid cast)
{
	Call	   *call = palloc0(sizeof(Call));
	LookUp		look_up = {type, cast, call};

	if (!guarded(type >= FirstNormalObjectId ? GUARD_LIBRARY : GUARD_BUILTIN, InvalidOid,
				 look_up_function, &look_up))
		return make_encoder(type, encode_nothing, NULL);
	if (!call->is_cast && call->function.fn_addr == textout)
		return make_encoder(type, encode_text, NULL);
	return make_encoder(type, encode_by_call, call);
}

static const Encoder *
make(Oid type, EncoderSet *made)
{
	Oid			element;
	Oid			cast;

	if (stack_is_too_deep())	/* a composite in a composite in a composite ... */
		return make_encoder(type, encode_nothing, NULL);
	if (type == JSONBOID)
		return make_encoder(type, encode_jsonb, NULL);
	if (type >= FirstNormalObjectId)
		watch_syscache(TYPEOID, type);
	if (OidIsValid(element = get_element_type(type)))
		return make_array(type, element, made);
	if (type_is_rowtype(type))
		return make_composite(type, made);
	cast = cast_to_json(type);
	if (!OidIsValid(cast) && type_is_enum(type))
		return make_enum(type);
	return make_call(type, cast);
}

static void
remember(EncoderSet *made, const Encoder *e)
{
	if (made->n == made->room)
	{
		made->room = Max(made->room * 2, 8);
		made->encoders = made->encoders ?
			repalloc(made->encoders, sizeof(Encoder *) * made->room) :
			palloc(sizeof(Encoder *) * made->room);
	}
	made->encoders[made->n++] = e;
}

const Encoder *
types_encoder(Oid type, EncoderSet *made)
{
	const Encoder *e;

	type = getBaseType(type);
	if ((e = scalar_encoder(type)) != NULL)
		return e;
	for (int i = 0; i < made->n; i++)
		if (made->encoders[i]->type == type)
			return made->encoders[i];
	e = make(type, made);
	remember(made, e);
	return e;
}
