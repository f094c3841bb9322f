/*
 * output.h
 *		Documents to messages: one message each, or frames in batches.
 */
#ifndef WALSPOUT_OUTPUT_H
#define WALSPOUT_OUTPUT_H

#include "compat.h"
#include "frames.h"
#include "utils/hsearch.h"

/* A longer message is no mark. */
#define LONGEST_MARK 1024

typedef struct Output
{
	LogicalDecodingContext *ctx;
	const Options *options;
	bool		batch_open;		/* frames: a message has been begun */
	int			event_begin;	/* begin of the frame or document being written */
	Out			out;			/* its cursor */
	int			unreported;		/* changes since progress was last reported */
	TimestampTz reported;		/* last reported commit time */
	HTAB	   *schemas;		/* the last sent schema of each table; NULL: none */
	char		mark[LONGEST_MARK]; /* of the transaction, if txn->marked */
	Size		mark_size;
} Output;

extern void output_startup(Output *output, LogicalDecodingContext *ctx, const Options *options);

/* Begin the documents of a transaction that may have no event, if there are documents around it. */
extern void output_begin(Output *output, Transaction *txn);

/*
 * Begin the document of an event of a relation, or of a message with this
 * prefix; the other argument is NULL. Append to the returned cursor, then call
 * output_event_end().
 */
extern Out *output_event_begin(Output *output, Transaction *txn, CachedRelation *relation,
							   const char *prefix);
extern void output_event_end(Output *output, Transaction *txn, const FrameEvent *event);

/* The same for an event with its members' positions; in the format "frames" only. */
extern void output_told_event_end(Output *output, Transaction *txn, const FrameEvent *event,
								  const FrameMembers *members);

/*
 * Keep the mark of a reader of tables, of at most LONGEST_MARK bytes, until
 * the transaction is over: its position. A mark is no event. Of several marks
 * of a transaction the last one counts. Only in the format "frames".
 */
extern void output_mark(Output *output, Transaction *txn, const char *content, Size n);

/* The transaction is over: send the rest of it, and report progress. */
extern void output_commit(Output *output, Transaction *txn);

/*
 * Call it for each change, sent or not, before anything else. Keeps the
 * connection alive while a long transaction has no output.
 */
extern void output_tick(Output *output);

#endif
