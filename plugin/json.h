/*
 * json.h
 *		The bytes of JSON: a growing output buffer and string escaping.
 *
 * Knows no type, no catalog and no encoding but UTF-8. Never raises. A caller
 * that appends data of a user first calls out_room(). It returns false if the
 * document would pass its limit, and the caller then leaves the value out.
 */
#ifndef WALSPOUT_JSON_H
#define WALSPOUT_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"

/*
 * The largest document, in bytes. The server limits one message to
 * MaxAllocSize (1 GB - 1). The rest is for the batch that gets the document
 * (at most 16 MB), and for names. The message's row in a tuplestore and in the
 * protocol needs room, too.
 */
#define DOCUMENT_LIMIT ((Size) 1000 * 1000 * 1000)

/* The limit in force: lower if a document grows once more before it is sent. */
extern Size document_limit;

/* Levels of arrays and objects that a document may nest, itself included. */
extern int	depth_limit;

/* A value with at most so many bytes of JSON always passes the limit of values. */
#define VALUE_ALWAYS ((Size) 512)

/*
 * A cursor over a StringInfo. Between out_open() and out_close() the
 * StringInfo's len is stale and no other code may append to it.
 */
typedef struct Out
{
	char	   *p;				/* next byte to write */
	char	   *end;			/* end of the allocated memory */
	StringInfo	s;
	Size		start;			/* offset in s of the document's first byte */
	Size		limit;			/* position in the document that no user's byte may pass */
	int			depth;			/* open arrays and objects; JSON_IN_STRING: not counted */
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
 * Make room for n bytes of our own (names, digits, punctuation: small and
 * bounded). Bytes of a user go through out_room().
 */
static inline void
out_reserve(Out *o, Size n)
{
	if (unlikely((Size) (o->end - o->p) < n))
		out_grow(o, n);
}

/* Would n more bytes fit the document? Makes no room for them. */
static inline bool
out_has_room(const Out *o, Size n)
{
	return n <= o->limit && out_tell(o) + n <= o->limit;
}

/* Make room for n bytes. False if the document has none. */
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
 * Begin a value whose JSON has at most max bytes. Returns the argument for
 * out_end_value(). Until then out_room() rejects what is certainly too much; a
 * request for the worst case may pass the limit.
 */
extern Size out_begin_value(Out *o, Size max);

/* End the value. False if it is too long: the caller must take it back. */
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
 * Labels stand before every value and are nearly always short. Their memory
 * has LABEL_ROOM(size) bytes, so that whole words can be copied; the same room
 * must be made in the output.
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
 * Append s as a JSON string in quotes, with the escapes of the server's
 * escape_json(). s is n bytes of valid UTF-8, or of text in which no byte
 * below 0x80 is part of a longer character. False, with an unknown number of
 * bytes appended, if the document has no room.
 */
extern bool json_string(Out *o, const char *s, Size n);

/* The same without the quotes, for a string that comes in pieces. */
extern bool json_escape(Out *o, const char *s, Size n);

/*
 * Append n bytes that are JSON already. Replaces line breaks by spaces: in
 * valid JSON they stand only between tokens. False if there is no room.
 */
extern bool json_raw(Out *o, const char *s, Size n);

/*
 * Turn the JSON from position begin on into a string that holds it. False,
 * with nothing changed, if the document has no room.
 */
extern bool json_quote(Out *o, Size begin);

/*
 * If the JSON from position begin on is a string, replace it by its text,
 * without quotes and escapes. Half of a surrogate pair becomes U+FFFD. Other
 * JSON stays as it is.
 */
extern void json_unquote(Out *o, Size begin);

/* Keep at most so many characters of the UTF-8 from position begin on. */
extern void json_cut(Out *o, Size begin, Size characters);

/*
 * Begin and end an array or object with so many levels. One that would nest
 * the document deeper than depth_limit becomes a string that holds it.
 */
typedef struct Nest
{
	Size		begin;
	int			depth;			/* outside of it */
	bool		too_deep;
} Nest;

/* Levels within a string do not count. */
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

/* done: the value was rendered. False if it was not, or cannot become a string. */
static inline bool
nest_leave(Out *o, const Nest *nest, bool done)
{
	o->depth = nest->depth;
	return done && (likely(!nest->too_deep) || json_quote(o, nest->begin));
}

/* The number of bytes at the start of s that are plain ASCII. */
extern Size ascii_prefix(const char *s, Size n);

#endif
