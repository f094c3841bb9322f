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

/* A changed row and what was noted while it was rendered. */
typedef struct Row
{
	CachedRelation *relation;
	const Deformed *new;		/* NULL: the change has none */
	const Deformed *old;		/* NULL: the WAL has none */
	bool		hide_old;		/* old only serves to complete new: an update seen as insert */
	int			deeper;			/* levels around its objects, beside the document */
	Size		max_value;		/* values that are longer, here or as JSON, are left out; 0: none */

	Span		key;			/* the objects that were written */
	Span		before;
	Span		after;
	bool		key_changed;
	bool		old_key_told;	/* relation->old_key is filled in */

	int			nelided;
	Elided	   *elided;
	int			nunchanged;		/* if there are any, relation->members is filled in */
	const Field **unchanged;
} Row;

/*
 * Append ,"key":... ,"before":... ,"after":... ,"unchanged":... ,"elided":...
 * as far as the row has them. Never fails: what has no room is elided.
 */
extern void row_write(Out *o, Row *row);

/* The same where row_begin() has said that objects are around these. */
extern void row_write_parts(Out *o, Row *row);

/*
 * The same for a row that is read from its table, as new: values that are
 * stored elsewhere are fetched. Raises if they cannot be. relation->members is
 * filled in.
 */
extern void row_write_stored(Out *o, Row *row);

/* Only ,"key":... of such a row, if it has one. */
extern void row_write_stored_key(Out *o, Row *row);

/*
 * Parts of rows, for documents of another form. Begin with row_begin(), which
 * is told how many levels are around the row's objects, the document's not
 * counted.
 */
extern void row_begin(Out *o, Row *row, int deeper);

/* Append the value. False, and nothing is appended, if it is left out; it is noted then. */
extern bool row_value(Out *o, Row *row, const Field *field, Datum value, bool isnull);

/*
 * The new row's value, or the old row's where the new one did not change and
 * is not in the WAL. False if neither is there.
 */
extern bool row_new_value(const Row *row, const Column *column, Datum *value, bool *isnull);

/* The value did not change and is not in the WAL: note that. */
extern void row_note_unchanged(Row *row, const Field *field);

/* Append ,"name":value, or nothing if the value is left out, and then false. */
extern bool row_member(Out *o, Row *row, const Field *field, Datum value, bool isnull);

/* Append {...}: the new row, and the old one as far as the WAL has it. */
extern void row_write_new(Out *o, Row *row);
extern void row_write_old(Out *o, Row *row);

/* Only the key, if there is one: {...}, of the new row where there is one. */
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
