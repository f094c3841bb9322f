"""The dialect wal2json, beside wal2json on the same WAL: that of all regression tests of the plugin.

wal2json is the oracle. Where wal2json writes nothing, the documents have more: docs/dialects.md says what.
"""

import glob
import json
import os
import re
import subprocess

import pytest

from harness import postgres as pg

TESTS = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(pg.TOP, "sql", "*.sql")))

# Settings of the reading session: those with which the plugin always renders values.
SETTINGS = {
    "TimeZone": "UTC", "DateStyle": "ISO", "IntervalStyle": "postgres", "bytea_output": "hex", "extra_float_digits": "1",
    "lc_monetary": "C", "search_path": "public", "client_min_messages": "error", "quote_all_identifiers": "off",
}

# Here wal2json raises an error, so it does not write the rest of the WAL.
RAISES = {"output_functions_that_raise", "values_of_altered_types"}

# Relations whose changes wal2json sends, and the plugin does not, because no publication has them.
MATERIALIZED_VIEWS = {"mv", "read_matview"}

ALL = {"include-lsn": "true", "include-xids": "true", "include-timestamp": "true", "include-pk": "true",
       "include-types": "false"}
OPTIONS = [{}, ALL, {"include-transaction": "false", "include-pk": "true"}]


@pytest.fixture(scope="module")
def cluster():
    with pg.WorkDir() as work:
        modules = [os.path.join(pg.TOP, "build", "modules", "walspout_test_casts.so")]
        installation = pg.Installation(work, modules=modules)
        assert installation.has_module("wal2json"), "the package postgresql-N-wal2json is missing"
        cluster = pg.Cluster(installation)
        cluster.start()
        yield cluster


@pytest.fixture
def database(cluster):
    name = "compared"
    cluster.createdb(name)
    cluster.psql("CREATE EXTENSION walspout", name)
    yield name
    cluster.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    cluster.dropdb(name)


def make_slots(cluster, database):
    cluster.create_slot("ours", db=database)
    cluster.create_slot("theirs", plugin="wal2json", db=database)


def run(cluster, database, test):
    """Runs a test of the plugin to get its WAL. Its output is checked elsewhere."""
    path = os.path.join(pg.TOP, "sql", f"{test}.sql")
    subprocess.run([cluster.installation.program("psql"), "-X", "-q", "-d", database, "-f", path],
                   env=cluster.client_env(PG_ABS_SRCDIR=pg.TOP), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   stdin=subprocess.DEVNULL, timeout=600)


def flushed(cluster, database):
    """An LSN. All WAL before it is flushed."""
    lsn = cluster.value("SELECT pg_current_wal_insert_lsn()", database)
    cluster.psql("SET synchronous_commit = on; SELECT txid_current()", database)
    return lsn


