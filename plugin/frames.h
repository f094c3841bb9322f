/*
 * frames.h
 *		The layout of messages in the format "frames".
 *
 * A message is a header and then frames, one after the other, each whole.
 * Numbers are in network byte order. plugin/README.md is the specification;
 * a reader checks FRAMES_VERSION and skips frames of a kind it does not know.
 */
#ifndef WALSPOUT_FRAMES_H
#define WALSPOUT_FRAMES_H

#include "envelope.h"

#define FRAMES_MAGIC "WS"
#define FRAMES_VERSION PROTO_VERSION
#define FRAMES_HEADER_SIZE 4

/* Frames of events have the event's op as their kind, a lower-case letter. */
#define FRAME_BEGIN 'B'
#define FRAME_COMMIT 'C'
#define FRAME_RELATION 'R'
#define FRAME_PREFIX 'P'
#define FRAME_MARK 'M'
#define FRAME_CURSOR 'K'

/* Flag of an event: no lane may run ahead of or behind it. */
#define FRAME_BARRIER 0x01

/* Flags of an event: its document has these objects. */
#define FRAME_KEY 0x02
#define FRAME_BEFORE 0x04
#define FRAME_AFTER 0x08

/* Flag of an event: the sizes of the members of "after" follow. */
#define FRAME_MEMBERS 0x10

/* Flag of an event: the document begins with OPEN_ID, which the reader replaces. */
#define FRAME_OPEN_ID 0x20

/* Flag of an event: the positions of the old key's members in "before" follow. */
#define FRAME_OLD_KEY 0x40

/* Flag of an event: the key is not in the document, but behind it. */
#define FRAME_KEY_ASIDE 0x80

/* Flag of a cursor: the table has no more rows. */
#define FRAME_CURSOR_AT_END 0x01

/* Flags of a column. */
#define FRAME_COLUMN_IN_KEY 0x01
#define FRAME_COLUMN_NOT_NULL 0x02

/* What a reader learns of an event outside of its document. */
typedef struct FrameEvent
{
	char		op;
	bool		barrier;
	uint64		index;			/* in the transaction */
	Oid			relation;		/* id from a relation frame; 0: none */
	uint64		hash;			/* equal for equal keys of a relation */
	Span		key;			/* in document order */
	Span		before;
	Span		after;
} FrameEvent;

/* Further data of a few events. */
typedef struct FrameMembers
{
	const uint32 *numbers;		/* for each column, as the specification says; NULL: none */
	int			n;
	const uint32 *old_key;		/* two for each column of the key */
	int			nold_key;		/* columns; 0: none */
	bool		open_id;		/* the document begins with an id that the reader replaces */
	bool		key_aside;		/* the key is behind the document */
} FrameMembers;

/* How far a table was read. */
typedef struct FrameCursor
{
	bool		at_end;
	uint64		rows;			/* that were read */
	int			nvalues;		/* of the last row's key; 0: no row was read */
	const char *const *values;	/* as text, in UTF-8 */
} FrameCursor;

extern void frames_header(StringInfo s);
extern void frames_begin(StringInfo s, const Transaction *txn);
extern void frames_commit(StringInfo s, const Transaction *txn);

/* The relation's names and columns; its shape must exist. */
extern void frames_relation(StringInfo s, const CachedRelation *relation);

/* The prefix, in UTF-8, of the message in the next frame. */
extern void frames_prefix(StringInfo s, const char *prefix);

/* What a mark holds. */
extern void frames_mark(StringInfo s, const char *content, Size n);

extern void frames_cursor(StringInfo s, const FrameCursor *cursor);

/*
 * Begin an event's frame; the document is appended to s behind it. Returns
 * what frames_event_end() needs.
 */
extern int	frames_event_begin(StringInfo s);

/* Append what follows the document, and fill in what precedes it. */
extern void frames_event_end(StringInfo s, int begin, const FrameEvent *event);
extern void frames_told_event_end(StringInfo s, int begin, const FrameEvent *event,
								  const FrameMembers *members);

#endif
