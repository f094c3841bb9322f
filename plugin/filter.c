/*
 * filter.c
 *		Which tables, operations, rows and columns: what publications say.
 *
 * The same answers as pgoutput's, which CREATE PUBLICATION documents, with two
 * exceptions where that raises and so stops the slot: column lists that differ
 * between publications are united, and a row whose filter raises is sent.
 */
#include "postgres.h"

#include "filter.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "compat.h"
#include "executor/executor.h"
#include "guard.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "values.h"
#include "watch.h"
#include "watch.h"

#ifdef HAVE_PUBLICATION_FILTERS
#include "catalog/pg_publication_namespace.h"
#endif

typedef enum Action
{
	ON_INSERT,
	ON_UPDATE,
	ON_DELETE,
	ACTIONS
} Action;

struct RowFilter
{
	EState	   *estate;
	bool		active[ACTIONS];	/* false: every row */
	ExprState  *expr[ACTIONS];	/* NULL: it raises whatever the row */
	Bitmapset  *used[ACTIONS];	/* attributes that expr reads, by pull_varattnos() */
	TupleTableSlot *old;
	TupleTableSlot *new;
};

static const Options *options;
static MemoryContext publications_context;
static List *publications;		/* of Publication *, those that exist */
static MemoryContext run_context;	/* lives as long as the plugin's run */
static List *warned;			/* of char *: names that were said to be missing, once a run */
static bool publications_valid;

static void
refuse_missing(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("publication \"%s\" does not exist", name),
			 errhint("Create it with CREATE PUBLICATION %s, or take it out of the option "
					 "\"publications\".", quote_identifier(name))));
}

/*
 * At the start the publications are looked for as they are now, whatever the
 * position in the WAL: a name that is misspelt should be told at once. A
 * walsender is in no transaction then.
 */
void
filter_startup(const Options *given, MemoryContext context)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		transaction = !IsTransactionState();
	ListCell   *lc;

	options = given;
	run_context = context;
	publications_context = AllocSetContextCreate(context, "walspout publications",
												 ALLOCSET_SMALL_SIZES);
	publications = NIL;
	warned = NIL;
	publications_valid = false;
	if (!options->has_publications)
		return;

	if (transaction)
		StartTransactionCommand();
	foreach(lc, options->publications)
		if (!OidIsValid(get_publication_oid(lfirst(lc), true)))
			refuse_missing(lfirst(lc));
	if (transaction)
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;
	}
}

void
filter_invalidate(void)
{
	publications_valid = false;
}

