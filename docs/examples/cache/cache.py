"""A cache of rows in Redis that never keeps an old row: the keys, and what an application reads."""
import json
import os
import uuid

import redis

LIFETIME = 3600  # seconds; bounds what an unused row costs
HOLD = 30  # seconds; longer than a reader takes between its query and its SET

store = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), decode_responses=True)


def generation(table):
    """A part of each key of the table. TRUNCATE deletes the generation, so readers no longer find the table's keys."""
    name = f"cache:{table}"
    while not (found := store.get(name)):
        store.set(name, uuid.uuid4().hex, nx=True)
    return found


def row_key(table, current, key):
    return f"cache:{table}:{current}:{json.dumps(key, sort_keys=True)}"


def read(database, table, query, key):
    """The row with that key, as a dict; None if there is none. query has names of the key: %(id)s."""
    name = row_key(table, generation(table), key)  # before the query
    if kept := store.get(name):  # an empty value is a hold
        return json.loads(kept)
    with database, database.cursor() as cursor:
        cursor.execute(query, key)
        found = cursor.fetchone()
    row = found and dict(zip([column.name for column in cursor.description], found))
    # NX: a change may have set a hold meanwhile, and this row may be older than that change.
    store.set(name, json.dumps(row, default=str), nx=True, ex=LIFETIME)
    return row


def forget(table, key):
    """Call this for each change of the row. Repeated calls, in any order, have the same effect."""
    if current := store.get(f"cache:{table}"):
        store.set(row_key(table, current, key), "", ex=HOLD)


def forget_all(table):
    store.delete(f"cache:{table}")
