/*
 * guard.c
 *		Calls code that may raise, and survives its errors.
 *
 * An error in a callback would end the walsender, and come again with the same
 * record after each reconnect. The slot would stay where it is until the disk
 * is full. So all code that can raise because of data runs in a guard.
 *
 * For pure code of the server's own, catching the error is enough: it holds
 * only memory when it raises, and the transaction of decoding is aborted
 * anyway. Anything else runs in a subtransaction, which cleans up.
 */
#include "postgres.h"

#include "guard.h"

#include "access/xact.h"
#include "budget.h"
#include "catalog/pg_authid.h"
#include "compat.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "quiet.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "sandbox.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/elog.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

typedef struct Settings
{
	int			date_style;
	int			interval_style;
	int			bytea_output;
	int			extra_float_digits;
	bool		quote_all_identifiers;
	bool		exit_on_error;	/* an error would end the session uncaught */
	pg_tz	   *timezone;
} Settings;

/* The level of the running call of others' code; GUARD_BUILTIN: no such call. */
static GuardLevel open_level = GUARD_BUILTIN;

static Settings
current_settings(void)
{
	Settings	s = {DateStyle, IntervalStyle, bytea_output, extra_float_digits,
	quote_all_identifiers, ExitOnAnyError, session_timezone};

	return s;
}

static void
apply_settings(Settings s)
{
	DateStyle = s.date_style;
	IntervalStyle = s.interval_style;
	bytea_output = s.bytea_output;
	extra_float_digits = s.extra_float_digits;
	quote_all_identifiers = s.quote_all_identifiers;
	ExitOnAnyError = s.exit_on_error;
	session_timezone = s.timezone;
}

/*
 * The settings that values are rendered with, whatever the session has.
 * Assigned directly, because the GUC machinery would cost more than the value
 * does. They are restored before other code can see them.
 */
static Settings
pinned_settings(void)
{
	static pg_tz *utc = NULL;
	Settings	s = {USE_ISO_DATES, INTSTYLE_POSTGRES, BYTEA_OUTPUT_HEX, 1, false, false, NULL};

	if (utc == NULL)
		utc = pg_tzset("GMT");	/* the only zone that needs no file */
	s.timezone = utc;
	return s;
}

/*
 * Did the error come from outside, so that the change will succeed when it
 * comes again? That is true of interrupts (cancel, shutdown, conflict with
 * recovery), whatever their SQLSTATE. Otherwise the SQLSTATE decides, but not
 * for users' code: it can raise any SQLSTATE, and so could stop the slot.
 */
static bool
comes_from_without(const ErrorData *error, GuardLevel level)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	/* while code of others runs, the time limit for locks is ours */
	if (level >= GUARD_LIBRARY && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	/* ProcessInterrupts() and what it calls; a deadlock has its cause outside, too */
	if ((strcmp(error->filename, "postgres.c") == 0 && strncmp(error->funcname, "Process", 7) == 0) ||
		strcmp(error->filename, "deadlock.c") == 0)
		return true;
	if (level == GUARD_USER)
		return false;
	return category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_SYSTEM_ERROR;
}

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * Set the settings that are not a variable, or that users' code may read or
 * set. The returned nest level restores them.
 */
static int
set_settings(GuardLevel level)
{
	int			nest_level = NewGUCNestLevel();

	/*
	 * Temporary objects come last: they are the session's. Code of others must
	 * not find objects that a third party planted; a function that needs more
	 * schemas has a SET clause.
	 */
	set("search_path", level == GUARD_NAMES ? "pg_catalog, public, pg_temp" : "pg_catalog, pg_temp");
	/* the server prints ranges of money; to look at the setting costs less than to set it */
	if (level >= GUARD_LIBRARY && strcmp(GetConfigOption("lc_monetary", false, false), "C") != 0)
		set("lc_monetary", "C");
	if (level == GUARD_USER)
	{
		set("DateStyle", "ISO");
		set("IntervalStyle", "postgres");
		set("TimeZone", "UTC");
		set("bytea_output", "hex");
		set("extra_float_digits", "1");
		set("quote_all_identifiers", "off");
	}
	return nest_level;
}

