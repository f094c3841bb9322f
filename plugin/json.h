/*
 * json.h
 *		The bytes of JSON: a growing output buffer and string escaping.
 *
 * Knows no type, no catalog and no encoding but UTF-8. Never raises: a caller that
 * appends data of a user first asks out_room(), which says no when the
 * document would pass its limit, and then leaves the value out.
 */
#ifndef WALSPOUT_JSON_H
#define WALSPOUT_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"

/*
 * The largest document, in bytes. The server limits one message to
 * MaxAllocSize (1 GB - 1): what is left is for the batch that the document
 * is appended to (at most 16 MB), for names, and for the message's row on its
 * way through a tuplestore and the protocol.
 */
#define DOCUMENT_LIMIT ((Size) 1000 * 1000 * 1000)

/* The limit in force: lower where a document grows once more before it is sent. */
extern Size document_limit;

/* Levels of arrays and objects that a document may nest, its own included. */
extern int	depth_limit;

/* JSON that is no longer passes whatever the limit of a value is. */
#define VALUE_ALWAYS ((Size) 512)

/*
 * A cursor over a StringInfo. Between out_open() and out_close() the
 * StringInfo's len is stale and no other code may append to it.
 */
typedef struct Out
{
	char	   *p;				/* next byte to write */
	char	   *end;			/* end of what is allocated */
	StringInfo	s;
	Size		start;			/* offset in s of the document's first byte */
	Size		limit;			/* position in the document that no user's byte may pass */
	int			depth;			/* arrays and objects that are open; JSON_IN_STRING: do not count */
} Out;

extern void out_grow(Out *o, Size n);

static inline void
out_open(Out *o, StringInfo s)
{
	o->s = s;
	o->start = s->len;
	o->limit = document_limit;
	o->depth = 0;
	o->p = s->data + s->len;
	o->end = s->data + s->maxlen - 1;
}

static inline void
out_close(Out *o)
{
	o->s->len = o->p - o->s->data;
	*o->p = '\0';
}

/* Where the next byte goes, counted from the document's first byte. */
static inline Size
out_tell(const Out *o)
{
	return (o->p - o->s->data) - o->start;
}

/* Forget everything from position pos of the document on. */
static inline void
out_rewind(Out *o, Size pos)
{
	o->p = o->s->data + o->start + pos;
}

/* The byte at position pos of the document; valid until the next append. */
static inline const char *
out_at(const Out *o, Size pos)
{
	return o->s->data + o->start + pos;
}

/*
 * Make room for n bytes of our own making (names, digits, punctuation: small
 * and bounded). Bytes of a user go through out_room().
 */
static inline void
out_reserve(Out *o, Size n)
{
	if (unlikely((Size) (o->end - o->p) < n))
		out_grow(o, n);
}

/* Whether n bytes more would fit the document; makes no room for them. */
static inline bool
out_has_room(const Out *o, Size n)
{
	return n <= o->limit && out_tell(o) + n <= o->limit;
}

/* Make room for n bytes, or say that the document has none for them. */
static inline bool
out_room(Out *o, Size n)
{
	if (likely((Size) (o->end - o->p) >= n && out_tell(o) + n <= o->limit))
		return true;
	if (!out_has_room(o, n))
		return false;
	out_grow(o, n);
	return true;
}

/*
 * A value whose JSON is to have at most max bytes begins here. Returns what
 * out_end_value() needs. Until then out_room() refuses what is certainly too
 * much; a request for the worst case may pass the limit.
 */
extern Size out_begin_value(Out *o, Size max);

/* The value has ended. False if it is too long, and then it is to be taken back. */
extern bool out_end_value(Out *o, Size most);

/* Append; the room must have been made. */
static inline void
put(Out *o, const char *bytes, Size n)
{
	memcpy(o->p, bytes, n);
	o->p += n;
}

static inline void
put_char(Out *o, char c)
{
	*o->p++ = c;
}

#define put_literal(o, literal) put((o), (literal), sizeof(literal) - 1)

/*
 * Labels stand before every value and are nearly always short. They are kept
 * in memory of LABEL_ROOM(size) bytes, so that whole words can be copied; room
 * for that many must have been made.
 */
#define LABEL_ROOM(size) ((Size) (size) + 32)

static inline void
put_label(Out *o, const char *label, int size)
{
	memcpy(o->p, label, 32);
	if (unlikely(size > 32))
		memcpy(o->p + 32, label + 32, size - 32);
	o->p += size;
}

/* Append with the room made; for short strings of our own. */
static inline void
append(Out *o, const char *bytes, Size n)
{
	out_reserve(o, n);
	put(o, bytes, n);
}

#define append_literal(o, literal) append((o), (literal), sizeof(literal) - 1)

/*
 * End the object whose members were appended from position begin on, each
 * with a comma before it: the first comma becomes the brace.
 */
static inline void
close_object(Out *o, Size begin)
{
	out_reserve(o, 2);
	if (out_tell(o) == begin)
		put_char(o, '{');
	else
		o->s->data[o->start + begin] = '{';
	put_char(o, '}');
}

/*
 * Append s, n bytes of valid UTF-8 (or at least of text in which no byte
 * below 0x80 is part of a longer character), as a JSON string in quotes,
 * escaped as escape_json() of the server does it. False, with an unknown
 * number of bytes appended, if the document has no room.
 */
extern bool json_string(Out *o, const char *s, Size n);

/* The same without the quotes; for a string that comes in pieces. */
extern bool json_escape(Out *o, const char *s, Size n);

/*
 * Append n bytes that are JSON already, line breaks replaced by spaces: in
 * valid JSON they stand only between tokens. False if there is no room.
 */
extern bool json_raw(Out *o, const char *s, Size n);

/*
 * Make a string of the JSON that was appended from position begin on: it holds
 * that JSON. False, with nothing changed, if the document has no room.
 */
extern bool json_quote(Out *o, Size begin);

/*
 * If the JSON that was appended from position begin on is a string, make its
 * text of it, without quotes and escapes. Half of a surrogate pair becomes
 * U+FFFD. Other JSON stays as it is.
 */
extern void json_unquote(Out *o, Size begin);

/* Leave so many characters, or as many as there are, of the UTF-8 from position begin on. */
extern void json_cut(Out *o, Size begin, Size characters);

/*
 * An array or object of so many levels begins, and ends. One that would nest
 * the document deeper than depth_limit becomes a string that holds it.
 */
typedef struct Nest
{
	Size		begin;
	int			depth;			/* outside of it */
	bool		too_deep;
} Nest;

/* Levels that are within a string, and of no concern. */
#define JSON_IN_STRING (-(1 << 30))

/* Levels that may still be opened. */
static inline int64
nest_levels_left(const Out *o)
{
	return Max((int64) depth_limit - o->depth, 0);
}

static inline Nest
nest_enter(Out *o, int levels)
{
	Nest		nest = {out_tell(o), o->depth, levels > nest_levels_left(o)};

	o->depth = nest.too_deep ? JSON_IN_STRING : o->depth + levels;
	return nest;
}

/* done: it was rendered. False if it was not, or cannot be made a string. */
static inline bool
nest_leave(Out *o, const Nest *nest, bool done)
{
	o->depth = nest->depth;
	return done && (likely(!nest->too_deep) || json_quote(o, nest->begin));
}

/* The number of bytes at the start of s that are plain ASCII. */
extern Size ascii_prefix(const char *s, Size n);

#endif
