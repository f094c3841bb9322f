"""`walspout compare` finds the rows that differ between the source and the target of a Postgres sink, and only these,
while both are written to."""

import itertools
import json
import random
import threading
import time

from harness import postgres as pg
import pytest
from harness.forwarder import run
from test_forwarder_postgres_sink import TABLE, copy_tables, sink, target, wait_for_equal
from test_forwarder_postgres_tables import sink_with

__all__ = ["target"]    # a fixture


def compare(forwarder, *args, timeout=300):
    return run("compare", forwarder.config, *args, timeout=timeout)


def differences(forwarder, *args, code=None):
    """The rows that differ: kind, table, key as JSON, and columns; and how each table ended."""
    done = compare(forwarder, "--json", *args)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = sorted((line["row"], line["table"], json.dumps(line["key"]), ",".join(line["columns"])) for line in lines if "row" in line)
    tables = {line["table"]: line for line in lines if "result" in line}
    assert tables, done
    assert done.returncode == (1 if code is None and any(t["result"] != "equal" for t in tables.values()) else code or 0), done
    return found, tables


class Load(threading.Thread):
    """Transactions of one to three statements by random keys, until it is told to stop."""

    def __init__(self, db, keys=2000, seed=1):
        super().__init__()
        self.db, self.keys, self.seed, self.error = db, keys, seed, None
        self.stopped = threading.Event()
        self.transactions = 0

    def run(self):
        try:
            connection = self.db.server.connect(self.db.name, autocommit=False)
            choices = random.Random(self.seed)
            for number in itertools.count():
                if self.stopped.is_set():
                    break
                with connection.cursor() as cursor:
                    for _ in range(choices.randint(1, 3)):
                        # One of the rows changes all the time.
                        cursor.execute("UPDATE t SET body = %s WHERE id = 0", (str(number),))
                        cursor.execute(choices.choice([
                            "INSERT INTO t VALUES (%s, 'new') ON CONFLICT (id) DO UPDATE SET body = 'again'",
                            "UPDATE t SET body = body || 'x' WHERE id = %s", "DELETE FROM t WHERE id = %s",
                            "UPDATE t SET body = CASE body WHEN 'on' THEN 'off' ELSE 'on' END WHERE id = %s"]),
                            (choices.randint(1, self.keys),))
                connection.commit()
                self.transactions += 1
                time.sleep(0.001)
            connection.close()
        except Exception as error:      # shown by the test
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()
        assert self.error is None, self.error


# What is found #######################################################################################################

