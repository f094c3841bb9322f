/*
 * tokens.h
 *		JSON that is read value by value, from a buffer that may be written to.
 *
 * A value is found first, and made text later: then a byte behind it becomes
 * the zero that ends the text. So nothing is copied.
 */
#ifndef WALSPOUT_TOKENS_H
#define WALSPOUT_TOKENS_H

#include "postgres.h"

typedef enum TokenKind
{
	TOKEN_ABSENT,				/* of a member that an object does not have */
	TOKEN_NULL,
	TOKEN_TRUE,
	TOKEN_FALSE,
	TOKEN_NUMBER,
	TOKEN_STRING,
	TOKEN_ARRAY,
	TOKEN_OBJECT
} TokenKind;

/* A value. */
typedef struct Token
{
	TokenKind	kind;
	bool		escaped;		/* it is a string that has backslashes */
	Size		size;
	char	   *text;			/* of a string: what is between the quotes */
} Token;

/* Where reading is. The bytes behind the end, TOKENS_PADDING of them, are zeros. */
typedef struct Tokens
{
	char	   *p;				/* the next byte */
	const char *begin;
} Tokens;

#define TOKENS_PADDING ((Size) 128)

/*
 * Read past a value. All of an array or object is looked at, and is one token.
 * Raises what json_in() raises if it is not JSON, or if it has an escape that
 * no text can have.
 */
extern void tokens_value(Tokens *t, Token *token);

/* Raise: this is what is expected at the next byte. */
extern void tokens_expect(const Tokens *t, const char *what) __attribute__((noreturn));

/* Replace the escapes of a string by what they stand for. It does not grow. */
extern void token_unescape(Token *token);

static inline void
tokens_skip_space(Tokens *t)
{
	while (unlikely(*t->p == ' ' || *t->p == '\n' || *t->p == '\r' || *t->p == '\t'))
		t->p++;
}

/* Space, this byte, and space. */
static inline bool
tokens_take(Tokens *t, char c)
{
	tokens_skip_space(t);
	if (*t->p != c)
		return false;
	t->p++;
	tokens_skip_space(t);
	return true;
}

#endif
