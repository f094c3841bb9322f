"""Schemas before backfilled rows: no row comes behind a schema of its table that describes other columns."""

import contextlib
import json

import pytest

from harness import postgres as pg
from harness.forwarder import file_sink
from harness.redis import Redis
from test_forwarder_backfill import request, wait_for_end

BACKFILL = "schemas: true\nbackfill:\n  tables: all"


def check(events):
    """Each row has the columns of the last schema of its table. Returns the schemas, by table."""
    last, schemas = {}, {}
    for event in events:
        table = event.get("table")
        if event["op"] == "s":
            assert event["id"].endswith("-s" + event["fingerprint"])
            last[table] = event
            schemas.setdefault(table, []).append(event)
        elif event["op"] in "cur":
            assert table in last, event
            schema = last[table]
            names = [column["name"] for column in schema["columns"]] if "columns" in schema else \
                [field["name"] for field in schema["avro"]["fields"]]
            absent = set(event.get("unchanged", [])) | set(event.get("elided", {}))
            assert [name for name in names if name not in absent] == list(event["after"]), (schema, event)
    return schemas


def place(event):
    """Where the event's id is among those of its transaction: that of a schema is the next row's."""
    return tuple(int(part) for part in event["id"].split("-"))


def test_a_schema_comes_before_the_first_row(db, fwd):
    db.psql("""CREATE EXTENSION walspout; CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE TABLE t (id int PRIMARY KEY, status mood, n numeric(5, 2)); INSERT INTO t SELECT i, 'sad', i FROM generate_series(1, 9) i;
        CREATE TABLE empty (id int PRIMARY KEY)""")
    with fwd(source=BACKFILL) as f:
        wait_for_end(db, f, "public.t")
        wait_for_end(db, f, "public.empty")
        db.psql("INSERT INTO t VALUES (10, 'happy', 10); INSERT INTO empty VALUES (1)")
        events = f.wait_for_events(13)
    assert [event["op"] for event in events] == ["s"] + ["r"] * 9 + ["c", "s", "c"], "the stream repeats no equal schema"
    schema, row = events[:2]
    assert schema["id"].split("-")[0] == row["id"].split("-")[0] and place(row)[1] == 0
    assert [(column["name"], column["type"]) for column in schema["columns"]] == [
        ("id", "integer"), ("status", "public.mood"), ("n", "numeric(5,2)")]
    assert schema["columns"][1]["labels"] == ["sad", "happy"]
    assert schema["primary_key"] == ["id"] and list(schema)[:5] == ["id", "op", "schema", "table", "ts"]
    check(events)
    assert sorted(map(place, (event for event in events if event["op"] != "s"))) == [
        place(event) for event in events if event["op"] != "s"]


def test_columns_that_change_before_a_backfill(db, fwd):
    """The stream has told the old columns, and the rows have the new ones."""
    db.psql("CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY)")
    with fwd(source="schemas: true") as f:
        db.psql("INSERT INTO t VALUES (1)")
        f.wait_for_events(2)
        db.psql("ALTER TABLE t ADD v text DEFAULT 'x'")
        request(f, "public.t")
        wait_for_end(db, f)
        request(f, "public.t")
        wait_for_end(db, f)
        db.psql("UPDATE t SET v = 'y'")
        events = f.wait_for_events(6)
    assert [event["op"] for event in events] == ["s", "c", "s", "r", "r", "u"]
    check(events)


def test_a_transaction_that_is_older_than_the_rows_columns(db, fwd):
    """Its change comes behind rows with newer columns, and has those that the stream has told before."""
    db.psql("""CREATE EXTENSION walspout; CREATE TYPE mood AS ENUM ('sad');
        CREATE TABLE t (id int PRIMARY KEY, m mood DEFAULT 'sad'); INSERT INTO t SELECT i FROM generate_series(1, 200) i""")
    with fwd(source="schemas: true") as f, contextlib.closing(db.server.connect(db.name)) as session:
        db.psql("UPDATE t SET m = 'sad' WHERE id = 1")
        f.wait_for_events(2)
        request(f, "public.t", "--rate", "20")
        f.wait_for_events(5)
        session.autocommit = False
        with session.cursor() as cursor:
            cursor.execute("UPDATE t SET m = 'sad' WHERE id = 1")
            db.psql("ALTER TYPE mood ADD VALUE 'happy'")

            def labels():
                return [event["columns"][1]["labels"] for event in f.events() if event["op"] == "s"]
            pg.wait_until(lambda: labels()[-1:] == [["sad", "happy"]], what="rows with new columns")
            session.commit()
            pg.wait_until(lambda: sum(event["op"] == "u" for event in f.events()) == 2, what="the old transaction")
            db.psql("UPDATE t SET m = 'happy' WHERE id = 2")
        wait_for_end(db, f)
        pg.wait_until(lambda: sum(event["op"] == "u" for event in f.events()) == 3, what="updates")
        db.psql("UPDATE t SET m = 'happy' WHERE id = 3")
        pg.wait_until(lambda: sum(event["op"] == "u" for event in f.events()) == 4, what="updates")
        events = f.events()
    told = [event["columns"][1]["labels"] if event["op"] == "s" else event["after"]["m"] for event in events if event["op"] in "su"]
    assert told == [["sad"], "sad", ["sad", "happy"], ["sad"], "sad", ["sad", "happy"], "happy", "happy"]


