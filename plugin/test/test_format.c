/*
 * test_format.c
 *		Tests of format.c.
 *
 * Expected strings without an explanation are the server's own output. The
 * regression tests compare all types with the server. Here are values that SQL
 * tests hardly reach: limits, addresses in memory, and the number of written
 * bytes.
 */
#include "unit.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "compat.h"
#include "format.h"
#include "naive_numeric.h"

/* The formatters write here; a guard follows the width that they promise. */
static char room[FORMAT_WIDTH + GUARD_SIZE];

static char *
start(void)
{
	memset(room, '?', FORMAT_WIDTH);
	set_guard(room + FORMAT_WIDTH);
	return room;
}

/* The formatter was told to write at start() and returned end. */
static void
check(char *end, const char *expected)
{
	if (!guard_is_whole(room + FORMAT_WIDTH))
		fail_msg("more than FORMAT_WIDTH bytes were written for %s", expected);
	if ((Size) (end - room) != strlen(expected) || memcmp(room, expected, end - room) != 0)
		fail_msg("\"%.*s\" should be \"%s\"", (int) (end - room), room, expected);
}

/* Integers */

static void
integers_at_their_limits(void **state)
{
	check(format_uint64(start(), 0), "0");
	check(format_uint64(start(), PG_UINT64_MAX), "18446744073709551615");
	check(format_int64(start(), PG_INT64_MAX), "9223372036854775807");
	check(format_int64(start(), PG_INT64_MIN), "-9223372036854775808");
	check(format_int64(start(), PG_INT32_MIN), "-2147483648");
	check(format_int64(start(), -1), "-1");
	check(format_int64(start(), 0), "0");
}

static void
positions_in_the_wal(void **state)
{
	char		expected[32];

	check(format_lsn(start(), 0), "0/0");
	check(format_lsn(start(), 0x1956AF0), "0/1956AF0");
	check(format_lsn(start(), UINT64CONST(0x100000000)), "1/0");
	check(format_lsn(start(), PG_UINT64_MAX), "FFFFFFFF/FFFFFFFF");
	for (int i = 0; i < 1000; i++)
	{
		uint64		lsn = next_random() >> random_below(64);

		sprintf(expected, "%X/%X", (uint32) (lsn >> 32), (uint32) lsn);
		check(format_lsn(start(), lsn), expected);
	}
}

static void
integers_of_every_length(void **state)
{
	char		expected[32];
	uint64		power = 1;

	for (int length = 0; length < 20; length++, power *= 10)
		for (int offset = -1; offset <= 1; offset++)
		{
			sprintf(expected, UINT64_FORMAT, power + offset);
			check(format_uint64(start(), power + offset), expected);
			sprintf(expected, INT64_FORMAT, -(int64) (power / 2 + offset));
			check(format_int64(start(), -(int64) (power / 2 + offset)), expected);
		}
	for (int i = 0; i < 100000; i++)
	{
		uint64		value = next_random() >> random_below(64);

		sprintf(expected, UINT64_FORMAT, value);
		check(format_uint64(start(), value), expected);
	}
}

/* Floats */

static void
floats_are_the_shortest_that_read_back(void **state)
{
	check(format_float8(start(), 0.0), "0");
	check(format_float8(start(), -0.0), "-0");
	check(format_float8(start(), 1.0), "1");
	check(format_float8(start(), -1.5), "-1.5");
	check(format_float8(start(), 0.1), "0.1");
	check(format_float8(start(), 0.1 + 0.2), "0.30000000000000004");
	check(format_float8(start(), 1e14), "100000000000000");
	check(format_float8(start(), 1e15), "1e+15");
	check(format_float8(start(), 1e-4), "0.0001");
	check(format_float8(start(), 1e-5), "1e-05");
	check(format_float8(start(), 1.7976931348623157e308), "1.7976931348623157e+308");
	check(format_float8(start(), -1.7976931348623157e308), "-1.7976931348623157e+308");
	check(format_float8(start(), 2.2250738585072014e-308), "2.2250738585072014e-308");
	check(format_float8(start(), 2.225073858507201e-308), "2.225073858507201e-308");
	check(format_float8(start(), 5e-324), "5e-324");
	check(format_float8(start(), -5e-324), "-5e-324");

	check(format_float4(start(), 0.0f), "0");
	check(format_float4(start(), -0.0f), "-0");
	check(format_float4(start(), 0.1f), "0.1");
	check(format_float4(start(), 16777216.0f), "1.6777216e+07");
	check(format_float4(start(), 100000.0f), "100000");
	check(format_float4(start(), 1e6f), "1e+06");
	check(format_float4(start(), 3.4028235e38f), "3.4028235e+38");
	check(format_float4(start(), 1.1754944e-38f), "1.1754944e-38");
	check(format_float4(start(), 1e-45f), "1e-45");
	check(format_float4(start(), -1e-45f), "-1e-45");
}

