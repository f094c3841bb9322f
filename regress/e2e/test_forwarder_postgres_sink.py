"""Postgres as a destination: what a clone and an append-only copy have, and whose fault an error is. Each change is
there once, whatever is killed, frozen or taken over."""

import itertools
import json
import os
import random
import re
import threading
import time

from harness import postgres as pg
import pytest
from harness.forwarder import run
from harness.processes import freeze, thaw
from test_forwarder_server import pgbouncer

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


@pytest.fixture
def target(db):
    """A second database of the same server."""
    db.server.createdb(f"{db.name}_target")
    yield pg.Database(db.server, f"{db.name}_target")
    db.server.dropdb(f"{db.name}_target")


@pytest.fixture(params=["with the extension", "without"])
def either(target, request):
    """The same; the function of the extension takes documents apart, or a function of the server does."""
    if request.param == "with the extension":
        target.psql("CREATE EXTENSION walspout")
    return target


def dsn(database, **more):
    parts = {"host": database.server.host, "port": database.server.port, "user": pg.SUPERUSER,
             "dbname": database.name, **more}
    return " ".join(f"{key}={value}" for key, value in parts.items())


def sink(database, of_dsn=None, **more):
    lines = ["- type: postgres", f"  dsn: {dsn(database, **(of_dsn or {}))}"]
    lines += [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


def rows(database, table="t", order="r"):
    return database.psql(f"SELECT row_to_json(r) FROM {table} r ORDER BY {order}").splitlines()


def wait_for_equal(db, target, tables, timeout=120):
    """All of the source's changes are in the target: the rows are the same, byte for byte."""
    def differing():
        return [name for name in tables if rows(db, name, "r::text") != rows(target, name, "r::text")]
    try:
        pg.wait_until(lambda: not differing(), timeout, what="equal tables")
    except TimeoutError:
        for name in differing():
            assert rows(db, name, "r::text") == rows(target, name, "r::text"), name
        raise


def position(target):
    return target.psql("SELECT source, lsn, index FROM walspout.positions")


def copy_tables(db, target, ddl):
    db.psql(ddl)
    target.psql(ddl)


# What a clone has ####################################################################################################

@pytest.mark.effect("postgres.dsn", "postgres.mode")
def test_a_clone_has_what_the_source_has(db, fwd, either):
    copy_tables(db, either, TABLE + """;
        CREATE SCHEMA "Odd ""Schema"; CREATE TABLE "Odd ""Schema"."T able.%" ("Key 1" text, "k'2" int, "v""q" numeric,
            PRIMARY KEY ("k'2", "Key 1"));
        CREATE TABLE only_key (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE identities (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int,
            twice int GENERATED ALWAYS AS (n * 2) STORED)""")
    with fwd(sinks=sink(either, mode="clone")) as forwarder:
        db.psql("INSERT INTO t SELECT i, 'x' || i FROM generate_series(1, 5000) i")
        db.psql("UPDATE t SET body = 'y' WHERE id % 3 = 0; DELETE FROM t WHERE id % 7 = 0; "
                "UPDATE t SET id = id + 100000 WHERE id % 100 = 1")
        for i in range(20):
            db.psql(f"INSERT INTO t VALUES (-1, 'a{i}'); UPDATE t SET body = 'b' WHERE id = -1; "
                    "UPDATE t SET id = -2 WHERE id = -1; DELETE FROM t WHERE id = -2")
        db.psql("""INSERT INTO "Odd ""Schema"."T able.%" SELECT 'k' || i, i, i / 8.0 FROM generate_series(1, 50) i;
            UPDATE "Odd ""Schema"."T able.%" SET "v""q" = NULL WHERE "k'2" < 5;
            UPDATE "Odd ""Schema"."T able.%" SET "Key 1" = 'it''s "new"' WHERE "k'2" = 7;
            INSERT INTO only_key SELECT i, i FROM generate_series(1, 9) i; UPDATE only_key SET b = 0 WHERE a < 4;
            DELETE FROM only_key WHERE a = 9;
            INSERT INTO identities (n) SELECT generate_series(1, 9); UPDATE identities SET n = 100 WHERE id = 3""")
        wait_for_equal(db, either, ["t", '"Odd ""Schema"."T able.%"', "only_key", "identities"])
        assert len(rows(either)) > 4000
        assert forwarder.terminate() == 0


@pytest.mark.parametrize("more", ["n int", ""])
def test_a_key_that_is_written_in_another_way_is_the_same_key(db, fwd, target, more):
    """1.0 and 1.00 are one key. The target has the last spelling of the source."""
    copy_tables(db, target, f"CREATE TABLE t (k numeric, w text, {more + ',' if more else ''} PRIMARY KEY (k, w))")
    target.psql(f"INSERT INTO t VALUES (1.0, 'old'{', 1' if more else ''})")
    with fwd(sinks=sink(target)) as forwarder:
        db.psql(f"INSERT INTO t VALUES (1.00, 'old'{', 2' if more else ''})")
        wait_for_equal(db, target, ["t"])
        db.psql("UPDATE t SET k = 1.000")
        wait_for_equal(db, target, ["t"])
        db.psql(f"DELETE FROM t; INSERT INTO t VALUES (1, 'old'{', 3' if more else ''})")
        wait_for_equal(db, target, ["t"])
        assert forwarder.terminate() == 0


def test_columns_that_did_not_change_keep_their_value(db, fwd, either):
    copy_tables(db, either, "CREATE TABLE t (id int PRIMARY KEY, n int, big text, \"o'ther\" text)")
    db.psql("ALTER TABLE t ALTER big SET STORAGE EXTERNAL, ALTER \"o'ther\" SET STORAGE EXTERNAL")
    with fwd(sinks=sink(either)):
        db.psql("INSERT INTO t SELECT i, 0, repeat('x', 5000 + i), repeat('y', 6000) FROM generate_series(1, 20) i")
        db.psql("UPDATE t SET n = n + 1; UPDATE t SET n = n + 1, big = NULL WHERE id < 5; "
                "UPDATE t SET \"o'ther\" = 'new' WHERE id = 9; UPDATE t SET n = NULL WHERE id = 8; "
                "UPDATE t SET id = 100 WHERE id = 10; UPDATE t SET id = 101, n = 7 WHERE id = 11")
        wait_for_equal(db, either, ["t"])
        assert either.value("SELECT length(big) FROM t WHERE id = 100") == 5010


def given_values():
    """The INSERT with a list of values for each type, of the test of the plugin's values."""
    with open(os.path.join(pg.TOP, "sql", "values_of_every_type.sql")) as f:
        return re.search(r"INSERT INTO given VALUES\n.*?\);\n", f.read(), re.S)[0]


def test_values_of_every_type_arrive(db, fwd, either, tmp_path):
    """As row_to_json() shows them; arrays of each type, too."""
    db.psql("CREATE TABLE given (type text, texts text[]); " + given_values())
    # Arrays of int2vector look like arrays of two dimensions.
    types = [row[0] for row in db.server.query("SELECT type FROM given WHERE to_regtype(type) IS NOT NULL AND "
                                            "type NOT IN ('int2vector', 'oidvector')", db.name)]
    ddl = "".join(f"CREATE TABLE v{i} (id int PRIMARY KEY, v {name}, a {name}[]); " for i, name in enumerate(types))
    copy_tables(db, either, ddl + "CREATE DOMAIN small AS int CHECK (value < 10); CREATE TYPE mood AS ENUM ('a', 'it''s');"
                                  "CREATE TYPE pair AS (x numeric, \"y z\" text[]); "
                                  "CREATE TABLE own (id small PRIMARY KEY, m mood, p pair, ps pair[], ranged int4range)")
    assert len(types) > 40
    letters = tmp_path / "dead"
    with fwd(sinks=sink(either), source="max_depth: 0", pipeline=f"dead_letter: {{path: {letters}}}"):
        for i, name in enumerate(types):
            db.psql(db.value("SELECT string_agg(format('INSERT INTO %%1$s VALUES (%%2$s, %%3$L, ARRAY[%%3$L, NULL]::%%4$s[])', "
                             "%s::text, n, t, type), ';') FROM given, unnest(texts) WITH ORDINALITY u(t, n) "
                             "WHERE type = %s AND t <> 'sampled'", [f"v{i}", name]))
            db.psql(f"UPDATE v{i} SET a = a || v WHERE id % 2 = 0")
        db.psql("INSERT INTO own VALUES (1, 'it''s', (1.50, '{a,NULL}'), ARRAY[(1, NULL)::pair], '[1,5)'), (2, NULL, NULL, NULL, NULL)")
        pg.wait_until(lambda: len(rows(either, "own")) == 2, 120, what="the last table")
        assert letters.read_text() == ""
        wait_for_equal(db, either, [f"v{i}" for i in range(len(types))] + ["own"], 30)


@pytest.mark.effect("postgres.elided")
def test_columns_that_are_left_out_never_become_null(db, fwd, target, tmp_path):
    copy_tables(db, target, "CREATE TABLE t (id int PRIMARY KEY, n int, big text)")
    letters = tmp_path / "dead"
    source = "max_value_bytes: 1kB"
    with fwd(sinks=sink(target, elided="error"), source=source,
             pipeline=f"dead_letter: {{path: {letters}}}") as forwarder:
        db.psql("INSERT INTO t VALUES (1, 1, 'x'), (2, 1, repeat('x', 5000)), (3, 1, 'x')")
        db.psql("UPDATE t SET big = repeat('y', 5000), n = 2 WHERE id = 1")
        pg.wait_until(lambda: letters.exists() and len(letters.read_text().splitlines()) == 2, what="two dead letters")
        assert "elided: keep" in letters.read_text()
        pg.wait_until(lambda: rows(target) == ['{"id":1,"n":1,"big":"x"}', '{"id":3,"n":1,"big":"x"}'], what="rows")
        forwarder.terminate()
    with fwd(name="keep", slot=forwarder.slot, sinks=sink(target, elided="keep"), source=source,
             pipeline=f"dead_letter: {{path: {letters}}}"):
        db.psql("UPDATE t SET big = repeat('z', 5000), n = 3 WHERE id = 1; INSERT INTO t VALUES (4, 1, repeat('x', 5000))")
        pg.wait_until(lambda: rows(target)[0] == '{"id":1,"n":3,"big":"x"}', what="rows")
        # A new row has no old values to keep.
        pg.wait_until(lambda: len(letters.read_text().splitlines()) == 3, what="a dead letter")
        assert target.value("SELECT count(*) FROM t WHERE id = 4") == 0


@pytest.mark.parametrize("elided", ["keep", "error"])
def test_a_column_that_only_the_old_row_lacks_is_written(db, fwd, target, tmp_path, elided):
    """`elided` names columns of both rows. The new one has this value."""
    copy_tables(db, target, "CREATE TABLE t (id int PRIMARY KEY, body text, n int)")
    db.psql("ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, repeat('x', 2000), 1)")
    target.psql("INSERT INTO t VALUES (1, 'old', 1)")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(target, elided=elided), source="max_value_bytes: 1kB", pipeline=f"dead_letter: {{path: {letters}}}"):
        db.psql("UPDATE t SET body = 'short', n = 2")
        wait_for_equal(db, target, ["t"], timeout=30)
        assert letters.read_text() == ""


