/*
 * values.c
 *		Encoders of scalar types, and access to values of variable length.
 *
 * Encoders of fixed-size types reserve FORMAT_WIDTH bytes and cannot fail. The
 * others call out_room() first, which enforces a document's limit.
 */
#include "postgres.h"

#include "values.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "format.h"
#include "guard.h"
#include "text.h"
#include "utils/builtins.h"
#include "utils/cash.h"
#include "utils/inet.h"
#include "utils/memutils.h"
#include "syntax.h"
#include "utils/uuid.h"

static Numbers numbers;
bool		protects_numbers;

void
values_startup(const Options *options)
{
	depth_limit = (int) options->max_depth;
	numbers = options->numbers;
	protects_numbers = numbers != NUMBERS_JSON;
}

struct varlena *
varlena_aligned(Datum value, AlignedScratch *scratch)
{
	struct varlena *v = varlena_plain(value);
	struct varlena *copy = (struct varlena *) scratch->bytes;

	if (v == NULL || !VARATT_IS_SHORT(v))
		return v;
	SET_VARSIZE(copy, VARSIZE_ANY_EXHDR(v) + VARHDRSZ);
	memcpy(VARDATA(copy), VARDATA_SHORT(v), VARSIZE_ANY_EXHDR(v));
	return copy;
}

Size
value_size(Datum value, int16 typlen)
{
	if (typlen == -1)
		return toast_raw_datum_size(value) - VARHDRSZ;
	if (typlen == -2)
		return strlen(DatumGetCString(value));
	return typlen;
}

static bool
encode_bool(Out *o, const Encoder *e, Datum value)
{
	if (DatumGetBool(value))
		append_literal(o, "true");
	else
		append_literal(o, "false");
	return true;
}

static bool
encode_int2(Out *o, const Encoder *e, Datum value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_int64(o->p, DatumGetInt16(value));
	return true;
}

static bool
encode_int4(Out *o, const Encoder *e, Datum value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_int64(o->p, DatumGetInt32(value));
	return true;
}

static bool
encode_int8(Out *o, const Encoder *e, Datum value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_int64(o->p, DatumGetInt64(value));
	return true;
}

static bool
encode_float4(Out *o, const Encoder *e, Datum value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_float4(o->p, DatumGetFloat4(value));
	return true;
}

static bool
encode_float8(Out *o, const Encoder *e, Datum value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_float8(o->p, DatumGetFloat8(value));
	return true;
}

static bool
encode_numeric(Out *o, const Encoder *e, Datum value)
{
	struct varlena *v = varlena_plain(value);

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	if (!out_room(o, numeric_room(VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v))))
		return false;
	o->p = format_numeric(o->p, VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
	return true;
}

/* A number was appended from position begin on: quote it, unless it is a string already. */
static void
quote_number(Out *o, Size begin)
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

void
protect_number(Out *o, Size begin)
{
	if (!syntax_is_safe_number(out_at(o, begin), out_tell(o) - begin))
		quote_number(o, begin);
}

/* Numbers as strings. */
#define ENCODE_NUMBER_QUOTED(name, encode_number) \
	static bool \
	name(Out *o, const Encoder *e, Datum value) \
	{ \
		Size		begin = out_tell(o); \
		if (!encode_number(o, e, value)) \
			return false; \
		quote_number(o, begin); \
		return true; \
	}

ENCODE_NUMBER_QUOTED(quote_int2, encode_int2)
ENCODE_NUMBER_QUOTED(quote_int4, encode_int4)
ENCODE_NUMBER_QUOTED(quote_int8, encode_int8)
ENCODE_NUMBER_QUOTED(quote_float4, encode_float4)
ENCODE_NUMBER_QUOTED(quote_float8, encode_float8)
ENCODE_NUMBER_QUOTED(quote_numeric, encode_numeric)

static bool
protect_int8(Out *o, const Encoder *e, Datum value)
{
	Size		begin = out_tell(o);

	encode_int8(o, e, value);
	protect_number(o, begin);
	return true;
}

/* The output of format(), in quotes. */
#define ENCODE_QUOTED(name, format) \
	static bool \
	name(Out *o, const Encoder *e, Datum value) \
	{ \
		out_reserve(o, FORMAT_WIDTH); \
		put_char(o, '"'); \
		o->p = format; \
		put_char(o, '"'); \
		return true; \
	}

