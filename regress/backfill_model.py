#!/usr/bin/python3
"""An executable model of the backfill: whether its rules lose or revert a value, in any order of steps.

    regress/backfill_model.py [--seconds N]

The model has one table, its transactions, the forwarder with its backfill, and a receiver. It searches every order of
steps of small cases, and random orders of larger ones. The rules as they are built must have no counterexample. Each
planted mistake must have one, and its shortest is printed. The exit status is 1 where one of these does not hold.

The server. A table has keys and two columns: n, which each update sets, and body, which is TOASTed. The event of an
update that leaves body alone calls body unchanged. A transaction locks rows, writes its commit record, and becomes
visible later. Between the last two steps it is decoded, and snapshots show it as running. A snapshot is an xmax and a
set of running transactions. TRUNCATE and a rewriting ALTER TABLE lock the table, and snapshots do not save the old rows.

The forwarder. It reads a chunk of rows, or the keys that it has to read again, under a snapshot. Then it commits a
mark, which is a separate transaction in the WAL. It places the chunk where the mark comes in the stream. Changes that
are newer than the snapshot were delivered before the mark, and are merged into the rows:

    insert, update with all columns     the receiver has the row: the row that was read is dropped
    delete, truncate, update of the key the row that was read is dropped
    update with unchanged columns       the row goes out with the event's values and, for unchanged columns, its own
    update of the key, or insert, with unchanged columns
                                        the new key is read again later

Keys are read again between chunks, or at the end. If there are too many, all of them are dropped, and the backfill
begins again after another barrier. The backfill has ended when all rows are read, placed and saved, and no key waits.

The receiver ignores events whose id it has passed.

What must hold:
G1     at each boundary, each value that the receiver has is that of the source at that commit.
G2     a key that the saved cursor has passed is complete at the receiver, or is not in the source.
FINAL  when all was delivered and the backfill has ended, receiver and source are equal.
"""

import argparse
import random
import sys
import time
from collections import deque

UNCHANGED, MISSING = -2, -1
NEW, ACTIVE, GAP, DONE, ABORTED = range(5)              # a transaction; GAP: committed and not visible yet
IDLE, SNAPSHOT, READ, MARKED, PLACED = range(5)         # the backfill
MARK = 100                                              # in the log: MARK + number of the mark
ROUNDS = 7

RULES = {
    "barrier": True,          # no snapshot while transactions run that began before the backfill
    "lock_first": True,       # the table is locked before the snapshot
    "window": "visible",      # newer changes are those that the snapshot does not see; "lsn": those after the snapshot
    "keep": True,             # delivered transactions are kept until a snapshot sees them; False: since the chunk began
    "place": "mark",          # "now": place a chunk as soon as it was read
    "nonce": True,            # marks of an earlier life mean nothing
    "id": "mark",             # the rows' id; "last": the id of the previous transaction
    "partial": "merge",       # "drop": rows with a partial event are dropped; "row": they are sent as read
    "complete_stays": True,   # False: after a complete and a partial event the row is sent as read
    "truncate": True,         # an invisible TRUNCATE drops rows
    "moved": True,            # a key that changes with unchanged columns is read again
    "moved_after": True,      # ... after the scan: if the old key waits to be read again
    "entered": True,          # an insert with unchanged columns, which enters the row filter, likewise
    "until_end": True,        # ... until the backfill has ended; False: until all rows were read
    "early": True,            # keys may be read again before all rows were read, too
    "new_barrier": True,      # too many keys: the backfill begins again after another barrier
    "adds_at_once": True,     # keys are added again once that barrier is taken; False: once it is passed
    "saves_begin": True,      # the new begin of the backfill is saved before anything is confirmed
    "again_stays": True,      # a key that is added again while it is read stays among the keys to read again
    "save_keys": True,        # the keys to read again are saved with the cursor, and before confirming
    "save": "durable",        # the cursor; "placed": as soon as it was placed
    "save_all": True,         # ... and all events before the chunk, too
    "hold": True,             # the first delivered transaction that is not visible, and later ones, are not confirmed
    "forget_ids": False,      # the receiver takes each event again
    "filter": None,           # the publication's row filter, by key
    "filter_rows": True,      # the chunk's query applies the row filter
}

