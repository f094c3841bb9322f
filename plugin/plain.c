/*
 * plain.c
 *		Values as the server's output functions print them.
 *
 * Most encoders of row_to_json() print the output functions' text, in quotes
 * or not. The encoders here call those, and change the differences in the
 * document. They call output functions only as a last resort: a call costs
 * more than most values do.
 */
#include "postgres.h"

#include "plain.h"

#include "access/tupmacs.h"
#include "calls.h"
#include "catalog/pg_type.h"
#include "format.h"
#include "miscadmin.h"
#include "text.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "values.h"

/* Encoder.detail of an array whose elements are never in quotes. */
typedef struct PlainElements
{
	const Encoder *element;
	const Encoder *call;		/* of the array's output function */
} PlainElements;

/* A number was written from position begin on. Other values than numbers are in quotes. */
static bool
encode_number_or_null(Out *o, const Encoder *e, Datum value)
{
	const Encoder *plain = e->detail;
	Size		begin = out_tell(o);

	if (!plain->encode(o, plain, value))
		return false;
	if (unlikely(*out_at(o, begin) == '"'))
	{
		out_rewind(o, begin);
		append_literal(o, "null");
	}
	return true;
}

/* Put the JSON from position begin on in quotes, unless it is a string. It needs no escapes. */
static void
in_quotes(Out *o, Size begin)
{
	Size		n = out_tell(o) - begin;
	char	   *p;

	if (*out_at(o, begin) == '"')
		return;
	out_reserve(o, 2);
	p = o->p - n;
	memmove(p + 1, p, n);
	p[0] = '"';
	p[n + 1] = '"';
	o->p += 2;
}

static bool
encode_number_as_text(Out *o, const Encoder *e, Datum value)
{
	const Encoder *plain = e->detail;
	Size		begin = out_tell(o);

	if (!plain->encode(o, plain, value))
		return false;
	in_quotes(o, begin);
	return true;
}

static bool
encode_oid_number(Out *o, const Encoder *e, Datum value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_uint64(o->p, DatumGetObjectId(value));
	return true;
}

static bool
encode_bool_as_text(Out *o, const Encoder *e, Datum value)
{
	if (DatumGetBool(value))
		append_literal(o, "\"t\"");
	else
		append_literal(o, "\"f\"");
	return true;
}

/* Turns 2026-01-31T11:22:33+00:00 into 2026-01-31 11:22:33+00. An era may follow. */
char *
plain_timestamp(char *begin, char *end)
{
	char	   *separator = begin[10] == 'T' ? begin + 10 : memchr(begin, 'T', end - begin);
	char	   *zone;

	if (separator == NULL)		/* infinity */
		return end;
	*separator = ' ';
	zone = memchr(separator, '+', end - separator);
	if (zone == NULL)
		return end;
	memmove(zone + 3, zone + 6, end - zone - 6);
	return end - 3;
}

static bool
encode_timestamp_plain(Out *o, const Encoder *e, Datum value)
{
	char	   *begin;

	out_reserve(o, FORMAT_WIDTH);
	put_char(o, '"');
	begin = o->p;
	o->p = plain_timestamp(begin, format_timestamp(begin, DatumGetTimestamp(value)));
	put_char(o, '"');
	return true;
}

static bool
encode_timestamptz_plain(Out *o, const Encoder *e, Datum value)
{
	char	   *begin;

	out_reserve(o, FORMAT_WIDTH);
	put_char(o, '"');
	begin = o->p;
	o->p = plain_timestamp(begin, format_timestamptz(begin, DatumGetTimestampTz(value)));
	put_char(o, '"');
	return true;
}

static bool
encode_digits(Out *o, const Encoder *e, Datum value)
{
	struct varlena *v = varlena_plain(value);
	Size		n;

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	n = VARSIZE_ANY_EXHDR(v);
	if (!out_room(o, n * 2 + 2))
		return false;
	put_char(o, '"');
	o->p = format_hex(o->p, (unsigned char *) VARDATA_ANY(v), n);
	put_char(o, '"');
	return true;
}

/* jsonb is printed with the same spaces in any case. */
static bool
encode_jsonb_as_text(Out *o, const Encoder *e, Datum value)
{
	Size		begin = out_tell(o);
	int			depth = o->depth;
	bool		done;

	o->depth = JSON_IN_STRING;
	done = encode_jsonb(o, e, value);
	o->depth = depth;
	return done && json_quote(o, begin);
}

/* A toasted value comes to this encoder again once it is decompressed. */
static bool
encode_jsonb_plain(Out *o, const Encoder *e, Datum value)
{
	return unlikely(varlena_plain(value) == NULL) ? encode_toasted(o, e, value) :
		encode_jsonb_as_text(o, e, value);
}

