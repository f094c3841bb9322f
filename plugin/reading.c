/*
 * reading.c
 *		A table that is being read: its rows become events in a message.
 *
 * Uses the same cache entries and encoders as changes do. In a partitioned
 * table each row has the entry of its partition, as in the stream.
 */
#include "postgres.h"

#include "reading.h"

#include "access/detoast.h"
#include "access/sysattr.h"
#include "compat.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "values.h"

/* Do rows need attribute i, from 0, of the table as published? */
static bool
is_needed(const CachedRelation *entry, int i)
{
	int			index = entry->attributes[i];

	if (entry->published.filter != NULL &&
		bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber,
					  row_filter_reads(entry->published.filter)))
		return true;
	for (int c = 0; c < entry->ncolumns; c++)
		if (index >= 0 && entry->columns[c].field.index == index)
			return true;
	return false;
}

Bitmapset *
reading_columns(Relation relation, const CachedRelation *entry, const Key *key)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++)
		if (is_needed(entry, i))
			columns = bms_add_member(columns, i + 1);
	for (int i = 0; i < key->n; i++)
		columns = bms_add_member(columns, key->columns[i].attribute);
	return columns;
}

/* The published column of attribute i, from 0, of that table; or -1. */
static int
column_of(const CachedRelation *entry, int i)
{
	for (int c = 0; c < entry->ncolumns; c++)
		if (entry->attributes[i] >= 0 && entry->columns[c].field.index == entry->attributes[i])
			return c;
	return -1;
}

bool
reading_key_is_hashed(const CachedRelation *entry)
{
	for (int k = 0; k < entry->nkey; k++)
		if (((const Column *) entry->key[k])->hashed)
			return true;
	return false;
}

void
reading_name_key(const CachedRelation *entry, Key *key)
{
	if (entry->given_names == NULL)
		return;
	for (int i = 0; i < key->n; i++)
	{
		int			c = column_of(entry, key->columns[i].attribute - 1);

		if (c >= 0 && entry->given_names[c] != NULL)
			key->columns[i].document_name = pstrdup(entry->given_names[c]);
	}
}

static void
send_schema(Reading *r, const CachedRelation *entry)
{
	FrameEvent	event = {
		.op = 's', .barrier = true, .index = r->events, .relation = entry->relid,
		.hash = entry->schema_told.fingerprint
	};
	FrameMembers members = {.open_id = !(r->options.omit & OMIT_ID)};
	Out			o;
	int			begin = frames_event_begin(&r->message);

	out_open(&o, &r->message);
	envelope_read_schema(&o, &r->txn, &r->options, entry);
	out_close(&o);
	frames_told_event_end(&r->message, begin, &event, &members);
}

/* A schema stands before a row, in the same message. Partitions mostly have the same schema. */
void
reading_announce(Reading *r, CachedRelation *entry)
{
	const TableSchema *schema = &entry->schema_told;

	if (entry->announced)
		return;
	frames_relation(&r->message, entry);
	if (schema->members != NULL && (!r->schema_sent || r->schema != schema->fingerprint))
	{
		send_schema(r, entry);
		r->schema_sent = true;
		r->schema = schema->fingerprint;
	}
	relation_announced(entry);
}

static void
refuse_partition(const Reading *r, Relation partition)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partition \"%s\" of table \"%s\" has another key than the table",
					RelationGetRelationName(partition), RelationGetRelationName(r->relation)),
			 errdetail("Its changes in the stream have another key, too."),
			 errhint("Give both the same, with ALTER TABLE ... REPLICA IDENTITY.")));
}

/* Does the partition's key have the same columns as the key of the read table? */
static void
check_key_of_partition(const Reading *r, Relation partition, const CachedRelation *entry)
{
	if (entry->nkey != r->key->n)
		refuse_partition(r, partition);
	for (int i = 0; i < r->key->n; i++)
	{
		int			index = entry->attributes[r->key->columns[i].attribute - 1];
		bool		found = false;

		for (int k = 0; k < entry->nkey; k++)
			found = found || entry->key[k]->index == index;
		if (!found)
			refuse_partition(r, partition);
	}
}

/*
 * Check an entry before its first use. Between two rows the catalogs may have
 * changed so that more columns are published than are read.
 */
static void
look_at_entry(const Reading *r, Relation relation, CachedRelation *entry)
{
	bool		publishes = entry->published.insert;

	if (!r->partitioned || publishes)
		for (int i = 0; i < RelationGetNumberOfAttributes(r->relation); i++)
			if (!publishes || entry->published.relid != RelationGetRelid(r->relation) ||
				(is_needed(entry, i) && !bms_is_member(i + 1, r->columns)))
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("what is published of table \"%s\" changed while it was read",
								RelationGetRelationName(r->relation)),
						 errhint("Read these rows again.")));
	if (r->partitioned && publishes)
		check_key_of_partition(r, relation, entry);
	entry->readable = true;
}

