/*
 * sandbox.c
 *		What code that is not the server's own may not do.
 *
 * It never reads tables: their rows are not kept for the snapshot of decoding.
 * The result would depend on when a change is decoded, and on locks. Code in C
 * needs no queries at all; users' code may query the catalogs. Hooks of the
 * server see what is about to happen, and reject it. They are installed once a
 * process, and idle unless such code runs.
 */
#include "postgres.h"

#include "sandbox.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "compat.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "present.h"
#include "quiet.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

/* In milliseconds; 1 is the least that the server accepts. */
#define LOCK_WAIT_MS 1
#define PATIENT_LOCK_WAIT_MS 2000

static Sandbox current = SANDBOX_NONE;
static bool refused;

/* The end of the call restores these. */
static int	outer_lock_timeout;
static int	outer_parallel_workers;
static bool outer_jit;
static Quiet outer_quiet;
static ErrorContextCallback *outer_error_context;

static ExecutorStart_hook_type next_executor_start;
static planner_hook_type next_planner;
static ProcessUtility_hook_type next_utility;
static object_access_hook_type next_access;
static needs_fmgr_hook_type next_needs_fmgr;
static fmgr_hook_type next_fmgr;

static void
refuse(const char *what)
{
	refused = true;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not possible while changes are decoded", what)));
}

static inline bool
runs_c(void)
{
	return current == SANDBOX_SERVER || current == SANDBOX_LIBRARY;
}

/*
 * Runs before the planner opens tables: the file of a table that was rewritten
 * since no longer exists.
 */
static PlannedStmt *
plan(PLANNER_PARAMETERS)
{
	if (runs_c())
		refuse("a query of a library");
	return next_planner ? next_planner(PLANNER_ARGUMENTS) : standard_planner(PLANNER_ARGUMENTS);
}

/* Checks what a query reads, also by a plan made earlier. */
static void
start_executor(QueryDesc *query, int flags)
{
	ListCell   *lc;

	if (runs_c())
		refuse("a query of a library");
	if (current == SANDBOX_USER)
		foreach(lc, query->plannedstmt->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW &&
				!IsCatalogRelationOid(rte->relid))
				refuse("reading a table");
			/* XMLTABLE: see sandbox_objection() */
			if (rte->rtekind == RTE_TABLEFUNC)
				refuse("a table function");
		}
	if (next_executor_start)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

static void
process_utility(UTILITY_PARAMETERS)
{
	if (current != SANDBOX_NONE)
		refuse("a command");
	if (next_utility)
		next_utility(UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(UTILITY_ARGUMENTS);
}

/* A function of a query, before its first call. */
static void
access_object(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	const char *objection;

	if (current == SANDBOX_USER && access == OAT_FUNCTION_EXECUTE &&
		class_id == ProcedureRelationId && (objection = sandbox_objection(object_id)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function %u cannot be called while changes are decoded: %s", object_id,
						objection)));
	if (next_access)
		next_access(access, class_id, object_id, sub_id, arg);
}

static bool
needs_fmgr(Oid function)
{
	return (runs_c() && !sandbox_function_is_c(function)) ||
		(next_needs_fmgr && next_needs_fmgr(function));
}

/*
 * C code calls functions by their OIDs: reject users' functions. Users' code
 * gets no privileges, whatever SECURITY DEFINER says.
 */
static void
call_function(FmgrHookEventType event, FmgrInfo *function, Datum *private)
{
	Oid			user;
	int			security;

	if (event == FHET_START && runs_c() && !sandbox_function_is_c(function->fn_oid))
		refuse("a call of users' code");
	if (event == FHET_START && current == SANDBOX_USER)
	{
		GetUserIdAndSecContext(&user, &security);
		SetUserIdAndSecContext(NO_ROLE, security);
	}
	if (next_fmgr)
		next_fmgr(event, function, private);
}

static void
install(void)
{
	static bool installed = false;

	if (installed)
		return;
	installed = true;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	next_planner = planner_hook;
	planner_hook = plan;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	next_access = object_access_hook;
	object_access_hook = access_object;
	next_needs_fmgr = needs_fmgr_hook;
	needs_fmgr_hook = needs_fmgr;
	next_fmgr = fmgr_hook;
	fmgr_hook = call_function;
}

/*
 * A function's SET clause works even in parallel mode. Some settings turn an
 * error into the end of the session, or into an interrupt, or weaken the
 * sandbox. Users' code runs in a security-restricted operation, and these
 * settings are marked as forbidden in one. So it cannot set them.
 */
static void
protect_settings(bool protect)
{
	static const char *const names[] = {
		"exit_on_error", "lock_timeout", "statement_timeout", "transaction_timeout",
		"idle_in_transaction_session_timeout", "idle_session_timeout", "wal_sender_timeout",
		"max_parallel_workers_per_gather", "jit"
	};
	static struct config_generic *settings[lengthof(names)];
	static bool found = false;

	for (int i = 0; i < lengthof(names); i++)
	{
		if (!found)
			settings[i] = find_setting(names[i]);
		if (settings[i] != NULL && protect)
			settings[i]->flags |= GUC_NOT_WHILE_SEC_REST;
		else if (settings[i] != NULL)
			settings[i]->flags &= ~GUC_NOT_WHILE_SEC_REST;
	}
	found = true;
}