/* Does the publication exist now, whatever it was at this place in the WAL? */
static bool
exists_now(const char *name)
{
	Relation	catalog = table_open(PublicationRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	NameData	wanted;
	bool		found;

	namestrcpy(&wanted, name);
	ScanKeyInit(&key, Anum_pg_publication_pubname, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(&wanted));
	scan = systable_beginscan(catalog, PublicationNameIndexId, true, SnapshotSelf, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * A publication that did not exist at this place in the WAL publishes nothing
 * there. Raising would stop the slot before a place that no CREATE PUBLICATION
 * can change any more. One that is gone for good is an error, so that nobody
 * misses rows without a word.
 */
static void
publication_is_missing(const char *name)
{
	MemoryContext old;
	ListCell   *lc;

	if (!exists_now(name))
		refuse_missing(name);
	foreach(lc, warned)
		if (strcmp(lfirst(lc), name) == 0)
			return;
	old = MemoryContextSwitchTo(run_context);
	warned = lappend(warned, pstrdup(name));
	MemoryContextSwitchTo(old);
	ereport(LOG,
			(errmsg("publication \"%s\" did not exist yet at this position of the slot",
					name),
			 errdetail("Changes committed before it was created are not sent.")));
}

static void
load_publications(void)
{
	MemoryContext old;
	ListCell   *lc;

	if (publications_valid)
		return;
	MemoryContextReset(publications_context);
	publications = NIL;
	old = MemoryContextSwitchTo(publications_context);
	foreach(lc, options->publications)
	{
		Publication *p = GetPublicationByName(lfirst(lc), true);

		if (p == NULL)
			publication_is_missing(lfirst(lc));
		else
			publications = lappend(publications, p);
	}
	MemoryContextSwitchTo(old);
	publications_valid = true;
}

/* Does the publication name the table, or its schema? */
static bool
names_table(const Publication *p, Oid relid)
{
	List	   *oids = GetRelationPublications(relid);
	bool		found = list_member_oid(oids, p->oid);

#ifdef HAVE_PUBLICATION_FILTERS
	if (!found)
		found = list_member_oid(GetSchemaPublications(get_rel_namespace(relid)), p->oid);
#endif
	return found;
}

/*
 * Does the publication publish the table? Then *as is the table it publishes
 * it as, and *level how many levels that is above the table itself.
 */
static bool
publishes(const Publication *p, Oid relid, List *ancestors, Oid *as, int *level)
{
	bool		published = p->alltables || names_table(p, relid);
	int			n = 0;
	ListCell   *lc;

	*as = relid;
	*level = 0;
	foreach(lc, ancestors)
	{
		n++;
		if (!p->alltables && !names_table(p, lfirst_oid(lc)))
			continue;
		published = true;
		if (p->pubviaroot)
		{
			*as = lfirst_oid(lc);
			*level = n;
		}
	}
	return published;
}

#ifdef HAVE_PUBLICATION_FILTERS

/*
 * An attribute of the publication's entry for the table, NULL if it has no
 * entry or the attribute is not set. Publications of all tables and of the
 * table's schema win over the entry.
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

/* A filter that is being prepared for one operation. */
typedef struct Preparation
{
	RowFilter  *filter;
	Action		action;
	List	   *quals;			/* of char * */
} Preparation;

/* Constants are folded here, so that a filter may raise without any row. */
static void
prepare(void *arg)
{
	Preparation *p = arg;
	List	   *exprs = NIL;
	Expr	   *expr;
	ListCell   *lc;

	foreach(lc, p->quals)
		exprs = lappend(exprs, stringToNode(lfirst(lc)));
	expr = list_length(exprs) == 1 ? linitial(exprs) : make_orclause(exprs);
	pull_varattnos((Node *) expr, 1, &p->filter->used[p->action]);
	p->filter->expr[p->action] = ExecPrepareExpr(expr, p->filter->estate);
}

/*
 * The filters of several publications are united for each operation; one that
 * has none for it lets every row pass.
 */
static RowFilter *
make_row_filter(List *pubs, Oid relid)
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
		if (!guarded(GUARD_BUILTIN, InvalidOid, prepare, &p))
			filter->expr[a] = NULL;
	}
	if (filter->estate == NULL)
		return NULL;
	relation = RelationIdGetRelation(relid);
	filter->old = make_slot(relation);
	filter->new = make_slot(relation);
	RelationClose(relation);
	return filter;
}

/* Unite the publication's column list, if it has one, with what there is. */
static void
add_columns(const Publication *p, Oid relid, Published *published)
{
	HeapTuple	tuple = NULL;
	Datum		list = (Datum) 0;
	bool		isnull = true;

	if (!p->alltables)
		tuple = SearchSysCache2(PUBLICATIONRELMAP, ObjectIdGetDatum(relid),
								ObjectIdGetDatum(p->oid));
	if (HeapTupleIsValid(tuple))
		list = SysCacheGetAttr(PUBLICATIONRELMAP, tuple, Anum_pg_publication_rel_prattrs, &isnull);
	if (isnull)
		published->all_columns = true;
	else
	{
		ArrayType  *array = DatumGetArrayTypeP(list);
		int16	   *attnums = (int16 *) ARR_DATA_PTR(array);

		for (int i = 0; i < ARR_DIMS(array)[0]; i++)
			published->columns = bms_add_member(published->columns, attnums[i]);
	}
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
}

#else							/* no filters, no lists */

static RowFilter *
make_row_filter(List *pubs, Oid relid)
{
	return NULL;
}

static void
add_columns(const Publication *p, Oid relid, Published *published)
{
	published->all_columns = true;
}

#endif

void
filter_relation(Relation relation, Published *published)
{
	Oid			relid = RelationGetRelid(relation);
	bool		partitioned = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	List	   *ancestors = NIL;
	List	   *deciding = NIL;
	int			highest = 0;
	ListCell   *lc;

	memset(published, 0, sizeof(*published));
	published->relid = relid;
	if (!is_publishable_relation(relation))
		return;
	if (!options->has_publications)
	{
		published->insert = published->update = published->delete = published->truncate = true;
		published->all_columns = published->generated = true;
		return;
	}

	load_publications();
	if (relation->rd_rel->relispartition)
		ancestors = get_partition_ancestors(relid);
	foreach(lc, ancestors)
		watch_relation(lfirst_oid(lc));
	/* one that moves to another schema may be published from then on, or no more */
	foreach(lc, ancestors)
		watch_relation(lfirst_oid(lc));
	foreach(lc, publications)
	{
		Publication *p = lfirst(lc);
		Oid			as;
		int			level;

		/* rows are of the partitions; only a TRUNCATE is of the root itself */
		if (!publishes(p, relid, ancestors, &as, &level) || (partitioned && !p->pubviaroot))
			continue;
		published->insert |= p->pubactions.pubinsert;
		published->update |= p->pubactions.pubupdate;
		published->delete |= p->pubactions.pubdelete;
		published->truncate |= p->pubactions.pubtruncate;

		/* the topmost ancestor wins, and with it its publications' filters */
		if (level < highest)
			continue;
		if (level > highest)
			deciding = NIL;
		highest = level;
		published->relid = as;
		deciding = lappend(deciding, p);
	}
	foreach(lc, deciding)
	{
		Publication *p = lfirst(lc);

		add_columns(p, published->relid, published);
#ifdef HAVE_PUBLISHED_GENERATED_COLUMNS
		if (p->pubgencols_type == PUBLISH_GENCOLS_STORED)
			published->generated = true;
#endif
	}
	if (published->insert || published->update || published->delete)
		published->filter = make_row_filter(deciding, published->relid);
}

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
 * The new row has no value where a TOASTed one did not change; the old row
 * has it if it belongs to the replica identity.
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

static void
evaluate(void *arg)
{
	Evaluation *e = arg;
	ExprContext *context = GetPerTupleExprContext(e->filter->estate);
	bool		isnull;
	Datum		result;

	context->ecxt_scantuple = e->slot;
	result = ExecEvalExprSwitchContext(e->filter->expr[e->action], context, &isnull);
	e->passes = !isnull && DatumGetBool(result);
}

/*
 * Does the row pass? If that cannot be known, because the filter raises or
 * reads a value that is not in the WAL, it does: nothing may be lost.
 */
static bool
passes(RowFilter *filter, Action action, TupleTableSlot *slot)
{
	static bool told = false;
	Evaluation	e = {filter, action, slot, false};
	int			attribute = -1;

	while ((attribute = bms_next_member(filter->used[action], attribute)) >= 0)
	{
		int			i = attribute + FirstLowInvalidHeapAttributeNumber - 1;

		if (i >= 0 && slot_value_is_unchanged_toast(slot, i))
			return true;
	}
	if (filter->expr[action] != NULL && guarded(GUARD_BUILTIN, InvalidOid, evaluate, &e))
		return e.passes;
	if (!told)
		ereport(LOG,
				(errmsg("a row filter of a publication raised an error; walspout sends such rows"),
				 errhint("Set log_min_messages to debug1 to see the errors.")));
	told = true;
	return true;
}

bool
filter_row(const Published *published, const int *attributes, char *op,
		   const Deformed *old, const Deformed *new)
{
	RowFilter  *filter = published->filter;
	Action		action = *op == 'c' ? ON_INSERT : *op == 'u' ? ON_UPDATE : ON_DELETE;
	bool		old_passes;
	bool		new_passes;

	if (!filter->active[action])
		return true;
	ResetPerTupleExprContext(filter->estate);
	if (old != NULL)
		fill_slot(filter->old, attributes, old);
	if (new != NULL)
		fill_slot(filter->new, attributes, new);
	if (old == NULL || new == NULL)
	{
		/* with neither there is nothing to look at: a delete with no identity */
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