@pytest.mark.parametrize("schema_format", ["walspout", "avro"])
def test_a_column_is_added_and_dropped_while_rows_are_read(db, fwd, schema_format):
    db.psql("""CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY, n int);
        INSERT INTO t SELECT i, i FROM generate_series(1, 3000) i""")
    with fwd(source=f"schemas: true\nschema_format: {schema_format}") as f:
        request(f, "public.t", "--rate", "1000")
        for i in range(12):
            db.psql(f"UPDATE t SET n = -1 WHERE id = {i * 250 + 1}")
            db.psql(f"ALTER TABLE t ADD c{i} int" if i % 3 < 2 else f"ALTER TABLE t DROP c{i - 1}")
            db.psql(f"UPDATE t SET n = -2 WHERE id = {3000 - i}")
        wait_for_end(db, f)
        db.psql("UPDATE t SET n = -3 WHERE id = 5")
        pg.wait_until(lambda: f.events()[-1]["op"] == "u" and f.events()[-1]["after"]["n"] == -3, what="last update")
        events = f.events()
    schemas = check(events)["t"]
    assert len({schema["fingerprint"] for schema in schemas}) >= 3
    assert sum(event["op"] == "r" for event in events) > 1000
    assert all(a["fingerprint"] != b["fingerprint"] for a, b in zip(schemas, schemas[1:])), "equal schemas"
    ids = [event["id"] for event in events if event["op"] != "s"]
    assert len(set(ids)) == len(ids)


def test_a_backfill_that_is_killed_tells_the_schemas_again(db, fwd, tmp_path):
    db.psql("""CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE other (id int PRIMARY KEY, s text);
        INSERT INTO t SELECT i, i FROM generate_series(1, 600) i; INSERT INTO other SELECT i FROM generate_series(1, 600) i""")
    with Redis(str(tmp_path)) as redis:
        sink = f"      - {{type: redis, url: '{redis.url}', name: all}}\n"
        f = fwd(source=BACKFILL + "\n  rate: 200", sinks=file_sink(str(tmp_path / "main.jsonl")) + sink)
        f.start()
        for i in range(3):
            before = len(f.events())
            pg.wait_until(lambda: len(f.events()) >= before + 100, what="rows")
            db.psql(f"UPDATE t SET n = -1 WHERE id <= 3; ALTER TABLE t ADD c{i} int; UPDATE other SET s = 'x' WHERE id = 600")
            f.kill()
            f.start()
        wait_for_end(db, f, "public.t")
        wait_for_end(db, f, "public.other")
        pg.wait_until(lambda: f.status()["sinks"][0]["waiting"] == 0 and f.status()["sinks"][1]["waiting"] == 0, what="delivery")
        events = f.events()
        assert f.terminate() == 0
        schemas = check(events)
        assert len({schema["fingerprint"] for schema in schemas["t"]}) >= 2
        told = [json.loads(entry["data"]) for _, entry in redis.entries(f"walspout:{db.name}:test:schemas")]
        assert {event["op"] for event in told} == {"s"}
        assert {event["fingerprint"] for event in told} == {event["fingerprint"] for event in events if event["op"] == "s"}
        rows = redis.entries(f"walspout:{db.name}:public.t") + redis.entries(f"walspout:{db.name}:public.other")
        assert {json.loads(entry["data"])["op"] for _, entry in rows} == {"r", "u"}
        assert {tuple(json.loads(entry["data"])["key"].items()) for _, entry in redis.entries(f"walspout:{db.name}:public.other")} == {
            (("id", i),) for i in range(1, 601)}


