/*
 * options.c
 *		The slot options that START_REPLICATION and the SQL functions take.
 *
 * One row of the table below is one option: only this file knows their names.
 */
#include "postgres.h"

#include "options.h"

#include <limits.h>

#include "dialect.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "parser/scansup.h"
#include "rules.h"
#include "secret.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

/* A word that an option takes, and what it stands for. */
typedef struct Word
{
	const char *name;
	int			value;
} Word;

static const Word formats[] = {{"json", FORMAT_JSON}, {"frames", FORMAT_FRAMES}, {NULL, 0}};
static const Word origins[] = {{"any", false}, {"none", true}, {NULL, 0}};
static const Word number_forms[] = {
	{"json", NUMBERS_JSON}, {"string", NUMBERS_STRING}, {"safe", NUMBERS_SAFE}, {NULL, 0}
};
static const Word schema_formats[] = {
	{"walspout", SCHEMA_WALSPOUT}, {"avro", SCHEMA_AVRO}, {NULL, 0}
};
static const Word metadata[] = {
	{"id", OMIT_ID}, {"op", OMIT_OP}, {"schema", OMIT_SCHEMA}, {"table", OMIT_TABLE},
	{"ts", OMIT_TS}, {"xid", OMIT_XID}, {"origin", OMIT_ORIGIN}, {NULL, 0}
};

/* The subject of an option that other dialects than the default one may lack. */
typedef enum About
{
	ABOUT_ANY,
	ABOUT_ENVELOPE,				/* of the default dialect */
	ABOUT_SCHEMAS,				/* of tables: documents of the default dialect */
	ABOUT_VALUES,				/* as row_to_json() prints them */
	ABOUT_HOST					/* where the database is */
} About;

static const Word decimals[] = {
	{"precise", DECIMALS_PRECISE}, {"string", DECIMALS_STRING}, {"double", DECIMALS_DOUBLE},
	{NULL, 0}
};
static const Word times[] = {
	{"adaptive", TIMES_ADAPTIVE}, {"adaptive_time_microseconds", TIMES_MICROS},
	{"connect", TIMES_CONNECT}, {"isostring", TIMES_ISO}, {NULL, 0}
};
static const Word skips[] = {
	{"c", SKIP_INSERT}, {"u", SKIP_UPDATE}, {"d", SKIP_DELETE}, {"t", SKIP_TRUNCATE}, {"none", 0},
	{NULL, 0}
};

typedef struct OptionSpec OptionSpec;
typedef void (*Parse) (const OptionSpec *spec, const char *value, Options *options);

struct OptionSpec
{
	const char *name;
	Parse		parse;
	Size		field;			/* offset in Options of where the value goes */
	Size		given;			/* of the flag that a list was given */
	const Word *words;
	int64		min;
	int64		max;
	int			unit;			/* of GUC_UNIT, or 0 */
	const Dialect *dialect;		/* the only dialect with this option; NULL: all */
	About		about;
};

static void parse_boolean(const OptionSpec *spec, const char *value, Options *options);
static void parse_word(const OptionSpec *spec, const char *value, Options *options);
static void parse_flag(const OptionSpec *spec, const char *value, Options *options);
static void parse_words(const OptionSpec *spec, const char *value, Options *options);
static void parse_identifiers(const OptionSpec *spec, const char *value, Options *options);
static void parse_prefixes(const OptionSpec *spec, const char *value, Options *options);
static void parse_number(const OptionSpec *spec, const char *value, Options *options);
static void parse_depth(const OptionSpec *spec, const char *value, Options *options);
static void parse_version(const OptionSpec *spec, const char *value, Options *options);
static void parse_columns(const OptionSpec *spec, const char *value, Options *options);
static void parse_constants(const OptionSpec *spec, const char *value, Options *options);
static void parse_dialect(const OptionSpec *spec, const char *value, Options *options);
static void parse_format_version(const OptionSpec *spec, const char *value, Options *options);
static void parse_text(const OptionSpec *spec, const char *value, Options *options);
static void parse_skipped(const OptionSpec *spec, const char *value, Options *options);

/* The row's values are in an object of the document, whatever they are. */
#define LEAST_DEPTH 2

/*
 * Common parsers accept this depth with their defaults: the strictest of them,
 * System.Text.Json and Json.NET, stop at 64 levels.
 */
#define DEFAULT_DEPTH 64

#define FIELD(name) offsetof(Options, name)

