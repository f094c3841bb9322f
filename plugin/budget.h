/*
 * budget.h
 *		How long users' code may run, and which functions are switched off.
 */
#ifndef WALSPOUT_BUDGET_H
#define WALSPOUT_BUDGET_H

#include "postgres.h"

/*
 * A session has BUDGET_MS milliseconds of CPU time for users' code; each call
 * adds CALL_US microseconds, up to BUDGET_MS. When the budget is used up, the
 * next tick of a clock interrupts the call like pg_cancel_backend(). The same
 * happens to a call that has waited for WAIT_MS. Time in which the process or
 * the machine stood still does not count.
 */
#define BUDGET_MS 1000
#define CALL_US 200
#define WAIT_MS 10000

/*
 * A function is off for the session after so many calls that timed out, or
 * that failed in a row. The rows behind must not wait, and PL/pgSQL leaks
 * memory whenever it fails to compile a function.
 */
#define TIMEOUTS 3
#define FAILURES 1000

/* A function's record; lives as long as the session's decoding. */
typedef struct Conduct
{
	Oid			function;		/* with version: the key */
	TransactionId version;		/* the transaction that made its entry in pg_proc */
	int			timeouts;
	int			failures;		/* in a row */
	bool		off;			/* is no longer called */
} Conduct;

/* Begin a new session of decoding; its memory is in context. */
extern void budget_startup(MemoryContext context);

/* NULL if no session of decoding runs. */
extern Conduct *budget_conduct(Oid function, TransactionId version);

/* Start and stop the clock. Each call between them is counted. */
extern void budget_start(void);
extern void budget_count_call(void);
extern void budget_stop(void);

/* Was the code that ran since the last start interrupted for its time? */
extern bool budget_exceeded(void);

/* Note how the call of a function ended. Logs if the function is off from now on. */
extern void budget_note(Conduct *conduct, bool failed);

#endif
