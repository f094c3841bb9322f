/*
 * scan.h
 *		The query that reads a table, and delivers rows on demand.
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
	const Bitmapset *columns;	/* attribute numbers to read; others are null */
	const Key  *key;
	const Datum *after;			/* begin behind this key, or NULL */
	const char *condition;		/* an expression as in WHERE, or NULL */
	bool		by_key;			/* one row, whose key is in parameters; else all in order */
} ScanSpec;

/*
 * Plan it. The rows have the columns of the relation. The OID of the row's
 * partition follows if the relation is partitioned. The condition's result
 * follows if there is a condition: rows that do not meet it are included.
 * Raises with a hint if the condition is wrong.
 */
extern PlannedStmt *scan_plan(const ScanSpec *spec);

/* Take a row. False: enough for now. */
typedef bool (*TakeRow) (void *arg, TupleTableSlot *row);

typedef struct TableScan TableScan;

/* Begin, in the current context and for the active snapshot. */
extern TableScan *scan_begin(PlannedStmt *plan, ParamListInfo parameters, TakeRow take, void *arg);

/* Deliver rows until the receiver has enough. False: there are no more. */
extern bool scan_run(TableScan *scan);

extern void scan_end(TableScan *scan);

#endif
