/*
 * text.c
 *		Text of the database, in the database's encoding, to JSON in UTF-8.
 *
 * In a UTF-8 database text goes straight to the escaper. In SQL_ASCII it is
 * checked for being UTF-8. In all others the server converts pieces that fit a
 * buffer on the stack. So no value, however long, is converted as a whole.
 * Pure ASCII, which is the same in every server encoding, is not converted.
 */
#include "postgres.h"

#include "text.h"

#include "catalog/pg_conversion.h"
#include "catalog/pg_namespace.h"
#include "compat.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#define REPLACEMENT "\xEF\xBF\xBD"	/* U+FFFD */

/* Bytes to convert at a time; the result is at most MAX_CONVERSION_GROWTH as many. */
#define PIECE 2048

typedef bool (*Emit) (Out *o, const char *s, Size n);

/* text_to_server() turns a character of at least two bytes into \uXXXX, six bytes. */
#define SERVER_GROWTH 3

/* A conversion of pg_catalog's, found when it is first needed. */
typedef struct Conversion
{
	int			from;
	int			to;
	FmgrInfo	function;		/* fn_oid is invalid until looked up */
	bool		missing;
} Conversion;

static int	encoding;
static bool to_server;			/* convert documents to the database's encoding */
static Conversion to_utf8;
static Conversion from_utf8;

void
text_startup(bool sql)
{
	encoding = GetDatabaseEncoding();
	to_server = sql && encoding != PG_UTF8 && encoding != PG_SQL_ASCII;
	document_limit = to_server ? DOCUMENT_LIMIT / SERVER_GROWTH : DOCUMENT_LIMIT;
	memset(&to_utf8, 0, sizeof(to_utf8));
	memset(&from_utf8, 0, sizeof(from_utf8));
	to_utf8.from = from_utf8.to = encoding;
	to_utf8.to = from_utf8.from = PG_UTF8;
}

static bool
conversion_ready(Conversion *c)
{
	Oid			proc;

	if (OidIsValid(c->function.fn_oid))
		return true;
	if (c->missing)
		return false;

	/*
	 * Use only conversions that come with the server. With a default
	 * conversion from the search path, the bytes would depend on the session.
	 */
	proc = FindDefaultConversion(PG_CATALOG_NAMESPACE, c->from, c->to);
	if (!OidIsValid(proc))
	{
		c->missing = true;
		return false;
	}
	fmgr_info_cxt(proc, &c->function, TopMemoryContext);
	return true;
}

/* Call the conversion; n is at most PIECE, dest has room for the result. */
static int
call_conversion(Conversion *c, const char *s, int n, char *dest)
{
#ifdef HAVE_CONVERSION_WITHOUT_ERROR
	return DatumGetInt32(FunctionCall6(&c->function, Int32GetDatum(c->from), Int32GetDatum(c->to),
									   CStringGetDatum(s), CStringGetDatum(dest),
									   Int32GetDatum(n), BoolGetDatum(true)));
#else

	/*
	 * Conversions are pure functions: they leave nothing behind when they
	 * raise. So the error can be caught without a subtransaction.
	 */
	MemoryContext context = CurrentMemoryContext;
	volatile int converted = n;

	PG_TRY();
	{
		FunctionCall5(&c->function, Int32GetDatum(c->from), Int32GetDatum(c->to),
					  CStringGetDatum(s), CStringGetDatum(dest), Int32GetDatum(n));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		converted = 0;
	}
	PG_END_TRY();
	return converted;
#endif
}

/*
 * Convert as much as possible at the start of s, at most PIECE bytes, to dest.
 * Returns how many bytes of s that was.
 */
static int
convert(Conversion *c, const char *s, Size n, char *dest)
{
	int			piece = (int) Min(n, PIECE);

#ifndef HAVE_CONVERSION_WITHOUT_ERROR
	int			whole = 0;

	/* Do not cut a character. A bad one spoils the piece: try one. */
	while (whole < piece)
	{
		int			length = pg_encoding_mblen(c->from, s + whole);

		if (length > piece - whole)
			break;
		whole += length;
	}
	if (whole > 0 && call_conversion(c, s, whole, dest) == whole)
		return whole;
	piece = Min(piece, pg_encoding_mblen(c->from, s));
#endif
	return call_conversion(c, s, piece, dest);
}

/* The length of the character at s that could not be converted. */
static Size
bad_length(int enc, const char *s, Size n)
{
	int			length = pg_encoding_mblen(enc, s);

	return length > 0 && (Size) length <= n && pg_verify_mbstr(enc, s, length, true) ? length : 1;
}

static bool
emit_converted(Out *o, const char *s, Size n, Emit emit)
{
	char		utf8[PIECE * MAX_CONVERSION_GROWTH + 1];

	while (n > 0)
	{
		Size		ascii = ascii_prefix(s, n);
		Size		done = ascii;

		if (ascii > 0 && !emit(o, s, ascii))
			return false;
		if (ascii < n)
		{
			int			converted = 0;

			if (conversion_ready(&to_utf8))
				converted = convert(&to_utf8, s + ascii, n - ascii, utf8);
			if (converted > 0)
			{
				if (!emit(o, utf8, strlen(utf8)))
					return false;
				done += converted;
			}
			else
			{
				if (!emit(o, REPLACEMENT, 3))
					return false;
				done += bad_length(encoding, s + ascii, n - ascii);
			}
		}
		s += done;
		n -= done;
	}
	return true;
}

