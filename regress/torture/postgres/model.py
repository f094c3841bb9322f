"""What the target must have, computed from the log of the source's triggers and from the commit times.

This model does not use the stream. A change is a row of `truth.changes`: a number, the transaction, the table, the
operation, and the row before and after as text. The number grows in the order of the changes of a row. Pure.
"""

import collections
import json
from decimal import Decimal
from typing import NamedTuple

SHOWN = 3               # findings of one kind that are told in full


class Change(NamedTuple):
    number: int
    transaction: int
    at: int             # when it was committed, in microseconds
    table: str
    op: str             # i, u, d, t
    old: str            # JSON; None where there is no such row
    new: str


class Version(NamedTuple):
    row: str
    start: int
    end: int            # None: it is the row
    deleted: bool


def key_of(row, columns):
    """Numbers that are equal are one key, however they are written."""
    values = json.loads(row, parse_int=Decimal, parse_float=Decimal)
    return tuple(values[name] for name in columns)


def transactions(changes):
    """[(at, changes)], in the order of commits."""
    found = collections.defaultdict(list)
    for change in sorted(changes):
        found[change.transaction].append(change)
    return sorted(((all_[0].at, all_) for all_ in found.values()), key=lambda one: (one[0], one[1][0].number))


class Table:
    """One table as each mode must have it. columns: of its key; none: it has no key."""

    def __init__(self, columns=()):
        self.columns = columns
        self.rows = {}          # key: row
        self.open = {}          # key: (row, start)
        self.closed = []        # Versions
        self.kept = {}          # key: [row, when it was deleted]
        self.all = []           # rows of a table without a key, each time that they were written

    def apply(self, at, changes):
        """A transaction."""
        touched = set()
        for change in changes:
            self._change(at, change, touched)
        for key in touched:
            self._next_version(at, key)

    def _change(self, at, change, touched):
        if not self.columns:
            if change.new is not None:
                self.all.append(change.new)
            return
        if change.op == "t":
            touched.update(self.rows)
            self.rows.clear()
            for kept in self.kept.values():
                kept[1] = at if kept[1] is None else kept[1]
            return
        old = key_of(change.old, self.columns) if change.old is not None else None
        new = key_of(change.new, self.columns) if change.new is not None else None
        if old is not None:
            self.rows.pop(old)
            touched.add(old)
        if new is None:
            self.kept[old][1] = at
            return
        if old not in (None, new):
            self.kept.pop(old)
        self.rows[new] = change.new
        self.kept[new] = [change.new, None]
        touched.add(new)

    def _next_version(self, at, key):
        row, before = self.rows.get(key), self.open.get(key)
        if before and before[0] == row:
            return
        if before:
            self.closed.append(Version(before[0], before[1], at, row is None))
            del self.open[key]
        if row is not None:
            self.open[key] = (row, at)

    # What the target must have, as lists of things that can be compared

    def clone(self):
        return list(self.rows.values())

    def append(self):
        """[(row, when it was deleted)]"""
        return [(row, None) for row in self.all] + [tuple(kept) for kept in self.kept.values()]

    def history(self):
        return self.closed + [Version(row, start, None, False) for row, start in self.open.values()]


def replay(changes, keys):
    """{table: Table} after all changes. keys: {table: columns of its key}"""
    tables = {name: Table(columns) for name, columns in keys.items()}
    for at, all_ in transactions(changes):
        by_table = collections.defaultdict(list)
        for change in all_:
            by_table[change.table].append(change)
        for name, some in by_table.items():
            tables[name].apply(at, some)
    return tables


def compare(what, wanted, found):
    """Findings, as texts."""
    wanted, found = collections.Counter(wanted), collections.Counter(found)
    for kind, rest in (("missing", wanted - found), ("too much", found - wanted)):
        for number, (one, count) in enumerate(sorted(rest.items(), key=repr)):
            if number == SHOWN:
                yield f"{what}: {kind}: {len(rest) - SHOWN} more"
                break
            yield f"{what}: {kind}: {count} times {str(one)[:300]}"


def gaps(what, versions, columns):
    """Findings of versions that overlap or are empty, whatever the truth is: rows as Versions."""
    by_key = collections.defaultdict(list)
    for version in versions:
        by_key[key_of(version.row, columns)].append(version)
    for key, all_ in by_key.items():
        all_.sort(key=lambda version: (version.start, version.end is None, version.end or 0))
        for version in all_:
            if version.end is not None and version.end <= version.start:
                yield f"{what}: an empty version of {key}: {version}"[:400]
        for one, other in zip(all_, all_[1:]):
            if one.end is None or one.end > other.start:
                yield f"{what}: versions of {key} overlap: {one} and {other}"[:600]
            elif one.end < other.start and not one.deleted:
                yield f"{what}: a gap behind a version of {key} that was not deleted: {one} and {other}"[:600]
