"""Whether everything arrived: compares the events at a sink, in order of arrival, with what Postgres says,
independently of the forwarder.

The truth has three parts, each of which checks the others:

- *documents*: the output of a second slot, which pg_recvlogical reads once, at the end. No fault affects that reading,
and it does not use the forwarder. Every sink must have these documents, byte for byte and in this order.
- *changes*: the committed changes by test_decoding, which is not ours: transaction by transaction, table and operation.
The documents must match them, one for one.
- *rows*: the tables, read by SQL with row_to_json. The documents, and the arrived events, must give these rows when
they are applied to empty tables (`replay.py`).

So the second part finds an event that the plugin forgot, and the third a wrong value. The first part finds all that the
forwarder lost, doubled, swapped or changed. Pure: this module gets lists.
"""

import collections
import re
from typing import NamedTuple

from torture.replay import DDL_PREFIX, Model, ReplayError, frozen, parse

SHOWN = 5               # findings of one kind at one sink that are printed

# Kinds of findings.
LOST = "lost"           # committed, and did not arrive
TAIL = "missing tail"   # the same, up to the end
INVENTED = "invented"   # arrived, and was never committed
DOUBLED = "doubled"     # arrived twice, although the sink promises once
CHANGED = "changed"     # arrived with other bytes
ORDER = "order"         # arrived before an event that it follows
EARLY = "early"         # had not arrived when the slot had passed it
STALE = "stale"         # the last arrived event of a key is not the last committed one
ID = "id"               # sent under an id that is not the document's
ROWS = "rows"           # applying the events does not give the table
ASIDE = "set aside"     # a dead letter that its receiver never rejected
STORM = "storm"         # sent again more often than the faults explain
TRUTH = "truth"         # the parts of the truth contradict each other


class Finding(NamedTuple):
    kind: str
    sink: str
    text: str

    def __str__(self):
        return f"{self.sink}: {self.kind}: {self.text}"


class Arrival(NamedTuple):
    id: str             # the id under which it was sent
    document: bytes
    place: int = 0      # how much its receiver had, with this event: events, or bytes
    stream: str = ""    # which of the receiver's streams has it; each stream counts for itself


class Look(NamedTuple):
    """A look at a slot, and after that at a receiver."""
    confirmed: int      # LSN
    there: int          # how much the receiver had, as in Arrival.place; with several streams {stream: int}
    set_aside: int      # the same of the file of dead letters

    def has(self, arrival):
        """Whether the arrival was at the receiver."""
        there = self.there
        if isinstance(there, dict):
            there = there.get(arrival.stream, 0)
        return arrival.place <= there


class Sink(NamedTuple):
    """What arrived at one sink, oldest first."""
    name: str
    arrivals: list
    total: bool = True      # whether the sink promises the order of all events, or only of each key
    once: bool = False      # whether no event may be there twice
    late: bool = False      # whether a bad network may have delayed repeated events
    again: int = None       # how many arrivals may be copies of earlier arrivals; None: any number
    set_aside: list = ()    # Arrivals in the file of dead letters
    refused: bytes = None   # a part of a document that allows a dead letter
    looks: list = ()        # Looks at the slot and the receiver, oldest first


class Findings:
    """Collects findings. Of each kind at each sink it keeps only the first few, and counts all."""

    def __init__(self):
        self.list = []
        self.counts = collections.Counter()

    def add(self, kind, sink, text):
        self.counts[sink, kind] += 1
        if self.counts[sink, kind] <= SHOWN:
            self.list.append(Finding(kind, sink, text))

    def result(self):
        more = [Finding(kind, sink, f"{count - SHOWN} more")
                for (sink, kind), count in self.counts.items() if count > SHOWN]
        return self.list + more


def id_of(document):
    """The id in a document, which is its first member."""
    found = re.match(rb'\{"id":"(\d+-\d+)"', document)
    return found.group(1).decode() if found else None


def position(text):
    """An id as a value that sorts in the order of commits."""
    lsn, index = text.split("-")
    return int(lsn), int(index)


