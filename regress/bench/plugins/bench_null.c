/*
 * bench_null.c
 *		An output plugin that writes nothing: what decoding alone costs.
 */
#include "postgres.h"

#include "fmgr.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"

PG_MODULE_MAGIC;

extern void _PG_output_plugin_init(OutputPluginCallbacks *cb);

static void
null_startup(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
}

static void
null_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
}

static void
null_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			ReorderBufferChange *change)
{
}

static void
null_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = null_startup;
	cb->begin_cb = null_begin;
	cb->change_cb = null_change;
	cb->commit_cb = null_commit;
}