static void
floats_that_json_has_no_number_for_are_strings(void **state)
{
	check(format_float8(start(), NAN), "\"NaN\"");
	check(format_float8(start(), -NAN), "\"NaN\"");
	check(format_float8(start(), INFINITY), "\"Infinity\"");
	check(format_float8(start(), -INFINITY), "\"-Infinity\"");
	check(format_float4(start(), NAN), "\"NaN\"");
	check(format_float4(start(), -NAN), "\"NaN\"");
	check(format_float4(start(), INFINITY), "\"Infinity\"");
	check(format_float4(start(), -INFINITY), "\"-Infinity\"");
}

/* The grammar of RFC 8259; end is behind the last byte. */
static bool
is_json_number(const char *p, const char *end)
{
	const char *begin;

	if (p < end && *p == '-')
		p++;
	begin = p;
	while (p < end && isdigit((unsigned char) *p))
		p++;
	if (p == begin || (*begin == '0' && p > begin + 1))
		return false;
	if (p < end && *p == '.')
	{
		begin = ++p;
		while (p < end && isdigit((unsigned char) *p))
			p++;
		if (p == begin)
			return false;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		begin = p;
		while (p < end && isdigit((unsigned char) *p))
			p++;
		if (p == begin)
			return false;
	}
	return p == end;
}

static void
floats_of_random_bits_read_back(void **state)
{
	for (int i = 0; i < 100000; i++)
	{
		uint64		wide = next_random();
		uint32		narrow = (uint32) next_random();
		float8		value8;
		float8		back8;
		float4		value4;
		float4		back4;
		char	   *end;

		memcpy(&value8, &wide, 8);
		end = format_float8(start(), value8);
		assert_true(guard_is_whole(room + FORMAT_WIDTH));
		if (isfinite(value8))
		{
			assert_true(is_json_number(room, end));
			*end = '\0';
			back8 = strtod(room, NULL);
			assert_memory_equal(&back8, &value8, 8);
		}
		else
			assert_true(room[0] == '"' && end[-1] == '"');

		memcpy(&value4, &narrow, 4);
		end = format_float4(start(), value4);
		if (isfinite(value4))
		{
			assert_true(is_json_number(room, end));
			*end = '\0';
			back4 = strtof(room, NULL);
			assert_memory_equal(&back4, &value4, 4);
		}
	}
}

/* Dates and times */

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* year 0 is 1 BC */
static void
check_date(DateADT date, int year, int month, int day)
{
	char		expected[64];

	sprintf(expected, "%04d-%02d-%02d%s", year > 0 ? year : 1 - year, month, day,
			year > 0 ? "" : " BC");
	check(format_date(start(), date), expected);
}

/* Walk the calendar from the first of January of one year to the end of another. */
static DateADT
walk_years(DateADT date, int from, int to, bool every_day)
{
	for (int year = from; year <= to; year++)
		for (int month = 1; month <= 12; month++)
		{
			int			days = days_of_month(year, month);

			check_date(date, year, month, 1);
			for (int day = 2; every_day && day < days; day++)
				check_date(date + day - 1, year, month, day);
			check_date(date + days - 1, year, month, days);
			date += days;
		}
	return date;
}

