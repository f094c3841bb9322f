/*
 * test_json.c
 *		Tests of json.c against naive_json.h.
 *
 * The scanner looks at sixteen and at eight bytes at a time. So its result for
 * a byte may depend on the byte's position: the tests try all positions.
 */
#include "unit.h"

#include <limits.h>

#include "json.h"
#include "naive_json.h"

/* json.c's chunk; if that changes, the tests around it find less */
#define CHUNK 8192

/* The worst-case room of json_string(), for n up to CHUNK. */
#define WORST_STRING(n) ((n) * 6 + 18)

#define LARGEST (3 * CHUNK)

static char expected[LARGEST * 6];
static char memory[LARGEST * 6 + 128 + GUARD_SIZE];

/* An empty buffer with room for so many bytes, and a guard after that. */
static void
open_room(Out *o, StringInfo s, Size room)
{
	assert_true(room + 1 + GUARD_SIZE <= sizeof(memory));
	s->data = memory;
	s->len = 0;
	s->maxlen = (int) room + 1;
	s->cursor = 0;
	set_guard(memory + s->maxlen);
	out_open(o, s);
}

static void
open_new(Out *o, StringInfo s)
{
	initStringInfo(s);
	out_open(o, s);
}

/* Pretend that the document is so long that it has so many bytes left. */
static void
pretend_left(Out *o, Size left)
{
	o->start = (Size) (o->p - o->s->data) - (DOCUMENT_LIMIT - left);
	assert_true(out_tell(o) == DOCUMENT_LIMIT - left);
}

static void
assert_document(Out *o, const char *document)
{
	out_close(o);
	assert_string_equal(o->s->data + o->start, document);
	assert_int_equal(o->s->len - o->start, strlen(document));
}

/* Compare with the reference. A failure's message names byte, position and length. */
static void
check_string(const char *s, Size n, int byte, Size position)
{
	StringInfoData buffer;
	Out			o;
	Size		size = naive_escape(expected, s, n);

	open_room(&o, &buffer, n <= CHUNK ? WORST_STRING(n) : n * 6 + 64);
	if (!json_string(&o, s, n))
		fail_msg("rejected %zu bytes", n);
	out_close(&o);
	if (buffer.data != memory)
		fail_msg("%zu bytes took more room than the worst case", n);
	if (!guard_is_whole(memory + buffer.maxlen))
		fail_msg("wrote over the end: byte 0x%02x at %zu of %zu", byte, position, n);
	if (buffer.len != (int) size + 2 || memory[0] != '"' || memory[size + 1] != '"' ||
		memcmp(memory + 1, expected, size) != 0)
		fail_msg("byte 0x%02x at %zu of %zu: %.*s", byte, position, n, Min(buffer.len, 200),
				 memory);
}

static void
every_byte_at_every_place_is_escaped_as_the_server_does(void **state)
{
	char		space[16 + 70];

	for (Size n = 0; n <= 70; n++)
		for (Size position = 0; position < n; position++)
			for (int byte = 0; byte < 256; byte++)
			{
				char	   *s = space + (n + position + byte) % 16;

				memset(s, 'x', n);
				s[position] = (char) byte;
				check_string(s, n, byte, position);
			}
	check_string("", 0, 0, 0);
}

static void
alignment_does_not_matter(void **state)
{
	static const char bytes[] = {'"', '\\', 0, 0x1f, ' ', 0x7f, '\x80', '\xff', '!', '[', ']'};
	char		space[16 + 70];

	for (int alignment = 0; alignment < 16; alignment++)
		for (Size n = 0; n <= 70; n++)
			for (Size position = 0; position < n; position++)
				for (int i = 0; i < lengthof(bytes); i++)
				{
					memset(space + alignment, 'x', n);
					space[alignment + position] = bytes[i];
					check_string(space + alignment, n, bytes[i], position);
				}
}

/* One escape may hide the next from a scanner of words: try all neighbours. */
static void
every_pair_of_bytes_is_escaped(void **state)
{
	char		s[24];

	for (int first = 0; first < 256; first++)
		for (int second = 0; second < 256; second++)
			for (int place = 0; place < 2; place++)
			{
				Size		n = place == 0 ? 8 : 24;
				Size		position = place == 0 ? 3 : 15;

				memset(s, 'x', sizeof(s));
				s[position] = (char) first;
				s[position + 1] = (char) second;
				check_string(s, n, first, position);
			}
}