FIELDS = ("state", "op", "xid", "next_xid", "last_xid", "tip", "seen", "locks", "table_lock", "events", "log",
          "sources", "on", "at", "confirmed", "barrier", "cursor", "saved", "again", "saved_again", "pending", "phase",
          "snapshot", "image", "rows", "end", "kind", "asked", "window", "mark", "next_mark", "rounds", "since",
          "crashes", "queue", "receiver", "passed", "furthest", "boundary", "late", "ended", "adds", "overflows",
          "begins_again")


class Case:
    def __init__(self, keys, rows, transactions, chunk=1, crashes=0, running=False, overflows=0):
        """running: transactions may run when the slot is created. overflows: how often keys may be too many."""
        self.keys, self.transactions, self.chunk, self.overflows = keys, transactions, chunk, overflows
        self.crashes, self.running = crashes, running
        self.rows = tuple((0, 100 + key) if key in rows else None for key in range(keys))


class State:
    __slots__ = FIELDS

    def copy(self):
        other = State.__new__(State)
        for field in FIELDS:
            setattr(other, field, getattr(self, field))
        return other

    def key(self):
        return tuple(getattr(self, field) for field in FIELDS)


def put(values, index, value):
    return values[:index] + (value,) + values[index + 1:]


def first_state(case):
    s, n = State(), len(case.transactions)
    s.state, s.op, s.xid, s.next_xid, s.last_xid = (NEW,) * n, (0,) * n, (0,) * n, 1, 0
    s.tip = s.seen = case.rows
    s.locks, s.table_lock, s.events = (-1,) * case.keys, -1, ((),) * n
    s.log, s.sources = (), (case.rows,)
    s.on, s.at, s.confirmed, s.barrier, s.since = False, 0, 0, 0, 0
    s.cursor = s.saved = -1
    s.again = s.saved_again = s.pending = s.asked = frozenset()
    s.phase, s.snapshot, s.image, s.rows, s.end, s.kind, s.window = IDLE, None, None, (), -1, "", 0
    s.mark, s.next_mark, s.rounds, s.crashes, s.boundary = -1, 0, 0, case.crashes, 0
    s.queue, s.receiver, s.passed, s.furthest = (), (None,) * case.keys, (-1,), -1
    s.ended = False
    s.adds = True                                       # keys to read again, though no row was read
    s.overflows, s.begins_again = case.overflows, False  # the latter is not saved
    s.late = False                                      # a row entered the filter, in part, after the end
    return s


# The server ----------------------------------------------------------------------------------------------------------

def keys_of(op):
    """u k: update of n; ub k: of both; i, d k; m k k2: the key changes; mb k k2: and body; t: TRUNCATE; w: rewrite."""
    return list(op[1:])


def is_blocked(s, rules, t, op):
    if s.table_lock not in (-1, t):
        return True
    if keys_of(op):
        return any(s.locks[key] not in (-1, t) for key in keys_of(op))
    return any(owner not in (-1, t) for owner in s.locks) or (s.phase == SNAPSHOT and rules["lock_first"])


def events_of(s, rules, op, n, body):
    """Changes the newest rows; what is published of that."""
    name, published = op[0], rules["filter"] or (lambda key: True)
    if name in ("u", "ub"):
        key, row = op[1], s.tip[op[1]]
        if not row:
            return []
        s.tip = put(s.tip, key, (n, body if name == "ub" else row[1]))
        return [("u", key, n, body if name == "ub" else UNCHANGED)] if published(key) else []
    if name == "i":
        if s.tip[op[1]]:
            return []
        s.tip = put(s.tip, op[1], (n, body))
        return [("i", op[1], n, body)] if published(op[1]) else []
    if name == "d":
        if not s.tip[op[1]]:
            return []
        s.tip = put(s.tip, op[1], None)
        return [("d", op[1])] if published(op[1]) else []
    if name in ("m", "mb"):
        old, new, row = op[1], op[2], s.tip[op[1]]
        if not row or s.tip[new]:
            return []
        s.tip = put(put(s.tip, old, None), new, (n, body if name == "mb" else row[1]))
        sent = body if name == "mb" else UNCHANGED
        if published(old) and published(new):
            return [("m", old, new, n, sent)]
        if published(new):
            return [("i", new, n, sent)]
        return [("d", old)] if published(old) else []
    s.table_lock = -2                                   # set by the caller
    if name == "t":
        s.tip = (None,) * len(s.tip)
        return [("t",)]
    return []


