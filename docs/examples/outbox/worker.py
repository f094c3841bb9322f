#!/usr/bin/env python3
"""Takes mails from the outbox of the shop: walspout runs it as a sink."""
import json
import sys

import psycopg2


def handle(cursor, message):
    """The work shares a transaction with the position: both are committed, or neither."""
    cursor.execute("INSERT INTO mails VALUES (%s, %s)", (message["order"], message["template"]))


def process(database, event):
    # Messages come in the order of their commits, and ids grow. So the last id is enough.
    # Ids have two numbers: as text, "9-10" comes before "9-9".
    lsn, number = event["id"].split("-")
    with database, database.cursor() as cursor:  # commits, or rolls back
        cursor.execute("UPDATE position SET lsn = %(lsn)s, number = %(number)s WHERE source = 'shop'"
                       " AND (lsn, number) < (%(lsn)s::numeric, %(number)s::bigint)", {"lsn": lsn, "number": number})
        if cursor.rowcount == 1:
            handle(cursor, event["content"])


def main():
    database = psycopg2.connect("dbname=mailer")
    for line in sys.stdin.buffer:
        event = json.loads(line)
        process(database, event)
        print(json.dumps({"id": event["id"]}), flush=True)


if __name__ == "__main__":
    main()
