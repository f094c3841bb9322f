/*
 * row_filter.c
 *		Which rows: the WHERE clauses of publications.
 *
 * The same answers as pgoutput's, with one exception. If a row's filter
 * raises, pgoutput stops the slot; we send the row.
 */
#include "postgres.h"

#include "row_filter.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "compat.h"
#include "executor/executor.h"
#include "guard.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "values.h"

typedef enum Action
{
	ON_INSERT,
	ON_UPDATE,
	ON_DELETE,
	ACTIONS
} Action;

/*
 * A filter, split at AND, OR and NOT, so that the memory of one condition's
 * decompressed values is freed before the next condition.
 */
typedef struct Condition
{
	BoolExprType op;			/* how the parts are joined, if there are any */
	List	   *parts;			/* of Condition * */
	ExprState  *expr;			/* if there are no parts */
} Condition;

typedef enum Truth
{
	TRUTH_NO,
	TRUTH_YES,
	TRUTH_UNKNOWN
} Truth;

struct RowFilter
{
	EState	   *estate;
	bool		active[ACTIONS];	/* false: every row passes */
	Condition  *condition[ACTIONS]; /* NULL: it raises for any row */
	Bitmapset  *used[ACTIONS];	/* attributes that expr reads, by pull_varattnos() */
	TupleTableSlot *old;
	TupleTableSlot *new;
};

#ifdef HAVE_PUBLICATION_FILTERS

/*
 * An attribute of the publication's entry for the table. NULL if there is no
 * entry or the attribute is not set. A publication of all tables, or of the
 * table's schema, overrides the entry.
 */
static char *
row_filter_text(const Publication *p, Oid relid)
{
	HeapTuple	tuple;
	char	   *qual = NULL;

	if (p->alltables ||
		SearchSysCacheExists2(PUBLICATIONNAMESPACEMAP,
							  ObjectIdGetDatum(get_rel_namespace(relid)),
							  ObjectIdGetDatum(p->oid)))
		return NULL;
	tuple = SearchSysCache2(PUBLICATIONRELMAP, ObjectIdGetDatum(relid), ObjectIdGetDatum(p->oid));
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = SysCacheGetAttr(PUBLICATIONRELMAP, tuple,
											Anum_pg_publication_rel_prqual, &isnull);

		if (!isnull)
			qual = TextDatumGetCString(value);
		ReleaseSysCache(tuple);
	}
	return qual;
}

static TupleTableSlot *
make_slot(Relation relation)
{
	return MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(relation)),
									&TTSOpsVirtual);
}

/* A filter in preparation for one operation. */
typedef struct Preparation
{
	RowFilter  *filter;
	Action		action;
	List	   *quals;			/* of char * */
} Preparation;

static Condition *
make_condition(Expr *expr)
{
	Condition  *condition = palloc0(sizeof(Condition));

	if (IsA(expr, BoolExpr))
	{
		ListCell   *lc;

		condition->op = ((BoolExpr *) expr)->boolop;
		foreach(lc, ((BoolExpr *) expr)->args)
			condition->parts = lappend(condition->parts, make_condition(lfirst(lc)));
	}
	else
		condition->expr = ExecInitExpr(expr, NULL);
	return condition;
}

/* A function that the server does not accept in a filter. */
static bool
is_unfit(Oid function, void *context)
{
	return function >= FirstNormalObjectId ||
		func_volatile(function) != PROVOLATILE_IMMUTABLE;
}

/*
 * Only these nodes, types and functions are accepted by CREATE PUBLICATION,
 * and all come with the server. A filter that was written into the catalog
 * past that check runs no users' code here.
 */
static bool
find_unfit(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
			break;
		case T_Var:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_RowCompareExpr:
		case T_Const:
		case T_FuncExpr:
		case T_BoolExpr:
		case T_RelabelType:
		case T_CollateExpr:
		case T_CaseExpr:
		case T_CaseTestExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_XmlExpr:
		case T_NullTest:
		case T_BooleanTest:
			if (exprType(node) >= FirstNormalObjectId ||
				check_functions_in_node(node, is_unfit, NULL))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, find_unfit, context);
}

/* This folds constants, so a filter may raise even before there is a row. */
static void
prepare(void *arg)
{
	MemoryContext old;
	Preparation *p = arg;
	List	   *exprs = NIL;
	Expr	   *expr;
	ListCell   *lc;

	foreach(lc, p->quals)
		exprs = lappend(exprs, stringToNode(lfirst(lc)));
	if (find_unfit((Node *) exprs, NULL))
		elog(ERROR, "a row filter has a node that no publication accepts");
	expr = list_length(exprs) == 1 ? linitial(exprs) : make_orclause(exprs);
	pull_varattnos((Node *) expr, 1, &p->filter->used[p->action]);
	old = MemoryContextSwitchTo(p->filter->estate->es_query_cxt);
	p->filter->condition[p->action] = make_condition(expression_planner(expr));
	MemoryContextSwitchTo(old);
}

/*
 * Unite the filters of several publications for each operation. A publication
 * without a filter for the operation lets every row pass.
 */
