/*
 * rules.c
 *		Rules for columns, and constants: their text as options have it, and which
 *		of them are about a table or a column.
 *
 *		columns		rule ; rule ...			rule		pattern : part , part ...
 *		set			name = value , ...		part		pattern change as name
 *
 * Words that hold spaces or one of , ; : = are in double quotes; a quote
 * inside is doubled. Patterns are those of the forwarder's key "tables": case
 * counts, * and ? stand for characters unless they are in quotes.
 */
#include "postgres.h"

#include "rules.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/scansup.h"

/* Wildcards of a pattern, outside of the range of bytes. */
#define ANY_CHARACTERS 0x100
#define ANY_CHARACTER 0x101
#define DOT 0x102

/*
 * The longest text or name, in bytes, and the most constants. These are
 * appended whatever the document's limit is. So all those of a row must fit
 * into the bytes that a message may have beyond that limit.
 */
#define LONGEST_TEXT 500
#define MOST_CONSTANTS 100

/* The rest of a text, and what is wrong with it. */
typedef struct Scanner
{
	const char *p;
	const char *problem;
} Scanner;

static void
skip_spaces(Scanner *s)
{
	while (scanner_isspace(*s->p))
		s->p++;
}

static bool
is_stop(char c, const char *stops)
{
	return c == '\0' || strchr(stops, c) != NULL || (stops[0] == ' ' && scanner_isspace(c));
}

/*
 * The text before the next unquoted stop, with its quotes and without the
 * spaces at its end. Stops that begin with a space include all white space.
 * Empty at the end, and if a quote is not closed.
 */
static char *
scan(Scanner *s, const char *stops)
{
	const char *begin;
	const char *end;
	bool		quoted = false;

	skip_spaces(s);
	begin = s->p;
	for (; *s->p != '\0' && (quoted || !is_stop(*s->p, stops)); s->p++)
		if (*s->p == '"')
			quoted = !quoted;
	if (quoted)
		s->problem = "A double quote is not closed.";
	for (end = s->p; end > begin && scanner_isspace(end[-1]);)
		end--;
	return pnstrdup(begin, quoted ? 0 : end - begin);
}

/* A word without its quotes. */
static const char *
unquoted(const char *word)
{
	StringInfoData s;
	bool		quoted = false;

	initStringInfo(&s);
	for (; *word != '\0'; word++)
	{
		if (*word != '"')
			appendStringInfoChar(&s, *word);
		else if (quoted && word[1] == '"')
			appendStringInfoChar(&s, *word++);
		else
			quoted = !quoted;
	}
	return s.data;
}

static uint16
sign_of(char c)
{
	switch (c)
	{
		case '*':
			return ANY_CHARACTERS;
		case '?':
			return ANY_CHARACTER;
		case '.':
			return DOT;
		default:
			return (unsigned char) c;
	}
}

static Pattern
read_pattern(const char *word)
{
	Pattern		pattern = {0, palloc(sizeof(uint16) * (strlen(word) + 1))};
	bool		quoted = false;

	for (; *word != '\0'; word++)
	{
		if (*word != '"')
			pattern.signs[pattern.n++] = quoted ? (unsigned char) *word : sign_of(*word);
		else if (quoted && word[1] == '"')
			pattern.signs[pattern.n++] = (unsigned char) *word++;
		else
			quoted = !quoted;
	}
	return pattern;
}

/* A schema, a dot, and a table. */
static bool
names_tables(const Pattern *pattern)
{
	for (int i = 1; i < pattern->n - 1; i++)
		if (pattern->signs[i] == DOT)
			return true;
	return false;
}

/* Bytes of the character at s, which is not at its end. */
static int
character(const char *s)
{
	int			length = pg_encoding_mblen(GetDatabaseEncoding(), s);

	return (int) strnlen(s, Max(length, 1));
}

static bool
is_like(const char *name, const uint16 *signs, int n)
{
	int			star = -1;		/* the last star so far */
	const char *resume = NULL;	/* where the name continues after the bytes of that star */
	int			i = 0;

	while (*name != '\0')
	{
		if (i < n && signs[i] == ANY_CHARACTERS)
		{
			star = i++;
			resume = name;
		}
		else if (i < n && signs[i] == ANY_CHARACTER)
		{
			i++;
			name += character(name);
		}
		else if (i < n && (signs[i] == DOT ? '.' : signs[i]) == (unsigned char) *name)
		{
			i++;
			name++;
		}
		else if (star >= 0)
		{
			i = star + 1;
			resume += character(resume);
			name = resume;
		}
		else
			return false;
	}
	while (i < n && signs[i] == ANY_CHARACTERS)
		i++;
	return i == n;
}

/* "a.b.c" may be table b.c of schema a, or c of a.b. */
static bool
matches_table(const Pattern *pattern, const char *schema, const char *table)
{
	for (int i = 0; i < pattern->n; i++)
		if (pattern->signs[i] == DOT && is_like(schema, pattern->signs, i) &&
			is_like(table, pattern->signs + i + 1, pattern->n - i - 1))
			return true;
	return false;
}

static const char *
limited(Scanner *s, const char *word)
{
	if (s->problem == NULL && strlen(word) > LONGEST_TEXT)
		s->problem = psprintf("A text or name has more than %d bytes.", LONGEST_TEXT);
	return word;
}

/* A required word. */
static const char *
scan_argument(Scanner *s, const char *missing)
{
	char	   *word = scan(s, " ,;");

	if (*word == '\0' && s->problem == NULL)
		s->problem = missing;
	return limited(s, unquoted(word));
}

