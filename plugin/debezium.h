/*
 * debezium.h
 *		Values as Debezium's connector sends them, as JSON without a schema.
 */
#ifndef WALSPOUT_DEBEZIUM_H
#define WALSPOUT_DEBEZIUM_H

#include "options.h"
#include "types.h"

/*
 * The encoder of a column with this type and modifier; plain is that of
 * row_to_json(). Reads catalogs; allocates in the current context.
 */
extern const Encoder *debezium_encoder(Oid type, int32 modifier, const Encoder *plain,
									   EncoderSet *made, const Options *options);

/* JSON that stands for a value of the type that is not in the WAL. */
extern const char *debezium_unavailable(Oid type, const char *placeholder);

/* JSON that stands for NULL if the column is NOT NULL: in old rows of which only the key is known. */
extern const char *debezium_fallback(Oid type, int32 modifier, const Options *options);

#endif
