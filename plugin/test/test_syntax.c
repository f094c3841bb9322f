/*
 * test_syntax.c
 *		Tests of syntax.c: what is JSON, and what only looks like it.
 *
 * Each text ends where memory does, so that reading over its end is found.
 */
#include "unit.h"

#include "syntax.h"

static bool
is_json(const char *s, Size n)
{
	char	   *copy = end_of_memory(n) - n;

	memcpy(copy, s, n);
	return syntax_is_json(copy, n);
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
			fail_msg("refused: %s", valid[i]);
}

static void
what_is_not(void **state)
{
	for (int i = 0; i < lengthof(invalid); i++)
		if (is_json(invalid[i], strlen(invalid[i])))
			fail_msg("accepted: %s", invalid[i]);
}

/* A NUL is a byte like others; strings in C would end there. */
static void
nul_bytes(void **state)
{
	assert_false(is_json("1\0", 2));
	assert_false(is_json("\"\0\"", 3));
	assert_false(is_json("\"\\\0\"", 4));
}

/* No beginning of a value that has an end is a value. */
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
