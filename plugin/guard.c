/*
 * guard.c
 *		Calls into code that may raise, without being taken down by it.
 *
 * An error in a callback would end the walsender, come again with the same
 * record after each reconnect, and so keep the slot where it is until the disk
 * is full. Whatever can raise because of data runs in here.
 *
 * Pure code of the server's own holds nothing but memory when it raises, and
 * the transaction that decoding runs in is always aborted in the end: catching
 * the error is enough. Anything else runs in a subtransaction, which cleans up.
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
	bool		exit_on_error;	/* an error would end the session, and nothing would catch it */
	pg_tz	   *timezone;
} Settings;

/* Of the call of others' code that goes on; GUARD_BUILTIN: no such call. */
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
 * The settings that values are rendered with, whatever the session says.
 * Assigned past the GUC machinery: that would cost more than the value does,
 * and they are put back before anyone else can look.
 */
static Settings
pinned_settings(void)
{
	static pg_tz *utc = NULL;
	Settings	s = {USE_ISO_DATES, INTSTYLE_POSTGRES, BYTEA_OUTPUT_HEX, 1, false, false, NULL};

	if (utc == NULL)
		utc = pg_tzset("GMT");	/* the one zone that needs no file */
	s.timezone = utc;
	return s;
}

/*
 * Did the error come from outside, so that the change will do when it comes
 * again? That is what the server says of interrupts, whatever the SQLSTATE:
 * cancel, shutdown, conflict with recovery. Beside that, what the SQLSTATE
 * says, but not from code of users: it can raise any, and stop the slot so.
 */
static bool
comes_from_without(const ErrorData *error, GuardLevel level)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	/* while code of others runs, the time limit for locks is ours */
	if (level >= GUARD_LIBRARY && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	/* ProcessInterrupts() and what it calls; a deadlock is somebody else's doing, too */
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
 * Settings that are not a variable, or that code of users may look at, set
 * and set back by itself. Taken back with the nest level that is returned.
 */
static int
set_settings(GuardLevel level)
{
	int			nest_level = NewGUCNestLevel();

	/*
	 * Temporary objects come last: they are the session's. Code of others may
	 * find nothing that a third party could have put in its way; a function
	 * that needs more has a SET clause.
	 */
	set("search_path", level == GUARD_NAMES ? "pg_catalog, public, pg_temp" : "pg_catalog, pg_temp");
	/* the server prints ranges of money; a look at the setting costs less than to set it */
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
 * Code of others sees what decoding sees, the catalogs as of the change: in a
 * walsender it would have no snapshot at all, in an SQL function that of the
 * query. It runs as no role, so with no more privileges than its owner, the
 * table's owner and the session's user have. Parallel mode forbids what would
 * leave a trace, a transaction id above all. The end of the subtransaction
 * takes all of it back.
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

/* The same for how the call ended; what it did to the transaction is undone later. */
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
 * A function of a role that may use slots could use one, which ends the
 * decoding that it is called from. There is no way back to where that was.
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
	bool		historic = HistoricSnapshotActive();	/* not where a table is read */
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
	 * Rolled back even if all went well: settings, locks and cursors of the
	 * code that ran must not outlive it. Its result is in our context.
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
		/* it was raised where nothing reaches the client */
		error->output_to_client = whereToSendOutput == DestRemote;
		ReThrowError(error);
	}
	ereport(DEBUG1,
			(errmsg_internal("walspout leaves a value out: %s", error->message)));
	FreeErrorData(error);
	return false;
}
