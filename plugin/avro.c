/*
 * avro.c
 *		A table's schema as a schema of Apache Avro.
 *
 * Names of Avro have letters, digits and underscores of ASCII only, and no
 * digit in front. So any other byte of a name in UTF-8 is written as _x and
 * two hexadecimal digits. An underscore before an x is escaped the same way,
 * so that a reader can restore the name.
 */
#include "postgres.h"

#include "avro.h"

#include "catalog/pg_type.h"
#include "nodes/pg_list.h"

/* Replaces an empty name: a label of an enum may be empty. */
#define EMPTY_NAME "_x"

/* Limits arrays of domains of arrays and so on. */
#define DEEPEST_TYPE 16

typedef struct Avro
{
	Out		   *o;
	List	   *named;			/* OIDs of the enums that have been defined */
} Avro;

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void
append_name(Out *o, const char *name)
{
	static const char digits[] = "0123456789ABCDEF";

	if (name[0] == '\0')
		append_literal(o, EMPTY_NAME);
	for (const char *p = name; *p != '\0'; p++)
	{
		out_reserve(o, 4);
		if ((is_letter(*p) && !(p[0] == '_' && p[1] == 'x')) ||
			(*p >= '0' && *p <= '9' && p > name))
		{
			put_char(o, *p);
			continue;
		}
		put_literal(o, "_x");
		put_char(o, digits[(uint8) *p >> 4]);
		put_char(o, digits[(uint8) *p & 15]);
	}
}

static void
append_names(Out *o, const char *schema, const char *name)
{
	append_literal(o, "\"name\":\"");
	append_name(o, name);
	append_literal(o, "\",\"namespace\":\"");
	append_name(o, schema);
	append_literal(o, "\"");
}

static void
append_enum(Avro *avro, const SchemaType *t)
{
	Out		   *o = avro->o;
	int			n;
	char	  **labels;

	if (list_member_oid(avro->named, t->type))
	{
		append_literal(o, "\"");
		append_name(o, t->schema);
		append_literal(o, ".");
		append_name(o, t->name);
		append_literal(o, "\"");
		return;
	}
	labels = schema_labels(o, t->type, &n);
	if (n == 0)
	{
		append_literal(o, "\"string\"");
		return;
	}
	avro->named = lappend_oid(avro->named, t->type);
	append_literal(o, "{\"type\":\"enum\",");
	append_names(o, t->schema, t->name);
	append_literal(o, ",\"symbols\":[\"");
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			append_literal(o, "\",\"");
		append_name(o, labels[i]);
	}
	append_literal(o, "\"]}");
}

/* Avro rejects a decimal with more digits behind the point than digits. */
static void
append_numeric(Out *o, int32 modifier)
{
	int			precision = ((modifier - VARHDRSZ) >> 16) & 0xffff;
	int			scale = (((modifier - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
	char		json[128];

	if (modifier < (int32) VARHDRSZ || scale < 0 || scale > precision)
	{
		append_literal(o, "\"string\"");
		return;
	}
	append(o, json, snprintf(json, sizeof(json), "{\"type\":\"bytes\",\"logicalType\":\"decimal\","
							 "\"precision\":%d,\"scale\":%d}", precision, scale));
}

/* The Avro type of the server's types; of all other types, a string. */
static const char *
plain_type(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return "\"boolean\"";
		case INT2OID:
		case INT4OID:
			return "\"int\"";
		case INT8OID:
		case OIDOID:
			return "\"long\"";
		case FLOAT4OID:
			return "\"float\"";
		case FLOAT8OID:
			return "\"double\"";
		case BYTEAOID:
			return "\"bytes\"";
		case DATEOID:
			return "{\"type\":\"int\",\"logicalType\":\"date\"}";
		case TIMEOID:
			return "{\"type\":\"long\",\"logicalType\":\"time-micros\"}";
		case TIMESTAMPOID:
			return "{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}";
		case TIMESTAMPTZOID:
			return "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}";
		case UUIDOID:
			return "{\"type\":\"string\",\"logicalType\":\"uuid\"}";
		default:
			return "\"string\"";
	}
}

static void
append_type(Avro *avro, Oid type, int32 modifier, int depth)
{
	SchemaType	t = schema_type(type, modifier);
	const char *plain = plain_type(t.type);

	if (OidIsValid(t.element) && depth < DEEPEST_TYPE)
	{
		append_literal(avro->o, "{\"type\":\"array\",\"items\":[\"null\",");
		append_type(avro, t.element, t.modifier, depth + 1);
		append_literal(avro->o, "]}");
	}
	else if (t.is_enum)
		append_enum(avro, &t);
	else if (t.type == NUMERICOID)
		append_numeric(avro->o, t.modifier);
	else
		append(avro->o, plain, strlen(plain));
}

static void
append_field(Avro *avro, const ColumnShape *column)
{
	Out		   *o = avro->o;

	append_literal(o, "{\"name\":\"");
	append_name(o, column->name);
	append_literal(o, "\",\"type\":");
	if (!column->not_null)
		append_literal(o, "[\"null\",");
	append_type(avro, column->type, column->type_modifier, 0);
	if (!column->not_null)
		append_literal(o, "],\"default\":null");
	append_literal(o, ",\"pg_type\":");
	(void) json_string(o, column->type_name, strlen(column->type_name));
	append_literal(o, "}");
}

void
avro_append(Out *o, const TableShape *table)
{
	Avro		avro = {.o = o};

	append_literal(o, ",\"avro\":{\"type\":\"record\",");
	append_names(o, table->schema, table->table);
	append_literal(o, ",\"fields\":[");
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (i > 0)
			append_literal(o, ",");
		append_field(&avro, table->columns[i].shape);
	}
	append_literal(o, "]}");
	list_free(avro.named);
}
