/*
 * walspout.c
 *		Logical decoding output plugin: row changes as JSON.
 *
 * The server's callbacks, and the order in which the other files handle a
 * change. filter and relation decide what it becomes, row and envelope render
 * it, output and frames pack it into messages.
 *
 * Nothing here may raise because of data; see guard.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "compat.h"
#include "dialect.h"
#include "fmgr.h"
#include "key_rules.h"
#include "output.h"
#include "replication/origin.h"
#include "replication/output_plugin.h"
#include "secret.h"
#include "text.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "values.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

/* ctx->output_plugin_private, in ctx->context */
typedef struct Walspout
{
	Options		options;
	Output		output;
	Transaction txn;			/* the transaction being decoded */
	MemoryContext per_change;	/* reset after each change */
	MemoryContext per_txn;		/* reset at the begin of each transaction */
} Walspout;

static void
on_startup(LogicalDecodingContext *ctx, OutputPluginOptions *output, bool is_init)
{
	MemoryContext old = MemoryContextSwitchTo(ctx->context);
	Walspout   *w = palloc0(sizeof(Walspout));

	ctx->output_plugin_private = w;
	options_parse(ctx->output_plugin_options, &w->options);
	output->output_type = w->options.format == FORMAT_FRAMES ? OUTPUT_PLUGIN_BINARY_OUTPUT :
		OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
	output->receive_rewrites = false;
	w->per_change = AllocSetContextCreate(ctx->context, "walspout change",
										  ALLOCSET_DEFAULT_SIZES);
	w->per_txn = AllocSetContextCreate(ctx->context, "walspout transaction",
									   ALLOCSET_SMALL_SIZES);

	/* SQL functions run in a transaction, a walsender at this point does not */
	relation_startup(&w->options, ctx->context);
	text_startup(IsTransactionState());
	values_startup(&w->options);
	filter_startup(&w->options, ctx->context);
	key_rules_startup(&w->options);
	output_startup(&w->output, ctx, &w->options);
	MemoryContextSwitchTo(old);
}

static void
on_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	Walspout   *w = ctx->output_plugin_private;

	MemoryContextReset(w->per_txn);
	memset(&w->txn, 0, sizeof(w->txn));
	w->txn.lsn = txn->final_lsn;
	w->txn.end_lsn = txn->end_lsn;
	w->txn.xid = txn->xid;
	w->txn.commit_time = txn_commit_time(txn);
	w->txn.origin = txn->origin_id;
}

/*
 * Origins are filtered here and not by the server's callback for them. That
 * would drop changes before they are counted, and the events' ids would depend
 * on the option.
 */
static bool
is_foreign(const Walspout *w, RepOriginId origin)
{
	return w->options.local_origin_only &&
		(w->txn.origin != InvalidRepOriginId || origin != InvalidRepOriginId);
}

/* Dialects may have documents around a transaction of which nothing is sent. */
static pg_noinline void
begin_unseen(Walspout *w)
{
	MemoryContext old = MemoryContextSwitchTo(w->per_txn);

	output_begin(&w->output, &w->txn);
	MemoryContextSwitchTo(old);
}

/* The first event of a transaction prepares the parts that all its events share. */
static Out *
event_begin(Walspout *w, CachedRelation *relation, const char *prefix)
{
	MemoryContext old = MemoryContextSwitchTo(w->per_txn);
	Out		   *o = output_event_begin(&w->output, &w->txn, relation, prefix);

	MemoryContextSwitchTo(old);
	return o;
}

static const Deformed *
deform(HeapTuple tuple, Relation relation, Deformed *room)
{
	if (tuple == NULL)
		return NULL;
	heap_deform_tuple(tuple, RelationGetDescr(relation), room->values, room->nulls);
	return room;
}

/*
 * For an event with unchanged columns, frames tell its members. For an event
 * that changed the key, frames tell the old key's members.
 */
static pg_noinline void
send_told(Walspout *w, const FrameEvent *event, const Row *row)
{
	const CachedRelation *relation = row->relation;
	FrameMembers members = {0};

	if (row->nunchanged > 0)
	{
		members.numbers = relation->members;
		members.n = relation->ncolumns;
	}
	if (row->old_key_told)
	{
		members.old_key = relation->old_key;
		members.nold_key = relation->nkey;
	}
	output_told_event_end(&w->output, &w->txn, event, &members);
}

/* The document, and the data for frames: only the key, which stands behind the document. */
static void
write_other_form(Walspout *w, Out *o, uint64 index, char op, Row *row)
{
	FrameEvent	event = {.op = op, .index = index, .relation = row->relation->relid};
	FrameMembers members = {0};

	w->options.dialect->row(o, &w->txn, &w->options, index, op, row);
	if (w->options.format == FORMAT_JSON)
	{
		output_event_end(&w->output, &w->txn, &event);
		return;
	}
	row_write_key(o, row);
	event.key = row->key;
	event.barrier = row->key_changed;
	event.hash = row_hash(o, row);
	members.key_aside = row->key.size > 0;
	output_told_event_end(&w->output, &w->txn, &event, &members);
}

