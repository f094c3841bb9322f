/*
 * filter.h
 *		Which tables, operations, rows and columns: what publications say.
 */
#ifndef WALSPOUT_FILTER_H
#define WALSPOUT_FILTER_H

#include "postgres.h"

#include "nodes/bitmapset.h"
#include "options.h"
#include "row_filter.h"
#include "utils/rel.h"

/* What is published of a table. */
typedef struct Published
{
	Oid			relid;			/* of the table as published: itself or an ancestor */
	bool		insert;
	bool		update;
	bool		delete;
	bool		truncate;
	bool		by_publications;	/* false: because every table is */
	bool		all_columns;	/* except generated ones, unless .generated */
	bool		generated;		/* stored generated columns, too */
	Bitmapset  *columns;		/* attribute numbers in relid, if not all_columns */
	RowFilter  *filter;			/* NULL: all rows */
} Published;

/*
 * Begin with these options, which must outlive the plugin's run. Raises if a
 * publication does not exist.
 */
extern void filter_startup(const Options *options, MemoryContext context);

/* A publication was created, changed or dropped: read them again. */
extern void filter_invalidate(void);

/*
 * Is it a table of the extension's own? Such tables are never sent: they hold
 * the progress of programs that read the slot. Reads catalogs.
 */
extern bool filter_is_own(Relation relation);

/*
 * Find what is published of the relation. Reads catalogs; allocates in the
 * current context, which must live as long as the result.
 */
extern void filter_relation(Relation relation, Published *published);

#endif
