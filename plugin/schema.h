/*
 * schema.h
 *		The content of a schema document.
 */
#ifndef WALSPOUT_SCHEMA_H
#define WALSPOUT_SCHEMA_H

#include "postgres.h"

#include "json.h"
#include "options.h"
#include "shape.h"
#include "utils/rel.h"

/* A column of the documents, and where its values come from. */
typedef struct SchemaColumn
{
	const ColumnShape *shape;
	Form_pg_attribute att;		/* NULL: a constant */
	bool		changed;		/* a rule turns its values into text */
} SchemaColumn;

/* A table as its documents show it. */
typedef struct TableShape
{
	const char *schema;			/* in UTF-8, like the next */
	const char *table;
	Relation	relation;		/* whose rows they are: for its replica identity */
	Relation	as;				/* the table as published: for its primary key */
	int			ncolumns;
	const SchemaColumn *columns;
} TableShape;

typedef struct TableSchema
{
	uint64		fingerprint;	/* equal for equal shapes, in all databases */
	const char *members;		/* of the document, each with a comma before it; in UTF-8 */
	Size		size;
} TableSchema;

/*
 * Describe the table, in the form of the options. Reads catalogs; allocates in
 * the current context. A later change of the described data makes cached
 * relations stale.
 */
extern TableSchema schema_make(const Options *options, const TableShape *table);

/* A type as other forms of schemas need it: its base type, if it is a domain. */
typedef struct SchemaType
{
	Oid			type;			/* never a domain */
	int32		modifier;
	Oid			element;		/* of an array; else InvalidOid */
	bool		is_enum;
	const char *schema;			/* in UTF-8, like the next */
	const char *name;
} SchemaType;

extern SchemaType schema_type(Oid type, int32 modifier);

/*
 * The labels of an enum in their order, in UTF-8, for the document. NULL, with
 * *n = 0, if there are too many.
 */
extern char **schema_labels(const Out *o, Oid type, int *n);

#endif
