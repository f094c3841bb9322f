/*
 * columns.h
 *		What rules and constants make of a table's columns.
 */
#ifndef WALSPOUT_COLUMNS_H
#define WALSPOUT_COLUMNS_H

#include "access/tupdesc.h"
#include "encoder.h"
#include "options.h"
#include "rules.h"
#include "shape.h"

/* The rules for a table's attributes, and their names; NULL if no rule is about the table. */
typedef struct TableColumns
{
	const ColumnRule **rules;	/* NULL: no rule is about the attribute */
	const char **names;			/* in documents */
} TableColumns;

/*
 * Find the rules. published says which attributes are published at all.
 * Columns whose new names would clash keep their own. Allocates in the current
 * context.
 */
extern TableColumns columns_find(const Options *options, const char *schema, const char *table,
								 TupleDesc desc, const bool *published);

/* The rule for an attribute, or NULL. */
static inline const ColumnRule *
columns_rule(const TableColumns *columns, int i)
{
	return columns->rules != NULL ? columns->rules[i] : NULL;
}

/* Do documents have the attribute? */
static inline bool
columns_has(const TableColumns *columns, int i)
{
	const ColumnRule *rule = columns_rule(columns, i);

	return rule == NULL || rule->change != CHANGE_OMIT;
}

/* The encoder of a column that has the rule. Allocates in the current context. */
extern const Encoder *columns_encoder(const Options *options, const ColumnRule *rule,
									  const Encoder *plain);

/* The encoder of a constant; it ignores the value. */
extern const Encoder *columns_constant(const Constant *constant);

/* What frames tell of a column with this rule and this name; and of a constant. */
extern ColumnShape columns_shape(ColumnShape plain, const ColumnRule *rule, const char *name);
extern ColumnShape columns_constant_shape(const Constant *constant);

#endif
