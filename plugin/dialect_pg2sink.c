/*
 * dialect_pg2sink.c
 *		Documents as pg2sink sends them: the old row and the new one.
 */
#include "postgres.h"

#include "dialect_parts.h"
#include "text.h"

/* Transaction.detail is a Piece: {"timestamp":"...","sequence": */
static void
prepare(Transaction *txn, const Options *options)
{
	Piece	   *piece = palloc(sizeof(Piece));

	*piece = parts_piece(psprintf("{\"timestamp\":%s,\"sequence\":", parts_time(txn)));
	txn->detail = piece;
}

/* CachedRelation.detail is a Piece: ,"namespace":"s","name":"t" */
static void
make_detail(CachedRelation *relation, Relation own, const Options *options)
{
	Piece	   *piece = palloc(sizeof(Piece));

	*piece = parts_piece(psprintf("%s%s",
								  text_label_utf8(",\"namespace\":", relation->schema, ""),
								  text_label_utf8(",\"name\":", relation->table, "")));
	relation->detail = piece;
}

static void
write_head(Out *o, const Transaction *txn)
{
	append_piece(o, txn->detail);
	parts_number(o, txn->change_lsn);
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op, Row *row)
{
	write_head(o, txn);
	append_piece(o, row->relation->detail);
	row_begin(o, row, 0);
	append_literal(o, ",\"before\":");
	if (row->old != NULL && !row->hide_old)
		row_write_old(o, row);
	else
		append_literal(o, "null");
	append_literal(o, ",\"after\":");
	if (row->new != NULL)
		row_write_new(o, row);
	else
		append_literal(o, "null");
	row_write_left_out(o, row);
	append_literal(o, "}");
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	write_head(o, txn);
	append_piece(o, relation->detail);
	append_literal(o, ",\"before\":null,\"after\":null}");
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	write_head(o, txn);
	append_literal(o, ",\"message\":");
	parts_message(o, txn, options, message, 2);
	append_literal(o, "}");
}

const Dialect dialect_pg2sink = {
	.name = "pg2sink",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.relation = make_detail,
	.other_form = true,
};
