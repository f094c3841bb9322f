/*
 * backfill.c
 *		Functions that read a table's existing rows, as events "r" in frames.
 *
 * walspout.read_rows() reads a piece of a table in the order of its key,
 * walspout.read_keys() the rows of some keys. Both return messages in the
 * stream's format, one value each. A call for the next message runs the scan
 * until a message is full. The files that render changes render rows, too, so
 * that both have the same bytes. The last frame of the last message is the
 * cursor.
 *
 * The state is in the memory of the call. If a call is not run to its end, a
 * callback of the query closes it, or the transaction's end frees it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "dialect.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "readable.h"
#include "reading.h"
#include "text.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "values.h"

/* Look at the clock after so many rows, or bytes of their documents. */
#define ROWS_PER_LOOK 16
#define BYTES_PER_LOOK (16 * 1024)

#define KEYS_AT_ONCE 1000

/* A buffer that one huge row made larger than this is freed. */
#define KEEP_BUFFER (4 * 1024 * 1024)

PG_FUNCTION_INFO_V1(walspout_read_rows);
PG_FUNCTION_INFO_V1(walspout_read_keys);
PG_FUNCTION_INFO_V1(walspout_check_rows);

/* The strings of an array without nulls. */
static char **
strings_of(ArrayType *array, const char *what, int *n)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **strings;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be an array of one dimension without nulls", what),
				 errhint("Give it as in ARRAY['a', 'b'].")));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, n);
	strings = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		strings[i] = TextDatumGetCString(values[i]);
	return strings;
}

/* Names and values by turns, as the slot gets them. */
static void
parse_options(ArrayType *array, Options *options)
{
	List	   *given = NIL;
	int			n;
	char	  **strings = strings_of(array, "options", &n);

	if (n % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must have a value for each name"),
				 errhint("Give them as the slot gets them, for instance ARRAY['numbers', 'safe'].")));
	for (int i = 0; i < n; i += 2)
		given = lappend(given, makeDefElem(strings[i], (Node *) makeString(strings[i + 1]), -1));
	options_parse(given, options);
	if (options->dialect->other_form)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows are not read in dialect %s", options->dialect->name),
				 errhint("A reader merges these rows with changes, and needs documents of "
						 "dialect %s for that.", dialect_walspout.name)));
	options->format = FORMAT_FRAMES;
}

static void
start_encoders(Reading *r)
{
	relation_startup(&r->options, CurrentMemoryContext);
	text_startup(false);
	values_startup(&r->options);
	filter_startup(&r->options, CurrentMemoryContext);
}

static Oid
table_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the table must not be null"),
				 errhint("Name a table, as in 'public.orders'.")));
	return PG_GETARG_OID(0);
}

/* The start that both functions share; allocates in the current context. */
static Reading *
begin_reading(FunctionCallInfo fcinfo)
{
	Reading    *r = palloc0(sizeof(Reading));
	CachedRelation *entry;

	if (PG_ARGISNULL(1))
		parse_options(construct_empty_array(TEXTOID), &r->options);
	else
		parse_options(PG_GETARG_ARRAYTYPE_P(1), &r->options);
	r->relation = readable_open(table_argument(fcinfo));
	r->partitioned = r->relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	start_encoders(r);
	r->key = key_of(r->relation);
	entry = relation_get(r->relation);
	readable_published(r->relation, entry);
	readable_key(r->relation, entry, r->key);
	reading_name_key(entry, r->key);
	r->columns = reading_columns(r->relation, entry, r->key);
	readable_by_user(r->relation, r->columns);
	r->txn.commit_time = GetCurrentTimestamp();
	envelope_begin_reading(&r->txn, &r->options);
	r->per_row = AllocSetContextCreate(CurrentMemoryContext, "walspout row",
									   ALLOCSET_DEFAULT_SIZES);
	r->condition = -1;
	initStringInfo(&r->message);
	return r;
}

/* End the call, complete or not. */
static void
end_reading(Datum arg)
{
	Reading    *r = (Reading *) DatumGetPointer(arg);

	r->caller = NULL;
	if (r->scan != NULL)
		scan_end(r->scan);
	r->scan = NULL;
	relation_close(r->relation, NoLock);
}