static void
random_strings_are_escaped(void **state)
{
	static const char some[] = "\"\\\n\001\x1f x\x7f\xc3\xa4";

	for (int round = 0; round < 20000; round++)
	{
		char		s[200];
		Size		n = random_below(sizeof(s));
		Size		rarity = 1 + random_below(40);

		for (Size i = 0; i < n; i++)
			s[i] = random_below(rarity) == 0 ? some[random_below(sizeof(some))] : 'a';
		check_string(s, n, 0, 0);
	}
}

static void
chunks_meet_without_a_seam(void **state)
{
	char	   *s = malloc(LARGEST);

	for (int chunks = 1; chunks <= 2; chunks++)
		for (Size n = chunks * CHUNK - 17; n <= chunks * CHUNK + 17; n++)
			for (Size position = chunks * CHUNK - 17; position < n; position++)
			{
				memset(s, 'x', n);
				s[position] = '\n';
				check_string(s, n, '\n', position);
				s[position] = '\001';
				check_string(s, n, '\001', position);
			}

	/* the worst case of each chunk */
	memset(s, '\002', LARGEST);
	for (Size n = CHUNK - 2; n <= CHUNK + 2; n++)
		check_string(s, n, '\002', n);
	check_string(s, 2 * CHUNK, '\002', 0);
	check_string(s, LARGEST, '\002', 0);
	free(s);
}

static void
nothing_is_read_over_the_end(void **state)
{
	char	   *end = end_of_memory(2 * CHUNK);

	for (Size n = 0; n <= 70; n++)
	{
		memset(end - n, 'x', n);
		check_string(end - n, n, 'x', n);
		memset(end - n, '"', n);
		check_string(end - n, n, '"', n);
		memset(end - n, 'x', n);
		assert_int_equal(ascii_prefix(end - n, n), n);
	}
	memset(end - CHUNK - 1, 'x', CHUNK + 1);
	check_string(end - CHUNK - 1, CHUNK + 1, 'x', 0);
}

static void
json_escape_writes_no_quotes(void **state)
{
	StringInfoData s;
	Out			o;

	open_new(&o, &s);
	assert_true(json_escape(&o, "a\"", 2));
	assert_true(json_escape(&o, "", 0));
	assert_true(json_escape(&o, "\tb", 2));
	assert_document(&o, "a\\\"\\tb");
	pfree(s.data);
}

static void
the_buffer_grows_and_keeps_what_it_has(void **state)
{
	StringInfoData s;
	Out			o;
	int			first_size;
	char		piece[] = "0123456789abcdef\n";
	Size		pieces = 100000;
	const char *p;

	initStringInfo(&s);
	appendStringInfoString(&s, "before");
	first_size = s.maxlen;
	out_open(&o, &s);
	assert_int_equal(out_tell(&o), 0);
	for (Size i = 0; i < pieces; i++)
	{
		assert_int_equal(out_tell(&o), i * 18);
		append_literal(&o, "");
		assert_true(json_escape(&o, piece, 17));
	}
	out_close(&o);
	assert_true(s.maxlen > first_size);
	assert_int_equal(s.len, 6 + pieces * 18);
	assert_int_equal(s.data[s.len], '\0');
	assert_memory_equal(s.data, "before", 6);
	p = s.data + 6;
	for (Size i = 0; i < pieces; i++, p += 18)
		assert_memory_equal(p, "0123456789abcdef\\n", 18);
	pfree(s.data);
}

/* out_reserve(n) promises n bytes and one for the terminator, not less. */
static void
reserved_room_is_there_to_the_last_byte(void **state)
{
	for (Size n = 0; n < 3000; n += 7)
	{
		StringInfoData s;
		Out			o;

		open_new(&o, &s);
		out_reserve(&o, n);
		assert_true((Size) (o.end - o.p) >= n);
		/* all of the promised room, of which n bytes are a part */
		memset(o.p, 'x', o.end - o.p);
		o.p = o.end;
		out_close(&o);
		assert_true(s.len < s.maxlen);
		pfree(s.data);
	}
}

static void
rewind_forgets_what_was_appended(void **state)
{
	StringInfoData s;
	Out			o;
	Size		position;

	initStringInfo(&s);
	appendStringInfoString(&s, "frame");
	out_open(&o, &s);
	append_literal(&o, "kept");
	position = out_tell(&o);
	assert_true(json_string(&o, memory, 5000));
	out_rewind(&o, position);
	assert_int_equal(out_tell(&o), 4);
	assert_memory_equal(out_at(&o, 1), "ept", 3);
	append_literal(&o, "!");
	assert_document(&o, "kept!");
	assert_memory_equal(s.data, "frame", 5);
	pfree(s.data);
}

