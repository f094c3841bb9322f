/*
 * documents.c
 *		A function that makes rows of documents, for a target of the forwarder.
 *
 * walspout.read_documents() gives what json_to_recordset() gives, with less
 * work. It reads the text once, does not validate it before that, and knows
 * which member comes next: members are nearly always in the order of the
 * columns. An object is read to its end before its values are made: the last of
 * several members with one name counts, and the others are not looked at.
 *
 * It runs in sessions of any client, and never while WAL is decoded. It raises
 * because of data, as input functions do.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "direct.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tokens.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(walspout_read_documents);

typedef struct Record Record;

/* How values of a type are made. */
typedef struct Maker
{
	Oid			domain;			/* that checks the value, or InvalidOid */
	void	   *checks;			/* of the domain */
	MemoryContext context;		/* of all this */
	Oid			type;			/* what the domain is made of, and so on */
	int32		typmod;
	Oid			ioparam;
	FmgrInfo	input;
	Direct		direct;			/* NULL: none */
	struct Maker *element;		/* of an array, else NULL */
	Record	   *record;			/* of a composite type, else NULL */
} Maker;

typedef struct Field
{
	char	   *label;			/* "name": as documents have it; NULL: it would need escapes */
	Size		label_size;
	const char *name;
	Size		name_size;
	bool		dropped;
	Maker		maker;
} Field;

/* A row type, and a row of it. */
struct Record
{
	TupleDesc	desc;
	Field	   *fields;
	Token	   *tokens;			/* what the object has for each field */
	Datum	   *values;
	bool	   *nulls;
};

static void read_object(Tokens *t, Record *record);

/* Setting up ------------------------------------------------------------------------------- */

static Record *make_record(TupleDesc desc, MemoryContext context);

static void
prepare(Maker *maker, Oid type, int32 typmod, MemoryContext context)
{
	Oid			input;
	Oid			element;

	check_stack_depth();
	maker->context = context;
	maker->domain = get_typtype(type) == TYPTYPE_DOMAIN ? type : InvalidOid;
	maker->type = getBaseTypeAndTypmod(type, &typmod);
	maker->typmod = typmod;
	getTypeInputInfo(maker->type, &input, &maker->ioparam);
	fmgr_info_cxt(input, &maker->input, context);
	maker->direct = direct_of(input);
	element = get_element_type(maker->type);
	if (get_typtype(maker->type) == TYPTYPE_COMPOSITE)
		maker->record = make_record(lookup_rowtype_tupdesc_copy(maker->type, typmod), context);
	else if (OidIsValid(element))
	{
		maker->element = palloc0(sizeof(Maker));
		prepare(maker->element, element, typmod, context);
	}
}

/* The name as documents have it in most cases. */
static void
label_field(Field *field)
{
	for (const char *p = field->name; *p != '\0'; p++)
		if (*p == '"' || *p == '\\' || (unsigned char) *p < ' ')
			return;
	field->label = psprintf("\"%s\":", field->name);
	field->label_size = field->name_size + 3;
}

static Record *
make_record(TupleDesc desc, MemoryContext context)
{
	Record	   *record = palloc0(sizeof(Record));
	int			n = Max(desc->natts, 1);

	record->desc = desc;
	record->fields = palloc0(sizeof(Field) * n);
	record->tokens = palloc(sizeof(Token) * n);
	record->values = palloc(sizeof(Datum) * n);
	record->nulls = palloc(sizeof(bool) * n);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Field	   *field = &record->fields[i];

		field->dropped = attribute->attisdropped;
		if (field->dropped)
			continue;
		field->name = NameStr(attribute->attname);
		field->name_size = strlen(field->name);
		label_field(field);
		prepare(&field->maker, attribute->atttypid, attribute->atttypmod, context);
	}
	return record;
}

/* Once a query. */
static Record *
record_of_call(FunctionCallInfo fcinfo)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;

	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		TupleDesc	desc;

		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the columns of the rows are not given"),
					 errhint("Call the function in the FROM clause, with a column definition list.")));
		fcinfo->flinfo->fn_extra = make_record(CreateTupleDescCopy(desc), context);
		MemoryContextSwitchTo(old);
	}
	return fcinfo->flinfo->fn_extra;
}

/* Values ----------------------------------------------------------------------------------- */

static Datum make_value(Maker *maker, Token *token, bool *isnull);