static bool
is_skipped(const Walspout *w, char op)
{
	int			skip = op == 'c' ? SKIP_INSERT : op == 'u' ? SKIP_UPDATE : SKIP_DELETE;

	return (w->options.skipped & skip) != 0;
}

static void
send_part(Walspout *w, uint64 index, char op, Row *row)
{
	if (unlikely(w->options.skipped != 0) && is_skipped(w, op))
		return;
	write_other_form(w, event_begin(w, row->relation, NULL), index, op, row);
}

/* Does the update change the key? None of it is sent yet, and perhaps none will be. */
static bool
moves(Row *row)
{
	StringInfoData s;
	Out			o;

	if (row->old == NULL || row->new == NULL)
		return false;
	initStringInfo(&s);
	out_open(&o, &s);
	return row_moves(&o, row);
}

/* A document without key, before and after as frames describe them. */
static pg_noinline void
send_other_form(Walspout *w, uint64 index, char op, Row *row)
{
	index = dialect_index(w->options.dialect, index);
	if (w->options.dialect->splits_moves && op == 'u' && moves(row))
	{
		Row			old = *row;

		old.new = NULL;
		send_part(w, index++, 'd', &old);
		op = 'c';
		row->hide_old = true;
	}
	send_part(w, index, op, row);
}

static void
send_row(Walspout *w, uint64 index, char op, Row *row)
{
	CachedRelation *relation = row->relation;
	FrameEvent	event = {.op = op, .index = index, .relation = relation->relid};
	Out		   *o;

	/* an update that the row filter changed has one side only */
	row->hide_old = op == 'c';
	if (op == 'd')
		row->new = NULL;
	if (unlikely(w->options.dialect->other_form))
	{
		send_other_form(w, index, op, row);
		return;
	}
	o = event_begin(w, relation, NULL);
	w->options.dialect->row(o, &w->txn, &w->options, index, op, row);
	event.key = row->key;
	event.before = row->before;
	event.after = row->after;
	event.barrier = row->key_changed;
	if (w->options.format == FORMAT_FRAMES)
		event.hash = row_hash(o, row);
	if (unlikely(row->nunchanged > 0 || row->old_key_told) && w->options.format == FORMAT_FRAMES)
		send_told(w, &event, row);
	else
		output_event_end(&w->output, &w->txn, &event);
}

static void
render_change(Walspout *w, Relation relation, ReorderBufferChange *change, uint64 index)
{
	CachedRelation *entry = relation_get(relation);
	const Published *published = &entry->published;
	HeapTuple	new = NULL;
	HeapTuple	old = NULL;
	Row			row = {.relation = entry, .max_value = (Size) w->options.max_value_bytes};
	char		op;
	bool		wanted;

	switch (change->action)
	{
		case REORDER_BUFFER_CHANGE_INSERT:
			op = 'c';
			wanted = published->insert;
			new = change_tuple(change->data.tp.newtuple);
			break;
		case REORDER_BUFFER_CHANGE_UPDATE:
			op = 'u';
			wanted = published->update;
			new = change_tuple(change->data.tp.newtuple);
			old = change_tuple(change->data.tp.oldtuple);
			break;
		case REORDER_BUFFER_CHANGE_DELETE:
			op = 'd';
			wanted = published->delete;
			old = change_tuple(change->data.tp.oldtuple);
			break;
		default:
			return;
	}
	if (!wanted)
		return;
	row.new = deform(new, relation, &entry->new);
	row.old = deform(old, relation, &entry->old);
	if (published->filter != NULL &&
		!row_filter_passes(published->filter, entry->attributes, &op, row.old, row.new))
		return;
	send_row(w, index, op, &row);
}

static void
on_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
		  ReorderBufferChange *change)
{
	Walspout   *w = ctx->output_plugin_private;
	uint64		index = w->txn.next_index++;
	MemoryContext old;

	output_tick(&w->output);
	if (is_foreign(w, change->origin_id))
		return;
	w->txn.change_lsn = change->lsn;
	old = MemoryContextSwitchTo(w->per_change);
	render_change(w, relation, change, index);
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->per_change);
}

static void
truncate_table(Walspout *w, Relation relation, ReorderBufferChange *change, uint64 index)
{
	CachedRelation *entry = relation_get(relation);
	FrameEvent	event = {.op = 't', .barrier = true, .index = dialect_index(w->options.dialect, index)};
	Out		   *o;

	/* if the root is published, the root's own TRUNCATE covers it */
	if (!entry->published.truncate || entry->published.relid != RelationGetRelid(relation))
		return;
	o = event_begin(w, entry, NULL);
	w->options.dialect->truncate(o, &w->txn, &w->options, index, entry, change->data.truncate.cascade,
								 change->data.truncate.restart_seqs);
	event.relation = entry->relid;
	output_event_end(&w->output, &w->txn, &event);
}

