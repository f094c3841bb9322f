/*
 * frames.c
 *		The layout of messages in the format "frames".
 *
 * Every frame begins with eight bytes: kind, flags, sixteen bits whose meaning
 * depends on the kind, and the number of bytes that follow. Events have 24
 * more bytes of header and then their document.
 */
#include "postgres.h"

#include "frames.h"

#include "access/transam.h"
#include "port/pg_bswap.h"

/* Seconds between the epochs of Unix and of Postgres. */
#define EPOCH_DISTANCE \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

#define FRAME_HEAD_SIZE 8
#define EVENT_HEADER_SIZE 32

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

void
frames_relation(StringInfo s, const CachedRelation *relation)
{
	char		frame[FRAME_HEAD_SIZE + 8];
	Size		schema = strlen(relation->schema);
	Size		table = strlen(relation->table);
	char	   *p = put_head(frame, FRAME_RELATION, 0, 0, 8 + schema + table);

	p = put32(p, relation->published.relid);
	p = put16(p, (uint16) schema);
	put16(p, (uint16) table);
	appendBinaryStringInfo(s, frame, sizeof(frame));
	appendBinaryStringInfo(s, relation->schema, (int) schema);
	appendBinaryStringInfo(s, relation->table, (int) table);
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

int
frames_event_begin(StringInfo s)
{
	int			begin = s->len;

	enlargeStringInfo(s, EVENT_HEADER_SIZE);
	s->len += EVENT_HEADER_SIZE;
	return begin;
}

void
frames_event_end(StringInfo s, int begin, const FrameEvent *event)
{
	char	   *p = put_head(s->data + begin, event->op, event->barrier ? FRAME_BARRIER : 0,
							 (uint16) event->key_begin, s->len - begin - FRAME_HEAD_SIZE);

	p = put32(p, event->relation);
	p = put32(p, (uint32) event->key_size);
	p = put64(p, event->hash);
	put64(p, event->index);
}