def test_a_row_whose_key_is_left_out_is_no_other_row(db, fwd, either, tmp_path):
    """Without a column of its key, the document has no key: a shorter key would be that of other rows."""
    copy_tables(db, either, "CREATE TABLE t (a int, k text, n int, PRIMARY KEY (a, k))")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(either, elided="keep"), source="max_value_bytes: 1kB", pipeline=f"dead_letter: {{path: {letters}}}"):
        db.psql("INSERT INTO t VALUES (1, 'short', 1), (1, repeat('x', 2000), 2), (1, repeat('y', 2000), 3)")
        db.psql("UPDATE t SET n = -n WHERE n > 1; DELETE FROM t WHERE n = -2; UPDATE t SET n = 10 WHERE n = 1")
        pg.wait_until(lambda: letters.exists() and len(letters.read_text().splitlines()) == 5, what="dead letters")
        pg.wait_until(lambda: rows(either) == ['{"a":1,"k":"short","n":10}'], what="rows")
        assert letters.read_text().count("key was left out") == 5 and "raise that" in letters.read_text()
        assert all(json.loads(line).get("document", {}).get("key") is None for line in letters.read_text().splitlines())


@pytest.mark.effect("postgres.missing")
@pytest.mark.parametrize("missing", ["insert", "ignore", "error"])
def test_rows_that_the_target_lacks(db, fwd, target, tmp_path, missing):
    copy_tables(db, target, TABLE)
    db.psql("INSERT INTO t SELECT i, 'old' FROM generate_series(1, 6) i")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(target, missing=missing), pipeline=f"dead_letter: {{path: {letters}}}") as forwarder:
        db.psql("UPDATE t SET body = 'new' WHERE id < 4; DELETE FROM t WHERE id = 4; UPDATE t SET id = 50 WHERE id = 5")
        db.psql("INSERT INTO t VALUES (10, 'last')")
        pg.wait_until(lambda: "last" in "".join(rows(target)), what="last row")
        found = [json.loads(row)["id"] for row in rows(target)]
        if missing == "insert":
            assert found == [1, 2, 3, 10, 50]
            forwarder.wait_for_log("which are inserted")
        else:
            assert found == [10]
        if missing == "error":
            assert len(letters.read_text().splitlines()) == 5 and "missing: error" in letters.read_text()
        else:
            forwarder.wait_for_log("rows of table public.t")


