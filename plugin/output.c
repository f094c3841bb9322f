/*
 * output.c
 *		Documents to messages: one message each, or frames in batches.
 *
 * Documents are written directly to ctx->out, from which the server sends, and
 * not copied. A batch is a message that stays open over several callbacks. It
 * is sent when it is larger than batch_bytes, and at commit at the latest, so
 * that it delays nothing.
 */
#include "postgres.h"

#include "output.h"

#include "dialect.h"
#include "lib/stringinfo.h"
#include "text.h"
#include "utils/memutils.h"

/* Changes between two reports of progress, as in pgoutput. */
#define REPORT_EVERY 100

/*
 * Microseconds of commit time between two reports of commits. The server takes
 * one report a second for its lag figures, and reads the clock each time.
 */
#define REPORT_COMMITS_EVERY (100 * 1000)

/* The longest prefix of a message, in bytes, that frames tell. */
#define LONGEST_PREFIX 1024

/* A buffer that one huge row made larger than this is freed. */
#define KEEP_BUFFER (4 * 1024 * 1024)

void
output_startup(Output *output, LogicalDecodingContext *ctx, const Options *options)
{
	memset(output, 0, sizeof(*output));
	output->ctx = ctx;
	output->options = options;
}

static void
shrink_buffer(LogicalDecodingContext *ctx, int64 batch_bytes)
{
	StringInfo	s = ctx->out;
	MemoryContext old;

	if (likely(s->maxlen <= KEEP_BUFFER || s->maxlen <= batch_bytes * 4))
		return;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(s->data));
	pfree(s->data);
	initStringInfo(s);
	MemoryContextSwitchTo(old);
}

static void
send_message(Output *output)
{
	OutputPluginWrite(output->ctx, true);
	output->batch_open = false;
	shrink_buffer(output->ctx, output->options->batch_bytes);
}

static void
open_batch(Output *output)
{
	if (output->batch_open)
		return;
	OutputPluginPrepareWrite(output->ctx, true);
	frames_header(output->ctx->out);
	output->batch_open = true;
}

/* Begin a message that is one document. */
static Out *
open_document(Output *output)
{
	OutputPluginPrepareWrite(output->ctx, true);
	output->event_begin = output->ctx->out->len;
	out_open(&output->out, output->ctx->out);
	return &output->out;
}

static void
close_document(Output *output)
{
	out_close(&output->out);
	text_to_server(output->ctx->out, output->event_begin);
	send_message(output);
}

static void
begin_transaction(Output *output, Transaction *txn)
{
	if (txn->begun)
		return;
	txn->begun = true;
	output->options->dialect->prepare(txn, output->options);
	if (output->options->format == FORMAT_FRAMES)
	{
		open_batch(output);
		frames_begin(output->ctx->out, txn);
	}
}

/* Are there documents around the transaction? A transaction that is only a message has none. */
static bool
has_ends(const Output *output, const Transaction *txn)
{
	return output->options->transactions && TransactionIdIsValid(txn->xid);
}

typedef void (*WriteEnd) (Out *o, const Transaction *txn, const Options *options);

/* A document at an end of the transaction: its begin, with the index 0, or its commit. */
static void
send_end(Output *output, const Transaction *txn, char op, uint64 index)
{
	const Dialect *dialect = output->options->dialect;
	WriteEnd	write = op == 'b' ? dialect->begin : dialect->commit;
	FrameEvent	event = {.op = op, .barrier = true, .index = index};
	FrameMembers members = {0};
	StringInfo	s = output->ctx->out;
	int			begin;

	if (output->options->format == FORMAT_JSON)
	{
		write(open_document(output), txn, output->options);
		close_document(output);
		return;
	}
	open_batch(output);
	begin = frames_event_begin(s);
	out_open(&output->out, s);
	write(&output->out, txn, output->options);
	if (dialect->end_key != NULL)
	{
		event.key.begin = out_tell(&output->out);
		dialect->end_key(&output->out, txn);
		event.key.size = out_tell(&output->out) - event.key.begin;
		members.key_aside = event.key.size > 0;
	}
	out_close(&output->out);
	frames_told_event_end(s, begin, &event, &members);
}

static pg_noinline void
begin_events(Output *output, Transaction *txn)
{
	begin_transaction(output, txn);
	if (!has_ends(output, txn) || txn->has_begin)
		return;
	txn->has_begin = true;
	send_end(output, txn, 'b', 0);
}

void
output_begin(Output *output, Transaction *txn)
{
	if (output->options->format == FORMAT_JSON && has_ends(output, txn))
		begin_events(output, txn);
}

static void
announce_prefix(StringInfo s, const char *prefix)
{
	char	   *utf8 = text_plain_unchecked(prefix);

	frames_prefix(s, utf8);
	pfree(utf8);
}

typedef struct SentSchema
{
	Oid			relid;			/* hash key: must be first */
	uint64		fingerprint;
} SentSchema;

/* With more tables, all schemas are forgotten at once, and sent again. */
#define MOST_SCHEMAS 65536

