/*
 * dialect.h
 *		The forms of documents: that of walspout, and those of other programs.
 *
 * A dialect is one table of functions. Its documents are made of what the
 * stages before have found: which changes are sent, their order, their ids and
 * the frames around them are the same in every dialect.
 */
#ifndef WALSPOUT_DIALECT_H
#define WALSPOUT_DIALECT_H

#include "envelope.h"
#include "types.h"

typedef struct Dialect
{
	const char *name;

	/*
	 * Prepare what a transaction's documents share, before its first one.
	 * Reads catalogs; allocates in the current context.
	 */
	void		(*prepare) (Transaction *txn, const Options *options);

	/* Append one document each; index is that of the change in the transaction. */
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
	 * Count an event of the relation, for these documents. NULL: they have no
	 * such counts. Allocates in the current context, which lives as long as the
	 * transaction.
	 */
	void		(*count) (Transaction *txn, const CachedRelation *relation);

	/*
	 * Prepare what a relation's documents share, as relation->detail: of the
	 * columns all is known, and their shape. NULL: nothing. Reads catalogs;
	 * allocates in the current context.
	 */
	void		(*relation) (CachedRelation *relation, Relation own, const Options *options);

	/*
	 * The encoder of a column's values, plain being that of row_to_json().
	 * NULL: that one.
	 */
	const Encoder *(*encoder) (Form_pg_attribute att, const Encoder *plain, EncoderSet *made,
							   const Options *options);

	bool		other_form;		/* the document has no key, before and after as frames tell them */
	bool		tells_host;		/* the document names where the database is */
	bool		own_values;		/* options about values mean nothing */
	bool		transactions;	/* documents around a transaction unless the options say no */
	bool		every_transaction;	/* also around those without a change that is sent */
	bool		splits_moves;	/* an update that changes the key becomes a delete and an insert */
} Dialect;

/* The index of the event that a change becomes. Where an update may become two, each change has two numbers. */
static inline uint64
dialect_index(const Dialect *dialect, uint64 index)
{
	return dialect->splits_moves ? index * 2 : index;
}

/* The default. */
extern const Dialect dialect_walspout;

extern const Dialect dialect_wal2json;
extern const Dialect dialect_debezium;
extern const Dialect dialect_row;
extern const Dialect dialect_psql_streamer;
extern const Dialect dialect_pg2sink;
extern const Dialect dialect_cloudevents;
extern const Dialect dialect_sequin;

/* All of them; NULL at the end. */
extern const Dialect *const dialects[];

#endif
