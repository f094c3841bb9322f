/*
 * calls.h
 *		Encoders of types that are rendered by calling a function.
 */
#ifndef WALSPOUT_CALLS_H
#define WALSPOUT_CALLS_H

#include "encoder.h"

/*
 * An encoder that calls the type's output function. It always fails if the
 * function is missing, or in a users' language. Allocates in the current
 * context.
 */
extern Encoder *make_output_call(Oid type);

/*
 * An encoder that calls a cast to json, or NULL if the function must not be
 * called: users' code needs the operator's consent. plain renders the values
 * for which the cast tries to read a table, or is off.
 */
extern Encoder *make_cast_call(Oid type, Oid function, bool user_casts, Encoder *plain);

/*
 * Turn e, the encoder of an array or composite whose parts make calls at this
 * level, into one that runs in a single guard.
 */
extern Encoder *make_guarded(Encoder *e, int calls);

#endif
