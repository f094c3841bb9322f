/*
 * guard.h
 *		Calls into code that may raise, without being taken down by it.
 */
#ifndef WALSPOUT_GUARD_H
#define WALSPOUT_GUARD_H

#include "postgres.h"

typedef enum GuardLevel
{
	GUARD_BUILTIN,				/* pure code of the server's own */
	GUARD_NAMES,				/* of the server's own, and prints names by search_path */
	GUARD_FOREIGN				/* an extension's or a user's: see guarded_as() */
} GuardLevel;

typedef void (*GuardedCall) (void *arg);

/*
 * Run call(arg) with the session's settings that output functions read set to
 * those of the specification. True if it returned. False if it raised because
 * of what it was given; its side effects are undone and it is as if it had not
 * been called. Errors that come from without (cancel, shutdown, no memory, no
 * disk) pass through: the same change comes again when they are over.
 */
extern bool guarded(GuardLevel level, GuardedCall call, void *arg);

/*
 * The same for code of a user's, at the level GUARD_FOREIGN: it runs with the
 * privileges of that user, who is its owner, and cannot write. The walsender
 * itself is often a superuser.
 */
extern bool guarded_as(Oid user, GuardedCall call, void *arg);

#endif
