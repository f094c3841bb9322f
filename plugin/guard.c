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

static bool
comes_from_without(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return true;
		default:
			return false;
	}
}

static void
set_search_path(void)
{
	(void) set_config_option("search_path", "public", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Code of a user's sees what decoding sees, the catalogs as of the change:
 * in a walsender it would have no snapshot at all, in an SQL function that
 * of the query. XactReadOnly is put back at the end of the subtransaction, as
 * is the rest if there is an error.
 */
static void
begin_foreign(Oid user, int security)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	SetUserIdAndSecContext(user, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	XactReadOnly = true;
}

static void
end_foreign(Oid self, int security)
{
	SetUserIdAndSecContext(self, security);
	PopActiveSnapshot();
}

static bool
run(GuardLevel level, Oid user, GuardedCall call, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Settings	settings = current_settings();
	Oid			self;
	int			security;
	volatile int nest_level = 0;
	volatile bool subtransaction = false;
	volatile bool returned = true;

	GetUserIdAndSecContext(&self, &security);
	if (level == GUARD_FOREIGN)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
		subtransaction = true;
	}

	PG_TRY();
	{
		apply_settings(pinned_settings());
		if (level != GUARD_BUILTIN)
		{
			nest_level = NewGUCNestLevel();
			set_search_path();
		}
		if (OidIsValid(user))
			begin_foreign(user, security);
		call(arg);
		if (OidIsValid(user))
			end_foreign(self, security);
		apply_settings(settings);
		if (nest_level > 0)
			AtEOXact_GUC(true, nest_level);
		if (subtransaction)
			ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		apply_settings(settings);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (subtransaction)
			RollbackAndReleaseCurrentSubTransaction();
		else if (nest_level > 0)
			AtEOXact_GUC(false, nest_level);
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (comes_from_without(error->sqlerrcode))
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

bool
guarded(GuardLevel level, GuardedCall call, void *arg)
{
	return run(level, InvalidOid, call, arg);
}

bool
guarded_as(Oid user, GuardedCall call, void *arg)
{
	return run(GUARD_FOREIGN, user, call, arg);
}
