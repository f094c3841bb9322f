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
#include "debezium_values.h"
#include "format.h"
#include "plain.h"
#include "text.h"
#include "utils/geo_decls.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varbit.h"
#include "values.h"

Encoder *
debezium_detailed(const Encoder *plain, Encode encode, int precision, int scale)
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
	const Encoder *e;

	if ((e = debezium_number_encoder(type, modifier, plain, options)) != NULL ||
		(e = debezium_time_encoder(type, modifier, plain, options)) != NULL)
		return e;
	switch (type)
	{
		case BYTEAOID:
			return debezium_detailed(plain, encode_bytes, 0, 0);
		case BITOID:
		case VARBITOID:
			return debezium_detailed(plain, modifier == 1 ? encode_one_bit : encode_bits, 0, 0);
		case POINTOID:
			return debezium_detailed(plain, encode_point, 0, 0);
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
	return make_guarded(debezium_detailed(plain, is_hstore(type) ? encode_hstore : encode_as_string, 0, 0),
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

const char *
debezium_fallback(Oid type, int32 modifier, const Options *options)
{
	const char *time;

	type = getBaseTypeAndTypmod(type, &modifier);
	if ((time = debezium_zero_time(type, options)) != NULL)
		return time;
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
			return "0";
		case NUMERICOID:
		case CASHOID:
			return debezium_zero_decimal(type, modifier, options);
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
