/*
 * dialect_cloudevents.c
 *		CloudEvents 1.0 in structured JSON.
 *
 * The event's id is the attribute id, and the parts of the row are its data, as
 * in the default dialect.
 */
#include "postgres.h"

#include "dialect_parts.h"
#include "text.h"

/* Transaction.detail */
typedef struct Shared
{
	Piece		id;				/* {"id":"LSN- */
	Piece		source;			/* ","specversion":"1.0","source":"...","type":"io.walspout. */
	Piece		time;			/* ,"time":"...", or nothing */
} Shared;

/* A name as part of a URI. */
static char *
escape_name(const char *name)
{
	StringInfoData s;

	initStringInfo(&s);
	for (; *name != '\0'; name++)
	{
		unsigned char c = *name;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			strchr("-._~", c) != NULL)
			appendStringInfoChar(&s, c);
		else
			appendStringInfo(&s, "%%%02X", c);
	}
	return s.data;
}

static void
prepare(Transaction *txn, const Options *options)
{
	Shared	   *shared = palloc0(sizeof(Shared));
	const char *place = options->host != NULL ? psprintf("//%s", escape_name(options->host)) : "/walspout";

	shared->id = parts_piece(psprintf("{\"id\":\"" UINT64_FORMAT "-", txn->lsn));
	shared->source = parts_piece(psprintf("\",\"specversion\":\"1.0\",\"source\":\"%s/%s\","
										  "\"type\":\"io.walspout.", place,
										  escape_name(parts_database())));
	shared->time = parts_piece(TransactionIdIsValid(txn->xid) ?
							   psprintf(",\"time\":%s", parts_time(txn)) : "");
	txn->detail = shared;
}

/* CachedRelation.detail is a Piece: ,"subject":"s.t" */
static void
make_detail(CachedRelation *relation, Relation own, const Options *options)
{
	Piece	   *piece = palloc(sizeof(Piece));

	*piece = parts_piece(text_label_utf8(",\"subject\":",
										 psprintf("%s.%s", relation->schema, relation->table), ""));
	relation->detail = piece;
}

static Size
write_head(Out *o, const Transaction *txn, const CachedRelation *relation, uint64 index, char op)
{
	const Shared *shared = txn->detail;

	append_piece(o, &shared->id);
	parts_number(o, index);
	append_piece(o, &shared->source);
	append(o, &op, 1);
	append_literal(o, "\"");
	if (relation != NULL)
		append_piece(o, relation->detail);
	append_piece(o, &shared->time);
	append_literal(o, ",\"datacontenttype\":\"application/json\",\"data\":");
	return out_tell(o);
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op, Row *row)
{
	Size		data = write_head(o, txn, row->relation, index, op);

	row_begin(o, row, 1);
	row_write_parts(o, row);
	close_object(o, data);
	append_literal(o, "}");
	/* frames describe no object but the key behind the document */
	row->before.size = row->after.size = 0;
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	write_head(o, txn, relation, index, 't');
	append_text(o, cascade ? "{\"cascade\":true" : "{\"cascade\":false");
	append_text(o, restart_identity ? ",\"restart_identity\":true}}" : ",\"restart_identity\":false}}");
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	write_head(o, txn, NULL, index, 'm');
	parts_message(o, txn, options, message, 2);
	append_literal(o, "}");
}

const Dialect dialect_cloudevents = {
	.name = "cloudevents",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.relation = make_detail,
	.other_form = true,
	.tells_host = true,
};
