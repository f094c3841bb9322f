"""Columns that are left out, renamed, masked and hashed in the server; constants that rows get."""

import hashlib
import hmac
import json

import pytest
from harness import postgres as pg
from harness.forwarder import run

KEY = "k3y 'with\\ odd=signs"
SOURCE = f"""
publications: [p]
hash_key: {json.dumps(KEY)}
set: {{sid: eu-1, "a, b": "c;d"}}
columns:
  public.person:
    ssn: omit
    mail: hash as mail_hash
    phone: mask "none, or hidden"
    name: keep 2
    "?ote": truncate 3
  "*.visit": {{"*": omit, id: hash, "Odd, name": as plain}}
"""
TABLES = """
    CREATE TABLE person (id int PRIMARY KEY, name text, mail text, phone text, note text, ssn text);
    CREATE TABLE visit (id int PRIMARY KEY, "Odd, name" text, secret text);
    CREATE PUBLICATION p FOR TABLE person, visit;
"""


def hashed(value):
    return hmac.new(KEY.encode(), value.encode(), hashlib.sha256).hexdigest()


def person(number):
    return {"id": number, "name": "Jö***", "mail_hash": hashed("a@b"), "phone": "none, or hidden", "note": "日本語",
            "sid": "eu-1", "a, b": "c;d"}


def insert(db, number):
    db.psql(f"""INSERT INTO person VALUES ({number}, 'Jörg', 'a@b', '123', '日本語のテキスト', 'ssn-of-person');
                INSERT INTO visit VALUES ({number}, 'x', 'secret-of-visit')""")


@pytest.mark.effect("source.columns", "source.set", "source.hash_key", "source.backfill.tables")
def test_the_stream_and_a_backfill_have_the_same_rules(db, fwd):
    db.psql(TABLES + "CREATE EXTENSION walspout")
    db.server.reload({"log_statement": "all", "log_replication_commands": "on"})
    before = len(db.server.log())
    insert(db, 1)
    try:
        with fwd(source=SOURCE + "backfill: {tables: all}") as forwarder:
            forwarder.wait_for_events(2)
            insert(db, 2)
            events = forwarder.wait_for_events(4)
            rows = {(event["table"], event["op"]): event for event in events}
            for op, number in (("r", 1), ("c", 2)):
                assert rows["person", op]["after"] == person(number)
                visit = rows["visit", op]
                assert visit["key"] == {"id": hashed(str(number))}
                assert visit["after"] == {"id": hashed(str(number)), "plain": "x", "sid": "eu-1", "a, b": "c;d"}
            assert forwarder.terminate() == 0
            assert "k3y" not in forwarder.log()
        log = db.server.log()[before:]
        assert "START_REPLICATION" in log and "read_rows" in log and "k3y" not in log
    finally:
        db.server.reload({"log_statement": "none", "log_replication_commands": "off"})


def test_rows_whose_key_changes_are_read_again_by_a_hashed_key(db, fwd):
    """An update of the key while the table is read lacks a value: its row is found, though the key is hashed."""
    db.psql(TABLES + "CREATE EXTENSION walspout; ALTER TABLE person ALTER note SET STORAGE EXTERNAL;"
            "INSERT INTO person SELECT i, 'n', 'm', 'p', repeat('x', 5000) || i, 's' FROM generate_series(1, 300) i")
    source = SOURCE.replace("ssn: omit", "ssn: omit\n    id: hash").replace("truncate 3", "hash")
    db.server.reload({"log_statement": "all"})
    before = len(db.server.log())
    try:
        with fwd(source=source) as forwarder:
            db.psql(f"SELECT walspout.backfill('person', '{forwarder.slot}', NULL, 100)")
            for i in range(20):
                db.psql(f"UPDATE person SET id = id + 1000, name = 'changed' WHERE id < 1000 AND id % 20 = {i}")
            pg.wait_until(lambda: db.psql("SELECT state FROM walspout.backfills") == "done", 60, what="end")
            db.psql("SELECT pg_logical_emit_message(true, 'end', '')")
            pg.wait_until(lambda: forwarder.events()[-1]["op"] == "m", 30, what="end")
            rows = {}
            for event in forwarder.events()[:-1]:
                old = event.get("before", {}).get("id", event["key"]["id"])
                rows[event["key"]["id"]] = {**rows.pop(old, {}), **event["after"]}
    finally:
        db.server.reload({"log_statement": "none"})
    assert "walspout.read_keys" in db.server.log()[before:]
    assert len(rows) == 300
    for i in range(1, 301):
        row = rows[hashed(str(i + 1000))]
        assert row["note"] == hashed("x" * 5000 + str(i)) and row["name"] == "ch***"


def test_check_says_what_matches_nothing_and_what_a_key_does_not_allow(db, fwd):
    db.psql(TABLES)
    source = """
publications: [p]
set: {note: x}
columns:
  public.nothing: {a: omit}
  public.person: {nothing: omit, name: as mail}
  public.vis*: {id: mask x}
"""
    checked = run("check", fwd(source=source).config)
    done = checked.stdout
    assert checked.returncode != 0
    assert 'pattern "public.nothing" of columns matches no table' in done
    assert 'column "nothing" of columns is in no table that "public.person" matches' in done
    assert 'column id of the key of table public.visit' in done
    assert 'column name of table public.person keeps its name: another column has the name "mail"' in done
    assert '"note" of set is not added to table public.person' in done


@pytest.mark.parametrize("source, what", [
    ("columns: {person: {a: omit}}", "the schema and a dot are missing"),
    ("columns: {public.person: {a: remove}}", "remove"),
    ("columns: {public.person: {a: keep}}", "number"),
    ("columns: {public.person: {a: 'mask x; *.*: b omit'}}", "double quotes"),
    ("columns: {public.person: {a: 'mask \"x'}}", "double quote"),
    ("columns: {public.person: omit}", "mapping"),
    ("columns: {}", "empty"),
    ("columns: {public.person: {a: omit as b}}", "left out"),
    ("set: [a]", "mapping"),
    ("set: {'': a}", "empty"),
    ("hash_key: ''", "empty"),
])
def test_rules_that_are_not_good_are_rejected_with_the_file(fwd, source, what):
    checked = run("check", fwd(source=source).config)
    assert checked.returncode == 2, checked.stdout + checked.stderr
    assert what in checked.stdout + checked.stderr


def test_a_hash_without_a_key_stops_the_pipeline_with_a_remedy(db, fwd):
    db.psql(TABLES)
    with fwd(source="publications: [p]\ncolumns: {public.person: {mail: hash}}").start(wait=False) as forwarder:
        forwarder.wait_for_log("hash_key")
        assert forwarder.process.wait(30) != 0