def test_each_kind_of_difference_is_found_and_nothing_else(db, fwd, target):
    copy_tables(db, target, TABLE + """;
        CREATE TABLE pairs (a text, b numeric, c uuid, n int, "o'dd \\" name" text, PRIMARY KEY (a, b, c));
        CREATE SCHEMA "Odd ""S"; CREATE TABLE "Odd ""S"."T able.%" ("Key 1" text PRIMARY KEY, "v""q" int)""".replace('\\"', '""'))
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("""INSERT INTO t SELECT i, 'x' || i FROM generate_series(1, 3000) i;
            INSERT INTO pairs SELECT 'k' || i % 7, i / 10.0, md5(i::text)::uuid, i, 'v' FROM generate_series(1, 2500) i;
            INSERT INTO "Odd ""S"."T able.%" SELECT 'k' || i, i FROM generate_series(1, 10) i""")
        wait_for_equal(db, target, ["t", "pairs", '"Odd ""S"."T able.%"'])
        found, tables = differences(forwarder)
        assert found == [] and len(tables) == 3
        assert tables["public.t"]["source_rows"] == tables["public.t"]["target_rows"] == 3000
        plain = compare(forwarder)
        assert plain.returncode == 0 and "equal\tpublic.t\t3000 rows\n" in plain.stdout, plain

        target.psql("""DELETE FROM t WHERE id IN (1, 1500); UPDATE t SET body = 'other' WHERE id = 7; UPDATE t SET body = NULL WHERE id = 3000;
            INSERT INTO t VALUES (-5, 'a'), (4000, 'b'), (4001, '');
            UPDATE pairs SET n = -1, "o'dd "" name" = '' WHERE n = 77; DELETE FROM pairs WHERE n = 78;
            INSERT INTO pairs VALUES ('K1', 0.10, '00000000-0000-0000-0000-000000000001', 1, 'v');
            UPDATE "Odd ""S"."T able.%" SET "v""q" = 0 WHERE "Key 1" = 'k3'""")
        found, tables = differences(forwarder)
        key = json.dumps(dict(zip("abc", target.psql("SELECT a, trim_scale(b), c FROM pairs WHERE n = -1").strip().split("|"))))
        gone = json.dumps(dict(zip("abc", db.psql("SELECT a, trim_scale(b), c FROM pairs WHERE n = 78").strip().split("|"))))
        assert found == sorted([
            ("missing", "public.t", '{"id": "1"}', ""), ("missing", "public.t", '{"id": "1500"}', ""),
            ("different", "public.t", '{"id": "7"}', "body"), ("different", "public.t", '{"id": "3000"}', "body"),
            ("extra", "public.t", '{"id": "-5"}', ""), ("extra", "public.t", '{"id": "4000"}', ""), ("extra", "public.t", '{"id": "4001"}', ""),
            ("different", "public.pairs", key, "n,o'dd \" name"), ("missing", "public.pairs", gone, ""),
            ("extra", "public.pairs", '{"a": "K1", "b": "0.1", "c": "00000000-0000-0000-0000-000000000001"}', ""),
            ("different", 'Odd "S.T able.%', '{"Key 1": "k3"}', 'v"q')])
        assert {name: table["result"] for name, table in tables.items()} == dict.fromkeys(tables, "different")
        counted = tables["public.t"]
        assert [counted[kind] for kind in ("missing", "extra", "different", "unsettled")] == [2, 3, 2, 0]
        plain = compare(forwarder, "public.t")
        assert plain.returncode == 1 and 'different\tpublic.t\t{"id":"7"}\tbody\n' in plain.stdout, plain
        assert "DIFFERS\tpublic.t\t3000 rows in the source, 3001 in the target, 2 missing, 3 extra, 2 different\n" in plain.stdout
        found, tables = differences(forwarder, "public.t", "--limit", "2")
        assert len(found) == 2 and not tables["public.t"]["complete"]


def test_no_difference_is_said_while_both_are_written_to(db, fwd, target):
    """Row 0 changes in each transaction. A difference in the target is still found."""
    copy_tables(db, target, TABLE)
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("INSERT INTO t SELECT i, 'x' || i FROM generate_series(0, 20000) i")
        wait_for_equal(db, target, ["t"])
        with Load(db) as first, Load(db, seed=2) as second:
            for _ in range(3):
                found, _ = differences(forwarder)
                assert found == []
            target.psql("DELETE FROM t WHERE id = 15000; UPDATE t SET body = 'wrong' WHERE id = 15001; INSERT INTO t VALUES (30000, 'extra')")
            for _ in range(2):
                found, _ = differences(forwarder)
                assert [(kind, key) for kind, _, key, _ in found] == [
                    ("different", '{"id": "15001"}'), ("extra", '{"id": "30000"}'), ("missing", '{"id": "15000"}')]
            db.psql("UPDATE t SET body = 'right' WHERE id IN (15000, 15001)")
            target.psql("DELETE FROM t WHERE id = 30000")
            found, _ = differences(forwarder)
            assert found == []
        assert first.transactions > 20 and second.transactions > 20
        assert forwarder.terminate() == 0


def test_a_target_that_lags_behind_is_waited_for(db, fwd, target):
    """The slot is not read while the comparison begins; the rows settle when they arrive."""
    copy_tables(db, target, TABLE)
    forwarder = fwd(sinks=sink(target)).start()
    db.psql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    wait_for_equal(db, target, ["t"])
    assert forwarder.terminate() == 0
    db.psql("UPDATE t SET body = 'z' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'd')")
    found, tables = differences(forwarder, "--wait", "1")
    assert [(kind, key) for kind, _, key, _ in found] == [("unsettled", f'{{"id": "{i}"}}') for i in (1, 2, 4)]
    assert "no process reads slot" in compare(forwarder, "--wait", "0").stderr
    compared = []
    later = threading.Thread(target=lambda: compared.append(differences(forwarder, "--wait", "120")))
    later.start()
    time.sleep(2)
    forwarder.start()
    later.join()
    assert compared[0][0] == [] and compared[0][1]["public.t"]["result"] == "equal"
    # No more events come: the slot shows that the target has everything.
    target.psql("DELETE FROM t WHERE id = 4")
    found, _ = differences(forwarder)
    assert [kind for kind, *_ in found] == ["missing"]
    assert forwarder.terminate() == 0


