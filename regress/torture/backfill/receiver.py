"""A receiver that applies the events of a backfill and of the stream, and finds what is wrong with them.

Values are compared by their bytes in the documents. So another spelling of the same number or text is a difference. A
receiver ignores ids that it has passed, as the documentation tells receivers to.
"""

import collections
import hashlib
import json

# Prefixes of messages. Their content is the name of a table and the number of its backfill.
FORGET = "forget"       # empties the table: all of its rows are to come again
ENDED = "ended"         # that backfill is done: all rows of the table are there

SHOWN = 3               # findings of one kind that are told in full

_decoder = json.JSONDecoder()


def members(document):
    """The members of an object, as {name: raw text}. The documents have no spaces between tokens."""
    found, place = {}, 1
    while document[place] != "}":
        if document[place] == ",":
            place += 1
        name, place = _decoder.raw_decode(document, place)
        begin = place + 1       # behind the colon
        _, place = _decoder.raw_decode(document, begin)
        found[name] = document[begin:place]
    return found


def position(text):
    lsn, index = text.split("-")
    return int(lsn), int(index)


class Table:
    def __init__(self):
        self.rows = {}          # key as text: {column: text}
        self.versions = {}      # key: the newest version that was seen there
        self.gone = set()       # keys whose row was deleted, or has another key
        self.bag = collections.Counter()    # of rows without a key
        self.request = None     # number of the backfill that began with the last FORGET


class Receiver:
    """Tables by name. `findings` has, as texts, what no receiver should see. `ends` has the rows of tables at the
    ends of backfills, as documents of row_to_json(), by the content of the message that stands there."""

    def __init__(self, name, bags=(), ends=None):
        self.name = name
        self.ends = ends if ends is not None else {}
        self.bags = set(bags)   # tables whose rows are counted
        self.tables = collections.defaultdict(Table)
        self.passed = (0, -1)
        self.seen = {}          # id: digest of its document
        self.counts = collections.Counter()     # of events by op, without those that came again
        self.findings = []
        self.kinds = collections.Counter()

    def find(self, kind, text):
        self.kinds[kind] += 1
        if self.kinds[kind] <= SHOWN:
            self.findings.append(f"{self.name}: {kind}: {text}")

    def take(self, document):
        """A document, as bytes."""
        text = document.decode()
        event = members(text)
        name = json.loads(event["id"])
        digest = hashlib.blake2b(document, digest_size=8).digest()
        known = self.seen.setdefault(name, digest)
        if known != digest:
            self.find("an id twice", f"{name}: {text[:200]}")
        place = position(name)
        if place <= self.passed:
            if known is digest:
                self.find("too late", f"{name} came behind {self.passed}: {text[:200]}")
            return
        self.passed = place
        self.apply(event, text)

    def apply(self, event, text):
        op = json.loads(event["op"])
        self.counts[op] += 1
        if op == "m":
            self._message(json.loads(event["prefix"]), event["content"])
            return
        name = f'{json.loads(event["schema"])}.{json.loads(event["table"])}'
        table = self.tables[name]
        if name in self.bags:
            self._count(table, op, event, text)
        elif op == "t":
            table.gone.update(table.versions)
            table.rows.clear()
        elif op == "d":
            key = event["key"]
            table.rows.pop(key, None)
            table.gone.add(key)
        else:
            self._put(table, op, event, text)

    def _message(self, prefix, content):
        if prefix not in (FORGET, ENDED):
            return
        content = json.loads(content)
        name, number = content.split(" ")
        table = self.tables[name]
        if prefix == FORGET:
            table.rows.clear()
            table.request = number
        elif content in self.ends and table.request in (None, number):
            self.compare(name, self.ends[content], f" at the end of backfill {number}")

    def _put(self, table, op, event, text):
        key, row = event["key"], members(event["after"])
        version = int(row["v"])
        newest = table.versions.get(key, -1)
        if version < newest or (op == "r" and version == newest and key in table.gone):
            self.find("stale", f"version {newest} was there already: {text[:250]}")
        old = self._old_key(event)
        had = table.rows.get(old) or table.rows.get(key) or {}
        for column in json.loads(event.get("unchanged", "[]")):
            if column in had:
                row[column] = had[column]
        if old != key:
            table.rows.pop(old, None)
            table.gone.add(old)
        table.rows[key] = row
        table.versions[key] = max(version, newest)
        table.gone.discard(key)

    @staticmethod
    def _old_key(event):
        if event["op"] != '"u"' or "before" not in event:
            return event["key"]
        before = members(event["before"])
        columns = members(event["key"])
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{before.get(name, value)}"
                              for name, value in columns.items()) + "}"

    def _count(self, table, op, event, text):
        if op == "t":
            table.bag.clear()
            return
        if "before" in event:
            table.bag[event["before"]] -= 1
            if table.bag[event["before"]] < 0:
                self.find("no such row", text[:250])
        if "after" in event:
            table.bag[event["after"]] += 1

    # In the end

    def compare(self, name, rows, when=""):
        """Compares with the server's table: rows as documents of row_to_json()."""
        table = self.tables[name]
        if name in self.bags:
            here, there = +table.bag, collections.Counter(rows)
        else:
            here = collections.Counter(self._text(row) for row in table.rows.values())
            there = collections.Counter(self._text(members(row)) for row in rows)
        for row, count in (there - here).items():
            self.find(f"missing or old in {name}{when}", f"{count} times {self._short(row)}")
        for row, count in (here - there).items():
            self.find(f"too much in {name}{when}", f"{count} times {self._short(row)}")

    def result(self):
        more = [f"{self.name}: {kind}: {count - SHOWN} more" for kind, count in self.kinds.items() if count > SHOWN]
        return self.findings + more

    @staticmethod
    def _text(row):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{row[name]}" for name in sorted(row)) + "}"

    @staticmethod
    def _short(row):
        return row if len(row) < 200 else f"{row[:60]}…{row[-120:]}"
