/*
 * envelope.h
 *		The document of a change, around its row.
 */
#ifndef WALSPOUT_ENVELOPE_H
#define WALSPOUT_ENVELOPE_H

#include "access/xlogdefs.h"
#include "compat.h"
#include "options.h"
#include "row.h"
#include "utils/hsearch.h"

/*
 * A transaction as far as its documents tell about it. A non-transactional
 * message is a transaction of one event with xid 0, its own LSN and no time.
 */
typedef struct Transaction
{
	XLogRecPtr	lsn;			/* of the commit record, or of the message */
	XLogRecPtr	end_lsn;		/* the position to confirm when all of it is durable */
	TransactionId xid;			/* top-level */
	TimestampTz commit_time;	/* meaningless if xid is 0 */
	RepOriginId origin;

	uint64		next_index;		/* of the next change, sent or not */
	uint64		events;			/* sent so far */
	bool		begun;			/* something of it was sent, events or not */
	HTAB	   *counts;			/* of TableCount, where Options.transactions asks for it */
	List	   *counted;		/* of TableCount *, in the order of their first events */
	struct TableCount *last_count;	/* the one of the last event */

	/* what all documents have in common, set by envelope_begin() */
	char		id[32];			/* ,"id":"LSN- */
	int			id_size;
	char		stamp[64];		/* ,"ts":"...","xid":N */
	int			stamp_size;
	char	   *source;			/* ,"origin":"name" */
	int			source_size;
} Transaction;

/* How many events of a table a transaction had. */
typedef struct TableCount
{
	Oid			relid;			/* hash key: must be first. As which it is published */
	char	   *names;			/* "schema":"s","table":"t" as they were first */
	uint64		events;
} TableCount;

/* A logical message. */
typedef struct Message
{
	const char *prefix;
	const char *content;
	Size		size;
	bool		transactional;
} Message;

/*
 * Prepare what a transaction's documents share, before its first one. Reads
 * the catalog of origins; allocates in the current context.
 */
extern void envelope_begin(Transaction *txn, const Options *options);

/* The same for rows that are read from their tables: commit_time is when, and all else is not used. */
extern void envelope_begin_reading(Transaction *txn, const Options *options);

/* Append one document each; index is that of the change in the transaction. */
extern void envelope_row(Out *o, const Transaction *txn, const Options *options, uint64 index,
						 char op, Row *row);
extern void envelope_read_row(Out *o, const Transaction *txn, const Options *options, Row *row);
extern void envelope_schema(Out *o, const Transaction *txn, const Options *options,
							const CachedRelation *relation);
extern void envelope_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
							  const CachedRelation *relation, bool cascade, bool restart_identity);
extern void envelope_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
							 const Message *message);

/*
 * Count an event of the relation, where Options.transactions asks for it.
 * Allocates in the current context, which must live as long as the transaction.
 */
extern void envelope_count(Transaction *txn, const CachedRelation *relation);

/* The documents around a transaction, where Options.transactions asks for them. */
extern void envelope_begin_document(Out *o, const Transaction *txn, const Options *options);
extern void envelope_commit_document(Out *o, const Transaction *txn, const Options *options);

#endif