def test_a_large_table_is_divided(db, fwd, target):
    copy_tables(db, target, "CREATE TABLE t (a text COLLATE \"C\", id int, body text, PRIMARY KEY (a, id)); "
                            "CREATE TABLE gone (id bigint PRIMARY KEY); CREATE TABLE more (id bigint PRIMARY KEY)")
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("INSERT INTO t SELECT chr(65 + i % 40), i, md5(i::text) FROM generate_series(1, 120000) i; "
                "INSERT INTO gone SELECT generate_series(1, 60000)")
        wait_for_equal(db, target, ["gone"])
        pg.wait_until(lambda: target.value("SELECT count(*) FROM t") == 120000, 120, what="rows")
        began = time.time()
        found, tables = differences(forwarder)
        assert found == [] and tables["public.t"]["source_rows"] == 120000
        target.psql("UPDATE t SET body = '' WHERE id IN (5, 77777, 120000); DELETE FROM t WHERE id = 60001; DELETE FROM gone WHERE id % 1000 = 0; "
                    "INSERT INTO more SELECT generate_series(1, 300000)")
        found, tables = differences(forwarder, "--limit", "500")
        assert tables["public.t"]["different"] == 3 and tables["public.t"]["missing"] == 1
        assert tables["public.gone"]["missing"] == 60 and len([f for f in found if f[1] == "public.gone"]) == 60
        assert tables["public.more"]["extra"] == 500 and not tables["public.more"]["complete"]
        assert time.time() - began < 240


# Keys and values #####################################################################################################

def test_keys_that_servers_sort_differently(db, fwd, target):
    """Texts are sorted by another collation in the target, and numbers have other types."""
    collations = db.psql("SELECT collname FROM pg_collation WHERE collprovider = 'i' AND collname IN ('und-x-icu', 'en-x-icu')").split()
    other = f'"{collations[0]}"' if collations else '"C"'
    db.psql('CREATE TABLE t (name text COLLATE "POSIX" PRIMARY KEY, n int); CREATE TABLE u (id int PRIMARY KEY); '
            "CREATE TABLE v (a numeric, b timestamptz, c varchar(20), PRIMARY KEY (a, b, c))")
    target.psql(f"CREATE TABLE t (name text COLLATE {other} PRIMARY KEY, n int); CREATE TABLE u (id bigint PRIMARY KEY); "
                f"CREATE TABLE v (a numeric, b timestamptz, c text COLLATE {other}, PRIMARY KEY (c, b, a))")
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("""INSERT INTO t SELECT CASE WHEN i % 2 = 0 THEN 'a' ELSE 'B' END || chr(60 + i % 60) || '_ -' || i, i FROM generate_series(1, 5000) i;
            INSERT INTO t VALUES ('it''s "quoted" \\', 1), ('ä', 2), ('Ä', 3), ('', 4), (E'tab\\t', 5);
            INSERT INTO u SELECT -i FROM generate_series(1, 3000) i;
            INSERT INTO v SELECT i / 3.0, '2020-01-01'::timestamptz + i * '1.5 s'::interval, 'Aa' || i % 13 FROM generate_series(1, 2000) i""")
        pg.wait_until(lambda: target.value("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM u) + (SELECT count(*) FROM v)") == 10005, 120, what="rows")
        found, tables = differences(forwarder)
        assert found == [] and tables["public.t"]["source_rows"] == 5005
        target.psql("""UPDATE t SET n = 0 WHERE name = 'it''s "quoted" \\'; DELETE FROM t WHERE name = 'Ä'; INSERT INTO t VALUES ('neu', 1);
            DELETE FROM u WHERE id = -5; INSERT INTO u VALUES (5000000000); UPDATE v SET a = 0 WHERE b = '2020-01-01'::timestamptz + '3 s'""")
        found, _ = differences(forwarder)
        assert [(kind, table, json.loads(key)) for kind, table, key, _ in found if table != "public.v"] == [
            ("different", "public.t", {"name": 'it\'s "quoted" \\'}), ("extra", "public.t", {"name": "neu"}), ("extra", "public.u", {"id": "5000000000"}),
            ("missing", "public.t", {"name": "Ä"}), ("missing", "public.u", {"id": "-5"})]
        assert sorted(kind for kind, table, *_ in found if table == "public.v") == ["extra", "missing"]


