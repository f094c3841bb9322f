/*
 * row.c
 *		One changed row: its key, its old and its new values.
 *
 * A value that cannot be rendered, for whatever reason, is removed completely
 * and named in "elided": the row is always sent.
 */
#include "postgres.h"

#include "row.h"

#include "access/detoast.h"
#include "format.h"
#include "utils/memutils.h"
#include "values.h"

/* Every value is in an object of the document. */
#define DEPTH_OF_VALUES 2

static void
note_elided(Row *row, const Field *field, Size size)
{
	row->left_out++;
	for (int i = 0; i < row->nelided; i++)
		if (row->elided[i].field == field)
		{
			/* the new value is rendered last and counts */
			row->elided[i].size = size;
			return;
		}
	if (row->elided == NULL)
		row->elided = palloc(sizeof(Elided) * row->relation->ncolumns);
	row->elided[row->nelided].field = field;
	row->elided[row->nelided].size = size;
	row->nelided++;
}

static void
note_unchanged(Row *row, const Field *field)
{
	if (row->unchanged == NULL)
		row->unchanged = palloc(sizeof(Field *) * row->relation->ncolumns);
	row->unchanged[row->nunchanged++] = field;
}

/*
 * Like e->encode(), for a value that has at most max bytes, stored and as
 * JSON. Constants and other results of options have no limit.
 */
static bool
encode_bounded(Out *o, const Encoder *e, Datum value, Size max)
{
	Size		most;
	bool		done;

	if (e->fixed)
		return e->encode(o, e, value);
	if (e->typlen == -1 && !e->cuts && value_size(value, -1) > max)
		return false;
	most = out_begin_value(o, max);
	done = e->encode(o, e, value);
	return out_end_value(o, most) && done;
}

/* Append ,"name":value or nothing, if the value is left out. */
static inline void
write_member(Out *o, Row *row, const Field *field, Datum value, bool isnull)
{
	const Encoder *e = field->encoder;
	Size		begin;

	out_reserve(o, LABEL_ROOM(field->label_size));
	begin = out_tell(o);
	put_label(o, field->label, field->label_size);
	if (isnull)
	{
		put_literal(o, "null");
		return;
	}
	if (likely(row->max_value == 0 ? e->encode(o, e, value) :
			   encode_bounded(o, e, value, row->max_value)))
		return;
	o->depth = DEPTH_OF_VALUES + row->deeper;
	out_rewind(o, begin);
	note_elided(row, field, value_size(value, e->typlen));
}

/*
 * The new row's value. If it did not change and is not in the WAL, the old
 * row's value. False if neither exists.
 */
static inline bool
new_value(const Row *row, const Column *column, Datum *value, bool *isnull)
{
	int			i = column->field.index;

	*isnull = row->new->nulls[i];
	*value = row->new->values[i];
	if (likely(*isnull || !value_is_unchanged_toast(*value, column->field.encoder->typlen)))
		return true;
	if (row->old == NULL || row->old->nulls[i] ||
		value_is_unchanged_toast(row->old->values[i], column->field.encoder->typlen))
		return false;
	*value = row->old->values[i];
	return true;
}

/* An object whose members were appended from position begin on. */
static inline Span
close_span(Out *o, Size begin)
{
	Span		span;

	close_object(o, begin);
	span.begin = begin;
	span.size = out_tell(o) - begin;
	return span;
}

/* The columns of the new row. False, and stopped, if the caller must record the members. */
static inline bool
write_columns(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;

	for (int i = 0; i < r->ncolumns; i++)
	{
		const Column *column = &r->columns[i];
		Datum		value;
		bool		isnull;

		if (likely(new_value(row, column, &value, &isnull)))
			write_member(o, row, &column->field, value, isnull);
		else if (r->members == NULL)
			note_unchanged(row, &column->field);
		else
			return false;
	}
	return true;
}