@pytest.mark.effect("postgres.truncate")
@pytest.mark.parametrize("truncate", ["apply", "ignore", "error"])
def test_truncates(db, fwd, target, tmp_path, truncate):
    copy_tables(db, target, TABLE + "; CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t)")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(target, truncate=truncate), pipeline=f"dead_letter: {{path: {letters}}}"):
        db.psql("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 9) i; INSERT INTO child VALUES (1, 1)")
        db.psql("BEGIN; INSERT INTO t VALUES (10, 'before'); TRUNCATE t, child; INSERT INTO t VALUES (11, 'after'); COMMIT")
        pg.wait_until(lambda: "after" in "".join(rows(target)), what="last row")
        assert len(rows(target)) == (1 if truncate == "apply" else 11)
        assert len(rows(target, "child")) == (0 if truncate == "apply" else 1)
        assert letters.exists() == (truncate == "error") or letters.read_text() == ""


@pytest.mark.parametrize("max_transaction", [10, pytest.param(50_000, marks=pytest.mark.long)])
def test_a_truncate_of_more_tables_than_a_message_holds(db, fwd, target, max_transaction):
    """Each table references the one before it, so one statement must truncate them all."""
    names = [f"t{i}" for i in range(600)]
    copy_tables(db, target, "CREATE TABLE t0 (id int PRIMARY KEY); " + "; ".join(
        f"CREATE TABLE t{i} (id int PRIMARY KEY REFERENCES t{i - 1})" for i in range(1, len(names))))
    with fwd(sinks=sink(target, max_transaction=max_transaction)) as forwarder:
        db.psql("; ".join(f"INSERT INTO {name} VALUES (1)" for name in names))
        db.psql(f"BEGIN; TRUNCATE {', '.join(names)}; INSERT INTO t0 VALUES (2); COMMIT")
        pg.wait_until(lambda: rows(target, "t0") == ['{"id":2}'], timeout=60, what="last row")
        assert forwarder.status()["sinks"][0]["retries"] == 0


