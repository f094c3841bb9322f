/*
 * syntax.h
 *		Is it JSON, how deep does it nest, and which numbers are in it?
 */
#ifndef WALSPOUT_SYNTAX_H
#define WALSPOUT_SYNTAX_H

#include "postgres.h"

/*
 * Levels that arrays and objects may nest. The server's own parser has no
 * fixed limit but the session's stack, by default at some 13000; readers have
 * theirs, too.
 */
#define SYNTAX_DEPTH 10000

/*
 * Are the n bytes at s one JSON value, by RFC 8259, with nothing around it but
 * white space, and not nested deeper than so many levels, or SYNTAX_DEPTH?
 * Otherwise the same answer as the input of type json gives. Bytes from 0x80 on
 * are taken for text.
 */
extern bool syntax_is_json(const char *s, Size n, int64 levels);

/*
 * The following take valid JSON, but read no byte too many of anything else.
 *
 * Does it nest deeper than so many levels?
 */
extern bool syntax_is_deeper(const char *s, Size n, int64 levels);

/*
 * Does a reader that takes numbers for doubles keep this one, which is n bytes?
 * An integer, if it is not beyond 2^53 - 1; another one, if it has at most 15
 * digits, zeros at both ends not counted, and a usual exponent.
 */
extern bool syntax_is_safe_number(const char *s, Size n);

/* Find the first number that is not: size bytes at position at. */
extern bool syntax_find_unsafe_number(const char *s, Size n, Size *at, Size *size);

#endif