/* The data for frames about a column's member, which was written from position begin on. */
static inline uint32
member_told(Out *o, Size begin, const Field *field, Datum value)
{
	/* do not count the comma before the member */
	if (likely(out_tell(o) > begin))
		return (uint32) (out_tell(o) - begin - 1) << 1;
	return (uint32) value_size(value, field->encoder->typlen) << 1 | 1;
}

/*
 * The same, with the data for frames about the members. Most updates of a
 * table change the same columns, so the next update comes here at once.
 */
static pg_noinline void
write_told_columns(Out *o, Row *row)
{
	CachedRelation *r = row->relation;

	for (int i = 0; i < r->ncolumns; i++)
	{
		const Column *column = &r->columns[i];
		Size		begin = out_tell(o);
		Datum		value;
		bool		isnull;

		r->members[i] = 0;
		if (new_value(row, column, &value, &isnull))
		{
			write_member(o, row, &column->field, value, isnull);
			r->members[i] = member_told(o, begin, &column->field, value);
		}
		else
			note_unchanged(row, &column->field);
	}
	/* an insert does not predict the next update */
	if (!row->hide_old || row->nunchanged > 0)
		r->lacking = row->nunchanged > 0;
}

static void
write_after(Out *o, Row *row)
{
	Size		begin;

	append_literal(o, ",\"after\":");
	begin = out_tell(o);
	if (unlikely(row->relation->lacking) || unlikely(!write_columns(o, row)))
	{
		out_rewind(o, begin);
		write_told_columns(o, row);
	}
	row->after = close_span(o, begin);
}

/*
 * The old row of an update that changed the key, and the positions of the
 * key's members in it. If one of them is left out, there are no positions.
 */
static pg_noinline void
write_told_before(Out *o, Row *row)
{
	CachedRelation *r = row->relation;
	Size		end = out_tell(o);	/* of the previous member, or where the object begins */
	int			nkey = 0;

	row->old_key_told = true;
	for (int i = 0; i < r->ncolumns; i++)
	{
		const Field *field = &r->columns[i].field;
		bool		in_key = nkey < r->nkey && r->key[nkey] == field;
		Size		begin = out_tell(o);

		if (r->full || r->columns[i].in_identity)
			write_member(o, row, field, row->old->values[field->index],
						 row->old->nulls[field->index]);
		if (!in_key)
			continue;
		if (out_tell(o) == begin)
			row->old_key_told = false;
		/* do not count the comma, or brace, before the member */
		r->old_key[2 * nkey] = (uint32) (begin + 1 - end);
		r->old_key[2 * nkey + 1] = (uint32) (out_tell(o) - begin - 1);
		end = out_tell(o);
		nkey++;
	}
}

/* The old row as far as the WAL has it. */
static void
write_old_columns(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;

	for (int i = 0; i < r->ncolumns; i++)
	{
		const Field *field = &r->columns[i].field;

		if (r->full || r->columns[i].in_identity)
			write_member(o, row, field, row->old->values[field->index],
						 row->old->nulls[field->index]);
	}
}

static void
write_before(Out *o, Row *row)
{
	Size		begin;

	append_literal(o, ",\"before\":");
	begin = out_tell(o);
	if (unlikely(row->key_changed) && row->relation->old_key != NULL)
		write_told_before(o, row);
	else
		write_old_columns(o, row);
	row->before = close_span(o, begin);
}

static Span
write_key_object(Out *o, Row *row, bool of_new)
{
	const CachedRelation *r = row->relation;
	Size		begin = out_tell(o);

	for (int i = 0; i < r->nkey; i++)
	{
		const Field *field = r->key[i];
		Datum		value = row->old ? row->old->values[field->index] : (Datum) 0;
		bool		isnull = row->old ? row->old->nulls[field->index] : true;

		if (of_new && unlikely(!new_value(row, (const Column *) field, &value, &isnull)))
		{
			row->left_out++;
			continue;
		}
		write_member(o, row, field, value, isnull);
	}
	return close_span(o, begin);
}