def do_op(s, case, rules, t):
    op, n = case.transactions[t][s.op[t]], 10 * t + s.op[t] + 1
    if s.state[t] == NEW:
        s.state, s.xid, s.next_xid = put(s.state, t, ACTIVE), put(s.xid, t, s.next_xid), s.next_xid + 1
    for key in keys_of(op):
        s.locks = put(s.locks, key, t)
    events = events_of(s, rules, op, n, 1000 + n)
    if s.table_lock == -2:
        s.table_lock = t
    if s.on:                                            # the slot has none of what was written before
        s.events = put(s.events, t, s.events[t] + tuple(events))
    s.op = put(s.op, t, s.op[t] + 1)


def merged(s, t, old, new):
    """`old`, except that the values which a transaction has locked come from `new`."""
    if s.table_lock == t:
        return new
    return tuple(new[key] if s.locks[key] == t else row for key, row in enumerate(old))


def do_commit(s, t):
    s.sources += (merged(s, t, s.sources[-1], s.tip),)
    s.log += (t,)
    s.state = put(s.state, t, GAP)


def do_show(s, t):
    if s.table_lock == t and s.phase == SNAPSHOT:
        s.image = (None,) * len(s.seen)                 # snapshots do not save the old rows
    s.seen = merged(s, t, s.seen, s.tip)
    end_transaction(s, t, DONE)


def do_abort(s, t):
    s.tip = merged(s, t, s.tip, s.seen)
    end_transaction(s, t, ABORTED)


def end_transaction(s, t, state):
    s.state = put(s.state, t, state)
    s.locks = tuple(-1 if owner == t else owner for owner in s.locks)
    s.table_lock = -1 if s.table_lock == t else s.table_lock
    s.last_xid = max(s.last_xid, s.xid[t])


def is_running(s, t):
    return s.state[t] in (ACTIVE, GAP)


# The forwarder -------------------------------------------------------------------------------------------------------

def is_partial(event):
    return event[0] in "uim" and event[-1] == UNCHANGED


def joins(event, rules):
    """The key that an event adds to the keys to read again, or None."""
    if not is_partial(event):
        return None
    if event[0] == "m" and rules["moved"]:
        return event[2]
    return event[1] if event[0] == "i" and rules["entered"] else None


def may_lack_columns(s, event, rules):
    """Once all rows have been placed, a row that moves is whole, unless it waits to be read again."""
    if s.ended or not (s.adds or s.cursor >= 0):
        return False
    if s.cursor < len(s.receiver):
        return True
    if event[0] == "i":
        return rules["until_end"]
    return rules["moved_after"] and event[1] in s.again


def do_deliver(s, rules):
    item = s.log[s.at]
    s.at += 1
    if item >= MARK:
        if s.phase == MARKED and item - MARK == s.mark:
            do_place(s, rules)
        return
    for event in s.events[item]:
        key = joins(event, rules)
        if key is not None and may_lack_columns(s, event, rules):
            s.again |= {key}
        elif key is not None and event[0] == "i":
            s.late = s.late or s.ended                  # as without a backfill
    s.queue += (((s.at, 0, 0), item),)


def do_overflow(s, rules):
    """Called when too many keys must be read again: the backfill begins again."""
    s.overflows -= 1
    s.again, s.pending, s.cursor, s.phase, s.begins_again = frozenset(), frozenset(), -1, IDLE, True
    forget_chunk(s)
    if rules["new_barrier"]:
        s.barrier, s.adds = None, False


def do_take_barrier(s, rules):
    s.barrier, s.adds = s.next_xid, rules["adds_at_once"]


def do_snapshot(s, case, rules, kind):
    s.kind, s.adds = kind, True
    s.asked = s.again if s.kind == "again" else frozenset()
    xmax = s.last_xid + 1
    running = frozenset(s.xid[t] for t in range(len(s.state)) if is_running(s, t) and s.xid[t] < xmax)
    s.snapshot, s.image, s.phase = (xmax, running), s.seen, SNAPSHOT
    s.window = len(s.log) if rules["window"] == "lsn" else s.at


def do_read(s, case, rules):
    published = (rules["filter_rows"] and rules["filter"]) or (lambda key: True)
    there = [key for key in range(case.keys) if s.image[key] and published(key)]
    if s.kind == "scan":
        keys = [key for key in there if key > s.cursor][:case.chunk]
        s.end = keys[-1] if len(keys) == case.chunk else case.keys
    else:
        keys, s.end = [key for key in there if key in s.asked], s.cursor
    s.rows, s.image, s.phase = tuple((key,) + s.image[key] for key in keys), None, READ