static void
dates_follow_the_calendar(void **state)
{
	/* two eras of 400 years, one of them before Christ, by the day */
	assert_int_equal(walk_years(0, 2000, 2399, true), 146097);
	assert_int_equal(walk_years(-6 * 146097, -400, -1, true), -5 * 146097);

	/* months from the first possible date to a far future one */
	assert_int_equal(walk_years(-2451545 + 38, -4712, 9999, false), 2921940);
	walk_years(2921940, 10000, 13000, false);
}

static void
dates_at_their_limits(void **state)
{
	check(format_date(start(), 0), "2000-01-01");
	check(format_date(start(), -1), "1999-12-31");
	check(format_date(start(), -2451545), "4714-11-24 BC");
	check(format_date(start(), -2451507), "4713-01-01 BC");
	check(format_date(start(), -730119), "0001-01-01");
	check(format_date(start(), -730120), "0001-12-31 BC");
	check(format_date(start(), -730426), "0001-02-29 BC");
	check(format_date(start(), 2921939), "9999-12-31");
	check(format_date(start(), 2921940), "10000-01-01");
	check(format_date(start(), 2145031948), "5874897-12-31");
	check(format_date(start(), DATEVAL_NOBEGIN), "-infinity");
	check(format_date(start(), DATEVAL_NOEND), "infinity");
}

static void
check_date_by_walking(DateADT date)
{
	int			day = date;
	int			year = 2000;
	int			month = 1;

	for (; day < 0; day += 365 + is_leap(year))
		year--;
	for (; day >= 365 + is_leap(year); year++)
		day -= 365 + is_leap(year);
	for (; day >= days_of_month(year, month); month++)
		day -= days_of_month(year, month);
	check_date(date, year, month, day + 1);
}

/* The formatter caches printed days: it must not confuse two of them. */
static void
dates_that_alternate_are_not_mixed_up(void **state)
{
	for (int i = 0; i < 3; i++)
	{
		check(format_date(start(), 7), "2000-01-08");
		check(format_date(start(), 7), "2000-01-08");
		check(format_date(start(), -730120), "0001-12-31 BC");
		check(format_timestamp(start(), 7 * USECS_PER_DAY + 1), "2000-01-08T00:00:00.000001");
		check(format_timestamp(start(), -730120 * USECS_PER_DAY), "0001-12-31T00:00:00 BC");
		check(format_date(start(), DATEVAL_NOEND), "infinity");
	}

	/* days that would share a place in a table of a power of two */
	for (int distance = 1; distance <= 65536; distance *= 2)
	{
		const DateADT days[] = {0, distance, -distance, distance * 2, 0, distance * 3};

		for (int i = 0; i < lengthof(days); i++)
			check_date_by_walking(days[i]);
	}
}

static void
timestamps_at_their_limits(void **state)
{
	Timestamp	least = -INT64CONST(211813488000000000);
	Timestamp	greatest = INT64CONST(9223371331199999999);

	check(format_timestamp(start(), least), "4714-11-24T00:00:00 BC");
	check(format_timestamptz(start(), least), "4714-11-24T00:00:00+00:00 BC");
	check(format_timestamp(start(), least + 1), "4714-11-24T00:00:00.000001 BC");
	check(format_timestamp(start(), greatest), "294276-12-31T23:59:59.999999");
	check(format_timestamptz(start(), greatest), "294276-12-31T23:59:59.999999+00:00");
	check(format_timestamp(start(), DT_NOBEGIN), "-infinity");
	check(format_timestamp(start(), DT_NOEND), "infinity");
	check(format_timestamptz(start(), DT_NOBEGIN), "-infinity");
	check(format_timestamptz(start(), DT_NOEND), "infinity");
}

static void
timestamps_around_midnight(void **state)
{
	check(format_timestamp(start(), 0), "2000-01-01T00:00:00");
	check(format_timestamp(start(), -1), "1999-12-31T23:59:59.999999");
	check(format_timestamp(start(), USECS_PER_DAY - 1), "2000-01-01T23:59:59.999999");
	check(format_timestamp(start(), -USECS_PER_DAY), "1999-12-31T00:00:00");
	check(format_timestamp(start(), -USECS_PER_DAY - 1), "1999-12-30T23:59:59.999999");
	check(format_timestamptz(start(), 0), "2000-01-01T00:00:00+00:00");
}

