/*
 * direct.h
 *		Values of common types, made of JSON without their input functions.
 */
#ifndef WALSPOUT_DIRECT_H
#define WALSPOUT_DIRECT_H

#include "postgres.h"

#include "tokens.h"

/*
 * Make the value that the input function makes of a token's text. False, with
 * nothing done, if it is not certain that this is the same value without an
 * error: then that function is to be called.
 */
typedef bool (*Direct) (Token *token, int32 typmod, Datum *value);

/* The function for the type with this input function, or NULL. */
extern Direct direct_of(Oid input);

#endif
