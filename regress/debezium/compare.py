"""Events of Debezium's connector and of the dialect `debezium`, side by side.

An event is a pair of key and value, each what JSON gives. Values are the same if they are equal after parsing: neither the order
of members nor the spelling of numbers is compared.
"""

import collections
import json

MISSING = object()

# Names of known differences that are not rules: records that the connector writes and the dialect does not.
KEYLESS = "tombstones of rows without a key"
EMPTY = "BEGIN and END of a transaction without events"

# path: the names of the members from "key" or "value" on. context: the event of the connector, to look around in.
Difference = collections.namedtuple("Difference", "path theirs ours context")


def of_text(text):
    """A parsed key or value. None if it is missing, or a null."""
    return None if text is None or text == "null" else json.loads(text)


def table_of(event):
    source = (event[1] or {}).get("source") or {}
    return source.get("table")


def differences(theirs, ours, path=(), context=None):
    """Compares two values completely, depth first."""
    context = theirs if context is None else context
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in {**theirs, **ours}:
            yield from differences(theirs.get(name, MISSING), ours.get(name, MISSING), (*path, name), context)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, pair in enumerate(zip(theirs, ours)):
            yield from differences(*pair, (*path, number), context)
    elif type(theirs) is bool or type(ours) is bool:
        if theirs is not ours:
            yield Difference(path, theirs, ours, context)
    elif theirs != ours and not (theirs != theirs and ours != ours):
        yield Difference(path, theirs, ours, context)


def without_tombstones(events):
    """([those that have a value], [what is wrong with the others], how many deletes without a key have one).

    After each delete comes a tombstone with its key, and nowhere else. The sinks send tombstones for deletes with a
    key, which their own tests check.
    """
    kept, faults, keyless = [], [], 0
    for number, event in enumerate(events):
        if event[1] is None:
            continue
        kept.append(event)
        after = events[number + 1] if number + 1 < len(events) else (None, {})
        is_delete = event[1].get("op") == "d"
        if is_delete != (after[1] is None) or (is_delete and after[0] != event[0]):
            faults.append(f"Debezium has {'no' if is_delete else 'a'} tombstone behind {describe(event)}")
        keyless += is_delete and event[0] is None
    return kept, faults, keyless


def until_finish(events):
    """Those before the table "finish", and before the begin of its transaction."""
    kept = []
    for event in events:
        if event[1] is not None and table_of(event) == "finish":
            break
        kept.append(event)
    if kept and kept[-1][1] is not None and kept[-1][1].get("status") == "BEGIN":
        kept.pop()
    return kept


def without_empty_transactions(events):
    """Without those that have no event, and how many they were."""
    kept, dropped = [], 0
    for event in events:
        if event[1].get("status") == "END" and kept and kept[-1][1].get("status") == "BEGIN":
            kept.pop()
            dropped += 1
        else:
            kept.append(event)
    return kept, dropped


def in_order(value):
    """The counts of an END by name: they are a set."""
    if value.get("data_collections"):
        return {**value, "data_collections": sorted(value["data_collections"], key=lambda one: one["data_collection"])}
    return value


def show(value):
    return "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False)


def describe(event):
    value = event[1]
    return f"{value.get('op') or value.get('status')} {table_of(event) or ''}".strip()


def compare(theirs, ours, known):
    """([what is wrong], {name of a known difference: how often it was there})."""
    used = collections.Counter()
    theirs, faults, used[KEYLESS] = without_tombstones(until_finish(theirs))
    ours = until_finish(ours)
    theirs, used[EMPTY] = without_empty_transactions(theirs)
    shapes = [[describe(event) for event in events] for events in (theirs, ours)]
    if shapes[0] != shapes[1]:
        at = next((n for n, pair in enumerate(zip(*shapes)) if pair[0] != pair[1]), min(map(len, shapes)))
        faults.append(f"{len(theirs)} and {len(ours)} events, others from number {at} on: "
                      f"{shapes[0][max(at - 2, 0):at + 4]} and {shapes[1][max(at - 2, 0):at + 4]}")
    for number, (their, our) in enumerate(zip(theirs, ours)):
        if describe(their) != describe(our):
            break
        pair = [{"key": event[0], "value": in_order(event[1])} for event in (their, our)]
        for found in differences(*pair):
            name = next((name for name, is_it in known if is_it(found)), None)
            if name:
                used[name] += 1
            else:
                faults.append(f"event {number}, {describe(their)}: {'.'.join(map(str, found.path))}: "
                              f"Debezium {show(found.theirs)[:300]}, here {show(found.ours)[:300]}")
    return faults, +used