/* Did an update change the key? Only then does the order of two keys matter. */
static bool
old_key_differs(Out *o, Row *row)
{
	Span		old = write_key_object(o, row, false);
	bool		differs;

	differs = old.size != row->key.size ||
		memcmp(out_at(o, old.begin), out_at(o, row->key.begin), old.size) != 0;
	out_rewind(o, old.begin);
	return differs;
}

/*
 * Without one of its columns the key would be that of other rows, too: so it
 * is left out, and counts as changed, because it cannot be compared.
 */
static pg_noinline void
leave_out_key(Out *o, Row *row, Size label_size)
{
	out_rewind(o, row->key.begin - label_size);
	row->key.size = 0;
	row->key_changed = row->new != NULL && row->old != NULL && !row->hide_old;
}

static void
write_key(Out *o, Row *row)
{
	if (row->relation->nkey == 0 || (row->new == NULL && row->old == NULL))
		return;
	append_literal(o, ",\"key\":");
	row->key = write_key_object(o, row, row->new != NULL);
	if (unlikely(row->left_out > 0))
		leave_out_key(o, row, strlen(",\"key\":"));
	else if (row->new != NULL && row->old != NULL && !row->hide_old)
		row->key_changed = old_key_differs(o, row);
}

/* The field's name as a member's label, ,"name": or as a string, "name". */
static void
append_field_name(Out *o, const Field *field)
{
	append(o, field->label + 1, field->label_size - 2);
}

static void
write_unchanged(Out *o, const Row *row)
{
	append_literal(o, ",\"unchanged\":[");
	for (int i = 0; i < row->nunchanged; i++)
	{
		if (i > 0)
			append_literal(o, ",");
		append_field_name(o, row->unchanged[i]);
	}
	append_literal(o, "]");
}

static void
write_elided(Out *o, const Row *row)
{
	Size		begin;

	append_literal(o, ",\"elided\":");
	begin = out_tell(o);
	for (int i = 0; i < row->nelided; i++)
	{
		const Field *field = row->elided[i].field;

		append(o, field->label, field->label_size);
		out_reserve(o, FORMAT_WIDTH);
		o->p = format_uint64(o->p, row->elided[i].size);
	}
	close_object(o, begin);
}

static inline void
write_parts(Out *o, Row *row)
{
	write_key(o, row);
	if (row->old != NULL && !row->hide_old)
		write_before(o, row);
	if (row->new != NULL)
		write_after(o, row);
	if (row->nunchanged > 0)
		write_unchanged(o, row);
	if (row->nelided > 0)
		write_elided(o, row);
}

void
row_write(Out *o, Row *row)
{
	o->depth = DEPTH_OF_VALUES;
	write_parts(o, row);
}

void
row_write_parts(Out *o, Row *row)
{
	write_parts(o, row);
}

/*
 * A member of a row that is read from its table. Fetches a TOASTed value
 * outside of a guard: a table that cannot be read is an error.
 */
static void
write_stored(Out *o, Row *row, const Field *field, Datum value, bool isnull)
{
	MemoryContext context;
	MemoryContext old;

	if (likely(isnull || !value_is_unchanged_toast(value, field->encoder->typlen)) ||
		field->encoder->fixed)
	{
		write_member(o, row, field, value, isnull);
		return;
	}
	if (!field->encoder->cuts &&
		value_size(value, -1) > (row->max_value > 0 ? row->max_value : document_limit))
	{
		note_elided(row, field, value_size(value, -1));
		return;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "walspout stored value",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	value = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(value)));
	MemoryContextSwitchTo(old);
	write_member(o, row, field, value, false);
	MemoryContextDelete(context);
}

static void
write_stored_key(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	Size		begin;

	if (r->nkey == 0)
		return;
	append_literal(o, ",\"key\":");
	begin = out_tell(o);
	for (int i = 0; i < r->nkey; i++)
	{
		int			index = r->key[i]->index;

		write_stored(o, row, r->key[i], row->new->values[index], row->new->nulls[index]);
	}
	row->key = close_span(o, begin);
}

