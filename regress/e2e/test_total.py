"""Rows that are too large for a message: the event says what was left out, the slot moves on."""

import pytest

HUGE = 400_000_000


@pytest.fixture
def table(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text)")
    return db.create_slot()


def assert_moved_on(db, slot, events):
    """The small row after the huge one came through, and nothing comes twice."""
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
    db.psql(f"""
        INSERT INTO t VALUES (1, repeat('x', {HUGE}), repeat('y', {HUGE}), repeat('z', {HUGE}));
        INSERT INTO t VALUES (2, 'small');
    """)
    events = db.events(table, timeout=120)
    assert len(events) == 2
    after, elided = events[0]["after"], events[0]["elided"]
    assert elided and set(elided.values()) == {HUGE}
    assert set(after) | set(elided) == {"id", "a", "b", "c"}
    assert not set(after) & set(elided)
    assert all(len(value) == HUGE for name, value in after.items() if name != "id")
    assert_moved_on(db, table, events)


@pytest.mark.slow
@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_an_update_of_such_a_row(db, table, identity):
    db.psql(f"ALTER TABLE t REPLICA IDENTITY {identity}")
    db.psql(f"""
        INSERT INTO t VALUES (1, repeat(E'\\x02', {HUGE}), repeat('y', {HUGE}), 'c');
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
        assert "a" in events[1]["elided"]
    assert_moved_on(db, table, events)


def test_max_value_bytes(db, table):
    db.psql("INSERT INTO t VALUES (1, repeat('x', 1001), repeat('y', 1000), 'c')")
    event, = db.events(table, {"max_value_bytes": "1000"})
    assert event["elided"] == {"a": 1001}
    assert event["after"] == {"id": 1, "b": "y" * 1000, "c": "c"}