static const OptionSpec specs[] = {
	{"format", parse_word, FIELD(format), .words = formats},
	{"publications", parse_identifiers, FIELD(publications), FIELD(has_publications)},
	{"messages", parse_boolean, FIELD(messages)},
	{"message_prefixes", parse_prefixes, FIELD(message_prefixes), FIELD(has_prefixes)},
	{"origin", parse_flag, FIELD(local_origin_only), .words = origins},
	{"transactions", parse_boolean, FIELD(transactions)},
	{"omit", parse_words, FIELD(omit), .words = metadata, .about = ABOUT_ENVELOPE},
	{"batch_bytes", parse_number, FIELD(batch_bytes), .min = 1, .max = 16 * 1024 * 1024,
	.unit = GUC_UNIT_BYTE},
	{"max_value_bytes", parse_number, FIELD(max_value_bytes), .min = 0, .max = INT_MAX,
	.unit = GUC_UNIT_BYTE},
	{"max_depth", parse_depth, FIELD(max_depth), .min = LEAST_DEPTH, .max = INT_MAX},
	{"numbers", parse_word, FIELD(numbers), .words = number_forms, .about = ABOUT_VALUES},
	{"user_casts", parse_boolean, FIELD(user_casts), .about = ABOUT_VALUES},
	{"columns", parse_columns},
	{"set", parse_constants},
	{"schemas", parse_boolean, FIELD(schemas), .about = ABOUT_SCHEMAS},
	{"schema_format", parse_word, FIELD(schema_format), .words = schema_formats,
	.about = ABOUT_SCHEMAS},
	{"proto_version", parse_version},
	{"dialect", parse_dialect},
	{"host", parse_text, FIELD(host), .about = ABOUT_HOST},

	/* under their names in the other programs */
	{"format-version", parse_format_version, .dialect = &dialect_wal2json},
	{"include-lsn", parse_boolean, FIELD(wal2json.lsn), .dialect = &dialect_wal2json},
	{"include-pk", parse_boolean, FIELD(wal2json.pk), .dialect = &dialect_wal2json},
	{"include-timestamp", parse_boolean, FIELD(wal2json.timestamp), .dialect = &dialect_wal2json},
	{"include-transaction", parse_boolean, FIELD(transactions), .dialect = &dialect_wal2json},
	{"include-types", parse_boolean, FIELD(wal2json.types), .dialect = &dialect_wal2json},
	{"include-xids", parse_boolean, FIELD(wal2json.xids), .dialect = &dialect_wal2json},
	{"decimal.handling.mode", parse_word, FIELD(debezium.decimals), .words = decimals,
	.dialect = &dialect_debezium},
	{"provide.transaction.metadata", parse_boolean, FIELD(debezium.metadata),
	.dialect = &dialect_debezium},
	{"skipped.operations", parse_skipped, FIELD(skipped), .words = skips,
	.dialect = &dialect_debezium},
	{"time.precision.mode", parse_word, FIELD(debezium.times), .words = times,
	.dialect = &dialect_debezium},
	{"topic.prefix", parse_text, FIELD(debezium.prefix), .dialect = &dialect_debezium},
	{"unavailable.value.placeholder", parse_text, FIELD(debezium.placeholder),
	.dialect = &dialect_debezium},
};

#define field_of(type, options, offset) ((type *) ((char *) (options) + (offset)))

/* The words, or the options, as a list to show: "a, b, c". */
static char *
list_of_words(const Word *words)
{
	StringInfoData s;

	initStringInfo(&s);
	for (; words->name != NULL; words++)
		appendStringInfo(&s, "%s%s", s.len > 0 ? ", " : "", words->name);
	return s.data;
}

/* All options except those of a single dialect. */
static char *
list_of_options(void)
{
	StringInfoData s;

	initStringInfo(&s);
	for (int i = 0; i < lengthof(specs); i++)
		if (specs[i].dialect == NULL)
			appendStringInfo(&s, "%s%s", i > 0 ? ", " : "", specs[i].name);
	return s.data;
}

/* The option whose name is nearest to a wrong one, or NULL if none is near. */
static const char *
nearest_option(const char *name)
{
	const char *nearest = NULL;
	int			least = 4;

	if (strlen(name) > 64)
		return NULL;
	for (int i = 0; i < lengthof(specs); i++)
	{
		int			distance = varstr_levenshtein(name, strlen(name), specs[i].name,
												  strlen(specs[i].name), 1, 1, 1, true);

		if (distance < least && distance < (int) strlen(specs[i].name))
		{
			least = distance;
			nearest = specs[i].name;
		}
	}
	return nearest;
}