static int
scan_count(Scanner *s, const char *change)
{
	const char *missing = psprintf("A number of characters has to follow \"%s\", as in %s 4.",
								   change, change);
	const char *word = scan_argument(s, missing);
	Size		digits = strspn(word, "0123456789");

	if (s->problem == NULL && (digits == 0 || digits > 9 || word[digits] != '\0'))
		s->problem = missing;
	return s->problem == NULL ? atoi(word) : 0;
}

/* The change to the column. False if the word is not a change. */
static bool
scan_change(Scanner *s, const char *word, ColumnRule *rule)
{
	if (strcmp(word, "omit") == 0)
		rule->change = CHANGE_OMIT;
	else if (strcmp(word, "hash") == 0)
		rule->change = CHANGE_HASH;
	else if (strcmp(word, "mask") == 0)
	{
		rule->change = CHANGE_MASK;
		rule->mask = scan_argument(s, "A text has to follow \"mask\", as in mask \"***\".");
	}
	else if (strcmp(word, "keep") == 0 || strcmp(word, "truncate") == 0)
	{
		rule->change = word[0] == 'k' ? CHANGE_KEEP : CHANGE_TRUNCATE;
		rule->characters = scan_count(s, word);
	}
	else
		return false;
	return true;
}

static void
scan_name(Scanner *s, ColumnRule *rule)
{
	rule->name = scan_argument(s, "A name has to follow \"as\".");
	if (s->problem == NULL && *rule->name == '\0')
		s->problem = "The name that follows \"as\" is empty.";
	if (s->problem == NULL && rule->change == CHANGE_OMIT)
		s->problem = "A column that is left out gets no name.";
}

#define CHANGES "omit, hash, mask TEXT, keep N, truncate N, and then or alone: as NAME"

static ColumnRule *
scan_part(Scanner *s, Pattern table)
{
	ColumnRule *rule = palloc0(sizeof(ColumnRule));
	char	   *column = scan(s, " ,;");
	char	   *word = scan(s, " ,;");

	rule->table = table;
	rule->column = read_pattern(column);
	if (s->problem == NULL && *column == '\0')
		s->problem = "A column is missing.";
	if (s->problem == NULL && *word == '\0')
		s->problem = psprintf("Column %s has no change. Changes are: " CHANGES ".", column);
	if (s->problem == NULL && scan_change(s, word, rule))
		word = scan(s, " ,;");
	if (s->problem == NULL && strcmp(word, "as") == 0)
	{
		scan_name(s, rule);
		word = scan(s, " ,;");
	}
	if (s->problem == NULL && *word != '\0')
		s->problem = psprintf("\"%s\" is not expected. Changes are: " CHANGES ".", word);
	return rule;
}

/* Skip the separator. False if there is none. */
static bool
scan_separator(Scanner *s, char separator)
{
	skip_spaces(s);
	if (s->problem != NULL || *s->p != separator)
		return false;
	s->p++;
	return true;
}

static List *
scan_rule(Scanner *s, List *rules)
{
	char	   *word = scan(s, ":;");
	Pattern		table = read_pattern(word);

	if (s->problem == NULL && !names_tables(&table))
		s->problem = psprintf("\"%s\" is no pattern of tables such as public.orders or public.*.",
							  word);
	if (!scan_separator(s, ':'))
	{
		if (s->problem == NULL)
			s->problem = psprintf("A colon and columns have to follow %s.", word);
		return rules;
	}
	do
		rules = lappend(rules, scan_part(s, table));
	while (scan_separator(s, ','));
	return rules;
}

List *
rules_parse(const char *given, const char **problem)
{
	Scanner		s = {.p = given};
	List	   *rules = NIL;

	do
	{
		rules = scan_rule(&s, rules);
		if (scan_separator(&s, ';'))
			skip_spaces(&s);
	} while (s.problem == NULL && *s.p != '\0');
	*problem = s.problem;
	return rules;
}

static Constant *
scan_constant(Scanner *s, List *before)
{
	Constant   *constant = palloc0(sizeof(Constant));
	ListCell   *lc;

	constant->name = limited(s, unquoted(scan(s, "=,")));
	if (s->problem == NULL && list_length(before) == MOST_CONSTANTS)
		s->problem = psprintf("There are more than %d names.", MOST_CONSTANTS);
	if (s->problem == NULL && *constant->name == '\0')
		s->problem = "A name is empty.";
	foreach(lc, before)
		if (s->problem == NULL && strcmp(((Constant *) lfirst(lc))->name, constant->name) == 0)
			s->problem = psprintf("The name \"%s\" is there twice.", constant->name);
	if (!scan_separator(s, '='))
	{
		if (s->problem == NULL)
			s->problem = psprintf("Name \"%s\" has no value.", constant->name);
		return constant;
	}
	constant->value = limited(s, unquoted(scan(s, ",")));
	return constant;
}

List *
rules_parse_constants(const char *given, const char **problem)
{
	Scanner		s = {.p = given};
	List	   *constants = NIL;

	do
		constants = lappend(constants, scan_constant(&s, constants));
	while (scan_separator(&s, ','));
	*problem = s.problem;
	return constants;
}

List *
rules_of_table(List *rules, const char *schema, const char *table)
{
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, rules)
	{
		ColumnRule *rule = lfirst(lc);

		if (matches_table(&rule->table, schema, table))
			found = lappend(found, rule);
	}
	return found;
}

const ColumnRule *
rules_of_column(List *of_table, const char *column)
{
	const ColumnRule *last = NULL;
	ListCell   *lc;

	foreach(lc, of_table)
	{
		const ColumnRule *rule = lfirst(lc);

		if (is_like(column, rule->column.signs, rule->column.n))
			last = rule;
	}
	return last;
}

bool
rules_hash(List *rules)
{
	ListCell   *lc;

	foreach(lc, rules)
		if (((ColumnRule *) lfirst(lc))->change == CHANGE_HASH)
			return true;
	return false;
}
