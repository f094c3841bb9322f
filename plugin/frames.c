/*
 * frames.c
 *		The layout of messages in the format "frames".
 *
 * Every frame begins with eight bytes: kind, flags, sixteen bits whose meaning
 * depends on the kind, and the number of bytes that follow. Events have 20
 * more bytes of header, then their document, then the positions of its
 * objects. These come last, and without a size, because they are known only
 * when the document is written.
 */
#include "postgres.h"

#include "frames.h"

#include "access/transam.h"
#include "port/pg_bswap.h"

/* Seconds between the epochs of Unix and of Postgres. */
#define EPOCH_DISTANCE \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

#define FRAME_HEAD_SIZE 8
#define EVENT_HEADER_SIZE 28
#define COLUMN_HEADER_SIZE 13

/*
 * Room for a number of 32 bits, seven of them in each byte; and for two of
 * these for each object.
 */
#define NUMBER_ROOM 5
#define SPANS_ROOM (3 * 2 * NUMBER_ROOM)

static inline char *
put16(char *p, uint16 value)
{
	value = pg_hton16(value);
	memcpy(p, &value, 2);
	return p + 2;
}

static inline char *
put32(char *p, uint32 value)
{
	value = pg_hton32(value);
	memcpy(p, &value, 4);
	return p + 4;
}

static inline char *
put64(char *p, uint64 value)
{
	value = pg_hton64(value);
	memcpy(p, &value, 8);
	return p + 8;
}

/* Seven bits a byte, the lowest first; all bytes but the last one have the highest bit set. */
static inline char *
put_number(char *p, uint32 value)
{
	for (; value >= 0x80; value >>= 7)
		*p++ = (char) (value | 0x80);
	*p++ = (char) value;
	return p;
}

static inline char *
put_head(char *p, char kind, uint8 flags, uint16 sixteen, Size follows)
{
	*p++ = kind;
	*p++ = (char) flags;
	p = put16(p, sixteen);
	return put32(p, (uint32) follows);
}

void
frames_header(StringInfo s)
{
	char		header[FRAMES_HEADER_SIZE] = FRAMES_MAGIC;

	header[2] = FRAMES_VERSION;
	header[3] = 0;
	appendBinaryStringInfo(s, header, sizeof(header));
}

void
frames_begin(StringInfo s, const Transaction *txn)
{
	char		frame[FRAME_HEAD_SIZE + 20];
	char	   *p = put_head(frame, FRAME_BEGIN, 0, 0, 20);
	bool		timed = TransactionIdIsValid(txn->xid);

	p = put64(p, txn->lsn);
	p = put64(p, timed ? txn->commit_time + EPOCH_DISTANCE * USECS_PER_SEC : 0);
	put32(p, txn->xid);
	appendBinaryStringInfo(s, frame, sizeof(frame));
}

void
frames_commit(StringInfo s, const Transaction *txn)
{
	char		frame[FRAME_HEAD_SIZE + 24];
	char	   *p = put_head(frame, FRAME_COMMIT, 0, 0, 24);

	p = put64(p, txn->lsn);
	p = put64(p, txn->end_lsn);
	put64(p, txn->events);
	appendBinaryStringInfo(s, frame, sizeof(frame));
}

static void
append_column(StringInfo s, const ColumnShape *column)
{
	char		header[COLUMN_HEADER_SIZE];
	char	   *p = header;
	Size		name = strlen(column->name);
	Size		type_name = strlen(column->type_name);

	*p++ = (column->in_key ? FRAME_COLUMN_IN_KEY : 0) |
		(column->not_null ? FRAME_COLUMN_NOT_NULL : 0);
	p = put32(p, column->type);
	p = put32(p, (uint32) column->type_modifier);
	p = put16(p, (uint16) name);
	put16(p, (uint16) type_name);
	appendBinaryStringInfo(s, header, sizeof(header));
	appendBinaryStringInfo(s, column->name, (int) name);
	appendBinaryStringInfo(s, column->type_name, (int) type_name);
}

void
frames_relation(StringInfo s, const CachedRelation *relation)
{
	char		header[FRAME_HEAD_SIZE + 10] = {0};
	Size		schema = strlen(relation->schema);
	Size		table = strlen(relation->table);
	int			begin = s->len;
	char	   *p;

	appendBinaryStringInfo(s, header, sizeof(header));	/* filled in below */
	appendBinaryStringInfo(s, relation->schema, (int) schema);
	appendBinaryStringInfo(s, relation->table, (int) table);
	for (int i = 0; i < relation->ncolumns; i++)
		append_column(s, &relation->shape[i]);
	p = put_head(s->data + begin, FRAME_RELATION, 0, 0, s->len - begin - FRAME_HEAD_SIZE);
	p = put32(p, relation->relid);
	p = put16(p, (uint16) schema);
	p = put16(p, (uint16) table);
	put16(p, (uint16) relation->ncolumns);
}

