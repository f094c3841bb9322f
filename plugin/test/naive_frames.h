/*
 * naive_frames.h
 *		A reader of messages in the format "frames", a byte at a time.
 *
 * Written from the specification, without frames.c and its constants: if the
 * two disagree, one of them is wrong. Reads no byte outside of the message,
 * whatever the message is.
 */
#ifndef WALSPOUT_NAIVE_FRAMES_H
#define WALSPOUT_NAIVE_FRAMES_H

#include "postgres.h"

/* The rest of a message. */
typedef struct NaiveReader
{
	const unsigned char *p;
	const unsigned char *end;
} NaiveReader;

/* A column of a relation. */
typedef struct NaiveColumn
{
	bool		in_key;
	bool		not_null;
	uint32		type;
	int32		type_modifier;
	const unsigned char *name;	/* not terminated, nor are the others */
	Size		name_size;
	const unsigned char *type_name;
	Size		type_name_size;
} NaiveColumn;

#define NAIVE_COLUMNS 1600
#define NAIVE_MEMBERS 16

/* Position of an object in the document; size 0: the document lacks the object. */
typedef struct NaiveSpan
{
	uint64		begin;
	uint64		size;
} NaiveSpan;

/* One frame; the kind decides which fields mean something. */
typedef struct NaiveFrame
{
	char		kind;			/* B, C, R, M, K or the op of an event */
	bool		barrier;
	bool		open_id;		/* events */
	bool		at_end;			/* K */

	uint64		lsn;			/* B, C */
	int64		commit_time;	/* B: microseconds since 1970 */
	uint32		xid;			/* B */
	uint64		end_lsn;		/* C */
	uint64		events;			/* C */

	uint32		relation;		/* R, events */
	const unsigned char *schema;	/* R, like the following */
	Size		schema_size;
	const unsigned char *table;
	Size		table_size;
	int			ncolumns;
	NaiveColumn *columns;		/* room for NAIVE_COLUMNS, of the caller; NULL: only check them */

	uint64		hash;			/* events, like the following */
	uint64		index;
	const unsigned char *document;
	Size		document_size;
	NaiveSpan	spans[3];		/* key, before, after */
	int			nmembers;
	uint64		members[NAIVE_MEMBERS]; /* the first ones of nmembers */
	bool		old_key;		/* the last ones are of the old key */

	const unsigned char *content;	/* M: content; K: last value */
	Size		content_size;
	uint64		rows;			/* K */
	int			nvalues;
} NaiveFrame;

typedef enum NaiveResult
{
	NAIVE_FRAME,
	NAIVE_END,
	NAIVE_MALFORMED
} NaiveResult;

/* The caller has checked that the message has n more bytes. */
static inline uint64
naive_number(NaiveReader *reader, int n)
{
	uint64		value = 0;

	while (n-- > 0)
		value = value << 8 | *reader->p++;
	return value;
}

/* False unless the message is of version 2. */
static inline bool
naive_open(NaiveReader *reader, const void *message, Size n)
{
	reader->p = message;
	reader->end = reader->p + n;
	if (n < 4 || reader->p[0] != 'W' || reader->p[1] != 'S' || reader->p[2] != 2)
		return false;
	reader->p += 4;
	return true;
}

/* n bytes of the message, if it has so many. */
static inline bool
naive_bytes(NaiveReader *reader, Size n, const unsigned char **bytes)
{
	if (n > (Size) (reader->end - reader->p))
		return false;
	*bytes = reader->p;
	reader->p += n;
	return true;
}

/* A number of at most 32 bits, seven in a byte, the lowest first. */
static inline bool
naive_varint(NaiveReader *reader, uint64 *value)
{
	*value = 0;
	for (int shift = 0; shift < 35; shift += 7)
	{
		uint64		byte;

		if (reader->p == reader->end)
			return false;
		byte = *reader->p++;
		*value |= (byte & 127) << shift;
		if (byte < 128)
			return *value < UINT64CONST(1) << 32;
	}
	return false;
}

static inline bool
naive_column(NaiveReader *body, NaiveColumn *column)
{
	uint8		flags;

	if (body->end - body->p < 13)
		return false;
	flags = (uint8) naive_number(body, 1);
	column->in_key = flags & 1;
	column->not_null = (flags & 2) != 0;
	column->type = (uint32) naive_number(body, 4);
	column->type_modifier = (int32) naive_number(body, 4);
	column->name_size = naive_number(body, 2);
	column->type_name_size = naive_number(body, 2);
	return naive_bytes(body, column->name_size, &column->name) &&
		naive_bytes(body, column->type_name_size, &column->type_name);
}

