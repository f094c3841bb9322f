"""Schemas of tables in the stream: before a table's first event, and after its columns have changed."""

import json
import os

import pytest
from harness import postgres as pg
from harness.forwarder import file_sink, run
from harness.redis import Redis

TABLES = "CREATE TABLE orders (id int PRIMARY KEY, status text); CREATE TABLE items (id int PRIMARY KEY)"


def told(events):
    """[(op, table)]"""
    return [(event["op"], event["table"]) for event in events]


def columns(event):
    return [column["name"] for column in event["columns"]]


@pytest.mark.effect("source.schemas", "sink.only.ops")
def test_a_schema_comes_before_the_rows_that_have_it(db, fwd, tmp_path):
    db.psql(TABLES)
    paths = {name: str(tmp_path / name) for name in ("rows", "schemas")}
    sinks = file_sink(str(tmp_path / "main.jsonl")) + file_sink(paths["rows"], name="rows", only="{ops: [c, u]}") + \
        file_sink(paths["schemas"], name="schemas", only="{ops: [s]}")
    with fwd(source="schemas: true", sinks=sinks) as forwarder:
        db.psql("INSERT INTO orders VALUES (1, 'new'), (2, 'new'); INSERT INTO items VALUES (1)")
        db.psql("BEGIN; ALTER TABLE orders ADD note text; UPDATE orders SET note = 'x' WHERE id = 1;"
                "ALTER TABLE orders RENAME note TO remark; UPDATE orders SET remark = 'y' WHERE id = 1; COMMIT")
        events = forwarder.wait_for_events(9)
        assert told(events) == [("s", "orders"), ("c", "orders"), ("c", "orders"), ("s", "items"), ("c", "items"),
                                ("s", "orders"), ("u", "orders"), ("s", "orders"), ("u", "orders")]
        assert [columns(events[i]) for i in (0, 5, 7)] == [["id", "status"], ["id", "status", "note"],
                                                           ["id", "status", "remark"]]
        for event in (events[i] for i in (0, 3, 5, 7)):
            assert event["id"].endswith("-s" + event["fingerprint"])
        assert [event["id"].split("-")[0] for event in events[5:]] == [events[6]["id"].split("-")[0]] * 4
        pg.wait_until(lambda: len(forwarder.events(paths["rows"])) == 5, what="rows")
        pg.wait_until(lambda: len(forwarder.events(paths["schemas"])) == 4, what="schemas")
        assert forwarder.events(paths["rows"]) == [event for event in events if event["op"] != "s"]
        # Everything is confirmed: after a restart no event comes again, and the schema comes before the next event.
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 0, what="delivery")
        assert forwarder.terminate() == 0
        db.psql("INSERT INTO orders VALUES (3, 'new')")
        forwarder.start()
        again = forwarder.wait_for_events(11)[9:]
        assert told(again) == [("s", "orders"), ("c", "orders")]
        assert again[0]["fingerprint"] == events[7]["fingerprint"]


@pytest.mark.effect("redis.schemas_to")
def test_redis_has_schemas_in_a_stream_of_their_own_once(db, fwd, tmp_path):
    db.psql(TABLES)
    with Redis(str(tmp_path)) as redis:
        sink = f"      - type: redis\n        url: {redis.url}\n        schemas_to: 'schemas:{{table}}'\n"
        forwarder = fwd(source="schemas: true", sinks=sink)

        def count():
            return len(redis.entries(f"walspout:{db.name}:public.orders"))
        for life in range(4):
            forwarder.start()
            for i in range(3):
                db.psql(f"INSERT INTO orders VALUES ({life * 100 + i}, 'x'); INSERT INTO items VALUES ({life * 100 + i})")
                # The stream breaks: the schema comes again in the next connection, and is ignored.
                db.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active "
                        f"AND slot_name = '{forwarder.slot}'")
                forwarder.wait(lambda: count() == 3 * life + i + 1, 60, "row")
            forwarder.kill()
        schemas = [json.loads(entry["data"]) for _, entry in redis.entries("schemas:orders")]
        assert {schema["op"] for schema in schemas} == {"s"}
        assert len({schema["fingerprint"] for schema in schemas}) == 1
        assert 1 <= len(schemas) <= 4, "once in a life of the process"
        assert len(redis.entries("schemas:items")) == len(schemas)
        rows = [json.loads(entry["data"]) for _, entry in redis.entries(f"walspout:{db.name}:public.orders")]
        assert [row["op"] for row in rows] == ["c"] * 12


