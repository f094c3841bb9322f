/*
 * relation.h
 *		The cache of the data that rendering needs for each relation.
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
	bool		masked;			/* rows of two keys may look alike */
	bool		hashed;			/* the document does not reveal its value */
} Column;

typedef struct CachedRelation
{
	Oid			relid;			/* hash key: must be first */
	bool		valid;			/* false: rebuild before use */
	dlist_node	recency;		/* least recently used ones go first */
	Size		bytes;			/* size of its memory */
	MemoryContext context;		/* of everything below */

	Published	published;		/* which columns and operations, and as which table */
	int		   *attributes;		/* for row_filter_passes() */
	const char *names;			/* ,"schema":"s","table":"t" as the options want it */
	int			names_size;
	const char *schema;			/* of the table as published, in UTF-8 */
	const char *table;
	bool		announced;		/* its names and columns were sent, where they are sent at all */
	ColumnShape *shape;			/* frames: of each column, until it is announced */
	TableSchema schema_told;	/* schema to send, until then; no members: none */
	MemoryContext shape_context;	/* of those */

	int			natts;			/* of the relation's own tuples */
	int			ncolumns;
	Column	   *columns;		/* in the order of the table as published, then constants */
	const char **given_names;	/* names by rules, of each column; NULL: no rule is about the table */
	int			nconstants;		/* their value follows those of the tuple */
	bool		full;			/* REPLICA IDENTITY FULL: old tuples are whole */
	int			nkey;
	const Field **key;			/* columns that identify a row; nkey is 0 if there are none */

	void	   *detail;			/* for other dialects than the default one */

	uint32	   *members;		/* frames: data about each column of the last row */
	uint32	   *old_key;		/* frames: positions of the last old key, column by column */
	bool		lacking;		/* frames: the last update had unchanged columns */
	bool		readable;		/* a reader of the table has looked at the entry */

	Deformed	new;			/* room for one tuple each, and the value of constants */
	Deformed	old;
} CachedRelation;

/* Begin with an empty cache, in context. Registers callbacks once in the process's life. */
extern void relation_startup(const Options *options, MemoryContext context);

/*
 * The entry of the relation, built if it is missing or stale. Valid until the
 * next call. Reads catalogs when it has to build.
 */
extern CachedRelation *relation_get(Relation relation);

/*
 * The index whose columns tell rows apart, or InvalidOid. That is the replica
 * identity; under FULL, which names no columns, the primary key.
 */
extern Oid	relation_key_index(Relation relation);

/* The index of the primary key, even if that is deferrable; or InvalidOid. */
extern Oid	relation_primary_key(Relation relation);

/* The relation has been announced: free its shape. */
extern void relation_announced(CachedRelation *relation);

/* Announce what is published as that table once more, before its next event. */
extern void relation_announce_again(Oid relid);

#endif
