/*
 * dialect.c
 *		The list of dialects.
 */
#include "postgres.h"

#include "dialect.h"

const Dialect *const dialects[] = {
	&dialect_walspout,
	&dialect_wal2json,
	&dialect_debezium,
	&dialect_row,
	&dialect_psql_streamer,
	&dialect_pg2sink,
	&dialect_cloudevents,
	&dialect_sequin,
	NULL
};