def do_mark(s, rules):
    s.mark, s.next_mark = s.next_mark, s.next_mark + 1
    s.log += (MARK + s.mark,)
    s.sources += (s.sources[-1],)
    s.phase = MARKED
    if rules["place"] == "now":
        do_place(s, rules)


def is_newer(s, rules, position, t):
    if rules["window"] == "lsn":
        return position >= s.window
    return s.xid[t] >= s.snapshot[0] or s.xid[t] in s.snapshot[1]


def newer_events(s, rules):
    begin = s.since if rules["keep"] else s.window
    return [event for position in range(begin, s.at) if s.log[position] < MARK
            and is_newer(s, rules, position, s.log[position]) for event in s.events[s.log[position]]]


def lay_over(rows, events, rules):
    """The rows to send: {key: (n, body)}."""
    out, have, dropped = dict(rows), set(), set()
    for event in events:
        name, key = event[0], event[1] if len(event) > 1 else None
        if name == "t":
            if rules["truncate"]:
                out.clear()
        elif name == "d":
            out.pop(key, None)
        elif name == "u" and is_partial(event):
            if key in out and rules["partial"] == "merge":
                out[key] = (event[2], out[key][1])
            elif rules["partial"] == "drop":
                out.pop(key, None)
            if not rules["complete_stays"] and key in dropped and key in rows:
                out[key] = (event[2], rows[key][1])
        elif name in "ui":
            out.pop(key, None)
            dropped.add(key)
        else:
            out.pop(key, None)
            out.pop(event[2], None)
    return out


def last_transaction(s):
    return max((position + 1 for position in range(s.at) if s.log[position] < MARK), default=0)


def do_place(s, rules):
    events = newer_events(s, rules)
    rows = lay_over({row[0]: row[1:] for row in s.rows}, events, rules)
    place = s.at if rules["id"] == "mark" else last_transaction(s)
    for i, key in enumerate(sorted(rows)):
        s.queue += (((place, 1, i), (key,) + tuple(rows[key])),)
    stay = {joins(event, rules) for event in events} if rules["again_stays"] else set()
    s.pending = s.asked - stay
    s.again, s.cursor, s.phase, s.boundary = s.again - s.pending, s.end, PLACED, s.at
    s.rounds += 1
    if rules["save"] == "placed":
        do_save(s, rules)
    forget_chunk(s)


def do_save(s, rules):
    s.saved, s.pending, s.begins_again = s.cursor, frozenset(), False
    if rules["save_keys"]:
        s.saved_again = s.again
    s.phase = IDLE


def forget_chunk(s):
    s.snapshot, s.image, s.rows, s.asked, s.end, s.kind, s.mark, s.window = None, None, (), frozenset(), -1, "", -1, 0


def may_save(s, rules):
    """Whether the whole chunk is durable, and all events before it."""
    return not any(where[1] or (rules["save_all"] and where[0] <= s.boundary) for where, _ in s.queue)


def most_to_confirm(s, rules):
    most = s.at
    if s.queue:
        most = min(where[0] - (1 if where[1] == 0 else 0) for where, _ in s.queue)
    if rules["hold"]:
        for position in range(most):
            if s.log[position] < MARK and s.state[s.log[position]] == GAP:
                return position
    return most


def do_crash(s, rules):
    s.crashes -= 1
    s.queue, s.at, s.since = (), s.confirmed, s.confirmed
    s.cursor, s.again, s.pending, s.phase, s.begins_again = s.saved, s.saved_again, frozenset(), IDLE, False
    if not rules["nonce"]:
        s.next_mark = 0
    forget_chunk(s)


# The receiver --------------------------------------------------------------------------------------------------------

def apply_events(rows, events):
    rows = list(rows)
    for event in events:
        name = event[0]
        if name == "t":
            rows = [None] * len(rows)
        elif name == "d":
            rows[event[1]] = None
        else:
            old, new = (event[1], event[2]) if name == "m" else (event[1], event[1])
            had = rows[old] or rows[new]
            body = event[-1] if event[-1] != UNCHANGED else (had[1] if had else MISSING)
            rows[old] = None
            rows[new] = (event[-2], body)
    return tuple(rows)


