/*
 * format.c
 *		Fixed-size values as the server's output functions print them.
 *
 * The server's own functions allocate a string for each value and read the
 * session's settings. These write digits into the message and read no setting.
 * The regression tests compare their output with the server's.
 */
#include "postgres.h"

#include "format.h"

#include "common/shortest_dec.h"
#include "compat.h"
#include "port/pg_bswap.h"

static const char digit_pairs[] =
"00010203040506070809101112131415161718192021222324"
"25262728293031323334353637383940414243444546474849"
"50515253545556575859606162636465666768697071727374"
"75767778798081828384858687888990919293949596979899";

static inline char *
two_digits(char *p, unsigned value)
{
	memcpy(p, digit_pairs + value * 2, 2);
	return p + 2;
}

static inline char *
four_digits(char *p, unsigned value)
{
	return two_digits(two_digits(p, value / 100), value % 100);
}

static inline char *
text_of(char *p, const char *s)
{
	Size		n = strlen(s);

	memcpy(p, s, n);
	return p + n;
}

static inline int
count_digits(uint64 value)
{
	static const uint64 powers[] = {
		UINT64CONST(0), UINT64CONST(10), UINT64CONST(100), UINT64CONST(1000),
		UINT64CONST(10000), UINT64CONST(100000), UINT64CONST(1000000), UINT64CONST(10000000),
		UINT64CONST(100000000), UINT64CONST(1000000000), UINT64CONST(10000000000),
		UINT64CONST(100000000000), UINT64CONST(1000000000000), UINT64CONST(10000000000000),
		UINT64CONST(100000000000000), UINT64CONST(1000000000000000),
		UINT64CONST(10000000000000000), UINT64CONST(100000000000000000),
		UINT64CONST(1000000000000000000), UINT64CONST(10000000000000000000)
	};
	int			bits = 64 - __builtin_clzll(value | 1);
	int			guess = bits * 1233 >> 12;	/* 1233 / 4096 is a little over log10(2) */

	return guess + (value >= powers[guess] || guess == 0);
}

/* Write the digits in place, from the last one to the first. */
char *
format_uint64(char *p, uint64 value)
{
	char	   *end = p + count_digits(value);
	char	   *d = end;

	while (value >= 100)
	{
		d -= 2;
		memcpy(d, digit_pairs + (value % 100) * 2, 2);
		value /= 100;
	}
	if (value >= 10)
		memcpy(d - 2, digit_pairs + value * 2, 2);
	else
		d[-1] = '0' + (char) value;
	return end;
}

char *
format_int64(char *p, int64 value)
{
	uint64		magnitude = value;

	if (value < 0)
	{
		*p++ = '-';
		magnitude = -magnitude;
	}
	return format_uint64(p, magnitude);
}

static char *
format_hex32(char *p, uint32 value)
{
	static const char digits[] = "0123456789ABCDEF";
	int			ndigits = 1 + (31 - __builtin_clz(value | 1)) / 4;

	for (int i = ndigits - 1; i >= 0; i--)
		*p++ = digits[value >> i * 4 & 15];
	return p;
}

char *
format_lsn(char *p, uint64 lsn)
{
	p = format_hex32(p, (uint32) (lsn >> 32));
	*p++ = '/';
	return format_hex32(p, (uint32) lsn);
}

static inline bool
is_number(const char *p)
{
	return p[0] == '-' ? p[1] <= '9' : p[0] <= '9';
}

/* Quote the text from p to end unless JSON accepts it as a number. */
static inline char *
quote_unless_number(char *p, char *end)
{
	if (likely(is_number(p)))
		return end;
	memmove(p + 1, p, end - p);
	*p = '"';
	end[1] = '"';
	return end + 2;
}

char *
format_float4(char *p, float4 value)
{
	return quote_unless_number(p, p + float_to_shortest_decimal_bufn(value, p));
}

char *
format_float8(char *p, float8 value)
{
	return quote_unless_number(p, p + double_to_shortest_decimal_bufn(value, p));
}

/*
 * The stored form of a numeric: two bytes of header, then digits in base
 * 10000. The top two bits of the header tell the form; the long form has two
 * more bytes of weight. The form is part of the data directory's format, so it
 * does not change between releases that pg_upgrade can bridge.
 */
typedef struct NumericParts
{
	const char *special;		/* NaN or an infinity, in quotes; else NULL */
	bool		negative;
	int			weight;			/* of the first digit, in digits */
	int			dscale;			/* decimal digits after the point */
	int			ndigits;
	const char *digits;			/* int16 each, perhaps not aligned */
} NumericParts;

