/*
 * json.c
 *		The bytes of JSON: a growing output buffer and string escaping.
 *
 * Strings are scanned and copied sixteen bytes at a time; only a byte that
 * needs an escape is handled alone. Every routine reserves room for the worst
 * case, six bytes for one, so that the inner loops check nothing. Long strings
 * go in chunks, so that the worst case of a 400 MB value is never reserved at
 * once.
 */
#include "postgres.h"

#include "json.h"

#include <limits.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define CHUNK ((Size) 8192)
#define WORST_ESCAPE ((Size) 6)

/* Slack that lets the copying loops store a whole word over the end. */
#define OVERSHOOT ((Size) 16)

#define ONES (~UINT64CONST(0) / 255)
#define HIGHS (ONES * 0x80)

/*
 * More than any caller requests from out_room() and then leaves unused: a
 * number's worst case is 147 kB, an escaped chunk's 48 kB.
 */
#define REQUEST_SLACK ((Size) 256 * 1024)

/* A string's quotes, or other bytes around a value, do not count. */
#define AROUND_VALUE ((Size) 2)

Size		document_limit = DOCUMENT_LIMIT;
int			depth_limit = INT_MAX;

void
out_grow(Out *o, Size n)
{
	o->s->len = o->p - o->s->data;
	enlargeStringInfo(o->s, (int) n);
	o->p = o->s->data + o->s->len;
	o->end = o->s->data + o->s->maxlen - 1;
}

Size
out_begin_value(Out *o, Size max)
{
	Size		most = out_tell(o) + Max(max, VALUE_ALWAYS) + AROUND_VALUE;

	o->limit = Min(document_limit, most + REQUEST_SLACK);
	return most;
}

bool
out_end_value(Out *o, Size most)
{
	o->limit = document_limit;
	return out_tell(o) <= most;
}

/*
 * What an ASCII byte becomes in a JSON string: 0 itself, 'u' \u00XX, else a
 * backslash and this letter.
 */
static const char escapes[256] = {
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
	['"'] = '"', ['\\'] = '\\',
};

/* True if one of the eight bytes is a quote, a backslash or below a space. */
static inline bool
word_needs_escape(uint64 w)
{
	uint64		quote = w ^ (ONES * '"');
	uint64		backslash = w ^ (ONES * '\\');

	return (((w - ONES * ' ') & ~w) | ((quote - ONES) & ~quote) |
			((backslash - ONES) & ~backslash)) & HIGHS;
}

static inline char *
escape_byte(char *p, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char		e = escapes[c];

	if (likely(e == 0))
		*p++ = c;
	else if (e != 'u')
	{
		*p++ = '\\';
		*p++ = e;
	}
	else
	{
		memcpy(p, "\\u00", 4);
		p[4] = hex[c >> 4];
		p[5] = hex[c & 15];
		p += 6;
	}
	return p;
}

/*
 * Most strings are short and have nothing to escape: up to sixteen bytes fit
 * two words that overlap. Copies the string and returns true. False: the copy
 * is invalid.
 */
static inline bool
copy_clean_short(char *p, const char *s, Size n)
{
	if (n >= 8)
	{
		uint64		first;
		uint64		last;

		memcpy(&first, s, 8);
		memcpy(&last, s + n - 8, 8);
		memcpy(p, &first, 8);
		memcpy(p + n - 8, &last, 8);
		return !word_needs_escape(first) && !word_needs_escape(last);
	}
	if (n >= 4)
	{
		uint32		first;
		uint32		last;

		memcpy(&first, s, 4);
		memcpy(&last, s + n - 4, 4);
		memcpy(p, &first, 4);
		memcpy(p + n - 4, &last, 4);
		return !word_needs_escape((uint64) first << 32 | last);
	}
	for (Size i = 0; i < n; i++)
	{
		if (escapes[(unsigned char) s[i]] != 0)
			return false;
		p[i] = s[i];
	}
	return true;
}

/* Escape n bytes to p, which has room for the worst case and OVERSHOOT. */
static inline char *
escape_run(char *p, const char *s, Size n)
{
	const char *end = s + n;

#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i control = _mm_set1_epi8(0x1f);

	while (end - s > 16)
	{
		__m128i		v = _mm_loadu_si128((const __m128i *) s);
		__m128i		bad = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote),
													_mm_cmpeq_epi8(v, backslash)),
									   _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
		int			mask = _mm_movemask_epi8(bad);

		_mm_storeu_si128((__m128i *) p, v);
		if (likely(mask == 0))
		{
			s += 16;
			p += 16;
		}
		else
		{
			int			clean = __builtin_ctz(mask);

			p = escape_byte(p + clean, s[clean]);
			s += clean + 1;
		}
	}
#endif
	while (end - s > 16)
	{
		uint64		w;

		memcpy(&w, s, 8);
		if (unlikely(word_needs_escape(w)))
		{
			for (int i = 0; i < 8; i++)
				p = escape_byte(p, *s++);
			continue;
		}
		memcpy(p, &w, 8);
		s += 8;
		p += 8;
	}
	if (likely(copy_clean_short(p, s, end - s)))
		return p + (end - s);
	while (s < end)
		p = escape_byte(p, *s++);
	return p;
}

bool
json_escape(Out *o, const char *s, Size n)
{
	while (n > 0)
	{
		Size		chunk = Min(n, CHUNK);

		if (unlikely(!out_room(o, chunk * WORST_ESCAPE + OVERSHOOT)))
			return false;
		o->p = escape_run(o->p, s, chunk);
		s += chunk;
		n -= chunk;
	}
	return true;
}