def test_keys_that_servers_sort_differently_against_all_signs(db, fwd, target):
    """The labels of an enum have another order, so pieces of the table do not become smaller."""
    db.psql("CREATE TYPE e AS ENUM ('a', 'b', 'c', 'd', 'e'); CREATE TABLE t (k e, id int, PRIMARY KEY (k, id))")
    target.psql("CREATE TYPE e AS ENUM ('e', 'c', 'a', 'd', 'b'); CREATE TABLE t (k e, id int, PRIMARY KEY (k, id))")
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("INSERT INTO t SELECT (ARRAY['a', 'b', 'c', 'd', 'e'])[1 + i % 5]::e, i FROM generate_series(1, 120000) i")
        pg.wait_until(lambda: target.value("SELECT count(*) FROM t") == 120000, 120, what="rows")
        found, tables = differences(forwarder)
        assert found == [] and tables["public.t"]["source_rows"] == tables["public.t"]["target_rows"] == 120000
        target.psql("DELETE FROM t WHERE id IN (5, 70000); INSERT INTO t VALUES ('e', 0), ('b', 0)")
        found, tables = differences(forwarder)
        assert [(kind, key) for kind, _, key, _ in found] == [
            ("extra", '{"k": "b", "id": "0"}'), ("extra", '{"k": "e", "id": "0"}'),
            ("missing", '{"k": "a", "id": "5"}'), ("missing", '{"k": "a", "id": "70000"}')]
        assert (tables["public.t"]["missing"], tables["public.t"]["extra"]) == (2, 2)


def test_values_of_every_type_compare_equal(db, fwd, target):
    """Those of the test of the plugin's values, as far as a clone can have them."""
    db.psql("CREATE TABLE t (id int PRIMARY KEY, f float8, g float4, m money, n numeric, d date, ts timestamp, tz timestamptz, iv interval, "
            "b bytea, j json, jb jsonb, a int[], aa text[], c char(8), x xml, r int4range, u uuid, i inet, bits bit(5), e point, flag bool)")
    db.psql("""INSERT INTO t VALUES
        (1, 1e300, 1.1, '-12.34', 1.50, '4713-01-01 BC', 'infinity', '2020-02-30 BC'::text::timestamptz, '-1 mon 2 days 03:04:05.6', '\\x00ff', E'{"a":\\n 1}', '{"b": 2}',
         '{1,NULL}', '{"a,b",NULL,""}', 'ab', '<a/>', '[1,5)', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1/64', '10101', '(1.5,2)', true),
        (2, 'NaN', '-Infinity', '1', 'NaN', 'infinity', '2020-01-01 00:00:00.000001', 'epoch', '0', '', 'null', 'null', '{}', '{}', '', NULL, 'empty', NULL, '10.0.0.1', '00000', NULL, false),
        (3, 0.1::float8 + 0.2, 3.4e38, NULL, 123456789012345678901234567890.1234500, NULL, NULL, NULL, NULL, NULL, '"x"', '"x"', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
        """.replace("'2020-02-30 BC'::text::timestamptz", "'2020-02-20 BC'"))
    # Wider, and other, types that the sink takes.
    wider = "id bigint PRIMARY KEY, f float8, g float8, m money, n numeric(60, 20), d timestamptz, ts timestamp(6), tz timestamptz, iv interval, " \
            "b bytea, j jsonb, jb json, a bigint[], aa varchar[], c text, x xml, r int4range, u text, i inet, bits varbit, e point, flag text"
    target.psql("CREATE SCHEMA wide; CREATE TABLE wide.t (" + wider + ")")
    same = db.psql("SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute "
                   "WHERE attrelid = 't'::regclass AND attnum > 0").strip()
    target.psql(f"CREATE SCHEMA same; CREATE TABLE same.t ({same}, PRIMARY KEY (id)); ALTER DATABASE {target.name} SET extra_float_digits = 0; "
                f"ALTER DATABASE {target.name} SET bytea_output = escape; ALTER DATABASE {target.name} SET intervalstyle = iso_8601; "
                f"ALTER DATABASE {target.name} SET datestyle = 'German'; ALTER DATABASE {target.name} SET timezone = 'Asia/Tokyo'")
    for schema in ("same", "wide"):
        target_of = f'"{schema}.{{table}}"'
        # A schema of its own, and a slot of its own.
        with fwd(name=schema, slot=f"{db.name}_{schema}", sinks=sink(target, target=target_of, missing="insert")) as forwarder:
            # Each row comes again.
            db.psql("BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM t; DELETE FROM t; INSERT INTO t SELECT * FROM kept; COMMIT")
            pg.wait_until(lambda: target.value(f"SELECT count(*) FROM {schema}.t") == 3, 60, what="rows")
            found, _ = differences(forwarder)
            assert found == [], schema
            target.psql(f"UPDATE {schema}.t SET f = f + 1e290 WHERE id = 1; UPDATE {schema}.t SET m = '5', a = '{{2}}' WHERE id = 2")
            found, _ = differences(forwarder)
            assert found == [("different", "public.t", '{"id": "1"}', "f"), ("different", "public.t", '{"id": "2"}', "m,a")]
            assert forwarder.terminate() == 0
        db.server.drop_slot(forwarder.slot)


