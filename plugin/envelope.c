/*
 * envelope.c
 *		The document of a change, around its row.
 *
 * Each member is appended with a comma before it; close_object() makes the
 * first comma a brace. So any member can be left out.
 */
#include "postgres.h"

#include "envelope.h"

#include "compat.h"
#include "dialect.h"
#include "format.h"
#include "mb/pg_wchar.h"
#include "replication/origin.h"
#include "syntax.h"
#include "text.h"
#include "values.h"

#define append_to(p, literal) (memcpy((p), (literal), sizeof(literal) - 1), (p) + sizeof(literal) - 1)

static void
set_id(Transaction *txn)
{
	char	   *p = append_to(txn->id, ",\"id\":\"");

	p = format_uint64(p, txn->lsn);
	*p++ = '-';
	txn->id_size = p - txn->id;
}

static void
set_stamp(Transaction *txn, const Options *options, bool timed)
{
	/* year_month_day() stores 32 bytes at once: leave it room */
	char		stamp[128];
	char	   *p = stamp;

	if (!timed)
		return;
	if (!(options->omit & OMIT_TS))
	{
		p = append_to(p, ",\"ts\":\"");
		p = format_rfc3339(p, txn->commit_time);
		*p++ = '"';
	}
	if (TransactionIdIsValid(txn->xid) && !(options->omit & OMIT_XID))
	{
		p = append_to(p, ",\"xid\":");
		p = format_uint64(p, txn->xid);
	}
	txn->stamp_size = p - stamp;
	memcpy(txn->stamp, stamp, txn->stamp_size);
}

static void
set_source(Transaction *txn)
{
	StringInfoData s;
	char	   *name;
	Out			o;

	if (txn->origin == InvalidRepOriginId || !replorigin_by_oid(txn->origin, true, &name))
		return;
	initStringInfo(&s);
	out_open(&o, &s);
	append_literal(&o, ",\"origin\":");
	text_string(&o, name, strlen(name));
	out_close(&o);
	txn->source = s.data;
	txn->source_size = s.len;
}

static void
prepare(Transaction *txn, const Options *options)
{
	txn->id_size = txn->stamp_size = txn->source_size = 0;
	set_id(txn);
	set_stamp(txn, options, TransactionIdIsValid(txn->xid));
	if (!(options->omit & OMIT_ORIGIN))
		set_source(txn);
}

void
envelope_begin_reading(Transaction *txn, const Options *options)
{
	txn->id_size = txn->stamp_size = txn->source_size = 0;
	set_stamp(txn, options, true);
}

/* id, op, and for changes of tables their names; then ts and xid. */
static inline void
write_head(Out *o, const Transaction *txn, const Options *options, uint64 index, char op,
		   const CachedRelation *relation)
{
	int			names_size = relation ? relation->names_size : 0;

	out_reserve(o, sizeof(txn->id) + sizeof(txn->stamp) + names_size + FORMAT_WIDTH);
	if (!(options->omit & OMIT_ID))
	{
		put(o, txn->id, txn->id_size);
		o->p = format_uint64(o->p, index);
		put_char(o, '"');
	}
	if (!(options->omit & OMIT_OP))
	{
		put_literal(o, ",\"op\":\"");
		put_char(o, op);
		put_char(o, '"');
	}
	if (relation)
		put(o, relation->names, names_size);
	put(o, txn->stamp, txn->stamp_size);
}

static inline void
write_source(Out *o, const Transaction *txn)
{
	if (unlikely(txn->source_size > 0))
		append(o, txn->source, txn->source_size);
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op,
		  Row *row)
{
	write_head(o, txn, options, index, op, row->relation);
	row_write(o, row);
	write_source(o, txn);
	close_object(o, 0);
}

/* A reader's replacement for this is not longer. */
#define OPEN_ID ",\"id\":\"00000000000000000000-00000000000000000000\""

void
envelope_read_row(Out *o, const Transaction *txn, const Options *options, Row *row)
{
	int			names_size = row->relation->names_size;

	out_reserve(o, sizeof(OPEN_ID) + sizeof(txn->stamp) + names_size + FORMAT_WIDTH);
	if (!(options->omit & OMIT_ID))
		put_literal(o, OPEN_ID);
	if (!(options->omit & OMIT_OP))
		put_literal(o, ",\"op\":\"r\"");
	put(o, row->relation->names, names_size);
	put(o, txn->stamp, txn->stamp_size);
	row_write_stored(o, row);
	close_object(o, 0);
}

