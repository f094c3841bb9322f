"""The checker finds faults: each test plants one fault, and requires that the checker names it."""

import json
import random

import pytest

from torture import checker
from torture.checker import Arrival, Look, Sink


KEY_3 = b'"key":{"id":3}'


class Source:
    """A table, a key each row, and what its changes would be: documents, changes, rows."""

    def __init__(self):
        self.documents = []
        self.changes = []
        self.rows = {}
        self.lsn = 1000

    def commit(self, *events):
        self.lsn += 40
        for index, event in enumerate(events):
            table = {} if event["op"] == "m" else {"schema": "public", "table": "t"}
            document = {"id": f"{self.lsn}-{index}", "op": event.pop("op"), **table,
                        "xid": self.lsn, **event}
            self.documents.append(json.dumps(document, separators=(",", ":")).encode())
            self.changes.append((self.lsn, document["op"], table.get("schema", ""),
                                 table.get("table", event.get("prefix"))))

    def insert(self, key, body="new"):
        self.rows[key] = {"id": key, "body": body}
        return {"op": "c", "key": {"id": key}, "after": {"id": key, "body": body}}

    def update(self, key, body):
        self.rows[key] = {"id": key, "body": body}
        return {"op": "u", "key": {"id": key}, "after": {"id": key, "body": body}}

    def move(self, key, new):
        self.rows[new] = {**self.rows.pop(key), "id": new}
        return {"op": "u", "key": {"id": new}, "before": {"id": key}, "after": self.rows[new]}

    def touch(self, key):
        """An update whose WAL lacks the body."""
        return {"op": "u", "key": {"id": key}, "after": {"id": key}, "unchanged": ["body"]}

    def delete(self, key):
        del self.rows[key]
        return {"op": "d", "key": {"id": key}, "before": {"id": key}}

    def truncate(self):
        self.rows.clear()
        return {"op": "t", "cascade": False, "restart_identity": False}

    def message(self, prefix, content):
        return {"op": "m", "prefix": prefix, "transactional": True, "content": content}

    def tables(self):
        return {("public", "t"): [json.dumps(row) for row in self.rows.values()]}

    def arrivals(self):
        return [Arrival(checker.id_of(document), document) for document in self.documents]

    def check(self, arrivals, **sink):
        return checker.check(self.documents, self.changes, self.tables(),
                             [Sink("sink", arrivals, **sink)])


@pytest.fixture
def source():
    made = Source()
    made.commit(made.insert(1), made.insert(2))
    made.commit(made.truncate())
    made.commit(made.insert(1), made.insert(2), made.insert(3))
    made.commit(made.update(1, "two"))
    made.commit(made.touch(1))
    made.commit(made.move(2, 7), made.message("note", {"a": 1.50}))
    made.commit(made.delete(3))
    made.commit(made.insert(3, "again"), made.update(7, "x"), made.update(1, "three"))
    return made


def kinds(findings, sink="sink"):
    return {finding.kind for finding in findings if finding.sink == sink}


@pytest.mark.parametrize("total", [True, False])
def test_what_is_whole_is_whole(source, total):
    assert source.check(source.arrivals(), total=total, once=True) == []


@pytest.mark.parametrize("total", [True, False])
def test_redeliveries_are_none_of_its_business(source, total):
    arrivals = source.arrivals()
    again = arrivals[:9] + arrivals[4:9] + arrivals[8:] + arrivals[-3:]
    assert source.check(again, total=total) == []


@pytest.mark.parametrize("total", [True, False])
def test_each_lost_event_is_found(source, total):
    for i, arrival in enumerate(source.arrivals()[:-1]):
        arrivals = source.arrivals()
        del arrivals[i]
        found = source.check(arrivals, total=total)
        assert any(finding.kind == checker.LOST and arrival.id in finding.text
                   for finding in found), arrival


def test_a_missing_tail_is_found(source):
    found = source.check(source.arrivals()[:-3])
    assert checker.TAIL in kinds(found) and checker.LOST not in kinds(found)
    assert any(source.arrivals()[-3].id in finding.text and "last 3" in finding.text
               for finding in found)
    assert checker.TAIL in kinds(source.check([]))


