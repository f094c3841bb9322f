/*
 * readable.c
 *		Which tables a backfill can read, and remedies for the others.
 */
#include "postgres.h"

#include "readable.h"

#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_publication.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"

static char *
name_of(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* NULL: it is a table. */
static const char *
kind_of(Relation relation)
{
	switch (relation->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			return NULL;
		case RELKIND_VIEW:
			return "a view";
		case RELKIND_MATVIEW:
			return "a materialized view";
		case RELKIND_FOREIGN_TABLE:
			return "a foreign table";
		default:
			return "no table";
	}
}

static void
refuse_standby(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("tables cannot be backfilled from a standby"),
			 errdetail("Its snapshots show transactions that are still running as if they were over."),
			 errhint("Connect to the primary, or wait until this server is promoted.")));
}

Relation
readable_open(Oid relid)
{
	Relation	relation;
	const char *kind;

	if (RecoveryInProgress())
		refuse_standby();
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table with the OID %u", relid),
				 errhint("It was dropped. Name a table that exists.")));
	relation = relation_open(relid, AccessShareLock);
	if ((kind = kind_of(relation)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is %s", name_of(relid), kind),
				 errhint("Only tables have changes in the stream: name the tables that its rows come from.")));
	if (relation->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table %s is %s", name_of(relid),
						relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP ? "temporary" : "unlogged"),
				 errhint("The stream has changes of logged tables only: ALTER TABLE ... SET LOGGED "
						 "makes an unlogged table one.")));
	if (!is_publishable_relation(relation) || filter_is_own(relation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("changes of table %s are never sent", name_of(relid)),
				 errhint("It belongs to the server or to walspout: name tables of your own.")));
	return relation;
}

static void
refuse_partitioned(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the rows of table %s are published as those of its partitions", name_of(relid)),
			 errhint("Backfill the partitions, or publish the table with publish_via_partition_root = true.")));
}

static bool
is_sent(const Published *p)
{
	return p->insert || p->update || p->delete || p->truncate;
}

void
readable_published(Relation relation, const CachedRelation *entry)
{
	Oid			relid = RelationGetRelid(relation);
	const Published *p = &entry->published;

	if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		!(p->by_publications && is_sent(p)))
		refuse_partitioned(relid);
	if (!is_sent(p))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s is not published", name_of(relid)),
				 errhint("Add it to a publication that the slot is read with: "
						 "ALTER PUBLICATION ... ADD TABLE %s.", name_of(relid))));
	if (p->relid != relid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the rows of table %s are published as those of %s", name_of(relid),
						name_of(p->relid)),
				 errhint("Backfill %s, with all of its partitions.", name_of(p->relid))));
	if (!p->insert)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the publications of table %s do not publish inserts", name_of(relid)),
				 errhint("Rows are sent as if they were inserted now: let one of the publications "
						 "publish inserts, with ALTER PUBLICATION ... SET (publish = ...).")));
}

#define KEY_HINT \
	"Give it a primary key that is not deferrable, or name a unique index with " \
	"ALTER TABLE ... REPLICA IDENTITY USING INDEX."

static void
refuse_deferrable(Relation relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the primary key of table %s is deferrable", name_of(RelationGetRelid(relation))),
			 errdetail("Within a transaction two rows may have the same key, so that it does not tell rows apart."),
			 errhint(KEY_HINT)));
}

void
readable_key(Relation relation, const CachedRelation *entry, const Key *key)
{
	if (key->deferrable)
		refuse_deferrable(relation);
	if (key->n == 0 || entry->nkey > 0)
		return;
	if (entry->given_names != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("documents do not have the key of table %s",
						name_of(RelationGetRelid(relation))),
				 errhint("Publish all columns of its key, and let rules for columns hash or rename "
						 "them at most.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("not all columns of the key of table %s are published",
					name_of(RelationGetRelid(relation))),
			 errhint("Add the columns of its key to the publication's list of columns.")));
}

void
readable_in_pieces(Relation relation, const Key *key)
{
	if (key->deferrable)
		refuse_deferrable(relation);
	if (key->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has no key", name_of(RelationGetRelid(relation))),
				 errdetail("A table without a key can only be read at once, when its slot is created."),
				 errhint(KEY_HINT)));
}

static void
refuse_privilege(Relation relation, const char *column)
{
	char	   *table = name_of(RelationGetRelid(relation));

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 column ? errmsg("permission denied for column %s of table %s", column, table) :
			 errmsg("permission denied for table %s", table),
			 errhint("GRANT SELECT ON %s TO %s", table,
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

void
readable_by_user(Relation relation, const Bitmapset *columns)
{
	Oid			relid = RelationGetRelid(relation);
	Oid			user = GetUserId();
	int			attribute = -1;

	if (pg_class_aclcheck(relid, user, ACL_SELECT) != ACLCHECK_OK)
	{
		if (bms_is_empty(columns) ||
			pg_attribute_aclcheck_all(relid, user, ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK)
			refuse_privilege(relation, NULL);
		while ((attribute = bms_next_member(columns, attribute)) >= 0)
			if (pg_attribute_aclcheck(relid, (AttrNumber) attribute, user, ACL_SELECT) != ACLCHECK_OK)
				refuse_privilege(relation, get_attname(relid, (AttrNumber) attribute, false));
	}
	if (check_enable_rls(relid, user, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security hides rows of table %s", name_of(relid)),
				 errhint("Read it as a role with BYPASSRLS, or as the table's owner without "
						 "FORCE ROW LEVEL SECURITY.")));
}

void
readable_hint(const char *hint)
{
	MemoryContext old;
	ErrorData  *error;

	/* errors from outside are not about the condition */
	if (geterrcode() == ERRCODE_OUT_OF_MEMORY || geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE ||
		ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_OPERATOR_INTERVENTION)
		return;
	old = MemoryContextSwitchTo(CurTransactionContext);
	error = CopyErrorData();
	MemoryContextSwitchTo(old);
	if (error->elevel >= ERROR && error->hint == NULL)
		errhint("%s", hint);
	FreeErrorData(error);
}