/* The token's text, which ends with a zero now. What is behind the token has been read. */
static char *
text_of(const Maker *maker, Token *token)
{
	bool		is_json = maker->type == JSONOID || maker->type == JSONBOID;

	if (token->kind == TOKEN_STRING && is_json && !token->escaped)
	{
		token->text--;			/* with both quotes */
		token->size += 2;
	}
	else if (token->kind == TOKEN_STRING && is_json)
	{
		StringInfoData s;

		token_unescape(token);
		token->text[token->size] = '\0';
		initStringInfo(&s);
		escape_json(&s, token->text);
		return s.data;
	}
	token_unescape(token);
	token->text[token->size] = '\0';
	return token->text;
}

/* An array whose dimensions its first elements tell. */
typedef struct ArrayReading
{
	Maker	   *element;
	ArrayBuildState *state;
	int			ndims;			/* 0: not known yet */
	int			dims[MAXDIM];	/* -1: not known yet */
} ArrayReading;

static void
tell_dimensions(ArrayReading *a, int ndims)
{
	a->ndims = ndims;
	for (int i = 0; i < ndims; i++)
		a->dims[i] = -1;
}

static void
refuse_value(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("expected JSON array"),
			 errdetail("%s", what)));
}

static void
check_dimension(ArrayReading *a, int level, int n)
{
	if (a->dims[level - 1] >= 0 && a->dims[level - 1] != n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("malformed JSON array"),
				 errdetail("Multidimensional arrays must have sub-arrays with matching dimensions.")));
	a->dims[level - 1] = n;
}

static void
add_element(ArrayReading *a, Token *token)
{
	bool		isnull;
	Datum		value = make_value(a->element, token, &isnull);

	a->state = accumArrayResult(a->state, value, isnull, a->state->element_type,
								CurrentMemoryContext);
}

/* The elements of an array at that level, whose bracket is the next byte. */
static void
read_elements(Tokens *t, ArrayReading *a, int level)
{
	int			n = 0;
	char		behind;

	check_stack_depth();
	if (level > MAXDIM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("number of array dimensions exceeds the maximum allowed (%d)", MAXDIM)));
	t->p++;
	tokens_skip_space(t);
	if (a->ndims == 0 && *t->p != '[')
		tell_dimensions(a, level);	/* also of an array without elements */
	if (*t->p == ']')
		behind = *t->p++;
	else
		do
		{
			bool		is_element = level == a->ndims;
			Token		token;

			CHECK_FOR_INTERRUPTS();
			if (is_element)
				tokens_value(t, &token);
			else if (*t->p == '[')
				read_elements(t, a, level + 1);
			else
				refuse_value("An array of several dimensions has arrays only.");
			tokens_skip_space(t);
			behind = *t->p++;
			if (is_element)
				add_element(a, &token);
			tokens_skip_space(t);
			n++;
		} while (behind == ',');
	check_dimension(a, level, n);
}

static Datum
make_array(Maker *maker, Token *token)
{
	Tokens		t = {.p = token->text, .begin = token->text};
	ArrayReading a = {.element = maker->element};
	int			lower_bounds[MAXDIM];

	if (token->kind != TOKEN_ARRAY)
		refuse_value("A column of an array type takes an array, or a string.");
	a.state = initArrayResult(get_element_type(maker->type), CurrentMemoryContext, false);
	read_elements(&t, &a, 1);
	for (int i = 0; i < a.ndims; i++)
		lower_bounds[i] = 1;
	return makeMdArrayResult(a.state, a.ndims, a.dims, lower_bounds, CurrentMemoryContext, false);
}

