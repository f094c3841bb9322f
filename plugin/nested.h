/*
 * nested.h
 *		Encoders of types that hold values: arrays, composites, jsonb.
 */
#ifndef WALSPOUT_NESTED_H
#define WALSPOUT_NESTED_H

#include "encoder.h"

#include "access/tupdesc.h"

/* An attribute of a composite type, or a column of a table. */
typedef struct Field
{
	const char *label;			/* ,"name": in UTF-8, escaped; for put_label() */
	int			label_size;
	int			index;			/* of the value in the deformed tuple */
	const Encoder *encoder;
} Field;

/* Encoder.detail of encode_composite. */
typedef struct Composite
{
	TupleDesc	desc;
	Datum	   *values;			/* room for one tuple of desc */
	bool	   *nulls;
	int			nfields;
	Field	   *fields;
	uint64	   *version;		/* of the last tuple that fitted desc; 0: none yet */
} Composite;

/* Encoder.detail of encode_array. */
typedef struct Elements
{
	Oid			type;			/* as declared: perhaps a domain */
	const Encoder *encoder;
} Elements;

extern bool encode_array(Out *o, const Encoder *e, Datum value);

extern bool encode_composite(Out *o, const Encoder *e, Datum value);
extern bool encode_jsonb(Out *o, const Encoder *e, Datum value);

#endif
