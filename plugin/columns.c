/*
 * columns.c
 *		What rules and constants make of a table's columns.
 *
 * Rules are looked for when a relation is first seen. They change a column's
 * label and encoder, so that a row costs nothing more. A masking encoder lets
 * the type's own encoder render the value, and then changes the text in the
 * document. So no value is copied.
 */
#include "postgres.h"

#include "columns.h"

#include "catalog/pg_type.h"
#include "secret.h"
#include "text.h"
#include "values.h"

/* Stands for the removed rest of a text. */
#define REST "***"

/* The most bytes of a character, in any encoding of the server. */
#define WIDEST 4

/* Encoder.detail of a column that has a rule. */
typedef struct Mask
{
	const Encoder *plain;		/* of the type */
	const char *key;			/* of hashes */
	Size		characters;
	bool		marks_rest;
} Mask;

/* Encoder.detail of a constant. */
typedef struct Fixed
{
	const char *json;
	Size		size;
} Fixed;

static bool
is_taken(const char *name, int by, const char **names, int natts)
{
	for (int i = 0; i < natts; i++)
		if (i != by && names[i] != NULL && strcmp(names[i], name) == 0)
			return true;
	return false;
}

/*
 * Cancel new names that two columns would share. A cancelled name may be free
 * for another column.
 */
static void
take_back(TableColumns *columns, TupleDesc desc)
{
	bool	   *taken = palloc0(sizeof(bool) * desc->natts);
	bool		again;

	do
	{
		again = false;
		for (int i = 0; i < desc->natts; i++)
			taken[i] = columns->names[i] != NULL && columns->rules[i] != NULL &&
				columns->rules[i]->name != NULL &&
				columns->names[i] != NameStr(TupleDescAttr(desc, i)->attname) &&
				is_taken(columns->names[i], i, columns->names, desc->natts);
		for (int i = 0; i < desc->natts; i++)
			if (taken[i])
			{
				columns->names[i] = NameStr(TupleDescAttr(desc, i)->attname);
				again = true;
			}
	} while (again);
	pfree(taken);
}

TableColumns
columns_find(const Options *options, const char *schema, const char *table, TupleDesc desc,
			 const bool *published)
{
	TableColumns columns = {0};
	List	   *rules = rules_of_table(options->columns, schema, table);

	if (rules == NIL)
		return columns;
	columns.rules = palloc0(sizeof(ColumnRule *) * Max(desc->natts, 1));
	columns.names = palloc0(sizeof(char *) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);

		if (!published[i])
			continue;
		columns.rules[i] = rules_of_column(rules, name);
		if (!columns_has(&columns, i))
			continue;
		columns.names[i] = name;
		if (columns.rules[i] != NULL && columns.rules[i]->name != NULL)
			columns.names[i] = columns.rules[i]->name;
	}
	take_back(&columns, desc);
	list_free(rules);
	return columns;
}

static bool
encode_fixed(Out *o, const Encoder *e, Datum value)
{
	const Fixed *fixed = e->detail;

	append(o, fixed->json, fixed->size);
	return true;
}

static bool
encode_hash(Out *o, const Encoder *e, Datum value)
{
	const Mask *mask = e->detail;
	Size		begin = out_tell(o);
	char		hash[SECRET_HASH_SIZE];

	if (!mask->plain->encode(o, mask->plain, value))
		return false;
	json_unquote(o, begin);
	if (!secret_hash(hash, mask->key, out_at(o, begin), out_tell(o) - begin))
		return false;
	out_rewind(o, begin);
	out_reserve(o, sizeof(hash) + 2);
	put_char(o, '"');
	put(o, hash, sizeof(hash));
	put_char(o, '"');
	return true;
}

/* Turn the JSON from position begin on into a string of its text's first characters. */
static bool
cut(Out *o, const Mask *mask, Size begin)
{
	json_unquote(o, begin);
	json_cut(o, begin, mask->characters);
	if (mask->marks_rest)
		append_literal(o, REST);
	return json_quote(o, begin);
}

static bool
encode_cut(Out *o, const Encoder *e, Datum value)
{
	const Mask *mask = e->detail;
	Size		begin = out_tell(o);

	return mask->plain->encode(o, mask->plain, value) && cut(o, mask, begin);
}

/* The same for text. Looks only at the bytes that so many characters can have. */
static bool
encode_cut_text(Out *o, const Encoder *e, Datum value)
{
	const Mask *mask = e->detail;
	struct varlena *v = varlena_plain(value);
	Size		begin = out_tell(o);

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	return text_string(o, VARDATA_ANY(v),
					   Min(VARSIZE_ANY_EXHDR(v), mask->characters * WIDEST)) &&
		cut(o, mask, begin);
}

/* In memory that put_label() may read. */
static Fixed *
make_fixed(const char *value)
{
	Fixed	   *fixed = palloc(sizeof(Fixed));

	fixed->json = text_label("", value, "");
	fixed->size = strlen(fixed->json);
	return fixed;
}

static void
make_mask(Encoder *e, const Options *options, const ColumnRule *rule, const Encoder *plain)
{
	Mask	   *mask = palloc0(sizeof(Mask));

	mask->plain = plain;
	mask->key = options->hash_key;
	mask->characters = rule->characters;
	mask->marks_rest = rule->change == CHANGE_KEEP;
	e->detail = mask;
	e->encode = rule->change == CHANGE_HASH ? encode_hash : encode_cut;
	if (rule->change != CHANGE_HASH && plain->encode == encode_text)
	{
		e->encode = encode_cut_text;
		e->cuts = true;
	}
}

const Encoder *
columns_encoder(const Options *options, const ColumnRule *rule, const Encoder *plain)
{
	Encoder    *e;

	if (rule == NULL || rule->change == CHANGE_NONE)
		return plain;
	e = palloc0(sizeof(Encoder));
	e->type = TEXTOID;
	e->typlen = plain->typlen;
	e->typbyval = plain->typbyval;
	e->typalign = plain->typalign;
	if (rule->change == CHANGE_MASK)
	{
		e->detail = make_fixed(rule->mask);
		e->encode = encode_fixed;
		e->fixed = true;
	}
	else
		make_mask(e, options, rule, plain);
	return e;
}

const Encoder *
columns_constant(const Constant *constant)
{
	Encoder    *e = palloc0(sizeof(Encoder));

	e->encode = encode_fixed;
	e->type = TEXTOID;
	e->typlen = 1;
	e->typbyval = true;
	e->typalign = TYPALIGN_CHAR;
	e->detail = make_fixed(constant->value);
	e->fixed = true;
	return e;
}

static ColumnShape
shape_of_text(const char *name)
{
	ColumnShape shape = {
		.name = text_plain(name), .type_name = "text", .type = TEXTOID, .type_modifier = -1
	};

	return shape;
}

ColumnShape
columns_shape(ColumnShape plain, const ColumnRule *rule, const char *name)
{
	ColumnShape shape = plain;

	if (rule != NULL && rule->change != CHANGE_NONE)
		shape = shape_of_text(name);
	else
		shape.name = text_plain(name);
	shape.not_null = plain.not_null;
	return shape;
}

ColumnShape
columns_constant_shape(const Constant *constant)
{
	ColumnShape shape = shape_of_text(constant->name);

	shape.not_null = true;
	return shape;
}
