/*
 * row.h
 *		One changed row: its key, its old and its new values.
 */
#ifndef WALSPOUT_ROW_H
#define WALSPOUT_ROW_H

#include "common/hashfn.h"
#include "relation.h"

/* A value that was left out. */
typedef struct Elided
{
	const Field *field;
	Size		size;			/* in bytes, as value_size() */
} Elided;

/* Where a part of a document is. */
typedef struct Span
{
	Size		begin;			/* position in the document */
	Size		size;			/* 0: the document does not have the part */
} Span;

/* A changed row, and the notes of its rendering. */
typedef struct Row
{
	CachedRelation *relation;
	const Deformed *new;		/* NULL: the change has none */
	const Deformed *old;		/* NULL: the WAL has none */
	bool		hide_old;		/* old only completes new: an update seen as insert */
	int			deeper;			/* levels around its objects, inside the document */
	Size		max_value;		/* longer values, stored or as JSON, are left out; 0: no limit */

	Span		key;			/* the written objects */
	Span		before;
	Span		after;
	bool		key_changed;	/* or perhaps changed: a column of it was left out */
	bool		old_key_told;	/* relation->old_key is filled in */

	int			left_out;		/* values of all objects, and of columns that the key lacks */
	int			nelided;
	Elided	   *elided;
	int			nunchanged;		/* if above 0, relation->members is filled in */
	const Field **unchanged;
} Row;

/*
 * Append ,"key":... ,"before":... ,"after":... ,"unchanged":... ,"elided":...
 * as far as the row has them. Never fails: values without room are elided.
 */
extern void row_write(Out *o, Row *row);

/* The same after row_begin(), with objects around these members. */
extern void row_write_parts(Out *o, Row *row);

/*
 * The same for a row that is read from its table, as new: fetches TOASTed
 * values. Raises if that fails. Fills relation->members in.
 */
extern void row_write_stored(Out *o, Row *row);

/* Only ,"key":... of such a row, if it has a key. */
extern void row_write_stored_key(Out *o, Row *row);

/*
 * Parts of rows, for documents of another form. Begin with row_begin(): deeper
 * is the number of levels around the row's objects, without the document's.
 */
extern void row_begin(Out *o, Row *row, int deeper);

/* Append the value. If it is left out: false, appends nothing, and notes it. */
extern bool row_value(Out *o, Row *row, const Field *field, Datum value, bool isnull);

/*
 * The new row's value. If it did not change and is not in the WAL, the old
 * row's value. False if neither exists.
 */
extern bool row_new_value(const Row *row, const Column *column, Datum *value, bool *isnull);

/* Note that the value did not change and is not in the WAL. */
extern void row_note_unchanged(Row *row, const Field *field);

/* Append ,"name":value. If the value is left out: false, and appends nothing. */
extern bool row_member(Out *o, Row *row, const Field *field, Datum value, bool isnull);

/* Append {...}: the new row, and the old one as far as the WAL has it. */
extern void row_write_new(Out *o, Row *row);
extern void row_write_old(Out *o, Row *row);

/* Append only the key, {...}, if there is one: of the new row if it exists. */
extern void row_write_key(Out *o, Row *row);

/* Does the update change the key? Appends nothing. */
extern bool row_moves(Out *o, Row *row);

/* Append ,"unchanged":[...] ,"elided":{...} as far as the row has them. */
extern void row_write_left_out(Out *o, const Row *row);

/* Equal for rows of a published table whose keys have the same bytes. */
static inline uint64
row_hash(const Out *o, const Row *row)
{
	return hash_bytes_extended((const unsigned char *) out_at(o, row->key.begin),
							   (int) row->key.size, row->relation->published.relid);
}

#endif
