/*
 * schema.c
 *		The content of a schema document.
 *
 * It comes from the catalogs, as of the next change. It is made when a
 * relation is first seen, and not for each row. Rules for columns are applied:
 * the document describes a changed column as text, because labels and
 * modifiers could reveal values.
 */
#include "postgres.h"

#include "schema.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "avro.h"
#include "catalog/pg_class.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "json.h"
#include "relation.h"
#include "text.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "watch.h"

/* The most bytes of an enum's labels. */
#define LABELS_ROOM ((Size) 64 * 1024)

/*
 * A longer document gets no more labels: a table may have 1,600 columns of
 * enums, and a control character of a label has six bytes in JSON.
 */
#define DOCUMENT_ROOM ((Size) 16 * 1024 * 1024)

/* The limit for types within types: arrays of domains of arrays and so on. */
#define DEEPEST_TYPE 16

static void
append_text(Out *o, const char *utf8)
{
	/* always succeeds: a document has room for all names */
	(void) json_string(o, utf8, strlen(utf8));
}

static void
append_member(Out *o, const char *label, const char *utf8)
{
	append(o, label, strlen(label));
	append_text(o, utf8);
}

static void
append_number(Out *o, const char *label, int64 value)
{
	char		digits[32];

	append(o, label, strlen(label));
	append(o, digits, snprintf(digits, sizeof(digits), INT64_FORMAT, value));
}

static void
append_flag(Out *o, const char *label, bool value)
{
	append(o, label, strlen(label));
	if (value)
		append_literal(o, "true");
	else
		append_literal(o, "false");
}

SchemaType
schema_type(Oid type, int32 modifier)
{
	SchemaType	t = {.type = getBaseTypeAndTypmod(type, &modifier), .schema = "", .name = ""};
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(t.type));

	t.modifier = modifier;
	t.element = get_element_type(t.type);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);
		const char *schema = get_namespace_name(form->typnamespace);

		t.is_enum = form->typtype == TYPTYPE_ENUM;
		t.schema = schema != NULL ? text_plain(schema) : "";
		t.name = text_plain(NameStr(form->typname));
		ReleaseSysCache(tuple);
	}
	if (t.type >= FirstNormalObjectId)
		watch_syscache(TYPEOID, t.type);
	return t;
}

static int
compare_labels(const void *a, const void *b)
{
	float4		x = ((Form_pg_enum) GETSTRUCT(*(const HeapTuple *) a))->enumsortorder;
	float4		y = ((Form_pg_enum) GETSTRUCT(*(const HeapTuple *) b))->enumsortorder;

	return x < y ? -1 : x > y;
}

static char **
sorted_labels(HeapTuple *tuples, int n)
{
	char	  **labels = palloc(sizeof(char *) * Max(n, 1));
	Size		bytes = 0;

	qsort(tuples, n, sizeof(HeapTuple), compare_labels);
	for (int i = 0; i < n; i++)
	{
		labels[i] = text_plain(NameStr(((Form_pg_enum) GETSTRUCT(tuples[i]))->enumlabel));
		bytes += strlen(labels[i]);
		if (bytes > LABELS_ROOM)
			return NULL;
	}
	return labels;
}

char **
schema_labels(const Out *o, Oid type, int *n)
{
	CatCList   *list;
	HeapTuple  *tuples;
	char	  **labels;

	*n = 0;
	if (out_tell(o) > DOCUMENT_ROOM)
		return NULL;
	list = SearchSysCacheList1(ENUMTYPOIDNAME, ObjectIdGetDatum(type));
	tuples = palloc(sizeof(HeapTuple) * Max(list->n_members, 1));
	for (int i = 0; i < list->n_members; i++)
		tuples[i] = &list->members[i]->tuple;
	labels = sorted_labels(tuples, list->n_members);
	*n = labels != NULL ? list->n_members : 0;
	ReleaseSysCacheList(list);
	pfree(tuples);
	return labels;
}

static void
append_labels(Out *o, Oid type)
{
	int			n;
	char	  **labels = schema_labels(o, type, &n);

	if (labels == NULL)
		return;
	append_literal(o, ",\"labels\":[");
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			append_literal(o, ",");
		append_text(o, labels[i]);
	}
	append_literal(o, "]");
}

/* The name and schema of the type as declared: perhaps a domain, whose base schema_type() finds. */
static void
append_declared(Out *o, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	const char *schema;

	if (!HeapTupleIsValid(tuple))
		return;
	schema = get_namespace_name(((Form_pg_type) GETSTRUCT(tuple))->typnamespace);
	append_member(o, ",\"type_name\":", text_plain(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname)));
	append_member(o, ",\"type_schema\":", schema != NULL ? text_plain(schema) : "");
	ReleaseSysCache(tuple);
	if (type >= FirstNormalObjectId)
		watch_syscache(TYPEOID, type);
}

static void append_type(Out *o, Oid type, int32 modifier, bool with_oids, int depth);

/* A type within another one. */
static void
append_inner(Out *o, const char *label, Oid type, int32 modifier, bool with_oids, int depth)
{
	Size		begin;

	append(o, label, strlen(label));
	begin = out_tell(o);
	append_type(o, type, modifier, with_oids, depth);
	close_object(o, begin);
}