/* Fetch a TOASTed value of the filter outside of its guard. */
static void
fetch_for_filter(const CachedRelation *entry, const Deformed *row, TupleDesc desc)
{
	const Bitmapset *reads = row_filter_reads(entry->published.filter);
	int			member = -1;

	while ((member = bms_next_member(reads, member)) >= 0)
	{
		int			attribute = member + FirstLowInvalidHeapAttributeNumber;
		int			i = attribute > 0 ? entry->attributes[attribute - 1] : -1;

		if (i >= 0 && !row->nulls[i] &&
			value_is_unchanged_toast(row->values[i], TupleDescAttr(desc, i)->attlen))
			row->values[i] = PointerGetDatum(detoast_external_attr((struct varlena *)
																   DatumGetPointer(row->values[i])));
	}
}

static bool
passes_filter(const CachedRelation *entry, Relation relation, const Deformed *row)
{
	char		op = 'c';

	if (entry->published.filter == NULL)
		return true;
	fetch_for_filter(entry, row, RelationGetDescr(relation));
	return row_filter_passes(entry->published.filter, entry->attributes, &op, NULL, row);
}

/* An incomplete key counts as none: it could not match rows of the stream. */
static void
check_elided(const Reading *r, const Row *row)
{
	for (int i = 0; i < row->nelided; i++)
		for (int k = 0; k < row->relation->nkey; k++)
			if (row->elided[i].field == row->relation->key[k])
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("the key of a row of table \"%s\" cannot be sent as a whole",
								RelationGetRelationName(r->relation)),
						 errhint("Raise the option \"max_value_bytes\" to the size of the longest key at least.")));
}

static void
send_row(Reading *r, CachedRelation *entry, const Deformed *values)
{
	Row			row = {
		.relation = entry, .new = values, .max_value = (Size) r->options.max_value_bytes
	};
	FrameEvent	event = {.op = 'r', .index = r->events, .relation = entry->relid};
	FrameMembers members = {
		.numbers = entry->members, .n = entry->ncolumns, .open_id = !(r->options.omit & OMIT_ID)
	};
	Out			o;
	int			begin;

	reading_announce(r, entry);
	r->events++;
	begin = frames_event_begin(&r->message);
	out_open(&o, &r->message);
	envelope_read_row(&o, &r->txn, &r->options, &row);
	if (unlikely(row.nelided > 0))
		check_elided(r, &row);
	event.key = row.key;
	event.after = row.after;
	event.hash = row_hash(&o, &row);
	out_close(&o);
	frames_told_event_end(&r->message, begin, &event, &members);
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

void
reading_sort_keys(Reading *r)
{
	qsort(r->wanted, r->nkeys, sizeof(char *), compare_keys);
}

/* Does the row have one of the wanted keys, if any are wanted? */
static bool
is_wanted(const Reading *r, CachedRelation *entry, const Deformed *values)
{
	Row			row = {
		.relation = entry, .new = values, .max_value = (Size) r->options.max_value_bytes
	};
	StringInfoData s;
	Out			o;
	const char *key;

	if (r->wanted == NULL)
		return true;
	initStringInfo(&s);
	out_open(&o, &s);
	row_write_stored_key(&o, &row);
	out_close(&o);
	key = out_at(&o, row.key.begin);
	return row.key.size > 0 &&
		bsearch(&key, r->wanted, r->nkeys, sizeof(char *), compare_keys) != NULL;
}

/* The row, followed by the value of constants. */
static Deformed
with_constants(CachedRelation *entry, const TupleTableSlot *slot)
{
	memcpy(entry->new.values, slot->tts_values, sizeof(Datum) * entry->natts);
	memcpy(entry->new.nulls, slot->tts_isnull, sizeof(bool) * entry->natts);
	return entry->new;
}

static void
render(Reading *r, Relation relation, TupleTableSlot *slot)
{
	CachedRelation *entry = relation_get(relation);
	Deformed	values = {slot->tts_values, slot->tts_isnull};

	if (unlikely(!entry->readable))
		look_at_entry(r, relation, entry);
	if (relation != r->relation)
	{
		if (!entry->published.insert)
			return;
		for (int i = 0; i < RelationGetNumberOfAttributes(r->relation); i++)
			if (entry->attributes[i] >= 0)
			{
				entry->new.values[entry->attributes[i]] = slot->tts_values[i];
				entry->new.nulls[entry->attributes[i]] = slot->tts_isnull[i];
			}
		values = entry->new;
	}
	else if (entry->nconstants > 0)
		values = with_constants(entry, slot);
	if (!is_wanted(r, entry, &values))
		return;
	r->rows += r->wanted != NULL;
	if (passes_filter(entry, relation, &values))
		send_row(r, entry, &values);
}

/* The row's own relation; in a partitioned table the row names it. */
void
reading_render(Reading *r, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(r->per_row);
	Relation	relation = r->relation;

	if (r->partitioned)
	{
		Oid			relid = DatumGetObjectId(slot->tts_values[RelationGetNumberOfAttributes(relation)]);

		relation = RelationIdGetRelation(relid);
		if (!RelationIsValid(relation))
			elog(ERROR, "could not open partition with OID %u", relid);
	}
	render(r, relation, slot);
	if (relation != r->relation)
		RelationClose(relation);
	MemoryContextSwitchTo(old);
	MemoryContextReset(r->per_row);
}
