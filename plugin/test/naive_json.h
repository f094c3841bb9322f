/*
 * naive_json.h
 *		JSON strings a byte at a time, from RFC 8259 and the server's
 *		escape_json(): what json.c is compared with.
 */
#ifndef WALSPOUT_NAIVE_JSON_H
#define WALSPOUT_NAIVE_JSON_H

#include "postgres.h"

/* Write s without quotes at out, which has room for six bytes for one. */
static inline Size
naive_escape(char *out, const char *s, Size n)
{
	char	   *p = out;

	for (Size i = 0; i < n; i++)
	{
		switch (s[i])
		{
			case '\b':
				p += sprintf(p, "\\b");
				break;
			case '\f':
				p += sprintf(p, "\\f");
				break;
			case '\n':
				p += sprintf(p, "\\n");
				break;
			case '\r':
				p += sprintf(p, "\\r");
				break;
			case '\t':
				p += sprintf(p, "\\t");
				break;
			case '"':
				p += sprintf(p, "\\\"");
				break;
			case '\\':
				p += sprintf(p, "\\\\");
				break;
			default:
				if ((unsigned char) s[i] < ' ')
					p += sprintf(p, "\\u%04x", (unsigned char) s[i]);
				else
					*p++ = s[i];
		}
	}
	return p - out;
}

static inline int
naive_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Decode a JSON string, all n bytes of json, with quotes, to out, which has
 * room for n bytes. Accepts bytes from 0x80 on unchanged, and \u only for
 * ASCII. Returns the string's length, or -1 if json is not a JSON string.
 */
static inline ssize_t
naive_unescape(char *out, const char *json, Size n)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	char	   *p = out;
	Size		i = 1;

	if (n < 2 || json[0] != '"' || json[n - 1] != '"')
		return -1;
	while (i < n - 1)
	{
		unsigned char c = json[i++];
		const char *letter;

		if (c < ' ' || c == '"')
			return -1;
		if (c != '\\')
		{
			*p++ = c;
			continue;
		}
		if (i >= n - 1)
			return -1;
		c = json[i++];
		if (c == 'u')
		{
			int			code = 0;

			if (n - 1 - i < 4)
				return -1;
			for (int k = 0; k < 4; k++)
			{
				int			digit = naive_hex_digit(json[i++]);

				if (digit < 0)
					return -1;
				code = code * 16 + digit;
			}
			if (code >= 0x80)
				return -1;
			*p++ = code;
			continue;
		}
		letter = c ? strchr(letters, c) : NULL;
		if (letter == NULL)
			return -1;
		*p++ = meanings[letter - letters];
	}
	return p - out;
}

#endif
