/*
 * bench_floor.c
 *		An output plugin that writes dummy bytes: the cost of decoding, and of moving bytes of a
 * given size, in batches.
 *
 * Looks at no row and formats nothing. For each change, `size` bytes are
 * appended to a message; it is written when `batch_bytes` are full, and at
 * commit. No plugin that writes as many bytes can cost less.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

extern void _PG_output_plugin_init(OutputPluginCallbacks *cb);

typedef struct FloorState
{
	int			size;			/* bytes for a change */
	int			batch_bytes;	/* a message is written when it has as many */
	bool		open;			/* a message has been begun */
} FloorState;

static void
floor_startup(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
	FloorState *state = palloc0(sizeof(FloorState));
	ListCell   *cell;

	state->size = 200;
	state->batch_bytes = 65536;
	foreach(cell, ctx->output_plugin_options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "size") == 0)
			state->size = pg_strtoint32(strVal(option->arg));
		else if (strcmp(option->defname, "batch_bytes") == 0)
			state->batch_bytes = pg_strtoint32(strVal(option->arg));
		else
			elog(ERROR, "bench_floor has no option \"%s\", but size and batch_bytes",
				 option->defname);
	}
	ctx->output_plugin_private = state;
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
}

static void
write_batch(LogicalDecodingContext *ctx, FloorState *state)
{
	OutputPluginWrite(ctx, true);
	state->open = false;
}

static void
floor_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
}

static void
floor_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			 ReorderBufferChange *change)
{
	FloorState *state = ctx->output_plugin_private;

	if (!state->open)
	{
		OutputPluginPrepareWrite(ctx, true);
		state->open = true;
	}
	enlargeStringInfo(ctx->out, state->size);
	memset(ctx->out->data + ctx->out->len, 'x', state->size);
	ctx->out->len += state->size;
	if (ctx->out->len >= state->batch_bytes)
		write_batch(ctx, state);
}

static void
floor_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	FloorState *state = ctx->output_plugin_private;

	if (state->open)
		write_batch(ctx, state);
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = floor_startup;
	cb->begin_cb = floor_begin;
	cb->change_cb = floor_change;
	cb->commit_cb = floor_commit;
}