class Truth:
    """The documents, and the facts about each that do not depend on a sink."""

    def __init__(self, documents):
        self.documents = documents
        self.ids = [id_of(document) for document in documents]
        self.index = {name: i for i, name in enumerate(self.ids)}
        self.events = [parse(document) for document in documents]
        self.lanes = [self._lane(event) for event in self.events]
        self.previous = [None] * len(documents)     # of the same lane: index
        last = {}
        for i, lane in enumerate(self.lanes):
            self.previous[i] = last.get(lane)
            last[lane] = i
        self.last = last                            # lane: index of its last event

    @staticmethod
    def _lane(event):
        """The lane of an event: it may not overtake events of the same key in its table."""
        if event["op"] == "m":
            return ("message",)
        return event["schema"], event["table"], frozen(event.get("key"))

    def is_barrier(self, i):
        event = self.events[i]
        if event["op"] in "tm":
            return True
        before, key = event.get("before") or {}, event.get("key")
        return event["op"] == "u" and key is not None and any(
            name in before and frozen(before[name]) != frozen(key[name]) for name in key)

    def is_behind(self, i, confirmed):
        """Whether a slot at this position no longer sends the event. Ids have the LSN where the commit record
        begins."""
        return position(self.ids[i])[0] < confirmed

    def name(self, i):
        """An event as text for people."""
        event = self.events[i]
        where = event["prefix"] if event["op"] == "m" else f"{event['schema']}.{event['table']}"
        return f"{self.ids[i]} ({event['op']} {where} {event.get('key', '')})"


# The truth against itself ##########################################################################

OPS = {"INSERT": "c", "UPDATE": "u", "DELETE": "d", "TRUNCATE": "t"}
NAME = re.compile(r'(?:"(?:[^"]|"")*"|[^".]+)')


def decoded_changes(rows):
    """What test_decoding says, from its (xid, text) rows: [(xid, op, schema, table)].

    Messages have the prefix for a table; those that are not transactional the xid 0.
    """
    changes = []
    for xid, text in rows:
        if text.startswith("message: "):
            found = re.match(r"message: transactional: (\d) prefix: (.*?), sz: ", text)
            changes.append((int(xid) if found[1] == "1" else 0, "m", "", found[2]))
        elif text.startswith("table "):
            found = re.match(r"table (.*?): (INSERT|UPDATE|DELETE|TRUNCATE):", text)
            for table in found[1].split(", "):
                schema, name = (part.strip('"').replace('""', '"') for part in NAME.findall(table))
                changes.append((int(xid), OPS[found[2]], schema, name))
        elif not text.startswith(("BEGIN", "COMMIT")):
            raise ValueError(f"test_decoding says {text!r}")
    return changes


def check_changes(truth, changes, findings):
    """The documents are the changes, one for one."""
    ours = [(int(event.get("xid", 0)), event["op"], event.get("schema", ""),
             event.get("table", event.get("prefix"))) for event in truth.events]
    if ours == changes:
        return
    for i, (mine, theirs) in enumerate(zip(ours, changes)):
        if mine != theirs:
            findings.add(TRUTH, "plugin", f"test_decoding has {theirs} where the plugin has "
                                          f"{truth.name(i)}, {mine}")
            return
    more, name = (ours, "plugin") if len(ours) > len(changes) else (changes, "test_decoding")
    first = more[min(len(ours), len(changes))]
    findings.add(TRUTH, "plugin", f"only the {name} has the last "
                                  f"{abs(len(ours) - len(changes))} changes, from {first} on")


def check_ids(truth, findings):
    """Ids grow, in the order of commits."""
    for i, name in enumerate(truth.ids):
        if name is None:
            findings.add(TRUTH, "plugin", f"no id in {truth.documents[i][:80]!r}")
        elif i and truth.ids[i - 1] and position(name) <= position(truth.ids[i - 1]):
            findings.add(TRUTH, "plugin", f"{truth.name(i)} follows {truth.ids[i - 1]}")


def file_arrivals(data):
    """The lines of a file. An incomplete last line is not a good line, but it counts as present."""
    place, found = 0, []
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        place += len(line) + 1
        found.append(Arrival(id_of(line) or "?", line, place))
    return found