/* Does the schema of the table, as published, differ from the last call's? */
static bool
has_new_schema(Output *output, const CachedRelation *relation)
{
	SentSchema *sent;
	bool		found;

	if (output->schemas != NULL && hash_get_num_entries(output->schemas) >= MOST_SCHEMAS)
	{
		hash_destroy(output->schemas);
		output->schemas = NULL;
	}
	if (output->schemas == NULL)
	{
		HASHCTL		ctl = {
			.keysize = sizeof(Oid), .entrysize = sizeof(SentSchema), .hcxt = output->ctx->context
		};

		output->schemas = hash_create("walspout schemas", 128, &ctl,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	sent = hash_search(output->schemas, &relation->published.relid, HASH_ENTER, &found);
	found = found && sent->fingerprint == relation->schema_told.fingerprint;
	sent->fingerprint = relation->schema_told.fingerprint;
	return !found;
}

static void
send_schema(Output *output, const Transaction *txn, const CachedRelation *relation)
{
	FrameEvent	event = {
		.op = 's', .barrier = true, .index = txn->next_index - 1, .relation = relation->relid,
		.hash = relation->schema_told.fingerprint
	};
	StringInfo	s = output->ctx->out;
	int			begin;

	if (output->options->format == FORMAT_JSON)
	{
		envelope_schema(open_document(output), txn, output->options, relation);
		close_document(output);
		return;
	}
	begin = frames_event_begin(s);
	out_open(&output->out, s);
	envelope_schema(&output->out, txn, output->options, relation);
	out_close(&output->out);
	frames_event_end(s, begin, &event);
}

/* Data about a table for the reader, before its first event and in the same message. */
static pg_noinline void
announce_relation(Output *output, const Transaction *txn, CachedRelation *relation)
{
	if (output->options->format == FORMAT_FRAMES)
	{
		open_batch(output);
		frames_relation(output->ctx->out, relation);
	}
	if (relation->schema_told.members != NULL && has_new_schema(output, relation))
		send_schema(output, txn, relation);
	relation_announced(relation);
}

Out *
output_event_begin(Output *output, Transaction *txn, CachedRelation *relation, const char *prefix)
{
	StringInfo	s = output->ctx->out;

	if (unlikely(txn->events++ == 0))
		begin_events(output, txn);
	if (relation != NULL && unlikely(!relation->announced))
		announce_relation(output, txn, relation);
	if (unlikely(txn->has_begin) && relation != NULL && output->options->dialect->count != NULL)
		output->options->dialect->count(txn, relation);
	if (output->options->format == FORMAT_JSON)
		return open_document(output);
	open_batch(output);
	if (prefix != NULL && strlen(prefix) <= LONGEST_PREFIX)
		announce_prefix(s, prefix);
	output->event_begin = frames_event_begin(s);
	out_open(&output->out, s);
	return &output->out;
}

void
output_event_end(Output *output, Transaction *txn, const FrameEvent *event)
{
	StringInfo	s = output->ctx->out;

	if (output->options->format == FORMAT_JSON)
	{
		close_document(output);
		return;
	}
	out_close(&output->out);
	frames_event_end(s, output->event_begin, event);
	if (s->len >= output->options->batch_bytes)
		send_message(output);
}

void
output_told_event_end(Output *output, Transaction *txn, const FrameEvent *event,
					  const FrameMembers *members)
{
	StringInfo	s = output->ctx->out;

	out_close(&output->out);
	frames_told_event_end(s, output->event_begin, event, members);
	if (s->len >= output->options->batch_bytes)
		send_message(output);
}

/*
 * Any role may write marks, any number of them in one transaction, and rows
 * besides. Only the last one is kept, and the reader gets it in the message
 * with the commit.
 */
void
output_mark(Output *output, Transaction *txn, const char *content, Size n)
{
	memcpy(output->mark, content, n);
	output->mark_size = n;
	txn->marked = true;
}

/*
 * Rows that are placed at the mark may have other columns than the stream's
 * last schema of their table says. So the schema comes again before the next
 * change. Behind a bar the mark has the reader's slot and the tables' OIDs.
 */
static void
repeat_schemas(Output *output)
{
	const char *slot = NameStr(output->ctx->slot->data.name);
	char		content[LONGEST_MARK + 1];
	char	   *list;

	memcpy(content, output->mark, output->mark_size);
	content[output->mark_size] = '\0';
	list = strchr(content, '|');
	if (!output->options->schemas || list == NULL || strncmp(++list, slot, strlen(slot)) != 0)
		return;
	for (list += strlen(slot); *list == ' ';)
	{
		Oid			relid = strtoul(list, &list, 10);

		if (relid == InvalidOid)
			return;				/* perhaps no number: any role may write a mark */
		if (output->schemas != NULL)
			hash_search(output->schemas, &relid, HASH_REMOVE, NULL);
		relation_announce_again(relid);
	}
}

static pg_noinline void
send_mark(Output *output)
{
	repeat_schemas(output);
	open_batch(output);
	frames_mark(output->ctx->out, output->mark, output->mark_size);
}

void
output_commit(Output *output, Transaction *txn)
{
	if (unlikely(txn->marked))
		begin_transaction(output, txn);
	if (!txn->begun)
	{
		update_progress(output->ctx, true);
		return;
	}
	if (output->options->format == FORMAT_FRAMES)
		open_batch(output);
	if (txn->has_begin)
		send_end(output, txn, 'e', dialect_index(output->options->dialect, txn->next_index));
	if (output->options->format == FORMAT_FRAMES)
	{
		if (unlikely(txn->marked))
			send_mark(output);
		frames_commit(output->ctx->out, txn);
		send_message(output);
	}
	if (txn->commit_time - output->reported >= REPORT_COMMITS_EVERY ||
		txn->commit_time < output->reported)
	{
		update_progress(output->ctx, false);
		output->reported = txn->commit_time;
	}
}

void
output_tick(Output *output)
{
#ifndef HAVE_PROGRESS_BY_SERVER
	if (++output->unreported >= REPORT_EVERY)
	{
		output->unreported = 0;
		update_progress(output->ctx, false);
	}
#endif
}
