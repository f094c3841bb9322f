/*
 * syntax.c
 *		Is it JSON, how deep does it nest, and which numbers are in it?
 *
 * One pass without recursion. Each level needs one bit of memory: array or
 * object.
 */
#include "postgres.h"

#include "syntax.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct Scan
{
	const char *p;
	const char *end;
	int			depth;
	int64		most;			/* levels that it may nest */
	uint8		levels[SYNTAX_DEPTH / 8];	/* bit set: the level is an object */
} Scan;

static inline bool
take_char(Scan *s, char c)
{
	if (s->p < s->end && *s->p == c)
	{
		s->p++;
		return true;
	}
	return false;
}

static void
skip_space(Scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool
scan_word(Scan *s, const char *word)
{
	Size		n = strlen(word);

	if ((Size) (s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

static bool
scan_digits(Scan *s)
{
	const char *begin = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > begin;
}

static bool
scan_number(Scan *s)
{
	(void) take_char(s, '-');
	if (!take_char(s, '0') && !scan_digits(s))
		return false;
	if (take_char(s, '.') && !scan_digits(s))
		return false;
	if (take_char(s, 'e') || take_char(s, 'E'))
	{
		if (!take_char(s, '+'))
			(void) take_char(s, '-');
		return scan_digits(s);
	}
	return true;
}

/* The character after a backslash. */
static bool
scan_escape(Scan *s)
{
	if (s->p == s->end)
		return false;
	if (*s->p != 'u')
		return strchr("\"\\/bfnrt", *s->p) != NULL && *s->p++ != '\0';
	s->p++;
	for (int i = 0; i < 4; i++)
		if (s->p == s->end || !isxdigit((unsigned char) *s->p++))
			return false;
	return true;
}

static bool
scan_string(Scan *s)
{
	if (!take_char(s, '"'))
		return false;
	while (s->p < s->end)
	{
		unsigned char c = *s->p++;

		if (c == '"')
			return true;
		if (c < ' ' || (c == '\\' && !scan_escape(s)))
			return false;
	}
	return false;
}

static bool
enter(Scan *s, bool object)
{
	uint8		bit = 1 << (s->depth % 8);

	if (s->depth == s->most)
		return false;
	if (object)
		s->levels[s->depth / 8] |= bit;
	else
		s->levels[s->depth / 8] &= ~bit;
	s->depth++;
	return true;
}

static bool
in_object(const Scan *s)
{
	return s->levels[(s->depth - 1) / 8] >> (s->depth - 1) % 8 & 1;
}

/* The name of a member and the colon, if the level is an object. */
static bool
scan_name(Scan *s)
{
	if (!in_object(s))
		return true;
	skip_space(s);
	if (!scan_string(s))
		return false;
	skip_space(s);
	return take_char(s, ':');
}

/*
 * A value, or its begin: this enters an array or object that is not empty, and
 * its first value comes next.
 */
static bool
scan_value(Scan *s, bool *entered)
{
	*entered = false;
	skip_space(s);
	if (s->p == s->end)
		return false;
	switch (*s->p)
	{
		case '{':
		case '[':
			{
				char		close = *s->p == '{' ? '}' : ']';

				if (!enter(s, *s->p++ == '{'))
					return false;
				skip_space(s);
				if (take_char(s, close))
				{
					s->depth--;
					return true;
				}
				*entered = true;
				return scan_name(s);
			}
		case '"':
			return scan_string(s);
		case 't':
			return scan_word(s, "true");
		case 'f':
			return scan_word(s, "false");
		case 'n':
			return scan_word(s, "null");
		default:
			return scan_number(s);
	}
}

/* After a value: ends of levels, or the comma before the next value. */
static bool
scan_after_value(Scan *s, bool *more)
{
	*more = false;
	for (;;)
	{
		skip_space(s);
		if (s->depth == 0)
			return s->p == s->end;
		if (take_char(s, ','))
		{
			*more = true;
			return scan_name(s);
		}
		if (!take_char(s, in_object(s) ? '}' : ']'))
			return false;
		s->depth--;
	}
}

bool
syntax_is_json(const char *s, Size n, int64 levels)
{
	Scan		scan;
	bool		valid;
	bool		more;

	scan.p = s;
	scan.end = s + n;
	scan.depth = 0;
	scan.most = Min(levels, SYNTAX_DEPTH);
	do
	{
		bool		entered;

		valid = scan_value(&scan, &entered);
		more = entered;
		if (valid && !entered)
			valid = scan_after_value(&scan, &more);
	} while (valid && more);
	return valid;
}

static inline bool
is_opener(char c)
{
	return (c | 0x20) == '{';	/* a bracket, too */
}

static inline bool
is_closer(char c)
{
	return (c | 0x20) == '}';
}

/* A walk over JSON that looks only at strings and levels. */
typedef struct Depth
{
	int64		depth;
	int64		most;			/* levels that are allowed */
	bool		in_string;
	bool		escaped;		/* the last byte was a backslash that counts */
} Depth;

/* Walk over n bytes, one by one. False if they nest too deep. */
static bool
walk_bytes(Depth *d, const char *s, Size n)
{
	for (Size i = 0; i < n; i++)
	{
		if (d->in_string)
		{
			if (d->escaped)
				d->escaped = false;
			else if (s[i] == '\\')
				d->escaped = true;
			else
				d->in_string = s[i] != '"';
		}
		else if (s[i] == '"')
			d->in_string = true;
		else if (is_opener(s[i]))
		{
			if (++d->depth > d->most)
				return false;
		}
		else if (is_closer(s[i]))
			d->depth--;
	}
	return true;
}

#define BLOCK ((Size) 64)

#ifdef __SSE2__

/* A bit for each byte of a block that equals c once the bits of fold are set in it. */
static inline uint64
find_in_block(const char *s, char fold, char c)
{
	const __m128i folds = _mm_set1_epi8(fold);
	const __m128i wanted = _mm_set1_epi8(c);
	uint64		found = 0;

	for (int i = 0; i < 4; i++)
	{
		__m128i		v = _mm_or_si128(_mm_loadu_si128((const __m128i *) (s + 16 * i)), folds);

		found |= (uint64) _mm_movemask_epi8(_mm_cmpeq_epi8(v, wanted)) << (16 * i);
	}
	return found;
}

/*
 * Walk over a block at once. Works if it has no backslash, and too few
 * brackets to pass the limit. Otherwise returns false and does nothing.
 */
static inline bool
walk_block(Depth *d, const char *s)
{
	uint64		strings = find_in_block(s, 0, '"');
	uint64		openers;
	uint64		closers;

	if (d->escaped || find_in_block(s, 0, '\\') != 0)
		return false;
	/* from each quote to the next one: invert the bits behind each quote */
	for (int shift = 1; shift < 64; shift *= 2)
		strings ^= strings << shift;
	if (d->in_string)
		strings = ~strings;
	openers = find_in_block(s, 0x20, '{') & ~strings;
	closers = find_in_block(s, 0x20, '}') & ~strings;
	if (d->depth + __builtin_popcountll(openers) > d->most)
		return false;
	d->depth += __builtin_popcountll(openers) - __builtin_popcountll(closers);
	d->in_string = strings >> 63;
	return true;
}

/* Opening brackets and braces, also those in strings, in whole blocks. */
static Size
count_in_blocks(const char *s, Size blocks)
{
	const __m128i bit = _mm_set1_epi8(0x20);
	const __m128i brace = _mm_set1_epi8('{');
	__m128i		total = _mm_setzero_si128();
	uint64		halves[2];

	while (blocks > 0)
	{
		Size		some = Min(blocks, 60);
		__m128i		counts = _mm_setzero_si128();	/* a byte each: at most 240 */

		for (Size i = 0; i < some * (BLOCK / 16); i++, s += 16)
		{
			__m128i		v = _mm_or_si128(_mm_loadu_si128((const __m128i *) s), bit);

			counts = _mm_sub_epi8(counts, _mm_cmpeq_epi8(v, brace));
		}
		total = _mm_add_epi64(total, _mm_sad_epu8(counts, _mm_setzero_si128()));
		blocks -= some;
	}
	_mm_storeu_si128((__m128i *) halves, total);
	return (Size) (halves[0] + halves[1]);
}

#else

static inline bool
walk_block(Depth *d, const char *s)
{
	return false;
}

static Size
count_in_blocks(const char *s, Size blocks)
{
	Size		count = 0;

	for (Size i = 0; i < blocks * BLOCK; i++)
		count += is_opener(s[i]);
	return count;
}

#endif

static Size
count_openers(const char *s, Size n)
{
	Size		count = count_in_blocks(s, n / BLOCK);

	for (Size i = n / BLOCK * BLOCK; i < n; i++)
		count += is_opener(s[i]);
	return count;
}

bool
syntax_is_deeper(const char *s, Size n, int64 levels)
{
	Depth		d = {.most = levels};

	/* each level takes two bytes; most JSON, however long, has few levels */
	if ((int64) n / 2 <= levels || (int64) count_openers(s, n) <= levels)
		return false;
	for (; n >= BLOCK; s += BLOCK, n -= BLOCK)
		if (!walk_block(&d, s) && !walk_bytes(&d, s, BLOCK))
			return true;
	return !walk_bytes(&d, s, n);
}

/* The position behind the string whose quote is before position i. */
static inline Size
skip_string(const char *s, Size n, Size i)
{
	for (; i < n && s[i] != '"'; i++)
		if (s[i] == '\\')
			i++;
	return i < n ? i + 1 : n;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits of a number without its point and exponent. */
typedef struct Digits
{
	int			count;			/* from the first nonzero digit to the last */
	int			zeros;			/* zeros after these */
	uint64		value;			/* of the first 18 */
	bool		integer;
} Digits;

/* Read up to the exponent, or the end. */
static Size
read_digits(const char *s, Size n, Digits *d)
{
	Size		i = n > 0 && s[0] == '-';

	memset(d, 0, sizeof(*d));
	d->integer = true;
	for (; i < n && (is_digit(s[i]) || s[i] == '.'); i++)
	{
		if (s[i] == '.')
			d->integer = false;
		else if (s[i] == '0')
			d->zeros += d->count > 0;
		else
		{
			d->count += d->zeros + 1;
			d->zeros = 0;
		}
		if (is_digit(s[i]) && d->count + d->zeros <= 18)
			d->value = d->value * 10 + (s[i] - '0');
	}
	return i;
}

/* The exponent after the e, which is at position i; 0 without one. */
static int64
read_exponent(const char *s, Size n, Size i)
{
	int64		exponent = 0;
	bool		negative;

	if (i >= n)
		return 0;
	i++;						/* the e */
	negative = i < n && s[i] == '-';
	if (i < n && (s[i] == '-' || s[i] == '+'))
		i++;
	for (; i < n && is_digit(s[i]) && exponent < 100000; i++)
		exponent = exponent * 10 + (s[i] - '0');
	return negative ? -exponent : exponent;
}

/* Powers of ten that every double has, with room for the digits. */
#define SAFE_EXPONENT 290
#define SAFE_DIGITS 15
#define SAFE_INTEGER ((UINT64CONST(1) << 53) - 1)

bool
syntax_is_safe_number(const char *s, Size n)
{
	Digits		d;
	Size		end = read_digits(s, n, &d);
	int64		exponent;

	if (d.integer && end == n)
		return d.count + d.zeros <= 18 && d.value <= SAFE_INTEGER;
	if (d.count == 0)
		return true;
	exponent = read_exponent(s, n, end);
	return d.count <= SAFE_DIGITS && n <= SAFE_EXPONENT &&
		exponent >= (int64) n - SAFE_EXPONENT && exponent <= SAFE_EXPONENT - (int64) n;
}

bool
syntax_find_unsafe_number(const char *s, Size n, Size *at, Size *size)
{
	for (Size i = 0; i < n;)
	{
		Size		begin = i;

		if (s[i] == '"')
			i = skip_string(s, n, i + 1);
		else if (s[i] == '-' || is_digit(s[i]))
		{
			while (i < n && (is_digit(s[i]) || strchr("+-.eE", s[i]) != NULL) && s[i] != '\0')
				i++;
			if (!syntax_is_safe_number(s + begin, i - begin))
			{
				*at = begin;
				*size = i - begin;
				return true;
			}
		}
		else
			i++;
	}
	return false;
}
