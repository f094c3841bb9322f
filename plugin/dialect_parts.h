/*
 * dialect_parts.h
 *		What several dialects write: names of the database, and of operations.
 */
#ifndef WALSPOUT_DIALECT_PARTS_H
#define WALSPOUT_DIALECT_PARTS_H

#include "dialect.h"

/* The name of the database in UTF-8; reads catalogs, allocates in the current context. */
extern const char *parts_database(void);

/* The option "host", or "unknown". */
extern const char *parts_host(const Options *options);

/* insert, update, delete, truncate or message. */
extern const char *parts_action(char op);

/* Text that is prepared once for a transaction, or for a relation. */
typedef struct Piece
{
	const char *text;
	int			size;
} Piece;

extern Piece parts_piece(const char *s);

static inline void
append_piece(Out *o, const Piece *piece)
{
	append(o, piece->text, piece->size);
}

static inline void
append_text(Out *o, const char *s)
{
	append(o, s, strlen(s));
}

extern void parts_number(Out *o, uint64 number);

/* "2026-01-31T11:22:33.123456Z", or null if a message has no transaction. */
extern char *parts_time(const Transaction *txn);

/* "label":{"prefix":..., "transactional":..., "content":...} without label. */
extern void parts_message(Out *o, const Transaction *txn, const Options *options,
						  const Message *message, int depth);

#endif