def do_apply(s, rules):
    """The next event, or row, arrives. Returns what is wrong then, or None."""
    (where, what), s.queue = s.queue[0], s.queue[1:]
    if not rules["forget_ids"]:
        if where <= s.passed:
            return None
        s.passed = where
    if where[1]:
        s.receiver = put(s.receiver, what[0], what[1:])
    else:
        s.receiver = apply_events(s.receiver, s.events[what])
    if where[0] < s.furthest:
        return None                                     # a repetition: only without ids
    s.furthest = where[0]
    return wrong_at(s, rules, where[0])


def shown(rules, rows):
    published = rules["filter"] or (lambda key: True)
    return tuple(row if published(key) else None for key, row in enumerate(rows))


def is_equal(s, row, source):
    """A row that enters a row filter lacks unchanged columns, also without a backfill."""
    return row == source or (s.late and row and source and row == (source[0], MISSING))


def wrong_at(s, rules, position):
    source = shown(rules, s.sources[position])
    for key, row in enumerate(s.receiver):
        if row and not source[key]:
            return f"G1: the receiver has key {key}, and the source has not, at {position}"
        if row and (row[0] != source[key][0] or row[1] not in (MISSING, source[key][1])):
            return f"G1: key {key} is {row}, and in the source {source[key]}, at {position}"
    if position == s.at and not s.queue and not s.begins_again:
        for key, row in enumerate(s.receiver):
            open_keys = s.again | s.saved_again | s.pending
            if key <= s.saved and key not in open_keys and not is_equal(s, row, source[key]):
                return f"G2: key {key} is done and is {row}, and in the source {source[key]}, at {position}"
    return None


def wrong_at_end(s, case, rules):
    """None: it is not the end. Empty: all is well."""
    running = any(state < DONE for state in s.state)
    if running or not s.on or s.phase or s.at < len(s.log) or s.queue or s.cursor < case.keys or s.again:
        return None
    if not all(is_equal(s, row, source) for row, source in zip(s.receiver, shown(rules, s.tip))):
        return f"FINAL: the receiver has {s.receiver}, and the source {shown(rules, s.tip)}"
    return ""


# Steps ---------------------------------------------------------------------------------------------------------------

def may_read(s, rules):
    old = any(is_running(s, t) and s.xid[t] < s.barrier for t in range(len(s.state)))
    return not (rules["lock_first"] and s.table_lock != -1) and not (rules["barrier"] and old)


def steps(s, case, rules, at_once):
    """All steps that are possible. at_once: rows arrive, and the cursor is saved, as soon as they can."""
    for t, ops in enumerate(case.transactions):
        if s.state[t] in (NEW, ACTIVE):
            if s.op[t] == len(ops):
                yield ("commit", t)
            elif not is_blocked(s, rules, t, ops[s.op[t]]):
                yield ("op", t)
            elif s.state[t] == ACTIVE:
                yield ("abort", t)
        elif s.state[t] == GAP:
            yield ("show", t)
    if not s.on:
        yield ("start",)
        return
    if s.at < len(s.log):
        yield ("deliver",)
    if s.phase == IDLE and (s.cursor < case.keys or s.again) and s.rounds < ROUNDS:
        if s.barrier is None:
            yield ("barrier",)
        elif may_read(s, rules):
            if s.cursor < case.keys:
                yield ("snapshot",)
            if s.again and (rules["early"] or s.cursor >= case.keys):
                yield ("reread",)
    if s.phase == IDLE and s.cursor >= case.keys and not s.again and not s.ended and s.saved == s.cursor \
            and not s.saved_again:
        yield ("end",)
    if s.again and s.overflows and not s.ended:
        yield ("overflow",)
    if s.phase == SNAPSHOT and s.table_lock == -1:
        yield ("read",)
    if s.phase == READ:
        yield ("mark",)
    if at_once:
        return
    if s.queue:
        yield ("apply",)
    if s.phase == PLACED and may_save(s, rules):
        yield ("save",)
    if s.confirmed < most_to_confirm(s, rules):
        yield ("confirm",)
    if s.crashes:
        yield ("crash",)


