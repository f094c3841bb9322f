/*
 * key.h
 *		The key by which a table is read: its order, and its values as text.
 */
#ifndef WALSPOUT_KEY_H
#define WALSPOUT_KEY_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "utils/rel.h"

/* A column of the key. Its order is the index's, or the default order of its type. */
typedef struct KeyColumn
{
	AttrNumber	attribute;
	Oid			type;			/* as declared: perhaps a domain */
	int32		type_modifier;
	Oid			own_collation;	/* of the column */
	Oid			base_type;		/* never a domain */
	int16		typlen;
	bool		typbyval;
	Oid			family;			/* operator family for a B-tree */
	Oid			operand;		/* type of these operators' operands */
	Oid			collation;		/* collation of the order */
	const char *document_name;	/* NULL: the column's own */
} KeyColumn;

typedef struct Key
{
	int			n;				/* 0: the table has no key */
	KeyColumn  *columns;		/* in the order of the index */
	bool		deferrable;		/* not unique at all times */
} Key;

/* The key that tells the table's rows apart; see relation_key_index(). */
extern Key *key_of(Relation relation);

/*
 * Make the query give its rows in the order of the key. The query has only
 * this table, and its targets are the table's columns in their order.
 */
extern void key_order(const Key *key, Query *query);

/* The condition that a row comes after these values in the order. */
extern Node *key_after(const Key *key, const Datum *values);

/* The condition that a row has the values of the parameters 1, 2, and so on. */
extern Node *key_equals(const Key *key);

/*
 * Convert values to text and back, whatever the session's settings. Raises if
 * the text is not valid for the type. Text is in the database's encoding.
 */
extern char **key_to_text(const Key *key, const Datum *values);
extern Datum *key_from_text(const Key *key, Relation relation, char **texts);

/* The name of the key's column. */
extern const char *key_column_name(Relation relation, const KeyColumn *column);

/*
 * The values in n JSON objects, key after key. Each object has the key's
 * columns as members, like "key" in the envelope. Calls SPI. Raises if a
 * member is missing.
 */
extern Datum *key_from_json(const Key *key, Relation relation, char **jsons, int n);

#endif
