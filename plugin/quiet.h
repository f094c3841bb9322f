/*
 * quiet.h
 *		Messages of the server and libraries while a value is rendered.
 */
#ifndef WALSPOUT_QUIET_H
#define WALSPOUT_QUIET_H

#include "postgres.h"

typedef enum Quiet
{
	QUIET_NOT,					/* all messages pass */
	QUIET_MOSTLY,				/* nothing to the client, a message now and then to the log */
	QUIET_WHOLLY				/* nothing at all: the messages come from users' code */
} Quiet;

/*
 * Be quiet until quiet_leave(), which gets the result of this call. Errors are
 * raised as usual, and FATAL ones reach log and client. Debug messages are
 * logged, unless they come from users' code. If an error skips a
 * quiet_leave(), an outer quiet_leave() is enough.
 */
extern Quiet quiet_enter(Quiet quiet);
extern void quiet_leave(Quiet outer);

/* Log a message that was held back since the last call, if it is time for one. */
extern void quiet_report(void);

#endif