static void
remember_value(Reading *r, LastValue *last, const KeyColumn *column, Datum value)
{
	Size		size;

	last->value = value;
	if (column->typbyval)
		return;
	size = datumGetSize(value, false, column->typlen);
	if (size > last->room)
	{
		if (last->copy != NULL)
			pfree(last->copy);
		last->copy = MemoryContextAlloc(GetMemoryChunkContext(r), size * 2);
		last->room = size * 2;
	}
	memcpy(last->copy, DatumGetPointer(value), size);
	last->value = PointerGetDatum(last->copy);
}

static inline void
remember_key(Reading *r, TupleTableSlot *slot)
{
	for (int i = 0; i < r->key->n; i++)
	{
		const KeyColumn *column = &r->key->columns[i];

		remember_value(r, &r->last[i], column, slot->tts_values[column->attribute - 1]);
	}
}

/* A look at the clock costs as much as a small column. */
static bool
is_late(Reading *r)
{
	if (r->deadline == 0 ||
		(--r->rows_to_look > 0 && r->message.len - r->looked_at < BYTES_PER_LOOK))
		return false;
	r->rows_to_look = ROWS_PER_LOOK;
	r->looked_at = r->message.len;
	return GetCurrentTimestamp() >= r->deadline;
}

static bool
take_row_in_order(void *arg, TupleTableSlot *slot)
{
	Reading    *r = arg;

	slot_getallattrs(slot);
	r->rows++;
	remember_key(r, slot);
	if (r->condition < 0 ||
		(!slot->tts_isnull[r->condition] && DatumGetBool(slot->tts_values[r->condition])))
		reading_render(r, slot);
	r->limited = r->rows >= r->max_rows || r->sent + r->message.len >= r->max_bytes || is_late(r);
	return !r->limited && r->message.len < r->options.batch_bytes;
}

static bool
take_row_of_key(void *arg, TupleTableSlot *slot)
{
	Reading    *r = arg;

	slot_getallattrs(slot);
	r->rows++;
	reading_render(r, slot);
	return true;
}

static bool
take_row_if_wanted(void *arg, TupleTableSlot *slot)
{
	Reading    *r = arg;

	slot_getallattrs(slot);
	reading_render(r, slot);
	return r->message.len < r->options.batch_bytes;
}

static const char **
cursor_values(Reading *r)
{
	const char **values = palloc(sizeof(char *) * Max(r->key->n, 1));
	Datum	   *datums = palloc(sizeof(Datum) * Max(r->key->n, 1));
	char	  **texts;

	for (int i = 0; i < r->key->n; i++)
		datums[i] = r->last[i].value;
	texts = key_to_text(r->key, datums);
	for (int i = 0; i < r->key->n; i++)
		values[i] = pg_server_to_any(texts[i], (int) strlen(texts[i]), PG_UTF8);
	return values;
}

static void
append_cursor(Reading *r, bool at_end)
{
	MemoryContext old = MemoryContextSwitchTo(r->per_row);
	FrameCursor cursor = {.at_end = at_end, .rows = r->rows};

	if (r->keys == NULL && r->rows > 0)
	{
		cursor.nvalues = r->key->n;
		cursor.values = cursor_values(r);
	}
	frames_cursor(&r->message, &cursor);
	MemoryContextSwitchTo(old);
	MemoryContextReset(r->per_row);
	r->complete = true;
}

/* Fill a message from the scan. */
static void
fill_in_order(Reading *r)
{
	bool		more = true;

	r->limited = r->rows >= r->max_rows;
	if (!r->limited)
		more = scan_run(r->scan);
	if (!more || r->limited)
		append_cursor(r, !more);
}

static void
read_key(Reading *r, const Datum *values)
{
	for (int i = 0; i < r->key->n; i++)
		r->parameters->params[i].value = values[i];
	r->scan = scan_begin(r->plan, r->parameters, take_row_of_key, r);
	scan_run(r->scan);
	scan_end(r->scan);
	r->scan = NULL;
}

