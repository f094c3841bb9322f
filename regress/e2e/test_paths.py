"""The same bytes from a walsender and from the SQL functions, and an extension that can be dumped.

A walsender has no transaction, no snapshot and no portal; an SQL function has all three. Code that needs one of the
three works in the function and fails in the walsender, or crashes the server.
"""

import json
import os
import subprocess
import time

from harness import postgres as pg
from harness.processes import freeze, thaw
import pytest

USER_CASTS = {"user_casts": "true"}
ENCODINGS = {"LATIN1": "é ÿ", "EUC_JP": "日本", "WIN1252": "€ “x”", "UTF8": "é 日 😀"}


@pytest.fixture
def encoded(server, request):
    """A database in the encoding that is the test's parameter."""
    name = f"encoded_{request.param.lower()}"
    server.createdb(name, request.param)
    before = len(server.log())
    yield name, ENCODINGS[request.param]
    server.dropdb(name)
    assert "terminated by signal" not in server.log()[before:]


def both_paths(server, db, slot, options=None):
    """What the SQL function gives a client of UTF-8, and what the walsender sends."""
    pairs = [text for pair in (options or {}).items() for text in pair]
    by_sql = [row[0] for row in server.query(
        "SELECT data FROM pg_logical_slot_peek_changes(%s, NULL, NULL, VARIADIC %s::text[])", db,
        (slot, pairs))]
    with server.recvlogical(slot, db, options, [f"--endpos={server.current_lsn()}"]) as receiver:
        return by_sql, receiver.lines()


@pytest.mark.parametrize("encoded", ENCODINGS, indirect=True)
def test_encodings_on_both_paths(server, encoded):
    db, text = encoded
    slot = f"{db}_slot"
    server.create_slot(slot, db=db)
    connection = server.connect(db)
    connection.set_client_encoding("UTF8")
    cursor = connection.cursor()
    cursor.execute(f'CREATE TABLE "{text}" (id int PRIMARY KEY, "{text}" text, j jsonb)')
    # Not transactional, the first text that this walsender sees: it has to look up the conversion.
    cursor.execute("SELECT pg_logical_emit_message(false, %s, %s)", (text, text))
    cursor.execute(f'INSERT INTO "{text}" VALUES (1, %s, %s)', (text, json.dumps([text])))
    cursor.execute(f"COMMENT ON TABLE \"{text}\" IS 'no event'")
    connection.close()

    by_sql, by_walsender = both_paths(server, db, slot)
    assert by_walsender == by_sql
    message, row = map(json.loads, by_walsender)
    assert (message["prefix"], message["content"], message["transactional"]) == (text, text, False)
    assert row["table"] == text
    assert row["after"] == {"id": 1, text: text, "j": [text]}


def test_message_at_once_with_an_origin(server, db):
    slot = db.create_slot()
    db.psql("""
        SELECT pg_replication_origin_create('elsewhere');
        SELECT pg_replication_origin_session_setup('elsewhere');
        SELECT pg_logical_emit_message(false, 'p', 'now');
        SELECT pg_replication_origin_session_reset();
        SELECT pg_logical_emit_message(false, 'p', 'here');
        SELECT pg_replication_origin_drop('elsewhere') FROM pg_sleep(0);
    """)
    by_sql, by_walsender = both_paths(server, db.name, slot)
    assert by_walsender == by_sql
    # The origin is gone by now; what matters is that looking for it does no harm.
    assert [json.loads(line)["content"] for line in by_walsender] == ["now", "here"]


def test_casts_of_users_on_both_paths(server, db):
    db.psql("""
        CREATE TYPE hue AS ENUM ('red');
        CREATE FUNCTION to_json(hue) RETURNS json LANGUAGE plpgsql AS $$
          BEGIN RETURN json_build_object('hue', $1::text, 'path', current_setting('search_path'),
                                         'date', date '2024-02-29', 'reads all',
                                         has_table_privilege('pg_authid', 'SELECT')); END $$;
        CREATE CAST (hue AS json) WITH FUNCTION to_json(hue);
        CREATE TABLE t (id int PRIMARY KEY, h hue);
    """)
    slot = db.create_slot()
    db.psql("INSERT INTO t VALUES (1, 'red')")
    by_sql, by_walsender = both_paths(server, db.name, slot, USER_CASTS)
    assert by_walsender == by_sql
    assert json.loads(by_walsender[0])["after"]["h"] == {
        "hue": "red", "path": "pg_catalog, pg_temp", "date": "2024-02-29", "reads all": False}


