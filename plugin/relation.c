/*
 * relation.c
 *		The cache of the data that rendering needs for each relation.
 *
 * An entry is built when a relation is first seen. It holds all that depends
 * on catalogs, so that a row costs no look-up. Callbacks only mark entries as
 * stale: they may come in the middle of a row, while the entry is in use. An
 * entry's memory is one context, which is freed when the entry is rebuilt or
 * evicted. If all entries together hold too much, the least recently used ones
 * are evicted.
 */
#include "postgres.h"

#include "relation.h"

#include "access/htup_details.h"
#include "budget.h"
#include "catalog/pg_index.h"
#include "columns.h"
#include "compat.h"
#include "dialect.h"
#include "text.h"
#include "types.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "watch.h"

/* Enough for some thousand tables of ordinary width. */
#define CACHE_BYTES ((Size) 8 * 1024 * 1024)

/*
 * The callbacks below stay registered for the life of the process. So the data
 * that they read is static, and cleared when its memory is freed.
 */
static const Options *options;
static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;		/* NULL: no plugin is running */
static dlist_head by_recency;
static Size cache_bytes;		/* of all entries' contexts */
static bool all_stale;
static CachedRelation *last;	/* the entry used last, to save a look-up */

static void
relcache_changed(Datum arg, Oid relid)
{
	CachedRelation *entry;

	if (cache == NULL)
		return;
	if (!OidIsValid(relid) || watched_relation(relid))
		all_stale = true;
	else if ((entry = hash_search(cache, &relid, HASH_FIND, NULL)) != NULL)
		entry->valid = false;
}

static void
syscache_changed(Datum arg, int cacheid, uint32 hash)
{
	if (cache != NULL && watched_syscache(cacheid, hash))
		all_stale = true;
}

/* Casts, labels of enums, names of schemas change so rarely that all entries may be rebuilt. */
static void
anything_changed(Datum arg, int cacheid, uint32 hash)
{
	all_stale = true;
}

static void
publications_changed(Datum arg, int cacheid, uint32 hash)
{
	filter_invalidate();
	all_stale = true;
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	registered = true;
	CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, syscache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, syscache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(CASTSOURCETARGET, anything_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(ENUMOID, anything_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, anything_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PUBLICATIONOID, publications_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PUBLICATIONRELMAP, publications_changed, (Datum) 0);
#ifdef HAVE_PUBLICATION_FILTERS
	CacheRegisterSyscacheCallback(PUBLICATIONNAMESPACEMAP, publications_changed, (Datum) 0);
#endif
}

/* The cache's memory is freed, at the end or because of an error. */
static void
cache_is_gone(void *arg)
{
	cache = NULL;
	cache_context = NULL;
	last = NULL;
	watch_forget();
}

void
relation_startup(const Options *given, MemoryContext context)
{
	HASHCTL		ctl = {0};
	MemoryContextCallback *callback;

	if (cache != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("walspout is decoding in this session already"),
				 errhint("Read the other result to its end, or close its cursor, before this one.")));
	options = given;
	cache_context = AllocSetContextCreate(context, "walspout relations", ALLOCSET_DEFAULT_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(CachedRelation);
	ctl.hcxt = cache_context;
	cache = hash_create("walspout relations", 128, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dlist_init(&by_recency);
	cache_bytes = 0;
	all_stale = false;
	last = NULL;
	watch_reset(cache_context);
	budget_startup(cache_context);
	callback = MemoryContextAllocZero(cache_context, sizeof(*callback));
	callback->func = cache_is_gone;
	MemoryContextRegisterResetCallback(cache_context, callback);
	register_callbacks();
}

/* The columns of an index as a set of attribute numbers. */
static Bitmapset *
index_attributes(Oid index)
{
	Relation	relation = RelationIdGetRelation(index);
	Bitmapset  *attributes = NULL;

	if (!RelationIsValid(relation))
		return NULL;
	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(relation); i++)
		if (relation->rd_index->indkey.values[i] > 0)
			attributes = bms_add_member(attributes, relation->rd_index->indkey.values[i]);
	RelationClose(relation);
	return attributes;
}

/* The columns in an old tuple when the replica identity is not FULL. */
static Bitmapset *
identity_attributes(Relation relation)
{
	Oid			index = RelationGetReplicaIndex(relation);

	return OidIsValid(index) ? index_attributes(index) : NULL;
}

static bool
is_primary_key(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		primary = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		primary = form->indisprimary && form->indisvalid;
		ReleaseSysCache(tuple);
	}
	return primary;
}

