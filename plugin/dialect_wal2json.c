/*
 * dialect_wal2json.c
 *		Documents as wal2json writes them in its format version 2.
 *
 * They are the same byte for byte, in a session with the settings that all of
 * our values are rendered with. If wal2json omits a member, or leaves a change
 * out with a warning, we send the member or the document: docs/dialects.md has
 * the list.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "dialect.h"
#include "format.h"
#include "guard.h"
#include "plain.h"
#include "text.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "values.h"

/* The text before a column's value: ,{"name":"a","type":"t","value": for put_label(). */
typedef struct Label
{
	const char *text;
	int			size;
} Label;

/* CachedRelation.detail */
typedef struct TableDetail
{
	Label	   *labels;			/* of each column */
	const char *pk;				/* ,"pk":[...], or nothing */
	int			pk_size;
} TableDetail;

/* Transaction.detail: ,"xid":N,"timestamp":"..." */
typedef struct Stamp
{
	char		text[128 + FORMAT_WIDTH];
	int			size;
} Stamp;

static char *
put_text(char *p, const char *s)
{
	Size		n = strlen(s);

	memcpy(p, s, n);
	return p + n;
}

/* As output functions print it, unlike to_json(). */
static char *
put_timestamp(char *p, TimestampTz ts)
{
	return plain_timestamp(p, format_timestamptz(p, ts));
}

static void
prepare(Transaction *txn, const Options *options)
{
	Stamp	   *stamp = palloc0(sizeof(Stamp));
	bool		timed = TransactionIdIsValid(txn->xid);
	char	   *p = stamp->text;

	if (options->wal2json.xids)
	{
		p = put_text(p, ",\"xid\":");
		p = timed ? format_uint64(p, txn->xid) : put_text(p, "null");
	}
	if (options->wal2json.timestamp && timed)
	{
		p = put_text(p, ",\"timestamp\":\"");
		p = put_timestamp(p, txn->commit_time);
		*p++ = '"';
	}
	else if (options->wal2json.timestamp)
		p = put_text(p, ",\"timestamp\":null");
	stamp->size = p - stamp->text;
	txn->detail = stamp;
}

static inline void
write_lsn(Out *o, const char *label, XLogRecPtr lsn)
{
	out_reserve(o, FORMAT_WIDTH);
	put(o, label, strlen(label));
	o->p = format_lsn(o->p, lsn);
	put_char(o, '"');
}

/* {"action":"I","xid":N,"timestamp":"...","lsn":"..." */
static inline void
write_head(Out *o, const Transaction *txn, const Options *options, char action, XLogRecPtr lsn)
{
	const Stamp *stamp = txn->detail;

	out_reserve(o, FORMAT_WIDTH + stamp->size);
	put_literal(o, "{\"action\":\"");
	put_char(o, action);
	put_char(o, '"');
	put(o, stamp->text, stamp->size);
	if (options->wal2json.lsn)
		write_lsn(o, ",\"lsn\":\"", lsn);
}

static inline void
write_names(Out *o, const CachedRelation *relation)
{
	append(o, relation->names, relation->names_size);
}

/* Append the column's object. False, and nothing is appended, if the value is left out. */
static inline bool
write_column(Out *o, Row *row, int i, Datum value, bool isnull)
{
	const Label *label = &((TableDetail *) row->relation->detail)->labels[i];
	Size		begin;

	out_reserve(o, LABEL_ROOM(label->size));
	begin = out_tell(o);
	put_label(o, label->text, label->size);
	if (unlikely(!row_value(o, row, &row->relation->columns[i].field, value, isnull)))
	{
		out_rewind(o, begin);
		return false;
	}
	append_literal(o, "}");
	return true;
}

/* End the array whose members were appended from position begin on, each with a comma before it. */
static void
close_array(Out *o, Size begin)
{
	out_reserve(o, 2);
	if (out_tell(o) == begin)
		put_char(o, '[');
	else
		o->s->data[o->start + begin] = '[';
	put_char(o, ']');
}