@pytest.mark.effect("source.schema_format")
def test_avro_holds_rows_of_the_table(db, fwd):
    """The library of Apache Avro accepts the schema, and the names can be restored."""
    import avro.io
    import avro.schema
    import io
    import re
    db.psql("""
        CREATE TYPE mood AS ENUM ('sad', 'so so', '', '_x41', 'ü');
        CREATE DOMAIN price AS numeric(10, 2);
        CREATE TABLE "no name-1" ("1" bigint PRIMARY KEY, "_x" mood NOT NULL, moods mood[], "ü_x20" price, b bool, f float8, r real,
          d date, t time, ts timestamp, tz timestamptz, u uuid, j jsonb, raw bytea, s smallint, n numeric, tags text[], huge numeric(1000, 999));
    """)
    with fwd(source="schemas: true\nschema_format: avro") as forwarder:
        db.psql("""INSERT INTO "no name-1" ("1", "_x") VALUES (1, 'so so')""")
        schema = forwarder.wait_for_events(2)[0]
    assert "columns" not in schema
    parsed = avro.schema.parse(json.dumps(schema["avro"]))

    def back(name):
        text = re.sub(r"_x([0-9A-F]{2})", lambda m: f"\x00{m[1]}\x00", name)
        raw = b"".join(bytes([int(part, 16)]) if i % 2 else part.encode()
                       for i, part in enumerate(text.split("\x00")))
        return raw.decode()
    names = [back(field.name) for field in parsed.fields]
    assert back(parsed.name) == "no name-1" and parsed.namespace == "public"
    assert names == [row for row in db.psql(
        "SELECT attname FROM pg_attribute WHERE attrelid = '\"no name-1\"'::regclass AND attnum > 0 ORDER BY attnum").split("\n")]
    # A row can be written and read with it.
    row = {field.name: None for field in parsed.fields}
    row[parsed.fields[0].name] = 1
    row[parsed.fields[1].name] = schema["avro"]["fields"][1]["type"]["symbols"][1]
    row["moods"] = [row[parsed.fields[1].name], None]
    row["tags"] = ["a", None]
    row["f"] = 1.5
    row["u"] = "00010203-0405-0607-0809-0a0b0c0d0e0f"     # the library cannot check a null against it
    out = io.BytesIO()
    avro.io.DatumWriter(parsed).write(row, avro.io.BinaryEncoder(out))
    assert avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(io.BytesIO(out.getvalue()))) == row
    types = {back(field["name"]): field["type"] for field in schema["avro"]["fields"]}
    assert types["1"] == "long"
    assert [back(symbol) if symbol != "_x" else "" for symbol in types["_x"]["symbols"]] == ["sad", "so so", "", "_x41", "ü"]
    assert types["moods"][1]["items"][1] == "public.mood"
    assert types["ü_x20"][1] == {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
    assert types["tz"][1]["logicalType"] == "timestamp-micros"


def test_rules_for_columns_hold_for_schemas(db, fwd):
    db.psql("CREATE TYPE secret AS ENUM ('hidden-label'); CREATE TABLE person (id int PRIMARY KEY, ssn text, kind secret, name varchar(77))")
    source = "schemas: true\nset: {sid: eu}\ncolumns: {public.person: {ssn: omit, kind: keep 1, name: as label}}"
    with fwd(source=source) as forwarder:
        db.psql("INSERT INTO person VALUES (1, 's', 'hidden-label', 'n')")
        schema, row = forwarder.wait_for_events(2)
    assert columns(schema) == list(row["after"]) == ["id", "kind", "label", "sid"]
    assert "ssn" not in json.dumps(schema) and "hidden" not in json.dumps(schema)
    assert [column["type"] for column in schema["columns"]] == ["integer", "text", "character varying(77)", "text"]


def test_a_key_that_says_nothing_is_an_error(tmp_path):
    path = os.path.join(tmp_path, "wrong.yaml")
    with open(path, "w") as f:
        f.write("pipelines:\n- name: p\n  source: {dsn: host=x, slot: s, schema_format: avro}\n  sinks:\n"
                "  - {type: redis, url: 'redis://h', schemas_to: s}\n")
    checked = run("check", path)
    assert checked.returncode == 2
    assert "schemas: true" in checked.stderr and "schemas_to" in checked.stderr