/*
 * Disable parallel workers, which cannot work in decoding, and the compiler,
 * which cannot be interrupted.
 */
static void
enter_user(void)
{
	outer_parallel_workers = max_parallel_workers_per_gather;
	outer_jit = jit_enabled;
	max_parallel_workers_per_gather = 0;
	jit_enabled = false;
	protect_settings(true);
}

static void
leave_user(void)
{
	max_parallel_workers_per_gather = outer_parallel_workers;
	jit_enabled = outer_jit;
	protect_settings(false);
}

static bool
says(const ErrorData *error, const char *words)
{
	return error->message != NULL && strstr(error->message, words) != NULL;
}

/* Is the error one of the sandbox's? */
static bool
comes_from_sandbox(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	/*
	 * Other errors of a query in a sandbox without privileges: an unavailable
	 * lock, a name that is not found, a command that cannot be started. Two of
	 * the texts are the server's: for a table scan without the functions for
	 * catalogs, and for what parallel mode forbids.
	 */
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INVALID_TRANSACTION_STATE) ||
		says(error, "call during logical decoding") ||
		says(error, "during a parallel operation");
}

/*
 * The server calls this for each error that is raised in a library, and so
 * also for errors that the library catches.
 */
static void
look_at_error(void *arg)
{
	MemoryContext old;
	ErrorData  *error;

	if (current != SANDBOX_LIBRARY || geterrcode() == ERRCODE_OUT_OF_MEMORY)
		return;
	old = MemoryContextSwitchTo(CurTransactionContext);
	error = CopyErrorData();
	refused = refused || (error->elevel == ERROR && comes_from_sandbox(error));
	FreeErrorData(error);
	MemoryContextSwitchTo(old);
}

static void
enter_library(void)
{
	static ErrorContextCallback callback = {.callback = look_at_error};

	callback.previous = outer_error_context = error_context_stack;
	error_context_stack = &callback;
	forbid_table_scans();
}

static void
leave_library(void)
{
	error_context_stack = outer_error_context;
	allow_table_scans();
}

void
sandbox_enter(Sandbox sandbox, bool patient)
{
	install();
	refused = false;
	current = sandbox;
	outer_quiet = quiet_enter(sandbox == SANDBOX_USER ? QUIET_WHOLLY : QUIET_MOSTLY);
	/* a query locks its tables before a hook can reject it */
	outer_lock_timeout = LockTimeout;
	LockTimeout = patient ? PATIENT_LOCK_WAIT_MS : LOCK_WAIT_MS;
	if (sandbox == SANDBOX_LIBRARY)
		enter_library();
	else if (sandbox == SANDBOX_USER)
		enter_user();
}

void
sandbox_leave(void)
{
	Sandbox		left = current;

	current = SANDBOX_NONE;
	if (left == SANDBOX_NONE)
		return;
	quiet_leave(outer_quiet);
	LockTimeout = outer_lock_timeout;
	/* the lock may have come just when its time was up: do not cancel what is next */
	if (get_timeout_indicator(LOCK_TIMEOUT, true))
		QueryCancelPending = false;
	if (left == SANDBOX_LIBRARY)
		leave_library();
	else if (left == SANDBOX_USER)
		leave_user();
}

bool
sandbox_refused(void)
{
	return refused;
}

static bool
language_is_c(Oid language)
{
	return language == INTERNALlanguageId || language == ClanguageId;
}

bool
sandbox_function_is_c(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		is_c;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_c = language_is_c(((Form_pg_proc) GETSTRUCT(tuple))->prolang);
	ReleaseSysCache(tuple);
	return is_c;
}

static bool
takes_xml(Form_pg_proc proc)
{
	for (int i = 0; i < proc->proargtypes.dim1; i++)
		if (proc->proargtypes.values[i] == XMLOID)
			return true;
	return false;
}

static const char *
objection_to(Form_pg_proc proc)
{
	if (!language_is_c(proc->prolang))
	{
		if (proc->prolang != SQLlanguageId &&
			proc->prolang != get_language_oid("plpgsql", true))
			return "its language cannot be interrupted";
		return NULL;
	}
	/* writes WAL, sends signals, waits, or gives another result each time */
	if (proc->provolatile == PROVOLATILE_VOLATILE)
		return "it is volatile";
	if (takes_xml(proc))
		return "functions of XML cannot be interrupted";
	return NULL;
}

const char *
sandbox_objection(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	const char *objection;

	if (!HeapTupleIsValid(tuple))
		return "it does not exist";
	objection = objection_to((Form_pg_proc) GETSTRUCT(tuple));
	ReleaseSysCache(tuple);
	if (objection == NULL && !present_executable(function))
		objection = "PUBLIC may no longer execute it";
	return objection;
}
