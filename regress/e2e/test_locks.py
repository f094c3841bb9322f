"""A lock of another session does not delay changes."""

import contextlib


def test_a_composite_that_is_being_altered(db):
    """The server prints ranges of it, and locks it for that."""
    db.psql("""
        CREATE TYPE pair AS (i int, t text);
        CREATE TYPE pairs AS RANGE (subtype = pair);
        CREATE TABLE t (id int PRIMARY KEY, r pairs);
    """)
    slot = db.create_slot("slot")
    db.psql("INSERT INTO t SELECT i, pairs(ROW(i, 'x')::pair, NULL) FROM generate_series(1, 50) i")
    with contextlib.closing(db.server.connect(db.name, autocommit=False)) as other:
        with other.cursor() as cursor:
            cursor.execute("ALTER TYPE pair RENAME ATTRIBUTE t TO u")
            rows = changes(db, slot)
            assert len(rows) == 50
            assert all('"elided":{"r":' in row for row in rows)
        other.rollback()
    assert '"r":"[\\"(1,x)\\",)"' in changes(db, slot)[0]


def changes(db, slot):
    """The documents; waits for a minute at most."""
    return db.psql(f"""
        SET statement_timeout = '1min';
        SELECT data FROM pg_logical_slot_peek_changes('{slot}', NULL, NULL);
    """).splitlines()
