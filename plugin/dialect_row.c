/*
 * dialect_row.c
 *		The bare row: the operation is told outside of the document.
 *
 * A deleted row is the old row, as far as the WAL has it. A truncate is an
 * empty row. Values that are not in the WAL, or cannot be rendered, are
 * missing.
 */
#include "postgres.h"

#include "dialect.h"

static void
prepare(Transaction *txn, const Options *options)
{
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op, Row *row)
{
	row_begin(o, row, -1);
	if (row->new != NULL)
		row_write_new(o, row);
	else if (row->old != NULL)
		row_write_old(o, row);
	else
		append_literal(o, "{}");
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	append_literal(o, "{}");
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	envelope_message_members(o, txn, options, message, 1);
	close_object(o, 0);
}

const Dialect dialect_row = {
	.name = "row",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.other_form = true,
};
