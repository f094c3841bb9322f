/*
 * encoder.h
 *		How a value of one type becomes JSON. Chosen once for a column, when its
 *		relation is first seen, and called for each row.
 */
#ifndef WALSPOUT_ENCODER_H
#define WALSPOUT_ENCODER_H

#include "json.h"

typedef struct Encoder Encoder;

/*
 * Append the value, which is not NULL, exactly as row_to_json() prints it.
 * False, with an unknown number of bytes appended, if that fails: no room in
 * the document, an output function that raised, a value that is not in the
 * WAL. May allocate in the current context; the caller resets that after each
 * change.
 */
typedef bool (*Encode) (Out *o, const Encoder *e, Datum value);

struct Encoder
{
	Encode		encode;
	Oid			type;			/* base type: never a domain */
	int16		typlen;
	bool		typbyval;
	char		typalign;
	void	   *detail;			/* further data for encode; owned with the encoder */
	int			calls;			/* highest GuardLevel of others' code in it, or 0 */
	Encode		whole;			/* if calls: the encoder that runs in a guard */
	bool		fixed;			/* encode does not look at the value */
	bool		cuts;			/* it looks only at the value's begin */
};

#endif
