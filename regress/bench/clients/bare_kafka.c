/*
 * Sends the documents of a file over and over, with only librdkafka: the upper bound for a Kafka
 * sink. Documents are compressed, so what they hold matters. Each message has a key, a value and
 * the headers that the sink writes; the producer is idempotent.
 *
 *     bare_kafka BROKER TOPIC FILE MESSAGES WINDOW [TRANSACTIONAL_ID]
 *
 * FILE has a document in each line. Prints messages a second, from the first one to the last
 * report, and the CPU time of a message in microseconds; WINDOW messages wait for their report
 * at most. With an id, all messages are in one transaction.
 */
#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
fail(const char *what)
{
	fprintf(stderr, "bare_kafka: %s\n", what);
	exit(1);
}

static void
check(rd_kafka_error_t * error)
{
	if (error)
		fail(rd_kafka_error_string(error));
}

static double
seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void
set(rd_kafka_conf_t * conf, const char *name, const char *value)
{
	char		said[512];

	if (rd_kafka_conf_set(conf, name, value, said, sizeof(said)) != RD_KAFKA_CONF_OK)
		fail(said);
}

static void
add(rd_kafka_headers_t * headers, const char *name, const char *value)
{
	rd_kafka_header_add(headers, name, strlen(name), value, strlen(value));
}

typedef struct
{
	char	   *text;
	size_t		bytes;
} Document;

/* All documents of a file; they stay allocated. */
static size_t
read_documents(const char *path, Document **documents)
{
	FILE	   *file = fopen(path, "r");
	size_t		count = 0;

	if (!file)
		fail("cannot open the file of documents");
	*documents = NULL;
	for (;;)
	{
		Document	document = {NULL, 0};
		ssize_t		bytes = getline(&document.text, &document.bytes, file);

		if (bytes <= 1)
			break;
		document.bytes = bytes - 1;
		*documents = realloc(*documents, (count + 1) * sizeof(Document));
		if (!*documents)
			fail("out of memory");
		(*documents)[count++] = document;
	}
	fclose(file);
	if (count == 0)
		fail("the file has no documents");
	return count;
}

/* Waits for the first report, and takes all waiting reports; returns their number. */
static uint64_t
take_reports(rd_kafka_queue_t * queue)
{
	uint64_t	taken = 0;

	while (!taken)
	{
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
		const		rd_kafka_message_t *message;

		if (!event)
			fail("the broker did not confirm");
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			fail(rd_kafka_event_error_string(event));
		while ((message = rd_kafka_event_message_next(event)))
		{
			if (message->err)
				fail(rd_kafka_err2str(message->err));
			taken++;
		}
		rd_kafka_event_destroy(event);
	}
	return taken;
}

int
main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *producer;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	uint64_t	messages,
				window,
				sent = 0,
				confirmed = 0;
	Document   *documents;
	size_t		count;
	char		said[512];
	double		start,
				cpu;

	if (argc != 6 && argc != 7)
		fail("arguments: BROKER TOPIC FILE MESSAGES WINDOW [TRANSACTIONAL_ID]");
	count = read_documents(argv[3], &documents);
	messages = atol(argv[4]);
	window = atol(argv[5]);
	set(conf, "bootstrap.servers", argv[1]);
	set(conf, "enable.idempotence", "true");
	set(conf, "linger.ms", "0");
	set(conf, "compression.codec", "lz4");
	set(conf, "batch.num.messages", "100000");
	set(conf, "queue.buffering.max.messages", "10000000");
	set(conf, "log_level", "0");
	if (argc == 7)
		set(conf, "transactional.id", argv[6]);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, said, sizeof(said));
	if (!producer)
		fail(said);
	queue = rd_kafka_queue_get_main(producer);
	topic = rd_kafka_topic_new(producer, argv[2], NULL);

	if (argc == 7)
	{
		check(rd_kafka_init_transactions(producer, 60000));
		check(rd_kafka_begin_transaction(producer));
	}
	start = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	while (confirmed < messages)
	{
		if (sent < messages && sent - confirmed < window)
		{
			rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
			const Document *document = &documents[sent % count];
			char		key[32];
			char		id[48];

			snprintf(key, sizeof(key), "{\"id\":%lu}", (unsigned long) sent);
			snprintf(id, sizeof(id), "%lu-%lu", (unsigned long) 123456789, (unsigned long) sent);
			add(headers, "id", id);
			add(headers, "op", "c");
			add(headers, "schema", "public");
			add(headers, "table", "bench_narrow");
			add(headers, "ts", "1700000000123456");
			add(headers, "key", "120");
			rd_kafka_vu_t parts[] = {
				{.vtype = RD_KAFKA_VTYPE_RKT,.u.rkt = topic},
				{.vtype = RD_KAFKA_VTYPE_VALUE,.u.mem = {document->text, document->bytes}},
				{.vtype = RD_KAFKA_VTYPE_KEY,.u.mem = {key, strlen(key)}},
				{.vtype = RD_KAFKA_VTYPE_MSGFLAGS,.u.i = RD_KAFKA_MSG_F_COPY},
				{.vtype = RD_KAFKA_VTYPE_HEADERS,.u.headers = headers},
			};

			check(rd_kafka_produceva(producer, parts, sizeof(parts) / sizeof(parts[0])));
			sent++;
		}
		else
			confirmed += take_reports(queue);
	}
	if (argc == 7)
		check(rd_kafka_commit_transaction(producer, 60000));
	start = seconds(CLOCK_MONOTONIC) - start;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("%.1f %.3f\n", messages / start, cpu / messages * 1e6);
	return 0;
}