def test_values_of_the_plugins_test_compare_equal(db, fwd, target):
    """The regression test's values, one table a type; types of users are made on both sides."""
    types = ["int8", "numeric", "float8", "text", "bytea", "jsonb", "timestamptz", "interval", "inet", "tsvector", "int4range", "float4[]", "numeric[]", "timestamptz[]"]
    ddl = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(9); CREATE TYPE pair AS (a int, b text); " + \
        "; ".join(f'CREATE TABLE "t {name}" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v {name})' for name in types) + \
        "; CREATE TABLE own (id int PRIMARY KEY, m mood, s short, p pair, ms mood[])"
    copy_tables(db, target, ddl)
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("""INSERT INTO "t int8" (v) VALUES (-9223372036854775808), (NULL); INSERT INTO "t numeric" (v) VALUES ('1.10'), ('-0.00'), ('1e100'), ('NaN');
            INSERT INTO "t float8" (v) VALUES ('-0'), (5e-324), (1.7976931348623157e308), (1/3.0); INSERT INTO "t text" (v) VALUES (''), (E'a\\nb\\t"\\\\'), (NULL), ('ẞ');
            INSERT INTO "t bytea" (v) VALUES (''), ('\\x00'); INSERT INTO "t jsonb" (v) VALUES ('{"a": [1, 2.50, null]}'), ('[]');
            INSERT INTO "t timestamptz" (v) VALUES ('-infinity'), ('2024-02-29 12:00:00.5+02'); INSERT INTO "t interval" (v) VALUES ('-1 year 5 sec');
            INSERT INTO "t inet" (v) VALUES ('10.1.2.3/8'); INSERT INTO "t tsvector" (v) VALUES ('a:1 b:2'); INSERT INTO "t int4range" (v) VALUES ('(1,)');
            INSERT INTO "t float4[]" (v) VALUES ('{1.1,NaN,NULL}'); INSERT INTO "t numeric[]" (v) VALUES ('{{1.0,2.00},{3,4}}'); INSERT INTO "t timestamptz[]" (v) VALUES ('{epoch}');
            INSERT INTO own VALUES (1, 'sad', 'x', '(1,"a b")', '{sad,ok}'), (2, NULL, NULL, NULL, NULL)""")
        wait_for_equal(db, target, [f'"t {name}"' for name in types] + ["own"])
        found, tables = differences(forwarder)
        assert found == [] and len(tables) == len(types) + 1
        target.psql("""UPDATE "t float8" SET v = 0 WHERE id = 1; UPDATE "t numeric" SET v = 1.1 WHERE id = 1; UPDATE own SET p = '(1,"a  b")' WHERE id = 1""")
        found, _ = differences(forwarder)
        assert [(kind, table, columns) for kind, table, _, columns in found] == [
            ("different", "public.own", "p"), ("different", "public.t float8", "v"), ("different", "public.t numeric", "v")]


# Settings of the sink and the source #################################################################################

