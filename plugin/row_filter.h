/*
 * row_filter.h
 *		Which rows: the WHERE clauses of publications.
 */
#ifndef WALSPOUT_ROW_FILTER_H
#define WALSPOUT_ROW_FILTER_H

#include "postgres.h"

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"

/* One tuple, deformed; the arrays have an entry for each attribute. */
typedef struct Deformed
{
	Datum	   *values;
	bool	   *nulls;
} Deformed;

typedef struct RowFilter RowFilter;

/*
 * The combined filter of these publications (a list of Publication *) for the
 * table, or NULL if all rows pass. Reads catalogs; allocates in the current
 * context, which must live as long as the filter.
 */
extern RowFilter *row_filter_make(List *pubs, Oid relid);

/* Attributes that the filter of inserts reads, numbered as by pull_varattnos(). */
extern const Bitmapset *row_filter_reads(const RowFilter *filter);

/*
 * Is the row published? An update whose old row passes and whose new row does
 * not is a delete. The other way round it is an insert. *op changes
 * accordingly. old or new is NULL if the change has no such tuple.
 * attributes[i] is the index in their arrays of attribute i of the filter's
 * table.
 */
extern bool row_filter_passes(RowFilter *filter, const int *attributes, char *op,
							  const Deformed *old, const Deformed *new);

#endif
