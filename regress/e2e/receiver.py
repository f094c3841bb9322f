"""A receiver in tests: applies events to tables, as the documentation tells receivers to, and compares them with the
server.

Values are compared as texts: a number differs from an equal number in another spelling.
"""

import json


def parse(text):
    """A document with its numbers as they are written."""
    return json.loads(text, parse_int=lambda digits: ("number", digits), parse_float=lambda digits: ("number", digits))


def event_id(event):
    return tuple(int(part) for part in event["id"].split("-"))


class Receiver:
    """Tables by name, each {key: row}. The receiver ignores ids that it has passed."""

    def __init__(self):
        self.tables = {}
        self.passed = (0, -1)
        self.rows = 0           # events r that were applied
        self.changes = 0

    def apply(self, event):
        if event_id(event) <= self.passed:
            return
        self.passed = event_id(event)
        if event["op"] == "m":
            return
        table = self.tables.setdefault(f"{event['schema']}.{event['table']}", {})
        if event["op"] == "t":
            table.clear()
            return
        key = self._key(event["key"])
        if event["op"] == "d":
            table.pop(key, None)
            return
        self.rows += event["op"] == "r"
        self.changes += event["op"] != "r"
        old = self._old_key(event, key)
        row = dict(event["after"])
        had = table.get(old) or table.get(key) or {}
        for column in event.get("unchanged", ()):
            if column in had:
                row[column] = had[column]
        if old != key:
            table.pop(old, None)
        table[key] = row

    @staticmethod
    def _key(columns):
        return json.dumps(columns, sort_keys=True)

    def _old_key(self, event, key):
        before = event.get("before")
        if event["op"] != "u" or not before:
            return key
        return self._key({column: before[column] for column in event["key"]})

    def read(self, path):
        """All whole lines of a file; how many there were."""
        try:
            with open(path) as f:
                lines = f.read().split("\n")[:-1]
        except FileNotFoundError:
            return 0
        for line in lines:
            self.apply(parse(line))
        return len(lines)


def received(path):
    receiver = Receiver()
    receiver.read(path)
    return receiver


def rows_of(db, table, where="true"):
    """What the server has: rows, as parsed documents, in any order."""
    # The settings under which row_to_json() prints what the plugin prints.
    text = db.psql("SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; "
                   "SET bytea_output = 'hex'; SET extra_float_digits = 1; "
                   f"SELECT row_to_json(t) FROM {table} t WHERE {where}")
    return [parse(line) for line in text.split("\n") if line]


def differences(db, receiver, table, where="true"):
    """The differences between a receiver's table and the server's, in words."""
    def by_row(rows):
        return {json.dumps(row, sort_keys=True) for row in rows}
    here = by_row(receiver.tables.get(table, {}).values())
    there = by_row(rows_of(db, table, where))
    short = lambda rows: [row[:200] for row in sorted(rows)[:3]]     # noqa: E731
    if here == there:
        return ""
    return (f"{table}: {len(there - here)} rows are missing or old: {short(there - here)}; "
            f"{len(here - there)} are too many: {short(here - there)}")