def test_a_constraint_that_fails_at_the_commit_divides_no_transaction(db, fwd, target, tmp_path):
    """The error names no row, so the operator decides. A transaction of one row is a dead letter."""
    db.psql("CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, parent int)")
    target.psql("CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, parent int "
                "REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(target, session_replication_role="origin"),
             pipeline=f"retry: {{max: 300ms}}\ndead_letter: {{path: {letters}}}") as forwarder:
        db.psql("INSERT INTO child VALUES (1, 7)")
        db.psql("INSERT INTO parent VALUES (1)")
        pg.wait_until(lambda: rows(target, "parent") == ['{"id":1}'], what="the next transaction")
        assert len(letters.read_text().splitlines()) == 1
        db.psql("BEGIN; INSERT INTO child VALUES (2, 1), (3, 2), (4, 9); INSERT INTO parent VALUES (2); COMMIT")
        forwarder.wait_for_log("declare the constraint NOT DEFERRABLE")
        assert (rows(target, "child"), rows(target, "parent")) == ([], ['{"id":1}'])
        target.psql("INSERT INTO parent VALUES (9)")
        pg.wait_until(lambda: len(rows(target, "child")) == 3, what="all rows of the transaction")
        assert len(letters.read_text().splitlines()) == 1


def test_small_transactions_stay_whole_while_many_arrive(db, fwd, target):
    """Changed keys and TRUNCATEs among other changes do not divide a transaction of the source."""
    copy_tables(db, target, "CREATE TABLE moves (id int PRIMARY KEY, n int); CREATE TABLE log (n int, part int, PRIMARY KEY (n, part)); "
                "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)")
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("INSERT INTO moves VALUES (0, 0)")
        db.psql("DO $$ BEGIN FOR i IN 1..700 LOOP INSERT INTO log VALUES (i, 1); UPDATE moves SET id = id + 1, n = i; "
                "TRUNCATE a, b; INSERT INTO log VALUES (i, 2); COMMIT; END LOOP; END $$")
        wait_for_equal(db, target, ["moves", "log"])
        divided = "SELECT count(*) FROM (SELECT n FROM log GROUP BY n HAVING count(DISTINCT xmin::text) > 1) divided"
        assert target.psql(divided) == "0"
        assert forwarder.status()["sinks"][0]["retries"] == 0


def test_an_append_only_copy_keeps_what_the_source_deletes(db, fwd, target):
    copy_tables(db, target, TABLE + "; CREATE TABLE keyless (n int, x text)")
    db.psql("ALTER TABLE keyless REPLICA IDENTITY FULL")
    with fwd(sinks=sink(target, mode="append")):
        db.psql("INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET body = 'c' WHERE id = 1; DELETE FROM t WHERE id = 2; "
                "INSERT INTO keyless VALUES (1, 'a'), (1, 'a'); UPDATE keyless SET x = 'b'; DELETE FROM keyless; "
                "TRUNCATE t; INSERT INTO t VALUES (3, 'd')")
        pg.wait_until(lambda: len(rows(target)) == 3, what="rows")
        assert rows(target) == ['{"id":1,"body":"c"}', '{"id":2,"body":"b"}', '{"id":3,"body":"d"}']
        assert sorted(rows(target, "keyless")) == ['{"n":1,"x":"a"}'] * 2 + ['{"n":1,"x":"b"}'] * 2


@pytest.mark.effect("postgres.target", "postgres.unmapped")
def test_tables_go_where_the_template_says(db, fwd, target):
    db.psql(TABLE + '; CREATE SCHEMA "a.b"; CREATE TABLE "a.b"."c%d" (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)')
    target.psql('CREATE SCHEMA copies; CREATE TABLE copies."public t" (id int PRIMARY KEY, body text); '
                'CREATE TABLE copies."a.b c%d" (id int PRIMARY KEY)')
    where = "{tables: {public.t: 'copies.public t', 'a.b.c%d': 'copies.{schema} {table}'}}"
    with fwd(sinks=sink(target, target=where, unmapped="drop")):
        db.psql("INSERT INTO u VALUES (1); INSERT INTO t VALUES (1, 'x'); INSERT INTO \"a.b\".\"c%d\" VALUES (5)")
        pg.wait_until(lambda: rows(target, 'copies."a.b c%d"') == ['{"id":5}'], what="row")
        assert rows(target, 'copies."public t"') == ['{"id":1,"body":"x"}']


# Tables that do not fit ##############################################################################################

