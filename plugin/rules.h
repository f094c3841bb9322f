/*
 * rules.h
 *		Rules for columns, and constants: their text as options have it, and which
 *		of them are about a table or a column.
 */
#ifndef WALSPOUT_RULES_H
#define WALSPOUT_RULES_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Bytes that stand for themselves, and codes: any characters, any one
 * character, and the dot between schema and table.
 */
typedef struct Pattern
{
	int			n;
	uint16	   *signs;
} Pattern;

typedef enum ColumnChange
{
	CHANGE_NONE,				/* the column is unchanged; perhaps it is renamed */
	CHANGE_OMIT,				/* documents do not have it */
	CHANGE_MASK,				/* its value is a fixed text */
	CHANGE_KEEP,				/* the first characters, and *** */
	CHANGE_TRUNCATE,			/* the first characters */
	CHANGE_HASH					/* HMAC-SHA256 of its text */
} ColumnChange;

typedef struct ColumnRule
{
	Pattern		table;
	Pattern		column;
	ColumnChange change;
	int			characters;		/* number of characters to keep */
	const char *mask;
	const char *name;			/* new name of the column; NULL: its own */
} ColumnRule;

/* A constant member of rows. */
typedef struct Constant
{
	const char *name;
	const char *value;
} Constant;

/*
 * Read the text of an option, in the database's encoding. *problem is a
 * sentence about the error, or NULL. Allocate in the current context.
 */
extern List *rules_parse(const char *given, const char **problem);
extern List *rules_parse_constants(const char *given, const char **problem);

/* The rules about the table, in the order given; allocates. */
extern List *rules_of_table(List *rules, const char *schema, const char *table);

/* The rule for a column: the last of those of its table that names it, or NULL. */
extern const ColumnRule *rules_of_column(List *of_table, const char *column);

/* Does one of the rules hash a column? */
extern bool rules_hash(List *rules);

/* Can a column of the key have the rule, which may be NULL? Rows of two keys must differ. */
static inline bool
rule_suits_key(const ColumnRule *rule)
{
	return rule == NULL || rule->change == CHANGE_NONE || rule->change == CHANGE_HASH;
}

#endif
