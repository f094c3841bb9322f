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

/* A column of the key. Its order is that of the index, or the default one of its type. */
typedef struct KeyColumn
{
	AttrNumber	attribute;
	Oid			type;			/* as declared: perhaps a domain */
	int32		type_modifier;
	Oid			own_collation;	/* of the column */
	Oid			base_type;		/* never a domain */
	int16		typlen;
	bool		typbyval;
	Oid			family;			/* of operators for a B-tree */
	Oid			operand;		/* type that these take */
	Oid			collation;		/* of the order */
	const char *document_name;	/* NULL: that of the column */
} KeyColumn;

typedef struct Key
{
	int			n;				/* 0: the table has no key */
	KeyColumn  *columns;		/* in the order of the index */
	bool		deferrable;		/* not unique at all times */
} Key;

/* Which key tells the table's rows apart; see relation_key_index(). */
extern Key *key_of(Relation relation);

/*
 * Let the query, whose only table this is and whose targets are the table's
 * columns in their order, give its rows in the order of the key.
 */
extern void key_order(const Key *key, Query *query);

/* The condition that a row comes after these values in the order. */
extern Node *key_after(const Key *key, const Datum *values);

/* The condition that a row has the values of the parameters 1, 2, and so on. */
extern Node *key_equals(const Key *key);

/*
 * The values as text and back, whatever the session's settings. Raises if the
 * text is none of the type. Text is in the database's encoding.
 */
extern char **key_to_text(const Key *key, const Datum *values);
extern Datum *key_from_text(const Key *key, Relation relation, char **texts);

/* The name of the key's column. */
extern const char *key_column_name(Relation relation, const KeyColumn *column);

/*
 * The values in n JSON objects that have the key's columns as members, as "key"
 * has them in the envelope, those of one key after the other. Calls SPI. Raises
 * if a member is not there.
 */
extern Datum *key_from_json(const Key *key, Relation relation, char **jsons, int n);

#endif
