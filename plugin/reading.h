/*
 * reading.h
 *		A table that is being read: its rows become events in a message.
 */
#ifndef WALSPOUT_READING_H
#define WALSPOUT_READING_H

#include "postgres.h"

#include "frames.h"
#include "key.h"
#include "lib/stringinfo.h"
#include "scan.h"

/* A value of the last row's key, which outlives the row. */
typedef struct LastValue
{
	Datum		value;
	void	   *copy;			/* of a value that is not passed by value */
	Size		room;
} LastValue;

typedef struct Reading
{
	Options		options;
	Relation	relation;
	bool		partitioned;
	Key		   *key;
	Bitmapset  *columns;		/* attribute numbers that are read */
	Transaction txn;			/* of which documents have the time only */
	ExprContext *caller;		/* whose end ends the reading; NULL: it has ended */
	MemoryContext per_row;		/* reset after each row */

	PlannedStmt *plan;
	TableScan  *scan;			/* NULL: there is none now */
	int			condition;		/* the condition's index in a row, or -1 */

	/* read_rows() */
	uint64		max_rows;
	uint64		max_bytes;
	TimestampTz deadline;		/* 0: none */
	int			rows_to_look;	/* until the clock is looked at */
	int			looked_at;		/* size of the message then */
	LastValue  *last;

	/* read_keys() */
	int			nkeys;
	char	  **keys;			/* NULL: it is read_rows() */
	int			next_key;
	Datum	   *values;			/* of some keys; in per_keys */
	MemoryContext per_keys;
	ParamListInfo parameters;
	char	  **wanted;			/* keys in order, in UTF-8; NULL: keys are looked up */

	StringInfoData message;		/* a bytea */
	uint64		sent;			/* bytes of the messages before */
	uint64		rows;			/* that were read */
	uint64		events;
	bool		limited;		/* a limit was reached */
	bool		complete;		/* the last message was returned */
} Reading;

/* Attribute numbers that rows of the relation need, and its key. */
extern Bitmapset *reading_columns(Relation relation, const CachedRelation *entry, const Key *key);

/* Is a column of the key hashed, so that rows are not found by the key that documents have? */
extern bool reading_key_is_hashed(const CachedRelation *entry);

/* Let the key know which names its columns have in documents. */
extern void reading_name_key(const CachedRelation *entry, Key *key);

/* Bring the keys that are wanted into order. */
extern void reading_sort_keys(Reading *r);

/* Append the frame of a relation that has not been told yet. */
extern void reading_announce(Reading *r, CachedRelation *entry);

/*
 * Append the event of a row, if the row is published. The slot has the columns
 * of the relation, and behind them the row's partition if there is one. Raises
 * if the row cannot be sent, or if what is published is not what is read.
 */
extern void reading_render(Reading *r, TupleTableSlot *slot);

#endif
