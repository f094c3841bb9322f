/*
 * quiet.h
 *		What the server and libraries say while a value is rendered.
 */
#ifndef WALSPOUT_QUIET_H
#define WALSPOUT_QUIET_H

#include "postgres.h"

typedef enum Quiet
{
	QUIET_NOT,					/* everything is said */
	QUIET_MOSTLY,				/* nothing to the client, one message now and then to the log */
	QUIET_WHOLLY				/* nothing; it comes from code of users */
} Quiet;

/*
 * Be quiet until quiet_leave(), which gets the result of this call. Errors are
 * raised as ever, and FATAL ones reach log and client. Debug messages are
 * logged, unless they come from code of users. After a quiet_enter() whose end
 * did not come because of an error, an outer quiet_leave() is enough.
 */
extern Quiet quiet_enter(Quiet quiet);
extern void quiet_leave(Quiet outer);

/* Log a message that was held back since the last call, if it is time for one. */
extern void quiet_report(void);

#endif