bool
json_string(Out *o, const char *s, Size n)
{
	if (likely(n <= CHUNK))
	{
		if (unlikely(!out_room(o, n * WORST_ESCAPE + OVERSHOOT + 2)))
			return false;
		put_char(o, '"');
		o->p = escape_run(o->p, s, n);
		put_char(o, '"');
		return true;
	}
	append_literal(o, "\"");
	if (!json_escape(o, s, n))
		return false;
	append_literal(o, "\"");
	return true;
}

static void
replace(char *s, Size n, char from, char to)
{
	for (char *p; (p = memchr(s, from, n)) != NULL; s = p)
	{
		n -= p - s;
		*p = to;
	}
}

bool
json_raw(Out *o, const char *s, Size n)
{
	if (!out_room(o, n))
		return false;
	put(o, s, n);
	replace(o->p - n, n, '\n', ' ');
	replace(o->p - n, n, '\r', ' ');
	return true;
}

static inline Size
escaped_size(unsigned char c)
{
	return likely(escapes[c] == 0) ? 1 : escapes[c] == 'u' ? 6 : 2;
}

/* From the last byte to the first one, so that no copy is needed. */
bool
json_quote(Out *o, Size begin)
{
	const char *value = out_at(o, begin);
	Size		n = out_tell(o) - begin;
	Size		size = 2;
	const char *from;
	char	   *to;

	for (Size i = 0; i < n; i++)
		size += escaped_size(value[i]);
	if (!out_room(o, size - n))
		return false;
	from = o->p;
	o->p += size - n;
	to = o->p;
	*--to = '"';
	while (n-- > 0)
	{
		unsigned char c = *--from;

		to -= escaped_size(c);
		escape_byte(to, c);
	}
	*--to = '"';
	return true;
}

static int
hex_digit(unsigned char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The value of the four digits at s. */
static uint32
hex_unit(const char *s)
{
	uint32		unit = 0;

	for (int i = 0; i < 4; i++)
		unit = unit << 4 | hex_digit(s[i]);
	return unit;
}

static char *
put_utf8(char *p, uint32 c)
{
	if (c < 0x80)
		*p++ = (char) c;
	else if (c < 0x800)
	{
		*p++ = (char) (0xC0 | c >> 6);
		*p++ = (char) (0x80 | (c & 0x3F));
	}
	else if (c < 0x10000)
	{
		*p++ = (char) (0xE0 | c >> 12);
		*p++ = (char) (0x80 | (c >> 6 & 0x3F));
		*p++ = (char) (0x80 | (c & 0x3F));
	}
	else
	{
		*p++ = (char) (0xF0 | c >> 18);
		*p++ = (char) (0x80 | (c >> 12 & 0x3F));
		*p++ = (char) (0x80 | (c >> 6 & 0x3F));
		*p++ = (char) (0x80 | (c & 0x3F));
	}
	return p;
}

static inline bool
is_high_surrogate(uint32 unit)
{
	return unit >= 0xD800 && unit < 0xDC00;
}

static inline bool
is_low_surrogate(uint32 unit)
{
	return unit >= 0xDC00 && unit < 0xE000;
}

/* The character of the escape \uXXXX at *s. Moves *s behind the escape, or behind a pair of surrogates. */
static uint32
unescape_unit(const char **s, const char *end)
{
	uint32		unit;

	if (end - *s < 6)			/* valid JSON has no shorter one */
	{
		*s = end;
		return 0xFFFD;
	}
	unit = hex_unit(*s + 2);
	*s += 6;
	if (is_high_surrogate(unit) && end - *s >= 6 && (*s)[0] == '\\' && (*s)[1] == 'u' &&
		is_low_surrogate(hex_unit(*s + 2)))
	{
		unit = 0x10000 + ((unit - 0xD800) << 10) + (hex_unit(*s + 2) - 0xDC00);
		*s += 6;
	}
	return is_high_surrogate(unit) || is_low_surrogate(unit) ? 0xFFFD : unit;
}

static char
unescape_letter(char c)
{
	switch (c)
	{
		case 'b':
			return '\b';
		case 'f':
			return '\f';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case 't':
			return '\t';
		default:
			return c;
	}
}

/* Text is never longer than its JSON string, so no copy is needed. */
void
json_unquote(Out *o, Size begin)
{
	char	   *to = o->s->data + o->start + begin;
	const char *from = to;
	const char *end = o->p - 1;

	if (end <= from || *from != '"' || *end != '"')
		return;
	for (from++; from < end;)
	{
		const char *escape = memchr(from, '\\', end - from);
		Size		n = (escape ? escape : end) - from;

		memmove(to, from, n);
		to += n;
		from += n;
		if (escape == NULL)
			break;
		if (end - from >= 2 && from[1] == 'u')
			to = put_utf8(to, unescape_unit(&from, end));
		else if (end - from >= 2)
		{
			*to++ = unescape_letter(from[1]);
			from += 2;
		}
		else
			from = end;			/* no string of JSON ends so */
	}
	o->p = to;
}

void
json_cut(Out *o, Size begin, Size characters)
{
	char	   *p = o->s->data + o->start + begin;

	for (; p < o->p; p++)
		if (((unsigned char) *p & 0xC0) != 0x80 && characters-- == 0)
			break;
	o->p = p;
}

Size
ascii_prefix(const char *s, Size n)
{
	Size		i = 0;

	for (; n - i >= 8; i += 8)
	{
		uint64		w;

		memcpy(&w, s + i, 8);
		if (w & HIGHS)
			break;
	}
	while (i < n && !IS_HIGHBIT_SET(s[i]))
		i++;
	return i;
}