static void
write_columns(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	Size		begin;

	append_literal(o, ",\"columns\":");
	begin = out_tell(o);
	for (int i = 0; i < r->ncolumns; i++)
	{
		Datum		value = row->new->values[r->columns[i].field.index];
		bool		isnull = row->new->nulls[r->columns[i].field.index];

		/* wal2json sends nothing here, even if the old row has the value */
		if (unlikely(!isnull && value_is_unchanged_toast(value, r->columns[i].field.encoder->typlen)))
			row_note_unchanged(row, &r->columns[i].field);
		else
			write_column(o, row, i, value, isnull);
	}
	close_array(o, begin);
}

/* The old row. Without one, the new row's identity columns: they did not change. */
static void
write_identity(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	const Deformed *from = row->old != NULL ? row->old : row->new;
	bool		whole = r->full && row->old != NULL;
	Size		begin;

	append_literal(o, ",\"identity\":");
	begin = out_tell(o);
	for (int i = 0; i < r->ncolumns; i++)
	{
		const Column *column = &r->columns[i];
		Datum		value = from->values[column->field.index];
		bool		isnull = from->nulls[column->field.index];

		if ((whole || column->in_identity) &&
			(isnull || !value_is_unchanged_toast(value, column->field.encoder->typlen)))
			write_column(o, row, i, value, isnull);
	}
	close_array(o, begin);
}

static bool
has_identity(const CachedRelation *r)
{
	for (int i = 0; i < r->ncolumns - r->nconstants; i++)
		if (r->columns[i].in_identity)
			return true;
	return false;
}

static void
write_row(Out *o, const Transaction *txn, const Options *options, uint64 index, char op, Row *row)
{
	const TableDetail *detail = row->relation->detail;

	write_head(o, txn, options, op == 'c' ? 'I' : op == 'u' ? 'U' : 'D', txn->change_lsn);
	write_names(o, row->relation);
	row_begin(o, row, 1);
	if (row->new != NULL)
		write_columns(o, row);
	if (!row->hide_old && (row->old != NULL || (row->new != NULL && has_identity(row->relation))))
		write_identity(o, row);
	append(o, detail->pk, detail->pk_size);
	row_write_left_out(o, row);
	append_literal(o, "}");
}

static void
write_truncate(Out *o, const Transaction *txn, const Options *options, uint64 index,
			   const CachedRelation *relation, bool cascade, bool restart_identity)
{
	write_head(o, txn, options, 'T', txn->change_lsn);
	write_names(o, relation);
	append_literal(o, "}");
}

static void
write_message(Out *o, const Transaction *txn, const Options *options, uint64 index,
			  const Message *message)
{
	Size		max = (Size) options->max_value_bytes;
	bool		has_prefix;
	bool		has_content;

	write_head(o, txn, options, 'M', txn->change_lsn);
	if (message->transactional)
		append_literal(o, ",\"transactional\":true,\"prefix\":");
	else
		append_literal(o, ",\"transactional\":false,\"prefix\":");
	has_prefix = envelope_message_part(o, message, envelope_prefix, max);
	if (!has_prefix)
		append_literal(o, "null");
	append_literal(o, ",\"content\":");
	has_content = message->size <= (max > 0 ? max : document_limit) &&
		envelope_message_part(o, message, envelope_text, max);
	if (!has_content)
		append_literal(o, "null");
	envelope_message_elided(o, message, !has_prefix, !has_content);
	append_literal(o, "}");
}

static void
write_begin(Out *o, const Transaction *txn, const Options *options)
{
	write_head(o, txn, options, 'B', txn->lsn);
	if (options->wal2json.lsn)
		write_lsn(o, ",\"nextlsn\":\"", txn->end_lsn);
	append_literal(o, "}");
}

static void
write_commit(Out *o, const Transaction *txn, const Options *options)
{
	write_head(o, txn, options, 'C', txn->lsn);
	if (options->wal2json.lsn)
		write_lsn(o, ",\"nextlsn\":\"", txn->end_lsn);
	append_literal(o, "}");
}

typedef struct NamedShape
{
	const ColumnShape *shape;
	char	   *name;
} NamedShape;