static void
refuse_value(const OptionSpec *spec, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for walspout option \"%s\": \"%s\"", spec->name, value),
			 errhint("%s", hint)));
}

static void
parse_boolean(const OptionSpec *spec, const char *value, Options *options)
{
	if (!parse_bool(value, field_of(bool, options, spec->field)))
		refuse_value(spec, value, "Valid values are true and false.");
}

static const Word *
find_word(const OptionSpec *spec, const char *name, const char *value)
{
	for (const Word *w = spec->words; w->name != NULL; w++)
		if (pg_strcasecmp(w->name, name) == 0)
			return w;
	refuse_value(spec, value, psprintf("Valid values are: %s.", list_of_words(spec->words)));
	return NULL;				/* not reached */
}

static void
parse_word(const OptionSpec *spec, const char *value, Options *options)
{
	*field_of(int, options, spec->field) = find_word(spec, value, value)->value;
}

static void
parse_flag(const OptionSpec *spec, const char *value, Options *options)
{
	*field_of(bool, options, spec->field) = find_word(spec, value, value)->value;
}

/* The parts of value between commas, without the spaces around them. */
static List *
split(const char *value)
{
	List	   *parts = NIL;
	char	   *rest = pstrdup(value);
	char	   *part;

	while ((part = strsep(&rest, ",")) != NULL)
	{
		char	   *end;

		while (scanner_isspace(*part))
			part++;
		for (end = part + strlen(part); end > part && scanner_isspace(end[-1]);)
			*--end = '\0';
		parts = lappend(parts, part);
	}
	return parts;
}

static void
parse_words(const OptionSpec *spec, const char *value, Options *options)
{
	ListCell   *lc;

	if (value[0] == '\0')
		return;
	foreach(lc, split(value))
		*field_of(int, options, spec->field) |= find_word(spec, lfirst(lc), value)->value;
}

static bool
holds(List *strings, const char *s)
{
	ListCell   *lc;

	foreach(lc, strings)
		if (strcmp(lfirst(lc), s) == 0)
			return true;
	return false;
}

static void
add_all(const OptionSpec *spec, List *strings, Options *options)
{
	List	  **list = field_of(List *, options, spec->field);
	ListCell   *lc;

	*field_of(bool, options, spec->given) = true;
	foreach(lc, strings)
		if (!holds(*list, lfirst(lc)))
			*list = lappend(*list, lfirst(lc));
}

/* Names as SQL writes them: folded to lower case unless in double quotes. */
static void
parse_identifiers(const OptionSpec *spec, const char *value, Options *options)
{
	List	   *names;

	if (!SplitIdentifierString(pstrdup(value), ',', &names) || names == NIL)
		refuse_value(spec, value, "Give names separated by commas, as in \"orders,customers\"; "
					 "in double quotes where SQL would need them.");
	add_all(spec, names, options);
}

static const char *
skip_spaces(const char *p)
{
	while (scanner_isspace(*p))
		p++;
	return p;
}

/* The text between the quotes at *p. Moves *p behind them. NULL if they are not closed. */
static char *
read_quoted(const char **p)
{
	StringInfoData s;
	const char *next = *p + 1;

	initStringInfo(&s);
	for (; *next != '\0'; next++)
	{
		if (*next == '"' && *++next != '"')
		{
			*p = next;
			return s.data;
		}
		appendStringInfoChar(&s, *next);
	}
	return NULL;
}

/* The text before the next comma, without the spaces before that. */
static char *
read_unquoted(const char **p)
{
	const char *begin = *p;
	const char *end = begin + strcspn(begin, ",");

	*p = end;
	while (end > begin && scanner_isspace(end[-1]))
		end--;
	return pnstrdup(begin, end - begin);
}

static void
refuse_prefixes(const OptionSpec *spec, const char *value, const char *what)
{
	refuse_value(spec, value,
				 psprintf("%s Give prefixes separated by commas, as in outbox,audit; in double "
						  "quotes where they hold commas, quotes or spaces at an end.", what));
}

/*
 * Prefixes are compared byte for byte, so they are not folded to lower case as
 * names are. In double quotes a prefix may hold anything, or be empty.
 */
