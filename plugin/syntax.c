/*
 * syntax.c
 *		Is it JSON, how deep does it nest, and which numbers are in it?
 *
 * One pass without recursion. Inside an array or object the only thing to
 * remember of each level is which of the two it is: a bit.
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

/* What follows a backslash. */
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

/* The name of a member and the colon, where the level is an object. */
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
 * A value, or the begin of one: an array or object that is not empty is
 * entered, and its first value comes next.
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

/* After a value: the ends of levels, or the comma before the next value. */
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

/* Brackets and braces that open, those in strings included. */
static Size
count_openers(const char *s, Size n)
{
	Size		count = 0;
	Size		i = 0;

#ifdef __SSE2__
	const __m128i bit = _mm_set1_epi8(0x20);
	const __m128i brace = _mm_set1_epi8('{');

	for (; n - i >= 16; i += 16)
	{
		__m128i		v = _mm_or_si128(_mm_loadu_si128((const __m128i *) (s + i)), bit);

		count += __builtin_popcount(_mm_movemask_epi8(_mm_cmpeq_epi8(v, brace)));
	}
#endif
	for (; i < n; i++)
		count += is_opener(s[i]);
	return count;
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

bool
syntax_is_deeper(const char *s, Size n, int64 levels)
{
	int64		depth = 0;

	/* each level takes two bytes; and most JSON has few of them, however long it is */
	if ((int64) n / 2 <= levels || (int64) count_openers(s, n) <= levels)
		return false;
	for (Size i = 0; i < n;)
	{
		char		c = s[i++];

		if (c == '"')
			i = skip_string(s, n, i);
		else if (is_opener(c))
		{
			if (++depth > levels)
				return true;
		}
		else if (c == '}' || c == ']')
			depth--;
	}
	return false;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits of a number without its point and exponent. */
typedef struct Digits
{
	int			count;			/* from the first one that is not 0 to the last such one */
	int			zeros;			/* behind these */
	uint64		value;			/* of the first 18 */
	bool		integer;
} Digits;

/* Reads up to the exponent, or the end. */
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

/* What stands behind the e, which is at position i, if anything does. */
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