static void
write_schema(Out *o, const Transaction *txn, const Options *options, const CachedRelation *relation)
{
	const TableSchema *schema = &relation->schema_told;

	out_reserve(o, sizeof(txn->stamp) + relation->names_size + FORMAT_WIDTH);
	if (!(options->omit & OMIT_OP))
		put_literal(o, ",\"op\":\"s\"");
	put(o, relation->names, relation->names_size);
	put(o, txn->stamp, txn->stamp_size);
	append(o, schema->members, schema->size);
	write_source(o, txn);
	close_object(o, 0);
}

/* Stands before a table's row. Its id needs no index: schemas are not counted. */
void
envelope_schema(Out *o, const Transaction *txn, const Options *options,
				const CachedRelation *relation)
{
	char		fingerprint[32];
	int			n = snprintf(fingerprint, sizeof(fingerprint), "s%016llx\"",
							 (unsigned long long) relation->schema_told.fingerprint);

	if (!(options->omit & OMIT_ID))
	{
		append(o, txn->id, txn->id_size);
		append(o, fingerprint, n);
	}
	write_schema(o, txn, options, relation);
}

void
envelope_read_schema(Out *o, const Transaction *txn, const Options *options,
					 const CachedRelation *relation)
{
	if (!(options->omit & OMIT_ID))
		append_literal(o, OPEN_ID);
	write_schema(o, txn, options, relation);
}

static void
append_bool(Out *o, const char *label, bool value)
{
	append(o, label, strlen(label));
	if (value)
		append_literal(o, "true");
	else
		append_literal(o, "false");
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	write_head(o, txn, options, index, 't', relation);
	write_source(o, txn);
	append_bool(o, ",\"cascade\":", cascade);
	append_bool(o, ",\"restart_identity\":", restart_identity);
	close_object(o, 0);
}

/*
 * The position to confirm, in the form that clients take. They would read a
 * decimal number as the part before the slash, far beyond the WAL.
 */
static void
write_end(Out *o, const Transaction *txn)
{
	out_reserve(o, FORMAT_WIDTH);
	put_literal(o, ",\"end_lsn\":\"");
	o->p = format_lsn(o->p, txn->end_lsn);
	put_char(o, '"');
}

bool
envelope_is_text(const Message *message)
{
	/* SQL_ASCII has no encoding: take valid UTF-8 for text */
	int			encoding = GetDatabaseEncoding() == PG_SQL_ASCII ? PG_UTF8 : GetDatabaseEncoding();

	return pg_verify_mbstr(encoding, message->content, (int) message->size, true);
}

static bool
write_content_text(Out *o, const Message *message)
{
	Size		n = message->size;

	return syntax_is_json(message->content, n, nest_levels_left(o)) ?
		encode_json_text(o, message->content, n) : text_string(o, message->content, n);
}

bool
envelope_base64(Out *o, const Message *message)
{
	if (!out_room(o, (message->size + 2) / 3 * 4 + 2))
		return false;
	put_char(o, '"');
	o->p = format_base64(o->p, (const unsigned char *) message->content, message->size);
	put_char(o, '"');
	return true;
}

bool
envelope_prefix(Out *o, const Message *message)
{
	return text_string_unchecked(o, message->prefix, strlen(message->prefix));
}

bool
envelope_text(Out *o, const Message *message)
{
	return text_string_unchecked(o, message->content, message->size);
}

/* max 0: no limit. False if the part is left out. */
bool
envelope_message_part(Out *o, const Message *message, WritePart write, Size max)
{
	Size		begin = out_tell(o);
	Size		most = max > 0 ? out_begin_value(o, max) : document_limit;
	bool		done = write(o, message);

	if (max > 0)
		done = out_end_value(o, most) && done;
	if (!done)
		out_rewind(o, begin);
	return done;
}

static bool
write_content(Out *o, const Message *message, Size max)
{
	Size		begin = out_tell(o);
	bool		is_string;

	if (message->size > (max > 0 ? max : document_limit))
		return false;
	is_string = envelope_is_text(message);
	if (is_string)
		append_literal(o, ",\"content\":");
	else
		append_literal(o, ",\"content_base64\":");
	if (envelope_message_part(o, message, is_string ? write_content_text : envelope_base64, max))
		return true;
	out_rewind(o, begin);
	return false;
}

