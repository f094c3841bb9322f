/*
 * dialect_sequin.c
 *		Messages as Sequin sends them: record, changes, action, metadata.
 *
 * Metadata has what the server knows. It lacks what only Sequin knows, such as
 * the consumer.
 */
#include "postgres.h"

#include "dialect_parts.h"
#include "format.h"
#include "text.h"

/* Transaction.detail */
typedef struct Shared
{
	Piece		commit;			/* ,"commit_timestamp":"...","commit_lsn":N,"commit_idx": */
	Piece		database;		/* ,"database_name":"d" */
} Shared;

static void
prepare(Transaction *txn, const Options *options)
{
	Shared	   *shared = palloc(sizeof(Shared));

	shared->commit = parts_piece(psprintf(",\"commit_timestamp\":%s,\"commit_lsn\":" UINT64_FORMAT
										  ",\"commit_idx\":", parts_time(txn), txn->lsn));
	shared->database = parts_piece(text_label_utf8(",\"database_name\":", parts_database(), ""));
	txn->detail = shared;
}

/* CachedRelation.detail is a Piece: "table_schema":"s","table_name":"t", */
static void
make_detail(CachedRelation *relation, Relation own, const Options *options)
{
	Piece	   *piece = palloc(sizeof(Piece));

	*piece = parts_piece(psprintf("%s%s",
								  text_label_utf8("\"table_schema\":", relation->schema, ","),
								  text_label_utf8("\"table_name\":", relation->table, ",")));
	relation->detail = piece;
}

/* The old value of a column if its JSON differs from the new value's. */
static void
write_if_changed(Out *o, Row *row, const Column *column)
{
	int			i = column->field.index;
	Size		begin = out_tell(o);
	Size		end;
	Datum		value;
	bool		isnull;

	/* a value that is not in the WAL did not change; nor did a constant */
	if (!row_new_value(row, column, &value, &isnull))
		return;
	if (!row_member(o, row, &column->field, row->old->values[i], row->old->nulls[i]))
		return;
	end = out_tell(o);
	if (row_member(o, row, &column->field, value, isnull) && out_tell(o) - end == end - begin &&
		memcmp(out_at(o, begin), out_at(o, end), end - begin) == 0)
		end = begin;
	out_rewind(o, end);
}

/* As far as the WAL has the old row: all of it under REPLICA IDENTITY FULL, else the key. */
static void
write_changes(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	Size		begin = out_tell(o);

	if (row->old != NULL)
		for (int i = 0; i < r->ncolumns - r->nconstants; i++)
			if (r->full || r->columns[i].in_identity)
				write_if_changed(o, row, &r->columns[i]);
	close_object(o, begin);
}

/* ,"action":"insert","metadata":{... without its end */
static void
write_metadata(Out *o, const Transaction *txn, const CachedRelation *relation, uint64 index, char op)
{
	const Shared *shared = txn->detail;
	char		key[64];
	char	   *p = format_uint64(key, txn->lsn);

	*p++ = ':';
	p = format_uint64(p, index);
	append_literal(o, ",\"action\":\"");
	append_text(o, parts_action(op));
	append_literal(o, "\",\"metadata\":{");
	if (relation != NULL)
		append_piece(o, relation->detail);
	append_literal(o, "\"idempotency_key\":\"");
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_base64(o->p, (unsigned char *) key, p - key);
	append_literal(o, "\"");
	append_piece(o, &shared->commit);
	parts_number(o, index);
	append_piece(o, &shared->database);
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op, Row *row)
{
	append_literal(o, "{\"record\":");
	row_begin(o, row, 0);
	if (row->new != NULL)
		row_write_new(o, row);
	else if (row->old != NULL)
		row_write_old(o, row);
	else
		append_literal(o, "{}");
	append_literal(o, ",\"changes\":");
	if (op == 'u')
		write_changes(o, row);
	else
		append_literal(o, "null");
	write_metadata(o, txn, row->relation, index, op);
	row_write_left_out(o, row);
	append_literal(o, "}}");
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	append_literal(o, "{\"record\":{},\"changes\":null");
	write_metadata(o, txn, relation, index, 't');
	append_literal(o, "}}");
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	append_literal(o, "{\"record\":");
	parts_message(o, txn, options, message, 2);
	append_literal(o, ",\"changes\":null");
	write_metadata(o, txn, NULL, index, 'm');
	append_literal(o, "}}");
}

const Dialect dialect_sequin = {
	.name = "sequin",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.relation = make_detail,
	.other_form = true,
};
