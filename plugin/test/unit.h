/*
 * unit.h
 *		Shared by the unit tests: cmocka, guarded memory, random numbers.
 */
#ifndef WALSPOUT_UNIT_H
#define WALSPOUT_UNIT_H

#include "postgres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Bytes after a buffer that must stay unchanged. The code under test stores
 * whole words, so a store that is too long is found without a sanitizer, too.
 */
#define GUARD_SIZE 64
#define GUARD_BYTE 0x5A

static inline void
set_guard(char *end)
{
	memset(end, GUARD_BYTE, GUARD_SIZE);
}

static inline bool
guard_is_whole(const char *end)
{
	for (int i = 0; i < GUARD_SIZE; i++)
		if (end[i] != GUARD_BYTE)
			return false;
	return true;
}

/*
 * The end of readable memory: a string right before it reveals reads beyond
 * its end.
 */
static inline char *
end_of_memory(Size n)
{
	Size		page = (Size) sysconf(_SC_PAGESIZE);
	Size		size = (n + page - 1) / page * page;
	char	   *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
							  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	assert_int_equal(mprotect(memory + size, page, PROT_NONE), 0);
	return memory + size;
}

/* The same numbers in every run: a failure can be repeated. */
static inline uint64
next_random(void)
{
	static uint64 state = 20260301;
	uint64		z = (state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* A number below limit. */
static inline Size
random_below(Size limit)
{
	return (Size) (next_random() % limit);
}

#endif