/*
 * The primary key's index, even if the key is deferrable. The relation's own
 * record of it omits deferrable keys, and differs between versions of the
 * server.
 */
Oid
relation_primary_key(Relation relation)
{
	List	   *indexes = RelationGetIndexList(relation);
	Oid			found = InvalidOid;
	ListCell   *lc;

	foreach(lc, indexes)
		if (is_primary_key(lfirst_oid(lc)))
			found = lfirst_oid(lc);
	list_free(indexes);
	return found;
}

Oid
relation_key_index(Relation relation)
{
	return relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL ? relation_primary_key(relation) :
		RelationGetReplicaIndex(relation);
}

static Bitmapset *
key_attributes(Relation relation)
{
	Oid			index = relation_key_index(relation);

	return OidIsValid(index) ? index_attributes(index) : NULL;
}

static bool
is_published(const Published *published, Form_pg_attribute att)
{
	if (att->attisdropped || attribute_is_virtual(att))
		return false;
	if (published->columns != NULL && bms_is_member(att->attnum, published->columns))
		return true;
	return published->all_columns && (published->generated || !att->attgenerated);
}

/* The attribute of that name, or -1; names are the same in all partitions. */
static int
index_by_name(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i;
	return -1;
}

/* Is the attribute of the table as published sent? attributes[i] is set. */
static bool
publishes(const CachedRelation *entry, int i, TupleDesc desc)
{
	return entry->attributes[i] >= 0 && is_published(&entry->published, TupleDescAttr(desc, i));
}

/* Is it among the columns? */
static inline bool
has_column(const CachedRelation *entry, int i, TupleDesc desc, const TableColumns *columns)
{
	return publishes(entry, i, desc) && columns_has(columns, i);
}

/*
 * The table as published may be an ancestor: its columns give the order, the
 * relation's own tuples the values.
 */
static void
build_attributes(CachedRelation *entry, Relation relation, Relation as)
{
	TupleDesc	own = RelationGetDescr(relation);
	TupleDesc	desc = RelationGetDescr(as);

	entry->attributes = palloc(sizeof(int) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		entry->attributes[i] = i;
		if (relation != as)
			entry->attributes[i] = att->attisdropped ? -1 : index_by_name(own, NameStr(att->attname));
	}
}

/* A schema that was dropped meanwhile has no name; no row can follow then. */
static const char *
schema_of(Relation relation)
{
	const char *schema = get_namespace_name(RelationGetNamespace(relation));

	return schema != NULL ? schema : "";
}