def test_a_table_that_does_not_fit_is_named_with_the_statement_that_helps(db, fwd, target):
    db.psql("CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (id bigint PRIMARY KEY, n numeric(12,2)[] NOT NULL)")
    forwarder = fwd(sinks=sink(target), pipeline="retry: {max: 300ms}").start()
    db.psql("INSERT INTO t VALUES (1, '{1.25}')")
    statement = 'CREATE TABLE "public"."t" ("id" bigint NOT NULL, "n" numeric(12,2)[] NOT NULL, PRIMARY KEY ("id"))'
    forwarder.wait_for_log(statement.replace('"', '\\"'))
    target.psql(statement)
    wait_for_equal(db, target, ["t"])
    db.psql("ALTER TABLE t ADD x text; INSERT INTO t VALUES (2, '{}', 'x')")
    forwarder.wait_for_log('ADD COLUMN \\"x\\" text')
    target.psql("ALTER TABLE t ADD x text")
    wait_for_equal(db, target, ["t"])
    # Tables and columns that disappear on a running connection are named, too.
    target.psql("ALTER TABLE t DROP CONSTRAINT t_pkey")
    db.psql("UPDATE t SET x = 'y' WHERE id = 2; INSERT INTO t VALUES (3, '{}', 'x'), (3000, '{}', 'z')")
    db.psql("UPDATE t SET id = 4 WHERE id = 3")
    wait_for_equal(db, target, ["t"])
    target.psql("ALTER TABLE t RENAME x TO z")
    db.psql("INSERT INTO t VALUES (5, '{}', 'x')")
    forwarder.wait_for_log("parked")
    target.psql("ALTER TABLE t RENAME z TO x; ALTER TABLE t ADD PRIMARY KEY (id)")
    wait_for_equal(db, target, ["t"])
    # Its own columns keep their defaults.
    target.psql("ALTER TABLE t ADD own int DEFAULT 7, ADD since timestamptz DEFAULT now()")
    db.psql("INSERT INTO t VALUES (6, '{}', 'x'); UPDATE t SET x = 'w' WHERE id = 2")
    pg.wait_until(lambda: target.value("SELECT own FROM t WHERE id = 6") == 7, what="row")
    assert forwarder.terminate() == 0


@pytest.mark.effect("postgres.create_tables", "postgres.add_columns")
def test_tables_and_columns_that_are_missing_are_made(db, fwd, target):
    db.psql('CREATE TABLE "T 1" (id int, "k y" text, v varchar(10)[] NOT NULL, w numeric(9,3), PRIMARY KEY ("k y", id))')
    with fwd(sinks=sink(target, create_tables="true", add_columns="true")):
        db.psql("""INSERT INTO "T 1" VALUES (1, 'a', '{x}', 1.5)""")
        wait_for_equal_when_there(db, target, '"T 1"')
        db.psql("""ALTER TABLE "T 1" ADD z interval, ADD "y'" int; INSERT INTO "T 1" VALUES (2, 'b', '{}', 1, '1 day', 5)""")
        pg.wait_until(lambda: rows(db, '"T 1"') == rows(target, '"T 1"'), what="equal tables")
        assert target.value("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'w'") == \
            "numeric(9,3)"


def wait_for_equal_when_there(db, target, name):
    pg.wait_until(lambda: target.value("SELECT to_regclass(%s) IS NOT NULL", [name]), what="table")
    wait_for_equal(db, target, [name])


def test_a_table_without_a_key_is_rejected(db, fwd, target):
    copy_tables(db, target, "CREATE TABLE t (id int)")
    forwarder = fwd(sinks=sink(target)).start()
    db.psql("INSERT INTO t VALUES (1)")
    forwarder.wait_for_log("has no key")
    assert "mode: append" in forwarder.log()
    forwarder.kill()


# Whose fault an error is #############################################################################################

def test_a_bad_row_is_set_aside_alone(db, fwd, either, tmp_path):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, body text)")
    either.psql("CREATE TABLE t (id int PRIMARY KEY, body varchar(5) CHECK (body <> 'bad'))")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(either), pipeline=f"dead_letter: {{path: {letters}}}") as forwarder:
        db.psql("INSERT INTO t SELECT i, CASE WHEN i % 500 = 7 THEN 'too long' WHEN i = 44 THEN 'bad' ELSE 'good' END "
                "FROM generate_series(1, 3000) i; UPDATE t SET body = 'bad' WHERE id = 2; DELETE FROM t WHERE id = 3")
        pg.wait_until(lambda: len(rows(either)) == 3000 - 6 - 1 - 1, 120, what="rows")
        pg.wait_until(lambda: letters.exists() and len(letters.read_text().splitlines()) == 8, what="dead letters")
        reasons = letters.read_text()
        assert "value too long" in reasons and "check constraint" in reasons
        # The log has no values of rows.
        assert "Failing row" not in forwarder.log() and "44, bad" not in forwarder.log()
        assert either.value("SELECT body FROM t WHERE id = 2") == "good"
        # After a fix they can be sent.
        either.psql("ALTER TABLE t ALTER body TYPE text, DROP CONSTRAINT t_body_check")
        forwarder.terminate()
    replayed = run("replay", "--overwrite", str(letters), forwarder.config)
    assert replayed.returncode == 0, replayed.stderr
    assert either.value("SELECT body FROM t WHERE id = 44") == "bad"
    assert len(rows(either)) == 2999


