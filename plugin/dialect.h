/*
 * dialect.h
 *		The forms of documents: walspout's own, and those of other programs.
 *
 * A dialect is one table of functions, and decides only the documents. The
 * sent changes, their order, their ids and the frames around them are the same
 * in every dialect.
 */
#ifndef WALSPOUT_DIALECT_H
#define WALSPOUT_DIALECT_H

#include "envelope.h"
#include "types.h"

typedef struct Dialect
{
	const char *name;

	/*
	 * Prepare the parts that a transaction's documents share, before its first
	 * document. Reads catalogs; allocates in the current context.
	 */
	void		(*prepare) (Transaction *txn, const Options *options);

	/* Append one document; index is the change's in the transaction. */
	void		(*row) (Out *o, const Transaction *txn, const Options *options, uint64 index,
						char op, Row *row);
	void		(*truncate) (Out *o, const Transaction *txn, const Options *options, uint64 index,
							 const CachedRelation *relation, bool cascade, bool restart_identity);
	void		(*message) (Out *o, const Transaction *txn, const Options *options, uint64 index,
							const Message *message);

	/* The documents around a transaction; NULL: it has none. */
	void		(*begin) (Out *o, const Transaction *txn, const Options *options);
	void		(*commit) (Out *o, const Transaction *txn, const Options *options);

	/*
	 * Append the key of a message, or of the documents around a transaction, or
	 * nothing. NULL: these have no keys. Only frames have them.
	 */
	void		(*message_key) (Out *o, const Options *options, const Message *message);
	void		(*end_key) (Out *o, const Transaction *txn);

	/*
	 * Count an event of the relation. NULL: these documents have no such
	 * counts. Allocates in the current context, which lives as long as the
	 * transaction.
	 */
	void		(*count) (Transaction *txn, const CachedRelation *relation);

	/*
	 * Prepare the parts that a relation's documents share, as
	 * relation->detail. The columns and their shape are complete by then.
	 * NULL: nothing. Reads catalogs; allocates in the current context.
	 */
	void		(*relation) (CachedRelation *relation, Relation own, const Options *options);

	/*
	 * The encoder of a column's values; plain is that of row_to_json(). NULL:
	 * use plain.
	 */
	const Encoder *(*encoder) (Form_pg_attribute att, const Encoder *plain, EncoderSet *made,
							   const Options *options);

	bool		other_form;		/* has no key, before and after as frames describe them */
	bool		tells_host;		/* the document names where the database is */
	bool		own_values;		/* options about values have no effect */
	bool		transactions;	/* documents around a transaction, unless the options say no */
	bool		every_transaction;	/* also around transactions of which no change is sent */
	bool		splits_moves;	/* an update that changes the key becomes a delete and an insert */
} Dialect;

/* The index of the event for a change. If an update may become two events, each change takes two numbers. */
static inline uint64
dialect_index(const Dialect *dialect, uint64 index)
{
	return dialect->splits_moves ? index * 2 : index;
}

/* The default dialect. */
extern const Dialect dialect_walspout;

extern const Dialect dialect_wal2json;
extern const Dialect dialect_debezium;
extern const Dialect dialect_row;
extern const Dialect dialect_psql_streamer;
extern const Dialect dialect_pg2sink;
extern const Dialect dialect_cloudevents;
extern const Dialect dialect_sequin;

/* All dialects; NULL at the end. */
extern const Dialect *const dialects[];

#endif
