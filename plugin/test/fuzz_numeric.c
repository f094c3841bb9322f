/*
 * fuzz_numeric.c
 *		Fuzzer of format_numeric(): any header, any digits.
 *
 * It writes no more bytes than numeric_room() says, and reads none outside of
 * the payload. The text equals a naive reader's.
 */
#include "fuzz.h"

#include "format.h"

/* The payload's meaning, as the server's source describes its form. */
typedef struct NaiveNumeric
{
	bool		negative;
	int			weight;
	int			dscale;
	const char *digits;
	int			ndigits;
} NaiveNumeric;

static int
int16_at(const char *p)
{
	int16		value;

	memcpy(&value, p, 2);
	return value;
}

/* False if it is NaN or an infinity. */
static bool
naive_parts(const char *payload, Size n, NaiveNumeric *parts)
{
	int			header = (uint16) int16_at(payload);
	int			header_size = 4;

	if ((header & 0xC000) == 0xC000)
		return false;
	if (header & 0x8000)
	{
		header_size = 2;
		parts->negative = header >> 13 & 1;
		parts->dscale = header >> 7 & 63;
		parts->weight = header & 127;
		if (parts->weight > 63)
			parts->weight -= 128;
	}
	else
	{
		parts->negative = header >> 14 & 1;
		parts->dscale = header & 0x3FFF;
		parts->weight = int16_at(payload + 2);
	}
	parts->digits = payload + header_size;
	parts->ndigits = (int) (n - header_size) / 2;
	return true;
}

/* The digit, of base 10000, with this weight; -1: invalid. */
static int
naive_digit(const NaiveNumeric *parts, int weight)
{
	int			i = parts->weight - weight;
	int			digit;

	if (i < 0 || i >= parts->ndigits)
		return 0;
	digit = int16_at(parts->digits + i * 2);
	return digit >= 0 && digit < 10000 ? digit : -1;
}

/* False if there are digits that the server never writes. */
static bool
naive_text(const NaiveNumeric *parts, char *out)
{
	char	   *p = out;
	int			after_point = 0;

	if (parts->negative)
		*p++ = '-';
	for (int weight = Max(parts->weight, 0); weight >= 0; weight--)
	{
		int			digit = naive_digit(parts, weight);

		if (digit < 0)
			return false;
		p += sprintf(p, weight == Max(parts->weight, 0) ? "%d" : "%04d", digit);
	}
	if (parts->dscale > 0)
		*p++ = '.';
	for (int weight = -1; after_point < parts->dscale; weight--)
	{
		int			digit = naive_digit(parts, weight);

		if (digit < 0)
			return false;
		sprintf(p, "%04d", digit);
		p += Min(4, parts->dscale - after_point);
		after_point += 4;
	}
	*p = '\0';
	return true;
}

/* Are there as many bytes as the header has? Anything shorter is not a numeric. */
static bool
has_header(const uint8_t *data, Size n)
{
	return n >= 2 && (n >= 4 || (int16_at((const char *) data) & 0x8000) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	bool		unaligned;
	char	   *memory;
	char	   *payload;
	char	   *out;
	char	   *expected;
	Size		room;
	Size		size;
	NaiveNumeric parts;

	if (n < 1 || !has_header(data + 1, n - 1))
		return 0;
	unaligned = data[0] & 1;
	n--;
	memory = malloc(n + unaligned);
	payload = memory + unaligned;
	memcpy(payload, data + 1, n);

	room = numeric_room(payload, n);
	out = malloc(room);
	size = format_numeric(out, payload, n) - out;
	must(size <= room);
	if (!naive_parts(payload, n, &parts))
		must(out[0] == '"' && out[size - 1] == '"');
	else
	{
		expected = malloc(room + 1);
		if (naive_text(&parts, expected))
		{
			must(strlen(expected) == size);
			must(memcmp(out, expected, size) == 0);
		}
		free(expected);
	}
	free(out);
	free(memory);
	return 0;
}
