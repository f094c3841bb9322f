/*
 * key_rules.h
 *		Which rules for columns a key does not allow.
 */
#ifndef WALSPOUT_KEY_RULES_H
#define WALSPOUT_KEY_RULES_H

#include "postgres.h"

#include "options.h"

/*
 * Look at the keys of all tables that are published, as they are now. Raises if
 * a rule of the options leaves out or masks a column of one of them without
 * hashing it. After filter_startup().
 */
extern void key_rules_startup(const Options *options);

#endif
