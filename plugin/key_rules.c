/*
 * key_rules.c
 *		Which rules for columns a key does not allow.
 *
 * A key tells rows apart, so its columns may only be hashed or renamed. The
 * start of the plugin rejects other rules. A table that gets such a key later
 * causes no error, which would stop the slot: see build_key() of relation.c.
 */
#include "postgres.h"

#include "key_rules.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "filter.h"
#include "miscadmin.h"
#include "relation.h"
#include "rules.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/resowner.h"

/* The tables that may be published. */
static List *
all_tables(void)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List	   *tables = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_RELATION && form->relpersistence == RELPERSISTENCE_PERMANENT &&
			form->oid >= FirstNormalObjectId)
			tables = lappend_oid(tables, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}

static void
refuse(Oid relid, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("walspout option \"columns\" leaves out or masks column \"%s\" of the key of table %s",
					column, quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
													   get_rel_name(relid))),
			 errdetail("Documents of two rows would look alike."),
			 errhint("Let the rule hash the column, or put a rule for it behind that, as in \"%s hash\".",
					 column)));
}

static void
check_key(const Options *options, Relation relation, Oid published_as)
{
	List	   *rules = rules_of_table(options->columns,
									   get_namespace_name(get_rel_namespace(published_as)),
									   get_rel_name(published_as));
	Oid			index_oid = relation_key_index(relation);
	Relation	index = rules != NIL && OidIsValid(index_oid) ? RelationIdGetRelation(index_oid) : NULL;

	if (!RelationIsValid(index))
		return;
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		AttrNumber	attribute = index->rd_index->indkey.values[i];
		const char *column;

		if (attribute <= 0)
			continue;
		column = NameStr(TupleDescAttr(RelationGetDescr(relation), attribute - 1)->attname);
		if (!rule_suits_key(rules_of_column(rules, column)))
			refuse(published_as, column);
	}
	RelationClose(index);
}

static void
check_table(const Options *options, Oid relid)
{
	Relation	relation = RelationIdGetRelation(relid);
	Published	published = {0};

	if (!RelationIsValid(relation))
		return;					/* dropped meanwhile */
	if (!filter_is_own(relation))
	{
		filter_relation(relation, &published);
		if (published.insert || published.update || published.delete)
			check_key(options, relation, published.relid);
	}
	RelationClose(relation);
}

static void
check_tables(const Options *options)
{
	ListCell   *lc;

	foreach(lc, all_tables())
	{
		CHECK_FOR_INTERRUPTS();
		check_table(options, lfirst_oid(lc));
	}
}

static bool
is_any_unsuited(List *rules)
{
	ListCell   *lc;

	foreach(lc, rules)
		if (!rule_suits_key(lfirst(lc)))
			return true;
	return false;
}

/* A walsender is in no transaction at the start, so this opens one. Its end frees the memory. */
void
key_rules_startup(const Options *options)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context;
	ResourceOwner owner = CurrentResourceOwner;
	bool		transaction = !IsTransactionState();

	if (!is_any_unsuited(options->columns))
		return;
	if (transaction)
		StartTransactionCommand();
	context = AllocSetContextCreate(CurrentMemoryContext, "walspout key rules",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	check_tables(options);
	filter_invalidate();		/* forget what the publications are now */
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	if (transaction)
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(old);
		CurrentResourceOwner = owner;
	}
}