static inline NumericParts
numeric_parts(const char *data, Size n)
{
	NumericParts parts = {0};
	uint16		header;
	Size		header_size = 2;

	memcpy(&header, data, 2);
	switch (header & 0xC000)
	{
		case 0xC000:
			parts.special = (header & 0xF000) == 0xC000 ? "\"NaN\"" :
				(header & 0xF000) == 0xD000 ? "\"Infinity\"" : "\"-Infinity\"";
			return parts;
		case 0x8000:
			parts.negative = (header & 0x2000) != 0;
			parts.dscale = (header & 0x1F80) >> 7;
			parts.weight = (header & 0x003F) - (header & 0x0040);
			break;
		default:
			{
				int16		weight;

				memcpy(&weight, data + 2, 2);
				parts.negative = (header & 0x4000) != 0;
				parts.dscale = header & 0x3FFF;
				parts.weight = weight;
				header_size = 4;
			}
	}
	parts.digits = data + header_size;
	parts.ndigits = (int) ((n - header_size) / 2);
	return parts;
}

Size
numeric_room(const char *digits, Size n)
{
	NumericParts parts = numeric_parts(digits, n);

	/* sign, a digit before the point, the point, a last group of four */
	return FORMAT_WIDTH + (Size) Max(parts.weight + 1, 0) * 4 + parts.dscale;
}

static inline unsigned
numeric_digit(const NumericParts *parts, int i)
{
	int16		digit;

	if (i < 0 || i >= parts->ndigits)
		return 0;
	memcpy(&digit, parts->digits + (Size) i * 2, 2);
	return (unsigned) digit % 10000;
}

char *
format_numeric(char *p, const char *digits, Size n)
{
	NumericParts parts = numeric_parts(digits, n);
	int			d = parts.weight + 1;

	if (unlikely(parts.special != NULL))
		return text_of(p, parts.special);
	if (parts.negative)
		*p++ = '-';
	if (parts.weight < 0)
		*p++ = '0';
	else
	{
		p = format_uint64(p, numeric_digit(&parts, 0));
		for (d = 1; d <= parts.weight; d++)
			p = four_digits(p, numeric_digit(&parts, d));
	}
	if (parts.dscale > 0)
	{
		char	   *end;

		*p++ = '.';
		end = p + parts.dscale;
		for (; p < end; d++)
			p = four_digits(p, numeric_digit(&parts, d));
		p = end;
	}
	return p;
}

/* Year, month and day of the proleptic Gregorian calendar; 0 is 1 BC. */
typedef struct CivilDay
{
	int64		year;
	unsigned	month;
	unsigned	day;
} CivilDay;

/* Days are numbered from 2000-01-01 on. */
static CivilDay
civil_day(int64 day_number)
{
	/*
	 * Years that begin on the first of March put the leap day last. Any 400 of
	 * them have 146097 days.
	 */
	int64		since = day_number + 730425;	/* from 0000-03-01 */
	int64		era = (since >= 0 ? since : since - 146096) / 146097;
	unsigned	day_of_era = (unsigned) (since - era * 146097);
	unsigned	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
							   day_of_era / 146096) / 365;
	unsigned	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 -
											year_of_era / 100);
	unsigned	march_month = (5 * day_of_year + 2) / 153;
	CivilDay	civil;

	civil.day = day_of_year - (153 * march_month + 2) / 5 + 1;
	civil.month = march_month < 10 ? march_month + 3 : march_month - 9;
	civil.year = era * 400 + year_of_era + (civil.month <= 2);
	return civil;
}

/* A day as text. */
typedef struct DayText
{
	int64		number;
	bool		bc;
	int			length;			/* 0: not filled in */
	char		text[32];
} DayText;

static void
fill_day(DayText *day, int64 number)
{
	CivilDay	civil = civil_day(number);
	char	   *t = day->text;
	uint64		year;

	day->number = number;
	day->bc = civil.year <= 0;
	year = day->bc ? 1 - civil.year : civil.year;
	t = year < 10000 ? four_digits(t, (unsigned) year) : format_uint64(t, year);
	*t++ = '-';
	t = two_digits(t, civil.month);
	*t++ = '-';
	t = two_digits(t, civil.day);
	day->length = t - day->text;
}

/*
 * YYYY-MM-DD; *bc says that " BC" must follow later. Rows that are written
 * together often carry the same few days, so these are cached.
 */