def test_without_dead_letters_a_bad_row_parks_the_sink_and_locks_nothing(db, fwd, target):
    copy_tables(db, target, TABLE)
    target.psql("ALTER TABLE t ADD CHECK (body <> 'bad')")
    forwarder = fwd(sinks=sink(target), pipeline="retry: {max: 2s}").start()
    db.psql("INSERT INTO t VALUES (1, 'good')")
    db.psql("INSERT INTO t VALUES (2, 'good'), (3, 'bad'), (4, 'good')")
    forwarder.wait_for_log("check constraint")
    # The committed part is there, and the rest of the transaction is not.
    pg.wait_until(lambda: len(rows(target)) == 1, what="row")
    target.psql("SET lock_timeout = '20s'; ALTER TABLE t DROP CONSTRAINT t_body_check")
    wait_for_equal(db, target, ["t"])
    assert forwarder.terminate() == 0


def test_a_role_without_rights_is_the_configurations_fault(db, fwd, target, tmp_path):
    copy_tables(db, target, TABLE)
    role = f"writer_{db.name}"
    db.psql(f"CREATE ROLE {role} LOGIN")
    letters = tmp_path / "dead"
    forwarder = fwd(sinks=sink(target, {"user": role}), pipeline=f"retry: {{max: 300ms}}\ndead_letter: {{path: {letters}}}").start()
    try:
        db.psql("INSERT INTO t VALUES (1, 'x')")
        forwarder.wait_for_log("session_replication_role")
        if pg.server_version() >= 15:
            target.psql(f"GRANT SET ON PARAMETER session_replication_role TO {role}")
            forwarder.wait_for_log("may not create the table of positions")
            target.psql(f'GRANT CREATE ON DATABASE "{target.name}" TO {role}')
            forwarder.wait_for_log("permission denied for table t")
            target.psql(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO {role}")
            wait_for_equal(db, target, ["t"])
            checked = run("check", forwarder.config)
            assert "pg_replication_origin_session_setup" in checked.stdout
        assert not letters.exists() or letters.read_text() == ""
    finally:
        forwarder.kill()
        target.psql(f"DROP OWNED BY {role} CASCADE")
        if pg.server_version() >= 15:
            target.psql(f"REVOKE SET ON PARAMETER session_replication_role FROM {role}")
        db.psql(f"DROP ROLE {role}")


def test_the_extension_of_the_target_comes_and_goes(db, fwd, target):
    """The position stays."""
    copy_tables(db, target, TABLE)
    hint = "CREATE EXTENSION walspout"

    def calls():
        return target.value("SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'read_documents'")
    target.psql(f'ALTER DATABASE "{target.name}" SET track_functions = \'all\'')
    with fwd(sinks=sink(target), pipeline="retry: {max: 300ms}") as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'x')")
        wait_for_equal(db, target, ["t"])
        said = run("check", forwarder.config)
        assert said.returncode == 0 and said.stdout.count(hint) == 1, said.stdout
        target.psql("CREATE EXTENSION walspout")
        db.psql("UPDATE t SET body = 'y'")
        wait_for_equal(db, target, ["t"])
        assert hint not in run("check", forwarder.config).stdout
        assert forwarder.terminate() == 0
    assert calls() == 0
    before = position(target)
    with fwd(sinks=sink(target), pipeline="retry: {max: 300ms}") as forwarder:
        db.psql("INSERT INTO t VALUES (2, 'x'); UPDATE t SET body = 'z'; DELETE FROM t WHERE id = 1")
        wait_for_equal(db, target, ["t"])
        pg.wait_until(lambda: calls() == 3, what="statistics of the function")
        assert position(target) != before
        target.psql("ALTER EXTENSION walspout DROP SCHEMA walspout; DROP EXTENSION walspout")
        db.psql("INSERT INTO t VALUES (3, 'x'); UPDATE t SET body = 'w'")
        wait_for_equal(db, target, ["t"])
        assert forwarder.terminate() == 0


def test_reading_documents_can_be_cancelled(db):
    """Also an object with many members that no column has."""
    db.psql("CREATE EXTENSION IF NOT EXISTS walspout")
    columns = ", ".join(f"c{i} int" for i in range(1500))
    began = time.time()
    with pytest.raises(Exception, match="statement timeout"):
        db.psql(f"""SET statement_timeout = '1s'; SELECT count(c1) FROM repeat('"zz":1,', 2000000) members,
            walspout.read_documents('{{' || members || '"zz":1}}') AS t({columns})""")
    assert time.time() - began < 5


