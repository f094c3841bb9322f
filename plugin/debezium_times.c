/*
 * debezium_times.c
 *		Times, dates and intervals as Debezium's connector sends them.
 *
 * Numbers count from 1970, in the unit that the precision of the type and the
 * option time.precision.mode give. With the mode isostring they are text.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "debezium_values.h"
#include "format.h"
#include "values.h"

#define EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define EPOCH_MICROS ((int64) EPOCH_DAYS * USECS_PER_DAY)

/* The connector's value for infinite times, in microseconds, and for infinite dates. */
#define INFINITE_TIME INT64CONST(9223372036825200000)
#define MINUS_INFINITE_TIME (-INT64CONST(9223372036832400000))
#define INFINITE_DAY (-2147472692)
#define MINUS_INFINITE_DAY (-2147472691)

/* The same in ISO 8601. */
#define INFINITE_TIME_ISO "\"+294247-01-10T04:00:25.2Z\""
#define MINUS_INFINITE_TIME_ISO "\"-290308-12-21T19:59:27.6Z\""
#define INFINITE_DAY_ISO "\"-5877611-06-21Z\""
#define MINUS_INFINITE_DAY_ISO "\"-5877611-06-22Z\""

/* A month has a twelfth of 365.25 days. */
#define DAYS_PER_AVERAGE_MONTH 30.4375

/* The first microsecond of the year 1, since 2000. */
#define FIRST_YEAR (-INT64CONST(730119) * USECS_PER_DAY)

#define DEFAULT_PRECISION 6		/* digits of fractions of a second */

static bool
encode_day(Out *o, const Encoder *e, Datum value)
{
	DateADT		date = DatumGetDateADT(value);

	if (DATE_IS_NOEND(date))
		return put_integer(o, INFINITE_DAY);
	if (DATE_IS_NOBEGIN(date))
		return put_integer(o, MINUS_INFINITE_DAY);
	return put_integer(o, (int64) date + EPOCH_DAYS);
}

/* Milliseconds if the type has no more digits, else microseconds. */
static int64
in_unit(const Encoder *e, int64 micros)
{
	const Detail *detail = e->detail;

	if (detail->precision > 3)
		return micros;
	return micros >= 0 ? micros / 1000 : -((999 - micros) / 1000);
}

static bool
encode_instant(Out *o, const Encoder *e, Datum value)
{
	Timestamp	ts = DatumGetTimestamp(value);

	if (TIMESTAMP_IS_NOEND(ts))
		return put_integer(o, in_unit(e, INFINITE_TIME));
	if (TIMESTAMP_IS_NOBEGIN(ts))
		return put_integer(o, in_unit(e, MINUS_INFINITE_TIME));
	return put_integer(o, in_unit(e, ts + EPOCH_MICROS));
}

static bool
encode_time_of_day(Out *o, const Encoder *e, Datum value)
{
	return put_integer(o, in_unit(e, DatumGetTimeADT(value)));
}

/*
 * Turn a year that stands in front of the text from position begin on into
 * that of ISO 8601: there, 1 BC is the year 0, and years have a sign before
 * the year 0 and beyond the year 9999.
 */
static void
correct_year(Out *o, Size begin, bool bc)
{
	char		written[FORMAT_WIDTH];
	char		digits[32];
	Size		n = out_tell(o) - begin;
	char	   *rest;
	long		year;

	if (likely(!bc && out_at(o, begin)[4] == '-'))
		return;
	memcpy(written, out_at(o, begin), n);
	written[n] = '\0';
	year = strtol(written, &rest, 10);
	if (bc)
		year = 1 - year;
	out_rewind(o, begin);
	append(o, digits, snprintf(digits, sizeof(digits), "%s%04ld",
							   year < 0 ? "-" : year > 9999 ? "+" : "", labs(year)));
	append(o, rest, strlen(rest));
}

/* 2026-01-31T11:22:33.123456Z with as many digits as the type has. */
static bool
encode_zoned(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	TimestampTz ts = DatumGetTimestampTz(value);
	Size		begin;

	out_reserve(o, FORMAT_WIDTH);
	put_char(o, '"');
	begin = out_tell(o);
	if (TIMESTAMP_NOT_FINITE(ts))
		o->p = format_timestamptz(o->p, ts);
	else
	{
		o->p = format_rfc3339(o->p, ts);
		if (o->p[-1] == 'Z' && detail->precision < DEFAULT_PRECISION)
		{
			o->p -= DEFAULT_PRECISION + 1 - detail->precision;
			if (detail->precision == 0)
				o->p--;			/* the point */
			put_char(o, 'Z');
		}
		correct_year(o, begin, ts < FIRST_YEAR);
	}
	out_reserve(o, 1);
	put_char(o, '"');
	return true;
}

/* In UTC. The end of the day, 24:00, is its begin. */
static bool
encode_zoned_time(Out *o, const Encoder *e, Datum value)
{
	const TimeTzADT *time = DatumGetTimeTzADTP(value);
	int64		micros = time->time + (int64) time->zone * USECS_PER_SEC;

	micros = (micros + 2 * USECS_PER_DAY) % USECS_PER_DAY;
	out_reserve(o, FORMAT_WIDTH);
	put_char(o, '"');
	o->p = format_time(o->p, micros);
	put_literal(o, "Z\"");
	return true;
}

