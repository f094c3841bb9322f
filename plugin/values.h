/*
 * values.h
 *		Encoders of scalar types, and access to values of variable length.
 */
#ifndef WALSPOUT_VALUES_H
#define WALSPOUT_VALUES_H

#include "compat.h"
#include "encoder.h"

/* The encoder of a built-in scalar type, or NULL: a constant, nothing to free. */
extern const Encoder *scalar_encoder(Oid type);

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
