/*
 * plain.h
 *		Values as the server's output functions print them, for dialects whose
 *		documents have no more structure than that.
 */
#ifndef WALSPOUT_PLAIN_H
#define WALSPOUT_PLAIN_H

#include "types.h"

/*
 * The encoder of a column of this type, which may be a domain: numbers and
 * booleans are JSON of their own, NaN and infinities are null, the digits of
 * bytea have no prefix, and all else is a string of what the output function
 * prints. plain is that of row_to_json(). Allocates in the current context.
 */
extern const Encoder *plain_encoder(Oid type, const Encoder *plain);

/*
 * Of a type whose values are always a string of what the output function
 * prints.
 */
extern const Encoder *plain_text_encoder(Oid type, const Encoder *plain);

/*
 * A timestamp as to_json() prints it stands from begin to end: make of it what
 * the output function prints. Returns the new end.
 */
extern char *plain_timestamp(char *begin, char *end);

#endif
