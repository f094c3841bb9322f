/*
 * relation.h
 *		The cache of what each relation needs to be rendered.
 */
#ifndef WALSPOUT_RELATION_H
#define WALSPOUT_RELATION_H

#include "filter.h"
#include "lib/ilist.h"
#include "nested.h"
#include "schema.h"
#include "shape.h"

/* A column that is published. */
typedef struct Column
{
	Field		field;			/* index is that in the relation's own tuples */
	bool		in_identity;	/* part of the replica identity: in every old tuple */
	bool		masked;			/* so that rows of two keys may look alike */
	bool		hashed;			/* so that its value cannot be told from the document */
} Column;

typedef struct CachedRelation
{
	Oid			relid;			/* hash key: must be first */
	bool		valid;			/* false: rebuild before use */
	dlist_node	recency;		/* least recently used ones go first */
	Size		bytes;			/* of memory that it holds */
	MemoryContext context;		/* of everything below */

	Published	published;		/* what, and as which table */
	int		   *attributes;		/* for row_filter_passes() */
	const char *names;			/* ,"schema":"s","table":"t" as the options want it */
	int			names_size;
	const char *schema;			/* of the table published as, in UTF-8 */
	const char *table;
	bool		announced;		/* its names and columns have been sent, as far as they are */
	ColumnShape *shape;			/* frames: of each column, until it is announced */
	TableSchema schema_told;	/* what is told of all that, until then; no members: nothing */
	MemoryContext shape_context;	/* of that */

	int			natts;			/* of the relation's own tuples */
	int			ncolumns;
	Column	   *columns;		/* in the order of the table published as, then constants */
	const char **given_names;	/* by rules, of each column; NULL: no rule is about the table */
	int			nconstants;		/* whose value is behind those of the tuple */
	bool		full;			/* REPLICA IDENTITY FULL: old tuples are whole */
	int			nkey;
	const Field **key;			/* columns that identify a row; none if nkey is 0 */

	void	   *detail;			/* of other dialects than the default one */

	uint32	   *members;		/* frames: what they tell of each column of the last row */
	uint32	   *old_key;		/* frames: where the last old key was, column by column */
	bool		lacking;		/* frames: the last update had unchanged columns */
	bool		readable;		/* a reader of the table has looked at the entry */

	Deformed	new;			/* room for one tuple each, and the value of constants */
	Deformed	old;
} CachedRelation;

/* Begin with an empty cache, in context. Registers callbacks once a process. */
extern void relation_startup(const Options *options, MemoryContext context);

/*
 * The entry of the relation, built if there is none or what it says is stale.
 * Valid until the next call. Reads catalogs when it has to build.
 */
extern CachedRelation *relation_get(Relation relation);

/*
 * The index whose columns tell a row from others, or InvalidOid. That is the
 * replica identity; under FULL, which names no columns, the primary key.
 */
extern Oid	relation_key_index(Relation relation);

/* The index of the primary key, whether or not that is deferrable; or InvalidOid. */
extern Oid	relation_primary_key(Relation relation);

/* The relation has been announced: its shape is not needed any more. */
extern void relation_announced(CachedRelation *relation);

#endif
