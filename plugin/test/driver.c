/*
 * driver.c
 *		The main program of a fuzzer if there is no libFuzzer.
 *
 *		FUZZER FILE...							run these inputs
 *		FUZZER < FILE							run this one, as AFL wants it
 *		FUZZER -max_total_time=N [-seed=N] [FOLDER]
 *												run random ones, for N seconds
 *
 * Takes the flags of libFuzzer that it knows and ignores all others. Random
 * inputs are new ones, or mutations of those in the folder. It does not
 * measure coverage: libFuzzer and AFL find more. A failing input is left in
 * the file -artifact_prefix=... and "crash".
 */
#include "postgres.h"

#include <dirent.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define LARGEST_INPUT 4096
#define MOST_SEEDS 1000

extern void __sanitizer_set_death_callback(void (*callback) (void)) __attribute__((weak));

static uint64 state;
static const char *artifact_prefix = "";

/* The input that is being run. */
static uint8_t input[LARGEST_INPUT];
static Size input_size;
static bool input_is_random;

typedef struct Seed
{
	uint8_t    *bytes;
	Size		size;
} Seed;

static Seed seeds[MOST_SEEDS];
static int	nseeds;

static void
save_input(void)
{
	char		path[1024];
	FILE	   *f;

	if (!input_is_random)
		return;
	snprintf(path, sizeof(path), "%scrash", artifact_prefix);
	f = fopen(path, "wb");
	if (f == NULL)
		return;
	fwrite(input, 1, input_size, f);
	fclose(f);
	fprintf(stderr, "input of %zu bytes saved in %s\n", input_size, path);
}

static void
on_signal(int number)
{
	signal(number, SIG_DFL);
	save_input();
	raise(number);
}

static uint64
next_random(void)
{
	uint64		z = (state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static Size
below(Size limit)
{
	return (Size) (next_random() % limit);
}

static uint8_t
some_byte(void)
{
	static const uint8_t edges[] = {0, 1, '\n', '"', '\\', 0x1f, ' ', 0x7f, 0x80, 0xc0, 0xff};

	return below(3) == 0 ? edges[below(lengthof(edges))] : (uint8_t) next_random();
}

static void
mutate(void)
{
	for (Size times = 1 + below(8); times > 0; times--)
	{
		Size		position = below(input_size + 1);

		switch (below(3))
		{
			case 0:
				if (position < input_size)
					input[position] = some_byte();
				break;
			case 1:
				if (input_size == LARGEST_INPUT)
					break;
				memmove(input + position + 1, input + position, input_size - position);
				input[position] = some_byte();
				input_size++;
				break;
			default:
				if (position == input_size)
					break;
				input_size--;
				memmove(input + position, input + position + 1, input_size - position);
		}
	}
}

/* Most inputs are small; one in 32 may have any allowed size. */
static void
random_input(void)
{
	input_size = below(below(32) == 0 ? LARGEST_INPUT : 200);
	for (Size i = 0; i < input_size; i++)
		input[i] = some_byte();
}

static void
next_input(void)
{
	if (nseeds > 0 && below(2) == 0)
	{
		const Seed *seed = &seeds[below(nseeds)];

		input_size = Min(seed->size, LARGEST_INPUT);
		memcpy(input, seed->bytes, input_size);
		mutate();
	}
	else if (input_size > 0 && below(2) == 0)
		mutate();
	else
		random_input();
}

static uint8_t *
read_all(FILE *f, Size *n)
{
	Size		room = 65536;
	uint8_t    *bytes = malloc(room);
	Size		got;

	*n = 0;
	while ((got = fread(bytes + *n, 1, room - *n, f)) > 0)
	{
		*n += got;
		if (*n == room)
			bytes = realloc(bytes, room *= 2);
	}
	return bytes;
}

static bool
read_file(const char *path, Seed *seed)
{
	FILE	   *f = fopen(path, "rb");

	if (f == NULL)
		return false;
	seed->bytes = read_all(f, &seed->size);
	fclose(f);
	return true;
}

static bool
read_folder(const char *path)
{
	DIR		   *folder = opendir(path);
	struct dirent *entry;

	if (folder == NULL)
		return false;
	while ((entry = readdir(folder)) != NULL && nseeds < MOST_SEEDS)
	{
		char		file[1024];

		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && read_file(file, &seeds[nseeds]))
			nseeds++;
	}
	closedir(folder);
	return true;
}

static uint64
run_random(double seconds)
{
	struct timespec now;
	double		end;
	uint64		runs = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + now.tv_nsec / 1e9 + seconds;
	input_is_random = true;
	do
	{
		uint8_t    *copy;

		next_input();
		copy = exact_copy(input, input_size);
		LLVMFuzzerTestOneInput(copy, input_size);
		free(copy);
		runs++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec + now.tv_nsec / 1e9 < end);
	return runs;
}

int
main(int argc, char **argv)
{
	double		seconds = 0;
	uint64		seed_number = (uint64) time(NULL);
	int			ran = 0;

	for (int i = 1; i < argc; i++)
	{
		if (strncmp(argv[i], "-max_total_time=", 16) == 0)
			seconds = atof(argv[i] + 16);
		else if (strncmp(argv[i], "-seed=", 6) == 0)
			seed_number = strtoul(argv[i] + 6, NULL, 10);
		else if (strncmp(argv[i], "-artifact_prefix=", 17) == 0)
			artifact_prefix = argv[i] + 17;
		else if (argv[i][0] != '-' && !read_folder(argv[i]))
		{
			Seed		seed;

			if (!read_file(argv[i], &seed))
			{
				fprintf(stderr, "could not read \"%s\": %s\n", argv[i], strerror(errno));
				return 2;
			}
			LLVMFuzzerTestOneInput(seed.bytes, seed.size);
			free(seed.bytes);
			ran++;
		}
	}
	if (seconds > 0)
	{
		if (__sanitizer_set_death_callback)
			__sanitizer_set_death_callback(save_input);
		signal(SIGABRT, on_signal);
		if (!__sanitizer_set_death_callback)
			signal(SIGSEGV, on_signal);
		state = seed_number;
		printf(UINT64_FORMAT " random inputs, seed " UINT64_FORMAT "\n", run_random(seconds),
			   seed_number);
	}
	else if (ran == 0)
	{
		Size		n;
		uint8_t    *bytes = read_all(stdin, &n);

		LLVMFuzzerTestOneInput(bytes, n);
		free(bytes);
	}
	return 0;
}
