/*
 * sandbox.h
 *		What code that is not the server's own may not do.
 */
#ifndef WALSPOUT_SANDBOX_H
#define WALSPOUT_SANDBOX_H

#include "postgres.h"

typedef enum Sandbox
{
	SANDBOX_NONE,				/* no such code is running */
	SANDBOX_SERVER,				/* the server's code, for a type that is not its own */
	SANDBOX_LIBRARY,			/* an extension's code, in C */
	SANDBOX_USER				/* code of users, in SQL or PL/pgSQL */
} Sandbox;

/*
 * A role that does not exist: it has PUBLIC's privileges, and owns nothing.
 * OIDs of users' roles begin after it.
 */
#define NO_ROLE (FirstNormalObjectId - 1)

/*
 * Begin and end a call of such code. If patient, the call waits for a lock as
 * long as an ALTER takes; else hardly at all. Then it raises. If the code
 * raises, the end must still be called; calling it twice is harmless. Both
 * raise only without memory.
 */
extern void sandbox_enter(Sandbox sandbox, bool patient);
extern void sandbox_leave(void);

/*
 * Did the last call try to read a table, or to run a query? True even if it
 * caught the resulting error.
 */
extern bool sandbox_refused(void);

/* Is the function in C? Only superusers can create such a function. */
extern bool sandbox_function_is_c(Oid function);

/* Why a function may not be called at SANDBOX_USER, or NULL if it may. */
extern const char *sandbox_objection(Oid function);

#endif