static void
fractions_lose_the_zeros_at_their_end(void **state)
{
	int			micros = 1;
	static const char *const expected[] = {
		"00:00:00.000001", "00:00:00.00001", "00:00:00.0001", "00:00:00.001",
		"00:00:00.01", "00:00:00.1", "00:00:01"
	};

	for (int i = 0; i < lengthof(expected); i++, micros *= 10)
		check(format_time(start(), micros), expected[i]);
	check(format_time(start(), 120000), "00:00:00.12");
	check(format_time(start(), 999999), "00:00:00.999999");
	check(format_time(start(), 100010), "00:00:00.10001");
}

static void
rfc3339_has_all_digits_and_a_z(void **state)
{
	check(format_rfc3339(start(), 0), "2000-01-01T00:00:00.000000Z");
	check(format_rfc3339(start(), 100000), "2000-01-01T00:00:00.100000Z");
	check(format_rfc3339(start(), -1), "1999-12-31T23:59:59.999999Z");
	check(format_rfc3339(start(), -USECS_PER_SEC), "1999-12-31T23:59:59.000000Z");
	check(format_rfc3339(start(), INT64CONST(845810553123456)), "2026-10-20T11:22:33.123456Z");
}

static void
times_of_day(void **state)
{
	check(format_time(start(), 0), "00:00:00");
	check(format_time(start(), USECS_PER_DAY - 1), "23:59:59.999999");
	check(format_time(start(), USECS_PER_DAY), "24:00:00");
	check(format_time(start(), INT64CONST(3723000000)), "01:02:03");
}

static void
check_timetz(int64 micros, int32 seconds_west, const char *expected)
{
	TimeTzADT	time;

	time.time = micros;
	time.zone = seconds_west;
	check(format_timetz(start(), &time), expected);
}

static void
times_with_zones(void **state)
{
	check_timetz(0, 0, "00:00:00+00");
	check_timetz(0, -3600, "00:00:00+01");
	check_timetz(0, 3600, "00:00:00-01");
	check_timetz(1, -(5 * 3600 + 1800), "00:00:00.000001+05:30");
	check_timetz(1, 3 * 3600 + 1800, "00:00:00.000001-03:30");
	check_timetz(USECS_PER_DAY, -(15 * 3600 + 59 * 60 + 59), "24:00:00+15:59:59");
	check_timetz(USECS_PER_DAY, 15 * 3600 + 59 * 60 + 59, "24:00:00-15:59:59");
	check_timetz(0, -1, "00:00:00+00:00:01");
	check_timetz(0, 1, "00:00:00-00:00:01");
	check_timetz(0, 60, "00:00:00-00:01");
	check_timetz(0, -(3600 + 59), "00:00:00+01:00:59");
}

/* Intervals */

static void
check_interval(int32 month, int32 day, int64 micros, const char *expected)
{
	Interval	interval;

	interval.time = micros;
	interval.day = day;
	interval.month = month;
	check(format_interval(start(), &interval), expected);
}

static void
intervals_as_the_server_prints_them(void **state)
{
	check_interval(0, 0, 0, "00:00:00");
	check_interval(14, 3, INT64CONST(14706789000), "1 year 2 mons 3 days 04:05:06.789");
	check_interval(-14, -3, -INT64CONST(14706789000), "-1 years -2 mons -3 days -04:05:06.789");
	check_interval(-14, 3, INT64CONST(14706789000), "-1 years -2 mons +3 days 04:05:06.789");
	check_interval(14, -3, INT64CONST(14706000000), "1 year 2 mons -3 days +04:05:06");
	check_interval(14, 3, -1, "1 year 2 mons 3 days -00:00:00.000001");
	check_interval(1, 1, 0, "1 mon 1 day");
	check_interval(-1, 0, USECS_PER_HOUR, "-1 mons +01:00:00");
	check_interval(0, 1, -USECS_PER_HOUR, "1 day -01:00:00");
	check_interval(0, 0, 100 * USECS_PER_HOUR, "100:00:00");
	check_interval(12, 0, 0, "1 year");
}

