/*
 * shape.c
 *		A column's description in frames.
 *
 * The name of a type is format_type()'s, with two differences. Every type
 * outside of pg_catalog has its schema in front, so that the name does not
 * depend on the session. Only the server's functions print modifiers, so that
 * no code of others runs.
 */
#include "postgres.h"

#include "shape.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "guard.h"
#include "text.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "watch.h"

#define SERVER_SCHEMA "pg_catalog."

/* A longer name is sent without the modifier, or else not at all. */
#define LONGEST_NAME 4096

typedef struct NamedType
{
	Oid			type;
	int32		modifier;
	char	   *name;
} NamedType;

static void
format_name(void *arg)
{
	NamedType  *t = arg;

	t->name = format_type_extended(t->type, t->modifier, FORMAT_TYPE_TYPEMOD_GIVEN |
								   FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_ALLOW_INVALID);
}

bool
shape_prints_modifiers(Oid type)
{
	Oid			element = get_element_type(type);
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(OidIsValid(element) ? element : type));
	bool		prints = false;

	if (HeapTupleIsValid(tuple))
	{
		prints = ((Form_pg_type) GETSTRUCT(tuple))->typmodout < FirstNormalObjectId;
		ReleaseSysCache(tuple);
	}
	return prints;
}

static bool
try_name(NamedType *t, int32 modifier)
{
	t->modifier = modifier;
	return guarded(GUARD_BUILTIN, format_name, t) && strlen(t->name) <= LONGEST_NAME;
}

const char *
shape_type_name(Oid type, int32 modifier)
{
	NamedType	t = {.type = type};

	if (modifier >= 0 && !shape_prints_modifiers(type))
		modifier = -1;
	if (!try_name(&t, modifier) && !try_name(&t, -1))
		return "";
	if (strncmp(t.name, SERVER_SCHEMA, strlen(SERVER_SCHEMA)) == 0)
		t.name += strlen(SERVER_SCHEMA);
	return text_plain_unchecked(t.name);
}

/* The name of an array is built from that of its elements. */
static void
watch_type(Oid type)
{
	Oid			element = get_element_type(type);

	if (OidIsValid(element))
		watch_type(element);
	else if (type >= FirstNormalObjectId)
		watch_syscache(TYPEOID, type);
}

ColumnShape
shape_make(Form_pg_attribute att)
{
	ColumnShape shape = {
		.name = text_plain(NameStr(att->attname)),
		.type_name = shape_type_name(att->atttypid, att->atttypmod),
		.type = att->atttypid,
		.type_modifier = att->atttypmod,
		.not_null = att->attnotnull,
	};

	watch_type(att->atttypid);
	return shape;
}