@pytest.mark.skipif(pg.server_version() < 15, reason="a privilege of version 15")
def test_a_role_in_the_schema_of_the_extension(db, fwd, target):
    """Only the owner makes tables there."""
    copy_tables(db, target, TABLE)
    role = f"writer_{db.name}"
    db.psql(f"CREATE ROLE {role} LOGIN")
    target.psql(f'CREATE EXTENSION walspout; GRANT CREATE ON DATABASE "{target.name}" TO {role}; '
                f"GRANT SET ON PARAMETER session_replication_role TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON t TO {role}")
    forwarder = fwd(sinks=sink(target, {"user": role}), pipeline="retry: {max: 300ms}").start()
    try:
        db.psql("INSERT INTO t VALUES (1, 'x')")
        forwarder.wait_for_log("let the owner of schema walspout run: ")
        checked = run("check", forwarder.config)
        made, granted = re.search(r"walspout run: (CREATE TABLE .*); GRANT (USAGE ON SCHEMA walspout), and", checked.stdout).groups()
        assert "GRANT CREATE ON DATABASE" not in checked.stdout
        target.psql(f"{made}; GRANT {granted} TO {role}; GRANT SELECT, INSERT, UPDATE ON walspout.positions TO {role}")
        wait_for_equal(db, target, ["t"])
        assert "CREATE EXTENSION" not in run("check", forwarder.config).stdout
        assert forwarder.terminate() == 0
    finally:
        forwarder.kill()
        target.psql(f"DROP OWNED BY {role} CASCADE; REVOKE SET ON PARAMETER session_replication_role FROM {role}")
        db.psql(f"DROP ROLE {role}")


@pytest.mark.effect("postgres.session_replication_role")
def test_triggers_fire_if_that_is_configured(db, fwd, target):
    copy_tables(db, target, TABLE)
    target.psql("CREATE TABLE log (id int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN INSERT INTO public.log VALUES (new.id); RETURN new; END'; "
                "CREATE TRIGGER note BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()")
    with fwd(sinks=sink(target, session_replication_role="replica")) as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'x')")
        wait_for_equal(db, target, ["t"])
        assert rows(target, "log") == []
        forwarder.terminate()
    with fwd(name="fires", slot=forwarder.slot, sinks=sink(target, session_replication_role="origin")):
        db.psql("INSERT INTO t VALUES (2, 'x'); UPDATE t SET body = 'a' WHERE id = 2; UPDATE t SET body = 'b' WHERE id = 2")
        wait_for_equal(db, target, ["t"])
        assert rows(target, "log") == ['{"id":2}'] * 3


# Once ################################################################################################################

@pytest.mark.effect("postgres.max_transaction", "postgres.connect_timeout")
def test_a_transaction_of_the_source_is_one_of_the_target(db, fwd, target):
    copy_tables(db, target, TABLE)
    target.psql("ALTER TABLE t ADD xid xid8 DEFAULT pg_current_xact_id()")
    with fwd(sinks=sink(target, max_transaction="20000", connect_timeout="20s")):
        db.psql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 15000) i")
        pg.wait_until(lambda: target.value("SELECT count(*) FROM t") == 15000, 120, what="rows")
        assert target.value("SELECT count(DISTINCT xid) FROM t") == 1
        # A longer one comes in parts.
        db.psql("TRUNCATE t; INSERT INTO t SELECT i, 'x' FROM generate_series(1, 45000) i")
        pg.wait_until(lambda: target.value("SELECT count(*) FROM t") == 45000, 120, what="rows")
        assert 2 <= target.value("SELECT count(DISTINCT xid) FROM t") <= 4


class Writer(threading.Thread):
    """Changes rows of counters in ways that show each change that is lost or applied twice."""

    def __init__(self, db, seconds):
        super().__init__()
        self.db, self.seconds, self.error = db, seconds, None

    def run(self):
        try:
            end = time.time() + self.seconds
            connection = self.db.server.connect(self.db.name, autocommit=False)
            random_ = random.Random(1)
            numbers = itertools.count(1)
            while time.time() < end:
                with connection.cursor() as cursor:
                    for _ in range(random_.choice([1, 1, 1, 5, 400])):
                        cursor.execute(random_.choice([
                            "INSERT INTO t VALUES (%s, 'x') ON CONFLICT DO NOTHING",
                            "UPDATE t SET body = body || %s WHERE id = (SELECT max(id) FROM t) - 3",
                            "DELETE FROM t WHERE id = %s - 50",
                            "INSERT INTO log (n) VALUES (%s)", "INSERT INTO log (n) VALUES (%s)"]), (next(numbers),))
                connection.commit()
            connection.close()
        except Exception as error:      # shown by the test
            self.error = error


COUNTERS = TABLE + "; CREATE TABLE log (at int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int)"


def keep_faith(db, target, forwarder, disturb, seconds=12):
    """Rows are written while `disturb` is called again and again; the target then has each change once.

    A trigger of the target logs each inserted row, so it would log a repeated row twice.
    """
    db.psql(COUNTERS)
    target.psql(COUNTERS + "; CREATE TABLE changes (id int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN INSERT INTO public.changes VALUES (new.at); RETURN new; END'; "
                "CREATE TRIGGER note AFTER INSERT OR UPDATE ON log FOR EACH ROW EXECUTE FUNCTION note(); "
                "ALTER TABLE log ENABLE ALWAYS TRIGGER note")
    forwarder.start()
    writer = Writer(db, seconds)
    writer.start()
    while writer.is_alive():
        time.sleep(random.random())
        disturb()
    writer.join()
    assert writer.error is None
    if not forwarder.running():
        forwarder.start(wait=False)
    wait_for_equal(db, target, ["t", "log"])
    assert target.value("SELECT count(*) - count(DISTINCT id) FROM changes") == 0, "an insert came twice"
    assert target.value("SELECT count(*) FROM changes") == db.value("SELECT count(*) FROM log")
    assert forwarder.terminate() == 0