/*
 * Code of others sees what decoding sees: the catalogs as of the change.
 * Otherwise it would have no snapshot in a walsender, and the query's snapshot
 * in an SQL function. It runs as no role, so it has only the privileges that
 * its owner, the table's owner and the session's user all have. Parallel mode
 * forbids lasting effects, above all a transaction id. The end of the
 * subtransaction restores everything.
 */
static void
confine(GuardLevel level, int security)
{
	open_level = level;
	PushActiveSnapshot(GetTransactionSnapshot());
	SetUserIdAndSecContext(NO_ROLE, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	XactReadOnly = true;
	EnterParallelMode();
	if (level == GUARD_USER)
		budget_start();
}

/* The call has ended. Its effects on the transaction are undone later. */
static void
release(void)
{
	sandbox_leave();
	if (open_level == GUARD_USER)
		budget_stop();
	open_level = GUARD_BUILTIN;
}

bool
guard_is_open(void)
{
	return open_level >= GUARD_LIBRARY;
}

/*
 * A function of a role with the REPLICATION attribute could use a slot, which
 * ends the decoding that called it. Decoding could not continue.
 */
static void
check_slot(ReplicationSlot *slot, bool historic)
{
	if (MyReplicationSlot == slot && HistoricSnapshotActive() == historic)
		return;
	if (MyReplicationSlot != NULL && MyReplicationSlot != slot)
		ReplicationSlotRelease();
	MyReplicationSlot = slot;
	ereport(FATAL,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("a cast or output function of a type used a replication slot while walspout called it"),
			 errhint("Drop the cast, or replace the function.")));
}

bool
guarded(GuardLevel level, GuardedCall call, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ReplicationSlot *slot = MyReplicationSlot;
	bool		historic = HistoricSnapshotActive();	/* false where a table is read */
	Settings	settings = current_settings();
	bool		in_subtransaction = level >= GUARD_LOADING;
	bool		confined = level >= GUARD_LIBRARY;
	volatile Quiet outer_quiet = QUIET_NOT;
	volatile int nest_level = 0;
	ErrorData  *volatile error = NULL;
	Oid			self;
	int			security;

	GetUserIdAndSecContext(&self, &security);
	/* code of others is quiet in its sandbox */
	if (!in_subtransaction)
		outer_quiet = quiet_enter(QUIET_MOSTLY);
	if (in_subtransaction)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
	}

	PG_TRY();
	{
		if (level != GUARD_BUILTIN)
			nest_level = set_settings(level);
		apply_settings(pinned_settings());
		if (confined)
			confine(level, security);
		else if (level == GUARD_NAMES)
			SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, security);	/* sees every schema */
		call(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	if (confined)
		release();
	if (!in_subtransaction)
		quiet_leave(outer_quiet);

	/*
	 * Roll back even after success: settings, locks and cursors of the code
	 * must not outlive it. The result is in our context.
	 */
	if (in_subtransaction)
		RollbackAndReleaseCurrentSubTransaction();
	else
	{
		if (nest_level > 0)
			AtEOXact_GUC(false, nest_level);
		SetUserIdAndSecContext(self, security);
	}
	apply_settings(settings);
	/* advisory locks outlive a rollback; a walsender has none of its own */
	if (level == GUARD_USER && am_walsender)
		LockReleaseSession(USER_LOCKMETHOD);
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (confined)
		check_slot(slot, historic);

	quiet_report();
	if (error == NULL)
		return true;
	if (!(level == GUARD_USER && budget_exceeded() &&
		  error->sqlerrcode == ERRCODE_QUERY_CANCELED) &&
		comes_from_without(error, level))
	{
		/* the error was raised while the client got nothing */
		error->output_to_client = whereToSendOutput == DestRemote;
		ReThrowError(error);
	}
	ereport(DEBUG1,
			(errmsg_internal("walspout leaves a value out: %s", error->message)));
	FreeErrorData(error);
	return false;
}
