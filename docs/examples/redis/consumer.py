#!/usr/bin/env python3
"""Reads a stream as one consumer of a group: consumer.py NAME"""
import json
import os
import sys

import psycopg2
import redis

STREAM = "walspout:shop:public.orders"
GROUP = "notices"
CLAIM_AFTER_MS = int(os.environ.get("CLAIM_AFTER_MS", 60_000))  # longer than any event takes


def handle(cursor, event):
    """The work shares a transaction with the event's id: both are committed, or neither."""
    if event["op"] in ("c", "u"):
        row = event["after"]
        cursor.execute("INSERT INTO notices VALUES (%s, %s)", (row["id"], row["status"]))


def process(database, event):
    with database, database.cursor() as cursor:  # commits, or rolls back
        cursor.execute("INSERT INTO processed VALUES (%s) ON CONFLICT DO NOTHING", (event["id"],))
        if cursor.rowcount == 1:
            handle(cursor, event)


def consume(store, database, name):
    try:
        store.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
    position = "0-0"
    while True:
        # First take entries that a dead or failed consumer did not finish. One at a time: an entry that always fails
        # delays no other.
        position, entries = store.xautoclaim(STREAM, GROUP, name, CLAIM_AFTER_MS, position, count=1)[:2]
        if not entries:
            answer = store.xreadgroup(GROUP, name, {STREAM: ">"}, count=10, block=1000)
            entries = [entry for _, found in answer for entry in found]
        for entry_id, fields in entries:
            process(database, json.loads(fields["data"]))
            with store.pipeline(transaction=True) as done:
                done.xack(STREAM, GROUP, entry_id)
                done.xdel(STREAM, entry_id)  # leave this out if the stream has other groups
                done.execute()


if __name__ == "__main__":
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
    # Any error ends the program. Its supervisor starts it again, and no entry is lost.
    consume(redis.Redis.from_url(url, decode_responses=True), psycopg2.connect("dbname=notices"), sys.argv[1])