static void
the_document_ends_at_its_limit_and_not_before(void **state)
{
	StringInfoData s;
	Out			o;

	/* with room in the buffer: only the limit decides */
	open_new(&o, &s);
	pretend_left(&o, 100);
	assert_true(out_room(&o, 0));
	assert_true(out_room(&o, 100));
	assert_false(out_room(&o, 101));
	pretend_left(&o, 0);
	assert_true(out_room(&o, 0));
	assert_false(out_room(&o, 1));
	pfree(s.data);

	/* with too little room */
	open_new(&o, &s);
	pretend_left(&o, 100000);
	assert_false(out_room(&o, 100001));
	assert_true(out_room(&o, 100000));
	assert_true((Size) (o.end - o.p) >= 100000);
	pfree(s.data);
}

static void
what_has_no_room_allocates_nothing(void **state)
{
	static const Size sizes[] = {
		100001, DOCUMENT_LIMIT, DOCUMENT_LIMIT + 1, (Size) PG_INT32_MAX + 1, SIZE_MAX / 2,
		SIZE_MAX - DOCUMENT_LIMIT, SIZE_MAX - 1, SIZE_MAX
	};
	StringInfoData s;
	Out			o;
	char	   *data;
	int			maxlen;

	open_new(&o, &s);
	pretend_left(&o, 100000);
	data = s.data;
	maxlen = s.maxlen;
	for (int i = 0; i < lengthof(sizes); i++)
	{
		assert_false(out_room(&o, sizes[i]));
		assert_ptr_equal(s.data, data);
		assert_int_equal(s.maxlen, maxlen);
		assert_ptr_equal(o.p, data);
	}

	/* the pointers are not even read */
	assert_false(json_raw(&o, NULL, 100001));
	pretend_left(&o, CHUNK);
	assert_false(json_string(&o, NULL, CHUNK));
	assert_false(json_escape(&o, NULL, CHUNK));
	assert_ptr_equal(s.data, data);
	assert_int_equal(s.maxlen, maxlen);
	pfree(s.data);
}

static void
strings_stop_at_the_limit(void **state)
{
	char	   *string = malloc(2 * CHUNK);
	StringInfoData s;
	Out			o;

	memset(string, '\001', 2 * CHUNK);

	/* it requests room for the worst case, whatever the string is */
	open_new(&o, &s);
	pretend_left(&o, WORST_STRING(10));
	assert_true(json_string(&o, string, 10));
	assert_int_equal(o.p - s.data, 62);
	pretend_left(&o, WORST_STRING(10) - 1);
	assert_false(json_string(&o, string, 10));
	pfree(s.data);

	/* the second chunk does not fit */
	open_room(&o, &s, CHUNK * 6 + 64);
	pretend_left(&o, CHUNK * 6 + 64);
	assert_false(json_string(&o, string, 2 * CHUNK));
	assert_ptr_equal(s.data, memory);
	assert_true(guard_is_whole(memory + s.maxlen));
	assert_true(out_tell(&o) <= DOCUMENT_LIMIT);

	open_new(&o, &s);
	pretend_left(&o, 5);
	assert_true(json_raw(&o, "[1,2]", 5));
	assert_false(json_raw(&o, "1", 1));
	pfree(s.data);
	free(string);
}

static void
an_object_is_closed_around_its_members(void **state)
{
	StringInfoData s;
	Out			o;
	Size		outer;
	Size		inner;

	open_new(&o, &s);
	close_object(&o, 0);
	assert_document(&o, "{}");
	pfree(s.data);

	initStringInfo(&s);
	appendStringInfoString(&s, "[batch]");
	out_open(&o, &s);
	outer = out_tell(&o);
	append_literal(&o, ",\"a\":");
	inner = out_tell(&o);
	append_literal(&o, ",\"b\":1,\"c\":2");
	close_object(&o, inner);
	append_literal(&o, ",\"d\":");
	close_object(&o, out_tell(&o));
	close_object(&o, outer);
	assert_document(&o, "{\"a\":{\"b\":1,\"c\":2},\"d\":{}}");
	assert_memory_equal(s.data, "[batch]", 7);
	pfree(s.data);
}

