/*
 * values.h
 *		Encoders of scalar types, and access to values of variable length.
 */
#ifndef WALSPOUT_VALUES_H
#define WALSPOUT_VALUES_H

#include "compat.h"
#include "encoder.h"
#include "options.h"

/* Call it at each start of the plugin, before encoders are made. */
extern void values_startup(const Options *options);

/* The encoder of a built-in scalar type, or NULL. It is a constant, with nothing to free. */
extern const Encoder *scalar_encoder(Oid type);

/*
 * Append n bytes of text that is valid JSON. JSON that nests too deep becomes
 * a string that holds it; numbers in it become strings if the options say so.
 */
extern bool encode_json_text(Out *o, const char *s, Size n);

/*
 * A number in JSON that is not ours was appended from position begin on: turn
 * it into a string if the options say so.
 */
extern void protect_number(Out *o, Size begin);

/* Whether protect_number() has anything to do. */
extern bool protects_numbers;

/* For extensions' types that are stored and printed as text is. */
extern bool encode_text(Out *o, const Encoder *e, Datum value);

/*
 * The value itself, its length word long or short. NULL if it is compressed or
 * stored elsewhere: such values need encode_toasted().
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
 * Encode a value for which varlena_plain() returns NULL. Decompresses it if
 * the document may have room for it, calls the encoder again, and frees the
 * copy.
 */
extern bool encode_toasted(Out *o, const Encoder *e, Datum value);

/*
 * The same with a long length word, aligned. Copies values with a short one
 * into the scratch space, which must live as long as the result is used.
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

/* Size of the value itself, in bytes: without compression and length word. */
extern Size value_size(Datum value, int16 typlen);

#endif
