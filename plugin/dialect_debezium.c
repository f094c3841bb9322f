/*
 * dialect_debezium.c
 *		Change events as Debezium's connector for PostgreSQL sends them, without
 *		their schemas.
 *
 * An update that changes the key is a delete of the old row and an insert of
 * the new one. ts_ms is the time of the commit, and not of the clock, so that
 * a resent event is the same.
 */
#include "postgres.h"

#include "debezium.h"
#include "dialect_parts.h"
#include "replication/origin.h"
#include "text.h"
#include "utils/hsearch.h"

/* Events are those of this version. */
#define CONNECTOR_VERSION "3.6.1.Final"

#define EPOCH_MICROS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Events of a table in a transaction. */
typedef struct TableEvents
{
	Oid			relid;			/* hash key: must be first */
	uint64		events;
	const char *name;			/* "s.t" as JSON */
} TableEvents;

/* Transaction.detail */
typedef struct Shared
{
	Piece		source;			/* {"version":...,"sequence":"[\"N\",\" */
	Piece		times;			/* ,"ts_us":N,"ts_ns":N */
	Piece		xid;			/* ,"txId":N,"lsn": */
	Piece		origin;			/* ,"xmin":null,"origin":...} */
	Piece		id;				/* N:N of a transaction, for its block */
	Piece		end;			/* ,"ts_ms":N,"ts_us":N,"ts_ns":N} */
	bool		counts;			/* events are counted */
	MemoryContext context;		/* for the following */
	HTAB	   *found;			/* TableEvents by relid; NULL: none yet */
	List	   *tables;			/* of TableEvents *, in order of appearance */
	TableEvents *last;			/* of the event before, to save a look-up */
	uint64		events;
} Shared;

/* CachedRelation.detail */
typedef struct TableDetail
{
	Piece		names;			/* ,"schema":"s","table":"t" */
	Piece	   *unavailable;	/* of each column, if its value is not in the WAL */
	Piece	   *unknown;		/* of each column, if an old row has only the key */
} TableDetail;

/* The name of the replication origin. */
static const char *
origin_member(const Transaction *txn)
{
	char	   *name;

	if (txn->origin == InvalidRepOriginId || !replorigin_by_oid(txn->origin, true, &name))
		return ",\"origin\":null";
	return text_label(",\"origin\":", name, "");
}

static void
prepare(Transaction *txn, const Options *options)
{
	Shared	   *shared = palloc0(sizeof(Shared));
	bool		timed = TransactionIdIsValid(txn->xid);
	int64		us = timed ? txn->commit_time + EPOCH_MICROS : 0;
	const char *database = parts_database();
	const char *name = options->debezium.prefix != NULL ? options->debezium.prefix : database;

	shared->source = parts_piece(psprintf("{\"version\":\"" CONNECTOR_VERSION "\",\"connector\":\"postgresql\"%s,\"ts_ms\":"
										  INT64_FORMAT ",\"snapshot\":\"false\"%s,\"sequence\":\"[\\\"" UINT64_FORMAT "\\\",\\\"",
										  text_label_utf8(",\"name\":", name, ""), us / 1000,
										  text_label_utf8(",\"db\":", database, ""), txn->lsn));
	shared->times = parts_piece(psprintf("\\\"]\",\"ts_us\":" INT64_FORMAT ",\"ts_ns\":" INT64_FORMAT, us, us * 1000));
	shared->xid = parts_piece(timed ? psprintf(",\"txId\":%u,\"lsn\":", txn->xid) : ",\"txId\":null,\"lsn\":");
	shared->origin = parts_piece(psprintf(",\"xmin\":null%s,\"origin_lsn\":null}", origin_member(txn)));
	shared->id = parts_piece(psprintf("%u:" UINT64_FORMAT, txn->xid, txn->lsn));
	shared->end = parts_piece(psprintf(",\"ts_ms\":" INT64_FORMAT ",\"ts_us\":" INT64_FORMAT ",\"ts_ns\":" INT64_FORMAT "}",
									   us / 1000, us, us * 1000));
	shared->counts = timed && (options->transactions || options->debezium.metadata);
	shared->context = CurrentMemoryContext;
	txn->detail = shared;
}

static Piece
unknown_value(const ColumnShape *shape, const Options *options)
{
	return parts_piece(shape->not_null ?
					   debezium_fallback(shape->type, shape->type_modifier, options) : "null");
}

