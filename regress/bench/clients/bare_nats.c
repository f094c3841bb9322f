/*
 * Publishes the same message over and over to a stream of JetStream, and waits for
 * acknowledgements, with only libnats. This is the upper bound for a NATS sink that uses this
 * library.
 *
 *     bare_nats PORT STREAM BYTES MESSAGES WINDOW
 *
 * Each message has an id and the headers of an event. Prints messages a
 * second, and microseconds of CPU a message; WINDOW messages wait for their
 * acknowledgement at most.
 */
#include <nats/nats.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void
check(natsStatus status, const char *what)
{
	if (status == NATS_OK)
		return;
	fprintf(stderr, "bare_nats: %s: %s\n", what, natsStatus_GetText(status));
	exit(1);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static double
cpu(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
		(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void
failed(jsCtx * js, jsPubAckErr * error, void *closure)
{
	(void) js;
	(void) closure;
	fprintf(stderr, "bare_nats: not acknowledged: %s\n", error->ErrText);
	exit(1);
}

int
main(int argc, char **argv)
{
	natsConnection *connection = NULL;
	jsCtx	   *js = NULL;
	jsOptions	options;
	char		url[64],
				subject[128],
				id[64];
	char	   *body;
	long		bytes,
				messages,
				published;
	double		start,
				used;

	if (argc != 6)
	{
		fprintf(stderr, "bare_nats: arguments: PORT STREAM BYTES MESSAGES WINDOW\n");
		return 1;
	}
	snprintf(url, sizeof(url), "nats://127.0.0.1:%s", argv[1]);
	snprintf(subject, sizeof(subject), "%s.public.bench", argv[2]);
	bytes = atol(argv[3]);
	messages = atol(argv[4]);
	body = malloc(bytes);
	if (!body)
		return 1;
	memset(body, 'x', bytes);

	check(natsConnection_ConnectTo(&connection, url), "cannot connect");
	jsOptions_Init(&options);
	options.PublishAsync.MaxPending = atol(argv[5]);
	options.PublishAsync.StallWait = 60000;
	options.PublishAsync.ErrHandler = failed;
	check(natsConnection_JetStream(&js, connection, &options), "no JetStream");
	check(js_PurgeStream(js, argv[2], NULL, NULL), "cannot empty the stream");

	start = seconds();
	used = cpu();
	for (published = 0; published < messages; published++)
	{
		natsMsg    *message = NULL;

		snprintf(id, sizeof(id), "%ld-%ld", (long) start, published);
		check(natsMsg_Create(&message, subject, NULL, body, (int) bytes), "out of memory");
		check(natsMsgHeader_Set(message, "Nats-Msg-Id", id), "no header");
		check(natsMsgHeader_Set(message, "id", id), "no header");
		check(natsMsgHeader_Set(message, "op", "c"), "no header");
		check(natsMsgHeader_Set(message, "schema", "public"), "no header");
		check(natsMsgHeader_Set(message, "table", "bench"), "no header");
		check(natsMsgHeader_Set(message, "ts", "2026-11-20T11:22:33.123456Z"), "no header");
		check(js_PublishMsgAsync(js, &message, NULL), "cannot publish");
		natsMsg_Destroy(message);
	}
	check(js_PublishAsyncComplete(js, NULL), "not acknowledged");
	printf("%.1f %.3f\n", messages / (seconds() - start), (cpu() - used) / messages * 1e6);
	check(js_PurgeStream(js, argv[2], NULL, NULL), "cannot empty the stream");
	return 0;
}