void
envelope_message_elided(Out *o, const Message *message, bool prefix, bool content)
{
	Size		begin;

	if (!prefix && !content)
		return;
	append_literal(o, ",\"elided\":");
	begin = out_tell(o);
	out_reserve(o, FORMAT_WIDTH);
	if (prefix)
	{
		put_literal(o, ",\"prefix\":");
		o->p = format_uint64(o->p, strlen(message->prefix));
	}
	if (content)
	{
		put_literal(o, ",\"content\":");
		o->p = format_uint64(o->p, message->size);
	}
	close_object(o, begin);
}

void
envelope_message_members(Out *o, const Transaction *txn, const Options *options,
						 const Message *message, int depth)
{
	Size		max = (Size) options->max_value_bytes;
	bool		has_prefix;
	bool		has_content;

	o->depth = depth;
	append_literal(o, ",\"prefix\":");
	has_prefix = envelope_message_part(o, message, envelope_prefix, max);
	if (!has_prefix)
		append_literal(o, "null");
	append_bool(o, ",\"transactional\":", message->transactional);
	if (options->transactions && !message->transactional)
		write_end(o, txn);
	has_content = write_content(o, message, max);
	envelope_message_elided(o, message, !has_prefix, !has_content);
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	write_head(o, txn, options, index, 'm', NULL);
	write_source(o, txn);
	envelope_message_members(o, txn, options, message, 1);
	close_object(o, 0);
}

static TableCount *
find_count(Transaction *txn, const CachedRelation *relation)
{
	TableCount *count;
	bool		found;
	StringInfoData s;
	Out			o;

	if (txn->counts == NULL)
	{
		HASHCTL		ctl = {
			.keysize = sizeof(Oid), .entrysize = sizeof(TableCount), .hcxt = CurrentMemoryContext
		};

		txn->counts = hash_create("walspout counts", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	count = hash_search(txn->counts, &relation->published.relid, HASH_ENTER, &found);
	if (found)
		return count;
	initStringInfo(&s);
	out_open(&o, &s);
	append_literal(&o, "\"schema\":");
	(void) json_string(&o, relation->schema, strlen(relation->schema));
	append_literal(&o, ",\"table\":");
	(void) json_string(&o, relation->table, strlen(relation->table));
	out_close(&o);
	count->names = s.data;
	count->events = 0;
	txn->counted = lappend(txn->counted, count);
	return count;
}

static void
count_event(Transaction *txn, const CachedRelation *relation)
{
	if (txn->last_count == NULL || txn->last_count->relid != relation->published.relid)
		txn->last_count = find_count(txn, relation);
	txn->last_count->events++;
}

static void
write_counts(Out *o, const Transaction *txn)
{
	ListCell   *lc;

	append_literal(o, ",\"tables\":[");
	foreach(lc, txn->counted)
	{
		const TableCount *count = lfirst(lc);

		if (count != linitial(txn->counted))
			append_literal(o, ",");
		append_literal(o, "{");
		append(o, count->names, strlen(count->names));
		out_reserve(o, FORMAT_WIDTH);
		put_literal(o, ",\"events\":");
		o->p = format_uint64(o->p, count->events);
		append_literal(o, "}");
	}
	append_literal(o, "]");
}

/* {"op":"begin","lsn":"...","ts":"...","xid":N,"origin":"..."; in frames it is an event, and has an id */
static void
write_transaction(Out *o, const char *op, const Transaction *txn, const Options *options)
{
	out_reserve(o, sizeof(txn->id) + sizeof(txn->stamp) + FORMAT_WIDTH);
	if (options->format == FORMAT_FRAMES && !(options->omit & OMIT_ID))
	{
		put(o, txn->id, txn->id_size);
		put(o, op, strlen(op));
		put_char(o, '"');
	}
	put_literal(o, ",\"op\":\"");
	put(o, op, strlen(op));
	put_literal(o, "\",\"lsn\":\"");
	o->p = format_lsn(o->p, txn->lsn);
	put_char(o, '"');
	put(o, txn->stamp, txn->stamp_size);
	write_source(o, txn);
}

static void
write_begin(Out *o, const Transaction *txn, const Options *options)
{
	write_transaction(o, "begin", txn, options);
	close_object(o, 0);
}

static void
write_commit(Out *o, const Transaction *txn, const Options *options)
{
	write_transaction(o, "commit", txn, options);
	write_end(o, txn);
	out_reserve(o, FORMAT_WIDTH);
	put_literal(o, ",\"events\":");
	o->p = format_uint64(o->p, txn->events);
	write_counts(o, txn);
	close_object(o, 0);
}

const Dialect dialect_walspout = {
	.name = "walspout",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.begin = write_begin,
	.commit = write_commit,
	.count = count_event,
};
