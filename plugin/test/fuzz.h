/*
 * fuzz.h
 *		A fuzzer: a function of bytes that must not fail.
 *
 * Linked with libFuzzer, or with driver.c. driver.c needs only a compiler.
 * Fuzzers that feed a program start it.
 */
#ifndef WALSPOUT_FUZZ_H
#define WALSPOUT_FUZZ_H

#include "postgres.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Fail, so that the fuzzer keeps the input, unless the condition holds. */
#define must(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* A copy whose memory ends with the bytes, so that the address sanitizer sees reads beyond. */
static inline void *
exact_copy(const void *bytes, Size n)
{
	void	   *copy = malloc(n);

	if (n > 0)
		memcpy(copy, bytes, n);
	return copy;
}

#endif