def peek(cluster, database, slot, options, end):
    """The lines up to the LSN `end`. wal2json writes messages that are not text unchanged, so psql must return bytes."""
    pairs = "".join(f", '{name}', '{value}'" for name, value in options.items())
    settings = "".join(f"SET {name} = '{value}';" for name, value in SETTINGS.items())
    done = subprocess.run([cluster.installation.program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c",
                           settings, "-c", f"SELECT data FROM pg_logical_slot_peek_changes('{slot}', '{end}', NULL{pairs})"],
                          env=cluster.client_env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace").split("\n")[:-1]


def ours(cluster, database, options, end=None):
    return peek(cluster, database, "ours", {"dialect": "wal2json", **options}, end or flushed(cluster, database))


def both(cluster, database, options):
    """Our lines and wal2json's, of the same WAL: autovacuum may write more at any time."""
    end = flushed(cluster, database)
    return (ours(cluster, database, options, end),
            peek(cluster, database, "theirs", {"format-version": "2", **options}, end))


def is_of_one_side(line):
    """Whether only one of both writes it: changes of the extension's tables and of materialized views, and marks."""
    table = re.search(r'"table":"([^"]*)"', line)
    return '"schema":"walspout"' in line or '"prefix":"walspout.mark"' in line or \
        table is not None and table[1] in MATERIALIZED_VIEWS


def is_keyless(line):
    """Whether it is of a row without identity, for which wal2json only warns."""
    return re.match(r'\{"action":"[UD]"', line) is not None and '"identity":[' not in line


def as_theirs(line):
    """The document without what wal2json lacks."""
    return re.sub(r',"unchanged":\[[^]]*\]\}$', "}", line)


def head_of_bytes(our, their):
    """What precedes the content of a message with bytes that are not text: wal2json ends at a zero byte, and copies
    others."""
    if our.startswith('{"action":"M"') and re.search(r"\ufffd|\\u0000", our):
        return our.split(',"content":')[0], their.split(',"content":')[0]
    return our, their


def as_json(line):
    """The line with names of types as one string, where wal2json writes two: "type":"A"."B"."""
    line = re.sub(r'"type":"modified\(\d+\)', '"type":"modified', line)       # its modifiers are printed by code of users
    return re.sub(r'"type":("[^"\\]+"\.(?:"[^"]*"|\w+)|\w+\."[^"]*")(?=[,}])', lambda found: '"type":' + json.dumps(found[1], ensure_ascii=False), line)


def same(our_lines, their_lines):
    """Compares, and returns how many lines were the same."""
    our_lines = [as_theirs(line) for line in our_lines if not is_keyless(line) and not is_of_one_side(line)]
    their_lines = [as_json(line) for line in their_lines if not is_of_one_side(line)]
    for i, (our, their) in enumerate(zip(our_lines, their_lines)):
        our, their = head_of_bytes(our, their)
        assert our == their, f"line {i}"
    assert len(our_lines) == len(their_lines)
    return len(our_lines)


@pytest.mark.parametrize("test", [test for test in TESTS if test not in RAISES])
def test_the_documents_are_those_of_wal2json(cluster, database, test):
    make_slots(cluster, database)
    run(cluster, database, test)
    for options in OPTIONS:
        same(*both(cluster, database, options))


def test_unchanged_values_are_named(cluster, database):
    make_slots(cluster, database)
    cluster.psql("""
        CREATE TABLE t (id int PRIMARY KEY, n int, body text);
        ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
        INSERT INTO t VALUES (1, 1, repeat('x', 10000));
        UPDATE t SET n = 2;
        ALTER TABLE t REPLICA IDENTITY FULL;
        UPDATE t SET n = 3;
    """, database)
    lines, theirs = both(cluster, database, {"include-transaction": "false"})
    update, full = [json.loads(line) for line in lines[1:]]
    assert update["unchanged"] == full["unchanged"] == ["body"]
    assert [column["name"] for column in update["columns"]] == ["id", "n"]
    assert full["identity"][2]["value"] == "x" * 10000
    assert same(lines, theirs) == 3


def test_changes_of_rows_without_identity_are_sent(cluster, database):
    make_slots(cluster, database)
    cluster.psql("CREATE TABLE t (id int); INSERT INTO t VALUES (1); UPDATE t SET id = 2; DELETE FROM t", database)
    assert ours(cluster, database, {"include-transaction": "false"}) == [
        '{"action":"I","schema":"public","table":"t","columns":[{"name":"id","type":"integer","value":1}]}',
        '{"action":"U","schema":"public","table":"t","columns":[{"name":"id","type":"integer","value":2}]}',
        '{"action":"D","schema":"public","table":"t"}']


def test_values_that_cannot_be_rendered_are_named(cluster, database):
    make_slots(cluster, database)
    cluster.psql("CREATE TABLE t (id int PRIMARY KEY, body text);"
                 "INSERT INTO t VALUES (1, repeat('x', 10000))", database)
    assert ours(cluster, database, {"include-transaction": "false", "max_value_bytes": "1000", "include-types": "false"}) \
        == ['{"action":"I","schema":"public","table":"t","columns":[{"name":"id","value":1}],"elided":{"body":10000}}']


def test_the_session_does_not_change_a_byte(cluster, database):
    make_slots(cluster, database)
    cluster.psql("""
        CREATE TABLE t (a timestamptz, b timestamptz[], c interval, d bytea[], e float8[], f money, g regclass);
        INSERT INTO t VALUES ('2026-01-31 11:22:33.5', ARRAY['2026-01-31 11:22:33'::timestamptz], '1 year 2 days', ARRAY['\\x00ff'::bytea],
                              ARRAY[0.1, 'NaN', 'Infinity']::float8[], 1.5, 't');
    """, database)
    plain, theirs = both(cluster, database, {})
    assert plain == theirs
    with cluster.connect(database) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; "
                           "SET bytea_output = 'escape'; SET extra_float_digits = 0; SET search_path = pg_catalog")
            cursor.execute("SELECT data FROM pg_logical_slot_peek_changes('ours', NULL, NULL, 'dialect', 'wal2json')")
            assert [row[0] for row in cursor.fetchall()][:len(plain)] == plain


