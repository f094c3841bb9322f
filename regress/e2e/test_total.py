"""Rows that are too large for a message: the event says what was left out, the slot moves on."""

import json

import pytest

HUGE = 400_000_000


@pytest.fixture
def table(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text)")
    return db.create_slot()


def assert_moved_on(db, slot, events):
    """The small row after the huge row arrives, and no event comes twice."""
    assert events[-1]["after"] == {"id": 2, "a": "small", "b": None, "c": None}
    assert "elided" not in events[-1]
    assert db.events(slot) == []


@pytest.mark.slow
def test_a_value_that_cannot_be_escaped_in_a_message(db, table):
    db.psql(f"""
        INSERT INTO t VALUES (1, repeat(E'\\x01', {HUGE}), 'beside', NULL);
        INSERT INTO t VALUES (2, 'small');
    """)
    events = db.events(table, timeout=120)
    assert len(events) == 2
    assert events[0]["key"] == {"id": 1}
    assert events[0]["elided"] == {"a": HUGE}
    assert events[0]["after"] == {"id": 1, "b": "beside", "c": None}
    assert_moved_on(db, table, events)


@pytest.mark.slow
def test_a_row_that_does_not_fit_in_a_message(db, table):
    """Each value would fit alone: six bytes for one of b's, but not with what is before it."""
    db.psql(f"""
        INSERT INTO t VALUES (1, repeat('x', 100000000), repeat(E'\\x01', 160000000), 'end');
        INSERT INTO t VALUES (2, 'small');
    """)
    events = db.events(table, timeout=120)
    assert len(events) == 2
    assert events[0]["elided"] == {"b": 160_000_000}
    assert len(events[0]["after"].pop("a")) == 100_000_000
    assert events[0]["after"] == {"id": 1, "c": "end"}
    assert_moved_on(db, table, events)


@pytest.mark.slow
def test_a_row_that_just_fits_in_a_message(db, table):
    """990 million bytes when its quotes are escaped."""
    db.psql(f"""
        INSERT INTO t VALUES (1, repeat('"', 495000000));
        INSERT INTO t VALUES (2, 'small');
    """)
    first, second = db.lines(table, timeout=120)
    assert len(first) > 990_000_000
    assert first.startswith('{"id":')
    assert first.endswith('\\"","b":null,"c":null}}')
    assert_moved_on(db, table, [json.loads(second)])


@pytest.mark.slow
@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_an_update_of_a_row_with_a_value_that_does_not_fit(db, table, identity):
    db.psql(f"ALTER TABLE t REPLICA IDENTITY {identity}")
    db.psql("""
        INSERT INTO t VALUES (1, repeat(E'\\x02', 200000000), repeat('y', 1000000), 'c');
        UPDATE t SET c = 'd' WHERE id = 1;
        INSERT INTO t VALUES (2, 'small');
    """)
    events = db.events(table, timeout=120)
    assert [event["op"] for event in events] == ["c", "u", "c"]
    assert events[1]["key"] == {"id": 1}
    assert events[1]["after"]["c"] == "d"
    if identity == "DEFAULT":
        assert sorted(events[1]["unchanged"]) == ["a", "b"]
    else:
        assert events[1]["elided"] == {"a": 200_000_000}
        assert events[1]["after"]["b"] == "y" * 1_000_000
    assert_moved_on(db, table, events)


def test_max_value_bytes(db, table):
    db.psql("INSERT INTO t VALUES (1, repeat('x', 1001), repeat('y', 1000), 'c')")
    event, = db.events(table, {"max_value_bytes": "1000"})
    assert event["elided"] == {"a": 1001}
    assert event["after"] == {"id": 1, "b": "y" * 1000, "c": "c"}