static void
make_detail(CachedRelation *relation, Relation own, const Options *options)
{
	TableDetail *detail = palloc0(sizeof(TableDetail));

	detail->names = parts_piece(psprintf("%s%s",
										 text_label_utf8(",\"schema\":", relation->schema, ""),
										 text_label_utf8(",\"table\":", relation->table, "")));
	detail->unavailable = palloc(sizeof(Piece) * Max(relation->ncolumns, 1));
	detail->unknown = palloc(sizeof(Piece) * Max(relation->ncolumns, 1));
	for (int i = 0; i < relation->ncolumns; i++)
	{
		detail->unavailable[i] =
			parts_piece(debezium_unavailable(relation->shape[i].type, options->debezium.placeholder));
		detail->unknown[i] = unknown_value(&relation->shape[i], options);
	}
	relation->detail = detail;
}

/* ,"source":{...} */
static void
write_source(Out *o, const Transaction *txn, const CachedRelation *relation)
{
	const Shared *shared = txn->detail;

	append_literal(o, ",\"source\":");
	append_piece(o, &shared->source);
	parts_number(o, txn->change_lsn);
	append_piece(o, &shared->times);
	if (relation != NULL)
		append_piece(o, &((TableDetail *) relation->detail)->names);
	else
		append_literal(o, ",\"schema\":\"\",\"table\":\"\"");
	append_piece(o, &shared->xid);
	parts_number(o, txn->change_lsn);
	append_piece(o, &shared->origin);
}

