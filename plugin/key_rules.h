/*
 * key_rules.h
 *		Which rules for columns a key does not allow.
 */
#ifndef WALSPOUT_KEY_RULES_H
#define WALSPOUT_KEY_RULES_H

#include "postgres.h"

#include "options.h"

/*
 * Check the present keys of all published tables. Raises if a rule leaves out
 * or masks a column of a key without hashing it. Call it after
 * filter_startup().
 */
extern void key_rules_startup(const Options *options);

#endif
