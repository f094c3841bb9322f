/*
 * calls.h
 *		Encoders of types that are rendered by calling a function.
 */
#ifndef WALSPOUT_CALLS_H
#define WALSPOUT_CALLS_H

#include "encoder.h"

/*
 * An encoder that calls the type's output function; one that always fails if
 * that is missing, or in a language of users. Allocates in the current context.
 */
extern Encoder *make_output_call(Oid type);

/*
 * An encoder that calls a cast to json, or NULL if the function is not to be
 * called: code of users is only if the operator wants it. plain renders what
 * the cast may not, by reading a table, or does not any more.
 */
extern Encoder *make_cast_call(Oid type, Oid function, bool user_casts, Encoder *plain);

/*
 * Make the encoder of an array or composite, whose parts' encoders make calls
 * at this level, one that runs as a whole in one guard.
 */
extern Encoder *make_guarded(Encoder *e, int calls);

#endif
