#!/usr/bin/env python3
"""Reads a topic as one of a group, and does its work once for each event."""
import json
import os

import psycopg2
from confluent_kafka import Consumer, KafkaError, KafkaException

TOPIC = "shop.public.orders"


def handle(cursor, event):
    """The work shares a transaction with the event's id: both are committed, or neither."""
    if event["op"] in ("c", "u"):
        row = event["after"]
        cursor.execute("INSERT INTO notices VALUES (%s, %s)", (row["id"], row["status"]))


def process(database, events):
    with database, database.cursor() as cursor:  # commits, or rolls back
        for event in events:
            cursor.execute("INSERT INTO processed VALUES (%s) ON CONFLICT DO NOTHING", (event["id"],))
            if cursor.rowcount == 1:
                handle(cursor, event)


def main():
    database = psycopg2.connect("dbname=notices")
    consumer = Consumer({
        "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092"),
        "group.id": "notices",
        "isolation.level": "read_committed",  # transactions of walspout that were aborted are left out
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 10_000,  # after this time another consumer takes over from a dead one
    })
    consumer.subscribe([TOPIC])
    # An error ends the program. Its supervisor restarts the program, which continues at the group's offsets.
    while True:
        events = []
        for message in consumer.consume(100, timeout=1):
            if not message.error():
                events.append(json.loads(message.value()))
            elif message.error().code() != KafkaError.UNKNOWN_TOPIC_OR_PART:  # the first event creates the topic
                raise KafkaException(message.error())
        if events:
            process(database, events)
            consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main()