/* A full buffer moves when the braces are appended. */
static void
an_object_is_closed_in_a_full_buffer(void **state)
{
	for (int free_bytes = 0; free_bytes < 4; free_bytes++)
	{
		StringInfoData s;
		Out			o;
		Size		begin;

		open_new(&o, &s);
		while (o.end - o.p > free_bytes + 6)
			put_char(&o, ' ');
		begin = out_tell(&o);
		put_literal(&o, ",\"a\":1");
		close_object(&o, begin);
		out_close(&o);
		assert_string_equal(s.data + begin, "{\"a\":1}");
		pfree(s.data);

		open_new(&o, &s);
		while (o.end - o.p > free_bytes)
			put_char(&o, ' ');
		begin = out_tell(&o);
		close_object(&o, begin);
		out_close(&o);
		assert_string_equal(s.data + begin, "{}");
		assert_true(s.len < s.maxlen);
		pfree(s.data);
	}
}

static void
raw_json_loses_its_line_breaks_and_nothing_else(void **state)
{
	static const char breaks[] = {'\n', '\r'};
	StringInfoData s;
	Out			o;

	for (Size n = 0; n <= 40; n++)
		for (Size position = 0; position < n; position++)
			for (int i = 0; i < lengthof(breaks); i++)
			{
				char		in[40];
				char		out[41];

				memset(in, '1', n);
				memset(out, '1', n);
				in[position] = breaks[i];
				out[position] = ' ';
				out[n] = '\0';
				open_new(&o, &s);
				assert_true(json_raw(&o, in, n));
				assert_document(&o, out);
				pfree(s.data);
			}

	open_new(&o, &s);
	assert_true(json_raw(&o, "\n\r\r\n\n{\t\"a\\n\" :\r\n1}\n\n", 20));
	assert_document(&o, "     {\t\"a\\n\" :  1}  ");
	pfree(s.data);

	/* earlier bytes stay unchanged */
	initStringInfo(&s);
	appendStringInfoString(&s, "\n\r");
	out_open(&o, &s);
	append_literal(&o, "\n");
	assert_true(json_raw(&o, "\n", 1));
	out_close(&o);
	assert_string_equal(s.data, "\n\r\n ");
	pfree(s.data);
}

static void
ascii_ends_at_the_first_high_byte(void **state)
{
	static const char high[] = {'\x80', '\xc3', '\xff'};
	char		space[8 + 70];

	for (int alignment = 0; alignment < 8; alignment++)
		for (Size n = 0; n <= 70; n++)
		{
			char	   *s = space + alignment;

			/* a zero and the largest ASCII byte do not end the prefix */
			memset(s, 0x7f, n);
			if (n > 3)
				s[3] = '\0';
			assert_int_equal(ascii_prefix(s, n), n);
			for (Size position = 0; position < n; position++)
			{
				char		kept = s[position];

				s[position] = high[(n + position) % lengthof(high)];
				assert_int_equal(ascii_prefix(s, n), position);

				/* a later one changes nothing */
				s[n - 1] |= 0x80;
				assert_int_equal(ascii_prefix(s, n), position);
				s[n - 1] &= 0x7f;
				s[position] = kept;
			}
		}
}

/* The reference is right, too, and its two halves undo each other. */
static void
the_naive_reader_reads_what_the_naive_writer_writes(void **state)
{
	char		all[256];
	char		json[256 * 6 + 2];
	char		back[256 * 6 + 2];
	Size		n;

	for (int i = 0; i < 256; i++)
		all[i] = (char) i;
	json[0] = '"';
	n = naive_escape(json + 1, all, 256);
	json[n + 1] = '"';
	assert_int_equal(naive_unescape(back, json, n + 2), 256);
	assert_memory_equal(back, all, 256);
	assert_int_equal(naive_unescape(back, "\"\\/\\u0041\"", 10), 2);
	assert_int_equal(naive_unescape(back, "\"\"", 2), 0);
	assert_int_equal(naive_unescape(back, "\"", 1), -1);
	assert_int_equal(naive_unescape(back, "\"\\\"", 3), -1);
	assert_int_equal(naive_unescape(back, "\"\n\"", 3), -1);
	assert_int_equal(naive_unescape(back, "\"a\"b\"", 5), -1);
	assert_int_equal(naive_unescape(back, "\"\\x\"", 4), -1);
	assert_int_equal(naive_unescape(back, "\"\\u00\"", 6), -1);
	assert_int_equal(naive_unescape(back, "\"\\\0\"", 4), -1);
}

