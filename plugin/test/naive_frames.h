/*
 * naive_frames.h
 *		A reader of messages in the format "frames", a byte at a time.
 *
 * Written from the description of the format and not from frames.c, and knows
 * none of its constants: where the two disagree one of them is wrong. Reads
 * no byte outside the message, whatever the message is.
 */
#ifndef WALSPOUT_NAIVE_FRAMES_H
#define WALSPOUT_NAIVE_FRAMES_H

#include "postgres.h"

/* What is left of a message. */
typedef struct NaiveReader
{
	const unsigned char *p;
	const unsigned char *end;
} NaiveReader;

/* One frame; which fields mean something depends on the kind. */
typedef struct NaiveFrame
{
	char		kind;			/* B, C, R or the op of an event */
	bool		barrier;

	uint64		lsn;			/* B, C */
	int64		commit_time;	/* B: microseconds since 1970 */
	uint32		xid;			/* B */
	uint64		end_lsn;		/* C */
	uint64		events;			/* C */

	uint32		relation;		/* R, events */
	const unsigned char *schema;	/* R; not terminated, nor are the others */
	Size		schema_size;
	const unsigned char *table;
	Size		table_size;

	uint64		hash;			/* events, as all that follows */
	uint64		index;
	const unsigned char *document;
	Size		document_size;
	Size		key_begin;		/* in the document */
	Size		key_size;
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

/* False unless the message is of version 1. */
static inline bool
naive_open(NaiveReader *reader, const void *message, Size n)
{
	reader->p = message;
	reader->end = reader->p + n;
	if (n < 4 || reader->p[0] != 'W' || reader->p[1] != 'S' || reader->p[2] != 1)
		return false;
	reader->p += 4;
	return true;
}

/* Take the body of a frame apart; sixteen is the number in the frame's head. */
static inline bool
naive_body(NaiveReader *body, uint16 sixteen, NaiveFrame *frame)
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
			if (n < 8)
				return false;
			frame->relation = (uint32) naive_number(body, 4);
			frame->schema_size = naive_number(body, 2);
			frame->table_size = naive_number(body, 2);
			if (frame->schema_size + frame->table_size > (Size) (body->end - body->p))
				return false;
			frame->schema = body->p;
			frame->table = body->p + frame->schema_size;
			return true;
		default:
			if (n < 24)
				return false;
			frame->relation = (uint32) naive_number(body, 4);
			frame->key_size = naive_number(body, 4);
			frame->hash = naive_number(body, 8);
			frame->index = naive_number(body, 8);
			frame->document = body->p;
			frame->document_size = body->end - body->p;
			frame->key_begin = sixteen;
			return frame->key_size == 0 ||
				frame->key_begin + frame->key_size <= frame->document_size;
	}
}

/* Read the next frame of a kind that is known. */
static inline NaiveResult
naive_next(NaiveReader *reader, NaiveFrame *frame)
{
	while (reader->p < reader->end)
	{
		NaiveReader body;
		uint8		flags;
		uint16		sixteen;
		uint32		size;

		memset(frame, 0, sizeof(*frame));
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
		frame->barrier = (flags & 1) != 0;
		if (!(frame->kind == 'B' || frame->kind == 'C' || frame->kind == 'R' ||
			  (frame->kind >= 'a' && frame->kind <= 'z')))
			continue;
		return naive_body(&body, sixteen, frame) ? NAIVE_FRAME : NAIVE_MALFORMED;
	}
	return NAIVE_END;
}

#endif
