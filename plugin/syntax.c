/*
 * syntax.c
 *		Is it JSON?
 *
 * One pass without recursion. Inside an array or object the only thing to
 * remember of each level is which of the two it is: a bit.
 */
#include "postgres.h"

#include "syntax.h"

typedef struct Scan
{
	const char *p;
	const char *end;
	int			depth;
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

	if (s->depth == SYNTAX_DEPTH)
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
syntax_is_json(const char *s, Size n)
{
	Scan		scan;
	bool		valid;
	bool		more;

	scan.p = s;
	scan.end = s + n;
	scan.depth = 0;
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