def test_an_event_twice_in_a_stream_is_found(source):
    arrivals = source.arrivals()
    arrivals.insert(3, arrivals[2])
    assert source.check(arrivals) == []
    found = source.check(arrivals, once=True)
    assert kinds(found) == {checker.DOUBLED} and arrivals[2].id in found[0].text


def test_each_swap_is_found_where_all_are_in_order(source):
    for i in range(len(source.arrivals()) - 1):
        arrivals = source.arrivals()
        arrivals[i], arrivals[i + 1] = arrivals[i + 1], arrivals[i]
        assert checker.ORDER in kinds(source.check(arrivals)), i
        assert checker.ORDER in kinds(source.check(arrivals, late=True)), i


def test_swaps_are_found_where_keys_are_in_order(source):
    arrivals = source.arrivals()
    touched = [i for i, arrival in enumerate(arrivals) if b'"key":{"id":1}' in arrival.document]
    # The two updates of key 1, with another key's events between them.
    first, second = touched[2], touched[3]
    arrivals[first], arrivals[second] = arrivals[second], arrivals[first]
    found = source.check(arrivals, total=False)
    assert any(finding.kind == checker.ORDER and arrivals[first].id in finding.text
               for finding in found)
    # Different keys may come in any order, but for barriers.
    arrivals = source.arrivals()
    arrivals[-1], arrivals[-2] = arrivals[-2], arrivals[-1]
    assert source.check(arrivals, total=False) == []
    arrivals = source.arrivals()
    arrivals[1], arrivals[2] = arrivals[2], arrivals[1]         # the truncate, too early
    assert checker.ORDER in kinds(source.check(arrivals, total=False))


def test_an_event_that_is_skipped_after_a_redelivery_is_found(source):
    arrivals = source.arrivals()
    # 0..5, back to 4, and then 6 without 5: a reader that keeps the last has an old one for a while.
    skipped = arrivals[:6] + [arrivals[4]] + arrivals[6:]
    assert checker.ORDER in kinds(source.check(skipped))
    # Data of a stalled connection arrive late: no sender can prevent that.
    assert source.check(skipped, late=True) == []


def test_changed_bytes_are_found(source):
    for i, arrival in enumerate(source.arrivals()):
        arrivals = source.arrivals()
        arrivals[i] = Arrival(arrival.id, arrival.document[:-1] + b" }")
        assert checker.CHANGED in kinds(source.check(arrivals)), i
    # Of a redelivery, too.
    arrivals = source.arrivals()
    arrivals.append(Arrival(arrivals[-1].id, arrivals[-1].document.replace(b"three", b"drei")))
    assert checker.CHANGED in kinds(source.check(arrivals))


def test_an_id_that_is_another_ones_is_found(source):
    arrivals = source.arrivals()
    arrivals[3] = Arrival(arrivals[4].id, arrivals[3].document)
    assert checker.ID in kinds(source.check(arrivals))


def test_an_invented_event_is_found(source):
    arrivals = source.arrivals()
    arrivals.insert(4, Arrival("99-0", b'{"id":"99-0"}'))
    assert checker.INVENTED in kinds(source.check(arrivals))


def test_a_stale_key_is_found(source):
    arrivals = source.arrivals()
    stale = next(arrival for arrival in arrivals if b'"two"' in arrival.document)
    for total in (True, False):
        found = source.check(arrivals + [stale], total=total)
        assert any(finding.kind == checker.STALE and stale.id in finding.text
                   and arrivals[-1].id in finding.text for finding in found)


def test_dead_letters_count_as_there(source):
    arrivals = source.arrivals()
    aside = [arrivals.pop(5)]
    assert KEY_3 in aside[0].document
    assert checker.LOST in kinds(source.check(arrivals))
    assert source.check(arrivals, set_aside=aside, refused=KEY_3) == []
    changed = [Arrival(aside[0].id, aside[0].document + b" ")]
    assert checker.CHANGED in kinds(source.check(arrivals, set_aside=changed),
                                    "sink's dead letters")