def check_rows(events, tables, sink, findings):
    """Applied to empty tables, the events give the tables: {(schema, table): [row as JSON]}."""
    model = Model()
    for event in events:
        try:
            model.apply(event)
        except ReplayError as error:
            findings.add(ROWS, sink, f"{event['id']} ({event['op']} {event.get('table')} "
                                     f"{event.get('key')}): {error}")
    for (schema, name), rows in sorted(tables.items()):
        have = model.rows(schema, name)
        if have is None:
            findings.add(ROWS, sink, f"{schema}.{name}: a change does not say of which row it is")
            continue
        want = sorted(repr(frozen(parse(row))) for row in rows)
        if have == want:
            continue
        missing = list((collections.Counter(want) - collections.Counter(have)).elements())
        extra = list((collections.Counter(have) - collections.Counter(want)).elements())
        text = f"{schema}.{name}: {len(want)} rows in the source, {len(have)} by the events"
        if missing:
            text += f"; not made, for instance {missing[0][:300]}"
        if extra:
            text += f"; stale, for instance {extra[0][:300]}"
        findings.add(ROWS, sink, text)
    for schema, name in sorted(set(model.tables) - set(tables)):
        if model.rows(schema, name):
            findings.add(ROWS, sink, f"{schema}.{name} is not in the source, and has rows")


# A sink against the truth ##########################################################################


def check_bytes(truth, arrivals, sink, findings):
    """Each arrival is an event of the truth, byte for byte; the indexes of those that are events."""
    indexes = []
    for arrival in arrivals:
        i = truth.index.get(arrival.id)
        if i is None:
            findings.add(INVENTED, sink, f"{arrival.id}: {arrival.document[:200]!r}")
            continue
        if arrival.document != truth.documents[i]:
            inner = id_of(arrival.document)
            if inner is not None and inner != arrival.id:
                findings.add(ID, sink, f"{inner} was sent as {arrival.id}")
            else:
                findings.add(CHANGED, sink, f"{truth.name(i)}: {arrival.document[:200]!r} "
                                            f"should be {truth.documents[i][:200]!r}")
        indexes.append(i)
    return indexes


def check_lost(truth, indexes, sink, findings):
    there = set(indexes)
    missing = [i for i in range(len(truth.ids)) if i not in there]
    end = len(truth.ids)
    while missing and missing[-1] == end - 1:
        end = missing.pop()
    if end < len(truth.ids):
        findings.add(TAIL, sink, f"the last {len(truth.ids) - end} events, from "
                                 f"{truth.name(end)} on")
    for i in missing:
        findings.add(LOST, sink, truth.name(i))


def check_storm(indexes, sink, findings):
    again = len(indexes) - len(set(indexes))
    if sink.again is not None and again > sink.again:
        findings.add(STORM, sink.name, f"{again} arrivals are copies of earlier ones, and what "
                                       f"happened explains {sink.again}; there are "
                                       f"{len(set(indexes))} events")


def check_once(truth, indexes, sink, findings):
    for i, count in collections.Counter(indexes).items():
        if count > 1:
            findings.add(DOUBLED, sink, f"{truth.name(i)}: {count} times")


def without_redeliveries(indexes):
    """Only the first arrival of each event.

    After a stall, a receiver may read data of an old connection after data of a new one. No sender can prevent that,
    but all such data are redeliveries.
    """
    return list(dict.fromkeys(indexes))


def check_total_order(truth, indexes, set_aside, sink, findings):
    """After each event comes the next event, or a redelivery: a step back to an earlier event, from which events
    continue in order. Events in `set_aside` may be missing."""
    seen = set()
    before = -1
    for i in indexes:
        step = before + 1
        while step < i and step in set_aside:
            step += 1
        if i > step:
            known = " again" if i in seen else ""
            findings.add(ORDER, sink, f"{truth.name(i)} came{known} before {truth.name(step)}")
        elif i <= before and i not in seen:
            findings.add(ORDER, sink, f"{truth.name(i)} came after {truth.name(before)}")
        seen.add(i)
        before = i


def check_key_order(truth, indexes, set_aside, sink, findings):
    """The same for the events of each key, and across barriers."""
    before = {}         # lane: the index that came last
    seen = set()
    for i in indexes:
        lane = truth.lanes[i]
        step = truth.previous[i]
        while step is not None and step in set_aside:
            step = truth.previous[step]
        # The previous event of the lane arrived last in the lane, unless this is a step back.
        last = before.get(lane)
        if last is None:
            good = step is None
        else:
            good = step == last or (i <= last and i in seen)
        if not good:
            findings.add(ORDER, sink, f"{truth.name(i)} came after "
                                      f"{truth.name(last) if last is not None else 'nothing'} "
                                      f"of its key")
        before[lane] = i
        seen.add(i)
    first = {}
    for place, i in enumerate(indexes):
        first.setdefault(i, place)
    order = sorted(first)
    latest = -1         # place of first arrival: the latest one of what precedes
    for i in order:
        if truth.is_barrier(i) and first[i] < latest:
            findings.add(ORDER, sink, f"{truth.name(i)}, a barrier, came before what precedes it")
        latest = max(latest, first[i])
    earliest = len(indexes)
    for i in reversed(order):
        if truth.is_barrier(i) and first[i] > earliest:
            findings.add(ORDER, sink, f"{truth.name(i)}, a barrier, came after what follows it")
        earliest = min(earliest, first[i])