static inline bool
naive_relation(NaiveReader *body, NaiveFrame *frame)
{
	int			n;

	if (body->end - body->p < 10)
		return false;
	frame->relation = (uint32) naive_number(body, 4);
	frame->schema_size = naive_number(body, 2);
	frame->table_size = naive_number(body, 2);
	n = (int) naive_number(body, 2);
	if (!naive_bytes(body, frame->schema_size, &frame->schema) ||
		!naive_bytes(body, frame->table_size, &frame->table))
		return false;
	for (int i = 0; i < n; i++)
	{
		NaiveColumn column;

		if (!naive_column(body, &column))
			return false;
		if (frame->columns != NULL && i < NAIVE_COLUMNS)
			frame->columns[i] = column;
	}
	frame->ncolumns = n;
	return true;
}

/*
 * Numbers after those of the objects: one for each column, then two for each
 * column of the key. A flag says whether each of the two lists exists. The
 * number of columns is in the relation's frame.
 */
static inline bool
naive_members(NaiveReader members, uint8 flags, NaiveFrame *frame)
{
	frame->old_key = (flags & 64) != 0;
	while ((flags & (16 | 64)) && members.p < members.end)
	{
		uint64		number;

		if (!naive_varint(&members, &number))
			return false;
		if (frame->nmembers < NAIVE_MEMBERS)
			frame->members[frame->nmembers] = number;
		frame->nmembers++;
	}
	return true;
}

static inline bool
naive_cursor(NaiveReader *body, uint8 flags, NaiveFrame *frame)
{
	if (body->end - body->p < 10)
		return false;
	frame->at_end = flags & 1;
	frame->rows = naive_number(body, 8);
	frame->nvalues = (int) naive_number(body, 2);
	for (int i = 0; i < frame->nvalues; i++)
	{
		if (body->end - body->p < 4)
			return false;
		frame->content_size = naive_number(body, 4);
		if (!naive_bytes(body, frame->content_size, &frame->content))
			return false;
	}
	return true;
}

/* Three flags say which objects the document has. */
static inline bool
naive_spans(NaiveReader spans, uint8 flags, NaiveFrame *frame)
{
	uint64		end = 0;

	for (int i = 0; i < 3; i++)
	{
		NaiveSpan  *span = &frame->spans[i];
		uint64		gap;

		if (!(flags & 2 << i))
			continue;
		if (!naive_varint(&spans, &gap) || !naive_varint(&spans, &span->size))
			return false;
		span->begin = end + gap;
		end = span->begin + span->size;
		if (span->size == 0 || end > frame->document_size)
			return false;
	}
	return naive_members(spans, flags, frame);
}

/* Take the body of a frame apart; flags and sixteen are from the frame's head. */
static inline bool
naive_body(NaiveReader *body, uint8 flags, uint16 sixteen, NaiveFrame *frame)
{
	Size		n = body->end - body->p;

	switch (frame->kind)
	{
		case 'B':
			if (n < 20)
				return false;
			frame->lsn = naive_number(body, 8);
			frame->commit_time = (int64) naive_number(body, 8);
			frame->xid = (uint32) naive_number(body, 4);
			return true;
		case 'C':
			if (n < 24)
				return false;
			frame->lsn = naive_number(body, 8);
			frame->end_lsn = naive_number(body, 8);
			frame->events = naive_number(body, 8);
			return true;
		case 'R':
			return naive_relation(body, frame);
		case 'M':
			frame->content_size = n;
			return naive_bytes(body, n, &frame->content);
		case 'K':
			return naive_cursor(body, flags, frame);
		default:
			if (n < 20 + (Size) sixteen)
				return false;
			frame->open_id = (flags & 32) != 0;
			frame->relation = (uint32) naive_number(body, 4);
			frame->hash = naive_number(body, 8);
			frame->index = naive_number(body, 8);
			frame->document = body->p;
			frame->document_size = n - 20 - sixteen;
			body->p += frame->document_size;
			return naive_spans(*body, flags, frame);
	}
}

/* Read the next frame of a known kind. The caller must set frame->columns before. */
static inline NaiveResult
naive_next(NaiveReader *reader, NaiveFrame *frame)
{
	while (reader->p < reader->end)
	{
		NaiveReader body;
		uint8		flags;
		uint16		sixteen;
		uint32		size;
		NaiveColumn *columns = frame->columns;

		memset(frame, 0, sizeof(*frame));
		frame->columns = columns;
		if (reader->end - reader->p < 8)
			return NAIVE_MALFORMED;
		frame->kind = (char) naive_number(reader, 1);
		flags = (uint8) naive_number(reader, 1);
		sixteen = (uint16) naive_number(reader, 2);
		size = (uint32) naive_number(reader, 4);
		if (size > (Size) (reader->end - reader->p))
			return NAIVE_MALFORMED;
		body.p = reader->p;
		body.end = reader->p += size;
		if (memchr("BCRMK", frame->kind, 5) == NULL && !(frame->kind >= 'a' && frame->kind <= 'z'))
			continue;
		frame->barrier = frame->kind >= 'a' && (flags & 1) != 0;
		return naive_body(&body, flags, sixteen, frame) ? NAIVE_FRAME : NAIVE_MALFORMED;
	}
	return NAIVE_END;
}

#endif
