/*
 * budget.c
 *		How long users' code may run, and which functions are switched off.
 *
 * The limit is CPU time, so an honest function loses none while the machine
 * stands still. A timer checks the time every few milliseconds. After a
 * standstill the timer fires only once, so its ticks measure waiting.
 */
#include "postgres.h"

#include "budget.h"

#include <time.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#define TICK_MS 10

static MemoryContext conducts_context = NULL;
static HTAB *conducts = NULL;

/* In microseconds of CPU time. Negative if code could not be interrupted in time. */
static volatile int64 balance;

/* The call that runs now; the timer's handler reads these. */
static volatile int64 began;
static volatile int64 calls;
static volatile int ticks;
static volatile sig_atomic_t exceeded;

static void
conducts_are_gone(void *arg)
{
	conducts = NULL;
	conducts_context = NULL;
}

void
budget_startup(MemoryContext context)
{
	MemoryContextCallback *callback = MemoryContextAllocZero(context, sizeof(*callback));

	callback->func = conducts_are_gone;
	MemoryContextRegisterResetCallback(context, callback);
	conducts_context = context;
	conducts = NULL;
	balance = BUDGET_MS * INT64CONST(1000);
}

Conduct *
budget_conduct(Oid function, TransactionId version)
{
	struct
	{
		Oid			function;
		TransactionId version;
	}			key = {function, version};
	Conduct    *conduct;
	bool		found;

	if (conducts_context == NULL)
		return NULL;
	if (conducts == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(key);
		ctl.entrysize = sizeof(Conduct);
		ctl.hcxt = conducts_context;
		conducts = hash_create("walspout users' functions", 16, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	conduct = hash_search(conducts, &key, HASH_ENTER, &found);
	if (!found)
	{
		conduct->timeouts = conduct->failures = 0;
		conduct->off = false;
	}
	return conduct;
}

static int64
cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * INT64CONST(1000000) + t.tv_nsec / 1000;
}

static void tick(void);

/* A timer of this process. */
static TimeoutId
clock_id(void)
{
	static TimeoutId id;
	static bool registered = false;

	if (!registered)
		id = RegisterTimeout(USER_TIMEOUT, tick);
	registered = true;
	return id;
}

/* Runs in a signal handler. Asks again as long as the code runs. */
static void
tick(void)
{
	ticks++;
	if (cpu_time() - began > balance + calls * CALL_US || ticks > WAIT_MS / TICK_MS)
	{
		exceeded = true;
		InterruptPending = true;
		QueryCancelPending = true;
		SetLatch(MyLatch);
	}
	enable_timeout_after(clock_id(), TICK_MS);
}

void
budget_start(void)
{
	exceeded = false;
	calls = 0;
	ticks = 0;
	began = cpu_time();
	enable_timeout_after(clock_id(), TICK_MS);
}

void
budget_count_call(void)
{
	calls++;
}

void
budget_stop(void)
{
	disable_timeout(clock_id(), false);
	balance = Min(balance + calls * CALL_US - (cpu_time() - began), BUDGET_MS * INT64CONST(1000));
	/* the interrupt may have come when the code had just ended: do not cancel what is next */
	if (exceeded)
		QueryCancelPending = false;
}

bool
budget_exceeded(void)
{
	return exceeded;
}

void
budget_note(Conduct *conduct, bool failed)
{
	char	   *name;

	if (exceeded)
		conduct->timeouts++;
	conduct->failures = failed ? conduct->failures + 1 : 0;
	if (conduct->off || (conduct->timeouts < TIMEOUTS && conduct->failures < FAILURES))
		return;
	conduct->off = true;
	name = get_func_name(conduct->function);
	ereport(LOG,
			(errmsg("walspout no longer calls function \"%s\" (OID %u) in this session",
					name ? name : "", conduct->function),
			 conduct->timeouts < TIMEOUTS ?
			 errdetail("It raised an error %d times in a row.", FAILURES) :
			 errdetail("It was interrupted %d times, because it took too long.", TIMEOUTS),
			 errhint("Its type's values are printed as text from now on. Reconnect to try it again.")));
}
