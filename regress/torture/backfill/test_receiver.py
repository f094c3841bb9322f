"""The receiver of the torture finds faults: each test plants one fault, and requires that the receiver names it."""

import pytest

from torture.backfill.receiver import Receiver, members


def event(place, op, key, v=1, body="b", **more):
    unchanged = ',"unchanged":["body"]' if body is None else ""
    row = f'{{"id":{key},"v":{v}' + ("}" if body is None else f',"body":"{body}"}}')
    before = f',"before":{{"id":{more["before"]}}}' if "before" in more else ""
    after = "" if op == "d" else f',"after":{row}{unchanged}'
    return f'{{"id":"{place}","op":"{op}","schema":"s","table":"t","key":{{"id":{key}}}{before}{after}}}'.encode()


def receive(*documents, bags=()):
    receiver = Receiver("file", bags)
    for document in documents:
        receiver.take(document)
    return receiver


def row(key, v=1, body="b"):
    return f'{{"id":{key},"v":{v},"body":"{body}"}}'


def found(receiver, *rows):
    receiver.compare("s.t", list(rows))
    return " ".join(receiver.result())


def test_members_are_texts():
    assert members('{"a":1.00,"b":{"c":[1,"}"]},"d":"\\"x"}') == {"a": "1.00", "b": '{"c":[1,"}"]}', "d": '"\\"x"'}
    assert members("{}") == {}


def test_what_is_right_has_no_findings():
    receiver = receive(event("1-0", "r", 1), event("2-0", "u", 1, 2, None), event("3-0", "u", 2, 3, None, before=1),
                       event("4-0", "c", 5, 4), event("5-0", "d", 5), event("6-0", "r", 5, 6))
    assert not found(receiver, row(2, 3), row(5, 6))


def test_what_comes_again_is_passed_over():
    assert not found(receive(event("1-0", "r", 1), event("2-0", "u", 1, 2), event("1-0", "r", 1)), row(1, 2))


@pytest.mark.parametrize("documents, rows, finding", [
    ((event("1-0", "r", 1),), (row(1), row(2)), "missing or old"),
    ((event("1-0", "r", 1), event("1-1", "r", 2)), (row(1),), "too much"),
    ((event("1-0", "u", 1, 2, None),), (row(1, 2),), "missing or old"),
    ((event("1-0", "u", 1, 5), event("2-0", "r", 1, 4)), (row(1, 4),), "stale"),
    ((event("1-0", "c", 1, 5), event("2-0", "d", 1), event("3-0", "r", 1, 5)), (row(1, 5),), "stale"),
    ((event("1-0", "c", 1, 5), event("2-0", "u", 2, 6, before=1), event("3-0", "r", 1, 5)), (row(2, 6),), "stale"),
    ((event("1-0", "r", 1), event("1-0", "r", 2)), (row(1),), "an id twice"),
    ((event("2-0", "r", 1), event("1-0", "r", 2)), (row(1),), "too late"),
    ((event("1-0", "r", "1.0"),), (row("1.00"),), "missing or old"),
])
def test_faults_are_found(documents, rows, finding):
    assert finding in found(receive(*documents), *rows)


def message(place, prefix, number):
    return f'{{"id":"{place}","op":"m","prefix":"{prefix}","transactional":true,"content":"s.t {number}"}}'.encode()


def test_a_message_empties_a_table():
    forget = message("2-0", "forget", 7)
    receiver = receive(event("1-0", "r", 1), event("1-1", "r", 2), forget, event("3-0", "r", 2))
    assert not found(receiver, row(2))
    assert "missing or old" in found(receive(event("1-0", "r", 1), forget), row(1))


def test_rows_without_a_key_are_counted():
    twice = receive(event("1-0", "r", 1), event("1-1", "r", 1), bags=["s.t"])
    assert not found(twice, row(1), row(1))
    assert "too much" in found(receive(event("1-0", "r", 1), event("1-1", "r", 1), bags=["s.t"]), row(1))


def at_the_end(*documents, rows):
    receiver = Receiver("file", ends={"s.t 7": rows})
    for document in documents:
        receiver.take(document)
    return " ".join(receiver.result())


def test_the_table_is_compared_at_the_end_of_a_backfill():
    first, ended = event("1-0", "r", 1), message("2-0", "ended", 7)
    assert not at_the_end(first, ended, event("3-0", "d", 1), rows=[row(1)])
    assert "missing or old in s.t at the end of backfill 7" in at_the_end(first, ended, rows=[row(1), row(2)])
    assert "too much in s.t at the end of backfill 7" in at_the_end(first, ended, rows=[])


def test_an_end_counts_for_the_newest_backfill_only():
    assert not at_the_end(event("1-0", "r", 1), message("2-0", "forget", 8), message("3-0", "ended", 7), rows=[row(1)])
    assert at_the_end(event("1-0", "r", 1), message("2-0", "forget", 7), message("3-0", "ended", 7), rows=[row(1)])