def test_what_is_set_aside_and_never_was_refused_is_found(source):
    """Otherwise a forwarder that drops events while its receiver is down would pass."""
    arrivals = source.arrivals()
    aside = [arrivals.pop(5)]
    for refused in (None, b"two"):
        found = source.check(arrivals, set_aside=aside, refused=refused)
        assert any(finding.kind == checker.ASIDE and aside[0].id in finding.text
                   for finding in found)
    # Also what is there, too.
    assert checker.ASIDE in kinds(source.check(source.arrivals(), set_aside=aside))


def test_tables_of_which_nothing_was_set_aside_still_have_their_rows(source):
    other = b'{"id":"9000-0","op":"c","schema":"public","table":"o","xid":1,"after":{"a":1}}'
    aside = [source.arrivals()[5]]
    found = checker.check([*source.documents, other],
                          [*source.changes, (1, "c", "public", "o")],
                          {**source.tables(), ("public", "o"): ['{"a":2}']},
                          [Sink("sink", [*source.arrivals()[:5], *source.arrivals()[6:],
                                         Arrival("9000-0", other)],
                                set_aside=aside, refused=KEY_3)])
    assert any(finding.kind == checker.ROWS and "public.o" in finding.text
               for finding in found if finding.sink == "sink")
    assert not any("public.t" in finding.text for finding in found)


def test_a_file_that_ends_within_a_line_is_found(source):
    lines = b"".join(document + b"\n" for document in source.documents)
    assert checker.file_arrivals(lines) == placed(source.arrivals(), len)
    assert source.check(checker.file_arrivals(lines)) == []
    for torn in (source.documents[-1][:-5], b'{"id":"1'):
        found = source.check(checker.file_arrivals(lines + torn))
        assert kinds(found) & {checker.CHANGED, checker.INVENTED}


def placed(arrivals, size=None):
    """With the places that a count of events gives, or of bytes with ends of lines."""
    placed, place = [], 0
    for arrival in arrivals:
        place += size(arrival.document) + 1 if size else 1
        placed.append(arrival._replace(place=place))
    return placed


def lsn_of(arrival):
    return checker.position(arrival.id)[0]


def test_each_event_that_is_confirmed_too_early_is_found(source):
    """Though all of it is there in the end."""
    arrivals = placed(source.arrivals())
    for arrival in arrivals:
        for confirmed in (lsn_of(arrival) + 1, lsn_of(arrivals[-1]) + 1):
            looks = [Look(confirmed, arrival.place - 1, 0), Look(confirmed, len(arrivals), 0)]
            found = source.check(arrivals, looks=looks)
            assert kinds(found) == {checker.EARLY}
            assert any(arrival.id in finding.text for finding in found[:1]), (arrival, found)


def test_what_is_confirmed_behind_the_receiver_is_well(source):
    arrivals = placed(source.arrivals())
    looks = [Look(0, 0, 0)]
    looks += [Look(lsn_of(arrival), arrival.place - 1, 0) for arrival in arrivals]
    # A crash takes the slot back.
    looks[5:5] = [looks[4], looks[2]]
    assert source.check(arrivals, looks=looks) == []
    # The first time that it came counts, wherever it came again.
    assert source.check(arrivals + placed(arrivals[3:]), looks=looks) == []


def test_a_dead_letter_is_confirmed_when_it_is_written(source):
    arrivals = placed(source.arrivals())
    aside = [arrivals.pop(5)._replace(place=70)]
    arrivals = placed(arrivals)
    end = lsn_of(aside[0]) + 1
    more = {"set_aside": aside, "refused": KEY_3}
    assert source.check(arrivals, **more, looks=[Look(end, len(arrivals), 70)]) == []
    found = source.check(arrivals, **more, looks=[Look(end, len(arrivals), 69)])
    assert kinds(found) == {checker.EARLY} and aside[0].id in found[0].text


def test_what_the_plugin_forgot_or_made_up_is_found(source):
    arrivals = source.arrivals()
    for change in (lambda changes: changes.pop(4),
                   lambda changes: changes.pop(),
                   lambda changes: changes.append((9, "c", "public", "t")),
                   lambda changes: changes.insert(3, (9, "d", "public", "t"))):
        changes = list(source.changes)
        change(changes)
        found = checker.check(source.documents, changes, source.tables(), [Sink("sink", arrivals)])
        assert kinds(found, "plugin") == {checker.TRUTH}


