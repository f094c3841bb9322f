/*
 * Steps the wall clock of one process, for the torture: LD_PRELOAD this, with WALSPOUT_CLOCK naming
 * a file that holds an int64_t, how many seconds the clock is wrong. The file is mapped: whoever
 * writes to it steps the clock. The monotonic clock is left alone, as a real step leaves it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("WALSPOUT_CLOCK");
	int			fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	real_clock_gettime = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
	if (fd >= 0)
	{
		void	   *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

		if (map != MAP_FAILED)
			offset = map;
		close(fd);
	}
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result;

	if (!real_clock_gettime)
		start();
	result = real_clock_gettime(clock, now);
	if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *offset;
	return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &exact);
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec exact;

	clock_gettime(CLOCK_REALTIME, &exact);
	if (result)
		*result = exact.tv_sec;
	return exact.tv_sec;
}
