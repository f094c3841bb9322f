"""Messages from rendering values do not repeat for each row, neither in the log nor at the client."""

import pytest

from harness import postgres as pg

ROWS = 300


@pytest.fixture
def log(db):
    """What the server has logged since the test began."""
    before = len(db.server.log())
    return lambda: db.server.log()[before:]


def assert_one_line(log, message):
    assert log.count(message) <= 1, log[-3000:]


def test_values_of_an_altered_type(db, log):
    """Newer minor releases log a line before they raise. Older ones read such values."""
    db.psql("CREATE TYPE altered AS (a int, b bigint)")
    slot = db.create_slot()
    db.psql(f"""
        DO $$
        DECLARE
          stale altered[] := array[row(1, 2)::altered];
        BEGIN
          EXECUTE 'ALTER TYPE altered ALTER ATTRIBUTE b TYPE int';
          EXECUTE 'CREATE TABLE t (id int PRIMARY KEY, v altered[])';
          EXECUTE 'INSERT INTO t SELECT i, $1 FROM generate_series(1, {ROWS}) i' USING stale;
        END $$""")
    assert len(db.lines(slot)) == ROWS
    assert_one_line(log(), "is incompatible with tuple type")


@pytest.mark.parametrize("level", ["log", "info", "notice", "warning"])
def test_a_library_that_talks(db, log, level):
    """Nothing reaches the client, and the log has one line."""
    db.psql(f"""
        CREATE TYPE talks AS ENUM ('{level}');
        CREATE FUNCTION cast_that_talks(talks) RETURNS json LANGUAGE c STRICT AS 'walspout_test_casts', 'cast_that_talks';
        CREATE CAST (talks AS json) WITH FUNCTION cast_that_talks(talks);
        CREATE TABLE t (id int PRIMARY KEY, v talks)""")
    slot = db.create_slot()
    db.psql(f"INSERT INTO t SELECT i, '{level}' FROM generate_series(1, {ROWS}) i")
    settings = {"client_min_messages": "log", "log_min_messages": "info"}
    with db.stream(slot, args=[f"--endpos={db.server.current_lsn()}"], settings=settings) as receiver:
        lines = receiver.lines(60)
        errors = receiver.errors()
    assert len(lines) == ROWS and '"talked"' in lines[0]
    assert "walspout_test_casts talks" not in errors
    assert_one_line(log(), "walspout_test_casts talks")
    assert "walspout_test_casts talks" in log()


@pytest.mark.parametrize("function, message", [
    ("pg_terminate_backend", "terminating connection due to administrator command"),
    ("pg_cancel_backend", "canceling statement due to user request")])
def test_the_client_is_told_why_it_ends(db, function, message):
    """Also if code of users runs, which says nothing to the client."""
    db.psql("""
        CREATE TYPE slow AS ENUM ('one');
        CREATE FUNCTION slow(slow) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
        DECLARE n int := 0;
        BEGIN LOOP n := (n + 1) % 1000; END LOOP; END $$;
        CREATE CAST (slow AS json) WITH FUNCTION slow(slow);
        CREATE TABLE t (id int PRIMARY KEY, v slow)""")
    slot = db.create_slot()
    db.psql("INSERT INTO t SELECT i, 'one' FROM generate_series(1, 10) i")
    with db.stream(slot, {"user_casts": "true"}) as receiver:
        process = receiver.walsender()
        used = pg.cpu_seconds(process)
        pg.wait_until(lambda: pg.cpu_seconds(process) > used + 0.3, what="call of the cast")
        db.psql(f"SELECT {function}({process})")
        pg.wait_until(lambda: message in receiver.errors(), what=message)
