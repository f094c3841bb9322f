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
 * The encoder of values of this type, by the rules of row_to_json(). Reads
 * catalogs; what it allocates is in the current context. Never NULL: a type
 * that cannot be rendered gets an encoder that always says so.
 */
extern const Encoder *types_encoder(Oid type);

/* A column's or attribute's label, in the current context. */
extern Field make_field(Form_pg_attribute att);

#endif
