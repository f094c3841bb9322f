/*
 * types.h
 *		The choice of an encoder for a type.
 */
#ifndef WALSPOUT_TYPES_H
#define WALSPOUT_TYPES_H

#include "access/tupdesc.h"
#include "encoder.h"
#include "nested.h"

/*
 * The encoders for one relation: each type has one, however often the relation
 * and its composite types use it. Initialize it with zeros, and with whether
 * to call users' casts to json.
 */
typedef struct EncoderSet
{
	bool		user_casts;
	int			n;
	int			room;
	const Encoder **encoders;
} EncoderSet;

/*
 * The encoder of values of this type, by the rules of row_to_json(). Reads
 * catalogs, and allocates in the current context. Never NULL: a type that
 * cannot be rendered gets an encoder that always fails.
 */
extern const Encoder *types_encoder(Oid type, EncoderSet *made);

/* An encoder from encode and detail, in the current context. */
extern Encoder *make_encoder(Oid type, Encode encode, void *detail);

/* The encoder of an enum: its labels, whatever casts it has. */
extern Encoder *make_enum(Oid type);

/* The encoder of a type that cannot be rendered: always false. */
extern bool encode_nothing(Out *o, const Encoder *e, Datum value);

/* A column or attribute with its label, in the current context. */
extern Field make_field(Form_pg_attribute att, EncoderSet *made);

#endif
