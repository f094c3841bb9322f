/*
 * quiet.c
 *		Messages of the server and libraries while a value is rendered.
 *
 * They would log each row's message. A table of a million rows would put a
 * million lines into the server's log, and send as many notices to the client.
 * So the client gets nothing, and the log gets a message now and then, with
 * the number of messages left out.
 */
#include "postgres.h"

#include "quiet.h"

#include "mb/pg_wchar.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"
#include "utils/timestamp.h"

#define REPORT_MINUTES 10

static Quiet current = QUIET_NOT;
static CommandDest destination; /* the client's, while it gets nothing */

/* Since the last report. */
static uint64 held_back = 0;
static char example[256];		/* the first of them */
static TimestampTz reported_at = 0;

static emit_log_hook_type next_log;

static void
hold_back(ErrorData *error)
{
	const char *message = error->message ? error->message : "";

	error->output_to_server = false;
	if (held_back++ == 0)
	{
		int			length = pg_mbcliplen(message, strlen(message), sizeof(example) - 1);

		memcpy(example, message, length);
		example[length] = '\0';
	}
}

/* The server calls this for each message that goes to its log. */
static void
emit_log(ErrorData *error)
{
	if (current != QUIET_NOT && error->elevel >= FATAL)
		error->output_to_client = destination == DestRemote;
	else if (current == QUIET_WHOLLY)
		error->output_to_server = false;
	else if (current == QUIET_MOSTLY && error->elevel > DEBUG1)
		hold_back(error);
	if (next_log)
		next_log(error);
}

static void
install(void)
{
	static bool installed = false;

	if (likely(installed))
		return;
	installed = true;
	next_log = emit_log_hook;
	emit_log_hook = emit_log;
}

Quiet
quiet_enter(Quiet quiet)
{
	Quiet		outer = current;

	install();
	if (outer == QUIET_NOT)
	{
		destination = whereToSendOutput;
		whereToSendOutput = DestNone;
	}
	current = Max(outer, quiet);
	return outer;
}

void
quiet_leave(Quiet outer)
{
	if (current != QUIET_NOT && outer == QUIET_NOT)
		whereToSendOutput = destination;
	current = outer;
}

void
quiet_report(void)
{
	TimestampTz now;
	uint64		others;

	if (likely(held_back == 0) || current != QUIET_NOT)
		return;
	now = GetCurrentTimestamp();
	if (reported_at != 0 &&
		!TimestampDifferenceExceeds(reported_at, now, REPORT_MINUTES * 60 * 1000))
		return;
	others = held_back - 1;
	held_back = 0;
	reported_at = now;
	ereport(LOG_SERVER_ONLY,
			(errmsg("a message appeared while walspout rendered a value: %s", example),
			 others == 0 ? 0 :
			 errdetail("Since the last such line, " UINT64_FORMAT " more messages appeared.",
					   others),
			 errhint("Such messages may come for each row. One in %d minutes is logged.",
					 REPORT_MINUTES)));
}
