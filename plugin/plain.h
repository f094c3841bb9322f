/*
 * plain.h
 *		Values as the server's output functions print them, for dialects whose
 *		documents have no more structure than that.
 */
#ifndef WALSPOUT_PLAIN_H
#define WALSPOUT_PLAIN_H

#include "types.h"

/*
 * The encoder of a column of this type, which may be a domain. Numbers and
 * booleans are plain JSON, NaN and infinities are null, and the digits of
 * bytea have no prefix. All else is a string of the output function's text.
 * plain is that of row_to_json(). Allocates in the current context.
 */
extern const Encoder *plain_encoder(Oid type, const Encoder *plain);

/*
 * The same for a type whose values always become a string of the output
 * function's text.
 */
extern const Encoder *plain_text_encoder(Oid type, const Encoder *plain);

/*
 * Convert a timestamp from begin to end, as to_json() prints it, to the output
 * function's text. Returns the new end.
 */
extern char *plain_timestamp(char *begin, char *end);

#endif
