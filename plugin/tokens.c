/*
 * tokens.c
 *		JSON that is read value by value, from a buffer that may be written to.
 *
 * The zeros behind the text end every loop here: no JSON has a zero byte, so
 * no end has to be compared with.
 */
#include "postgres.h"

#include "tokens.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

void
tokens_expect(const Tokens *t, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type json"),
			 errdetail("Expected %s at byte %zu.", what, (Size) (t->p - t->begin) + 1)));
}

static void
refuse_escape(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
			 errmsg("unsupported Unicode escape sequence"), errdetail("%s", why)));
}

static void
refuse_surrogate(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type json"),
			 errdetail("Unicode high and low surrogates must follow each other.")));
}

/* The first byte from p on that ends a stretch of a string: a quote, a backslash, a control character. */
static inline char *
find_special(char *p)
{
#ifdef __SSE2__
	const __m128i quotes = _mm_set1_epi8('"');
	const __m128i backslashes = _mm_set1_epi8('\\');
	const __m128i controls = _mm_set1_epi8(0x1f);

	for (;; p += 16)
	{
		__m128i		v = _mm_loadu_si128((const __m128i *) p);
		__m128i		found = _mm_or_si128(_mm_cmpeq_epi8(v, quotes), _mm_cmpeq_epi8(v, backslashes));
		int			mask;

		found = _mm_or_si128(found, _mm_cmpeq_epi8(_mm_min_epu8(v, controls), v));
		mask = _mm_movemask_epi8(found);
		if (mask != 0)
			return p + __builtin_ctz(mask);
	}
#else
	while (*p != '"' && *p != '\\' && (unsigned char) *p >= ' ')
		p++;
	return p;
#endif
}

/* Four hexadecimal digits. */
static pg_wchar
read_hex(Tokens *t)
{
	pg_wchar	code = 0;

	for (int i = 0; i < 4; i++, t->p++)
	{
		char		c = *t->p;

		if (c >= '0' && c <= '9')
			code = code * 16 + (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			code = code * 16 + ((c | 0x20) - 'a' + 10);
		else
			tokens_expect(t, "a hexadecimal digit");
	}
	return code;
}

/* What follows \u, and the other half of a pair. */
static pg_wchar
read_code(Tokens *t)
{
	pg_wchar	code = read_hex(t);

	if (code == 0)
		refuse_escape("\\u0000 cannot be converted to text.");
	if (is_utf16_surrogate_first(code))
	{
		pg_wchar	second;

		if (t->p[0] != '\\' || t->p[1] != 'u')
			refuse_surrogate();
		t->p += 2;
		second = read_hex(t);
		if (!is_utf16_surrogate_second(second))
			refuse_surrogate();
		return surrogate_pair_to_codepoint(code, second);
	}
	if (is_utf16_surrogate_second(code))
		refuse_surrogate();
	return code;
}

/* What an escape stands for, whose backslash is the next byte. */
static pg_wchar
read_escape(Tokens *t)
{
	t->p++;
	switch (*t->p++)
	{
		case '"':
			return '"';
		case '\\':
			return '\\';
		case '/':
			return '/';
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
		case 'u':
			return read_code(t);
		default:
			t->p--;
			tokens_expect(t, "one of \"\\/bfnrtu");
	}
}

static inline void
read_string(Tokens *t, Token *token)
{
	token->kind = TOKEN_STRING;
	token->escaped = false;
	token->text = ++t->p;
	for (;;)
	{
		t->p = find_special(t->p);
		if (likely(*t->p == '"'))
			break;
		if (*t->p != '\\')
			tokens_expect(t, "the end of a string, or an escape");
		token->escaped = true;
		(void) read_escape(t);
	}
	token->size = t->p++ - token->text;
}

void
token_unescape(Token *token)
{
	Tokens		t = {.p = token->text, .begin = token->text};
	char	   *out = token->text;
	char	   *end = token->text + token->size;

	if (token->kind != TOKEN_STRING || !token->escaped)
		return;
	token->escaped = false;
	while (t.p < end)
	{
		unsigned char bytes[MAX_UNICODE_EQUIVALENT_STRING + 1];
		char	   *begin = t.p;
		pg_wchar	code;
		Size		n;

		t.p = find_special(begin);
		memmove(out, begin, t.p - begin);
		out += t.p - begin;
		if (t.p == end)
			break;
		begin = t.p;
		code = read_escape(&t);
		if (code < 0x80)
		{
			*out++ = (char) code;
			continue;
		}
		if (GetDatabaseEncoding() == PG_SQL_ASCII)
			refuse_escape("The database's encoding has ASCII characters only.");
		pg_unicode_to_server(code, bytes);
		n = strlen((const char *) bytes);
		if (n > t.p - begin)
			elog(ERROR, "character %u needs more bytes than its escape", code);
		memcpy(out, bytes, n);
		out += n;
	}
	token->size = out - token->text;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
skip_digits(Tokens *t)
{
	if (!is_digit(*t->p))
		tokens_expect(t, "a digit");
	while (is_digit(*t->p))
		t->p++;
}

static inline void
read_number(Tokens *t, Token *token)
{
	token->kind = TOKEN_NUMBER;
	token->text = t->p;
	if (*t->p == '-')
		t->p++;
	if (*t->p == '0')
		t->p++;
	else if (is_digit(*t->p))
		skip_digits(t);
	else
		tokens_expect(t, "a value");
	if (*t->p == '.')
	{
		t->p++;
		skip_digits(t);
	}
	if (*t->p == 'e' || *t->p == 'E')
	{
		t->p++;
		if (*t->p == '+' || *t->p == '-')
			t->p++;
		skip_digits(t);
	}
	token->size = t->p - token->text;
}

static inline void
read_word(Tokens *t, Token *token, TokenKind kind, const char *word, Size size)
{
	if (memcmp(t->p, word, size) != 0)
		tokens_expect(t, "a value");
	token->kind = kind;
	token->text = t->p;
	token->size = size;
	t->p += size;
}

static void
skip_members(Tokens *t)
{
	Token		token;

	do
	{
		if (*t->p != '"')
			tokens_expect(t, "the name of a member");
		read_string(t, &token);
		if (!tokens_take(t, ':'))
			tokens_expect(t, "a colon");
		tokens_value(t, &token);
	} while (tokens_take(t, ','));
}

static void
skip_elements(Tokens *t)
{
	Token		token;

	do
		tokens_value(t, &token);
	while (tokens_take(t, ','));
}

static void
read_nested(Tokens *t, Token *token)
{
	bool		is_object = *t->p == '{';
	char		close = is_object ? '}' : ']';

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	token->kind = is_object ? TOKEN_OBJECT : TOKEN_ARRAY;
	token->text = t->p++;
	tokens_skip_space(t);
	if (*t->p != close)
	{
		if (is_object)
			skip_members(t);
		else
			skip_elements(t);
		if (*t->p != close)
			tokens_expect(t, is_object ? "a comma or a brace" : "a comma or a bracket");
	}
	token->size = ++t->p - token->text;
}

void
tokens_value(Tokens *t, Token *token)
{
	switch (*t->p)
	{
		case '"':
			read_string(t, token);
			break;
		case '{':
		case '[':
			read_nested(t, token);
			break;
		case 'n':
			read_word(t, token, TOKEN_NULL, "null", 4);
			break;
		case 't':
			read_word(t, token, TOKEN_TRUE, "true", 4);
			break;
		case 'f':
			read_word(t, token, TOKEN_FALSE, "false", 5);
			break;
		default:
			read_number(t, token);
	}
}