def do(s, step, case, rules, at_once):
    """The next state, and what is wrong with it."""
    s, name, wrong = s.copy(), step[0], None
    if name == "start":
        s.on, s.at, s.confirmed, s.since = True, len(s.log), len(s.log), len(s.log)
        s.barrier, s.furthest, s.passed, s.boundary = s.next_xid, len(s.log), (len(s.log), 0, 0), len(s.log)
    elif name == "apply":
        wrong = do_apply(s, rules)
    elif name == "confirm":
        s.confirmed = most_to_confirm(s, rules)
        if rules["save_keys"]:
            s.saved_again = s.again | s.pending
        if s.begins_again and rules["saves_begin"]:
            s.saved, s.begins_again = -1, False
    elif name == "end":
        s.ended = True
    else:
        {"op": lambda: do_op(s, case, rules, step[1]), "commit": lambda: do_commit(s, step[1]),
         "show": lambda: do_show(s, step[1]), "abort": lambda: do_abort(s, step[1]),
         "deliver": lambda: do_deliver(s, rules), "snapshot": lambda: do_snapshot(s, case, rules, "scan"),
         "reread": lambda: do_snapshot(s, case, rules, "again"), "overflow": lambda: do_overflow(s, rules),
         "barrier": lambda: do_take_barrier(s, rules),
         "read": lambda: do_read(s, case, rules), "mark": lambda: do_mark(s, rules),
         "save": lambda: do_save(s, rules), "crash": lambda: do_crash(s, rules)}[name]()
    if at_once:
        while s.queue and not wrong:
            wrong = do_apply(s, rules)
        if s.phase == PLACED:
            do_save(s, rules)
    return s, wrong


def in_words(step, s, case):
    if step[0] == "op":
        return f"T{step[1]}:{','.join(map(str, case.transactions[step[1]][s.op[step[1]]]))}"
    return f"T{step[1]}.{step[0]}" if len(step) > 1 else step[0]


class Search:
    """Every order of steps, the short ones first."""

    def __init__(self, case, rules, limit=400_000, only=""):
        self.states, self.ends, self.wrong, self.way, self.complete = 0, 0, None, [], True
        at_once = case.crashes == 0
        s = first_state(case)
        if not case.running:
            s, _ = do(s, ("start",), case, rules, at_once)
        known, waiting = {s.key()}, deque([(s, None)])
        while waiting:
            if self.states >= limit:
                self.complete = False
                return
            s, way = waiting.popleft()
            self.states += 1
            for step in steps(s, case, rules, at_once):
                after, wrong = do(s, step, case, rules, at_once)
                way_after = (in_words(step, s, case), way)
                if not wrong:
                    wrong = wrong_at_end(after, case, rules)
                    self.ends += wrong == ""
                if wrong and not wrong.startswith(only):
                    wrong = None                        # another mistake of this kind is looked for
                if wrong:
                    self.wrong = wrong
                    while way_after:
                        self.way.insert(0, way_after[0])
                        way_after = way_after[1]
                    return
                if not wrong and after.key() not in known:
                    known.add(after.key())
                    waiting.append((after, way_after))


def random_case(rng):
    keys, transactions = rng.choice((3, 4, 5)), []
    for _ in range(rng.randint(2, 5)):
        ops = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            key = rng.randrange(keys)
            other = rng.choice([each for each in range(keys) if each != key])
            ops.append(rng.choice([("u", key)] * 4 + [("ub", key), ("i", key), ("i", key), ("d", key), ("d", key)]
                                  + [("m", key, other)] * 4 + [("mb", key, other)]
                                  + ([("t",), ("w",)] if rng.random() < .25 else [])))
        transactions.append(tuple(ops))
    rows = [key for key in range(keys) if rng.random() < .75]
    return Case(keys, rows, tuple(transactions), rng.choice((1, 2, 3)), rng.choice((0, 1, 2)), rng.random() < .5,
                rng.choice((0, 0, 1, 2)))


def random_run(case, rules, rng, most=600):
    """(what is wrong, the steps)"""
    s, way = first_state(case), []
    if not case.running:
        s, _ = do(s, ("start",), case, rules, False)
    slow = rng.random() < .5
    weights = {"crash": .08, "abort": .05, "deliver": rng.choice((.2, 1, 3)), "op": rng.choice((.3, 1, 3)),
               "show": .25 if slow else 1.5, "start": .3, "confirm": .5, "end": .3, "overflow": .15}
    for _ in range(most):
        possible = list(steps(s, case, rules, False))
        if not possible:
            break
        step = rng.choices(possible, [weights.get(each[0], 1.2) for each in possible])[0]
        way.append(in_words(step, s, case))
        s, wrong = do(s, step, case, rules, False)
        wrong = wrong or wrong_at_end(s, case, rules)
        if wrong:
            return wrong, way
        if wrong == "" and not s.crashes:
            break
    return None, way


# What is searched ----------------------------------------------------------------------------------------------------

def rules_with(**changes):
    return {**RULES, **changes}


def outside(key):
    return key != 0


