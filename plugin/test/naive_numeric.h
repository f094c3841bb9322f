/*
 * naive_numeric.h
 *		Decimal numbers as text to the stored form of a numeric: what
 *		format_numeric() is compared with.
 */
#ifndef WALSPOUT_NAIVE_NUMERIC_H
#define WALSPOUT_NAIVE_NUMERIC_H

#include "postgres.h"

/* Bytes that naive_numeric() needs for a number with so many decimal digits. */
#define NAIVE_NUMERIC_SIZE(digits) (8 + (digits))

static inline char *
naive_int16(char *p, int value)
{
	int16		stored = (int16) value;

	memcpy(p, &stored, 2);
	return p + 2;
}

/*
 * Write the payload of a numeric to out. decimal is like "-12.50": a digit
 * before the point, no needless zeros there. The long form can hold every
 * number; the server uses the short form for small ones. long_form forces the
 * long form. Returns the payload's size.
 */
static inline Size
naive_numeric(char *out, const char *decimal, bool long_form)
{
	bool		negative = decimal[0] == '-';
	const char *whole = decimal + negative;
	int			nwhole = (int) strcspn(whole, ".");
	const char *part = whole[nwhole] == '.' ? whole + nwhole + 1 : "";
	int			dscale = (int) strlen(part);
	int			first = -((nwhole + 3) / 4) * 4;	/* places from the point */
	int			last = (dscale + 3) / 4 * 4;
	int			weight = -first / 4 - 1;
	Size		header_size;
	Size		digits_size;
	char	   *digits;
	char	   *p;

	/* digits of base 10000, aligned at the point */
	digits = p = malloc((last - first) / 2 + 2);
	for (int place = first; place < last; place += 4)
	{
		int			value = 0;

		for (int i = place; i < place + 4; i++)
		{
			int			digit = 0;

			if (i < 0 && nwhole + i >= 0)
				digit = whole[nwhole + i] - '0';
			else if (i >= 0 && i < dscale)
				digit = part[i] - '0';
			value = value * 10 + digit;
		}
		/* zeros at the begin and at the end are not stored */
		if (value == 0 && p == digits)
			weight--;
		else
			p = naive_int16(p, value);
	}
	while (p > digits && p[-1] == 0 && p[-2] == 0)
		p -= 2;
	if (p == digits)
		weight = 0;
	digits_size = p - digits;

	if (long_form || dscale > 63 || weight > 63 || weight < -64)
	{
		naive_int16(out, (negative ? 0x4000 : 0) | dscale);
		naive_int16(out + 2, weight);
		header_size = 4;
	}
	else
	{
		naive_int16(out, 0x8000 | (negative ? 0x2000 : 0) | dscale << 7 | (weight & 0x7F));
		header_size = 2;
	}
	memcpy(out + header_size, digits, digits_size);
	free(digits);
	return header_size + digits_size;
}

#endif