/* The number of bytes at the start of s that are valid UTF-8. */
static Size
utf8_prefix(const char *s, Size n)
{
	Size		i = 0;

	for (;;)
	{
		int			length;

		i += ascii_prefix(s + i, n - i);
		if (i == n)
			return n;
		length = pg_utf_mblen((const unsigned char *) s + i);
		if ((Size) length > n - i || !pg_utf8_islegal((const unsigned char *) s + i, length))
			return i;
		i += length;
	}
}

static bool
emit_checked(Out *o, const char *s, Size n, Emit emit)
{
	while (n > 0)
	{
		Size		valid = utf8_prefix(s, n);

		if (valid > 0 && !emit(o, s, valid))
			return false;
		s += valid;
		n -= valid;
		if (n > 0)
		{
			if (!emit(o, REPLACEMENT, 3))
				return false;
			s++;
			n--;
		}
	}
	return true;
}

static bool
emit_text(Out *o, const char *s, Size n, bool checked, Emit emit)
{
	if (encoding == PG_UTF8 && checked)
		return emit(o, s, n);
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return emit_checked(o, s, n, emit);
	return emit_converted(o, s, n, emit);
}

static bool
quoted(Out *o, const char *s, Size n, bool checked)
{
	if (!out_room(o, 2))
		return false;
	put_char(o, '"');
	if (!emit_text(o, s, n, checked, json_escape))
		return false;
	append_literal(o, "\"");
	return true;
}

bool
text_string(Out *o, const char *s, Size n)
{
	if (likely(encoding == PG_UTF8))
		return json_string(o, s, n);
	return quoted(o, s, n, true);
}

bool
text_string_unchecked(Out *o, const char *s, Size n)
{
	return quoted(o, s, n, false);
}

bool
text_raw(Out *o, const char *s, Size n)
{
	return emit_text(o, s, n, true, json_raw);
}

Size
text_least(Size n)
{
	/* other encodings have characters of four bytes that take two in UTF-8 */
	return encoding == PG_UTF8 || encoding == PG_SQL_ASCII ? n : n / 2;
}

static bool
copy(Out *o, const char *s, Size n)
{
	if (!out_room(o, n))
		return false;
	put(o, s, n);
	return true;
}

/* A copy of the appended bytes without the buffer's spare room: there are thousands of names. */
static char *
take(Out *o)
{
	char	   *result;

	out_close(o);
	result = palloc0(LABEL_ROOM(o->s->len));
	memcpy(result, o->s->data, o->s->len);
	pfree(o->s->data);
	return result;
}

static char *
plain(const char *given, bool checked)
{
	StringInfoData s;
	Out			o;

	initStringInfo(&s);
	out_open(&o, &s);
	emit_text(&o, given, strlen(given), checked, copy);
	return take(&o);
}

char *
text_plain(const char *name)
{
	return plain(name, true);
}

char *
text_plain_unchecked(const char *given)
{
	return plain(given, false);
}

char *
text_label(const char *before, const char *name, const char *after)
{
	StringInfoData s;
	Out			o;

	initStringInfo(&s);
	out_open(&o, &s);
	append(&o, before, strlen(before));
	text_string(&o, name, strlen(name));
	append(&o, after, strlen(after));
	return take(&o);
}

char *
text_label_utf8(const char *before, const char *utf8, const char *after)
{
	StringInfoData s;
	Out			o;

	initStringInfo(&s);
	out_open(&o, &s);
	append(&o, before, strlen(before));
	json_string(&o, utf8, strlen(utf8));
	append(&o, after, strlen(after));
	return take(&o);
}

/* A character of UTF-8 as JSON writes it in ASCII. */
static void
append_escaped(StringInfo s, const char *utf8)
{
	pg_wchar	c = utf8_to_unicode((const unsigned char *) utf8);

	if (c >= 0x10000)
		appendStringInfo(s, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
						 0xDC00 + ((c - 0x10000) & 0x3FF));
	else
		appendStringInfo(s, "\\u%04x", c);
}

void
text_to_server(StringInfo s, Size start)
{
	char		piece[PIECE * MAX_CONVERSION_GROWTH + 1];
	StringInfoData utf8;
	const char *p;
	Size		n;

	if (!to_server)
		return;
	if (ascii_prefix(s->data + start, s->len - start) == s->len - start)
		return;

	initStringInfo(&utf8);
	appendBinaryStringInfo(&utf8, s->data + start, s->len - start);
	s->len = start;
	p = utf8.data;
	n = utf8.len;
	while (n > 0)
	{
		Size		done = ascii_prefix(p, n);

		appendBinaryStringInfo(s, p, done);
		if (done < n)
		{
			int			converted = 0;

			if (conversion_ready(&from_utf8))
				converted = convert(&from_utf8, p + done, n - done, piece);
			if (converted > 0)
				appendStringInfoString(s, piece);
			else
			{
				append_escaped(s, p + done);
				converted = pg_utf_mblen((const unsigned char *) p + done);
			}
			done += converted;
		}
		p += done;
		n -= done;
	}
	pfree(utf8.data);
}