HARMFUL_CASTS = {
    "cancels its session": ("", "PERFORM pg_cancel_backend(pg_backend_pid())"),
    "ends its session": ("", "PERFORM pg_terminate_backend(pg_backend_pid())"),
    "sends a message at once": ("", "PERFORM pg_logical_emit_message(false, 'p', 'x')"),
    "sleeps": ("", "PERFORM pg_sleep(1000)"),
    "runs a command": ("", "COPY (SELECT 1) TO '/dev/null'"),
    "asks for XML": ("", "PERFORM xpath('a', '<a/>')"),
    "asks for XML in FROM": ("", "PERFORM x FROM XMLTABLE('a' PASSING '<a/>' COLUMNS x text)"),
    "locks": ("", "LOCK TABLE pg_class"),
    "starts workers": ("SET max_parallel_workers_per_gather = 2", "RETURN '2'"),
    "reads what it may not": ("SECURITY DEFINER", "PERFORM rolpassword FROM pg_authid"),
    "asks whom it is": ("", "PERFORM current_user"),
    "raises a cancel": ("", "RAISE 'x' USING ERRCODE = '57014'"),
    "raises disk full": ("", "RAISE 'x' USING ERRCODE = '53100'"),
    "ends the session with an error": ("SET exit_on_error = on", "RAISE 'x'"),
    "divides by zero": ("", "PERFORM 1 / 0"),
    "waits for no lock": ("SET lock_timeout = 1", "PERFORM pg_advisory_lock(1)"),
    "gets a transaction id": ("", "PERFORM txid_current()"),
    "sends a message": ("", "PERFORM pg_logical_emit_message(true, 'p', 'x')"),
    "sets a setting": ("", "PERFORM set_config('wal_sender_timeout', '1', false)"),
    "reads a table": ("", "PERFORM count(*) FROM t"),
    "writes a table": ("", "INSERT INTO t VALUES (0)"),
    "overflows the stack": ("", "PERFORM to_json($1)"),
    "gives no JSON": ("", "RETURN NULL"),
}


@pytest.mark.parametrize("clause, statement", HARMFUL_CASTS.values(), ids=HARMFUL_CASTS)
def test_a_harmful_cast_costs_its_value_only(server, db, clause, statement):
    db.psql(f"""
        CREATE TYPE hue AS ENUM ('red');
        CREATE FUNCTION to_json(hue) RETURNS json LANGUAGE plpgsql {clause} AS $$
          BEGIN {statement}; RETURN '1'; END $$;
        CREATE CAST (hue AS json) WITH FUNCTION to_json(hue);
        CREATE TABLE t (id int PRIMARY KEY, h hue);
    """)
    slot = db.create_slot()
    db.psql("INSERT INTO t VALUES (1, 'red'), (2, NULL), (3, 'red')")
    db.psql(f"ALTER DATABASE {db.name} SET exit_on_error = on")
    by_sql, by_walsender = both_paths(server, db.name, slot, USER_CASTS)
    assert by_walsender == by_sql
    events = [json.loads(line) for line in by_walsender]
    assert [event["after"] for event in events] == [{"id": 1}, {"id": 2, "h": None}, {"id": 3}]
    assert [event.get("elided") for event in events] == [{"h": 4}, None, {"h": 4}]


def test_a_cast_that_does_not_end_costs_its_value_only(db):
    db.psql("""
        CREATE TYPE hue AS ENUM ('red');
        CREATE FUNCTION to_json(hue) RETURNS json LANGUAGE plpgsql AS $$
          BEGIN LOOP PERFORM 1; END LOOP; END $$;
        CREATE CAST (hue AS json) WITH FUNCTION to_json(hue);
        CREATE TABLE t (id int PRIMARY KEY, h hue);
    """)
    slot = db.create_slot()
    db.psql("INSERT INTO t SELECT i, 'red' FROM generate_series(1, 100) i")
    events = db.events(slot, USER_CASTS, timeout=60)
    assert [event["after"] for event in events[:3]] == [{"id": i} for i in range(1, 4)]
    assert all(event["elided"] == {"h": 4} for event in events[:3])
    # then it is off, and all others are printed as text
    assert [event["after"] for event in events[3:]] == [{"id": i, "h": "red"} for i in range(4, 101)]
    assert 'no longer calls function "to_json"' in db.server.log()


def test_a_cast_that_fails_to_compile_leaks_no_memory_for_long(server, db):
    """PL/pgSQL keeps some 9 kB for each attempt, as long as the process lives."""
    db.psql("""
        SET check_function_bodies = off;
        CREATE TYPE hue AS ENUM ('red');
        CREATE FUNCTION to_json(hue) RETURNS json LANGUAGE plpgsql AS $$
          DECLARE missing no_such_type; BEGIN RETURN '1'; END $$;
        CREATE CAST (hue AS json) WITH FUNCTION to_json(hue);
        CREATE TABLE t (id int PRIMARY KEY, h hue);
    """)
    slot = db.create_slot()
    db.psql("INSERT INTO t SELECT i, 'red' FROM generate_series(1, 20000) i")
    connection = server.connect(db.name)
    cursor = connection.cursor()
    cursor.execute("SELECT count(*), count(*) FILTER (WHERE data LIKE '%%elided%%') "
                   "FROM pg_logical_slot_peek_changes(%s, NULL, NULL, 'user_casts', 'true')", (slot,))
    assert cursor.fetchone() == (20000, 1000)
    if server.installation.major >= 14:
        cursor.execute("SELECT sum(total_bytes) FROM pg_backend_memory_contexts")
        assert cursor.fetchone()[0] < 32e6
    connection.close()