def check_stale(truth, indexes, set_aside, sink, findings):
    """A reader that keeps the last arrived event of a key has the newest."""
    last = {}
    for i in indexes:
        last[truth.lanes[i]] = i
    for lane, i in last.items():
        newest = truth.last[lane]
        if i != newest and newest not in set_aside:
            findings.add(STALE, sink, f"{truth.name(i)} is the last that came of its key, and "
                                      f"{truth.ids[newest]} the last that was committed")


def check_confirmed(truth, sink, findings):
    """At each look, the receiver had all events that the slot had passed: after a crash they are not sent again.

    For each event the first look with a slot beyond it decides, because receivers only gain events.
    """
    def of_events(arrivals):
        found = collections.defaultdict(list)
        for arrival in arrivals:
            found[truth.index.get(arrival.id)].append(arrival)
        return found

    there, aside = of_events(sink.arrivals), of_events(sink.set_aside)
    i = 0
    for look in sink.looks:
        while i < len(truth.ids) and truth.is_behind(i, look.confirmed):
            if (not any(look.has(arrival) for arrival in there[i])
                    and all(arrival.place > look.set_aside for arrival in aside[i])):
                findings.add(EARLY, sink.name, f"{truth.name(i)} was not there when the slot was at "
                                               f"{look.confirmed}")
            i += 1


def check_sink(truth, tables, sink, findings):
    """All promises to one sink."""
    indexes = check_bytes(truth, sink.arrivals, sink.name, findings)
    aside = check_bytes(truth, sink.set_aside, sink.name + "'s dead letters", findings)
    set_aside = set(aside) - set(indexes)
    check_lost(truth, indexes + aside, sink.name, findings)
    check_confirmed(truth, sink, findings)
    check_storm(indexes, sink, findings)
    if sink.once:
        check_once(truth, indexes, sink.name, findings)
    order = check_total_order if sink.total else check_key_order
    streams = of_streams(truth, sink.arrivals)
    for stream, part in streams.items():
        # Events of another stream are not missing in this stream.
        elsewhere = set(indexes).difference(part)
        name = f"{sink.name} {stream}".rstrip()
        heard = without_redeliveries(part) if sink.late else part
        order(truth, heard, set_aside | elsewhere, name, findings)
        check_stale(truth, heard, set_aside | elsewhere, name, findings)
    for i in sorted(set(aside)):
        if sink.refused is None or sink.refused not in truth.documents[i]:
            findings.add(ASIDE, sink.name, f"{truth.name(i)} was never refused")
    # In the order of arrival; different bytes were found above. Between streams there is no such order. If events of a
    # table were set aside, no reader can have its rows.
    came = dict.fromkeys(indexes) if len(streams) < 2 else sorted(set(indexes))
    without = {truth.lanes[i][:2] for i in set_aside}
    check_rows((truth.events[i] for i in came if truth.lanes[i][:2] not in without),
               {name: rows for name, rows in tables.items() if name not in without},
               sink.name, findings)


def of_streams(truth, arrivals):
    """{stream: indexes of its arrivals that are events}"""
    found = collections.defaultdict(list)
    for arrival in arrivals:
        if arrival.id in truth.index:
            found[arrival.stream].append(truth.index[arrival.id])
    return found


def of_source(arrivals, mine, others):
    """The arrivals of one of several sources of a receiver. `mine` and `others` are sets of ids: an id in neither set
    was invented, and counts for all sources."""
    return [arrival for arrival in arrivals if arrival.id in mine or arrival.id not in others]


def check(documents, changes, tables, sinks):
    """All findings; an empty list means that all promises hold."""
    findings = Findings()
    truth = Truth(documents)
    check_ids(truth, findings)
    check_changes(truth, changes, findings)
    check_rows(truth.events, tables, "plugin", findings)
    for sink in sinks:
        check_sink(truth, tables, sink, findings)
    return findings.result()


__all__ = ["Arrival", "DDL_PREFIX", "Finding", "Look", "Sink", "Truth", "check", "decoded_changes",
           "id_of"]