def test_settings_of_the_sink_hold(db, fwd, target):
    db.psql("CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY, x text, secret text); CREATE TABLE s.log (id int PRIMARY KEY, x text); "
            "CREATE TABLE s.marked (id int PRIMARY KEY, x text); CREATE TABLE s.heap (x text); CREATE TABLE s.left (id int PRIMARY KEY); "
            "CREATE TABLE s.old (id int PRIMARY KEY, x text)")
    target.psql("CREATE SCHEMA copies; CREATE TABLE copies.s_a (sid text, number int, x text, more int DEFAULT 7, PRIMARY KEY (sid, number)); "
                "INSERT INTO copies.s_a VALUES ('us-1', 1, 'of another source'), ('us-1', 999, 'likewise')")
    tables = """
        - table: s.a
          target: copies.{schema}_{table}
          columns: {rename: {id: number}, leave_out: [secret]}
          set: {sid: eu-1}
        - table: s.old
          mode: history
        - table: s.marked
          mode: append
          deleted_at: gone_at
        - table: s.*
          mode: append"""
    with fwd(sinks=sink_with(target, tables, create_tables="true", only="{tables: ['!s.left']}")) as forwarder:
        target.psql("CREATE SCHEMA s")
        db.psql("INSERT INTO s.a SELECT i, 'x', 'y' FROM generate_series(1, 50) i; INSERT INTO s.log SELECT i, 'x' FROM generate_series(1, 50) i; "
                "INSERT INTO s.marked SELECT i, 'x' FROM generate_series(1, 50) i; INSERT INTO s.heap VALUES ('a'), ('a'), ('b'); INSERT INTO s.left VALUES (1); "
                "INSERT INTO s.old SELECT i, 'x' FROM generate_series(1, 50) i")
        db.psql("DELETE FROM s.log WHERE id < 20; DELETE FROM s.marked WHERE id < 20; DELETE FROM s.old WHERE id < 20; UPDATE s.old SET x = 'y' WHERE id = 30; "
                "UPDATE s.log SET x = 'y' WHERE id = 30; UPDATE s.a SET secret = 'z'; DELETE FROM s.a WHERE id = 50")
        pg.wait_until(lambda: target.value("SELECT to_regclass('s.old') IS NOT NULL AND count(*) = 51 FROM copies.s_a"), 60, what="rows")
        pg.wait_until(lambda: target.value("SELECT count(*) FROM s.old WHERE version_end = 'infinity' AND (id <> 30 OR x = 'y')") == 31, 60, what="versions")
        done = compare(forwarder)
        assert done.returncode == 0 and "s.left" not in done.stdout, done
        assert "compared as a whole" in done.stdout and "s.heap" in done.stdout, done
        target.psql("UPDATE copies.s_a SET more = 8; UPDATE copies.s_a SET x = 'p' WHERE sid = 'eu-1' AND number = 3; DELETE FROM copies.s_a WHERE sid = 'eu-1' AND number = 4; "
                    "INSERT INTO copies.s_a VALUES ('eu-1', 77, 'q'), ('us-1', 3, 'q'); DELETE FROM s.log WHERE id = 25; UPDATE s.log SET x = 'p' WHERE id = 26; "
                    "INSERT INTO s.marked VALUES (100, 'p', NULL), (101, 'p', now()); UPDATE s.old SET x = 'p' WHERE id = 40 AND version_end = 'infinity'; "
                    "UPDATE s.old SET x = 'p' WHERE version_end < 'infinity'; DELETE FROM s.heap WHERE x = 'b'")
        found, tables = differences(forwarder)
        assert found == sorted([
            ("different", "s.a", '{"number": "3"}', "x"), ("missing", "s.a", '{"number": "4"}', ""), ("extra", "s.a", '{"number": "77"}', ""),
            ("missing", "s.log", '{"id": "25"}', ""), ("different", "s.log", '{"id": "26"}', "x"), ("extra", "s.marked", '{"id": "100"}', ""),
            ("different", "s.old", '{"id": "40"}', "x")])
        assert tables["s.heap"]["result"] == "different" and tables["s.heap"]["source_rows"] == 3 and tables["s.heap"]["target_rows"] == 2