static void
parse_prefixes(const OptionSpec *spec, const char *value, Options *options)
{
	List	   *prefixes = NIL;
	const char *p = value;

	for (;; p++)
	{
		char	   *prefix;

		p = skip_spaces(p);
		if (*p == '"')
		{
			if ((prefix = read_quoted(&p)) == NULL)
				refuse_prefixes(spec, value, "A double quote is not closed.");
			p = skip_spaces(p);
			if (*p != ',' && *p != '\0')
				refuse_prefixes(spec, value, "Only a comma may follow a closing double quote.");
		}
		else if (*(prefix = read_unquoted(&p)) == '\0')
			refuse_prefixes(spec, value, "A prefix is empty: the empty prefix is \"\", and "
							"messages=false leaves out all messages.");
		prefixes = lappend(prefixes, prefix);
		if (*p == '\0')
			break;
	}
	add_all(spec, prefixes, options);
}

/* Raises unless value is a number, with a unit if the option has one. */
static void
parse_number(const OptionSpec *spec, const char *value, Options *options)
{
	int			number;

	if (!parse_int(value, &number, spec->unit, NULL) || number < spec->min || number > spec->max)
		refuse_value(spec, value,
					 psprintf("Give a number of bytes from " INT64_FORMAT " to " INT64_FORMAT
							  "; units are B, kB, MB and GB.", spec->min, spec->max));
	*field_of(int64, options, spec->field) = number;
}

/* Raises unless value is a number of levels; 0 means no limit. */
static void
parse_depth(const OptionSpec *spec, const char *value, Options *options)
{
	int			depth;

	if (!parse_int(value, &depth, 0, NULL) || (depth != 0 && depth < spec->min))
		refuse_value(spec, value,
					 psprintf("Give a number of levels from " INT64_FORMAT " to " INT64_FORMAT
							  ", or 0 for no limit.", spec->min, spec->max));
	*field_of(int64, options, spec->field) = depth == 0 ? spec->max : depth;
}

/* The reader's version of the frames must be ours; else one of the two programs is too old. */
static void
parse_version(const OptionSpec *spec, const char *value, Options *options)
{
	int			version;

	if (!parse_int(value, &version, 0, NULL))
		refuse_value(spec, value, psprintf("The version of the frames is %d.", PROTO_VERSION));
	if (version != PROTO_VERSION)
		refuse_value(spec, value,
					 psprintf("This walspout plugin writes version %d of the frames. Upgrade %s.",
							  PROTO_VERSION, version < PROTO_VERSION ?
							  "the program that reads them" : "the plugin on the server"));
}

/* Raises unless value has valid rules, and there is a key if any of them hashes. */
static void
parse_columns(const OptionSpec *spec, const char *value, Options *options)
{
	const char *problem;

	options->columns = rules_parse(value, &problem);
	if (problem != NULL)
		refuse_value(spec, value,
					 psprintf("%s Give rules as in \"public.users: mail hash, note truncate 100 as "
							  "start; *.*: password omit\".", problem));
	if (!rules_hash(options->columns))
		return;
	options->hash_key = secret_key();
	if (options->hash_key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("walspout option \"%s\" hashes columns, and there is no key for that",
						spec->name),
				 errhint("Connect with the setting walspout.hash_key, as in "
						 "PGOPTIONS=\"-c walspout.hash_key=...\", or let walspout.hash_key_file "
						 "name a file on the server.")));
}

static void
parse_constants(const OptionSpec *spec, const char *value, Options *options)
{
	const char *problem;

	options->constants = rules_parse_constants(value, &problem);
	if (problem != NULL)
		refuse_value(spec, value,
					 psprintf("%s Give names and values as in \"sid=eu-1,region=north\"; in double "
							  "quotes where they hold commas, quotes or spaces at an end.", problem));
}

static char *
list_of_dialects(void)
{
	StringInfoData s;

	initStringInfo(&s);
	for (int i = 0; dialects[i] != NULL; i++)
		appendStringInfo(&s, "%s%s", i > 0 ? ", " : "", dialects[i]->name);
	return s.data;
}

static void
parse_dialect(const OptionSpec *spec, const char *value, Options *options)
{
	for (int i = 0; dialects[i] != NULL; i++)
		if (pg_strcasecmp(dialects[i]->name, value) == 0)
		{
			options->dialect = dialects[i];
			return;
		}
	refuse_value(spec, value, psprintf("Dialects are: %s.", list_of_dialects()));
}

static void
parse_text(const OptionSpec *spec, const char *value, Options *options)
{
	*field_of(const char *, options, spec->field) = pstrdup(value);
}

/* The list replaces the default list. */
static void
parse_skipped(const OptionSpec *spec, const char *value, Options *options)
{
	*field_of(int, options, spec->field) = 0;
	parse_words(spec, value, options);
}

