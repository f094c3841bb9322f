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
#include "miscadmin.h"
#include "pgtime.h"
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
	pg_tz	   *timezone;
} Settings;

static Settings
current_settings(void)
{
	Settings	s = {DateStyle, IntervalStyle, bytea_output, extra_float_digits,
	quote_all_identifiers, session_timezone};

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
	Settings	s = {USE_ISO_DATES, INTSTYLE_POSTGRES, BYTEA_OUTPUT_HEX, 1, false, NULL};

	if (utc == NULL)
		utc = pg_tzset("GMT");	/* the one zone that needs no file */
	s.timezone = utc;
	return s;
}

/*
 * Did the error come from outside, so that the change will do when it comes
 * again? Code of users can raise any SQLSTATE it likes, and could stop the
 * slot with it: of such errors, only those that the server itself raised count.
 */
static bool
comes_from_without(const ErrorData *error, GuardLevel level)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (level == GUARD_USER)
		return (category == ERRCODE_OPERATOR_INTERVENTION &&
				strcmp(error->filename, "postgres.c") == 0) ||
			(error->sqlerrcode == ERRCODE_OUT_OF_MEMORY &&
			 strcmp(error->filename, "mcxt.c") == 0);
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

	/* temporary objects last: they are the session's */
	set("search_path", "pg_catalog, public, pg_temp");
	if (level == GUARD_USER)
	{
		set("DateStyle", "ISO");
		set("IntervalStyle", "postgres");
		set("TimeZone", "UTC");
		set("bytea_output", "hex");
		set("extra_float_digits", "1");
		set("quote_all_identifiers", "off");
		set("lc_monetary", "C");
	}
	return nest_level;
}

/*
 * Code of a user's sees what decoding sees, the catalogs as of the change:
 * in a walsender it would have no snapshot at all, in an SQL function that
 * of the query. XactReadOnly is put back at the end of the subtransaction, as
 * is the rest if there is an error.
 */
static void
begin_as(Oid user, int security)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	SetUserIdAndSecContext(user, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	XactReadOnly = true;
}

static void
end_as(Oid self, int security)
{
	SetUserIdAndSecContext(self, security);
	PopActiveSnapshot();
}

bool
guarded(GuardLevel level, Oid user, GuardedCall call, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Settings	settings = current_settings();
	bool		in_subtransaction = level >= GUARD_LIBRARY;
	volatile int nest_level = 0;
	volatile bool returned = true;
	Oid			self;
	int			security;

	GetUserIdAndSecContext(&self, &security);
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
		if (OidIsValid(user))
			begin_as(user, security);
		call(arg);
		if (OidIsValid(user))
			end_as(self, security);
		apply_settings(settings);
		if (nest_level > 0)
			AtEOXact_GUC(true, nest_level);
		if (in_subtransaction)
			ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		apply_settings(settings);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (in_subtransaction)
			RollbackAndReleaseCurrentSubTransaction();
		else if (nest_level > 0)
			AtEOXact_GUC(false, nest_level);
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (comes_from_without(error, level))
			ReThrowError(error);
		ereport(DEBUG1,
				(errmsg_internal("walspout leaves a value out: %s", error->message)));
		FreeErrorData(error);
		returned = false;
	}
	PG_END_TRY();

	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return returned;
}
