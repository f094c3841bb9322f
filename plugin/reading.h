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
	void	   *copy;			/* of a value passed by reference */
	Size		room;
} LastValue;

typedef struct Reading
{
	Options		options;
	Relation	relation;
	bool		partitioned;
	Key		   *key;
	Bitmapset  *columns;		/* attribute numbers that are read */
	Transaction txn;			/* its documents use only the time */
	ExprContext *caller;		/* its end ends the reading; NULL: it has ended */
	MemoryContext per_row;		/* reset after each row */

	PlannedStmt *plan;
	TableScan  *scan;			/* NULL: no scan is open */
	int			condition;		/* the condition's index in a row, or -1 */

	/* read_rows() */
	uint64		max_rows;
	uint64		max_bytes;
	TimestampTz deadline;		/* 0: none */
	int			rows_to_look;	/* rows until the next look at the clock */
	int			looked_at;		/* size of the message at the last look */
	LastValue  *last;

	/* read_keys() */
	int			nkeys;
	char	  **keys;			/* NULL: it is read_rows() */
	int			next_key;
	Datum	   *values;			/* of a batch of keys; in per_keys */
	MemoryContext per_keys;
	ParamListInfo parameters;
	char	  **wanted;			/* sorted keys, in UTF-8; NULL: keys are looked up */

	StringInfoData message;		/* a bytea */
	uint64		sent;			/* bytes of the messages before */
	uint64		rows;			/* that were read */
	uint64		events;			/* rows that were sent */
	bool		schema_sent;	/* the call has a schema */
	uint64		schema;			/* the fingerprint of the last one */
	bool		limited;		/* a limit was reached */
	bool		complete;		/* the last message was returned */
} Reading;

/* Attribute numbers that rows of the relation need, and its key. */
extern Bitmapset *reading_columns(Relation relation, const CachedRelation *entry, const Key *key);

/* Is a column of the key hashed, so that the documents' key does not find rows? */
extern bool reading_key_is_hashed(const CachedRelation *entry);

/* Set the key's column names as documents have them. */
extern void reading_name_key(const CachedRelation *entry, Key *key);

/* Sort the wanted keys. */
extern void reading_sort_keys(Reading *r);

/* Append the frame of a relation that was not announced yet, and its schema with that option. */
extern void reading_announce(Reading *r, CachedRelation *entry);

/*
 * Append the event of a row, if the row is published. The slot has the
 * relation's columns, and then the row's partition if there is one. Raises if
 * the row cannot be sent, or if a published column is not read.
 */
extern void reading_render(Reading *r, TupleTableSlot *slot);

#endif
