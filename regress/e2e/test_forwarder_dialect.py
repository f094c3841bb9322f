"""Documents in the forms of other programs, through the forwarder: the routing uses data beside the documents."""

import json
import subprocess

import pytest
from harness.forwarder import PROGRAM, run
from harness.waiting import wait_until


def change(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, v numeric(5,1)); CREATE TABLE other (a int, b text, PRIMARY KEY (b, a))")


def documents(forwarder, count):
    """The first documents of the file; they have no id."""
    return wait_until(lambda: len(forwarder.events()) >= count and forwarder.events(), 120, what=f"{count} documents")[:count]


@pytest.mark.effect("source.dialect", "source.dialect_options")
def test_documents_are_those_of_the_other_program(db, fwd):
    change(db)
    forwarder = fwd(source="dialect: wal2json\ndialect_options: {include-types: false, include-xids: true}")
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    with forwarder:
        db.psql("INSERT INTO t VALUES (1, 1.5); UPDATE t SET id = 2; DELETE FROM t")
        events = documents(forwarder, 3)
    assert [event["action"] for event in events] == ["I", "U", "D"]
    assert events[0]["columns"] == [{"name": "id", "value": 1}, {"name": "v", "value": 1.5}]
    assert all("xid" in event for event in events)


@pytest.mark.effect("source.dialect")
def test_a_change_of_the_key_is_two_events_of_debezium(db, fwd):
    change(db)
    with fwd(source="dialect: debezium") as forwarder:
        db.psql("INSERT INTO t VALUES (1, 1.5); UPDATE t SET id = 2")
        events = documents(forwarder, 3)
    assert [event["op"] for event in events] == ["c", "d", "c"]
    assert [event["after"] and event["after"]["id"] for event in events] == [1, None, 2]


@pytest.mark.effect("source.dialect", "source.transactions")
@pytest.mark.parametrize("dialect, member, begin, end", [
    ("debezium", "status", "BEGIN", "END"),
    ("wal2json", "action", "B", "C"),
])
def test_the_ends_of_transactions_are_documents_of_the_dialect(db, fwd, dialect, member, begin, end):
    change(db)
    with fwd(source=f"dialect: {dialect}\ntransactions: true") as forwarder:
        db.psql("BEGIN; INSERT INTO t VALUES (1, 1.5); UPDATE t SET id = 2; INSERT INTO other VALUES (1, 'a'); COMMIT")
        changes = 4 if dialect == "debezium" else 3    # a change of the key is a delete and an insert
        events = documents(forwarder, changes + 2)
    assert events[0][member] == begin and events[-1][member] == end
    if dialect == "debezium":
        assert events[-1]["event_count"] == 4
        assert [(table["data_collection"], table["event_count"]) for table in events[-1]["data_collections"]] == [
            ("public.t", 3), ("public.other", 1)]
        assert [event["transaction"]["total_order"] for event in events[1:-1]] == [1, 2, 3, 4]


@pytest.mark.parametrize("more, sink, what", [
    ("backfill: {tables: all}", None, '"backfill" merges rows with changes'),
    ("omit: [ts]", None, '"omit" is about the envelope'),
    ("schemas: true", None, '"schemas" does not go with "dialect"'),
    ("", "- type: postgres\n  dsn: postgresql:///x\n", 'type "postgres" of sink "postgres" needs the documents'),
    ("", "- type: kafka\n  brokers: [localhost:1]\n  topic: t\n  value: row\n", '"value: row" of sink "kafka" needs'),
    ("", "- type: kafka\n  brokers: [localhost:1]\n  topic: t\n  tombstones: true\n", '"tombstones" of sink "kafka" needs'),
    ("", "- type: exec\n  command: [cat]\n", 'type "exec" of sink "exec" needs'),
])
def test_what_needs_the_envelope_is_rejected(tmp_path, more, sink, what):
    path = tmp_path / "walspout.yaml"
    path.write_text("pipelines:\n- name: p\n  source:\n    dsn: postgresql:///x\n    slot: s\n    dialect: wal2json\n"
                    + (f"    {more}\n" if more else "")
                    + "  sinks:\n" + "".join(f"  {line}\n" for line in (sink or "- type: stdout\n").splitlines()))
    done = run("check", str(path))
    assert done.returncode == 2 and what in done.stdout + done.stderr, done.stdout + done.stderr


def test_transactions_need_a_dialect_that_has_them(tmp_path):
    path = tmp_path / "walspout.yaml"
    path.write_text("pipelines:\n- name: p\n  source: {dsn: postgresql:///x, slot: s, dialect: row, transactions: true}\n"
                    "  sinks: [{type: stdout}]\n")
    done = run("check", str(path))
    said = done.stdout + done.stderr
    assert done.returncode == 2 and '"transactions" does not go with this "dialect"' in said, said


def test_an_unknown_dialect_is_rejected_with_the_known_ones(tmp_path):
    path = tmp_path / "walspout.yaml"
    path.write_text("pipelines:\n- name: p\n  source: {dsn: postgresql:///x, slot: s, dialect: debezum}\n"
                    "  sinks: [{type: stdout}]\n")
    done = run("check", str(path))
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert all(name in said for name in ("wal2json", "debezium", "row", "psql-streamer", "pg2sink", "cloudevents", "sequin")), said


def test_tail_prints_the_dialect(db):
    change(db)
    dsn = f"host={db.server.host} port={db.server.port} user=postgres dbname={db.name}"
    tail = subprocess.Popen([PROGRAM, "tail", "--dialect", "sequin", dsn], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: db.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'walspout_tail%' AND active"),
                   what="the slot of tail")
        db.psql("INSERT INTO t VALUES (7, 1.5)")
        event = json.loads(tail.stdout.readline())
    finally:
        tail.kill()
        tail.wait()
    assert event["record"] == {"id": 7, "v": 1.5} and event["action"] == "insert"
    assert event["metadata"]["table_name"] == "t"
