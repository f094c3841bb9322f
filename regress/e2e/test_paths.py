"""The same bytes from a walsender and from the SQL functions, and an extension that can be dumped.

A walsender has no transaction of its own, no snapshot and no portal; an SQL function has all three.
Code that needs one of them works in one and fails, or crashes the server, in the other.
"""

import json
import subprocess

import pytest

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


def both_paths(server, db, slot):
    """What the SQL function gives a client of UTF-8, and what the walsender sends."""
    by_sql = [row[0] for row in server.query(
        "SELECT data FROM pg_logical_slot_peek_changes(%s, NULL, NULL)", db, (slot,))]
    with server.recvlogical(slot, db, None, [f"--endpos={server.current_lsn()}"]) as receiver:
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
                                         'date', date '2024-02-29', 'user', current_user); END $$;
        CREATE CAST (hue AS json) WITH FUNCTION to_json(hue);
        CREATE TABLE t (id int PRIMARY KEY, h hue);
    """)
    slot = db.create_slot()
    db.psql("INSERT INTO t VALUES (1, 'red')")
    by_sql, by_walsender = both_paths(server, db.name, slot)
    assert by_walsender == by_sql
    assert json.loads(by_walsender[0])["after"]["h"] == {
        "hue": "red", "path": "pg_catalog, pg_temp", "date": "2024-02-29", "user": "postgres"}


def test_a_cast_that_does_not_end_costs_its_value_only(db):
    db.psql("""
        CREATE TYPE hue AS ENUM ('red');
        CREATE FUNCTION to_json(hue) RETURNS json LANGUAGE plpgsql AS $$
          BEGIN LOOP PERFORM pg_sleep(0.01); END LOOP; END $$;
        CREATE CAST (hue AS json) WITH FUNCTION to_json(hue);
        CREATE TABLE t (id int PRIMARY KEY, h hue);
    """)
    slot = db.create_slot()
    db.psql("INSERT INTO t SELECT i, 'red' FROM generate_series(1, 100) i")
    events = db.events(slot, timeout=30)
    assert [event["after"] for event in events] == [{"id": i} for i in range(1, 101)]
    assert all(event["elided"] == {"h": 4} for event in events)


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