static void
naive_interval_part(char *s, int value, const char *unit, int *before)
{
	if (value == 0)
		return;
	sprintf(s + strlen(s), "%s%s%d %s%s", s[0] ? " " : "", *before < 0 && value > 0 ? "+" : "",
			value, unit, value == 1 ? "" : "s");
	*before = value;
}

/* Each part has a sign of its own, and a plus if the part written before is negative. */
static void
intervals_of_all_combinations_of_signs(void **state)
{
	for (int years = -2; years <= 2; years++)
		for (int months = -2; months <= 2; months++)
			for (int days = -2; days <= 2; days++)
				for (int seconds = -1; seconds <= 1; seconds++)
				{
					char		expected[128] = "";
					int			before = 0;

					/* stored as months: the two never have different signs */
					if (years * months < 0)
						continue;
					naive_interval_part(expected, years, "year", &before);
					naive_interval_part(expected, months, "mon", &before);
					naive_interval_part(expected, days, "day", &before);
					if (seconds != 0 || expected[0] == '\0')
						sprintf(expected + strlen(expected), "%s%s00:00:0%d",
								expected[0] ? " " : "",
								seconds < 0 ? "-" : before < 0 ? "+" : "", abs(seconds));
					check_interval(years * 12 + months, days, seconds * USECS_PER_SEC, expected);
				}
}

static void
intervals_at_their_limits(void **state)
{
	/* not quite: all three at their limits are an infinity in newer servers */
	check_interval(PG_INT32_MAX, PG_INT32_MAX, PG_INT64_MAX - 1,
				   "178956970 years 7 mons 2147483647 days 2562047788:00:54.775806");
	check_interval(PG_INT32_MIN, PG_INT32_MIN, PG_INT64_MIN + 1,
				   "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775807");
	check_interval(0, 0, PG_INT64_MIN, "-2562047788:00:54.775808");
	check_interval(0, PG_INT32_MIN, PG_INT64_MAX, "-2147483648 days +2562047788:00:54.775807");
#ifdef INTERVAL_NOBEGIN
	{
		Interval	infinite;

		INTERVAL_NOBEGIN(&infinite);
		check(format_interval(start(), &infinite), "-infinity");
		INTERVAL_NOEND(&infinite);
		check(format_interval(start(), &infinite), "infinity");
	}
#endif
}

/* Money, uuid, hex, base 64 */

static void
money_of_every_size(void **state)
{
	check(format_money(start(), 0), "$0.00");
	check(format_money(start(), 1), "$0.01");
	check(format_money(start(), -1), "-$0.01");
	check(format_money(start(), 99999), "$999.99");
	check(format_money(start(), 100000), "$1,000.00");
	check(format_money(start(), -123456789), "-$1,234,567.89");
	check(format_money(start(), 99999999), "$999,999.99");
	check(format_money(start(), PG_INT64_MAX), "$92,233,720,368,547,758.07");
	check(format_money(start(), PG_INT64_MIN), "-$92,233,720,368,547,758.08");
}

static void
uuids(void **state)
{
	static const unsigned char bytes[16] = {
		0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
		0xee, 0xff
	};

	check(format_uuid(start(), bytes), "00112233-4455-6677-8899-aabbccddeeff");
}

static void
hex_of_every_byte(void **state)
{
	for (int i = 0; i < 256; i++)
	{
		unsigned char bytes[2] = {(unsigned char) i, (unsigned char) ~i};
		char		expected[8];

		sprintf(expected, "%02x%02x", bytes[0], bytes[1]);
		check(format_hex(start(), bytes, 2), expected);
	}
	check(format_hex(start(), NULL, 0), "");
}

