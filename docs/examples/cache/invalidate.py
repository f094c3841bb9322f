#!/usr/bin/env python3
"""Tells the cache of changes: walspout runs it as a sink."""
import json
import sys

import cache

for line in sys.stdin.buffer:
    event = json.loads(line)
    table = f"{event['schema']}.{event['table']}"
    if event["op"] == "t":
        cache.forget_all(table)
    else:
        key = event["key"]
        cache.forget(table, key)
        # Where the key changed, the row is gone at the old key.
        old = event.get("before") or {}
        if any(name in old and old[name] != key[name] for name in key):
            cache.forget(table, {name: old[name] for name in key})
    print(json.dumps({"id": event["id"]}), flush=True)