/* The values of the next key; keys are converted to values in batches. */
static const Datum *
next_key(Reading *r)
{
	int			i = r->next_key % KEYS_AT_ONCE;

	if (i == 0)
	{
		MemoryContext old;

		MemoryContextReset(r->per_keys);
		old = MemoryContextSwitchTo(r->per_keys);
		r->values = key_from_json(r->key, r->relation, r->keys + r->next_key,
								  Min(r->nkeys - r->next_key, KEYS_AT_ONCE));
		MemoryContextSwitchTo(old);
	}
	r->next_key++;
	return r->values + i * r->key->n;
}

static void
fill_by_keys(Reading *r)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "walspout scan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	while (r->next_key < r->nkeys)
	{
		CHECK_FOR_INTERRUPTS();
		read_key(r, next_key(r));
		MemoryContextReset(context);
		if (r->message.len >= r->options.batch_bytes)
			break;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	if (r->next_key == r->nkeys)
		append_cursor(r, true);
}

static void
fill_by_search(Reading *r)
{
	if (r->scan == NULL || !scan_run(r->scan))
		append_cursor(r, true);
}

static void
begin_message(Reading *r)
{
	bool		first = r->message.len == 0;

	r->sent += r->message.len;
	if (r->message.maxlen > KEEP_BUFFER && r->message.maxlen > r->options.batch_bytes * 4)
	{
		pfree(r->message.data);
		initStringInfo(&r->message);
	}
	resetStringInfo(&r->message);
	r->looked_at = 0;
	r->message.len = VARHDRSZ;
	frames_header(&r->message);
	/* a schema needs a row behind it */
	if (first && !r->partitioned && !r->options.schemas)
		reading_announce(r, relation_get(r->relation));
}

static Datum
next_message(Reading *r)
{
	begin_message(r);
	if (r->wanted != NULL)
		fill_by_search(r);
	else if (r->keys != NULL)
		fill_by_keys(r);
	else
		fill_in_order(r);
	SET_VARSIZE(r->message.data, r->message.len);
	return PointerGetDatum(r->message.data);
}

/* The values to begin after, or NULL. */
static Datum *
after_argument(FunctionCallInfo fcinfo, const Reading *r)
{
	int			n;
	char	  **texts;

	if (PG_ARGISNULL(2))
		return NULL;
	readable_in_pieces(r->relation, r->key);
	texts = strings_of(PG_GETARG_ARRAYTYPE_P(2), "after", &n);
	if (n != r->key->n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the key of table \"%s\" has %d columns, and %d values are given",
						RelationGetRelationName(r->relation), r->key->n, n),
				 errhint("Give what the last cursor of this table has. If the key was changed "
						 "since, read the table from its begin.")));
	return key_from_text(r->key, r->relation, texts);
}

static uint64
limit_argument(FunctionCallInfo fcinfo, int i, const char *name)
{
	int64		limit;

	if (PG_ARGISNULL(i))
		return PG_UINT64_MAX;
	limit = i == 5 ? PG_GETARG_INT32(i) : PG_GETARG_INT64(i);
	if (limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", name),
				 errhint("Give null where there is no limit.")));
	return limit;
}

static Reading *
begin_rows(FunctionCallInfo fcinfo)
{
	Reading    *r = begin_reading(fcinfo);
	ScanSpec	spec = {.relation = r->relation, .columns = r->columns, .key = r->key};
	uint64		ms;

	r->max_rows = limit_argument(fcinfo, 3, "max_rows");
	r->max_bytes = limit_argument(fcinfo, 4, "max_bytes");
	ms = limit_argument(fcinfo, 5, "max_ms");
	if (ms != PG_UINT64_MAX)
		r->deadline = r->txn.commit_time + ms * 1000;
	r->rows_to_look = 1;
	r->last = palloc0(sizeof(LastValue) * Max(r->key->n, 1));
	spec.after = after_argument(fcinfo, r);
	if (!PG_ARGISNULL(6))
	{
		spec.condition = text_to_cstring(PG_GETARG_TEXT_PP(6));
		r->condition = RelationGetNumberOfAttributes(r->relation) + (r->partitioned ? 1 : 0);
	}
	r->plan = scan_plan(&spec);
	r->scan = scan_begin(r->plan, NULL, take_row_in_order, r);
	return r;
}

