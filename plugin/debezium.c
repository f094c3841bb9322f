/*
 * debezium.c
 *		Values as Debezium's connector sends them, as JSON without a schema.
 *
 * The mapping is that of its documentation for time.precision.mode=adaptive and
 * decimal.handling.mode=precise, and for the other modes that options.c names.
 * Bytes are in base 64, as Kafka Connect's converter has them.
 */
#include "postgres.h"

#include "debezium.h"

#include "calls.h"
#include "catalog/pg_type.h"
#include "format.h"
#include "plain.h"
#include "text.h"
#include "utils/cash.h"
#include "utils/geo_decls.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/varbit.h"
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

#define DEFAULT_PRECISION 6		/* digits of fractions of a second */
#define MONEY_SCALE 2

/* Encoder.detail */
typedef struct Detail
{
	const Encoder *plain;
	int			precision;		/* of seconds */
	int			scale;			/* of a numeric; -1: each value has its own */
} Detail;

static Encoder *
with_detail(const Encoder *plain, Encode encode, int precision, int scale)
{
	Encoder    *e = palloc0(sizeof(Encoder));
	Detail	   *detail = palloc0(sizeof(Detail));

	*e = *plain;
	e->encode = encode;
	e->calls = 0;
	e->whole = NULL;
	detail->plain = plain;
	detail->precision = precision;
	detail->scale = scale;
	e->detail = detail;
	return e;
}

static bool
put_integer(Out *o, int64 value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_int64(o->p, value);
	return true;
}

static void
put_json(Out *o, const char *json)
{
	append(o, json, strlen(json));
}

static bool
put_base64(Out *o, const unsigned char *bytes, Size n)
{
	if (!out_room(o, (n + 2) / 3 * 4 + 2))
		return false;
	put_char(o, '"');
	o->p = format_base64(o->p, bytes, n);
	put_char(o, '"');
	return true;
}

/*
 * The bytes of a number of at most 38 digits, the highest first. As few bytes
 * as hold the number with its sign.
 */
static Size
short_bytes(unsigned char *bytes, const char *digits, Size n, bool negative)
{
	unsigned	__int128 number = 0;
	Size		size = 1;

	for (Size i = 0; i < n; i++)
		number = number * 10 + (digits[i] - '0');
	if (negative)
		number = -number;
	while (size < 16 && ((__int128) number >> (8 * size - 1)) != (negative && number != 0 ? -1 : 0))
		size++;
	for (Size i = 0; i < size; i++)
		bytes[i] = (unsigned char) (number >> (8 * (size - 1 - i)));
	return size;
}

/* limbs *= factor; limbs += more. Returns the new number of limbs; the lowest is first. */
static Size
multiply(uint32 *limbs, Size n, uint32 factor, uint32 more)
{
	uint64		carry = more;

	for (Size i = 0; i < n; i++)
	{
		carry += (uint64) limbs[i] * factor;
		limbs[i] = (uint32) carry;
		carry >>= 32;
	}
	if (carry > 0)
		limbs[n++] = (uint32) carry;
	return n;
}

static void
negate(uint32 *limbs, Size n)
{
	uint64		carry = 1;

	for (Size i = 0; i < n; i++)
	{
		carry += (uint32) ~limbs[i];
		limbs[i] = (uint32) carry;
		carry >>= 32;
	}
}

/*
 * Like short_bytes(), for any number of digits. Sets bytes to new memory, and
 * returns their size.
 */
static Size
long_bytes(unsigned char **bytes, const char *digits, Size n, bool negative)
{
	Size		room = n / 9 + 3;
	uint32	   *limbs = palloc0(sizeof(uint32) * room);
	Size		nlimbs = 0;
	Size		size;
	unsigned char sign = negative ? 0xFF : 0;

	for (Size i = 0; i < n;)
	{
		uint32		chunk = 0;
		uint32		factor = 1;

		for (int j = 0; j < 9 && i < n; j++, i++)
		{
			chunk = chunk * 10 + (digits[i] - '0');
			factor *= 10;
		}
		nlimbs = multiply(limbs, nlimbs, factor, chunk);
	}
	nlimbs++;					/* for the sign */
	if (negative)
		negate(limbs, nlimbs);
	size = nlimbs * 4;
	*bytes = palloc(size);
	for (Size i = 0; i < size; i++)
		(*bytes)[size - 1 - i] = (unsigned char) (limbs[i / 4] >> (8 * (i % 4)));
	while (size > 1 && (*bytes)[0] == sign && (((*bytes)[1] ^ sign) & 0x80) == 0)
	{
		(*bytes)++;
		size--;
	}
	return size;
}

