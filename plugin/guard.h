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
	GUARD_LOADING,				/* looks a function up, and loads its library */
	GUARD_LIBRARY,				/* an extension's, in C: only superusers can create it */
	GUARD_USER					/* anybody's, in SQL or PL/pgSQL */
} GuardLevel;

typedef void (*GuardedCall) (void *arg);

/*
 * Run call(arg) with the session's settings that output functions read set to
 * those of the specification. True if it returned. False if it raised because
 * of what it was given; its side effects are undone and it is as if it had not
 * been called. Errors that come from without (cancel, shutdown, no memory, no
 * disk) pass through: the same change comes again when they are over.
 *
 * From GUARD_LIBRARY on it runs without the privileges of any role, and call()
 * puts each call of such code into the sandbox.
 */
extern bool guarded(GuardLevel level, GuardedCall call, void *arg);

/* Does a call at GUARD_LIBRARY or GUARD_USER go on? */
extern bool guard_is_open(void);

#endif
