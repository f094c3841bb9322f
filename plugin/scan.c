/*
 * scan.c
 *		The query that reads a table, and delivers rows on demand.
 *
 * The executor runs as in SQL functions: until the receiver of its rows has
 * enough, and later again. So rows are read in the scan's buffer, and nothing
 * is copied.
 *
 * The condition is a column and not part of the scan: a scan that finds no row
 * would run on past all limits.
 */
#include "postgres.h"

#include "scan.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "readable.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

struct TableScan
{
	DestReceiver receiver;		/* must be first */
	QueryDesc  *query;
	TakeRow		take;
	void	   *arg;
	bool		enough;
};

static inline bool
is_partitioned(const ScanSpec *spec)
{
	return spec->relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
}

static char *
query_text(const ScanSpec *spec)
{
	TupleDesc	desc = RelationGetDescr(spec->relation);
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfoString(&s, i > 0 ? ", " : "");
		appendStringInfoString(&s, bms_is_member(att->attnum, spec->columns) ?
							   quote_identifier(NameStr(att->attname)) : "NULL::pg_catalog.int4");
	}
	if (is_partitioned(spec))
		appendStringInfo(&s, "%stableoid", desc->natts > 0 ? ", " : "");
	if (spec->condition != NULL)
		appendStringInfo(&s, "%strue", desc->natts > 0 || is_partitioned(spec) ? ", " : "");
	appendStringInfo(&s, " FROM %s%s", is_partitioned(spec) ? "" : "ONLY ",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(spec->relation)),
												RelationGetRelationName(spec->relation)));
	/* the line break ends a comment that would hide the parenthesis */
	if (spec->condition != NULL)
		appendStringInfo(&s, " WHERE (%s\n)", spec->condition);
	return s.data;
}

/* The server's message is about the query that contains the condition. */
static void
explain_error(void *arg)
{
	int			position = geterrposition();

	readable_hint("Give an expression as WHERE takes it, for instance status = 'open'.");
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
	errcontext("condition of a backfill");
}

/* If the condition closes the parenthesis and continues, it is more than a condition. */
static bool
is_one_condition(List *parsed)
{
	SelectStmt *select;

	if (list_length(parsed) != 1)
		return false;
	select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;
	return IsA(select, SelectStmt) && select->op == SETOP_NONE && select->groupClause == NIL &&
		select->havingClause == NULL && select->windowClause == NIL &&
		select->sortClause == NIL && select->limitOffset == NULL &&
		select->limitCount == NULL && select->lockingClause == NIL &&
		select->intoClause == NULL;
}

static Query *
parse(const ScanSpec *spec, char *sql)
{
	ErrorContextCallback callback = {error_context_stack, explain_error, sql};
	List	   *parsed;
	List	   *queries;

	if (spec->condition != NULL)
		error_context_stack = &callback;
	parsed = pg_parse_query(sql);
	if (!is_one_condition(parsed))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the condition is more than one expression: %s", spec->condition)));
	queries = analyze_and_rewrite(linitial_node(RawStmt, parsed), sql);
	error_context_stack = callback.previous;
	return linitial_node(Query, queries);
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * The key's index returns the first row at once, and the next one on demand.
 * For many rows the planner would rather read and sort all of them.
 */
static PlannedStmt *
plan_by_index(Query *query, char *sql)
{
	int			level = NewGUCNestLevel();
	PlannedStmt *plan;

	set("enable_seqscan", "off");
	set("enable_bitmapscan", "off");
	set("enable_sort", "off");
	set("enable_indexscan", "on");
	set("jit", "off");
	plan = plan_query(query, sql);
	AtEOXact_GUC(false, level);
	return plan;
}

PlannedStmt *
scan_plan(const ScanSpec *spec)
{
	char	   *sql = query_text(spec);
	Query	   *query = parse(spec, sql);

	if (spec->condition != NULL)
	{
		llast_node(TargetEntry, query->targetList)->expr = (Expr *) query->jointree->quals;
		query->jointree->quals = NULL;
	}
	if (spec->key->n == 0)
		return plan_query(query, sql);
	if (spec->by_key)
		query->jointree->quals = key_equals(spec->key);
	else
	{
		key_order(spec->key, query);
		if (spec->after != NULL)
			query->jointree->quals = key_after(spec->key, spec->after);
	}
	return plan_by_index(query, sql);
}

static bool
receive(TupleTableSlot *row, DestReceiver *self)
{
	TableScan  *scan = (TableScan *) self;

	scan->enough = !scan->take(scan->arg, row);
	return !scan->enough;
}

static void
receive_begin(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receive_end(DestReceiver *self)
{
}

TableScan *
scan_begin(PlannedStmt *plan, ParamListInfo parameters, TakeRow take, void *arg)
{
	TableScan  *scan = palloc0(sizeof(TableScan));

	scan->receiver.receiveSlot = receive;
	scan->receiver.rStartup = receive_begin;
	scan->receiver.rShutdown = receive_end;
	scan->receiver.rDestroy = receive_end;
	scan->receiver.mydest = DestNone;
	scan->take = take;
	scan->arg = arg;
	scan->query = CreateQueryDesc(plan, "walspout reads a table", GetActiveSnapshot(),
								  InvalidSnapshot, &scan->receiver, parameters, NULL, 0);
	ExecutorStart(scan->query, 0);
	return scan;
}

bool
scan_run(TableScan *scan)
{
	scan->enough = false;
	PushActiveSnapshot(scan->query->snapshot);
	executor_run(scan->query);
	PopActiveSnapshot();
	return scan->enough;
}

void
scan_end(TableScan *scan)
{
	ExecutorFinish(scan->query);
	ExecutorEnd(scan->query);
	FreeQueryDesc(scan->query);
	pfree(scan);
}
