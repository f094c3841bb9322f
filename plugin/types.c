/*
 * types.c
 *		The choice of an encoder for a type.
 *
 * The rules are json_categorize_type()'s: domains are looked through; arrays
 * and composites are JSON arrays and objects; types of users that have a
 * cast to json go through it, if its function may be called; the rest is what
 * its output function prints, as a string.
 */
#include "postgres.h"

#include "types.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "calls.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "text.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "values.h"
#include "watch.h"

bool
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

Encoder *
make_encoder(Oid type, Encode encode, void *detail)
{
	Encoder    *e = palloc0(sizeof(Encoder));

	e->encode = encode;
	e->type = type;
	e->detail = detail;
	get_typlenbyvalalign(type, &e->typlen, &e->typbyval, &e->typalign);
	return e;
}

Encoder *
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
	return make_guarded(make_encoder(type, encode_array, elements), elements->encoder->calls);
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
	Oid			relid = get_typ_typrelid(type);
	Relation	relation = OidIsValid(relid) ? RelationIdGetRelation(relid) : NULL;
	int			calls = 0;

	/* the type cache would wait for a lock that another session holds */
	if (!RelationIsValid(relation))
		return make_encoder(type, encode_nothing, NULL);
	watch_relation(relid);
	c->desc = CreateTupleDescCopyConstr(RelationGetDescr(relation));
	RelationClose(relation);
	c->values = palloc0(sizeof(Datum) * c->desc->natts);
	c->nulls = palloc0(sizeof(bool) * c->desc->natts);
	c->version = palloc0(sizeof(uint64));
	c->fields = palloc0(sizeof(Field) * c->desc->natts);
	for (int i = 0; i < c->desc->natts; i++)
		if (!TupleDescAttr(c->desc, i)->attisdropped)
		{
			Field	   *f = &c->fields[c->nfields++];

			*f = make_field(TupleDescAttr(c->desc, i), made);
			calls = Max(calls, f->encoder->calls);
		}
	return make_guarded(make_encoder(type, encode_composite, c), calls);
}

/* The function of a cast to json, for types for which row_to_json() looks for one. */
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

/*
 * A type that is neither an array nor a composite. Enums use their labels,
 * without calls.
 */
static Encoder *
make_scalar(Oid type, EncoderSet *made)
{
	Encoder    *plain = type_is_enum(type) ? make_enum(type) : make_output_call(type);
	Oid			cast = cast_to_json(type);
	Encoder    *e;

	if (!OidIsValid(cast))
		return plain;
	e = make_cast_call(type, cast, made->user_casts, plain);
	return e != NULL ? e : plain;
}

static const Encoder *
make(Oid type, EncoderSet *made)
{
	Oid			element;

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
	return make_scalar(type, made);
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