U0 = ((("u", 0),),)

MISTAKES = [
    ("window by LSN instead of visibility", {"window": "lsn", "keep": False}, Case(2, [0], U0), "FINAL"),
    ("no barrier at the start", {"barrier": False}, Case(2, [0], U0, running=True), "FINAL"),
    ("no lock before the snapshot, and the table is rewritten", {"lock_first": False}, Case(2, [0], ((("w",),),)), "FINAL"),
    ("what was delivered before the chunk is not kept", {"keep": False}, Case(2, [0], U0), "G1"),
    ("placed at once, not at the mark (a value reverts)", {"place": "now"}, Case(2, [0], U0), ""),
    ("placed at once, not at the mark (for good)", {"place": "now"}, Case(2, [0], ((("m", 0, 1), ("i", 0)),)), "FINAL"),
    ("a mark of an earlier life counts", {"nonce": False}, Case(2, [0], U0, crashes=1), ""),
    ("ids without the mark", {"id": "last"}, Case(3, [0, 1], ()), "FINAL"),
    ("rows that a partial event concerns are dropped", {"partial": "drop"}, Case(2, [0], U0), "FINAL"),
    ("rows go out as read despite a partial event", {"partial": "row"}, Case(2, [0], U0), "G1"),
    ("a partial event after a complete one revives the row", {"complete_stays": False},
     Case(2, [0], ((("ub", 0), ("u", 0)),)), "G1"),
    ("an invisible TRUNCATE drops no row", {"truncate": False}, Case(2, [0], ((("t",),),)), "FINAL"),
    ("a changed key is not read again", {"moved": False}, Case(3, [1, 2], ((("m", 2, 0),),)), "FINAL"),
    ("a key that waits to be read again changes, and the new one is not read", {"moved_after": False},
     Case(3, [1, 2], ((("m", 2, 0),), (("m", 0, 2),))), "FINAL"),
    ("a row that enters the filter is not read again", {"filter": outside, "entered": False},
     Case(2, [0], ((("m", 0, 1),),)), "FINAL"),
    ("a row that enters the filter after all rows were read is not read again", {"filter": outside, "until_end": False},
     Case(2, [0], ((("m", 0, 1),),)), "FINAL"),
    ("begun again without another barrier", {"new_barrier": False}, Case(3, [1, 2], ((("m", 2, 0),),), overflows=1), "FINAL"),
    ("begun again, keys are added from when the barrier is passed", {"adds_at_once": False},
     Case(3, [1, 2], ((("m", 2, 0),), (("m", 1, 2),)), overflows=1), "FINAL"),
    ("confirmed before it is saved that the backfill begins again", {"saves_begin": False},
     Case(3, [1, 2], ((("m", 2, 0),),), crashes=1, overflows=1), "FINAL"),
    ("the chunk's query lacks the filter", {"filter": outside, "filter_rows": False}, Case(2, [0, 1], ((("d", 0),),)), ""),
    ("the keys to read again are not saved", {"save_keys": False}, Case(3, [1, 2], ((("m", 2, 0),),), crashes=1), "FINAL"),
    ("a key that is moved again while it is read is forgotten", {"again_stays": False},
     Case(3, [1, 2], ((("m", 2, 0),), (("m", 0, 2), ("m", 2, 0)))), "FINAL"),
    ("the cursor is saved when the chunk is placed", {"save": "placed"}, Case(2, [0], (), crashes=1), "FINAL"),
    ("the cursor is saved before the events before it", {"save_all": False},
     Case(2, [0, 1], ((("ub", 1),), (("ub", 0),)), chunk=2, crashes=1), "G2"),
    ("confirmed beyond what no snapshot has shown", {"hold": False}, Case(2, [0], U0, crashes=1), "FINAL"),
    ("the receiver takes ids that it has passed", {"forget_ids": True},
     Case(2, [0], ((("m", 0, 1), ("i", 0)),), crashes=1), "FINAL"),
]


def with_crash():
    return [Case(2, [0], U0, crashes=1, running=True), Case(2, [0], ((("m", 0, 1),),), crashes=1),
            Case(2, [1], ((("m", 1, 0),),), crashes=1), Case(2, [0], ((("d", 0), ("i", 0)),), crashes=1),
            Case(2, [0, 1], ((("t",),),), chunk=2, crashes=1), Case(2, [0], ((("w",),),), crashes=1),
            Case(2, [0], ((("m", 0, 1), ("i", 0)),), chunk=2, crashes=1),
            Case(3, [1, 2], ((("m", 2, 0),),), crashes=1, overflows=1)]