def test_a_forwarder_that_is_killed_loses_and_repeats_nothing(db, fwd, target):
    forwarder = fwd(sinks=sink(target), pipeline="retry: {max: 300ms}")

    def disturb():
        forwarder.kill()
        forwarder.start(wait=False)
    keep_faith(db, target, forwarder, disturb)


def test_backends_that_are_killed_lose_and_repeat_nothing(db, fwd, target):
    forwarder = fwd(sinks=sink(target), pipeline="retry: {max: 300ms}")
    keep_faith(db, target, forwarder, lambda: target.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
        "application_name = 'walspout'"))


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", pytest.param("freeze", marks=pytest.mark.long), pytest.param("restart", marks=pytest.mark.long)])
def test_a_target_that_fails_loses_and_repeats_nothing(db, fwd, alone, fault):
    forwarder = fwd(sinks=sink(alone, deliver_timeout="2s"), pipeline="retry: {max: 300ms}")

    def disturb():
        if fault == "freeze":
            alone.server.freeze()
            time.sleep(3)
            alone.server.thaw()
        elif fault == "kill":
            alone.server.stop("immediate")
            alone.server.start()
        else:
            alone.server.restart()
    keep_faith(db, alone, forwarder, disturb, 20)


def test_a_frozen_forwarder_commits_nothing_after_another_has_taken_over(db, fwd, target):
    copy_tables(db, target, TABLE)
    db.psql(f'ALTER DATABASE "{db.name}" SET wal_sender_timeout = \'2s\'')
    first = fwd(name="first", sinks=sink(target), pipeline="retry: {max: 300ms}").start()
    db.psql("INSERT INTO t VALUES (1, 'x')")
    wait_for_equal(db, target, ["t"])
    freeze(first.process.pid)
    db.psql("INSERT INTO t SELECT i, 'x' FROM generate_series(2, 2000) i")
    pg.wait_until(lambda: not db.server.walsender(first.slot), what="free slot")
    second = fwd(name="second", slot=first.slot, sinks=sink(target), pipeline="retry: {max: 300ms}").start()
    wait_for_equal(db, target, ["t"])
    db.psql("UPDATE t SET body = body || id")
    thaw(first.process.pid)
    db.psql("UPDATE t SET body = body || 'z'; DELETE FROM t WHERE id % 2 = 0")
    wait_for_equal(db, target, ["t"])
    first.kill()
    assert second.terminate() == 0


def test_a_position_of_another_history_is_noticed(db, fwd, target):
    copy_tables(db, target, TABLE)
    forwarder = fwd(sinks=sink(target), pipeline="retry: {max: 300ms}").start()
    db.psql("INSERT INTO t VALUES (1, 'x')")
    wait_for_equal(db, target, ["t"])
    forwarder.kill()
    target.psql("UPDATE walspout.positions SET lsn = 'FFFF/0'")
    forwarder.start()
    forwarder.wait_for_log("beyond the database's WAL position")
    assert "delete that row" in forwarder.log()
    forwarder.kill()


def test_two_databases_that_feed_each_other(db, fwd, target):
    copy_tables(db, target, TABLE)
    there = fwd(name="there", sinks=sink(target), source="origin: none").start()
    back = fwd(name="back", slot=f"{db.name}_back", dsn=dsn(target), sinks=sink(db), source="origin: none").start()
    try:
        db.psql("INSERT INTO t SELECT i, 'here' FROM generate_series(1, 9) i")
        target.psql("INSERT INTO t SELECT i, 'there' FROM generate_series(11, 19) i")
        pg.wait_until(lambda: len(rows(db)) == 18 and len(rows(target)) == 18, what="rows of both")
        assert rows(db) == rows(target)
        before = position(db), position(target)
        target.psql("UPDATE t SET body = 'changed' WHERE id = 1")
        pg.wait_until(lambda: rows(db) == rows(target), what="change")
        time.sleep(1)
        assert position(target) == before[1], "a change came back"
    finally:
        there.kill()
        back.kill()
        db.server.drop_slot(back.slot)


def test_a_pooler_is_refused(db, fwd, target):
    with pgbouncer(target.server, [target.name]) as port:
        forwarder = fwd(sinks=sink(target, {"port": port, "host": "127.0.0.1"})).start()
        forwarder.wait_for_log("connection pooler")
        forwarder.kill()


def test_a_position_that_is_deleted_meanwhile_loses_nothing(db, fwd, target):
    """The log says what to do, and what follows is written."""
    copy_tables(db, target, TABLE)
    with fwd(sinks=sink(target)) as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'a')")
        wait_for_equal(db, target, ["t"])
        target.psql("DELETE FROM walspout.positions")
        db.psql("INSERT INTO t VALUES (2, 'b')")
        wait_for_equal(db, target, ["t"])
        db.psql("UPDATE t SET body = 'c'")
        wait_for_equal(db, target, ["t"])
        assert len(position(target).splitlines()) == 1
        said = forwarder.log()
        assert "walspout.positions" in said and "deleted" in said and "compare" in said, said
        assert "another forwarder" not in said, said