static HTAB *
make_found(Shared *shared)
{
	HASHCTL		ctl = {
		.keysize = sizeof(Oid), .entrysize = sizeof(TableEvents), .hcxt = shared->context
	};

	return hash_create("walspout tables", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static TableEvents *
events_of(Shared *shared, const CachedRelation *relation)
{
	Oid			relid = relation->published.relid;
	TableEvents *table;
	MemoryContext old;
	bool		found;

	if (shared->last != NULL && shared->last->relid == relid)
		return shared->last;
	old = MemoryContextSwitchTo(shared->context);
	if (shared->found == NULL)
		shared->found = make_found(shared);
	table = shared->last = hash_search(shared->found, &relid, HASH_ENTER, &found);
	if (!found)
	{
		table->events = 0;
		table->name = text_label_utf8("", psprintf("%s.%s", relation->schema, relation->table), "");
		shared->tables = lappend(shared->tables, table);
	}
	MemoryContextSwitchTo(old);
	return table;
}

/* ,"transaction":{...}; collection: the number of its table's events */
static void
write_block(Out *o, Shared *shared, uint64 collection)
{
	append_literal(o, ",\"transaction\":{\"id\":\"");
	append_piece(o, &shared->id);
	append_literal(o, "\",\"total_order\":");
	parts_number(o, ++shared->events);
	append_literal(o, ",\"data_collection_order\":");
	parts_number(o, collection);
	append_literal(o, "}");
}

/* ,"transaction":{...},"op":"c","ts_ms":...} */
static void
write_end(Out *o, const Transaction *txn, const CachedRelation *relation, char op)
{
	Shared	   *shared = txn->detail;

	if (shared->counts)
		write_block(o, shared, ++events_of(shared, relation)->events);
	else
		append_literal(o, ",\"transaction\":null");
	append_literal(o, ",\"op\":\"");
	append(o, &op, 1);
	append_literal(o, "\"");
	append_piece(o, &shared->end);
}

/* A member that is never missing: a left-out value has a placeholder. */
static inline void
write_column(Out *o, Row *row, int i, bool known, Datum value, bool isnull)
{
	const Field *field = &row->relation->columns[i].field;

	if (likely(known) && likely(row_member(o, row, field, value, isnull)))
		return;
	append(o, field->label, field->label_size);
	append_piece(o, &((TableDetail *) row->relation->detail)->unavailable[i]);
}

static void
write_new(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	Size		begin = out_tell(o);

	for (int i = 0; i < r->ncolumns; i++)
	{
		Datum		value;
		bool		isnull;
		bool		known = row_new_value(row, &r->columns[i], &value, &isnull);

		write_column(o, row, i, known, value, isnull);
	}
	close_object(o, begin);
}

static void
write_old(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	Size		begin = out_tell(o);

	for (int i = 0; i < r->ncolumns; i++)
	{
		const Field *field = &r->columns[i].field;

		if (r->full || r->columns[i].in_identity)
			write_column(o, row, i, true, row->old->values[field->index],
						 row->old->nulls[field->index]);
		else
		{
			append(o, field->label, field->label_size);
			append_piece(o, &((TableDetail *) r->detail)->unknown[i]);
		}
	}
	close_object(o, begin);
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op, Row *row)
{
	row_begin(o, row, 0);
	append_literal(o, "{\"before\":");
	if (row->old != NULL && !row->hide_old)
		write_old(o, row);
	else
		append_literal(o, "null");
	append_literal(o, ",\"after\":");
	if (row->new != NULL)
		write_new(o, row);
	else
		append_literal(o, "null");
	write_source(o, txn, row->relation);
	write_end(o, txn, row->relation, op);
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	append_literal(o, "{\"before\":null,\"after\":null");
	write_source(o, txn, relation);
	write_end(o, txn, relation, 't');
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	Size		max = (Size) options->max_value_bytes;
	Shared	   *shared = txn->detail;

	append_literal(o, "{\"op\":\"m\",\"ts_ms\":");
	parts_number(o, TransactionIdIsValid(txn->xid) ? (txn->commit_time + EPOCH_MICROS) / 1000 : 0);
	write_source(o, txn, NULL);
	if (shared->counts)
		write_block(o, shared, 1);
	else
		append_literal(o, ",\"transaction\":null");
	append_literal(o, ",\"message\":{\"prefix\":");
	if (!envelope_message_part(o, message, envelope_prefix, max))
		append_literal(o, "null");
	append_literal(o, ",\"content\":");
	if (message->size > (max > 0 ? max : document_limit) ||
		!envelope_message_part(o, message, envelope_base64, max))
		append_literal(o, "null");
	append_literal(o, "}}");
}

/* None if the document lacks the prefix, too. */
static void
write_message_key(Out *o, const Options *options, const Message *message)
{
	Size		begin = out_tell(o);

	append_literal(o, "{\"prefix\":");
	if (envelope_message_part(o, message, envelope_prefix, (Size) options->max_value_bytes))
		append_literal(o, "}");
	else
		out_rewind(o, begin);
}

static void
write_end_key(Out *o, const Transaction *txn)
{
	append_literal(o, "{\"id\":\"");
	append_piece(o, &((Shared *) txn->detail)->id);
	append_literal(o, "\"}");
}

static void
write_boundary(Out *o, const Transaction *txn, const char *status)
{
	const Shared *shared = txn->detail;

	append_literal(o, "{\"status\":\"");
	append_text(o, status);
	append_literal(o, "\",\"id\":\"");
	append_piece(o, &shared->id);
	append_literal(o, "\"");
}

static void
write_begin(Out *o, const Transaction *txn, const Options *options)
{
	write_boundary(o, txn, "BEGIN");
	append_literal(o, ",\"event_count\":null,\"data_collections\":null,\"ts_ms\":");
	parts_number(o, (txn->commit_time + EPOCH_MICROS) / 1000);
	append_literal(o, "}");
}

static void
write_commit(Out *o, const Transaction *txn, const Options *options)
{
	const Shared *shared = txn->detail;
	ListCell   *lc;

	write_boundary(o, txn, "END");
	append_literal(o, ",\"event_count\":");
	parts_number(o, shared->events);
	append_literal(o, ",\"data_collections\":[");
	foreach(lc, shared->tables)
	{
		const TableEvents *table = lfirst(lc);

		if (table != linitial(shared->tables))
			append_literal(o, ",");
		append_literal(o, "{\"data_collection\":");
		append_text(o, table->name);
		append_literal(o, ",\"event_count\":");
		parts_number(o, table->events);
		append_literal(o, "}");
	}
	append_literal(o, "],\"ts_ms\":");
	parts_number(o, (txn->commit_time + EPOCH_MICROS) / 1000);
	append_literal(o, "}");
}

static const Encoder *
encoder(Form_pg_attribute att, const Encoder *plain, EncoderSet *made, const Options *options)
{
	return debezium_encoder(att->atttypid, att->atttypmod, plain, made, options);
}

const Dialect dialect_debezium = {
	.name = "debezium",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.begin = write_begin,
	.commit = write_commit,
	.message_key = write_message_key,
	.end_key = write_end_key,
	.relation = make_detail,
	.encoder = encoder,
	.other_form = true,
	.own_values = true,
	.splits_moves = true,
};
