#!/usr/bin/env python3
"""Keeps a search index of articles: walspout runs `index.py FILE` as a sink."""
import json
import os
import sqlite3
import sys

COLUMNS = ["title", "body"]


def open_index(path):
    index = sqlite3.connect(path, isolation_level=None)
    index.executescript("""
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        CREATE VIRTUAL TABLE IF NOT EXISTS articles USING fts5(title, body);
        CREATE TABLE IF NOT EXISTS position (lsn INTEGER, number INTEGER);
        INSERT INTO position SELECT -1, -1 WHERE NOT EXISTS (SELECT 1 FROM position);
    """)
    return index


def upsert(index, event):
    """Columns that did not change may be missing: they keep the value that the index has."""
    row = event["after"]
    old = (event.get("before") or event["key"])["id"]  # the old key, if the key changed
    values = {name: row[name] for name in COLUMNS if name in row}
    assignments = "".join(f", {name} = :{name}" for name in values)
    names = {**values, "old": old, "new": row["id"]}
    if old != row["id"]:
        index.execute("DELETE FROM articles WHERE rowid = :new", names)
    if index.execute(f"UPDATE articles SET rowid = :new{assignments} WHERE rowid = :old", names).rowcount == 0:
        index.execute(f"INSERT INTO articles (rowid{''.join(f', {name}' for name in values)}) "
                      f"VALUES (:new{''.join(f', :{name}' for name in values)})", names)


def apply(index, event):
    # Ids grow, but as two numbers: as text, "9-10" comes before "9-9". Events that come again change nothing.
    position = tuple(int(part) for part in event["id"].split("-"))
    if position <= index.execute("SELECT lsn, number FROM position").fetchone():
        return
    if event["op"] == "t":
        index.execute("DELETE FROM articles")
    elif event["op"] == "d":
        index.execute("DELETE FROM articles WHERE rowid = ?", (event["key"]["id"],))
    else:
        upsert(index, event)
    index.execute("UPDATE position SET lsn = ?, number = ?", position)


def main():
    index = open_index(sys.argv[1])
    rest = b""
    while data := os.read(0, 1 << 20):  # all that is there goes into one transaction
        *lines, rest = (rest + data).split(b"\n")
        events = [json.loads(line) for line in lines]
        index.execute("BEGIN")
        for event in events:
            apply(index, event)
        index.execute("COMMIT")
        for event in events:
            print(json.dumps({"id": event["id"]}))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