static Datum
make_composite(Record *record, Token *token)
{
	Tokens		t = {.p = token->text, .begin = token->text};

	if (token->kind != TOKEN_OBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a column of a composite type takes a JSON object, or a string")));
	read_object(&t, record);
	return HeapTupleGetDatum(heap_form_tuple(record->desc, record->values, record->nulls));
}

/* What is behind the token has been read: the byte there may be overwritten. */
static Datum
make_value(Maker *maker, Token *token, bool *isnull)
{
	Datum		value = 0;

	*isnull = token->kind <= TOKEN_NULL;
	if (*isnull)
		;
	else if (maker->direct != NULL && maker->direct(token, maker->typmod, &value))
		;
	else if (maker->element != NULL && token->kind != TOKEN_STRING)
		value = make_array(maker, token);
	else if (maker->record != NULL && token->kind != TOKEN_STRING)
		value = make_composite(maker->record, token);
	else
		value = InputFunctionCall(&maker->input, text_of(maker, token), maker->ioparam,
								  maker->typmod);
	if (unlikely(OidIsValid(maker->domain)))
		domain_check(value, *isnull, maker->domain, &maker->checks, maker->context);
	return value;
}

/* Objects ---------------------------------------------------------------------------------- */

/* The field of that name, or NULL. Looks from the field on that is probably the one. */
static Field *
find_field(Record *record, int probable, const char *name, Size size)
{
	int			n = record->desc->natts;

	for (int k = 0; k < n; k++)
	{
		Field	   *field = &record->fields[(probable + k) % n];

		if (!field->dropped && field->name_size == size && memcmp(field->name, name, size) == 0)
			return field;
	}
	return NULL;
}

/* Read the name of a member, and the colon. The field of that name, or NULL. */
static Field *
read_name(Tokens *t, Record *record, int probable)
{
	Field	   *guess = probable < record->desc->natts ? &record->fields[probable] : NULL;
	Token		name;

	StaticAssertStmt(TOKENS_PADDING >= NAMEDATALEN + 3, "the padding must be longer than a label");
	if (likely(guess != NULL && guess->label != NULL &&
			   memcmp(t->p, guess->label, guess->label_size) == 0))
	{
		t->p += guess->label_size;
		tokens_skip_space(t);
		return guess;
	}
	if (*t->p != '"')
		tokens_expect(t, "the name of a member");
	tokens_value(t, &name);
	if (!tokens_take(t, ':'))
		tokens_expect(t, "a colon");
	token_unescape(&name);
	return find_field(record, probable, name.text, name.size);
}

/* Find the values of an object's members, whose brace is the next byte. */
static void
read_members(Tokens *t, Record *record)
{
	int			probable = 0;

	t->p++;
	tokens_skip_space(t);
	if (*t->p != '}')
		do
		{
			Field	   *field = read_name(t, record, probable);
			Token		other;

			CHECK_FOR_INTERRUPTS();

			if (field == NULL)
			{
				tokens_value(t, &other);
				continue;
			}
			probable = field - record->fields;
			tokens_value(t, &record->tokens[probable++]);
		} while (tokens_take(t, ','));
	if (*t->p != '}')
		tokens_expect(t, "a comma or a brace");
	t->p++;
}

/* Make a row of an object, whose brace is the next byte. */
static void
read_object(Tokens *t, Record *record)
{
	int			n = record->desc->natts;

	memset(record->tokens, 0, sizeof(Token) * n);
	read_members(t, record);
	for (int i = 0; i < n; i++)
	{
		if (record->fields[i].dropped)
			record->nulls[i] = true;
		else
			record->values[i] = make_value(&record->fields[i].maker, &record->tokens[i],
										   &record->nulls[i]);
	}
}

static void
store_row(Tokens *t, Record *record, Tuplestorestate *rows, MemoryContext per_row)
{
	MemoryContext old = MemoryContextSwitchTo(per_row);

	CHECK_FOR_INTERRUPTS();
	if (*t->p != '{')
	{
		Token		other;

		tokens_value(t, &other);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("documents must be a JSON object, or an array of JSON objects")));
	}
	read_object(t, record);
	tuplestore_putvalues(rows, record->desc, record->values, record->nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(per_row);
}

static void
store_rows(Tokens *t, Record *record, Tuplestorestate *rows)
{
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "walspout document",
												  ALLOCSET_DEFAULT_SIZES);

	tokens_skip_space(t);
	if (*t->p != '[')
		store_row(t, record, rows, per_row);
	else if (t->p++, tokens_skip_space(t), *t->p == ']')
		t->p++;
	else
	{
		do
			store_row(t, record, rows, per_row);
		while (tokens_take(t, ','));
		if (*t->p != ']')
			tokens_expect(t, "a comma or a bracket");
		t->p++;
	}
	tokens_skip_space(t);
	MemoryContextDelete(per_row);
}

Datum
walspout_read_documents(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *documents = PG_GETARG_TEXT_PP(0);
	Size		size = VARSIZE_ANY_EXHDR(documents);
	MemoryContext old;
	Record	   *record;
	char	   *copy;
	Tokens		t;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		!(result->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of documents cannot be taken here"),
				 errhint("Call the function in the FROM clause.")));
	record = record_of_call(fcinfo);
	result->returnMode = SFRM_Materialize;
	old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->setResult = tuplestore_begin_heap(result->allowedModes & SFRM_Materialize_Random, false,
											  work_mem);
	MemoryContextSwitchTo(old);
	copy = MemoryContextAllocHuge(CurrentMemoryContext, size + TOKENS_PADDING);
	memcpy(copy, VARDATA_ANY(documents), size);
	memset(copy + size, 0, TOKENS_PADDING);
	t.p = copy;
	t.begin = copy;
	store_rows(&t, record, result->setResult);
	if (t.p != copy + size)
		tokens_expect(&t, "the end of the documents");
	pfree(copy);
	return (Datum) 0;
}