/* Apply the rules to the columns of the table as published. */
static TableColumns
find_columns(const CachedRelation *entry, Relation as)
{
	TupleDesc	desc = RelationGetDescr(as);
	TableColumns columns = {0};
	bool	   *published;

	if (options->columns == NIL)
		return columns;
	published = palloc(sizeof(bool) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
		published[i] = publishes(entry, i, desc);
	columns = columns_find(options, schema_of(as), RelationGetRelationName(as), desc, published);
	pfree(published);
	return columns;
}

/* The label already has the column's name in its table. */
static void
rename_field(Field *field, const char *name)
{
	pfree((char *) field->label);
	field->label = text_label(",", name, ":");
	field->label_size = strlen(field->label);
}

static Column
make_column(Form_pg_attribute att, int index, const TableColumns *columns, EncoderSet *made)
{
	const ColumnRule *rule = columns_rule(columns, att->attnum - 1);
	Column		column = {
		.field = make_field(att, made), .masked = !rule_suits_key(rule),
		.hashed = rule != NULL && rule->change == CHANGE_HASH
	};

	column.field.index = index;
	if (options->dialect->encoder != NULL)
		column.field.encoder = options->dialect->encoder(att, column.field.encoder, made, options);
	column.field.encoder = columns_encoder(options, rule, column.field.encoder);
	if (rule != NULL && columns->names[att->attnum - 1] != NameStr(att->attname))
		rename_field(&column.field, columns->names[att->attnum - 1]);
	return column;
}

static void
build_columns(CachedRelation *entry, Relation relation, Relation as, const TableColumns *columns)
{
	TupleDesc	desc = RelationGetDescr(as);
	Bitmapset  *identity = identity_attributes(relation);
	EncoderSet	made = {.user_casts = options->user_casts};

	entry->columns = palloc0(sizeof(Column) *
							 Max(desc->natts + list_length(options->constants), 1));
	if (columns->names != NULL)
		entry->given_names = palloc0(sizeof(char *) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Column	   *column;

		if (!has_column(entry, i, desc, columns))
			continue;
		if (columns->names != NULL && columns->names[i] != NameStr(TupleDescAttr(desc, i)->attname))
			entry->given_names[entry->ncolumns] = columns->names[i];
		column = &entry->columns[entry->ncolumns++];
		*column = make_column(TupleDescAttr(desc, i), entry->attributes[i], columns, &made);
		column->in_identity = bms_is_member(column->field.index + 1, identity);
	}
	bms_free(identity);
	if (made.encoders != NULL)
		pfree(made.encoders);
}

/* Does one of the columns have the label? */
static bool
has_label(const CachedRelation *entry, const char *label)
{
	for (int i = 0; i < entry->ncolumns; i++)
		if (strcmp(entry->columns[i].field.label, label) == 0)
			return true;
	return false;
}

/* Constants are columns whose value is never null. A real column of the same name wins. */
static void
build_constants(CachedRelation *entry)
{
	ListCell   *lc;

	foreach(lc, options->constants)
	{
		Constant   *constant = lfirst(lc);
		char	   *label = text_label(",", constant->name, ":");
		Column	   *column = &entry->columns[entry->ncolumns];

		if (has_label(entry, label))
		{
			pfree(label);
			continue;
		}
		column->field.label = label;
		column->field.label_size = strlen(label);
		column->field.index = entry->natts;
		column->field.encoder = columns_constant(constant);
		column->in_identity = true;
		entry->ncolumns++;
		entry->nconstants++;
	}
}

/*
 * Omit a key of which a column is not published, left out or masked: rows of
 * two keys would look alike.
 */
static void
build_key(CachedRelation *entry, Relation relation)
{
	Bitmapset  *attributes = key_attributes(relation);

	entry->key = palloc(sizeof(Field *) * Max(entry->ncolumns, 1));
	for (int i = 0; i < entry->ncolumns; i++)
		if (!entry->columns[i].masked &&
			bms_is_member(entry->columns[i].field.index + 1, attributes))
			entry->key[entry->nkey++] = &entry->columns[i].field;
	if (entry->nkey < bms_num_members(attributes))
		entry->nkey = 0;
	bms_free(attributes);
}

static bool
is_key(const CachedRelation *entry, const Field *field)
{
	for (int i = 0; i < entry->nkey; i++)
		if (entry->key[i] == field)
			return true;
	return false;
}

/* Is the column the constant? Not every constant became a column. */
static bool
is_constant(const Column *column, const Constant *constant)
{
	char	   *label = text_label(",", constant->name, ":");
	bool		same = strcmp(column->field.label, label) == 0;

	pfree(label);
	return same;
}

/* A column as a schema document describes it. att: NULL for a constant. */
static SchemaColumn
schema_column(const ColumnShape *shape, Form_pg_attribute att, const ColumnRule *rule)
{
	SchemaColumn column = {shape, att, rule != NULL && rule->change != CHANGE_NONE};

	return column;
}

/* The description of the columns for readers. Sent once, so its memory is not kept. */
static void
build_shape(CachedRelation *entry, Relation relation, Relation as, const TableColumns *columns)
{
	TupleDesc	desc = RelationGetDescr(as);
	TableShape	table = {entry->schema, entry->table, relation, as};
	SchemaColumn *told;
	MemoryContext old;
	ListCell   *lc;
	int			n = 0;

	entry->shape_context = AllocSetContextCreate(entry->context, "walspout shape",
												 ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(entry->shape_context);
	entry->shape = palloc(sizeof(ColumnShape) * Max(entry->ncolumns, 1));
	told = palloc(sizeof(SchemaColumn) * Max(entry->ncolumns, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		if (!has_column(entry, i, desc, columns))
			continue;
		entry->shape[n] = shape_make(TupleDescAttr(desc, i));
		if (columns_rule(columns, i) != NULL)
			entry->shape[n] = columns_shape(entry->shape[n], columns_rule(columns, i),
											columns->names[i]);
		entry->shape[n].in_key = is_key(entry, &entry->columns[n].field);
		told[n] = schema_column(&entry->shape[n], TupleDescAttr(desc, i), columns_rule(columns, i));
		n++;
	}
	foreach(lc, options->constants)
		if (n < entry->ncolumns && is_constant(&entry->columns[n], lfirst(lc)))
		{
			entry->shape[n] = columns_constant_shape(lfirst(lc));
			told[n] = schema_column(&entry->shape[n], NULL, NULL);
			n++;
		}
	table.ncolumns = n;
	table.columns = told;
	if (options->schemas)
		entry->schema_told = schema_make(options, &table);
	MemoryContextSwitchTo(old);
}

static void
forget_shape(CachedRelation *entry)
{
	MemoryContextDelete(entry->shape_context);
	entry->shape_context = NULL;
	entry->shape = NULL;
	entry->schema_told.members = NULL;
}

static void
build_names(CachedRelation *entry, Relation as)
{
	const char *schema = schema_of(as);
	const char *table = RelationGetRelationName(as);

	entry->names = psprintf("%s%s",
							options->omit & OMIT_SCHEMA ? "" :
							text_label(",\"schema\":", schema, ""),
							options->omit & OMIT_TABLE ? "" :
							text_label(",\"table\":", table, ""));
	entry->names_size = strlen(entry->names);
	entry->schema = text_plain(schema);
	entry->table = text_plain(table);
}

static Deformed
make_deformed(int natts)
{
	Deformed	d = {palloc0(sizeof(Datum) * natts), palloc0(sizeof(bool) * natts)};

	return d;
}

static void
build(CachedRelation *entry, Relation relation)
{
	MemoryContext old = MemoryContextSwitchTo(entry->context);
	int			natts = RelationGetNumberOfAttributes(relation);
	bool		told = options->format == FORMAT_FRAMES || options->schemas;

	entry->natts = natts;
	filter_relation(relation, &entry->published);
	if (options->skipped & SKIP_TRUNCATE)
		entry->published.truncate = false;
	if (entry->published.insert || entry->published.update || entry->published.delete ||
		entry->published.truncate)
	{
		Relation	as = relation;
		TableColumns columns;

		if (entry->published.relid != RelationGetRelid(relation))
		{
			as = RelationIdGetRelation(entry->published.relid);
			if (!RelationIsValid(as))
				elog(ERROR, "could not open relation with OID %u", entry->published.relid);
			watch_relation(entry->published.relid);
		}
		build_attributes(entry, relation, as);
		columns = find_columns(entry, as);
		build_columns(entry, relation, as, &columns);
		build_constants(entry);
		build_key(entry, relation);
		build_names(entry, as);
		if (told || options->dialect->relation != NULL)
			build_shape(entry, relation, as, &columns);
		if (options->format == FORMAT_FRAMES)
		{
			entry->members = palloc0(sizeof(uint32) * Max(entry->ncolumns, 1));
			entry->old_key = palloc0(sizeof(uint32) * 2 * Max(entry->nkey, 1));
		}
		entry->full = relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL;
		if (options->dialect->relation != NULL)
			options->dialect->relation(entry, relation, options);
		if (!told && entry->shape != NULL)
			forget_shape(entry);
		entry->announced = !told;
		entry->new = make_deformed(natts + 1);
		entry->old = make_deformed(natts + 1);
		if (as != relation)
			RelationClose(as);
	}
	MemoryContextSwitchTo(old);
}

/* Empty the entry, except its key and its place in the lists. */
static void
clear(CachedRelation *entry)
{
	Oid			relid = entry->relid;
	dlist_node	recency = entry->recency;

	cache_bytes -= entry->bytes;
	if (entry->context != NULL)
		MemoryContextDelete(entry->context);
	memset(entry, 0, sizeof(*entry));
	entry->relid = relid;
	entry->recency = recency;
}

static void
evict(CachedRelation *entry)
{
	Oid			relid = entry->relid;

	clear(entry);
	dlist_delete(&entry->recency);
	hash_search(cache, &relid, HASH_REMOVE, NULL);
	last = NULL;
}

static void
make_room(CachedRelation *keep)
{
	while (cache_bytes > CACHE_BYTES)
	{
		CachedRelation *oldest = dlist_tail_element(CachedRelation, recency, &by_recency);

		if (oldest == keep)
			break;
		evict(oldest);
	}
}

static void
mark_all_stale(void)
{
	HASH_SEQ_STATUS scan;
	CachedRelation *entry;

	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
		entry->valid = false;
	watch_reset(cache_context);
	all_stale = false;
}

static CachedRelation *
find_or_enter(Oid relid)
{
	CachedRelation *entry;
	bool		found;

	entry = hash_search(cache, &relid, HASH_ENTER, &found);
	if (found)
		dlist_delete(&entry->recency);
	else
	{
		memset(entry, 0, sizeof(*entry));
		entry->relid = relid;
	}
	dlist_push_head(&by_recency, &entry->recency);
	return entry;
}

CachedRelation *
relation_get(Relation relation)
{
	Oid			relid = RelationGetRelid(relation);
	CachedRelation *entry;

	if (likely(last != NULL && last->relid == relid && last->valid && !all_stale))
		return last;
	if (all_stale)
		mark_all_stale();
	entry = find_or_enter(relid);
	if (!entry->valid || entry->natts != RelationGetNumberOfAttributes(relation))
	{
		clear(entry);
		entry->context = AllocSetContextCreate(cache_context, "walspout relation",
											   ALLOCSET_SMALL_SIZES);

		/*
		 * Set this before the catalogs are read: a change meanwhile makes the
		 * entry stale again. If reading raises, the cache is freed, too.
		 */
		entry->valid = true;
		build(entry, relation);
		entry->bytes = sizeof(*entry) + MemoryContextMemAllocated(entry->context, true);
		cache_bytes += entry->bytes;
		make_room(entry);
	}
	last = entry;
	return entry;
}

void
relation_announced(CachedRelation *relation)
{
	Size		freed = MemoryContextMemAllocated(relation->shape_context, true);

	forget_shape(relation);
	relation->announced = true;
	relation->bytes -= freed;
	cache_bytes -= freed;
}

void
relation_announce_again(Oid relid)
{
	HASH_SEQ_STATUS scan;
	CachedRelation *entry;

	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->published.relid == relid)
			entry->valid = false;
}