/* json_quote(), for the buffer's content from position begin on. */
static void
json_becomes_a_string_in_place(void **state)
{
	static const char *const values[] = {"", "1", "[]", "{\"a\":\"\\\"\\u0001\"}", "\t[\x01 \xc3\xa9]"};

	for (int i = 0; i < lengthof(values); i++)
	{
		StringInfoData s;
		StringInfoData t;
		Out			o;
		Out			again;

		open_new(&o, &s);
		append_literal(&o, "x");
		append(&o, values[i], strlen(values[i]));
		assert_true(json_quote(&o, 1));
		out_close(&o);
		open_new(&again, &t);
		append_literal(&again, "x");
		assert_true(json_string(&again, values[i], strlen(values[i])));
		out_close(&again);
		assert_string_equal(s.data, t.data);
	}
}

static void
json_that_has_no_room_as_a_string_stays(void **state)
{
	for (Size left = 0; left <= 4; left++)
	{
		StringInfoData s;
		Out			o;

		open_new(&o, &s);
		append_literal(&o, "[\"\"]");
		pretend_left(&o, left);
		assert_int_equal(json_quote(&o, out_tell(&o) - 4), left == 4);
		out_close(&o);
		assert_string_equal(s.data, left == 4 ? "\"[\\\"\\\"]\"" : "[\"\"]");
	}
}

/* Append a string in a value of at most max bytes. Returns whether it fits. */
static bool
fits_value(Out *o, const char *s, Size n, Size max)
{
	Size		most = out_begin_value(o, max);
	bool		done = json_string(o, s, n);

	return out_end_value(o, most) && done;
}

/* The result for JSON that is appended after something else. */
static void
assert_unquoted(const char *json, const char *sample)
{
	StringInfoData s;
	Out			o;

	open_new(&o, &s);
	append_literal(&o, "x");
	append(&o, json, strlen(json));
	json_unquote(&o, 1);
	out_close(&o);
	assert_string_equal(s.data + 1, sample);
	assert_int_equal(s.len, strlen(sample) + 1);
	pfree(s.data);
}

static void
a_string_becomes_its_text_in_place(void **state)
{
	assert_unquoted("\"\"", "");
	assert_unquoted("\"a\"", "a");
	assert_unquoted("\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\"", "a\"b\\/\b\f\n\r\t");
	assert_unquoted("\"\\u0041\\u00e4\\u65E5\\ud83d\\uDC18z\"", "A\xC3\xA4\xE6\x97\xA5\xF0\x9F\x90\x98z");
	assert_unquoted("\"\\ud83d\"", "\xEF\xBF\xBD");
	assert_unquoted("\"\\udc18\\ud83dA\"", "\xEF\xBF\xBD\xEF\xBF\xBD" "A");
	assert_unquoted("\"\\ud83d\\u0041\"", "\xEF\xBF\xBD" "A");
}

static void
what_is_no_string_stays(void **state)
{
	assert_unquoted("", "");
	assert_unquoted("1", "1");
	assert_unquoted("\"", "\"");
	assert_unquoted("[\"a\"]", "[\"a\"]");
	assert_unquoted("{\"a\":\"\\n\"}", "{\"a\":\"\\n\"}");
}

/* Unescaping restores every escaped string. */
static void
random_strings_come_back(void **state)
{
	for (int i = 0; i < 2000; i++)
	{
		char		sample[64];
		Size		n = random_below(sizeof(sample));
		StringInfoData s;
		Out			o;

		for (Size k = 0; k < n; k++)
			sample[k] = (char) (random_below(4) == 0 ? "\"\\\n\x01"[random_below(4)] : next_random());
		open_new(&o, &s);
		assert_true(json_string(&o, sample, n));
		json_unquote(&o, 0);
		assert_int_equal(out_tell(&o), n);
		assert_memory_equal(out_at(&o, 0), sample, n);
		pfree(s.data);
	}
}

