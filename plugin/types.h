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
 * The encoders that were made for one relation: each type has one, however
 * often the relation and its composite types use it. Begin with zeros, and
 * whether casts to json of users are called.
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
 * catalogs; what it allocates is in the current context. Never NULL: a type
 * that cannot be rendered gets an encoder that always says so.
 */
extern const Encoder *types_encoder(Oid type, EncoderSet *made);

/* One that encode() and detail make up, in the current context. */
extern Encoder *make_encoder(Oid type, Encode encode, void *detail);

/* Of an enum: its labels, whatever casts it has. */
extern Encoder *make_enum(Oid type);

/* Of a type that cannot be rendered. */
extern bool encode_nothing(Out *o, const Encoder *e, Datum value);

/* A column or attribute with its label, in the current context. */
extern Field make_field(Form_pg_attribute att, EncoderSet *made);

#endif
