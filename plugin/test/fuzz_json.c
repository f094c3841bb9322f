/*
 * fuzz_json.c
 *		Fuzzer of json.c: any bytes, as one string, in pieces and raw.
 *
 * The first two bytes of the input give the string's length. The others are
 * repeated up to that length: a chunk is longer than an input.
 */
#include "fuzz.h"

#include "json.h"
#include "naive_json.h"

#define LONGEST 20000

static char *
string_of(const uint8_t *data, Size n, Size *size)
{
	char	   *s;
	Size		length = (data[0] << 8 | data[1]) % LONGEST;

	data += 2;
	n -= 2;
	*size = n == 0 ? 0 : data[0] & 1 ? length : n;
	s = malloc(*size);
	for (Size i = 0; i < *size; i++)
		s[i] = (char) data[i % n];
	return s;
}

/* Room for small documents only: a longer one makes the buffer grow. */
static void
open_small(Out *o, StringInfo s)
{
	s->maxlen = 16;
	s->data = palloc(s->maxlen);
	s->data[0] = '\0';
	s->len = s->cursor = 0;
	out_open(o, s);
}

static void
check_string(const char *s, Size n, const char *escaped, Size escaped_size)
{
	StringInfoData buffer;
	Out			o;
	char	   *back;

	open_small(&o, &buffer);
	must(json_string(&o, s, n));
	out_close(&o);
	must(buffer.len == (int) escaped_size + 2);
	must(memcmp(buffer.data + 1, escaped, escaped_size) == 0);

	back = malloc(buffer.len);
	must(naive_unescape(back, buffer.data, buffer.len) == (ssize_t) n);
	must(memcmp(back, s, n) == 0);
	free(back);
	pfree(buffer.data);
}

static void
check_pieces(const char *s, Size n, Size piece, const char *escaped, Size escaped_size)
{
	StringInfoData buffer;
	Out			o;

	open_small(&o, &buffer);
	for (Size i = 0; i < n; i += piece)
		must(json_escape(&o, s + i, Min(piece, n - i)));
	out_close(&o);
	must(buffer.len == (int) escaped_size);
	must(memcmp(buffer.data, escaped, escaped_size) == 0);
	pfree(buffer.data);
}

static void
check_raw(const char *s, Size n)
{
	StringInfoData buffer;
	Out			o;

	open_small(&o, &buffer);
	must(json_raw(&o, s, n));
	out_close(&o);
	must(buffer.len == (int) n);
	for (Size i = 0; i < n; i++)
		must(buffer.data[i] == (s[i] == '\n' || s[i] == '\r' ? ' ' : s[i]));
	pfree(buffer.data);
}

/* The appended pieces become the same string as in one call. */
static void
check_quoted(const char *s, Size n, const char *escaped, Size escaped_size)
{
	StringInfoData buffer;
	Out			o;

	open_small(&o, &buffer);
	append_literal(&o, "before");
	append(&o, s, n);
	must(json_quote(&o, 6));
	out_close(&o);
	must(buffer.len == (int) escaped_size + 8);
	must(memcmp(buffer.data, "before\"", 7) == 0);
	must(memcmp(buffer.data + 7, escaped, escaped_size) == 0);
	must(buffer.data[buffer.len - 1] == '"');
	pfree(buffer.data);
}

static void
check_ascii(const char *s, Size n)
{
	Size		expected = 0;

	while (expected < n && (unsigned char) s[expected] < 0x80)
		expected++;
	must(ascii_prefix(s, n) == expected);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char	   *s;
	char	   *escaped;
	Size		size;
	Size		escaped_size;

	if (n < 2)
		return 0;
	s = string_of(data, n, &size);
	escaped = malloc(size * 6 + 1);
	escaped_size = naive_escape(escaped, s, size);
	check_string(s, size, escaped, escaped_size);
	check_pieces(s, size, 1 + data[1], escaped, escaped_size);
	check_raw(s, size);
	check_quoted(s, size, escaped, escaped_size);
	check_ascii(s, size);
	free(escaped);
	free(s);
	return 0;
}