/* The most digits that short_bytes() takes: what 127 bits hold. */
#define SHORT_DIGITS 38

static bool
put_unscaled(Out *o, const char *digits, Size n, bool negative)
{
	unsigned char few[16];
	unsigned char *bytes = few;
	Size		size = n <= SHORT_DIGITS ? short_bytes(few, digits, n, negative) :
	long_bytes(&bytes, digits, n, negative);

	return put_base64(o, bytes, size);
}

/* The digits of a number, and how many of them are behind the point. */
typedef struct Digits
{
	char	   *digits;
	Size		n;
	int			scale;
	bool		negative;
} Digits;

/* Take the number back that was written from position begin on. The digits are in scratch, or in new memory. */
static Digits
take_digits(Out *o, Size begin, int more, char *scratch, Size room)
{
	const char *printed = out_at(o, begin);
	Size		n = out_tell(o) - begin;
	Digits		d = {.digits = n + more > room ? palloc(n + more) : scratch};
	bool		fraction = false;

	for (Size i = 0; i < n; i++)
	{
		if (printed[i] == '-')
			d.negative = true;
		else if (printed[i] == '.')
			fraction = true;
		else
		{
			d.digits[d.n++] = printed[i];
			d.scale += fraction;
		}
	}
	out_rewind(o, begin);
	return d;
}

/* A number without a declared scale: its own scale, without zeros at the end, and its bytes. */
static bool
put_own_scale(Out *o, Digits *d)
{
	while (d->scale > 0 && d->digits[d->n - 1] == '0')
	{
		d->n--;
		d->scale--;
	}
	append_literal(o, "{\"scale\":");
	put_integer(o, d->scale);
	append_literal(o, ",\"value\":");
	if (!put_unscaled(o, d->digits, d->n, d->negative))
		return false;
	append_literal(o, "}");
	return true;
}

static bool
encode_decimal(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	Size		begin = out_tell(o);
	char		scratch[128];
	int			more = Max(detail->scale, 0);
	Digits		d;

	if (!detail->plain->encode(o, detail->plain, value))
		return false;
	if (*out_at(o, begin) == '"')	/* NaN and infinities have no bytes */
	{
		out_rewind(o, begin);
		append_literal(o, "null");
		return true;
	}
	d = take_digits(o, begin, more, scratch, sizeof(scratch));
	if (detail->scale < 0)
		return put_own_scale(o, &d);
	for (; d.scale < detail->scale; d.scale++)
		d.digits[d.n++] = '0';
	return put_unscaled(o, d.digits, d.n, d.negative);
}

/* The number as a string, or as a double. */
static bool
encode_decimal_text(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	Size		begin = out_tell(o);
	char		sign;

	if (!detail->plain->encode(o, detail->plain, value))
		return false;
	if (*out_at(o, begin) != '"')
		return json_quote(o, begin);
	sign = out_at(o, begin)[1];
	out_rewind(o, begin);
	put_json(o, sign == 'N' ? "\"NAN\"" :
			 sign == '-' ? "\"NEGATIVE_INFINITY\"" : "\"POSITIVE_INFINITY\"");
	return true;
}

static bool
encode_decimal_double(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	Size		begin = out_tell(o);
	double		number;

	if (!detail->plain->encode(o, detail->plain, value))
		return false;
	if (*out_at(o, begin) == '"')
		return true;
	out_reserve(o, FORMAT_WIDTH);
	*o->p = '\0';
	number = strtod(out_at(o, begin), NULL);
	out_rewind(o, begin);
	o->p = format_float8(o->p, number);
	return true;
}

static bool
encode_money(Out *o, const Encoder *e, Datum value)
{
	int64		cents = DatumGetCash(value);
	char		digits[FORMAT_WIDTH];
	char	   *end = format_uint64(digits, cents < 0 ? -(uint64) cents : (uint64) cents);

	return put_unscaled(o, digits, end - digits, cents < 0);
}

/* 12.34 from 1234 */
static void
put_cents(Out *o, int64 cents)
{
	uint64		all = cents < 0 ? -(uint64) cents : (uint64) cents;

	out_reserve(o, FORMAT_WIDTH);
	if (cents < 0)
		put_char(o, '-');
	o->p = format_uint64(o->p, all / 100);
	put_char(o, '.');
	put_char(o, '0' + (char) (all / 10 % 10));
	put_char(o, '0' + (char) (all % 10));
}

