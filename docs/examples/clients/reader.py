#!/usr/bin/python3
"""Reads a slot with psycopg2, appends each change to a file, and confirms what is on disk.

    PGDATABASE=shop ./reader.py SLOT FILE
"""

import json
import os
import select
import sys

import psycopg2
from psycopg2.extras import LogicalReplicationConnection


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def main(slot, path):
    connection = psycopg2.connect("", connection_factory=LogicalReplicationConnection)
    cursor = connection.cursor()
    cursor.start_replication(slot_name=slot, decode=True, options={"transactions": "true"})
    in_transaction = False
    with open(path, "a", encoding="utf-8") as output:
        while True:
            message = cursor.read_message()
            if message is None:
                if not in_transaction:      # everything is on disk, so an idle slot moves, too
                    cursor.send_feedback(flush_lsn=cursor.wal_end)
                select.select([cursor], [], [], 10)
                continue
            event = json.loads(message.payload)
            in_transaction = event["op"] == "begin" or (in_transaction and event["op"] != "commit")
            if event["op"] not in ("begin", "commit"):
                output.write(message.payload + "\n")
            if "end_lsn" in event:          # a commit, or a message that is not transactional
                output.flush()
                os.fsync(output.fileno())
                cursor.send_feedback(flush_lsn=lsn(event["end_lsn"]), force=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
