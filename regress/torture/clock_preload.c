/*
 * Steps the wall clock of one process, for the torture. LD_PRELOAD this library; WALSPOUT_CLOCK
 * names a file of two int64_t. The first number is how many seconds the clock is wrong. The file is
 * mapped: a program that writes to it steps the clock. The monotonic clock is not changed, as in a
 * real step. gettimeofday() is not changed either: librdkafka adds a waiting time to it, and the
 * system compares the sum with the real clock.
 *
 * While the second number is not 0, the process dies in the middle of a write to a file. An outside
 * kill -9 could not be timed so well. Writes to its standard streams stay complete.
 *
 * WALSPOUT_NAMES names a file with a line "name address" for each host that the test has made up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *control;	/* clock, tear */
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("WALSPOUT_CLOCK");
	int			fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	real_clock_gettime = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
	if (fd >= 0)
	{
		void	   *map = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

		if (map != MAP_FAILED)
			control = map;
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
	if (result == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += control[0];
	return result;
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

static int
tears(int fd)
{
	struct stat status;

	return control && control[1] && fd > STDERR_FILENO && fstat(fd, &status) == 0 &&
		S_ISREG(status.st_mode);
}

ssize_t
write(int fd, const void *bytes, size_t length)
{
	if (length > 1 && tears(fd))
	{
		syscall(SYS_write, fd, bytes, length / 2);
		kill(getpid(), SIGKILL);
	}
	return syscall(SYS_write, fd, bytes, length);
}

ssize_t
writev(int fd, const struct iovec *pieces, int count)
{
	/* All pieces except the last one, which is a line's end; or half of the only piece. */
	if (count == 1)
		return write(fd, pieces->iov_base, pieces->iov_len);
	if (tears(fd))
	{
		syscall(SYS_writev, fd, pieces, count - 1);
		kill(getpid(), SIGKILL);
	}
	return syscall(SYS_writev, fd, pieces, count);
}

int
getaddrinfo(const char *restrict host, const char *restrict service,
			const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
	int			(*real) (const char *, const char *, const struct addrinfo *, struct addrinfo **);
	const char *path = getenv("WALSPOUT_NAMES");
	FILE	   *names = path && host ? fopen(path, "re") : NULL;
	char		name[256];
	char		address[64];
	bool		found = false;

	while (names && !found && fscanf(names, "%255s %63s", name, address) == 2)
		found = strcmp(name, host) == 0;
	if (names)
		fclose(names);
	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(found ? address : host, service, hints, result);
}
