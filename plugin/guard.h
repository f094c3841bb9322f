/*
 * guard.h
 *		Calls code that may raise, and survives its errors.
 */
#ifndef WALSPOUT_GUARD_H
#define WALSPOUT_GUARD_H

#include "postgres.h"

typedef enum GuardLevel
{
	GUARD_BUILTIN,				/* pure code of the server's own */
	GUARD_NAMES,				/* the server's own, and prints names by search_path */
	GUARD_LOADING,				/* looks a function up, and loads its library */
	GUARD_LIBRARY,				/* an extension's, in C: only superusers can create it */
	GUARD_USER					/* any user's, in SQL or PL/pgSQL */
} GuardLevel;

typedef void (*GuardedCall) (void *arg);

/*
 * Run call(arg) with the session's settings that output functions read set to
 * those of the specification. True if it returned. False if it raised because
 * of its input: its side effects are undone. Errors from outside (cancel,
 * shutdown, no memory, no disk) are re-raised: the same change comes again
 * afterwards.
 *
 * From GUARD_LIBRARY on the call has no role's privileges, and call() puts
 * each call of such code into the sandbox.
 */
extern bool guarded(GuardLevel level, GuardedCall call, void *arg);

/* Is a call at GUARD_LIBRARY or GUARD_USER running? */
extern bool guard_is_open(void);

#endif
