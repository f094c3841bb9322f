/*
 * test_syntax.c
 *		Tests of syntax.c: what is JSON, and what only looks like JSON.
 *
 * Each text ends where memory ends, so that reads beyond its end are found.
 */
#include "unit.h"

#include "syntax.h"

static bool
is_json(const char *s, Size n)
{
	char	   *copy = end_of_memory(n) - n;

	memcpy(copy, s, n);
	return syntax_is_json(copy, n, SYNTAX_DEPTH);
}

static const char *const valid[] = {
	"null", "true", "false", "0", "-0", "10", "-1.5", "1e5", "1E+5", "1.25e-300", "\"\"",
	"\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\\uD800\\uabCD\"",
	"\"\xc3\xa9\"", "\"\x7f\"", "[]", "{}", " [ ] ", "\t{\r\n}\n", "[1,[2,{\"a\":[]}],\"\"]",
	"{\"a\":1,\"a\":{\"b\":null}}", "{ \"a\" : [ 1 , 2 ] , \"\" : \"\" }"
};

static const char *const invalid[] = {
	"", " ", "nul", "nulll", "True", "01", "-", "+1", ".5", "1.", "1e", "1e+", "--1", "0x1", "1 2",
	"NaN", "Infinity", "\"", "\"a", "'a'", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"",
	"\"\t\"", "\"\x1f\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "}", "{1:2}",
	"{a:1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\",1}", "{\"a\":1]",
	"[]]", "{}}", "[] x", "[]\v", "// comment", "[1,[2]", "\xef\xbb\xbf[]"
};

static void
what_is_json(void **state)
{
	for (int i = 0; i < lengthof(valid); i++)
		if (!is_json(valid[i], strlen(valid[i])))
			fail_msg("rejected: %s", valid[i]);
}

static void
what_is_not(void **state)
{
	for (int i = 0; i < lengthof(invalid); i++)
		if (is_json(invalid[i], strlen(invalid[i])))
			fail_msg("accepted: %s", invalid[i]);
}

/* A NUL is a byte like others; a C string would end there. */
static void
nul_bytes(void **state)
{
	assert_false(is_json("1\0", 2));
	assert_false(is_json("\"\0\"", 3));
	assert_false(is_json("\"\\\0\"", 4));
}

/* A truncated value is never a value. */
static void
cut_values(void **state)
{
	static const char whole[] = "{\"a\":[true,null,{\"b\":\"\\u00e9\"}],\"c\":-1.5e3}";

	for (Size n = 0; n < sizeof(whole) - 1; n++)
		assert_false(is_json(whole, n));
	assert_true(is_json(whole, sizeof(whole) - 1));
}

static bool
nested(int depth, const char *open, const char *close)
{
	Size		n = depth * (strlen(open) + strlen(close)) + 1;
	char	   *s = malloc(n);
	char	   *p = s;
	bool		result;

	for (int i = 0; i < depth; i++, p += strlen(open))
		memcpy(p, open, strlen(open));
	*p++ = '1';
	for (int i = 0; i < depth; i++, p += strlen(close))
		memcpy(p, close, strlen(close));
	result = is_json(s, n);
	free(s);
	return result;
}

static void
values_deeper_than_asked_for(void **state)
{
	assert_true(syntax_is_json("[[1]]", 5, 2));
	assert_false(syntax_is_json("[[1]]", 5, 1));
	assert_true(syntax_is_json("1", 1, 0));
	assert_false(syntax_is_json("[]", 2, 0));
}

/* Levels, by a state machine that knows only strings and brackets. */
static int
naive_depth(const char *s, Size n)
{
	int			depth = 0;
	int			deepest = 0;
	bool		in_string = false;

	for (Size i = 0; i < n; i++)
		if (in_string)
		{
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				in_string = false;
		}
		else if (s[i] == '"')
			in_string = true;
		else if (s[i] == '[' || s[i] == '{')
		{
			depth++;
			deepest = Max(deepest, depth);
		}
		else if (s[i] == ']' || s[i] == '}')
			depth--;
	return deepest;
}