def test_publications_and_rules_of_the_source_hold(db, fwd, target):
    if pg.server_version() < 15:
        pytest.skip("column lists and row filters came with PostgreSQL 15")
    db.psql("CREATE TABLE t (id int PRIMARY KEY, kind text, mail text, secret text, n int, twice int GENERATED ALWAYS AS (n * 2) STORED); "
            "CREATE TABLE parts (id int, n int, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100); "
            "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (1000); CREATE TABLE hashed (mail text PRIMARY KEY, n int); "
            "CREATE PUBLICATION p FOR TABLE t (id, kind, mail, n) WHERE (kind <> 'hidden'), parts, hashed WITH (publish_via_partition_root = true)")
    target.psql("CREATE TABLE t (number int PRIMARY KEY, kind text, mail text, n int, app text, secret text DEFAULT 'none'); CREATE TABLE parts (id int PRIMARY KEY, n int, app text); "
                "CREATE TABLE hashed (mail text PRIMARY KEY, n int, app text)")
    source = "publications: [p]\nhash_key: a key that is long enough\nset: {app: shop}\n" \
             "columns: {public.t: {mail: hash, id: as number}, public.hashed: {mail: hash}}"
    with fwd(source=source, sinks=sink(target)) as forwarder:
        db.psql("INSERT INTO t SELECT i, CASE WHEN i % 3 = 0 THEN 'hidden' ELSE 'seen' END, 'm' || i, 's', i FROM generate_series(1, 60) i; "
                "INSERT INTO parts SELECT i, i FROM generate_series(1, 200) i; INSERT INTO hashed VALUES ('a', 1), ('b', 2)")
        pg.wait_until(lambda: target.value("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM parts) + (SELECT count(*) FROM hashed)") == 242, 60, what="rows")
        done = compare(forwarder)
        assert done.returncode == 0, done
        assert "column mail is not compared" in done.stderr and "public.hashed: column mail of its key is sent changed" in done.stderr, done
        target.psql("UPDATE t SET mail = 'other' WHERE number = 1; UPDATE t SET n = 0 WHERE number = 2; INSERT INTO t VALUES (3, 'hidden', 'm3', 3, 'shop'); "
                    "UPDATE t SET app = 'x' WHERE number = 4; DELETE FROM parts WHERE id IN (50, 150); UPDATE hashed SET n = 5 WHERE n = 1")
        found, tables = differences(forwarder)
        assert found == sorted([("different", "public.t", '{"number": "2"}', "n"), ("extra", "public.t", '{"number": "3"}', ""),
                                ("different", "public.t", '{"number": "4"}', "app"), ("missing", "public.parts", '{"id": "50"}', ""),
                                ("missing", "public.parts", '{"id": "150"}', "")])
        assert tables["public.hashed"]["result"] == "different"


def test_a_row_filter_may_name_any_column(db, fwd, target):
    if pg.server_version() < 15:
        pytest.skip("row filters came with PostgreSQL 15")
    copy_tables(db, target, "CREATE TABLE t (k1 int, k0 int, PRIMARY KEY (k1, k0))")
    db.psql("CREATE PUBLICATION p FOR TABLE t WHERE (k0 > 5)")
    with fwd(source="publications: [p]\n", sinks=sink(target)) as forwarder:
        db.psql("INSERT INTO t SELECT 1, i FROM generate_series(1, 10) i")
        pg.wait_until(lambda: target.value("SELECT count(*) FROM t") == 5, 60, what="rows")
        target.psql("DELETE FROM t WHERE k0 = 7")
        assert differences(forwarder)[0] == [("missing", "public.t", '{"k1": "1", "k0": "7"}', "")]


def test_a_copy_without_a_key_that_keeps_more_rows_is_not_equal(db, fwd, target):
    """What it has more may stand for rows that the source has deleted, or hide rows that are missing."""
    copy_tables(db, target, "CREATE TABLE t (x text)")
    with fwd(sinks=sink(target, mode="append")) as forwarder:
        db.psql("INSERT INTO t VALUES ('a'), ('b')")
        pg.wait_until(lambda: target.value("SELECT count(*) FROM t") == 2, 60, what="rows")
        target.psql("UPDATE t SET x = 'wrong'; INSERT INTO t VALUES ('wrong, too')")
        done = compare(forwarder)
        assert done.returncode == 1 and "equal" not in done.stdout and "cannot be compared" in done.stderr, done


# Mistakes ############################################################################################################

