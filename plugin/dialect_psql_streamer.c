/*
 * dialect_psql_streamer.c
 *		Documents as psql-streamer sends them.
 *
 * Its Timestamp is the time of reading; ours is the time of the commit, so
 * that a resent document is the same.
 */
#include "postgres.h"

#include "dialect_parts.h"
#include "text.h"

/* Transaction.detail */
typedef struct Shared
{
	Piece		begin;			/* {"Host":"h","Database":"d" */
	Piece		time;			/* ,"Timestamp":"..." */
} Shared;

static void
prepare(Transaction *txn, const Options *options)
{
	Shared	   *shared = palloc(sizeof(Shared));

	shared->begin = parts_piece(psprintf("%s%s",
										 text_label("{\"Host\":", parts_host(options), ""),
										 text_label_utf8(",\"Database\":", parts_database(), "")));
	shared->time = parts_piece(psprintf(",\"Timestamp\":%s", parts_time(txn)));
	txn->detail = shared;
}

static void
make_detail(CachedRelation *relation, Relation own, const Options *options)
{
	Piece	   *piece = palloc(sizeof(Piece));

	*piece = parts_piece(text_label_utf8(",\"Table\":", relation->table, ""));
	relation->detail = piece;
}

static void
write_head(Out *o, const Transaction *txn, const CachedRelation *relation, char op)
{
	const Shared *shared = txn->detail;

	append_piece(o, &shared->begin);
	if (relation != NULL)
		append_piece(o, relation->detail);
	append_literal(o, ",\"Action\":\"");
	append_text(o, parts_action(op));
	append_literal(o, "\",\"WALPosition\":");
	parts_number(o, txn->change_lsn);
	append_piece(o, &shared->time);
	append_literal(o, ",\"Columns\":");
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op, Row *row)
{
	write_head(o, txn, row->relation, op);
	row_begin(o, row, 0);
	if (row->new != NULL)
		row_write_new(o, row);
	else if (row->old != NULL)
		row_write_old(o, row);
	else
		append_literal(o, "{}");
	row_write_left_out(o, row);
	append_literal(o, "}");
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	write_head(o, txn, relation, 't');
	append_literal(o, "{}}");
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	write_head(o, txn, NULL, 'm');
	parts_message(o, txn, options, message, 2);
	append_literal(o, "}");
}

const Dialect dialect_psql_streamer = {
	.name = "psql-streamer",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.relation = make_detail,
	.other_form = true,
	.tells_host = true,
};
