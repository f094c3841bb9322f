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
	GUARD_LIBRARY,				/* an extension's, in C: only superusers can create it */
	GUARD_USER					/* anybody's, in SQL or a procedural language */
} GuardLevel;

typedef void (*GuardedCall) (void *arg);

/*
 * Run call(arg) with the session's settings that output functions read set to
 * those of the specification. True if it returned. False if it raised because
 * of what it was given; its side effects are undone and it is as if it had not
 * been called. Errors that come from without (cancel, shutdown, no memory, no
 * disk) pass through: the same change comes again when they are over.
 *
 * user: from GUARD_LIBRARY on, whose privileges the code has: its owner's, for
 * the walsender is often a superuser. InvalidOid: those of the session.
 */
extern bool guarded(GuardLevel level, Oid user, GuardedCall call, void *arg);

/*
 * Code at GUARD_USER has this long, in milliseconds; then it is interrupted as
 * by pg_cancel_backend(), which counts as raising because of what it was given.
 */
#define USER_CODE_MS 1000

/* Was that why guarded() last returned false? */
extern bool guard_expired(void);

#endif
