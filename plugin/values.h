/*
 * values.h
 *		Encoders of scalar types, and access to values of variable length.
 */
#ifndef WALSPOUT_VALUES_H
#define WALSPOUT_VALUES_H

#include "compat.h"
#include "encoder.h"
#include "options.h"

/* Once for each start of the plugin, before encoders are made. */
extern void values_startup(const Options *options);

/* The encoder of a built-in scalar type, or NULL: a constant, nothing to free. */
extern const Encoder *scalar_encoder(Oid type);

/*
 * Append n bytes of text that is valid JSON. It becomes a string that holds it
 * if it nests too deep; numbers in it become strings as the options want it.
 */
extern bool encode_json_text(Out *o, const char *s, Size n);

/*
 * A number in JSON that is not ours was appended from position begin on: make a
 * string of it if the options want that.
 */
extern void protect_number(Out *o, Size begin);

/* Whether protect_number() has anything to do. */
extern bool protects_numbers;

/* For types of extensions that are stored and printed as text is. */
extern bool encode_text(Out *o, const Encoder *e, Datum value);

/*
 * The value itself, its length word long or short. NULL if it is compressed or
 * elsewhere: such values are for encode_toasted().
 */
static inline struct varlena *
varlena_plain(Datum value)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	/* a TOAST pointer looks short, too */
	if (likely(!VARATT_IS_EXTENDED(v) || (VARATT_IS_SHORT(v) && !VARATT_IS_EXTERNAL(v))))
		return v;
	return NULL;
}

/*
 * Encode a value that varlena_plain() has no answer for: decompress it if the
 * document may have room for it, call the encoder again, and free the copy.
 */
extern bool encode_toasted(Out *o, const Encoder *e, Datum value);

/*
 * The same with a long length word, aligned. Short ones are copied into
 * the scratch space, which must live as long as the result is used.
 */
typedef union AlignedScratch
{
	int64		alignment;
	char		bytes[VARATT_SHORT_MAX + VARHDRSZ];
} AlignedScratch;

extern struct varlena *varlena_aligned(Datum value, AlignedScratch *scratch);

/* True if the value is a pointer to a TOAST table: it did not change. */
static inline bool
value_is_unchanged_toast(Datum value, int16 typlen)
{
	return typlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value));
}

/* Bytes of the value as such: without compression and length word. */
extern Size value_size(Datum value, int16 typlen);

#endif