/* Remove the quotes of the value from position begin on. */
static void
without_quotes(Out *o, Size begin)
{
	Size		n = out_tell(o) - begin;
	char	   *p = o->p - n;

	if (*p != '"')
		return;
	memmove(p, p + 1, n - 2);
	o->p -= 2;
}

/* The elements of an array: position and number of the next one. */
typedef struct Place
{
	const char *p;
	const uint8 *nulls;
	int			item;
} Place;

static bool
write_element(Out *o, const Encoder *e, Place *place)
{
	int			item = place->item++;
	Size		begin;
	const char *at;

	if (!out_room(o, FORMAT_WIDTH))
		return false;
	if (place->nulls != NULL && !(place->nulls[item / 8] & (1 << (item % 8))))
	{
		put_literal(o, "NULL");
		return true;
	}
	at = (const char *) att_align_pointer(place->p, e->typalign, e->typlen, place->p);
	place->p = att_addlength_pointer(at, e->typlen, at);
	begin = out_tell(o);
	if (!e->encode(o, e, fetch_att(at, e->typbyval, e->typlen)))
		return false;
	without_quotes(o, begin);
	return true;
}

static bool
write_dimension(Out *o, const Encoder *e, Place *place, const int *dims, int ndim)
{
	append_literal(o, "{");
	for (int i = 0; i < dims[0]; i++)
	{
		if (i > 0)
			append_literal(o, ",");
		if (ndim > 1 ? !write_dimension(o, e, place, dims + 1, ndim - 1) :
			!write_element(o, e, place))
			return false;
	}
	append_literal(o, "}");
	return true;
}

/* Bounds that do not begin at 1 are printed, too. */
static bool
has_plain_bounds(const ArrayType *array)
{
	for (int i = 0; i < ARR_NDIM(array); i++)
		if (ARR_LBOUND(array)[i] != 1)
			return false;
	return true;
}

static bool
encode_array_plain(Out *o, const Encoder *e, Datum value)
{
	const PlainElements *elements = e->detail;
	AlignedScratch scratch;
	ArrayType  *array = (ArrayType *) varlena_aligned(value, &scratch);
	Place		place = {0};

	if (unlikely(array == NULL))
		return encode_toasted(o, e, value);
	if (ARR_ELEMTYPE(array) != elements->element->type || !has_plain_bounds(array))
		return elements->call->encode(o, elements->call, value);
	append_literal(o, "\"");
	place.p = ARR_DATA_PTR(array);
	place.nulls = ARR_NULLBITMAP(array);
	if (ARR_NDIM(array) == 0)
		append_literal(o, "{}");
	else if (!write_dimension(o, elements->element, &place, ARR_DIMS(array), ARR_NDIM(array)))
		return false;
	append_literal(o, "\"");
	return true;
}

/* Elements of these types have no character that needs quotes. */
static bool
is_bare_element(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
		case UUIDOID:
		case OIDOID:
			return true;
		default:
			return false;
	}
}

static const Encoder *
derived(const Encoder *plain, Encode encode)
{
	Encoder    *e = palloc0(sizeof(Encoder));

	*e = *plain;
	e->encode = encode;
	e->detail = (void *) plain;
	return e;
}

static const Encoder *
make_array(Oid type, Oid element)
{
	PlainElements *elements = palloc0(sizeof(PlainElements));

	elements->element = scalar_encoder(element);
	elements->call = make_output_call(type);
	return make_encoder(type, encode_array_plain, elements);
}

const Encoder *
plain_text_encoder(Oid type, const Encoder *plain)
{
	Oid			element;

	type = getBaseType(type);
	switch (type)
	{
		case BOOLOID:
			return derived(plain, encode_bool_as_text);
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return derived(plain, encode_number_as_text);
		case TIMESTAMPOID:
			return derived(plain, encode_timestamp_plain);
		case TIMESTAMPTZOID:
			return derived(plain, encode_timestamptz_plain);
		case JSONOID:
			return derived(plain, encode_text);
		case JSONBOID:
			return derived(plain, encode_jsonb_plain);
		default:
			break;
	}
	/* these are strings already */
	if (scalar_encoder(type) != NULL)
		return plain;
	if (type_is_enum(type))
		return make_enum(type);
	element = get_element_type(type);
	return OidIsValid(element) && is_bare_element(element) ? make_array(type, element) :
		make_output_call(type);
}

const Encoder *
plain_encoder(Oid type, const Encoder *plain)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return plain;
		case OIDOID:
			return derived(plain, encode_oid_number);
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return derived(plain, encode_number_or_null);
		case BYTEAOID:
			return derived(plain, encode_digits);
		default:
			return plain_text_encoder(type, plain);
	}
}
