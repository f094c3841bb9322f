"""Applies documents, in their order, to an empty copy of the tables, as a reader would.

A model, not a database: it must know nothing that a reader does not know. No document says that a column was added,
dropped or renamed. So the workload writes a message in the same transaction (prefix `ddl`), which comes at the right
place of the stream.
"""

import json

DDL_PREFIX = "ddl"


class ReplayError(Exception):
    """A document that contradicts the rows of the documents before it."""


class Number(str):
    """A number as it was written, so that no digit is lost; never equal to a string."""

    __slots__ = ()

    def __eq__(self, other):
        return isinstance(other, Number) and str.__eq__(self, other)

    __hash__ = str.__hash__


def parse(document):
    return json.loads(document, parse_int=Number, parse_float=Number, parse_constant=Number)


def frozen(value):
    """A hashable form of a parsed value, equal when the value is."""
    if isinstance(value, dict):
        return ("o",) + tuple((name, frozen(value[name])) for name in sorted(value))
    if isinstance(value, list):
        return ("a",) + tuple(frozen(item) for item in value)
    if isinstance(value, Number):
        return ("n", str(value))
    return value if value is None or isinstance(value, bool) else ("s", value)


class Table:
    """Rows by key, or, where nothing identifies a row, all of them with how often each is there."""

    def __init__(self):
        self.rows = {}          # frozen values of the key: row
        self.bag = {}           # frozen row: [row, how often]
        self.known = True       # false once a change did not say which row it was

    def all(self):
        for row in self.rows.values():
            yield row
        for row, count in self.bag.values():
            for _ in range(count):
                yield row

    def put(self, row):
        self.bag.setdefault(frozen(row), [row, 0])[1] += 1

    def take(self, row):
        entry = self.bag.get(frozen(row))
        if not entry:
            raise ReplayError("its old row is not there")
        entry[1] -= 1
        if not entry[1]:
            del self.bag[frozen(row)]

    def rewrite(self, change):
        """Applies change(row) to each row."""
        for row in self.rows.values():
            change(row)
        old, self.bag = self.bag, {}
        for row, count in old.values():
            change(row)
            self.bag.setdefault(frozen(row), [row, 0])[1] += count


class Model:
    def __init__(self):
        self.tables = {}

    def table(self, schema, name):
        return self.tables.setdefault((schema, name), Table())

    def rows(self, schema, name):
        """The rows of a table, frozen and sorted; None if a reader cannot know them."""
        table = self.tables.get((schema, name))
        if table and not table.known:
            return None
        return sorted((repr(frozen(row)) for row in table.all()) if table else ())

    def apply(self, event):
        op = event["op"]
        if op == "m":
            if event["prefix"] == DDL_PREFIX:
                self._ddl(event["content"])
            return
        table = self.table(event["schema"], event["table"])
        if op == "t":
            table.rows, table.bag, table.known = {}, {}, True
        elif op == "c":
            self._insert(table, event)
        elif op == "u":
            self._update(table, event)
        elif op == "d":
            self._delete(table, event)
        else:
            raise ReplayError(f"its op is {op!r}")

    @staticmethod
    def _key(event, old=False):
        """The row's key after the event, or before it."""
        if "key" not in event:
            return None
        key, before = event["key"], event.get("before") or {}
        return tuple(frozen(before.get(name, key[name]) if old else key[name]) for name in key)

    def _insert(self, table, event):
        key = self._key(event)
        if key is None:
            table.put(dict(event["after"]))
        elif key in table.rows:
            raise ReplayError("its key is there already")
        else:
            table.rows[key] = dict(event["after"])

    @staticmethod
    def _take(table, event, key):
        """Removes the row of a key: the event's values must match the row."""
        old = table.rows.pop(key, None)
        if old is None:
            raise ReplayError("there is no row of its key")
        for name, value in (event.get("before") or {}).items():
            if name not in old or frozen(old[name]) != frozen(value):
                raise ReplayError(f"column {name} was another one before")
        return old

    def _update(self, table, event):
        key, old_key = self._key(event), self._key(event, old=True)
        row = dict(event["after"])
        if key is None:
            if "before" not in event:
                table.known = False
                return
            table.take(event["before"])
            if event.get("unchanged"):
                raise ReplayError("its old row was whole, and yet a value is missing")
            table.put(row)
            return
        old = self._take(table, event, old_key)
        for name in event.get("unchanged", ()):
            if name not in old:
                raise ReplayError(f"column {name} did not change, and never was there")
            row[name] = old[name]
        if key in table.rows:
            raise ReplayError("its new key is there already")
        table.rows[key] = row

    def _delete(self, table, event):
        key = self._key(event, old=True)
        if key is not None:
            self._take(table, event, key)
        elif "before" in event:
            table.take(event["before"])
        else:
            table.known = False

    def _ddl(self, what):
        table = self.table(what["schema"], what["table"])
        do = what["do"]
        if do != "add" and any(what["column"] not in row for row in table.all()):
            raise ReplayError(f"column {what['column']} is not there")
        if do == "add":
            table.rewrite(lambda row: row.__setitem__(what["column"], what["value"]))
        elif do == "drop":
            table.rewrite(lambda row: row.pop(what["column"]))
        elif do == "rename":
            table.rewrite(lambda row: row.__setitem__(what["to"], row.pop(what["column"])))
        elif do == "text":
            table.rewrite(lambda row: row.__setitem__(what["column"], self._text(row[what["column"]])))
        else:
            raise ReplayError(f"a message says {do!r}")

    @staticmethod
    def _text(value):
        return str(value) if isinstance(value, Number) else value