def test_a_wrong_value_is_found_by_the_rows(source):
    tables = source.tables()
    tables["public", "t"][0] = tables["public", "t"][0].replace("three", "four")
    found = checker.check(source.documents, source.changes, tables,
                          [Sink("sink", source.arrivals())])
    assert kinds(found, "plugin") == {checker.ROWS} and "four" in found[0].text


def test_wrong_digits_are_found_by_the_rows():
    source = Source()
    source.commit(source.insert(1, 1.5))
    tables = {("public", "t"): ['{"id":1,"body":1.50}']}
    assert checker.check(source.documents, source.changes, tables, [])[0].kind == checker.ROWS
    tables = {("public", "t"): ['{"id":1,"body":"1.5"}']}
    assert checker.check(source.documents, source.changes, tables, [])[0].kind == checker.ROWS


def test_rows_without_a_key_are_compared_as_often_as_they_are_there():
    documents = [b'{"id":"8-0","op":"c","schema":"s","table":"t","xid":1,"after":{"a":1}}',
                 b'{"id":"8-1","op":"c","schema":"s","table":"t","xid":1,"after":{"a":1}}',
                 b'{"id":"8-2","op":"u","schema":"s","table":"t","xid":1,"before":{"a":1},'
                 b'"after":{"a":2}}']
    changes = [(1, op, "s", "t") for op in "ccu"]
    rows = ['{"a":1}', '{"a":2}']
    assert checker.check(documents, changes, {("s", "t"): rows}, []) == []
    assert checker.check(documents, changes, {("s", "t"): rows + rows[:1]}, [])
    assert checker.check(documents, changes, {("s", "t"): rows[:1]}, [])


def test_a_change_that_does_not_say_of_which_row_it_is_is_found():
    documents = [b'{"id":"8-0","op":"c","schema":"s","table":"t","xid":1,"after":{"a":1}}',
                 b'{"id":"8-1","op":"u","schema":"s","table":"t","xid":1,"after":{"a":2}}']
    changes = [(1, op, "s", "t") for op in "cu"]
    assert kinds(checker.check(documents, changes, {("s", "t"): ['{"a":2}']}, []),
                 "plugin") == {checker.ROWS}


@pytest.mark.parametrize("op", ["u", "d"])
def test_a_wrong_old_value_is_found(op):
    def check(before):
        source = Source()
        source.commit(source.insert(1, "old"))
        change = source.update(1, "new") if op == "u" else source.delete(1)
        source.commit({**change, "before": before})
        return source.check(source.arrivals())
    assert check({"id": 1, "body": "old"}) == [] == check({"id": 1})
    for before in ({"id": 1, "body": "odd"}, {"id": 1, "other": "old"}):
        found = check(before)
        assert kinds(found) == {checker.ROWS} and "before" in found[0].text


def test_schema_changes_are_followed():
    source = Source()
    ddl = {"schema": "public", "table": "t"}
    source.commit(source.insert(1))
    source.commit(source.message("ddl", {**ddl, "do": "add", "column": "n", "value": 0}))
    source.commit(source.message("ddl", {**ddl, "do": "rename", "column": "n", "to": "m"}))
    source.commit(source.message("ddl", {**ddl, "do": "text", "column": "m"}))
    source.commit(source.message("ddl", {**ddl, "do": "drop", "column": "body"}))
    tables = {("public", "t"): ['{"id":1,"m":"0"}']}
    assert checker.check(source.documents, source.changes, tables,
                         [Sink("sink", source.arrivals())]) == []


def test_copies_beyond_the_budget_are_found(source):
    arrivals = source.arrivals()
    again = arrivals[:5] + arrivals[2:5] + arrivals[2:]
    assert source.check(again) == source.check(again, again=6) == []
    found = source.check(again, again=5)
    assert kinds(found) == {checker.STORM} and "6 arrivals" in found[0].text


def in_streams(arrivals, count=2):
    """As a receiver with several streams has them: each event in one, by its table or none."""
    placed, streams = [], [0] * count
    for arrival in arrivals:
        stream = 1 if b'"op":"m"' in arrival.document else 0
        streams[stream] += 1
        placed.append(arrival._replace(stream=f"s{stream}", place=streams[stream]))
    return placed