@pytest.mark.parametrize("key, value, said", [("text", "'seven'", "seven"), ("bigint", "5000000000", "integer")])
def test_a_key_that_the_target_cannot_hold_is_named(db, fwd, target, key, value, said):
    """The sink rejects such a row, so both tables cannot be equal. Without a forwarder, rows do not settle."""
    db.psql(f"CREATE TABLE t (id {key} PRIMARY KEY, body text); INSERT INTO t VALUES ({value}, 'x'), ('1', 'y')")
    target.psql("CREATE TABLE t (id int PRIMARY KEY, body text); INSERT INTO t VALUES (1, 'y')")
    done = compare(fwd(sinks=sink(target)), "--wait", "1")
    assert done.returncode == 1, done
    if key == "text":
        assert "public.t" in done.stderr and said in done.stderr and "id (text in the source, integer in the target)" in done.stderr, done
        assert "ALTER TABLE" in done.stderr, done
    else:
        assert "unsettled\tpublic.t\t{\"id\":\"5000000000\"}" in done.stdout, done


def test_rows_of_the_target_without_a_key_are_counted(db, fwd, target):
    """No row of the source is like them. They hide no other difference."""
    db.psql(TABLE + "; INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    target.psql("CREATE TABLE t (id int UNIQUE, body text); INSERT INTO t VALUES (1, 'x'), (NULL, 'y'), (NULL, 'z')")
    forwarder = fwd(sinks=sink(target))
    done = compare(forwarder, "--wait", "1")
    assert done.returncode == 1 and "unsettled\tpublic.t\t{\"id\":\"2\"}" in done.stdout, done
    assert "2 rows of the target have NULL in a column of the key" in done.stdout, done
    target.psql("INSERT INTO t VALUES (2, 'y')")
    done = compare(forwarder, "--wait", "1")
    assert done.returncode == 1 and "DIFFERS" in done.stdout and "2 rows of the target have NULL" in done.stdout, done
    target.psql("DELETE FROM t WHERE id IS NULL")
    done = compare(forwarder, "--wait", "1")
    assert done.returncode == 0 and "equal\tpublic.t\t2 rows" in done.stdout, done


def test_the_scale_of_numbers_in_arrays_counts_as_that_of_single_numbers(db, fwd, target):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, n numeric(9,1), a numeric(9,1)[])")
    target.psql("CREATE TABLE t (id int PRIMARY KEY, n numeric, a numeric[])")
    db.psql("INSERT INTO t VALUES (1, 1.0, '{1.0,100,NULL,0}'), (2, 1.5, '[0:1]={10.0,-20.5}'), (3, 10, '{{10,2.0},{0.1,3}}')")
    target.psql("INSERT INTO t VALUES (1, 1.000, '{1.00,100,NULL,0.000}'), (2, 1.50, '[0:1]={10,-20.500}'), (3, 10, '{{10,2},{0.10,3.00}}')")
    forwarder = fwd(sinks=sink(target))
    done = compare(forwarder, "--wait", "1")
    assert done.returncode == 0, done
    target.psql("UPDATE t SET a[1] = 1.01 WHERE id = 1; UPDATE t SET a[1] = 1 WHERE id = 2")
    done = compare(forwarder, "--wait", "1")
    assert done.returncode == 1 and "2 unsettled" in done.stdout, done


def test_mistakes_are_named(db, fwd, target, tmp_path):
    copy_tables(db, target, TABLE)
    db.psql("CREATE TABLE u (id int PRIMARY KEY)")
    forwarder = fwd(sinks=sink(target) + sink(target, name="second"))
    several = compare(forwarder)
    assert several.returncode == 2 and "--sink postgres" in several.stderr and "--sink second" in several.stderr, several
    lacking = compare(forwarder, "--sink", "second")
    assert lacking.returncode == 1 and "CREATE TABLE" in lacking.stderr and "equal\tpublic.t\t0 rows" in lacking.stdout, lacking
    assert compare(forwarder, "--sink", "second", "public.t").returncode == 0
    unknown = compare(forwarder, "--sink", "second", "public.nothing")
    assert unknown.returncode == 2 and '"public.nothing" matches no table' in unknown.stderr, unknown
    assert compare(forwarder, "--sink", "second", "nothing").returncode == 2
    other = fwd(name="other")
    assert "no pipeline reads a slot and has a sink of the type postgres" in compare(other).stderr
    assert compare(other).returncode == 2
    gone = fwd(name="gone", sinks=sink(target, {"dbname": "nowhere"}))
    done = compare(gone)
    assert done.returncode == 1 and "target" in done.stderr and "nowhere" in done.stderr, done