RowFilter *
row_filter_make(List *pubs, Oid relid)
{
	List	   *quals[ACTIONS] = {NIL, NIL, NIL};
	bool		unfiltered[ACTIONS] = {false, false, false};
	RowFilter  *filter;
	Relation	relation;
	ListCell   *lc;

	foreach(lc, pubs)
	{
		const Publication *p = lfirst(lc);
		bool		on[ACTIONS] = {p->pubactions.pubinsert, p->pubactions.pubupdate,
		p->pubactions.pubdelete};
		char	   *qual = row_filter_text(p, relid);

		for (int a = 0; a < ACTIONS; a++)
			if (on[a] && qual == NULL)
				unfiltered[a] = true;
			else if (on[a])
				quals[a] = lappend(quals[a], qual);
	}

	filter = palloc0(sizeof(RowFilter));
	for (int a = 0; a < ACTIONS; a++)
	{
		Preparation p = {filter, a, quals[a]};

		if (unfiltered[a] || quals[a] == NIL)
			continue;
		if (filter->estate == NULL)
			filter->estate = CreateExecutorState();
		filter->active[a] = true;
		if (!guarded(GUARD_BUILTIN, prepare, &p))
			filter->condition[a] = NULL;
	}
	if (filter->estate == NULL)
		return NULL;
	relation = RelationIdGetRelation(relid);
	filter->old = make_slot(relation);
	filter->new = make_slot(relation);
	RelationClose(relation);
	return filter;
}

#else

RowFilter *
row_filter_make(List *pubs, Oid relid)
{
	return NULL;
}

#endif

static void
fill_slot(TupleTableSlot *slot, const int *attributes, const Deformed *tuple)
{
	ExecClearTuple(slot);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		int			index = attributes[i];

		slot->tts_isnull[i] = index < 0 || tuple->nulls[index];
		slot->tts_values[i] = index < 0 ? (Datum) 0 : tuple->values[index];
	}
	ExecStoreVirtualTuple(slot);
}

static bool
slot_value_is_unchanged_toast(TupleTableSlot *slot, int i)
{
	return !slot->tts_isnull[i] &&
		value_is_unchanged_toast(slot->tts_values[i],
								 TupleDescAttr(slot->tts_tupleDescriptor, i)->attlen);
}

/*
 * The new row lacks an unchanged TOASTed value. The old row has it if it
 * belongs to the replica identity.
 */
static void
take_unchanged(TupleTableSlot *new, TupleTableSlot *old)
{
	for (int i = 0; i < new->tts_tupleDescriptor->natts; i++)
		if (slot_value_is_unchanged_toast(new, i) && !old->tts_isnull[i])
			new->tts_values[i] = old->tts_values[i];
}

typedef struct Evaluation
{
	RowFilter  *filter;
	Action		action;
	TupleTableSlot *slot;
	bool		passes;
} Evaluation;

static Truth
truth(const Condition *condition, ExprContext *context)
{
	Truth		result = condition->op == AND_EXPR ? TRUTH_YES : TRUTH_NO;
	ListCell   *lc;

	if (condition->parts == NIL)
	{
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(condition->expr, context, &isnull);

		ResetExprContext(context);
		return isnull ? TRUTH_UNKNOWN : DatumGetBool(value) ? TRUTH_YES : TRUTH_NO;
	}
	foreach(lc, condition->parts)
	{
		Truth		part = truth(lfirst(lc), context);

		if (condition->op == NOT_EXPR)
			return part == TRUTH_UNKNOWN ? part : part == TRUTH_YES ? TRUTH_NO : TRUTH_YES;
		/* this value decides, whatever the other parts are */
		if (part == (condition->op == AND_EXPR ? TRUTH_NO : TRUTH_YES))
			return part;
		if (part == TRUTH_UNKNOWN)
			result = TRUTH_UNKNOWN;
	}
	return result;
}

static void
evaluate(void *arg)
{
	Evaluation *e = arg;
	ExprContext *context = GetPerTupleExprContext(e->filter->estate);

	context->ecxt_scantuple = e->slot;
	e->passes = truth(e->filter->condition[e->action], context) == TRUTH_YES;
}

/*
 * Does the row pass? If the filter raises, or reads a value that is not in the
 * WAL, the row passes: nothing may be lost.
 */
static bool
passes(RowFilter *filter, Action action, TupleTableSlot *slot)
{
	static bool told = false;
	Evaluation	e = {filter, action, slot, false};
	int			attribute = -1;
	bool		known;

	while ((attribute = bms_next_member(filter->used[action], attribute)) >= 0)
	{
		int			i = attribute + FirstLowInvalidHeapAttributeNumber - 1;

		if (i >= 0 && slot_value_is_unchanged_toast(slot, i))
			return true;
	}
	known = filter->condition[action] != NULL &&
		guarded(GUARD_BUILTIN, evaluate, &e);
	/* also free what an error left behind */
	ResetPerTupleExprContext(filter->estate);
	if (known)
		return e.passes;
	if (!told)
		ereport(LOG,
				(errmsg("a row filter of a publication raised an error; walspout sends such rows"),
				 errhint("Set log_min_messages to debug1 to see the errors.")));
	told = true;
	return true;
}

const Bitmapset *
row_filter_reads(const RowFilter *filter)
{
	return filter->used[ON_INSERT];
}

bool
row_filter_passes(RowFilter *filter, const int *attributes, char *op, const Deformed *old,
				  const Deformed *new)
{
	Action		action = *op == 'c' ? ON_INSERT : *op == 'u' ? ON_UPDATE : ON_DELETE;
	bool		old_passes;
	bool		new_passes;

	if (!filter->active[action])
		return true;
	if (old != NULL)
		fill_slot(filter->old, attributes, old);
	if (new != NULL)
		fill_slot(filter->new, attributes, new);
	if (old == NULL || new == NULL)
	{
		/* without both there is nothing to check: a delete with no identity */
		if (old == NULL && new == NULL)
			return true;
		return passes(filter, action, new != NULL ? filter->new : filter->old);
	}
	take_unchanged(filter->new, filter->old);
	old_passes = passes(filter, action, filter->old);
	new_passes = passes(filter, action, filter->new);
	if (!old_passes && new_passes)
		*op = 'c';
	else if (old_passes && !new_passes)
		*op = 'd';
	return old_passes || new_passes;
}