static char *
year_month_day(char *p, int64 number, bool *bc)
{
	static DayText kept[64];
	DayText    *day = &kept[number & 63];

	if (unlikely(day->number != number || day->length == 0))
		fill_day(day, number);
	memcpy(p, day->text, sizeof(day->text));
	*bc = day->bc;
	return p + day->length;
}

static inline char *
era(char *p, bool bc)
{
	return bc ? text_of(p, " BC") : p;
}

/* HH:MM:SS, and the microseconds without the zeros at their end. */
static inline char *
hours_minutes_seconds(char *p, uint64 hours, unsigned minutes, unsigned seconds, unsigned micros)
{
	p = hours < 100 ? two_digits(p, (unsigned) hours) : format_uint64(p, hours);
	*p++ = ':';
	p = two_digits(p, minutes);
	*p++ = ':';
	p = two_digits(p, seconds);
	if (micros != 0)
	{
		*p++ = '.';
		p = two_digits(p, micros / 10000);
		p = four_digits(p, micros % 10000);
		while (p[-1] == '0')
			p--;
	}
	return p;
}

static inline char *
time_of_day(char *p, int64 micros)
{
	/* unsigned, so that a damaged value yields nonsense and not a crash */
	uint64		time = (uint64) micros;
	uint64		seconds = time / USECS_PER_SEC;

	return hours_minutes_seconds(p, seconds / SECS_PER_HOUR,
								 (unsigned) (seconds / SECS_PER_MINUTE % 60),
								 (unsigned) (seconds % 60), (unsigned) (time % USECS_PER_SEC));
}

char *
format_date(char *p, DateADT date)
{
	bool		bc;

	if (DATE_IS_NOBEGIN(date))
		return text_of(p, "-infinity");
	if (DATE_IS_NOEND(date))
		return text_of(p, "infinity");
	p = year_month_day(p, date, &bc);
	return era(p, bc);
}

/* The date, a T, the time; *bc as in year_month_day(). */
static inline char *
date_and_time(char *p, Timestamp ts, bool *bc)
{
	int64		number = ts / USECS_PER_DAY;
	int64		micros = ts - number * USECS_PER_DAY;

	if (micros < 0)
	{
		micros += USECS_PER_DAY;
		number--;
	}
	p = year_month_day(p, number, bc);
	*p++ = 'T';
	return time_of_day(p, micros);
}

char *
format_timestamp(char *p, Timestamp ts)
{
	bool		bc;

	if (TIMESTAMP_IS_NOBEGIN(ts))
		return text_of(p, "-infinity");
	if (TIMESTAMP_IS_NOEND(ts))
		return text_of(p, "infinity");
	p = date_and_time(p, ts, &bc);
	return era(p, bc);
}

char *
format_timestamptz(char *p, TimestampTz ts)
{
	bool		bc;

	if (TIMESTAMP_NOT_FINITE(ts))
		return format_timestamp(p, ts);
	p = date_and_time(p, ts, &bc);
	p = text_of(p, "+00:00");
	return era(p, bc);
}

char *
format_rfc3339(char *p, TimestampTz ts)
{
	int64		micros = ts % USECS_PER_SEC;
	bool		bc;

	if (micros < 0)
		micros += USECS_PER_SEC;
	p = date_and_time(p, ts - micros, &bc);
	*p++ = '.';
	p = two_digits(p, (unsigned) (micros / 10000));
	p = four_digits(p, (unsigned) (micros % 10000));
	*p++ = 'Z';
	return p;
}

char *
format_time(char *p, TimeADT time)
{
	return time_of_day(p, time);
}

char *
format_timetz(char *p, const TimeTzADT *time)
{
	/* zone counts seconds west of Greenwich */
	unsigned	offset = time->zone < 0 ? -(unsigned) time->zone : (unsigned) time->zone;

	p = time_of_day(p, time->time);
	*p++ = time->zone <= 0 ? '+' : '-';
	p = two_digits(p, offset / SECS_PER_HOUR % 100);
	if (offset % SECS_PER_HOUR != 0)
	{
		*p++ = ':';
		p = two_digits(p, offset / SECS_PER_MINUTE % 60);
	}
	if (offset % SECS_PER_MINUTE != 0)
	{
		*p++ = ':';
		p = two_digits(p, offset % 60);
	}
	return p;
}

/*
 * One part of an interval, with the sign rule of the postgres style: a plus
 * after a negative part.
 */
