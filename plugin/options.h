/*
 * options.h
 *		The slot options that START_REPLICATION and the SQL functions take.
 */
#ifndef WALSPOUT_OPTIONS_H
#define WALSPOUT_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Of the frames: see frames.h. */
#define PROTO_VERSION 2

typedef enum Format
{
	FORMAT_JSON,				/* one message, one document */
	FORMAT_FRAMES				/* many documents in a message: see frames.h */
} Format;

/* How numbers are printed. */
typedef enum Numbers
{
	NUMBERS_JSON,				/* as row_to_json() does */
	NUMBERS_STRING,				/* as strings */
	NUMBERS_SAFE				/* as strings if a double may not hold them */
} Numbers;

/* What a document of a table's schema holds. */
typedef enum SchemaFormat
{
	SCHEMA_WALSPOUT,			/* what the catalogs say */
	SCHEMA_AVRO					/* The content of a document of a table's schema. */
} SchemaFormat;

/* Metadata of the envelope that can be left out. */
typedef enum Omit
{
	OMIT_ID = 1 << 0,
	OMIT_OP = 1 << 1,
	OMIT_SCHEMA = 1 << 2,
	OMIT_TABLE = 1 << 3,
	OMIT_TS = 1 << 4,
	OMIT_XID = 1 << 5,
	OMIT_ORIGIN = 1 << 6
} Omit;

/* Of the dialect wal2json: what its documents have. */
typedef struct Wal2jsonOptions
{
	bool		lsn;
	bool		xids;
	bool		timestamp;
	bool		pk;
	bool		types;
} Wal2jsonOptions;

/* Of the dialect debezium, as its options of these names. */
typedef enum Decimals
{
	DECIMALS_PRECISE,			/* bytes in base 64 */
	DECIMALS_STRING,
	DECIMALS_DOUBLE
} Decimals;

typedef enum Times
{
	TIMES_ADAPTIVE,				/* milliseconds or microseconds, by the type's digits */
	TIMES_MICROS,				/* the same, but always microseconds for times of day */
	TIMES_CONNECT,				/* milliseconds */
	TIMES_ISO					/* strings */
} Times;

typedef struct DebeziumOptions
{
	int			decimals;		/* a Decimals */
	int			times;			/* a Times */
	const char *prefix;			/* NULL: the name of the database */
	const char *placeholder;	/* of values that are not in the WAL */
	bool		metadata;		/* documents about transactions */
} DebeziumOptions;

/* Operations that are not sent. */
typedef enum Skip
{
	SKIP_INSERT = 1 << 0,
	SKIP_UPDATE = 1 << 1,
	SKIP_DELETE = 1 << 2,
	SKIP_TRUNCATE = 1 << 3
} Skip;

struct Dialect;

typedef struct Options
{
	const struct Dialect *dialect;
	Wal2jsonOptions wal2json;
	DebeziumOptions debezium;
	int			skipped;		/* of Skip */
	const char *host;			/* for dialects that name it; NULL: not given */
	int			format;			/* a Format */
	bool		has_publications;	/* false: every table */
	List	   *publications;	/* of char *, in the order given, none twice */
	bool		messages;
	bool		has_prefixes;	/* false: every prefix */
	List	   *message_prefixes;	/* of char * */
	bool		local_origin_only;
	bool		transactions;
	int			omit;			/* of Omit */
	int64		batch_bytes;	/* a batch is sent when it is larger than this */
	int64		max_value_bytes;	/* 0: no limit but the document's */
	int64		max_depth;		/* levels that a document may nest */
	int			numbers;		/* a Numbers */
	bool		user_casts;		/* call casts to json in SQL or PL/pgSQL */
	List	   *columns;		/* of ColumnRule * */
	List	   *constants;		/* of Constant *: further members of rows */
	const char *hash_key;		/* NULL if no rule hashes */
	bool		schemas;		/* send documents of tables' schemas, too */
	int			schema_format;	/* a SchemaFormat */
} Options;

/*
 * Read the DefElems that the client gave. Raises on a wrong name or value, and
 * names valid ones. Allocates in the current context.
 */
extern void options_parse(List *given, Options *options);

#endif
