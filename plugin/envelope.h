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
 * A transaction as far as its documents describe it. A non-transactional
 * message is a transaction of one event with xid 0, its own LSN and no time.
 */
typedef struct Transaction
{
	XLogRecPtr	lsn;			/* of the commit record, or of the message */
	XLogRecPtr	end_lsn;		/* the LSN to confirm when all of it is durable */
	TransactionId xid;			/* top-level */
	TimestampTz commit_time;	/* meaningless if xid is 0 */
	RepOriginId origin;

	XLogRecPtr	change_lsn;		/* of the change being decoded */
	uint64		next_index;		/* of the next change, sent or not */
	uint64		events;			/* sent so far */
	bool		begun;			/* something was sent, events or not */
	bool		marked;			/* a mark waits for the commit */
	bool		has_begin;		/* a begin document was sent, so an end document will be */
	HTAB	   *counts;			/* of TableCount, see Dialect.count */
	List	   *counted;		/* of TableCount *, in the order of their first events */
	struct TableCount *last_count;	/* that of the last event */

	/* the part that all documents share, set by envelope_begin() */
	char		id[32];			/* ,"id":"LSN- */
	int			id_size;
	char		stamp[64];		/* ,"ts":"...","xid":N */
	int			stamp_size;
	char	   *source;			/* ,"origin":"name" */
	int			source_size;
	void	   *detail;			/* for other dialects */
} Transaction;

/* How many events of a table a transaction had. */
typedef struct TableCount
{
	Oid			relid;			/* hash key: must be first. The table as published */
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
 * Rows that are read from their tables, and schemas of these tables. Their
 * transaction has only commit_time, the time of the reading.
 * envelope_begin_reading() prepares what documents share, the other functions
 * append one document. For dialect_walspout only.
 */
extern void envelope_begin_reading(Transaction *txn, const Options *options);
extern void envelope_read_row(Out *o, const Transaction *txn, const Options *options, Row *row);
extern void envelope_read_schema(Out *o, const Transaction *txn, const Options *options,
								 const CachedRelation *relation);

/*
 * The document of a table's schema, from relation->schema_told.
 * dialect_walspout must have prepared.
 */
extern void envelope_schema(Out *o, const Transaction *txn, const Options *options,
							const CachedRelation *relation);

/*
 * Append ,"prefix":... to ,"elided":... of a message, inside so many objects;
 * close_object() makes the first comma a brace.
 */
extern void envelope_message_members(Out *o, const Transaction *txn, const Options *options,
									 const Message *message, int depth);

/* For other dialects: is the message's content text, and ,"elided":{...} if there is any. */
extern bool envelope_is_text(const Message *message);

/* Append a part of a message with the functions below, if it has at most max bytes as JSON. */
typedef bool (*WritePart) (Out *o, const Message *message);
extern bool envelope_message_part(Out *o, const Message *message, WritePart write, Size max);
extern bool envelope_prefix(Out *o, const Message *message);
extern bool envelope_text(Out *o, const Message *message);
extern bool envelope_base64(Out *o, const Message *message);
extern void envelope_message_elided(Out *o, const Message *message, bool prefix, bool content);

#endif