ODD = r"""
    CREATE EXTENSION hstore;
    CREATE SCHEMA "Other one";
    CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"');
    CREATE TYPE "Other one"."Pair" AS (a int, "b c" text);
    CREATE DOMAIN moods AS mood[] CHECK (cardinality(VALUE) < 9);
    CREATE DOMAIN deeper AS moods;
    CREATE DOMAIN price AS numeric(10, 2);
    CREATE TABLE "Other one"."Table ""ä" ("Key ü" int, "select" mood, "a.b" text, v moods, w deeper, prices price[], p "Other one"."Pair",
        pp "Other one"."Pair"[], PRIMARY KEY ("select", "Key ü"));
    INSERT INTO "Other one"."Table ""ä" VALUES (1, 'sad', E'a\\b"\n\u0001\u007f', '{sad,NULL}', '{"it''s \"ok\""}', '{1.5,NULL}', '(1,"x y")', ARRAY['(1,)'::"Other one"."Pair"]);
    UPDATE "Other one"."Table ""ä" SET "Key ü" = 2, "select" = 'it''s "ok"';
    DELETE FROM "Other one"."Table ""ä";
    CREATE TABLE ranges (id int PRIMARY KEY, i int4range, n numrange, t tsrange, z tstzrange, d daterange, a int8range[], b box, p point, h hstore, hs hstore[],
        g int GENERATED ALWAYS AS (id * 2) STORED, bits bit(3), bit1 bit, vb varbit, m money, ms money[], c char(5), one "char", nm name, o oid, r regclass, x xml, l pg_lsn, ts tsvector, q tsquery);
    INSERT INTO ranges (id, i, n, t, z, d, a, b, p, h, hs, bits, bit1, vb, m, ms, c, one, nm, o, r, x, l, ts, q) VALUES
        (1, '[1,5)', '(,9.50]', '[2026-01-31,infinity)', '[2026-01-31 11:22+02,)', 'empty', '{"[1,2)",NULL}', '((1,2),(3,4))', '(1.5,nan)', 'a=>1,b=>NULL', ARRAY['a=>"\""'::hstore],
         '101', '1', '', -12.5, '{1.5,NULL}', 'ab', 'c', 'name', 4294967295, 'ranges', '<a b="c"/>', '16/B374D848', 'fat:2', 'a & b');
    CREATE TABLE times (id int PRIMARY KEY, d date, ts timestamp(3), tz timestamptz, t time(0), ttz timetz, i interval, iy interval year to month, days date[], is_ interval[]);
    INSERT INTO times VALUES (1, 'infinity', '-infinity', 'infinity', '24:00', '24:00+15:59', '-1 mon 2 days -03:04:05.000006', '3 years 2 mons', '{infinity,2026-01-31,NULL}', '{1 day,NULL}'),
        (2, '4713-11-24 BC', '0044-03-15 BC', '294276-12-31 23:59:59.999999+00', '00:00', '00:00:00.000001-15:59', '178000000 years', '-1 year', '{}', '{}');
    CREATE TABLE numbers (n numeric, f8 float8, k numeric(3, -2), s numeric(2, 5), ns numeric[], fs float8[], big bigint, PRIMARY KEY (n));
    INSERT INTO numbers VALUES ('NaN', 'NaN', 12345, 0.00012, '{NaN,1e40,-0.50}', '{NaN,-Infinity,1e-7,0.1}', -9223372036854775808), (1e1000, '-0', NULL, NULL, NULL, '{}', 1), (-1e-1000, 5e-324, 0, 0, '{{1,2},{3,NULL}}', NULL, 1);
    UPDATE numbers SET f8 = 1;
    CREATE TABLE full_row (a int, b text, g int GENERATED ALWAYS AS (a + 1) STORED);
    ALTER TABLE full_row REPLICA IDENTITY FULL;
    INSERT INTO full_row VALUES (1, NULL);
    UPDATE full_row SET b = 'x';
    DELETE FROM full_row;
    CREATE TABLE by_index (a int PRIMARY KEY, b text NOT NULL, c bytea);
    CREATE UNIQUE INDEX by_index_b ON by_index (b);
    ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_b;
    INSERT INTO by_index VALUES (1, 'b', '\x00ff');
    UPDATE by_index SET a = 2;
    UPDATE by_index SET b = 'c';
    DELETE FROM by_index;
    CREATE TABLE root (id int, v text, PRIMARY KEY (id)) PARTITION BY LIST (id);
    CREATE TABLE root_one PARTITION OF root FOR VALUES IN (1);
    CREATE TABLE root_rest PARTITION OF root DEFAULT PARTITION BY RANGE (id);
    CREATE TABLE root_rest_2 PARTITION OF root_rest FOR VALUES FROM (2) TO (10);
    INSERT INTO root VALUES (1, 'x'), (2, 'y');
    UPDATE root SET id = 3 WHERE id = 1;
    CREATE TABLE child (id int PRIMARY KEY REFERENCES by_index);
    TRUNCATE by_index, child, root, times RESTART IDENTITY CASCADE;
    BEGIN; SAVEPOINT a; INSERT INTO root VALUES (9); ROLLBACK TO a; COMMIT;
    CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES;
    CREATE TABLE dropped (a int PRIMARY KEY, gone text, b text); ALTER TABLE dropped DROP gone, ADD c int DEFAULT 7;
    INSERT INTO dropped VALUES (1, 'x'); ALTER TABLE dropped RENAME a TO "A"; UPDATE dropped SET "A" = 2; ALTER TABLE dropped ALTER c TYPE text; DELETE FROM dropped;
"""


def test_odd_tables(cluster, database):
    make_slots(cluster, database)
    cluster.psql(ODD, database)
    for options in OPTIONS:
        assert same(*both(cluster, database, options)) >= 34