/* The answer is the naive one's, and no byte beyond the end is read. */
static void
depth_of_random_text(void **state)
{
	static const char bytes[] = "[[[{{]]}}\"\"\\,:1 x\xff";

	for (int i = 0; i < 50000; i++)
	{
		Size		n = random_below(500);
		Size		kinds = 1 + random_below(sizeof(bytes) - 1);
		Size		plain = random_below(40);
		char	   *s = end_of_memory(500) - n;
		int			depth;

		/* brackets are many or few, so that whole blocks are scanned, too */
		for (Size k = 0; k < n; k++)
			s[k] = random_below(plain + 1) ? ' ' : bytes[random_below(kinds)];
		for (Size k = 0; k < n; k++)
			if (random_below(plain + 1) == 0 && i % 3 == 0)
				s[k] = '"';
		depth = naive_depth(s, n);
		/* closing brackets without opening ones are not JSON: only valid texts have an answer */
		for (int levels = 0; levels < 20; levels++)
			if ((Size) levels < n / 2 && syntax_is_deeper(s, n, levels) != (depth > levels))
				fail_msg("%d levels, %d allowed: %.*s", depth, levels, (int) n, s);
		munmap(s + n - sysconf(_SC_PAGESIZE), 2 * sysconf(_SC_PAGESIZE));
	}
	assert_false(syntax_is_deeper("[[[]]]", 6, 3));
	assert_true(syntax_is_deeper("[[[]]]", 6, 2));
	assert_false(syntax_is_deeper("[[[]]]", 6, (int64) 1 << 31));
}

static const char *const safe[] = {
	"0", "-0", "1", "9007199254740991", "-9007199254740991", "0.1", "1.10", "-1.5e3", "1e22", "1E+5",
	"123456789012345e10", "0.123456789012345", "0.00000123456789012345",
	"0e99999999999999999999", "0.000", "1e250", "1e-250", "100.00000000000000000000000"
};

static const char *const unsafe[] = {
	"9007199254740992", "-9007199254740992", "10000000000000000", "18446744073709551617",
	"100000000000000000000", "0.1234567890123456", "1234567890123456.5", "1e300", "1e-300", "1e400",
	"1e99999999999999999999", "-1E-99999999999999999999"
};

static void
numbers_that_doubles_hold(void **state)
{
	for (int i = 0; i < lengthof(safe); i++)
		if (!syntax_is_safe_number(safe[i], strlen(safe[i])))
			fail_msg("not safe: %s", safe[i]);
	for (int i = 0; i < lengthof(unsafe); i++)
		if (syntax_is_safe_number(unsafe[i], strlen(unsafe[i])))
			fail_msg("safe: %s", unsafe[i]);
	for (int i = 0; i < 20000; i++)
	{
		char		number[64];
		char		back[64];
		double		value;

		/* of at most 15 digits: a program that reads and prints it has the same digits */
		sprintf(number, "%s%d.%de%d", random_below(2) ? "-" : "", (int) random_below(1000000) + 1,
				(int) random_below(1000000000), (int) random_below(400) - 200);
		if (!syntax_is_safe_number(number, strlen(number)))
			fail_msg("not safe: %s", number);
		value = strtod(number, NULL);
		sprintf(back, "%.14e", value);
		if (strtod(back, NULL) != value)
			fail_msg("%s is lost", number);
	}
}

static void
numbers_in_json(void **state)
{
	static const char json[] = "{\"9007199254740992\":[1,-9007199254740993,\"\\\"1e400\"],\"a\":1e400}";
	const char *s = json;
	Size		n = strlen(json);
	Size		at;
	Size		size;

	assert_true(syntax_find_unsafe_number(s, n, &at, &size));
	assert_int_equal(size, strlen("-9007199254740993"));
	assert_memory_equal(s + at, "-9007199254740993", size);
	s += at + size;
	n -= at + size;
	assert_true(syntax_find_unsafe_number(s, n, &at, &size));
	assert_memory_equal(s + at, "1e400", size);
	assert_false(syntax_find_unsafe_number(s + at + size, n - at - size, &at, &size));
	/* invalid JSON is read to its end and not beyond */
	for (int i = 0; i < lengthof(invalid); i++)
	{
		Size		length = strlen(invalid[i]);
		char	   *copy = end_of_memory(length) - length;

		memcpy(copy, invalid[i], length);
		(void) syntax_find_unsafe_number(copy, length, &at, &size);
		(void) syntax_is_deeper(copy, length, 0);
	}
}

static void
deep_values(void **state)
{
	assert_true(nested(SYNTAX_DEPTH, "[", "]"));
	assert_true(nested(SYNTAX_DEPTH, "{\"a\":", "}"));
	assert_false(nested(SYNTAX_DEPTH + 1, "[", "]"));
	assert_false(nested(SYNTAX_DEPTH + 1, "{\"a\":", "}"));
	assert_false(nested(100, "[", "}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_json),
		cmocka_unit_test(what_is_not),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(cut_values),
		cmocka_unit_test(deep_values),
		cmocka_unit_test(values_deeper_than_asked_for),
		cmocka_unit_test(depth_of_random_text),
		cmocka_unit_test(numbers_that_doubles_hold),
		cmocka_unit_test(numbers_in_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
