/*
 * Publishes the same persistent message over and over, and waits for the broker's confirms, with
 * only rabbitmq-c. This is the upper bound for a RabbitMQ sink.
 *
 *     bare_rabbitmq PORT NAME BYTES MESSAGES WINDOW
 *
 * Makes a durable exchange and a durable queue of that name, empties the
 * queue, and prints messages a second; WINDOW messages wait for their confirm
 * at most.
 */
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static void
fail(const char *what)
{
	fprintf(stderr, "bare_rabbitmq: %s\n", what);
	exit(1);
}

static void
check(amqp_connection_state_t state, const char *what)
{
	if (amqp_get_rpc_reply(state).reply_type != AMQP_RESPONSE_NORMAL)
		fail(what);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Tags start from 1; all below the first one that is not confirmed are. */
static char *is_confirmed;
static uint64_t first_open = 1;
static uint64_t confirmed;

static void
confirm(uint64_t tag)
{
	confirmed += !is_confirmed[tag];
	is_confirmed[tag] = 1;
}

/* Waits for the first confirm, and takes all waiting confirms. */
static void
await_confirms(amqp_connection_state_t state)
{
	struct timeval patience = {30, 0};

	for (;;)
	{
		amqp_frame_t frame;
		amqp_basic_ack_t *ack;
		int			status;

		amqp_maybe_release_buffers(state);
		status = amqp_simple_wait_frame_noblock(state, &frame, &patience);
		if (status == AMQP_STATUS_TIMEOUT && patience.tv_sec == 0)
			return;
		if (status != AMQP_STATUS_OK)
			fail(amqp_error_string2(status));
		if (frame.frame_type != AMQP_FRAME_METHOD)
			continue;
		if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
			fail("the broker did not confirm");
		ack = frame.payload.method.decoded;
		if (ack->multiple)
		{
			for (; first_open <= ack->delivery_tag; first_open++)
				confirm(first_open);
		}
		else
			confirm(ack->delivery_tag);
		patience.tv_sec = 0;
	}
}

int
main(int argc, char **argv)
{
	amqp_connection_state_t state = amqp_new_connection();
	amqp_basic_properties_t properties = {0};
	amqp_bytes_t name;
	amqp_bytes_t body;
	amqp_bytes_t kind = amqp_cstring_bytes("fanout");
	uint64_t	messages,
				window,
				published = 0;
	double		start;

	if (argc != 6)
		fail("arguments: PORT NAME BYTES MESSAGES WINDOW");
	name = amqp_cstring_bytes(argv[2]);
	body.len = atol(argv[3]);
	body.bytes = malloc(body.len);
	if (!body.bytes)
		fail("out of memory");
	memset(body.bytes, 'x', body.len);
	messages = atol(argv[4]);
	window = atol(argv[5]);
	is_confirmed = calloc(messages + 1, 1);
	if (!is_confirmed)
		fail("out of memory");

	if (amqp_socket_open(amqp_tcp_socket_new(state), "127.0.0.1", atoi(argv[1])))
		fail("cannot connect");
	if (amqp_login(state, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type !=
		AMQP_RESPONSE_NORMAL)
		fail("cannot log in");
	amqp_channel_open(state, 1);
	check(state, "cannot open a channel");
	amqp_exchange_declare(state, 1, name, kind, 0, 1, 0, 0, amqp_empty_table);
	check(state, "cannot make the exchange");
	amqp_queue_declare(state, 1, name, 0, 1, 0, 0, amqp_empty_table);
	check(state, "cannot make the queue");
	amqp_queue_bind(state, 1, name, name, amqp_empty_bytes, amqp_empty_table);
	check(state, "cannot bind the queue");
	amqp_queue_purge(state, 1, name);
	check(state, "cannot empty the queue");
	amqp_confirm_select(state, 1);
	check(state, "no confirms");

	properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG;
	properties.content_type = amqp_cstring_bytes("application/json");
	properties.delivery_mode = 2;
	start = seconds();
	while (published < messages)
	{
		if (amqp_basic_publish(state, 1, name, amqp_empty_bytes, 1, 0, &properties, body))
			fail("cannot publish");
		if (++published - confirmed >= window)
			await_confirms(state);
	}
	while (confirmed < messages)
		await_confirms(state);
	printf("%.1f\n", messages / (seconds() - start));
	amqp_queue_purge(state, 1, name);
	return 0;
}
