/*
 * syntax.h
 *		Is it JSON?
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
 * white space, and not nested deeper than that? Otherwise the same answer as
 * the input of type json gives. Bytes from 0x80 on are taken for text.
 */
extern bool syntax_is_json(const char *s, Size n);

#endif