ENCODE_QUOTED(encode_date, format_date(o->p, DatumGetDateADT(value)))
ENCODE_QUOTED(encode_timestamp, format_timestamp(o->p, DatumGetTimestamp(value)))
ENCODE_QUOTED(encode_timestamptz, format_timestamptz(o->p, DatumGetTimestampTz(value)))
ENCODE_QUOTED(encode_time, format_time(o->p, DatumGetTimeADT(value)))
ENCODE_QUOTED(encode_timetz, format_timetz(o->p, DatumGetTimeTzADTP(value)))
ENCODE_QUOTED(encode_interval, format_interval(o->p, DatumGetIntervalP(value)))
ENCODE_QUOTED(encode_money, format_money(o->p, DatumGetCash(value)))
ENCODE_QUOTED(encode_uuid, format_uuid(o->p, DatumGetUUIDP(value)->data))
ENCODE_QUOTED(encode_oid, format_uint64(o->p, DatumGetObjectId(value)))

bool
encode_text(Out *o, const Encoder *e, Datum value)
{
	struct varlena *v = varlena_plain(value);

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	return text_string(o, VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
}

static bool
encode_name(Out *o, const Encoder *e, Datum value)
{
	const char *name = NameStr(*DatumGetName(value));

	return text_string(o, name, strnlen(name, NAMEDATALEN));
}

/* JSON unchanged, except for numbers that a double may not hold. */
static bool
protected_json(Out *o, const char *s, Size n)
{
	Size		at;
	Size		size;

	while (syntax_find_unsafe_number(s, n, &at, &size))
	{
		if (!text_raw(o, s, at) || !text_string(o, s + at, size))
			return false;
		s += at + size;
		n -= at + size;
	}
	return text_raw(o, s, n);
}

bool
encode_json_text(Out *o, const char *s, Size n)
{
	Size		begin = out_tell(o);
	bool		deep = syntax_is_deeper(s, n, nest_levels_left(o));
	bool		done = protects_numbers ? protected_json(o, s, n) : text_raw(o, s, n);

	return done && (likely(!deep) || json_quote(o, begin));
}

static bool
encode_json(Out *o, const Encoder *e, Datum value)
{
	struct varlena *v = varlena_plain(value);

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	return encode_json_text(o, VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
}

static inline Size
bytea_room(Size n)
{
	return n * 2 + 5;			/* "\\x" with its quotes, and two digits a byte */
}

static bool
encode_bytea(Out *o, const Encoder *e, Datum value)
{
	struct varlena *v = varlena_plain(value);
	Size		n;

	if (unlikely(v == NULL))
		return encode_toasted(o, e, value);
	n = VARSIZE_ANY_EXHDR(v);
	if (!out_room(o, bytea_room(n)))
		return false;
	put_literal(o, "\"\\\\x");
	o->p = format_hex(o->p, (unsigned char *) VARDATA_ANY(v), n);
	put_char(o, '"');
	return true;
}

/* An address, and the length of its network prefix unless that covers the whole address. */
static bool
encode_inet(Out *o, const Encoder *e, Datum value)
{
	inet	   *address = (inet *) varlena_plain(value);
	char	   *printed;

	if (unlikely(address == NULL))
		return encode_toasted(o, e, value);
	out_reserve(o, FORMAT_WIDTH);
	put_char(o, '"');
	printed = pg_inet_net_ntop(ip_family(address), ip_addr(address), ip_bits(address),
							   o->p, FORMAT_WIDTH - 8);
	if (printed == NULL)
		return false;
	o->p += strlen(printed);
	if (e->type == CIDROID && strchr(printed, '/') == NULL)
	{
		put_char(o, '/');
		o->p = format_uint64(o->p, ip_bits(address));
	}
	put_char(o, '"');
	return true;
}

/*
 * The fewest bytes that n bytes of this type become, so that a value without
 * room is not decompressed. 0 if only the value itself shows that.
 */
static Size
least_room(const Encoder *e, Size n)
{
	if (e->encode == encode_text)
		return text_least(n) + 2;
	if (e->encode == encode_json)
		return text_least(n);
	return e->encode == encode_bytea ? bytea_room(n) : 0;
}

typedef struct Detoast
{
	struct varlena *value;
	struct varlena *plain;
} Detoast;

static void
detoast(void *arg)
{
	Detoast    *d = arg;

	d->plain = detoast_attr(d->value);
}

/*
 * A value may have a gigabyte, and a row many of them. So each value has a
 * memory context of its own, which is freed before the next value.
 */
static bool
encode_compressed(Out *o, const Encoder *e, struct varlena *value)
{
	MemoryContext context;
	MemoryContext old;
	Detoast		d = {.value = value};
	bool		done;

	if (!out_has_room(o, least_room(e, value_size(PointerGetDatum(value), -1))))
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext, "walspout value",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	done = guarded(GUARD_BUILTIN, detoast, &d) &&
		e->encode(o, e, PointerGetDatum(d.plain));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return done;
}

bool
encode_toasted(Out *o, const Encoder *e, Datum value)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	if (VARATT_IS_EXTERNAL_INDIRECT(v))
	{
		/* a TOASTed value that the reorder buffer reassembled from the WAL */
		struct varatt_indirect redirect;

		VARATT_EXTERNAL_GET_POINTER(redirect, v);
		return e->encode(o, e, PointerGetDatum(redirect.pointer));
	}
	return VARATT_IS_COMPRESSED(v) && encode_compressed(o, e, v);
}

static const Encoder scalars[] = {
	{encode_bool, BOOLOID, 1, true, TYPALIGN_CHAR},
	{encode_int2, INT2OID, 2, true, TYPALIGN_SHORT},
	{encode_int4, INT4OID, 4, true, TYPALIGN_INT},
	{encode_int8, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{encode_float4, FLOAT4OID, 4, true, TYPALIGN_INT},
	{encode_float8, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{encode_numeric, NUMERICOID, -1, false, TYPALIGN_INT},
	{encode_text, TEXTOID, -1, false, TYPALIGN_INT},
	{encode_text, VARCHAROID, -1, false, TYPALIGN_INT},
	{encode_text, BPCHAROID, -1, false, TYPALIGN_INT},
	{encode_name, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR},
	{encode_oid, OIDOID, 4, true, TYPALIGN_INT},
	{encode_date, DATEOID, 4, true, TYPALIGN_INT},
	{encode_time, TIMEOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{encode_timetz, TIMETZOID, 12, false, TYPALIGN_DOUBLE},
	{encode_timestamp, TIMESTAMPOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{encode_timestamptz, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{encode_interval, INTERVALOID, 16, false, TYPALIGN_DOUBLE},
	{encode_uuid, UUIDOID, 16, false, TYPALIGN_CHAR},
	{encode_json, JSONOID, -1, false, TYPALIGN_INT},
	{encode_bytea, BYTEAOID, -1, false, TYPALIGN_INT},
	{encode_inet, INETOID, -1, false, TYPALIGN_INT},
	{encode_inet, CIDROID, -1, false, TYPALIGN_INT},
	{encode_money, CASHOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
};

static const Encoder quoted_numbers[] = {
	{quote_int2, INT2OID, 2, true, TYPALIGN_SHORT},
	{quote_int4, INT4OID, 4, true, TYPALIGN_INT},
	{quote_int8, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{quote_float4, FLOAT4OID, 4, true, TYPALIGN_INT},
	{quote_float8, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{quote_numeric, NUMERICOID, -1, false, TYPALIGN_INT},
};

static const Encoder safe_numbers[] = {
	{protect_int8, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE},
	{quote_numeric, NUMERICOID, -1, false, TYPALIGN_INT},
};

static const Encoder *
find_encoder(const Encoder *encoders, int n, Oid type)
{
	for (int i = 0; i < n; i++)
		if (encoders[i].type == type)
			return &encoders[i];
	return NULL;
}

const Encoder *
scalar_encoder(Oid type)
{
	const Encoder *e = NULL;

	if (numbers == NUMBERS_STRING)
		e = find_encoder(quoted_numbers, lengthof(quoted_numbers), type);
	else if (numbers == NUMBERS_SAFE)
		e = find_encoder(safe_numbers, lengthof(safe_numbers), type);
	return e != NULL ? e : find_encoder(scalars, lengthof(scalars), type);
}