void
frames_prefix(StringInfo s, const char *prefix)
{
	char		frame[FRAME_HEAD_SIZE];
	Size		n = strlen(prefix);

	put_head(frame, FRAME_PREFIX, 0, 0, n);
	appendBinaryStringInfo(s, frame, sizeof(frame));
	appendBinaryStringInfo(s, prefix, (int) n);
}

void
frames_mark(StringInfo s, const char *content, Size n)
{
	char		frame[FRAME_HEAD_SIZE];

	put_head(frame, FRAME_MARK, 0, 0, n);
	appendBinaryStringInfo(s, frame, sizeof(frame));
	appendBinaryStringInfo(s, content, (int) n);
}

static void
append_cursor_value(StringInfo s, const char *value)
{
	char		size[4];

	put32(size, (uint32) strlen(value));
	appendBinaryStringInfo(s, size, sizeof(size));
	appendBinaryStringInfo(s, value, (int) strlen(value));
}

void
frames_cursor(StringInfo s, const FrameCursor *cursor)
{
	char		header[FRAME_HEAD_SIZE + 10] = {0};
	int			begin = s->len;
	char	   *p;

	appendBinaryStringInfo(s, header, sizeof(header));	/* filled in below */
	for (int i = 0; i < cursor->nvalues; i++)
		append_cursor_value(s, cursor->values[i]);
	p = put_head(s->data + begin, FRAME_CURSOR, cursor->at_end ? FRAME_CURSOR_AT_END : 0, 0,
				 s->len - begin - FRAME_HEAD_SIZE);
	p = put64(p, cursor->rows);
	put16(p, (uint16) cursor->nvalues);
}

/* Most events have one. */
static inline void
make_room(StringInfo s, int n)
{
	if (unlikely(s->maxlen - s->len <= n))
		enlargeStringInfo(s, n);
}

int
frames_event_begin(StringInfo s)
{
	int			begin = s->len;

	make_room(s, EVENT_HEADER_SIZE);
	s->len += EVENT_HEADER_SIZE;
	return begin;
}

/*
 * Where an object begins, counted from the end of the previous object, and its
 * size. Nothing if the document does not have the object; else *flags gets the
 * flag.
 */
static inline char *
put_span(char *p, Size *end, const Span *span, uint8 flag, uint8 *flags)
{
	if (span->size == 0)
		return p;
	*flags |= flag;
	p = put_number(p, (uint32) (span->begin - *end));
	p = put_number(p, (uint32) span->size);
	*end = span->begin + span->size;
	return p;
}

/* For few events: where the members of the new row are, and those of the old key. */
static char *
put_members(char *p, const FrameMembers *members, uint8 *flags)
{
	if (members->numbers != NULL)
	{
		*flags |= FRAME_MEMBERS;
		for (int i = 0; i < members->n; i++)
			p = put_number(p, members->numbers[i]);
	}
	if (members->nold_key > 0)
	{
		*flags |= FRAME_OLD_KEY;
		for (int i = 0; i < 2 * members->nold_key; i++)
			p = put_number(p, members->old_key[i]);
	}
	if (members->open_id)
		*flags |= FRAME_OPEN_ID;
	if (members->key_aside)
		*flags |= FRAME_KEY_ASIDE;
	return p;
}

/* Inlined twice, so that events without members do not pay for them. */
static pg_attribute_always_inline void
end_event(StringInfo s, int begin, const FrameEvent *event, const FrameMembers *members)
{
	uint8		flags = event->barrier ? FRAME_BARRIER : 0;
	Size		end = 0;		/* of the last written object */
	char	   *spans;
	char	   *p;

	make_room(s, SPANS_ROOM +
			  (members ? (members->n + 2 * members->nold_key) * NUMBER_ROOM : 0));
	p = spans = s->data + s->len;
	p = put_span(p, &end, &event->key, FRAME_KEY, &flags);
	p = put_span(p, &end, &event->before, FRAME_BEFORE, &flags);
	p = put_span(p, &end, &event->after, FRAME_AFTER, &flags);
	if (members)
		p = put_members(p, members, &flags);
	s->len += p - spans;

	p = put_head(s->data + begin, event->op, flags, (uint16) (p - spans),
				 s->len - begin - FRAME_HEAD_SIZE);
	p = put32(p, event->relation);
	p = put64(p, event->hash);
	put64(p, event->index);
}

void
frames_event_end(StringInfo s, int begin, const FrameEvent *event)
{
	end_event(s, begin, event, NULL);
}

void
frames_told_event_end(StringInfo s, int begin, const FrameEvent *event,
					  const FrameMembers *members)
{
	end_event(s, begin, event, members);
}
