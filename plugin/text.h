/*
 * text.h
 *		Text of the database, in the database's encoding, to JSON in UTF-8.
 *
 * Names are allocated in the current context, without spare room.
 *
 * Never raises. Bytes that have no meaning in the database's encoding, or no
 * counterpart in Unicode, become U+FFFD. Each routine returns false, with an
 * unknown number of bytes appended, when the document has no room.
 */
#ifndef WALSPOUT_TEXT_H
#define WALSPOUT_TEXT_H

#include "json.h"

/*
 * Look up the database's encoding; once for each start of the plugin. sql: the
 * output is for an SQL function, whose result is text in the database's
 * encoding.
 */
extern void text_startup(bool sql);

/* Text that the server checked when it was stored, as a JSON string. */
extern bool text_string(Out *o, const char *s, Size n);

/* Text of unknown origin, such as an output function's, as a JSON string. */
extern bool text_string_unchecked(Out *o, const char *s, Size n);

/* Text that is JSON already. Replaces line breaks by spaces. */
extern bool text_raw(Out *o, const char *s, Size n);

/* The fewest bytes that n bytes of text become. */
extern Size text_least(Size n);

/* Names, in UTF-8: as they are, and as a JSON string between two pieces of JSON, for put_label(). */
extern char *text_plain(const char *name);
extern char *text_plain_unchecked(const char *given);
extern char *text_label(const char *before, const char *name, const char *after);

/* The same for text in UTF-8. */
extern char *text_label_utf8(const char *before, const char *utf8, const char *after);

/*
 * Bring the document in s from start on into the database's encoding, if it is
 * for an SQL function and that encoding is not UTF-8. Characters that the
 * encoding lacks become \uXXXX.
 */
extern void text_to_server(StringInfo s, Size start);

#endif
