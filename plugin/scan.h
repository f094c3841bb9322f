/*
 * scan.h
 *		The query that reads a table, and rows from it as they are wanted.
 */
#ifndef WALSPOUT_SCAN_H
#define WALSPOUT_SCAN_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "key.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"

/* What is read. */
typedef struct ScanSpec
{
	Relation	relation;		/* partitioned: with all partitions; else alone */
	const Bitmapset *columns;	/* attribute numbers that are read; others are null */
	const Key  *key;
	const Datum *after;			/* begin behind this key, or NULL */
	const char *condition;		/* an expression as in WHERE, or NULL */
	bool		by_key;			/* one row, whose key is in parameters; else all in order */
} ScanSpec;

/*
 * Plan it. The rows have the columns of the relation, then the OID of the row's
 * partition if the relation is partitioned, then what the condition says if
 * there is one: rows that do not meet it are among them. Raises with a hint if
 * the condition is wrong.
 */
extern PlannedStmt *scan_plan(const ScanSpec *spec);

/* Takes a row. False: that is enough for now. */
typedef bool (*TakeRow) (void *arg, TupleTableSlot *row);

typedef struct TableScan TableScan;

/* Begin, in the current context and for the active snapshot. */
extern TableScan *scan_begin(PlannedStmt *plan, ParamListInfo parameters, TakeRow take, void *arg);

/* Give rows away until that is enough. False: there are no more. */
extern bool scan_run(TableScan *scan);

extern void scan_end(TableScan *scan);

#endif