static void
format_name(void *arg)
{
	NamedShape *t = arg;

	int32		modifier = shape_prints_modifiers(t->shape->type) ? t->shape->type_modifier : -1;

	t->name = format_type_extended(t->shape->type, modifier,
								   FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_ALLOW_INVALID);
}

/*
 * wal2json takes a name in double quotes for JSON, which it mostly is. Any
 * other name becomes a JSON string.
 */
static bool
is_json_string(const char *name)
{
	Size		n = strlen(name);

	if (n < 2 || name[0] != '"' || name[n - 1] != '"')
		return false;
	for (Size i = 1; i < n - 1; i++)
		if (name[i] == '"' || name[i] == '\\' || (unsigned char) name[i] < ' ')
			return false;
	return true;
}

/* The type's name as format_type() prints it, as JSON after before. */
static char *
type_member(const ColumnShape *shape, const char *before)
{
	NamedShape	t = {.shape = shape};

	if (!guarded(GUARD_NAMES, format_name, &t))
		t.name = pstrdup("");
	if (!is_json_string(t.name))
		return text_label(before, t.name, "");
	t.name[strlen(t.name) - 1] = '\0';
	return text_label(before, t.name + 1, "");
}

/* The columns of the primary key whose uniqueness is checked at once. */
static Bitmapset *
primary_key(Relation relation)
{
	return RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
}

static void
append_name_and_type(StringInfo s, const CachedRelation *relation, int i, const Options *options)
{
	const Field *field = &relation->columns[i].field;

	/* the label is ,"name": */
	appendStringInfoString(s, ",{\"name\":");
	appendBinaryStringInfo(s, field->label + 1, field->label_size - 2);
	if (options->wal2json.types)
	{
		char	   *type = type_member(&relation->shape[i], ",\"type\":");

		appendStringInfoString(s, type);
		pfree(type);
	}
}

static Label
make_label(const CachedRelation *relation, int i, const Options *options)
{
	StringInfoData s;
	Label		label;

	initStringInfo(&s);
	append_name_and_type(&s, relation, i, options);
	appendStringInfoString(&s, ",\"value\":");
	label.size = s.len;
	label.text = palloc0(LABEL_ROOM(s.len));
	memcpy((char *) label.text, s.data, s.len);
	pfree(s.data);
	return label;
}

static void
make_pk(TableDetail *detail, const CachedRelation *relation, Relation own, const Options *options)
{
	Bitmapset  *key = primary_key(own);
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, ",\"pk\":[");
	for (int i = 0; i < relation->ncolumns - relation->nconstants; i++)
	{
		int			attnum = relation->columns[i].field.index + 1;
		int			begin = s.len;

		if (!bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, key))
			continue;
		append_name_and_type(&s, relation, i, options);
		appendStringInfoChar(&s, '}');
		if (s.data[begin - 1] == '[')
		{
			memmove(s.data + begin, s.data + begin + 1, s.len - begin);
			s.len--;
		}
	}
	appendStringInfoChar(&s, ']');
	bms_free(key);
	detail->pk = s.data;
	detail->pk_size = s.len;
}

static void
make_detail(CachedRelation *relation, Relation own, const Options *options)
{
	TableDetail *detail = palloc0(sizeof(TableDetail));

	detail->labels = palloc(sizeof(Label) * Max(relation->ncolumns, 1));
	for (int i = 0; i < relation->ncolumns; i++)
		detail->labels[i] = make_label(relation, i, options);
	detail->pk = "";
	if (options->wal2json.pk)
		make_pk(detail, relation, own, options);
	relation->detail = detail;
}

static const Encoder *
encoder(Form_pg_attribute att, const Encoder *plain, EncoderSet *made, const Options *options)
{
	return plain_encoder(att->atttypid, plain);
}

const Dialect dialect_wal2json = {
	.name = "wal2json",
	.prepare = prepare,
	.row = write_row,
	.truncate = write_truncate,
	.message = write_message,
	.begin = write_begin,
	.commit = write_commit,
	.relation = make_detail,
	.encoder = encoder,
	.other_form = true,
	.own_values = true,
	.transactions = true,
	.every_transaction = true,
};