static void
write_stored_columns(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	Size		all;

	append_literal(o, ",\"after\":");
	all = out_tell(o);
	for (int i = 0; i < r->ncolumns; i++)
	{
		const Field *field = &r->columns[i].field;
		Datum		value = row->new->values[field->index];
		Size		begin = out_tell(o);

		write_stored(o, row, field, value, row->new->nulls[field->index]);
		r->members[i] = member_told(o, begin, field, value);
	}
	row->after = close_span(o, all);
}

void
row_write_stored(Out *o, Row *row)
{
	o->depth = DEPTH_OF_VALUES;
	write_stored_key(o, row);
	write_stored_columns(o, row);
	if (row->nelided > 0)
		write_elided(o, row);
}

void
row_write_stored_key(Out *o, Row *row)
{
	o->depth = DEPTH_OF_VALUES;
	write_stored_key(o, row);
}

void
row_begin(Out *o, Row *row, int deeper)
{
	row->deeper = deeper;
	o->depth = DEPTH_OF_VALUES + deeper;
}

bool
row_value(Out *o, Row *row, const Field *field, Datum value, bool isnull)
{
	const Encoder *e = field->encoder;
	Size		begin = out_tell(o);

	if (isnull)
	{
		append_literal(o, "null");
		return true;
	}
	if (likely(row->max_value == 0 ? e->encode(o, e, value) :
			   encode_bounded(o, e, value, row->max_value)))
		return true;
	o->depth = DEPTH_OF_VALUES + row->deeper;
	out_rewind(o, begin);
	note_elided(row, field, value_size(value, e->typlen));
	return false;
}

bool
row_member(Out *o, Row *row, const Field *field, Datum value, bool isnull)
{
	Size		begin = out_tell(o);

	write_member(o, row, field, value, isnull);
	return out_tell(o) > begin;
}

void
row_write_new(Out *o, Row *row)
{
	const CachedRelation *r = row->relation;
	Size		begin = out_tell(o);

	for (int i = 0; i < r->ncolumns; i++)
	{
		const Column *column = &r->columns[i];
		Datum		value;
		bool		isnull;

		if (likely(new_value(row, column, &value, &isnull)))
			write_member(o, row, &column->field, value, isnull);
		else
			note_unchanged(row, &column->field);
	}
	close_object(o, begin);
}

void
row_write_old(Out *o, Row *row)
{
	Size		begin = out_tell(o);

	write_old_columns(o, row);
	close_object(o, begin);
}

bool
row_new_value(const Row *row, const Column *column, Datum *value, bool *isnull)
{
	return new_value(row, column, value, isnull);
}

void
row_note_unchanged(Row *row, const Field *field)
{
	note_unchanged(row, field);
}

void
row_write_key(Out *o, Row *row)
{
	int			left_out = row->left_out;

	if (row->relation->nkey == 0 || (row->new == NULL && row->old == NULL))
		return;
	row_begin(o, row, 0);
	row->key = write_key_object(o, row, row->new != NULL);
	if (unlikely(row->left_out > left_out))
		leave_out_key(o, row, 0);
	else if (row->new != NULL && row->old != NULL && !row->hide_old)
		row->key_changed = old_key_differs(o, row);
}

bool
row_moves(Out *o, Row *row)
{
	Size		begin = out_tell(o);
	bool		moves;

	if (row->old == NULL || row->new == NULL)
		return false;
	row_write_key(o, row);
	moves = row->key_changed;
	row->key_changed = false;
	row->key.size = 0;
	row->nelided = 0;
	out_rewind(o, begin);
	return moves;
}

void
row_write_left_out(Out *o, const Row *row)
{
	if (row->nunchanged > 0)
		write_unchanged(o, row);
	if (row->nelided > 0)
		write_elided(o, row);
}
