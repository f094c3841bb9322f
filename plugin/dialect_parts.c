/*
 * dialect_parts.c
 *		What several dialects write: names of the database, and of operations.
 */
#include "postgres.h"

#include "dialect_parts.h"

#include "commands/dbcommands.h"
#include "format.h"
#include "miscadmin.h"
#include "text.h"

const char *
parts_database(void)
{
	char	   *name = get_database_name(MyDatabaseId);

	return name != NULL ? text_plain(name) : "";
}

const char *
parts_host(const Options *options)
{
	return options->host != NULL ? options->host : "unknown";
}

const char *
parts_action(char op)
{
	switch (op)
	{
		case 'c':
			return "insert";
		case 'u':
			return "update";
		case 'd':
			return "delete";
		case 't':
			return "truncate";
		default:
			return "message";
	}
}

Piece
parts_piece(const char *s)
{
	Piece		piece = {s, strlen(s)};

	return piece;
}

void
parts_number(Out *o, uint64 number)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_uint64(o->p, number);
}

char *
parts_time(const Transaction *txn)
{
	char	   *quoted;
	char	   *p;

	if (!TransactionIdIsValid(txn->xid))
		return pstrdup("null");
	quoted = p = palloc(FORMAT_WIDTH);
	*p++ = '"';
	p = format_rfc3339(p, txn->commit_time);
	*p++ = '"';
	*p = '\0';
	return quoted;
}

void
parts_message(Out *o, const Transaction *txn, const Options *options, const Message *message,
			  int depth)
{
	Size		begin = out_tell(o);

	envelope_message_members(o, txn, options, message, depth);
	close_object(o, begin);
}
