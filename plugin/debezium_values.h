/*
 * debezium_values.h
 *		What the files with the values of the dialect debezium share.
 */
#ifndef WALSPOUT_DEBEZIUM_VALUES_H
#define WALSPOUT_DEBEZIUM_VALUES_H

#include "format.h"
#include "options.h"
#include "types.h"

/* Encoder.detail */
typedef struct Detail
{
	const Encoder *plain;
	int			precision;		/* of seconds */
	int			scale;			/* of a numeric; -1: each value has its own */
} Detail;

/* A new encoder like plain, but for encode, which finds plain and the numbers in a Detail. */
extern Encoder *debezium_detailed(const Encoder *plain, Encode encode, int precision, int scale);

/*
 * The encoder of a type of numbers, or of times; NULL for other types. plain
 * is that of row_to_json().
 */
extern const Encoder *debezium_number_encoder(Oid type, int32 modifier, const Encoder *plain,
											  const Options *options);
extern const Encoder *debezium_time_encoder(Oid type, int32 modifier, const Encoder *plain,
											const Options *options);

/* JSON for zero, as numeric or money. */
extern const char *debezium_zero_decimal(Oid type, int32 modifier, const Options *options);

/* JSON for the time 0; NULL if the type is no type of times. */
extern const char *debezium_zero_time(Oid type, const Options *options);

static inline bool
put_integer(Out *o, int64 value)
{
	out_reserve(o, FORMAT_WIDTH);
	o->p = format_int64(o->p, value);
	return true;
}

static inline void
put_json(Out *o, const char *json)
{
	append(o, json, strlen(json));
}

static inline bool
put_base64(Out *o, const unsigned char *bytes, Size n)
{
	if (!out_room(o, (n + 2) / 3 * 4 + 2))
		return false;
	put_char(o, '"');
	o->p = format_base64(o->p, bytes, n);
	put_char(o, '"');
	return true;
}

#endif