static void
base64_as_in_rfc_4648(void **state)
{
	static const char *const vectors[][2] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "/+++"}
	};

	for (int i = 0; i < lengthof(vectors); i++)
		check(format_base64(start(), (const unsigned char *) vectors[i][0],
							strlen(vectors[i][0])), vectors[i][1]);
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Read back, from memory that ends where the bytes end. */
static void
base64_reads_back(void **state)
{
	unsigned char *end = (unsigned char *) end_of_memory(90);

	for (Size n = 0; n <= 90; n++)
	{
		unsigned char *bytes = end - n;
		Size		size;

		for (Size i = 0; i < n; i++)
			bytes[i] = (unsigned char) next_random();
		size = format_base64(start(), bytes, n) - room;
		assert_int_equal(size, (n + 2) / 3 * 4);
		assert_true(guard_is_whole(room + FORMAT_WIDTH));
		for (Size i = 0; i < n; i++)
		{
			const char *four = room + i / 3 * 4;
			int			left = base64_value(four[i % 3]);
			int			right = base64_value(four[i % 3 + 1]);

			assert_true(left >= 0 && right >= 0);
			assert_int_equal((left << (2 + i % 3 * 2) | right >> (4 - i % 3 * 2)) & 0xff, bytes[i]);
		}
		for (Size i = 0; i < (3 - n % 3) % 3; i++)
			assert_int_equal(room[size - 1 - i], '=');
	}
}

/* Numerics */

/*
 * Format a payload. The address is odd if so asked: after a short length word
 * nothing is aligned. The room is numeric_room(), and the guard follows it.
 */
static char *
format_payload(const char *payload, Size n, bool unaligned, Size *size)
{
	Size		granted = numeric_room(payload, n);
	char	   *out = malloc(granted + GUARD_SIZE);
	char	   *copy = malloc(n + 2);
	char	   *data = copy + unaligned;

	memcpy(data, payload, n);
	set_guard(out + granted);
	*size = format_numeric(out, data, n) - out;
	assert_true(*size <= granted);
	assert_true(guard_is_whole(out + granted));
	free(copy);
	return out;
}

static void
check_payload(const char *payload, Size n, const char *expected)
{
	for (int unaligned = 0; unaligned < 2; unaligned++)
	{
		Size		size;
		char	   *out = format_payload(payload, n, unaligned, &size);

		if (size != strlen(expected) || memcmp(out, expected, size) != 0)
			fail_msg("\"%.*s\" should be \"%s\"", (int) Min(size, 1000), out, expected);
		free(out);
	}
}

static void
check_numeric(const char *decimal)
{
	char	   *payload = malloc(NAIVE_NUMERIC_SIZE(strlen(decimal)));

	for (int long_form = 0; long_form < 2; long_form++)
		check_payload(payload, naive_numeric(payload, decimal, long_form), decimal);
	free(payload);
}

static void
numerics_in_both_forms(void **state)
{
	static const char *const decimals[] = {
		"0", "0.00", "1", "-1", "9", "10", "99", "100", "999", "1000", "9999", "10000", "10001",
		"100000000", "1000000000000", "123456789.123456789", "-123456789.123456789", "0.1",
		"-0.1", "0.0001", "0.00001", "0.00010000", "-0.000000000000000001", "1.0", "1.10",
		"1.000000000", "10000.0000", "9999.9999", "100010001.00010001", "0.12345", "12345.6",
		"12345.67", "12345.678", "12345.6789", "12345.67891"
	};

	for (int i = 0; i < lengthof(decimals); i++)
		check_numeric(decimals[i]);
}

/* Bytes as a server stored them, so that not every test depends on our own encoder. */
static void
numerics_as_the_server_stores_them(void **state)
{
	static const int16 one_and_a_half[] = {(int16) 0x8080, 1, 5000};
	static const int16 minus_12345_678[] = {(int16) 0xA181, 1, 2345, 6780};
	static const int16 tiny[] = {(int16) 0x83FE, 1230};
	static const int16 long_one[] = {64, 0, 1};
	static const int16 long_minus_10000[] = {0x4000, 1, 1};

	check_payload((const char *) one_and_a_half, sizeof(one_and_a_half), "1.5");
	check_payload((const char *) minus_12345_678, sizeof(minus_12345_678), "-12345.678");
	check_payload((const char *) tiny, sizeof(tiny), "0.0000123");
	check_payload((const char *) long_one, sizeof(long_one),
				  "1.0000000000000000000000000000000000000000000000000000000000000000");
	check_payload((const char *) long_minus_10000, sizeof(long_minus_10000), "-10000");
}

