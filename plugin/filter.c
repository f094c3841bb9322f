/*
 * filter.c
 *		Which tables, operations and columns: what publications say.
 *
 * The same answers as pgoutput's, which CREATE PUBLICATION documents, with one
 * exception. Where column lists differ between publications, pgoutput raises
 * and so stops the slot; we unite them.
 */
#include "postgres.h"

#include "filter.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "commands/extension.h"
#include "compat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "watch.h"

/* The name of the extension, and of its schema. */
#define EXTENSION "walspout"

static const Options *options;
static MemoryContext publications_context;
static List *publications;		/* of Publication *, those that exist */
static MemoryContext run_context;	/* lives as long as the plugin's run */
static List *warned;			/* of char *: names reported as missing, once a run */
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
 * Does the publication exist now, whatever it was at this LSN? Does not ask
 * the system cache: it would keep today's answer for older rows, because
 * nothing empties it before the first change is decoded.
 */
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
 * Look for the publications as they are now, at the start, whatever the LSN: a
 * misspelt name should be reported at once. A walsender is in no transaction
 * then.
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
		if (!exists_now(lfirst(lc)))
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

/*
 * A publication that did not exist at this LSN publishes nothing there.
 * Raising would stop the slot at a place that no CREATE PUBLICATION can change
 * any longer. A publication that no longer exists is an error, so that users
 * do not lose rows silently.
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
 * Does the publication publish all tables, including this one? EXCEPT excludes
 * whole partition trees: the entry of the topmost ancestor decides.
 */
static bool
publishes_all(const Publication *p, Oid relid, List *ancestors)
{
#ifdef HAVE_EXCLUDED_TABLES
	Oid			topmost = ancestors == NIL ? relid : llast_oid(ancestors);

	if (p->alltables && list_member_oid(GetRelationExcludedPublications(topmost), p->oid))
		return false;
#endif
	return p->alltables;
}

/*
 * Does the publication publish the table? Then *as is the table as which it is
 * published, and *level how many levels *as is above the table.
 */
static bool
publishes(const Publication *p, Oid relid, List *ancestors, Oid *as, int *level)
{
	bool		all = publishes_all(p, relid, ancestors);
	bool		published = all || names_table(p, relid);
	int			n = 0;
	ListCell   *lc;

	*as = relid;
	*level = 0;
	foreach(lc, ancestors)
	{
		n++;
		if (!all && !names_table(p, lfirst_oid(lc)))
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

/* Unite the publication's column list, if it has one, with the columns so far. */
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

static void
add_columns(const Publication *p, Oid relid, Published *published)
{
	published->all_columns = true;
}

#endif

/* Another schema that is called walspout does not count. */
bool
filter_is_own(Relation relation)
{
	Oid			schema = RelationGetNamespace(relation);
	char	   *name = get_namespace_name(schema);
	bool		ours = false;

	if (name != NULL && strcmp(name, EXTENSION) == 0)
	{
		Oid			extension = getExtensionOfObject(NamespaceRelationId, schema);

		ours = OidIsValid(extension) && extension == get_extension_oid(EXTENSION, true);
	}
	if (name != NULL)
		pfree(name);
	return ours;
}

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
	published->by_publications = options->has_publications;
	if (!is_publishable_relation(relation) || filter_is_own(relation))
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
	/* a table that moves to another schema may join or leave a publication */
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
		published->filter = row_filter_make(deciding, published->relid);
}
