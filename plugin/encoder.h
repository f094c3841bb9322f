/*
 * encoder.h
 *		How a value of one type becomes JSON: chosen once for a column, when its
 *		relation is first seen, and called for each row.
 */
#ifndef WALSPOUT_ENCODER_H
#define WALSPOUT_ENCODER_H

#include "json.h"

typedef struct Encoder Encoder;

/*
 * Append the value, which is not NULL, exactly as row_to_json() prints it.
 * False, with an unknown number of bytes appended, if it cannot be: it has no
 * room in the document, its output function raised, it is not in the WAL.
 * May allocate in the current context; the caller resets that after each
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
	void	   *detail;			/* what encode needs beside; owned with the encoder */
	int			calls;			/* GuardLevel of the code of others in it, or 0 */
	Encode		whole;			/* if calls: what encode runs in a guard */
	bool		fixed;			/* encode does not look at the value */
	bool		cuts;			/* it looks at the begin only, however long the value is */
};

#endif