static void
numerics_that_json_has_no_number_for_are_strings(void **state)
{
	static const int16 not_a_number = (int16) 0xC000;
	static const int16 infinity = (int16) 0xD000;
	static const int16 minus_infinity = (int16) 0xF000;

	check_payload((const char *) &not_a_number, 2, "\"NaN\"");
	check_payload((const char *) &infinity, 2, "\"Infinity\"");
	check_payload((const char *) &minus_infinity, 2, "\"-Infinity\"");
}

/* A number of random digits, with runs of zeros, because zeros are not stored. */
static void
random_decimal(char *decimal, int nwhole, int dscale)
{
	char	   *p = decimal;
	bool		zeros = false;

	if (random_below(2))
		*p++ = '-';
	if (nwhole == 0)
		*p++ = '0';
	for (int i = 0; i < nwhole + dscale; i++)
	{
		if (random_below(6) == 0)
			zeros = !zeros;
		if (i == nwhole)
			*p++ = '.';
		*p++ = i == 0 && nwhole > 0 ? '1' + (char) random_below(9) :
			zeros ? '0' : '0' + (char) random_below(10);
	}
	*p = '\0';
}

static void
numerics_of_random_digits(void **state)
{
	char		decimal[1100];

	for (int i = 0; i < 20000; i++)
	{
		random_decimal(decimal, (int) random_below(30), (int) random_below(30));
		check_numeric(decimal);
	}
	for (int i = 0; i < 2000; i++)
	{
		random_decimal(decimal, (int) random_below(500), (int) random_below(500));
		check_numeric(decimal);
	}
}

static void
numerics_at_their_limits(void **state)
{
	char	   *decimal = malloc(131072 + 16383 + 3);

	random_decimal(decimal, 131072, 16383);
	check_numeric(decimal);
	random_decimal(decimal, 131072, 0);
	check_numeric(decimal);
	random_decimal(decimal, 0, 16383);
	check_numeric(decimal);
	free(decimal);
}

/* Whatever the header says, and however few digits there are. */
static void
numeric_room_is_enough_for_any_payload(void **state)
{
	for (int i = 0; i < 20000; i++)
	{
		char		payload[64];
		Size		n = 4 + random_below(sizeof(payload) - 4);
		Size		size;

		for (Size k = 0; k < n; k++)
			payload[k] = (char) next_random();
		/* keep most weights small: large ones only take time */
		if (random_below(50) != 0)
			payload[3] = random_below(2) ? 0 : '\xff';
		free(format_payload(payload, n, i % 2, &size));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_at_their_limits),
		cmocka_unit_test(integers_of_every_length),
		cmocka_unit_test(positions_in_the_wal),
		cmocka_unit_test(floats_are_the_shortest_that_read_back),
		cmocka_unit_test(floats_that_json_has_no_number_for_are_strings),
		cmocka_unit_test(floats_of_random_bits_read_back),
		cmocka_unit_test(dates_follow_the_calendar),
		cmocka_unit_test(dates_at_their_limits),
		cmocka_unit_test(dates_that_alternate_are_not_mixed_up),
		cmocka_unit_test(timestamps_at_their_limits),
		cmocka_unit_test(timestamps_around_midnight),
		cmocka_unit_test(fractions_lose_the_zeros_at_their_end),
		cmocka_unit_test(rfc3339_has_all_digits_and_a_z),
		cmocka_unit_test(times_of_day),
		cmocka_unit_test(times_with_zones),
		cmocka_unit_test(intervals_as_the_server_prints_them),
		cmocka_unit_test(intervals_of_all_combinations_of_signs),
		cmocka_unit_test(intervals_at_their_limits),
		cmocka_unit_test(money_of_every_size),
		cmocka_unit_test(uuids),
		cmocka_unit_test(hex_of_every_byte),
		cmocka_unit_test(base64_as_in_rfc_4648),
		cmocka_unit_test(base64_reads_back),
		cmocka_unit_test(numerics_in_both_forms),
		cmocka_unit_test(numerics_as_the_server_stores_them),
		cmocka_unit_test(numerics_that_json_has_no_number_for_are_strings),
		cmocka_unit_test(numerics_of_random_digits),
		cmocka_unit_test(numerics_at_their_limits),
		cmocka_unit_test(numeric_room_is_enough_for_any_payload),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