def test_dump_and_restore(server, db):
    db.psql("CREATE EXTENSION walspout; CREATE ROLE dump_app; "
            "GRANT USAGE ON SCHEMA walspout TO dump_app; "
            "GRANT EXECUTE ON FUNCTION walspout.emit(text, jsonb) TO dump_app")
    dump = subprocess.run([server.installation.program("pg_dump"), db.name], check=True, text=True,
                          env=server.client_env(), stdout=subprocess.PIPE).stdout
    server.createdb("restored")
    try:
        server.psql(dump, "restored")
        assert server.value("SELECT has_function_privilege('dump_app', "
                            "'walspout.emit(text, jsonb)', 'EXECUTE')", "restored")
        assert not server.value("SELECT has_function_privilege('dump_app', "
                                "'walspout.emit(text, text)', 'EXECUTE')", "restored")
        assert server.value("SELECT count(*) FROM walspout.slots", "restored") == 0
    finally:
        server.dropdb("restored")
        db.psql("DROP OWNED BY dump_app; DROP ROLE dump_app")


BUSY_CAST = """
    CREATE TYPE hue AS ENUM ('red');
    CREATE FUNCTION to_json(hue) RETURNS json LANGUAGE plpgsql AS $$
      BEGIN FOR i IN 1 .. {} LOOP PERFORM i; END LOOP; RETURN '"busy"'; END $$;
    CREATE CAST (hue AS json) WITH FUNCTION to_json(hue);
    CREATE TABLE t (id int PRIMARY KEY, h hue, hs hue[]);
"""


def test_casts_have_one_budget_and_not_one_for_each_call(server, db):
    """Each call stays below the limit; all of them would take a minute or two."""
    db.psql(BUSY_CAST.format(1_000_000))
    slot = db.create_slot()
    db.psql("INSERT INTO t SELECT i, 'red', array_fill('red'::hue, '{50}') FROM generate_series(1, 10) i")
    connection = server.connect(db.name)
    cursor = connection.cursor()
    before = pg.cpu_seconds(connection.info.backend_pid)
    cursor.execute("SELECT data FROM pg_logical_slot_get_changes(%s, NULL, NULL, "
                   "'user_casts', 'true')", (slot,))
    rows = [json.loads(data) for data, in cursor]
    assert pg.cpu_seconds(connection.info.backend_pid) - before < 3
    assert [row["after"]["id"] for row in rows] == list(range(1, 11))
    assert rows[-1]["after"] == {"id": 10, "h": "red", "hs": ["red"] * 50}
    connection.close()


def test_a_machine_that_stands_still_costs_no_value(server, db):
    """An honest cast, and a walsender that is stopped in the middle of it again and again."""
    db.psql(BUSY_CAST.format(100))
    slot = db.create_slot()
    count = 20_000
    db.psql(f"INSERT INTO t SELECT i, 'red', '{{red,red}}' FROM generate_series(1, {count}) i")
    with server.recvlogical(slot, db.name, USER_CASTS, [f"--endpos={server.current_lsn()}"]) as receiver:
        walsender = receiver.walsender()
        for _ in range(4):
            freeze(walsender)
            time.sleep(1.3)
            thaw(walsender)
            time.sleep(0.05)
        rows = [json.loads(line) for line in receiver.lines()]
    assert len(rows) == count
    assert all(row["after"]["h"] == "busy" and row["after"]["hs"] == ["busy"] * 2 for row in rows)


def test_a_revoked_cast_is_not_called_in_a_session_that_goes_on(server, db):
    db.psql(BUSY_CAST.format(1))
    slot = db.create_slot()
    with server.recvlogical(slot, db.name, USER_CASTS) as receiver:
        db.psql("INSERT INTO t VALUES (1, 'red')")
        assert json.loads(receiver.line())["after"]["h"] == "busy"
        db.psql("INSERT INTO t VALUES (2, 'red')")
        assert json.loads(receiver.line())["after"]["h"] == "busy"
        db.psql("REVOKE EXECUTE ON FUNCTION to_json(hue) FROM PUBLIC")
        db.psql("INSERT INTO t VALUES (3, 'red')")
        assert json.loads(receiver.line())["after"]["h"] == "red"
