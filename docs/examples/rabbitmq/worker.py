#!/usr/bin/env python3
"""A worker: takes changes of orders from a queue, and does its work once for each."""
import json
import os

import pika
import psycopg2

EXCHANGE, ROUTING_KEY, QUEUE = "changes", "public.orders", "notices"


def handle(cursor, event):
    """The work shares a transaction with the event's id: both are committed, or neither."""
    if event["op"] in ("c", "u"):
        row = event["after"]
        cursor.execute("INSERT INTO notices VALUES (%s, %s)", (row["id"], row["status"]))


def process(database, message_id, event):
    with database, database.cursor() as cursor:  # commits, or rolls back
        cursor.execute("INSERT INTO processed VALUES (%s) ON CONFLICT DO NOTHING", (message_id,))
        if cursor.rowcount == 1:
            handle(cursor, event)


def main():
    database = psycopg2.connect("dbname=notices")
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    # One worker gets all messages, in order. When this worker dies, another one takes over. Leave that argument out if
    # the order does not matter: then workers share the messages.
    channel.queue_declare(QUEUE, durable=True, arguments={"x-single-active-consumer": True})
    channel.queue_bind(QUEUE, EXCHANGE, ROUTING_KEY)
    channel.basic_qos(prefetch_count=100)
    # Any error ends the program. Its supervisor starts it again, and the broker has each message that
    # was not acknowledged.
    for method, properties, body in channel.consume(QUEUE):
        process(database, properties.message_id, json.loads(body))
        channel.basic_ack(method.delivery_tag)


if __name__ == "__main__":
    main()