static const char *
infinity_iso(Oid type, bool negative)
{
	if (type == DATEOID)
		return negative ? MINUS_INFINITE_DAY_ISO : INFINITE_DAY_ISO;
	return negative ? MINUS_INFINITE_TIME_ISO : INFINITE_TIME_ISO;
}

/* The plain encoder's string, with a Z at its end. */
static bool
encode_iso(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	Size		begin = out_tell(o);

	/* the end of the day is its begin */
	if (e->type == TIMEOID && DatumGetTimeADT(value) == USECS_PER_DAY)
		value = TimeADTGetDatum(0);
	if (!detail->plain->encode(o, detail->plain, value))
		return false;
	if (memchr(out_at(o, begin), 'i', out_tell(o) - begin) != NULL)
	{
		bool		negative = out_at(o, begin)[1] == '-';

		out_rewind(o, begin);
		put_json(o, infinity_iso(e->type, negative));
		return true;
	}
	out_rewind(o, out_tell(o) - 1);
	if (e->type != TIMEOID)
	{
		bool		bc = out_at(o, out_tell(o) - 1)[0] == 'C';

		if (bc)
			out_rewind(o, out_tell(o) - strlen(" BC"));
		correct_year(o, begin + 1, bc);
	}
	append_literal(o, "Z\"");
	return true;
}

/* The connector adds doubles, and cuts off fractions of a microsecond. */
static int64
duration(const Interval *interval)
{
	int64		minutes = interval->time / USECS_PER_MINUTE;
	int64		rest = interval->time % USECS_PER_MINUTE;
	double		seconds = (double) (rest / USECS_PER_SEC) + (double) (rest % USECS_PER_SEC) / USECS_PER_SEC;
	double		days = interval->month * DAYS_PER_AVERAGE_MONTH + interval->day;
	double		micros = ((days * 24 * 60 + (double) minutes) * 60 + seconds) * USECS_PER_SEC;

	if (micros >= (double) PG_INT64_MAX)
		return PG_INT64_MAX;
	if (micros <= (double) PG_INT64_MIN)
		return PG_INT64_MIN;
	return (int64) micros;
}

static bool
encode_duration(Out *o, const Encoder *e, Datum value)
{
	const Interval *interval = DatumGetIntervalP(value);

	if (INTERVAL_IS_PLUS_INFINITY(interval))
		return put_integer(o, PG_INT64_MAX);
	if (INTERVAL_IS_MINUS_INFINITY(interval))
		return put_integer(o, PG_INT64_MIN);
	return put_integer(o, duration(interval));
}

static int
zoned_precision(int32 modifier)
{
	return modifier >= 0 && modifier < DEFAULT_PRECISION ? modifier : DEFAULT_PRECISION;
}

/* Digits of fractions of a second that the type has, or the option gives. */
static int
precision_of(Oid type, int32 modifier, const Options *options)
{
	if (options->debezium.times == TIMES_CONNECT)
		return 3;
	if (options->debezium.times == TIMES_MICROS && type == TIMEOID)
		return DEFAULT_PRECISION;
	return zoned_precision(modifier);
}

const Encoder *
debezium_time_encoder(Oid type, int32 modifier, const Encoder *plain, const Options *options)
{
	bool		iso = options->debezium.times == TIMES_ISO;

	switch (type)
	{
		case DATEOID:
			return debezium_detailed(plain, iso ? encode_iso : encode_day, 0, 0);
		case TIMESTAMPOID:
			return debezium_detailed(plain, iso ? encode_iso : encode_instant,
									 precision_of(type, modifier, options), 0);
		case TIMEOID:
			return debezium_detailed(plain, iso ? encode_iso : encode_time_of_day,
									 precision_of(type, modifier, options), 0);
		case TIMESTAMPTZOID:
			return debezium_detailed(plain, encode_zoned, zoned_precision(modifier), 0);
		case TIMETZOID:
			return debezium_detailed(plain, encode_zoned_time, zoned_precision(modifier), 0);
		case INTERVALOID:
			return debezium_detailed(plain, encode_duration, 0, 0);
		default:
			return NULL;
	}
}

const char *
debezium_zero_time(Oid type, const Options *options)
{
	bool		iso = options->debezium.times == TIMES_ISO;

	switch (type)
	{
		case DATEOID:
			return iso ? "\"1970-01-01Z\"" : "0";
		case TIMEOID:
			return iso ? "\"00:00:00Z\"" : "0";
		case TIMESTAMPOID:
			return iso ? "\"1970-01-01T00:00:00Z\"" : "0";
		case TIMESTAMPTZOID:
			return "\"1970-01-01T00:00:00Z\"";
		case TIMETZOID:
			return "\"00:00:00Z\"";
		case INTERVALOID:
			return "0";
		default:
			return NULL;
	}
}