@pytest.mark.effect("redis.schemas_to")
def test_schemas_of_rows_go_where_schemas_go_once(db, fwd, tmp_path):
    db.psql("""CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY, s text);
        INSERT INTO t SELECT i FROM generate_series(1, 9) i; INSERT INTO other SELECT i FROM generate_series(1, 9) i""")
    with Redis(str(tmp_path)) as redis:
        sink = f"      - type: redis\n        url: {redis.url}\n        schemas_to: schemas\n"
        with fwd(source=BACKFILL, sinks=sink) as f:
            wait_for_end(db, f, "public.t")
            wait_for_end(db, f, "public.other")
            request(f, "public.t")
            wait_for_end(db, f)
            db.psql("INSERT INTO t VALUES (10); INSERT INTO other VALUES (10)")
            f.wait(lambda: len(redis.entries(f"walspout:{db.name}:public.other")) == 10, 30, "rows")
        entries = redis.entries("schemas")
        told = [json.loads(entry["data"]) for _, entry in entries]
        assert sorted(event["table"] for event in told) == ["other", "t"]
        assert [event["op"] for event in told] == ["s", "s"]
        rows = {entry_id for table in ("t", "other") for entry_id, _ in redis.entries(f"walspout:{db.name}:public.{table}")}
        assert {entry_id for entry_id, _ in entries} <= rows, "the entry has the id of the row behind it"


def test_rules_partitions_and_tables_without_a_key(db, fwd):
    db.psql("""CREATE EXTENSION walspout;
        CREATE TABLE person (id int PRIMARY KEY, ssn text, mail text, name varchar(77)); INSERT INTO person VALUES (1, 's', 'm', 'n');
        CREATE TABLE nokey (a int, secret text); INSERT INTO nokey VALUES (1, 'x'), (2, 'y');
        CREATE TABLE root (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
        CREATE TABLE part1 PARTITION OF root FOR VALUES FROM (0) TO (100);
        CREATE TABLE part2 (v text, extra int, id int NOT NULL);
        ALTER TABLE part2 DROP extra, ADD PRIMARY KEY (id);
        ALTER TABLE root ATTACH PARTITION part2 FOR VALUES FROM (100) TO (200);
        INSERT INTO root SELECT i, 'v' FROM generate_series(98, 102) i;
        CREATE PUBLICATION p FOR TABLE person, nokey, root WITH (publish_via_partition_root)""")
    source = BACKFILL + """
set: {sid: eu}
hash_key: secret-key-of-hashes-0123456789
publications: [p]
columns: {public.person: {ssn: omit, mail: hash, name: as label}, public.nokey: {secret: mask "***"}}"""
    with fwd(source=source) as f:
        for table in ("public.person", "public.nokey", "public.root"):
            wait_for_end(db, f, table)
        db.psql("INSERT INTO person VALUES (2, 's', 'm', 'n'); INSERT INTO nokey VALUES (3, 'z'); INSERT INTO root VALUES (1, 'v'), (199, 'v')")
        events = f.wait_for_events(3 + 8 + 4)
    assert sorted(event["op"] for event in events) == ["c"] * 4 + ["r"] * 8 + ["s"] * 3
    schemas = check(events)
    person, nokey, root = (schemas[table][0] for table in ("person", "nokey", "root"))
    assert [(column["name"], column["type"]) for column in person["columns"]] == [
        ("id", "integer"), ("mail", "text"), ("label", "character varying(77)"), ("sid", "text")]
    assert [column["name"] for column in nokey["columns"]] == ["a", "secret", "sid"]
    assert [column["name"] for column in root["columns"]] == ["id", "v", "sid"]
    assert events[0]["table"] == "nokey" and events[0]["op"] == "s", "rows without a key precede all changes"
    assert "ssn" not in json.dumps(events)


def test_marks_of_others_in_a_large_transaction(db, fwd):
    """Any role may write messages with the prefix of marks: before, between and behind rows of a large transaction."""
    db.psql("CREATE TABLE marked (id int PRIMARY KEY, body text)")
    with fwd(source="schemas: true") as forwarder:
        db.psql("""
            BEGIN;
            SELECT pg_logical_emit_message(true, 'walspout.mark', 'mine|x 1');
            INSERT INTO marked SELECT i, repeat('x', 1000) FROM generate_series(1, 300) i;
            SELECT count(pg_logical_emit_message(true, 'walspout.mark', repeat('x', 1000))) FROM generate_series(1, 300);
            INSERT INTO marked SELECT i, repeat('x', 1000) FROM generate_series(301, 600) i;
            COMMIT
        """)
        events = forwarder.wait_for_events(601)
        assert [event["after"]["id"] for event in events[1:]] == list(range(1, 601))