static bool
encode_money_text(Out *o, const Encoder *e, Datum value)
{
	append_literal(o, "\"");
	put_cents(o, DatumGetCash(value));
	append_literal(o, "\"");
	return true;
}

static bool
encode_money_double(Out *o, const Encoder *e, Datum value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_float8(o->p, (double) DatumGetCash(value) / 100);
	return true;
}

static bool
encode_oid_number(Out *o, const Encoder *e, Datum value)
{
	return put_integer(o, DatumGetObjectId(value));
}

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

/* 2026-01-31T11:22:33.123456Z with as many digits as the type has. */
static bool
encode_zoned(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	TimestampTz ts = DatumGetTimestampTz(value);

	out_reserve(o, FORMAT_WIDTH);
	put_char(o, '"');
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
	}
	put_char(o, '"');
	return true;
}

/* In UTC; the end of the day stays 24:00. */
static bool
encode_zoned_time(Out *o, const Encoder *e, Datum value)
{
	const TimeTzADT *time = DatumGetTimeTzADTP(value);
	int64		micros = time->time + (int64) time->zone * USECS_PER_SEC;

	if (micros < 0 || micros > USECS_PER_DAY || (micros == USECS_PER_DAY && time->zone != 0))
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

	if (!detail->plain->encode(o, detail->plain, value))
		return false;
	if (memchr(out_at(o, begin), 'i', out_tell(o) - begin) != NULL)
	{
		bool		negative = out_at(o, begin)[1] == '-';

		out_rewind(o, begin);
		put_json(o, infinity_iso(e->type, negative));
		return true;
	}
	out_reserve(o, 1);
	o->p[-1] = 'Z';
	put_char(o, '"');
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

static bool
encode_bytes(Out *o, const Encoder *e, Datum value)
{
	struct varlena *v = varlena_plain(value);

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	return put_base64(o, (unsigned char *) VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
}

/* The bits as bytes, the lowest first, without zeros at the end. */
static bool
encode_bits(Out *o, const Encoder *e, Datum value)
{
	AlignedScratch scratch;
	VarBit	   *bits = (VarBit *) varlena_aligned(value, &scratch);
	unsigned char *bytes;
	Size		size = 0;
	int			n;

	if (unlikely(bits == NULL))
		return encode_toasted(o, e, value);
	n = VARBITLEN(bits);
	bytes = palloc0(n / 8 + 1);
	for (int i = 0; i < n; i++)
	{
		int			from = n - 1 - i;

		if ((VARBITS(bits)[from / 8] & (0x80 >> (from % 8))) == 0)
			continue;
		bytes[i / 8] |= 1 << (i % 8);
		size = i / 8 + 1;
	}
	return put_base64(o, bytes, size);
}

static bool
encode_one_bit(Out *o, const Encoder *e, Datum value)
{
	AlignedScratch scratch;
	VarBit	   *bits = (VarBit *) varlena_aligned(value, &scratch);

	if (unlikely(bits == NULL))
		return encode_toasted(o, e, value);
	if (VARBITLEN(bits) > 0 && (VARBITS(bits)[0] & 0x80))
		append_literal(o, "true");
	else
		append_literal(o, "false");
	return true;
}

/* Coordinates, and the same as well-known bytes in little-endian order. */
static bool
encode_point(Out *o, const Encoder *e, Datum value)
{
	const Point *point = DatumGetPointP(value);
	unsigned char bytes[21] = {1, 1};
	double		both[2] = {point->x, point->y};

	for (int i = 0; i < 16; i++)
	{
		uint64		image;

		memcpy(&image, &both[i / 8], sizeof(image));
		bytes[5 + i] = (unsigned char) (image >> (8 * (i % 8)));
	}
	out_reserve(o, FORMAT_WIDTH * 2);
	put_literal(o, "{\"x\":");
	o->p = format_float8(o->p, point->x);
	put_literal(o, ",\"y\":");
	o->p = format_float8(o->p, point->y);
	append_literal(o, ",\"wkb\":");
	if (!put_base64(o, bytes, sizeof(bytes)))
		return false;
	append_literal(o, ",\"srid\":null}");
	return true;
}

/* The result of a cast to JSON, as a string. */
static bool
encode_as_string(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	Size		begin = out_tell(o);
	int			depth = o->depth;
	bool		done;

	o->depth = JSON_IN_STRING;
	done = detail->plain->encode(o, detail->plain, value);
	o->depth = depth;
	return done && (*out_at(o, begin) == '"' || json_quote(o, begin));
}

/* Remove the spaces between tokens from the JSON from position begin on. */
static void
remove_spaces(Out *o, Size begin)
{
	char	   *to = o->p - (out_tell(o) - begin);
	bool		in_string = false;

	for (const char *from = to; from < o->p; from++)
	{
		if (*from == ' ' && !in_string)
			continue;
		if (*from == '"')
			in_string = !in_string;
		*to++ = *from;
		if (*from == '\\')
			*to++ = *++from;
	}
	o->p = to;
}

/* A cast of its extension turns it into JSON. */
static bool
encode_hstore(Out *o, const Encoder *e, Datum value)
{
	const Detail *detail = e->detail;
	Size		begin = out_tell(o);
	int			depth = o->depth;
	bool		done;

	o->depth = JSON_IN_STRING;
	done = detail->plain->encode(o, detail->plain, value);
	o->depth = depth;
	if (!done || *out_at(o, begin) == '"')
		return done;
	remove_spaces(o, begin);
	return json_quote(o, begin);
}

/* The connector, too, finds this type by name. */
static bool
is_hstore(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		is;

	if (!HeapTupleIsValid(tuple))
		return false;
	is = strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), "hstore") == 0;
	ReleaseSysCache(tuple);
	return is;
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


/* Digits behind the point as the type declares them; -1: none declared. */
static int
scale_of(int32 modifier)
{
	int			scale;

	if (modifier < (int32) VARHDRSZ)
		return -1;
	scale = ((modifier - VARHDRSZ) & 0x7FF) ^ 1024;
	return Max(scale - 1024, 0);
}

static const Encoder *
decimal_encoder(const Encoder *plain, int32 modifier, const Options *options)
{
	switch (options->debezium.decimals)
	{
		case DECIMALS_STRING:
			return with_detail(plain, encode_decimal_text, 0, 0);
		case DECIMALS_DOUBLE:
			return with_detail(plain, encode_decimal_double, 0, 0);
		default:
			return with_detail(plain, encode_decimal, 0, scale_of(modifier));
	}
}

static const Encoder *
money_encoder(const Encoder *plain, const Options *options)
{
	switch (options->debezium.decimals)
	{
		case DECIMALS_STRING:
			return with_detail(plain, encode_money_text, 0, 0);
		case DECIMALS_DOUBLE:
			return with_detail(plain, encode_money_double, 0, 0);
		default:
			return with_detail(plain, encode_money, 0, MONEY_SCALE);
	}
}

static const Encoder *
array_encoder(Oid type, Oid element, int32 modifier, EncoderSet *made, const Options *options)
{
	Elements   *elements = palloc0(sizeof(Elements));
	const Encoder *plain = types_encoder(element, made);

	elements->type = element;
	elements->encoder = debezium_encoder(element, modifier, plain, made, options);
	return make_guarded(make_encoder(type, encode_array, elements), elements->encoder->calls);
}

/* The encoder of types whose JSON differs from row_to_json(); NULL for other types. */
static const Encoder *
other_encoder(Oid type, int32 modifier, const Encoder *plain, const Options *options)
{
	bool		iso = options->debezium.times == TIMES_ISO;

	switch (type)
	{
		case NUMERICOID:
			return decimal_encoder(plain, modifier, options);
		case CASHOID:
			return money_encoder(plain, options);
		case OIDOID:
			return with_detail(plain, encode_oid_number, 0, 0);
		case DATEOID:
			return with_detail(plain, iso ? encode_iso : encode_day, 0, 0);
		case TIMESTAMPOID:
			return with_detail(plain, iso ? encode_iso : encode_instant,
							   precision_of(type, modifier, options), 0);
		case TIMEOID:
			return with_detail(plain, iso ? encode_iso : encode_time_of_day,
							   precision_of(type, modifier, options), 0);
		case TIMESTAMPTZOID:
			return with_detail(plain, encode_zoned, zoned_precision(modifier), 0);
		case TIMETZOID:
			return with_detail(plain, encode_zoned_time, zoned_precision(modifier), 0);
		case INTERVALOID:
			return with_detail(plain, encode_duration, 0, 0);
		case BYTEAOID:
			return with_detail(plain, encode_bytes, 0, 0);
		case BITOID:
		case VARBITOID:
			return with_detail(plain, modifier == 1 ? encode_one_bit : encode_bits, 0, 0);
		case POINTOID:
			return with_detail(plain, encode_point, 0, 0);
		case JSONOID:
		case JSONBOID:
			return plain_text_encoder(type, plain);
		default:
			return NULL;
	}
}

const Encoder *
debezium_encoder(Oid type, int32 modifier, const Encoder *plain, EncoderSet *made,
				 const Options *options)
{
	const Encoder *e;
	Oid			element;

	type = getBaseTypeAndTypmod(type, &modifier);
	if ((e = other_encoder(type, modifier, plain, options)) != NULL)
		return e;
	if (scalar_encoder(type) != NULL)
		return plain;
	if (type_is_enum(type))
		return make_enum(type);
	element = get_element_type(type);
	if (OidIsValid(element))
		return array_encoder(type, element, modifier, made, options);
	if (type_is_rowtype(type))
		return plain_text_encoder(type, plain);
	return make_guarded(with_detail(plain, is_hstore(type) ? encode_hstore : encode_as_string, 0, 0),
						plain->calls);
}

static char *
in_base64(const char *placeholder)
{
	Size		n = strlen(placeholder);
	char	   *quoted = palloc((n + 2) / 3 * 4 + 3);
	char	   *p = quoted;

	*p++ = '"';
	p = format_base64(p, (const unsigned char *) placeholder, n);
	*p++ = '"';
	*p = '\0';
	return quoted;
}

/* An array of numbers has the placeholder's bytes. */
static char *
in_numbers(const char *placeholder)
{
	StringInfoData s;

	initStringInfo(&s);
	for (const char *p = placeholder; *p != '\0'; p++)
		appendStringInfo(&s, "%s%d", s.len == 0 ? "[" : ",", (signed char) *p);
	appendStringInfoString(&s, s.len == 0 ? "[]" : "]");
	return s.data;
}

/* An object with the placeholder as key and value, as a string. */
static const char *
in_hstore(const char *placeholder)
{
	const char *quoted = text_label("", placeholder, "");

	return text_label("", psprintf("{%s:%s}", quoted, quoted), "");
}

const char *
debezium_unavailable(Oid type, const char *placeholder)
{
	type = getBaseType(type);
	switch (type)
	{
		case BYTEAOID:
			return in_base64(placeholder);
		case INT2ARRAYOID:
		case INT4ARRAYOID:
		case INT8ARRAYOID:
		case DATEARRAYOID:
			return in_numbers(placeholder);
		default:
			if (is_hstore(type))
				return in_hstore(placeholder);
			return OidIsValid(get_element_type(type)) ? text_label("[", placeholder, "]") :
				text_label("", placeholder, "");
	}
}

/* Zero with so many digits behind the point, as a string. */
static const char *
zero_text(int scale)
{
	return scale > 0 ? psprintf("\"0.%0*d\"", scale, 0) : "\"0\"";
}

const char *
debezium_fallback(Oid type, int32 modifier, const Options *options)
{
	type = getBaseTypeAndTypmod(type, &modifier);
	switch (type)
	{
		case BOOLOID:
			return "false";
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case FLOAT4OID:
		case FLOAT8OID:
		case INTERVALOID:
			return "0";
		case DATEOID:
			return options->debezium.times == TIMES_ISO ? "\"1970-01-01Z\"" : "0";
		case TIMEOID:
			return options->debezium.times == TIMES_ISO ? "\"00:00:00Z\"" : "0";
		case TIMESTAMPOID:
			return options->debezium.times == TIMES_ISO ? "\"1970-01-01T00:00:00Z\"" : "0";
		case NUMERICOID:
		case CASHOID:
			if (options->debezium.decimals == DECIMALS_STRING)
				return zero_text(type == CASHOID ? MONEY_SCALE : scale_of(modifier));
			if (options->debezium.decimals == DECIMALS_DOUBLE)
				return "0";
			return type == NUMERICOID && scale_of(modifier) < 0 ?
				"{\"scale\":0,\"value\":\"AA==\"}" : "\"AA==\"";
		case TIMESTAMPTZOID:
			return "\"1970-01-01T00:00:00Z\"";
		case TIMETZOID:
			return "\"00:00:00Z\"";
		case BITOID:
		case VARBITOID:
			return modifier == 1 ? "false" : "\"\"";
		case POINTOID:
			return "{\"x\":0,\"y\":0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}";
		default:
			if (is_hstore(type))
				return "\"{}\"";
			return OidIsValid(get_element_type(type)) ? "[]" : "\"\"";
	}
}
