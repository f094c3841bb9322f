/*
 * debezium_numbers.c
 *		Numbers as Debezium's connector sends them.
 *
 * With decimal.handling.mode=precise, numeric and money are the bytes of the
 * unscaled number, the highest first, in base 64.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "debezium_values.h"
#include "format.h"
#include "utils/cash.h"
#include "values.h"

#define MONEY_SCALE 2

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
			return debezium_detailed(plain, encode_decimal_text, 0, 0);
		case DECIMALS_DOUBLE:
			return debezium_detailed(plain, encode_decimal_double, 0, 0);
		default:
			return debezium_detailed(plain, encode_decimal, 0, scale_of(modifier));
	}
}

static const Encoder *
money_encoder(const Encoder *plain, const Options *options)
{
	switch (options->debezium.decimals)
	{
		case DECIMALS_STRING:
			return debezium_detailed(plain, encode_money_text, 0, 0);
		case DECIMALS_DOUBLE:
			return debezium_detailed(plain, encode_money_double, 0, 0);
		default:
			return debezium_detailed(plain, encode_money, 0, MONEY_SCALE);
	}
}

const Encoder *
debezium_number_encoder(Oid type, int32 modifier, const Encoder *plain, const Options *options)
{
	switch (type)
	{
		case NUMERICOID:
			return decimal_encoder(plain, modifier, options);
		case CASHOID:
			return money_encoder(plain, options);
		case OIDOID:
			return debezium_detailed(plain, encode_oid_number, 0, 0);
		default:
			return NULL;
	}
}

/* Zero with so many digits behind the point, as a string. */
static const char *
zero_text(int scale)
{
	return scale > 0 ? psprintf("\"0.%0*d\"", scale, 0) : "\"0\"";
}

const char *
debezium_zero_decimal(Oid type, int32 modifier, const Options *options)
{
	switch (options->debezium.decimals)
	{
		case DECIMALS_STRING:
			return zero_text(type == CASHOID ? MONEY_SCALE : scale_of(modifier));
		case DECIMALS_DOUBLE:
			return "0";
		default:
			return type == NUMERICOID && scale_of(modifier) < 0 ?
				"{\"scale\":0,\"value\":\"AA==\"}" : "\"AA==\"";
	}
}