/* A hash does not reveal the key: so read all rows, and compare their keys. */
static void
begin_search(Reading *r)
{
	Key			no_order = {0};
	ScanSpec	spec = {.relation = r->relation, .columns = r->columns, .key = &no_order};

	r->wanted = palloc(sizeof(char *) * Max(r->nkeys, 1));
	for (int i = 0; i < r->nkeys; i++)
		r->wanted[i] = pg_server_to_any(r->keys[i], (int) strlen(r->keys[i]), PG_UTF8);
	reading_sort_keys(r);
	if (r->nkeys == 0)
		return;
	r->plan = scan_plan(&spec);
	r->scan = scan_begin(r->plan, NULL, take_row_if_wanted, r);
}

static Reading *
begin_keys(FunctionCallInfo fcinfo)
{
	Reading    *r = begin_reading(fcinfo);
	ScanSpec	spec = {.relation = r->relation, .columns = r->columns, .key = r->key, .by_key = true};

	readable_in_pieces(r->relation, r->key);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the keys must not be null"),
				 errhint("Give an array of keys, as \"key\" has them in the envelopes.")));
	r->keys = strings_of(PG_GETARG_ARRAYTYPE_P(2), "keys", &r->nkeys);
	if (reading_key_is_hashed(relation_get(r->relation)))
	{
		begin_search(r);
		return r;
	}
	r->parameters = makeParamList(r->key->n);
	for (int i = 0; i < r->key->n; i++)
	{
		r->parameters->params[i].ptype = r->key->columns[i].base_type;
		r->parameters->params[i].pflags = PARAM_FLAG_CONST;
		r->parameters->params[i].isnull = false;
	}
	r->per_keys = AllocSetContextCreate(CurrentMemoryContext, "walspout keys",
										ALLOCSET_DEFAULT_SIZES);
	r->plan = scan_plan(&spec);
	return r;
}

/* The next message of a call, or the end of the call. */
static Datum
go_on(FunctionCallInfo fcinfo, Reading *(*begin) (FunctionCallInfo fcinfo))
{
	FuncCallContext *call;
	Reading    *r;
	MemoryContext old;
	Datum		message;

	if (SRF_IS_FIRSTCALL())
	{
		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		call->user_fctx = r = begin(fcinfo);
		r->caller = ((ReturnSetInfo *) fcinfo->resultinfo)->econtext;
		RegisterExprContextCallback(r->caller, end_reading, PointerGetDatum(r));
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	r = call->user_fctx;
	if (r->complete)
	{
		UnregisterExprContextCallback(r->caller, end_reading, PointerGetDatum(r));
		end_reading(PointerGetDatum(r));
		SRF_RETURN_DONE(call);
	}
	old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
	message = next_message(r);
	MemoryContextSwitchTo(old);
	SRF_RETURN_NEXT(call, message);
}

Datum
walspout_read_rows(PG_FUNCTION_ARGS)
{
	return go_on(fcinfo, begin_rows);
}

Datum
walspout_read_keys(PG_FUNCTION_ARGS)
{
	return go_on(fcinfo, begin_keys);
}

/* Check the table and the condition as far as possible without the slot's options. */
Datum
walspout_check_rows(PG_FUNCTION_ARGS)
{
	Relation	relation = readable_open(table_argument(fcinfo));
	Key		   *key = key_of(relation);
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *columns = NULL;
	ScanSpec	spec = {.relation = relation, .key = key, .by_key = true};

	readable_in_pieces(relation, key);
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			columns = bms_add_member(columns, i + 1);
	readable_by_user(relation, columns);
	spec.columns = columns;
	if (!PG_ARGISNULL(1))
		spec.condition = text_to_cstring(PG_GETARG_TEXT_PP(1));
	(void) scan_plan(&spec);
	relation_close(relation, NoLock);
	PG_RETURN_VOID();
}
