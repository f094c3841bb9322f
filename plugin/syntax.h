/*
 * syntax.h
 *		Is it JSON, how deep does it nest, and which numbers are in it?
 */
#ifndef WALSPOUT_SYNTAX_H
#define WALSPOUT_SYNTAX_H

#include "postgres.h"

/*
 * Levels that arrays and objects may nest. The server's own parser is limited
 * only by the session's stack, to some 13000 levels by default; readers have
 * limits of their own.
 */
#define SYNTAX_DEPTH 10000

/*
 * Are the n bytes at s one JSON value, by RFC 8259? Only white space may
 * surround it. It may nest at most so many levels, and at most SYNTAX_DEPTH.
 * Otherwise gives the same answer as the input of type json. Bytes from 0x80
 * on count as text.
 */
extern bool syntax_is_json(const char *s, Size n, int64 levels);

/*
 * The following expect valid JSON, but read no byte too many of anything else.
 *
 * Does it nest deeper than so many levels?
 */
extern bool syntax_is_deeper(const char *s, Size n, int64 levels);

/*
 * Does a reader that takes numbers for doubles keep this one, which is n
 * bytes? Yes for an integer up to 2^53 - 1 in size. Yes for another number
 * with at most 15 digits and a usual exponent, zeros at both ends not counted.
 */
extern bool syntax_is_safe_number(const char *s, Size n);

/* Find the first number that is not safe: size bytes at position at. */
extern bool syntax_find_unsafe_number(const char *s, Size n, Size *at, Size *size);

#endif