def test_streams_have_an_order_each_and_none_between_them(source):
    source.commit(source.message("note", 1), source.insert(11), source.message("note", 2))
    arrivals = in_streams(source.arrivals())
    one = [arrival for arrival in arrivals if arrival.stream == "s0"]
    other = [arrival for arrival in arrivals if arrival.stream == "s1"]
    assert len(other) == 3
    for whole in (arrivals, one + other, other + one):
        assert source.check(whole, once=True) == []
    assert checker.ORDER in kinds(source.check(one + other[::-1]), "sink s1")
    for i in range(len(one) - 1):
        swapped = one[:i] + [one[i + 1], one[i]] + one[i + 2:]
        assert checker.ORDER in kinds(source.check(swapped + other), "sink s0"), i
    assert checker.LOST in kinds(source.check(one + other[1:]))
    assert checker.LOST in kinds(source.check(one[1:] + other))


def test_what_a_stream_lacks_another_one_does_not_make_up_for(source):
    arrivals = in_streams(source.arrivals())
    end = lsn_of(arrivals[-1]) + 1
    there = {"s0": len(arrivals) - 1, "s1": 1}
    assert source.check(arrivals, looks=[Look(end, there, 0)]) == []
    for lacks in ({"s0": len(arrivals) - 2, "s1": 2}, {"s0": len(arrivals)}):
        assert checker.EARLY in kinds(source.check(arrivals, looks=[Look(end, lacks, 0)]))


def test_each_source_is_told_apart_at_one_receiver(source):
    """Two have the same table and the same keys. What one lost is found, although the other has it."""
    other = Source()
    other.lsn = 1010
    other.commit(other.insert(1), other.insert(2))
    other.commit(other.update(1, "of the other"))
    both = sorted(source.arrivals() + other.arrivals(), key=lambda a: checker.position(a.id))
    ids = [{arrival.id for arrival in made.arrivals()} for made in (source, other)]

    def check(arrivals):
        return [made.check(checker.of_source(arrivals, ids[i], ids[1 - i]))
                for i, made in enumerate((source, other))]
    assert check(both) == [[], []]
    for lost in both:
        found = check([arrival for arrival in both if arrival is not lost])
        which = 0 if lost.id in ids[0] else 1
        assert any(lost.id in finding.text for finding in found[which]) and not found[1 - which]
    invented = check([*both, Arrival("5-0", b'{"id":"5-0","op":"c"}')])
    assert all(checker.INVENTED in kinds(found) for found in invented)


def test_test_decoding_is_understood():
    rows = [("7", "BEGIN 7"), ("7", 'table public.t: INSERT: id[integer]:1 body[text]:\'x: y\''),
            ("7", 'table public."odd.""name": DELETE: (no-tuple-data)'),
            ("7", "table public.a, public.b: TRUNCATE: restart_seqs cascade"),
            ("7", "message: transactional: 1 prefix: ddl, sz: 3 content:a\nb"),
            ("7", "COMMIT 7"), ("8", "message: transactional: 0 prefix: p, sz: 0 content:")]
    assert checker.decoded_changes(rows) == [
        (7, "c", "public", "t"), (7, "d", "public", 'odd."name'), (7, "t", "public", "a"),
        (7, "t", "public", "b"), (7, "m", "", "ddl"), (0, "m", "", "p")]


def test_a_thousand_random_faults_are_all_found(source):
    """One random fault each: the checker finds every broken promise."""
    chance = random.Random(1)
    for _ in range(1000):
        arrivals = source.arrivals()
        i, j = chance.sample(range(len(arrivals)), 2)
        fault = chance.choice(["lose", "swap", "flip", "repeat"])
        if fault == "lose":
            del arrivals[i]
        elif fault == "swap":
            arrivals[i], arrivals[j] = arrivals[j], arrivals[i]
        elif fault == "flip":
            document = bytearray(arrivals[i].document)
            document[chance.randrange(len(document))] ^= 1
            arrivals[i] = Arrival(arrivals[i].id, bytes(document))
        else:
            arrivals.insert(i, arrivals[j])
        try:
            found = source.check(arrivals, once=True)
        except (ValueError, KeyError, TypeError):
            pytest.fail(f"{fault} {i} {j} made the checker fail")
        assert found, (fault, i, j)