static char *
interval_part(char *p, int value, const char *unit, bool *first, bool *negative)
{
	if (value == 0)
		return p;
	if (!*first)
		*p++ = ' ';
	if (*negative && value > 0)
		*p++ = '+';
	p = format_int64(p, value);
	p = text_of(p, unit);
	if (value != 1)
		*p++ = 's';
	*first = false;
	*negative = value < 0;
	return p;
}

char *
format_interval(char *p, const Interval *interval)
{
	bool		first = true;
	bool		negative = false;
	uint64		micros = interval->time;

	if (INTERVAL_IS_MINUS_INFINITY(interval))
		return text_of(p, "-infinity");
	if (INTERVAL_IS_PLUS_INFINITY(interval))
		return text_of(p, "infinity");
	p = interval_part(p, interval->month / MONTHS_PER_YEAR, " year", &first, &negative);
	p = interval_part(p, interval->month % MONTHS_PER_YEAR, " mon", &first, &negative);
	p = interval_part(p, interval->day, " day", &first, &negative);
	if (first || interval->time != 0)
	{
		uint64		seconds;

		if (!first)
			*p++ = ' ';
		if (interval->time < 0)
		{
			*p++ = '-';
			micros = -micros;
		}
		else if (negative)
			*p++ = '+';
		seconds = micros / USECS_PER_SEC;
		p = hours_minutes_seconds(p, seconds / SECS_PER_HOUR,
								  (unsigned) (seconds / SECS_PER_MINUTE % 60),
								  (unsigned) (seconds % 60),
								  (unsigned) (micros % USECS_PER_SEC));
	}
	return p;
}

char *
format_money(char *p, int64 cents)
{
	uint64		magnitude = cents;
	char		digits[24];
	int			n;

	if (cents < 0)
	{
		*p++ = '-';
		magnitude = -magnitude;
	}
	*p++ = '$';
	n = (int) (format_uint64(digits, magnitude / 100) - digits);
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && (n - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p++ = '.';
	return two_digits(p, (unsigned) (magnitude % 100));
}

/*
 * Convert four bytes to eight digits at once: each half of a byte gets a byte,
 * and values from ten on are moved to the letters from 'a' on.
 */
static inline void
eight_hex_digits(char *p, const unsigned char *bytes)
{
	uint32		four;
	uint64		x;

	memcpy(&four, bytes, 4);
#ifdef WORDS_BIGENDIAN
	four = pg_bswap32(four);
#endif
	x = four;
	x = (x | x << 16) & UINT64CONST(0x0000FFFF0000FFFF);
	x = (x | x << 8) & UINT64CONST(0x00FF00FF00FF00FF);
	/* the upper half of a byte is its first digit */
	x = (x >> 4 | x << 8) & UINT64CONST(0x0F0F0F0F0F0F0F0F);
	x += UINT64CONST(0x3030303030303030) +
		((x + UINT64CONST(0x0606060606060606)) >> 4 & UINT64CONST(0x0101010101010101)) *
		('a' - '9' - 1);
#ifdef WORDS_BIGENDIAN
	x = pg_bswap64(x);
#endif
	memcpy(p, &x, 8);
}

char *
format_hex(char *p, const unsigned char *bytes, Size n)
{
	static const char hex[] = "0123456789abcdef";

	for (; n >= 4; n -= 4)
	{
		eight_hex_digits(p, bytes);
		bytes += 4;
		p += 8;
	}
	for (; n > 0; n--)
	{
		*p++ = hex[*bytes >> 4];
		*p++ = hex[*bytes++ & 15];
	}
	return p;
}

char *
format_uuid(char *p, const unsigned char *bytes)
{
	char		digits[32];

	format_hex(digits, bytes, 16);
	memcpy(p, digits, 8);
	memcpy(p + 9, digits + 8, 4);
	memcpy(p + 14, digits + 12, 4);
	memcpy(p + 19, digits + 16, 4);
	memcpy(p + 24, digits + 20, 12);
	p[8] = p[13] = p[18] = p[23] = '-';
	return p + 36;
}

char *
format_base64(char *p, const unsigned char *bytes, Size n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; n > 0; bytes += 3)
	{
		uint32		group = (uint32) bytes[0] << 16;

		if (n > 1)
			group |= (uint32) bytes[1] << 8;
		if (n > 2)
			group |= bytes[2];
		p[0] = digits[group >> 18];
		p[1] = digits[group >> 12 & 63];
		p[2] = n > 1 ? digits[group >> 6 & 63] : '=';
		p[3] = n > 2 ? digits[group & 63] : '=';
		p += 4;
		n -= Min(n, 3);
	}
	return p;
}
