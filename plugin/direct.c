/*
 * direct.c
 *		Values of common types, made of JSON without their input functions.
 *
 * An input function is prepared for all that people write. This takes what
 * programs print, above all this plugin, and leaves all else to the function.
 */
#include "postgres.h"

#include "direct.h"

#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* So many digits always fit an int64. */
#define SAFE_DIGITS 18

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
parse_integer(const Token *token, int64 min, int64 max, int64 *value)
{
	const char *p = token->text;
	const char *end = p + token->size;
	bool		negative = p < end && *p == '-';
	int64		sum = 0;

	p += negative;
	if (p == end || end - p > SAFE_DIGITS)
		return false;
	for (; p < end; p++)
	{
		if (!is_digit(*p))
			return false;
		sum = sum * 10 + (*p - '0');
	}
	*value = negative ? -sum : sum;
	return *value >= min && *value <= max;
}

static bool
direct_int2(Token *token, int32 typmod, Datum *value)
{
	int64		n;

	if (!parse_integer(token, PG_INT16_MIN, PG_INT16_MAX, &n))
		return false;
	*value = Int16GetDatum((int16) n);
	return true;
}

static bool
direct_int4(Token *token, int32 typmod, Datum *value)
{
	int64		n;

	if (!parse_integer(token, PG_INT32_MIN, PG_INT32_MAX, &n))
		return false;
	*value = Int32GetDatum((int32) n);
	return true;
}

static bool
direct_int8(Token *token, int32 typmod, Datum *value)
{
	int64		n;

	if (!parse_integer(token, PG_INT64_MIN, PG_INT64_MAX, &n))
		return false;
	*value = Int64GetDatum(n);
	return true;
}

static bool
direct_bool(Token *token, int32 typmod, Datum *value)
{
	*value = BoolGetDatum(token->kind == TOKEN_TRUE);
	return token->kind == TOKEN_TRUE || token->kind == TOKEN_FALSE;
}

static bool
direct_text(Token *token, int32 typmod, Datum *value)
{
	token_unescape(token);
	*value = PointerGetDatum(cstring_to_text_with_len(token->text, token->size));
	return true;
}

/* A type modifier limits characters, and no text has more of them than bytes. */
static bool
direct_varchar(Token *token, int32 typmod, Datum *value)
{
	token_unescape(token);
	if (typmod >= VARHDRSZ && token->size > typmod - VARHDRSZ)
		return false;
	return direct_text(token, typmod, value);
}

/* n digits at p, and what is behind them. */
static inline bool
take_digits(const char **p, int n, char behind, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, (*p)++)
	{
		if (!is_digit(**p))
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return behind == '\0' || *(*p)++ == behind;
}

/* 2026-11-20, as days since 2000. */
static inline bool
take_date(const char **p, int *number)
{
	int			year;
	int			month;
	int			day;

	if (!take_digits(p, 4, '-', &year) || !take_digits(p, 2, '-', &month) ||
		!take_digits(p, 2, '\0', &day) || year == 0 || month < 1 || month > MONTHS_PER_YEAR ||
		day < 1 || day > day_tab[isleap(year)][month - 1])
		return false;
	*number = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	return true;
}

/* 11:22:33.123456, as microseconds; up to six digits may follow a point. */
static inline bool
take_time(const char **p, int64 *time)
{
	int			hour;
	int			minute;
	int			second;
	int64		fraction = 0;

	if (!take_digits(p, 2, ':', &hour) || !take_digits(p, 2, ':', &minute) ||
		!take_digits(p, 2, '\0', &second) || hour >= HOURS_PER_DAY || minute >= MINS_PER_HOUR ||
		second >= SECS_PER_MINUTE)
		return false;
	if (**p == '.')
	{
		int64		unit = USECS_PER_SEC;

		for ((*p)++; is_digit(**p); (*p)++)
		{
			unit /= 10;
			if (unit == 0)
				return false;
			fraction += unit * (**p - '0');
		}
		if (unit == USECS_PER_SEC)
			return false;
	}
	*time = ((int64) (hour * MINS_PER_HOUR + minute) * SECS_PER_MINUTE + second) * USECS_PER_SEC +
		fraction;
	return true;
}

/* The quote behind a string ends whatever is read of it. */
static inline bool
take_timestamp(const Token *token, const char **p, Timestamp *value)
{
	int			day;
	int64		time;

	*p = token->text;
	if (token->kind != TOKEN_STRING || !take_date(p, &day) || *(*p)++ != 'T' ||
		!take_time(p, &time))
		return false;
	*value = day * USECS_PER_DAY + time;
	return true;
}

static bool
direct_date(Token *token, int32 typmod, Datum *value)
{
	const char *p = token->text;
	int			day;

	if (token->kind != TOKEN_STRING || !take_date(&p, &day) || p != token->text + token->size)
		return false;
	*value = DateADTGetDatum(day);
	return true;
}

static bool
direct_timestamp(Token *token, int32 typmod, Datum *value)
{
	const char *p;
	Timestamp	timestamp;

	if (typmod >= 0 || !take_timestamp(token, &p, &timestamp) || p != token->text + token->size)
		return false;
	*value = TimestampGetDatum(timestamp);
	return true;
}

static bool
direct_timestamptz(Token *token, int32 typmod, Datum *value)
{
	static const char utc[] = "+00:00";
	const char *p;
	Timestamp	timestamp;

	if (typmod >= 0 || !take_timestamp(token, &p, &timestamp) ||
		token->text + token->size - p != sizeof(utc) - 1 || memcmp(p, utc, sizeof(utc) - 1) != 0)
		return false;
	*value = TimestampTzGetDatum(timestamp);
	return true;
}

static inline int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
direct_uuid(Token *token, int32 typmod, Datum *value)
{
	static const char dashes[] = "........-....-....-....-............";
	unsigned char bytes[UUID_LEN];
	int			n = 0;

	if (token->kind != TOKEN_STRING || token->size != sizeof(dashes) - 1)
		return false;
	for (int i = 0; i < token->size; i++)
	{
		int			high = hex_value(token->text[i]);

		if (dashes[i] == '-')
		{
			if (token->text[i] != '-')
				return false;
			continue;
		}
		if (high < 0 || hex_value(token->text[i + 1]) < 0)
			return false;
		bytes[n++] = high * 16 + hex_value(token->text[++i]);
	}
	*value = PointerGetDatum(memcpy(palloc(UUID_LEN), bytes, UUID_LEN));
	return true;
}

Direct
direct_of(Oid input)
{
	switch (input)
	{
		case F_INT2IN:
			return direct_int2;
		case F_INT4IN:
			return direct_int4;
		case F_INT8IN:
			return direct_int8;
		case F_BOOLIN:
			return direct_bool;
		case F_TEXTIN:
			return direct_text;
		case F_VARCHARIN:
			return direct_varchar;
		case F_DATE_IN:
			return direct_date;
		case F_TIMESTAMP_IN:
			return direct_timestamp;
		case F_TIMESTAMPTZ_IN:
			return direct_timestamptz;
		case F_UUID_IN:
			return direct_uuid;
		default:
			return NULL;
	}
}
