/*
 * compat.h
 *		The differences between PostgreSQL 13 and 19: the only file that names
 *		a version of the server.
 */
#ifndef WALSPOUT_COMPAT_H
#define WALSPOUT_COMPAT_H

#include "postgres.h"

#include "replication/logical.h"
#include "replication/reorderbuffer.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/timestamp.h"

#if PG_VERSION_NUM < 130000 || PG_VERSION_NUM >= 200000
#error "walspout needs PostgreSQL 13 to 19"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Row filters, column lists and schemas of publications. */
#if PG_VERSION_NUM >= 150000
#define HAVE_PUBLICATION_FILTERS 1
#endif

/* FOR ALL TABLES EXCEPT. */
#if PG_VERSION_NUM >= 190000
#define HAVE_EXCLUDED_TABLES 1
#define GetRelationPublications(relid) GetRelationIncludedPublications(relid)
#endif

/* Publications may include stored generated columns. */
#if PG_VERSION_NUM >= 180000
#define HAVE_PUBLISHED_GENERATED_COLUMNS 1
#endif

/* Conversions that stop at a bad byte instead of raising. */
#if PG_VERSION_NUM >= 140000
#define HAVE_CONVERSION_WITHOUT_ERROR 1
#endif

/* The server itself reports progress on changes that a plugin leaves out. */
#if PG_VERSION_NUM >= 160000
#define HAVE_PROGRESS_BY_SERVER 1
#endif

#if PG_VERSION_NUM >= 170000
#define INTERVAL_IS_MINUS_INFINITY(i) INTERVAL_IS_NOBEGIN(i)
#define INTERVAL_IS_PLUS_INFINITY(i) INTERVAL_IS_NOEND(i)
#else
#define INTERVAL_IS_MINUS_INFINITY(i) false
#define INTERVAL_IS_PLUS_INFINITY(i) false
#endif

#if PG_VERSION_NUM >= 170000
#define change_tuple(buffer) (buffer)
#else
#define change_tuple(buffer) ((buffer) ? &(buffer)->tuple : NULL)
#endif

#if PG_VERSION_NUM >= 150000 && PG_VERSION_NUM < 190000
#define txn_commit_time(txn) ((txn)->xact_time.commit_time)
#else
#define txn_commit_time(txn) ((txn)->commit_time)
#endif

#if PG_VERSION_NUM >= 150000
#define update_progress(ctx, skipped) OutputPluginUpdateProgress((ctx), (skipped))
#else
#define update_progress(ctx, skipped) OutputPluginUpdateProgress(ctx)
#endif

/* HMAC-SHA256. False if the library that the server was built with fails. */
#if PG_VERSION_NUM >= 140000
#include "common/hmac.h"
#include "common/sha2.h"
static inline bool
hmac_sha256(uint8 *digest, const char *key, Size key_size, const char *bytes, Size n)
{
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);
	bool		done;

	if (context == NULL)
		return false;
	done = pg_hmac_init(context, (const uint8 *) key, key_size) >= 0 &&
		pg_hmac_update(context, (const uint8 *) bytes, n) >= 0 &&
		pg_hmac_final(context, digest, PG_SHA256_DIGEST_LENGTH) >= 0;
	pg_hmac_free(context);
	return done;
}
#else
/* The headers of its hashes need those of OpenSSL, which extensions are built without. */
#include "fmgr.h"
extern Datum sha256_bytea(PG_FUNCTION_ARGS);
#define PG_SHA256_BLOCK_LENGTH 64
#define PG_SHA256_DIGEST_LENGTH 32

/* The hash of a block and the bytes after it. The digest may overlap these bytes. */
static inline void
sha256(uint8 *digest, const uint8 *block, Size block_size, const void *bytes, Size n)
{
	bytea	   *all = palloc(VARHDRSZ + block_size + n);
	bytea	   *hash;

	SET_VARSIZE(all, VARHDRSZ + block_size + n);
	memcpy(VARDATA(all), block, block_size);
	memcpy(VARDATA(all) + block_size, bytes, n);
	hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(all)));
	memcpy(digest, VARDATA_ANY(hash), PG_SHA256_DIGEST_LENGTH);
	pfree(hash);
	pfree(all);
}

static inline void
hash_padded(uint8 *digest, const uint8 *key, uint8 pad, const void *bytes, Size n)
{
	uint8		block[PG_SHA256_BLOCK_LENGTH];

	for (int i = 0; i < PG_SHA256_BLOCK_LENGTH; i++)
		block[i] = key[i] ^ pad;
	sha256(digest, block, sizeof(block), bytes, n);
}

