/*
 * budget.h
 *		How long code of users may run, and which of it is called no more.
 */
#ifndef WALSPOUT_BUDGET_H
#define WALSPOUT_BUDGET_H

#include "postgres.h"

/*
 * A session has BUDGET_MS milliseconds of CPU time for code of users; each call
 * adds CALL_US microseconds, up to BUDGET_MS. When it is used up, a call is
 * interrupted as by pg_cancel_backend(), at the first tick of a clock. So is a
 * call that has waited for WAIT_MS. Time in which the process or the machine
 * stood still does not count.
 */
#define BUDGET_MS 1000
#define CALL_US 200
#define WAIT_MS 10000

/*
 * After so many calls that did not end in time, or that failed in a row, a
 * function is off for the session: the rows behind must go on, and PL/pgSQL
 * leaves memory behind for good whenever it fails to compile a function.
 */
#define TIMEOUTS 3
#define FAILURES 1000

/* What is known of a function; lives as long as the session's decoding. */
typedef struct Conduct
{
	Oid			function;		/* with version: the key */
	TransactionId version;		/* that made its entry in pg_proc */
	int			timeouts;
	int			failures;		/* in a row */
	bool		off;			/* is not called any more */
} Conduct;

/* A new session of decoding, whose memory is context. */
extern void budget_startup(MemoryContext context);

/* NULL if no session of decoding goes on. */
extern Conduct *budget_conduct(Oid function, TransactionId version);

/* Start and stop the clock. Between them each call is counted. */
extern void budget_start(void);
extern void budget_count_call(void);
extern void budget_stop(void);

/* Was, or is, what runs since the last start interrupted for its time? */
extern bool budget_exceeded(void);

/* How the call of a function ended; says so in the log if it is off from now on. */
extern void budget_note(Conduct *conduct, bool failed);

#endif