/*
 * The description of a type, without flags of the column. The fingerprint
 * contains no OIDs, because those of users' types differ between databases.
 */
static void
append_type(Out *o, Oid type, int32 modifier, bool with_oids, int depth)
{
	SchemaType	t = schema_type(type, modifier);

	append_member(o, ",\"type\":", shape_type_name(type, modifier));
	if (with_oids)
		append_number(o, ",\"type_oid\":", type);
	append_declared(o, type);
	append_number(o, ",\"modifier\":", modifier);
	if (depth >= DEEPEST_TYPE)
		return;
	if (t.type != type)
		append_inner(o, ",\"base\":", t.type, t.modifier, with_oids, depth + 1);
	else if (t.is_enum)
		append_labels(o, type);
	else if (OidIsValid(t.element))
		append_inner(o, ",\"element\":", t.element, modifier, with_oids, depth + 1);
}

static void
append_column(Out *o, const SchemaColumn *column, bool with_oids)
{
	const ColumnShape *shape = column->shape;
	Size		begin = out_tell(o);

	append_member(o, ",\"name\":", shape->name);
	append_type(o, shape->type, shape->type_modifier, with_oids, 0);
	append_flag(o, ",\"nullable\":", !shape->not_null);
	append_flag(o, ",\"key\":", shape->in_key);
	if (column->att != NULL && column->att->attgenerated && !column->changed)
		append_literal(o, ",\"generated\":\"stored\"");
	close_object(o, begin);
}

static void
append_columns(Out *o, const TableShape *table, bool with_oids)
{
	append_literal(o, ",\"columns\":[");
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (i > 0)
			append_literal(o, ",");
		append_column(o, &table->columns[i], with_oids);
	}
	append_literal(o, "]");
}

/* The column of the attribute. NULL unless documents have its values unchanged or hashed. */
static const SchemaColumn *
column_of(const TableShape *table, AttrNumber attribute)
{
	for (int i = 0; i < table->ncolumns; i++)
		if (table->columns[i].att != NULL && table->columns[i].att->attnum == attribute)
			return &table->columns[i];
	return NULL;
}

/* Omits the primary key if a column of it is left out, or the table has none. */
static void
append_primary_key(Out *o, const TableShape *table)
{
	Oid			oid = relation_primary_key(table->as);
	Relation	index = OidIsValid(oid) ? RelationIdGetRelation(oid) : NULL;
	Size		begin = out_tell(o);

	if (!RelationIsValid(index))
		return;
	append_literal(o, ",\"primary_key\":[");
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		const SchemaColumn *column = column_of(table, index->rd_index->indkey.values[i]);

		if (column == NULL)
		{
			out_rewind(o, begin);
			RelationClose(index);
			return;
		}
		if (i > 0)
			append_literal(o, ",");
		append_text(o, column->shape->name);
	}
	append_literal(o, "]");
	RelationClose(index);
}

static const char *
identity_of(Relation relation)
{
	switch (relation->rd_rel->relreplident)
	{
		case REPLICA_IDENTITY_FULL:
			return "full";
		case REPLICA_IDENTITY_INDEX:
			return "index";
		case REPLICA_IDENTITY_NOTHING:
			return "nothing";
		default:
			return "default";
	}
}

static void
append_shape(Out *o, const TableShape *table, bool with_oids)
{
	append_columns(o, table, with_oids);
	append_primary_key(o, table);
	append_member(o, ",\"identity\":", identity_of(table->relation));
}

/* FNV-1a, which is the same everywhere, and easy to compute elsewhere. */
static uint64
fingerprint_of(const char *bytes, Size n)
{
	uint64		hash = UINT64CONST(0xcbf29ce484222325);

	for (Size i = 0; i < n; i++)
		hash = (hash ^ (uint8) bytes[i]) * UINT64CONST(0x100000001b3);
	return hash;
}

static uint64
make_fingerprint(const TableShape *table)
{
	StringInfoData s;
	uint64		fingerprint;
	Out			o;

	initStringInfo(&s);
	out_open(&o, &s);
	append_member(&o, ",\"schema\":", table->schema);
	append_member(&o, ",\"table\":", table->table);
	append_shape(&o, table, false);
	close_object(&o, 0);
	out_close(&o);
	fingerprint = fingerprint_of(s.data, s.len);
	pfree(s.data);
	return fingerprint;
}

TableSchema
schema_make(const Options *options, const TableShape *table)
{
	TableSchema made = {.fingerprint = make_fingerprint(table)};
	char		digits[32];
	StringInfoData s;
	Out			o;

	initStringInfo(&s);
	out_open(&o, &s);
	snprintf(digits, sizeof(digits), "%016llx", (unsigned long long) made.fingerprint);
	append_member(&o, ",\"fingerprint\":", digits);
	if (options->schema_format == SCHEMA_AVRO)
		avro_append(&o, table);
	else
		append_shape(&o, table, true);
	out_close(&o);
	made.members = s.data;
	made.size = s.len;
	return made;
}
