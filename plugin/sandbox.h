/*
 * sandbox.h
 *		What code that is not the server's own may not do while it is called.
 */
#ifndef WALSPOUT_SANDBOX_H
#define WALSPOUT_SANDBOX_H

#include "postgres.h"

typedef enum Sandbox
{
	SANDBOX_NONE,				/* no such code runs */
	SANDBOX_SERVER,				/* the server's code, for a type that is not its own */
	SANDBOX_LIBRARY,			/* an extension's code, in C */
	SANDBOX_USER				/* code of users, in SQL or PL/pgSQL */
} Sandbox;

/*
 * A role that does not exist: it has what PUBLIC has, and owns nothing. OIDs
 * of roles begin behind it.
 */
#define NO_ROLE (FirstNormalObjectId - 1)

/*
 * Begin and end a call of such code. It waits for a lock as long as an ALTER
 * takes if it is to be patient, else hardly at all, and raises then. The end may
 * come twice, and has to come if the code raises. Neither raises, but for the
 * lack of memory.
 */
extern void sandbox_enter(Sandbox sandbox, bool patient);
extern void sandbox_leave(void);

/*
 * Did the code that was called last try to read a table, or to run a query?
 * True even if it caught the error that it got.
 */
extern bool sandbox_refused(void);

/* Is the function in C? That is what only superusers can create. */
extern bool sandbox_function_is_c(Oid function);

/* Why a function may not be called at SANDBOX_USER, or NULL if it may. */
extern const char *sandbox_objection(Oid function);

#endif