static void
on_truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int nrelations,
			Relation relations[], ReorderBufferChange *change)
{
	Walspout   *w = ctx->output_plugin_private;
	MemoryContext old = MemoryContextSwitchTo(w->per_change);

	output_tick(&w->output);
	w->txn.change_lsn = change->lsn;
	for (int i = 0; i < nrelations; i++)
	{
		uint64		index = w->txn.next_index++;

		if (!is_foreign(w, change->origin_id))
			truncate_table(w, relations[i], change, index);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->per_change);
}

/*
 * Messages with this prefix are a table reader's marks, and are no events,
 * whatever the options say. They are not counted, so that ids do not depend on
 * the format.
 */
#define MARK_PREFIX "walspout.mark"

static void
send_mark(Walspout *w, const Message *message)
{
	if (w->options.format == FORMAT_FRAMES && message->transactional &&
		message->size <= LONGEST_MARK)
		output_mark(&w->output, &w->txn, message->content, message->size);
}

static bool
wants_message(const Options *options, const char *prefix)
{
	ListCell   *lc;

	if (!options->messages)
		return false;
	if (!options->has_prefixes)
		return true;
	foreach(lc, options->message_prefixes)
		if (strcmp(lfirst(lc), prefix) == 0)
			return true;
	return false;
}

/*
 * A message that is not transactional is decoded at its own LSN, and the
 * server has no transaction open then. Catalogs can be read only in a
 * transaction. It is aborted at the end, as the server does with those for
 * decoding.
 */
typedef struct OwnTransaction
{
	bool		opened;
	MemoryContext context;
	ResourceOwner owner;
} OwnTransaction;

static OwnTransaction
open_transaction(void)
{
	OwnTransaction t = {!IsTransactionState(), CurrentMemoryContext, CurrentResourceOwner};

	if (t.opened)
	{
		StartTransactionCommand();
		MemoryContextSwitchTo(t.context);
	}
	return t;
}

static void
close_transaction(OwnTransaction t)
{
	if (!t.opened)
		return;
	AbortCurrentTransaction();
	MemoryContextSwitchTo(t.context);
	CurrentResourceOwner = t.owner;
}

static void
send_message(Walspout *w, uint64 index, const Message *message)
{
	const Dialect *dialect = w->options.dialect;
	FrameEvent	event = {.op = 'm', .barrier = true, .index = dialect_index(dialect, index)};
	FrameMembers members = {0};
	OwnTransaction t = open_transaction();
	Out		   *o = event_begin(w, NULL, message->prefix);

	dialect->message(o, &w->txn, &w->options, index, message);
	if (dialect->message_key != NULL && w->options.format == FORMAT_FRAMES)
	{
		event.key.begin = out_tell(o);
		dialect->message_key(o, &w->options, message);
		event.key.size = out_tell(o) - event.key.begin;
		members.key_aside = event.key.size > 0;
	}
	close_transaction(t);
	if (members.key_aside)
		output_told_event_end(&w->output, &w->txn, &event, &members);
	else
		output_event_end(&w->output, &w->txn, &event);
}

static void
on_message(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr lsn, bool transactional,
		   const char *prefix, Size size, const char *content)
{
	Walspout   *w = ctx->output_plugin_private;
	Message		m = {prefix, content, size, transactional};
	MemoryContext old;
	uint64		index;

	output_tick(&w->output);
	if (strcmp(prefix, MARK_PREFIX) == 0)
	{
		send_mark(w, &m);
		return;
	}
	if (!transactional)
	{
		/*
		 * Decoded at its own LSN: a transaction of its own. The server gives
		 * the LSN of the record's end, where a commit record may begin, which
		 * would get the same id.
		 */
		MemoryContextReset(w->per_txn);
		memset(&w->txn, 0, sizeof(w->txn));
		w->txn.lsn = ctx->reader->ReadRecPtr;
		w->txn.end_lsn = ctx->reader->EndRecPtr;
		w->txn.origin = XLogRecGetOrigin(ctx->reader);
	}
	w->txn.change_lsn = lsn;
	index = w->txn.next_index++;
	if (!wants_message(&w->options, prefix) || is_foreign(w, InvalidRepOriginId))
		return;
	old = MemoryContextSwitchTo(w->per_change);
	send_message(w, index, &m);
	if (!transactional)
		output_commit(&w->output, &w->txn);
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->per_change);
}

static void
on_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	Walspout   *w = ctx->output_plugin_private;
	MemoryContext old = MemoryContextSwitchTo(w->per_change);

	if (unlikely(w->options.dialect->every_transaction) && !is_foreign(w, InvalidRepOriginId))
		begin_unseen(w);
	output_commit(&w->output, &w->txn);
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->per_change);
}

void
_PG_init(void)
{
	secret_init();
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = on_startup;
	cb->begin_cb = on_begin;
	cb->change_cb = on_change;
	cb->truncate_cb = on_truncate;
	cb->message_cb = on_message;
	cb->commit_cb = on_commit;
}