static void
text_is_cut_between_characters(void **state)
{
	static const char sample[] = "a\xC3\xA4\xE6\x97\xA5\xF0\x9F\x90\x98z";
	static const Size sizes[] = {0, 1, 3, 6, 10, 11, 11};

	for (Size n = 0; n < lengthof(sizes); n++)
	{
		StringInfoData s;
		Out			o;

		open_new(&o, &s);
		append_literal(&o, "x");
		append(&o, sample, strlen(sample));
		json_cut(&o, 1, n);
		assert_int_equal(out_tell(&o), sizes[n] + 1);
		pfree(s.data);
	}
}

static void
values_have_their_limit(void **state)
{
	Size		n = 10 * 1000 * 1000;
	char	   *s = malloc(n);
	StringInfoData buffer;
	Out			o;

	memset(s, 'x', n);
	open_new(&o, &buffer);
	append_literal(&o, "before");
	assert_true(fits_value(&o, s, 1000, 1000));
	assert_false(fits_value(&o, s, 1001, 1000));
	/* a small value always passes */
	assert_true(fits_value(&o, s, VALUE_ALWAYS, 1));
	assert_false(fits_value(&o, s, VALUE_ALWAYS + 1, 1));
	assert_true(fits_value(&o, s, n, n));
	out_rewind(&o, 0);

	/* a value that is far too long is not written as a whole */
	assert_false(fits_value(&o, s, n, 1000));
	assert_true(out_tell(&o) < 1000 * 1000);
	memset(s, 1, n);
	out_rewind(&o, 0);
	assert_false(fits_value(&o, s, n, 1000 * 1000));
	assert_true(out_tell(&o) < 2 * 1000 * 1000);

	/* afterwards only the document's limit counts */
	out_rewind(&o, 0);
	assert_true(json_string(&o, s, n));
	pretend_left(&o, 100);
	assert_false(fits_value(&o, s, 100, n));
	out_close(&o);
	free(s);
}

static void
nests_stop_at_the_limit(void **state)
{
	StringInfoData s;
	Out			o;

	depth_limit = 2;
	open_new(&o, &s);
	for (int outside = 0; outside <= 3; outside++)
		for (int levels = 1; levels <= 3; levels++)
		{
			Nest		nest;
			Nest		within;

			out_rewind(&o, 0);
			o.depth = outside;
			nest = nest_enter(&o, levels);
			append_literal(&o, "[");
			within = nest_enter(&o, 1);
			append_literal(&o, "[]");
			assert_true(nest_leave(&o, &within, true));
			append_literal(&o, "]");
			assert_true(nest_leave(&o, &nest, true));
			assert_int_equal(o.depth, outside);
			out_close(&o);
			assert_string_equal(s.data, outside + levels > 2 ? "\"[[]]\"" :
								outside + levels == 2 ? "[\"[]\"]" : "[[]]");
		}
	depth_limit = INT_MAX;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_naive_reader_reads_what_the_naive_writer_writes),
		cmocka_unit_test(every_byte_at_every_place_is_escaped_as_the_server_does),
		cmocka_unit_test(alignment_does_not_matter),
		cmocka_unit_test(every_pair_of_bytes_is_escaped),
		cmocka_unit_test(random_strings_are_escaped),
		cmocka_unit_test(chunks_meet_without_a_seam),
		cmocka_unit_test(nothing_is_read_over_the_end),
		cmocka_unit_test(json_escape_writes_no_quotes),
		cmocka_unit_test(the_buffer_grows_and_keeps_what_it_has),
		cmocka_unit_test(reserved_room_is_there_to_the_last_byte),
		cmocka_unit_test(rewind_forgets_what_was_appended),
		cmocka_unit_test(the_document_ends_at_its_limit_and_not_before),
		cmocka_unit_test(what_has_no_room_allocates_nothing),
		cmocka_unit_test(strings_stop_at_the_limit),
		cmocka_unit_test(an_object_is_closed_around_its_members),
		cmocka_unit_test(an_object_is_closed_in_a_full_buffer),
		cmocka_unit_test(raw_json_loses_its_line_breaks_and_nothing_else),
		cmocka_unit_test(json_becomes_a_string_in_place),
		cmocka_unit_test(json_that_has_no_room_as_a_string_stays),
		cmocka_unit_test(a_string_becomes_its_text_in_place),
		cmocka_unit_test(what_is_no_string_stays),
		cmocka_unit_test(random_strings_come_back),
		cmocka_unit_test(text_is_cut_between_characters),
		cmocka_unit_test(values_have_their_limit),
		cmocka_unit_test(nests_stop_at_the_limit),
		cmocka_unit_test(ascii_ends_at_the_first_high_byte),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