def find_mistakes():
    good = True
    for name, changes, case, only in MISTAKES:
        rules = rules_with(**changes)
        found = Search(case, rules, 150_000, only)
        wrong, way = found.wrong, found.way
        if not wrong:
            wrong, way = shortest_random(rules, only)
        print(f"  {'found ' if wrong else 'MISSED'} {name}")
        if wrong:
            print(f"           {wrong}\n           {' > '.join(way)}")
        good = good and bool(wrong)
    return good


def shortest_random(rules, only, runs=6000):
    rng, best = random.Random(1), (None, [])
    for _ in range(runs):
        wrong, way = random_run(random_case(rng), rules, rng)
        if wrong and wrong.startswith(only) and (not best[0] or len(way) < len(best[1])):
            best = wrong, way
    return best


def search_rules(cases, name, rules, seconds, limit=60_000):
    began, states, ends, cut, good = time.monotonic(), 0, 0, 0, True
    for case in cases:
        if time.monotonic() - began > seconds:
            cut += 1
            continue
        found = Search(case, rules, limit)
        states, ends, cut = states + found.states, ends + found.ends, cut + (not found.complete)
        if found.wrong:
            good = False
            print(f"  WRONG    {case.transactions}: {found.wrong}\n           {' > '.join(found.way)}")
    print(f"  {'good ' if good else 'WRONG'} {name}: {len(cases)} cases, {states} states, {ends} ends, {cut} cut short")
    return good


def search_random(name, rules, seconds):
    rng, began, runs, taken, wrongs = random.Random(7), time.monotonic(), 0, 0, []
    while time.monotonic() - began < seconds:
        wrong, way = random_run(random_case(rng), rules, rng)
        runs, taken = runs + 1, taken + len(way)
        if wrong:
            wrongs.append((len(way), wrong, way))
    print(f"  {'WRONG' if wrongs else 'good '} {name}: {runs} runs, {taken} steps, {len(wrongs)} wrong")
    if wrongs:
        _, wrong, way = min(wrongs)
        print(f"           {wrong}\n           {' > '.join(way)}")
    return not wrongs


def hot_row_ends(rounds=7):
    """Whether a row that is updated in each chunk, body unchanged, does not hold up the backfill."""
    case, rules = Case(3, [0, 1, 2], U0 * rounds), rules_with()
    s, _ = do(first_state(case), ("start",), case, rules, True)
    for t in range(rounds):
        for step in (("snapshot",), ("op", t), ("commit", t), ("deliver",), ("read",), ("mark",), ("deliver",), ("show", t)):
            if step in list(steps(s, case, rules, True)):
                s, wrong = do(s, step, case, rules, True)
                if wrong:
                    return False
    return wrong_at_end(s, case, rules) == ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=30, help="for the searches without a mistake")
    budget = parser.parse_args().seconds
    good = True
    print("planted mistakes:")
    good &= find_mistakes()
    print("the rules, every order of steps:")
    ops = [("u", 0), ("ub", 0), ("d", 0), ("i", 1), ("m", 0, 1), ("m", 2, 1), ("m", 0, 2), ("t",), ("w",)]
    pairs = [(a, b, 1 + (i + j) % 2) for i, a in enumerate(ops) for j, b in enumerate(ops[i:])]
    good &= search_rules(with_crash(), "a crash", RULES, budget * .3, 200_000)
    good &= search_rules([Case(3, [0, 2], ((a,), (b,)), chunk) for a, b, chunk in pairs], "two transactions", RULES,
                         budget * .25)
    good &= search_rules([Case(3, [0, 2], ((a,), (b,)), chunk, overflows=1) for a, b, chunk in pairs if "m" in (a[0], b[0])],
                         "two, and too many keys", RULES, budget * .15)
    good &= search_rules([Case(3, [0, 2], ((a, b),), chunk, running=True) for a, b, chunk in pairs],
                         "one that may run at the start", RULES, budget * .15)
    print("the rules, random orders of steps:")
    good &= search_random("without a filter", RULES, budget * .2)
    good &= search_random("with a row filter", rules_with(filter=outside), budget * .1)
    hot = hot_row_ends()
    print(f"  {'good ' if hot else 'WRONG'} a row that is updated in each chunk")
    sys.exit(not (good and hot))


if __name__ == "__main__":
    main()
