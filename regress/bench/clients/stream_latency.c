/*
 * Reads a Redis stream as its entries come. For each entry it prints the commit time in its
 * document, in microseconds since 1970, and how many microseconds later the entry arrived.
 *
 *     stream_latency SOCKET STREAM WARM_UP_SECONDS
 *
 * Reads entries that are added from now on. At the end of its standard input it prints all samples
 * and ends. Entries that arrive during the warm-up are left out.
 */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH "1000"
#define BLOCK_MS "200"

struct Sample
{
	int64_t		committed;
	int64_t		latency;
};

static struct Sample *samples;
static size_t count;
static size_t room;

static int64_t
now_micros(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* "2026-11-20T11:22:33.123456Z" after "ts": in the document; 0 if it has none. */
static int64_t
commit_micros(const char *document)
{
	const char *ts = strstr(document, "\"ts\":\"");
	struct tm	tm = {0};
	int			micros;

	if (!ts || sscanf(ts + 6, "%d-%d-%dT%d:%d:%d.%6d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
					  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &micros) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t) timegm(&tm) * 1000000 + micros;
}

static void
fail(const char *what)
{
	fprintf(stderr, "stream_latency: %s\n", what);
	exit(1);
}

static void
keep(int64_t committed, int64_t now)
{
	if (count == room)
	{
		room = room ? room * 2 : 1 << 16;
		samples = realloc(samples, room * sizeof(*samples));
		if (!samples)
			fail("out of memory");
	}
	samples[count].committed = committed;
	samples[count++].latency = now - committed;
}

int
main(int argc, char **argv)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};
	char		last[64] = "$";
	int64_t		from;
	redisContext *redis;

	if (argc != 4)
		fail("arguments: SOCKET STREAM WARM_UP_SECONDS");
	redis = redisConnectUnix(argv[1]);
	if (!redis || redis->err)
		fail("cannot connect");
	from = now_micros() + (int64_t) (atof(argv[3]) * 1e6);
	puts("ready");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
	{
		redisReply *reply = redisCommand(redis, "XREAD COUNT " BATCH " BLOCK " BLOCK_MS
										 " STREAMS %s %s", argv[2], last);
		int64_t		now = now_micros();
		redisReply *entries;

		if (!reply || reply->type == REDIS_REPLY_ERROR)
			fail(reply ? reply->str : redis->errstr);
		if (reply->type == REDIS_REPLY_NIL)
		{
			freeReplyObject(reply);
			continue;
		}
		/* One stream: its name and its entries, each an id and a list of fields. */
		entries = reply->element[0]->element[1];
		for (size_t i = 0; i < entries->elements; i++)
		{
			redisReply *fields = entries->element[i]->element[1];
			int64_t		committed = commit_micros(fields->element[1]->str);

			if (committed && now >= from)
				keep(committed, now);
		}
		snprintf(last, sizeof(last), "%s",
				 entries->element[entries->elements - 1]->element[0]->str);
		freeReplyObject(reply);
	}
	for (size_t i = 0; i < count; i++)
		printf("%lld %lld\n", (long long) samples[i].committed, (long long) samples[i].latency);
	return 0;
}