static inline bool
hmac_sha256(uint8 *digest, const char *key, Size key_size, const char *bytes, Size n)
{
	uint8		block[PG_SHA256_BLOCK_LENGTH] = {0};

	if (key_size <= sizeof(block))
		memcpy(block, key, key_size);
	else
		sha256(block, (const uint8 *) key, key_size, "", 0);
	hash_padded(digest, block, 0x36, bytes, n);
	hash_padded(digest, block, 0x5c, digest, PG_SHA256_DIGEST_LENGTH);
	return true;
}
#endif

/* The type's older name. */
#if PG_VERSION_NUM >= 190000
typedef ReplOriginId RepOriginId;
#define InvalidRepOriginId InvalidReplOriginId
#endif

/* A setting by its name, or NULL. */
#if PG_VERSION_NUM >= 160000
#define find_setting(name) find_option((name), false, true, DEBUG5)
#else
static inline struct config_generic *
find_setting(const char *name)
{
	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(get_guc_variables()[i]->name, name) == 0)
			return get_guc_variables()[i];
	return NULL;
}
#endif

/* Until 15 these headers declare functions without parameters. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#pragma GCC diagnostic pop

/* Hooks' parameters, and the same as arguments. */
#if PG_VERSION_NUM >= 190000
#define PLANNER_PARAMETERS \
	Query *query, const char *query_text, int options, ParamListInfo bound, \
	struct ExplainState *explained
#define PLANNER_ARGUMENTS query, query_text, options, bound, explained
#else
#define PLANNER_PARAMETERS \
	Query *query, const char *query_text, int options, ParamListInfo bound
#define PLANNER_ARGUMENTS query, query_text, options, bound
#endif

#if PG_VERSION_NUM >= 140000
#define UTILITY_PARAMETERS \
	PlannedStmt *statement, const char *query_text, bool read_only_tree, \
	ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment, \
	DestReceiver *destination, QueryCompletion *completion
#define UTILITY_ARGUMENTS \
	statement, query_text, read_only_tree, context, params, environment, destination, completion
#else
#define UTILITY_PARAMETERS \
	PlannedStmt *statement, const char *query_text, ProcessUtilityContext context, \
	ParamListInfo params, QueryEnvironment *environment, DestReceiver *destination, \
	QueryCompletion *completion
#define UTILITY_ARGUMENTS \
	statement, query_text, context, params, environment, destination, completion
#endif

/*
 * Since 14 the server raises when a table is scanned without the functions for
 * catalogs while it decodes a transaction that may abort. This variable names
 * that transaction. Set it to any transaction that never aborts. The end of a
 * subtransaction resets it.
 */
#if PG_VERSION_NUM >= 140000
#define forbid_table_scans() (CheckXidAlive = FrozenTransactionId)
#define allow_table_scans() (CheckXidAlive = InvalidTransactionId)
#else
#define forbid_table_scans() ((void) 0)
#define allow_table_scans() ((void) 0)
#endif

/* Virtual generated columns are not stored. */
#if PG_VERSION_NUM >= 180000
#define attribute_is_virtual(att) ((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define attribute_is_virtual(att) false
#endif

/* The parser's result for a query without parameters. */
#if PG_VERSION_NUM >= 150000
#define analyze_and_rewrite(raw, text) \
	pg_analyze_and_rewrite_fixedparams((raw), (text), NULL, 0, NULL)
#else
#define analyze_and_rewrite(raw, text) pg_analyze_and_rewrite((raw), (text), NULL, 0, NULL)
#endif

#if PG_VERSION_NUM >= 190000
#define plan_query(query, text) pg_plan_query((query), (text), 0, NULL, NULL)
#else
#define plan_query(query, text) pg_plan_query((query), (text), 0, NULL)
#endif

/* Run a query until its receiver stops it. */
#if PG_VERSION_NUM >= 180000
#define executor_run(query) ExecutorRun((query), ForwardScanDirection, 0)
#define set_row_is_greater(comparison) ((comparison)->cmptype = COMPARE_GT)
#else
#define executor_run(query) ExecutorRun((query), ForwardScanDirection, 0, false)
#define set_row_is_greater(comparison) ((comparison)->rctype = ROWCOMPARE_GT)
#endif

#endif