/* A document of version 1 holds a whole transaction, which may be larger than a message. */
static void
parse_format_version(const OptionSpec *spec, const char *value, Options *options)
{
	if (strcmp(value, "2") != 0)
		refuse_value(spec, value, "Version 2 is the one that walspout writes.");
}

/* Other dialects have no form for a table's schema. */
static void
refuse_schemas(const bool *given, const Dialect *dialect)
{
	for (int i = 0; i < lengthof(specs); i++)
		if (given[i] && specs[i].about == ABOUT_SCHEMAS && dialect->other_form)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("walspout option \"%s\" does not go with option \"dialect\"",
							specs[i].name),
					 errhint("The dialect is %s, and schemas are documents of dialect %s. Leave one of "
							 "the two options out.", dialect->name, dialect_walspout.name)));
}

/* Check the other options against the dialect; given says which options the client set. */
static void
check_dialect(const bool *given, Options *options)
{
	const Dialect *dialect = options->dialect;

	for (int i = 0; i < lengthof(specs); i++)
	{
		if (!given[i])
			continue;
		if (specs[i].dialect != NULL && specs[i].dialect != dialect)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("walspout option \"%s\" is for dialect %s only", specs[i].name,
							specs[i].dialect->name),
					 errhint("The dialect is %s. Leave the option out, or set dialect=%s.",
							 dialect->name, specs[i].dialect->name)));
		if ((specs[i].about == ABOUT_ENVELOPE && dialect->other_form) ||
			(specs[i].about == ABOUT_VALUES && dialect->own_values) ||
			(specs[i].about == ABOUT_HOST && !dialect->tells_host))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("walspout option \"%s\" has no meaning in dialect %s", specs[i].name,
							dialect->name),
					 errhint("Leave the option out.")));
	}
	refuse_schemas(given, dialect);
	if (options->transactions && dialect->begin == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dialect %s has no documents around a transaction", dialect->name),
				 errhint("Leave the option \"transactions\" out.")));
}

/* Was the option given? */
static bool
is_given(const bool *given, Size field, Parse parse)
{
	for (int i = 0; i < lengthof(specs); i++)
		if (given[i] && specs[i].parse == parse && specs[i].field == field)
			return true;
	return false;
}

/* By default the connector sends no TRUNCATE. */
static void
complete_debezium(const bool *given, Options *options)
{
	if (!is_given(given, FIELD(skipped), parse_skipped))
		options->skipped = SKIP_TRUNCATE;
	if (options->debezium.placeholder == NULL)
		options->debezium.placeholder = "__debezium_unavailable_value";
	if (options->debezium.metadata && options->format == FORMAT_JSON)
		options->transactions = true;
}

static const OptionSpec *
find_spec(const char *name)
{
	const char *nearest;

	for (int i = 0; i < lengthof(specs); i++)
		if (strcmp(specs[i].name, name) == 0)
			return &specs[i];
	nearest = nearest_option(name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized walspout option \"%s\"", name),
			 nearest ? errhint("Did you mean \"%s\"? Options are: %s.", nearest,
							   list_of_options()) :
			 errhint("Options are: %s.", list_of_options())));
	return NULL;				/* not reached */
}

void
options_parse(List *given, Options *options)
{
	bool		seen[lengthof(specs)] = {false};
	ListCell   *lc;

	memset(options, 0, sizeof(*options));
	options->dialect = &dialect_walspout;
	options->wal2json.types = true;
	options->messages = true;
	options->batch_bytes = 65536;
	options->max_depth = DEFAULT_DEPTH;

	foreach(lc, given)
	{
		DefElem    *elem = lfirst_node(DefElem, lc);
		const OptionSpec *spec = find_spec(elem->defname);

		if (seen[spec - specs])
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("walspout option \"%s\" is given more than once", spec->name),
					 errhint("Give it once; lists are separated by commas.")));
		seen[spec - specs] = true;
		if (elem->arg == NULL)
		{
			/* pg_recvlogical -o transactions: a bare name switches on */
			if (spec->parse != parse_boolean)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("walspout option \"%s\" needs a value", spec->name),
						 errhint("Give it as %s=VALUE.", spec->name)));
			*field_of(bool, options, spec->field) = true;
			continue;
		}
		spec->parse(spec, strVal(elem->arg), options);
	}
	check_dialect(seen, options);
	if (options->dialect == &dialect_debezium)
		complete_debezium(seen, options);
	if (options->dialect->transactions && options->format == FORMAT_JSON &&
		!is_given(seen, FIELD(transactions), parse_boolean))
		options->transactions = true;
}
