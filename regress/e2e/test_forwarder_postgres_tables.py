"""Postgres as a destination: settings of single tables, many sources in one table, histories, and the time of deletes."""

import json
import os
import random
import textwrap
import time

from harness import postgres as pg
import pytest
from harness.forwarder import run
from test_forwarder_postgres_sink import TABLE, Writer, copy_tables, dsn, either, rows, sink, target, wait_for_equal

__all__ = ["either", "target"]    # fixtures


def sink_with(database, tables, **more):
    """A sink with a list of tables, as YAML."""
    return sink(database, **more) + textwrap.indent("tables:\n" + textwrap.dedent(tables).strip("\n") + "\n", " " * 8)


def wait_for_rows(database, expected, table="t", columns="*", timeout=120):
    """The rows of a table, as JSON, in their order as text."""
    def found():
        return database.psql(f"SELECT row_to_json(r) FROM (SELECT {columns} FROM {table}) r ORDER BY r::text").splitlines()
    try:
        pg.wait_until(lambda: found() == expected, timeout, what="rows")
    except TimeoutError:
        assert found() == expected
        raise


# Settings of tables ##################################################################################################

@pytest.mark.effect("postgres.tables.table", "postgres.tables.target", "postgres.tables.mode",
                    "postgres.tables.columns.rename", "postgres.tables.columns.leave_out", "postgres.tables.set")
def test_the_first_pattern_that_matches_a_table_has_its_settings(db, fwd, target):
    db.psql("CREATE SCHEMA s; CREATE TABLE s.a (id int PRIMARY KEY, x text, secret text); "
            "CREATE TABLE s.b (id int PRIMARY KEY, x text, secret text); " + TABLE)
    target.psql("CREATE SCHEMA copies; CREATE TABLE copies.s_a (number int PRIMARY KEY, x text, sid text); "
                "CREATE TABLE copies.b (id int PRIMARY KEY, x text, secret text); " + TABLE)
    tables = """
        - table: s.a
          target: copies.{schema}_{table}
          columns: {rename: {id: number}, leave_out: [secret]}
          set: {sid: eu-1}
        - table: s.*
          target: copies.{table}
          mode: append"""
    with fwd(sinks=sink_with(target, tables)) as forwarder:
        db.psql("INSERT INTO s.a VALUES (1, 'x', 'y'), (2, 'x', 'y'); UPDATE s.a SET x = 'z', secret = 'q' WHERE id = 1; "
                "UPDATE s.a SET id = 3 WHERE id = 2; INSERT INTO s.b VALUES (1, 'x', 'y'), (2, 'x', 'y'); "
                "DELETE FROM s.b; TRUNCATE s.b; INSERT INTO t VALUES (1, 'x'), (2, 'y'); DELETE FROM t WHERE id = 1")
        wait_for_rows(target, ['{"id":2,"body":"y"}'])
        assert rows(target, "copies.s_a") == ['{"number":1,"x":"z","sid":"eu-1"}', '{"number":3,"x":"x","sid":"eu-1"}']
        assert len(rows(target, "copies.b")) == 2
        db.psql("DELETE FROM s.a WHERE id = 3")
        wait_for_rows(target, ['{"number":1,"x":"z","sid":"eu-1"}'], "copies.s_a")
        assert forwarder.terminate() == 0


@pytest.mark.effect("postgres.set")
def test_two_sources_in_one_table(db, fwd, target):
    """A constant in the key tells their rows apart; a TRUNCATE of one leaves the rows of the other one."""
    other_name = f"{db.name}_other"
    db.server.createdb(other_name)
    other = pg.Database(db.server, other_name)
    for source in db, other:
        source.psql(TABLE)
    one = fwd(name="one", sinks=sink(target, set="{sid: one}", create_tables="true")).start()
    two = fwd(name="two", slot=f"{db.name}_two", dsn=dsn(other), sinks=sink(target, set="{sid: two}", create_tables="true")).start()
    try:
        db.psql("INSERT INTO t SELECT i, 'one' FROM generate_series(1, 300) i")
        other.psql("INSERT INTO t SELECT i, 'two' FROM generate_series(1, 300) i")
        pg.wait_until(lambda: target.value("SELECT to_regclass('t') IS NOT NULL") and len(rows(target)) == 600, 120, what="rows")
        db.psql("UPDATE t SET body = 'new' WHERE id < 5; DELETE FROM t WHERE id > 10; UPDATE t SET id = 299 WHERE id = 7")
        other.psql("UPDATE t SET id = id + 1000 WHERE id < 3; DELETE FROM t WHERE id = 5")

        def both():
            return [json.loads(row) for row in rows(target, "t", "sid, id")]

        def expected():
            return [{"sid": sid, **json.loads(row)} for sid, source in (("one", db), ("two", other)) for row in rows(source, "t", "id")]
        pg.wait_until(lambda: both() == expected(), 120, what="rows of both")
        db.psql("TRUNCATE t; INSERT INTO t VALUES (1, 'again')")
        pg.wait_until(lambda: both() == expected(), 120, what="rows of both after a truncate")
        assert len(rows(target)) > 290
    finally:
        one.kill()
        two.kill()
        other.server.drop_slot(two.slot)
        db.server.dropdb(other_name)


@pytest.mark.parametrize("keys, said", [
    ("columns: {rename: {a: x, b: x}}", "would fill column \"x\""),
    ("columns: {rename: {a: x}}\nset: {x: 1}", "would fill column \"x\""),
    ("columns: {rename: {a: x}, leave_out: [a]}", "in \"rename\" and in \"leave_out\""),
    ("columns: {rename: {a: ''}}", "empty name"),
    ("mode: history\nset: {version_end: 1}", "would fill column \"version_end\""),
    ("history: {preset: kuvasz}", "is for mode: history"),
    ("deleted_at: gone", "is for mode: append"),
    ("mode: append\ndeleted_at: gone\nset: {gone: 1}", "would fill column \"gone\""),
    ("tables: [{table: public.t, colums: {}}]", "did you mean \"columns\"?"),
    ("tables: [{table: nothing}]", "the schema and a dot are missing"),
    ("tables: [{table: '!public.t'}]", "excludes tables"),
    ("tables: [{target: a.b}]", "needs \"table\""),
    ("tables: [{table: public.t, target: '{schema}'}]", "SCHEMA.TABLE"),
    ("tables: [{table: public.t, target: '{schema}.{key}'}]", "{key}"),
    ("tables: [{table: public.t}, {table: public.t, mode: append}]", "is there twice"),
    ("tables: [{table: public.t, set: {id: 1}, columns: {rename: {n: id}}}]", "would fill column \"id\""),
    ("tables: [{table: public.t, history: {id: a}}]", "is for mode: history"),
    ("tables: [{table: public.t, mode: history, history: {id: a, end: a}}]", "would fill column \"a\""),
    ("tables: []", "at least one item"),
])
def test_wrong_settings_are_named(tmp_path, keys, said):
    config = tmp_path / "config.yaml"
    config.write_text("pipelines:\n  - name: p\n    source: {dsn: 'host=h', slot: s}\n    sinks:\n      - type: postgres\n"
                      "        dsn: host=h dbname=d\n" + textwrap.indent(keys, " " * 8) + "\n")
    checked = run("check", str(config))
    assert checked.returncode == 2 and said in checked.stdout + checked.stderr, checked.stdout + checked.stderr


def test_settings_that_do_not_suit_a_table_are_named(db, fwd, target):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, x text, sid text); CREATE TABLE u (id int PRIMARY KEY, v text); "
            "CREATE TABLE w (id int PRIMARY KEY)")
    target.psql("CREATE TABLE t (id int PRIMARY KEY, x text, sid text); CREATE TABLE w (id int PRIMARY KEY, sid varchar(2))")
    tables = """
        - table: public.u
          columns: {leave_out: [id]}
        - table: public.*
          set: {sid: eu-1}"""
    forwarder = fwd(sinks=sink_with(target, tables), pipeline="retry: {max: 300ms}").start()
    db.psql("INSERT INTO w VALUES (1)")
    forwarder.wait_for_log("cannot hold the constant")
    target.psql("ALTER TABLE w DROP sid")
    forwarder.wait_for_log("ADD COLUMN \\\"sid\\\" text NOT NULL DEFAULT 'eu-1'")
    target.psql("ALTER TABLE w ADD COLUMN sid text NOT NULL DEFAULT 'eu-1'")
    wait_for_rows(target, ['{"id":1,"sid":"eu-1"}'], "w")
    db.psql("INSERT INTO u VALUES (1)")
    forwarder.wait_for_log("leave_out has a column of the key")
    db.psql("INSERT INTO t VALUES (1)")
    forwarder.kill()


# History #############################################################################################################

VERSIONS = "id, body, version_deleted AS d, version_end = 'infinity' AS open"


def check_history(target, table="t", key="id", start="version_start", end="version_end", open_end="infinity"):
    """No version is empty or overlaps another one, and at most one of a key is open."""
    assert target.value(f"SELECT count(*) FROM {table} WHERE NOT {start} < {end}") == 0
    assert target.value(f"SELECT count(*) FROM {table} a JOIN {table} b ON a.{key} = b.{key} AND a.ctid <> b.ctid AND "
                        f"a.{start} < b.{end} AND b.{start} < a.{end}") == 0
    assert target.value(f"SELECT count(*) FROM (SELECT FROM {table} WHERE {end} = '{open_end}' GROUP BY {key} HAVING count(*) > 1) x") == 0


@pytest.mark.effect("postgres.mode", "postgres.create_tables")
def test_a_history_has_each_version_of_a_row(db, fwd, either):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, body text, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL")
    columns = "id, body, length(big) AS big, version_deleted AS d, version_end = 'infinity' AS open"
    with fwd(sinks=sink(either, mode="history", create_tables="true")) as forwarder:
        for sql in ["INSERT INTO t VALUES (1, 'a', repeat('x', 5000)), (2, 'a', repeat('y', 6000))",
                    "UPDATE t SET body = 'b' WHERE id = 1",
                    # Only the last state of a transaction counts.
                    "BEGIN; UPDATE t SET body = 'c' WHERE id = 1; UPDATE t SET body = 'd' WHERE id = 1; COMMIT",
                    "UPDATE t SET id = 3 WHERE id = 2",
                    "DELETE FROM t WHERE id = 1",
                    "BEGIN; INSERT INTO t VALUES (4, 'never', ''); UPDATE t SET body = 'x' WHERE id = 4; DELETE FROM t WHERE id = 4; COMMIT",
                    # It is never away.
                    "BEGIN; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (3, 'e', 'z'); COMMIT",
                    # An update that changes nothing.
                    "UPDATE t SET body = 'e' WHERE id = 3",
                    "INSERT INTO t VALUES (1, 'f', 'z')",
                    "BEGIN; UPDATE t SET body = 'g' WHERE id = 1; DELETE FROM t WHERE id = 1; COMMIT"]:
            db.psql(sql)
        expected = [
            '{"id":1,"body":"a","big":5000,"d":false,"open":false}', '{"id":1,"body":"b","big":5000,"d":false,"open":false}',
            '{"id":1,"body":"d","big":5000,"d":true,"open":false}', '{"id":1,"body":"f","big":1,"d":true,"open":false}',
            '{"id":2,"body":"a","big":6000,"d":true,"open":false}', '{"id":3,"body":"a","big":6000,"d":false,"open":false}',
            '{"id":3,"body":"e","big":1,"d":false,"open":true}']
        pg.wait_until(lambda: either.value("SELECT to_regclass('t') IS NOT NULL"), 60, what="table")
        wait_for_rows(either, expected, columns=columns)
        check_history(either)
        # A version begins where the one before it ends, at the time of the commit.
        assert either.value("SELECT count(*) FROM t a JOIN t b ON b.id = a.id AND b.version_start = a.version_end WHERE a.id = 1") == 2
        db.psql("TRUNCATE t; INSERT INTO t VALUES (9, 'h', '')")
        pg.wait_until(lambda: either.value("SELECT string_agg(id::text, ',') FROM t WHERE version_end = 'infinity'") == "9", 60, what="row")
        assert either.value("SELECT count(*) FROM t WHERE id = 3 AND version_deleted") == 1
        check_history(either)
        assert forwarder.terminate() == 0


def test_a_history_of_rows_whose_key_has_a_null_in_it(db, fwd, either):
    """A key may be of a row type, of which a field is NULL."""
    for database in (db, either):
        database.psql("CREATE TYPE pair AS (a int, b text)")
    db.psql("CREATE TABLE t (k pair PRIMARY KEY, n int)")
    with fwd(sinks=sink(either, mode="history", create_tables="true")):
        for sql in ["INSERT INTO t VALUES (ROW(1, NULL), 1)", "UPDATE t SET n = 2", "UPDATE t SET k = ROW(NULL, 'x')", "DELETE FROM t"]:
            db.psql(sql)
        pg.wait_until(lambda: either.value("SELECT to_regclass('t') IS NOT NULL"), 60, what="table")
        wait_for_rows(either, ['{"k":{"a":null,"b":"x"},"n":2,"d":true}', '{"k":{"a":1,"b":null},"n":1,"d":false}',
                               '{"k":{"a":1,"b":null},"n":2,"d":true}'], columns="k, n, version_deleted AS d", timeout=20)


def test_times_of_versions_are_those_of_the_commits(db, fwd, target):
    db.psql(TABLE)
    before = db.value("SELECT clock_timestamp()::text")
    with fwd(sinks=sink(target, mode="history", create_tables="true")):
        db.psql("INSERT INTO t VALUES (1, 'a')")
        between = db.value("SELECT clock_timestamp()::text")
        db.psql("DELETE FROM t")
        after = db.value("SELECT clock_timestamp()::text")
        pg.wait_until(lambda: target.value("SELECT to_regclass('t') IS NOT NULL") and
                      target.value("SELECT count(*) FROM t WHERE version_deleted") == 1, 60, what="a closed version")
        assert target.value("SELECT version_start BETWEEN %s AND %s AND version_end BETWEEN %s AND %s FROM t",
                            [before, between, between, after])


@pytest.mark.effect("postgres.history.preset", "postgres.history.id", "postgres.history.start", "postgres.history.end",
                    "postgres.history.deleted", "postgres.tables.history.preset", "postgres.tables.history.id",
                    "postgres.tables.history.start", "postgres.tables.history.end", "postgres.tables.history.deleted",
                    "postgres.tables.truncate", "postgres.tables.missing", "postgres.tables.elided")
def test_columns_of_a_history_have_names_of_choice(db, fwd, target):
    db.psql(TABLE + "; CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE v (id int PRIMARY KEY)")
    # The table of a user of Kuvasz-streamer.
    target.psql("CREATE TABLE t (kvsz_id bigserial, sid text, id int, body text, "
                "kvsz_start timestamptz NOT NULL DEFAULT '1900-01-01', kvsz_end timestamptz NOT NULL DEFAULT '9999-01-01', "
                "kvsz_deleted boolean NOT NULL DEFAULT false, PRIMARY KEY (sid, id, kvsz_id))")
    tables = """
        - table: public.u
          mode: history
          missing: ignore
          truncate: ignore
          elided: keep
          history: {preset: walspout, id: "the id", start: since, end: "till\\"", deleted: gone}
        - table: public.v
          mode: history
          history: {id: number}"""
    with fwd(sinks=sink_with(target, tables, mode="history", set="{sid: eu}", create_tables="true",
                             history="{preset: kuvasz, id: kvsz_id, start: kvsz_start, end: kvsz_end, deleted: kvsz_deleted}")):
        db.psql("INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (1); INSERT INTO v VALUES (1)")
        db.psql("UPDATE t SET body = 'b'; TRUNCATE u; UPDATE v SET id = 2")
        pg.wait_until(lambda: target.value("SELECT to_regclass('v') IS NOT NULL") and len(rows(target, "v")) == 2, 60, what="rows")
        wait_for_rows(target, ['{"sid":"eu","id":1,"body":"a","open":false,"kvsz_deleted":false}',
                               '{"sid":"eu","id":1,"body":"b","open":true,"kvsz_deleted":false}'],
                      columns="sid, id, body, kvsz_end = '9999-01-01 00:00:00Z' AS open, kvsz_deleted")
        check_history(target, start="kvsz_start", end="kvsz_end", open_end="9999-01-01 00:00:00Z")
        wait_for_rows(target, ['{"id":1,"the id":1,"till\\"":"infinity","gone":false}'], "u", 'id, "the id", "till""", gone')
        assert "kvsz_start" in rows(target, "v")[0] and "number" in rows(target, "v")[0]


@pytest.mark.long
def test_a_history_is_exact_after_kills(db, fwd, target):
    """The history as a trigger in the source has written it."""
    db.psql(TABLE + "; CREATE TABLE log (at int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int); "
            "CREATE TABLE versions (n int GENERATED ALWAYS AS IDENTITY, id int, body text, gone boolean, xid xid8 DEFAULT pg_current_xact_id()); "
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
            "IF tg_op = ''DELETE'' THEN INSERT INTO versions (id, gone) VALUES (old.id, true); "
            "ELSE INSERT INTO versions (id, body, gone) VALUES (new.id, new.body, false); END IF; RETURN NULL; END'; "
            "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note()")
    tables = """
        - table: public.t
          mode: history"""
    forwarder = fwd(sinks=sink_with(target, tables, mode="append", create_tables="true"), pipeline="retry: {max: 300ms}").start()
    writer = Writer(db, 10)
    writer.start()
    while writer.is_alive():
        time.sleep(random.random())
        forwarder.kill()
        forwarder.start(wait=False)
    writer.join()
    assert writer.error is None
    db.psql("INSERT INTO t VALUES (1000000, 'last')")
    pg.wait_until(lambda: target.value("SELECT to_regclass('t') IS NOT NULL") and
                  target.value("SELECT count(*) FROM t WHERE id = 1000000") == 1, 120, what="the last row")
    check_history(target)
    # The last state of each row in each transaction, without those that change nothing.
    expected = db.psql("""WITH last AS (SELECT DISTINCT ON (id, xid) * FROM versions ORDER BY id, xid, n DESC),
        known AS (SELECT *, lag(gone) OVER w AS was_gone, lag(body) OVER w AS was FROM last WINDOW w AS (PARTITION BY id ORDER BY n))
        SELECT id, md5(body) FROM known WHERE NOT gone AND (was_gone IS NOT false OR was IS DISTINCT FROM body) ORDER BY id, n""")
    assert target.psql("SELECT id, md5(body) FROM t ORDER BY id, version_start") == expected
    assert target.psql("SELECT id, body FROM t WHERE version_end = 'infinity' ORDER BY id") == db.psql("SELECT id, body FROM t ORDER BY id")
    assert forwarder.terminate() == 0


@pytest.mark.parametrize("missing", ["insert", "ignore", "error"])
def test_versions_that_the_history_lacks(db, fwd, target, tmp_path, missing):
    db.psql(TABLE + "; INSERT INTO t SELECT i, 'old' FROM generate_series(1, 6) i")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(target, mode="history", create_tables="true", missing=missing),
             pipeline=f"dead_letter: {{path: {letters}}}") as forwarder:
        db.psql("INSERT INTO t VALUES (9, 'first'); UPDATE t SET body = 'new' WHERE id < 4; DELETE FROM t WHERE id = 4; "
                "UPDATE t SET id = 50 WHERE id = 5; INSERT INTO t VALUES (10, 'last')")
        pg.wait_until(lambda: target.value("SELECT to_regclass('t') IS NOT NULL") and "last" in "".join(rows(target)), 60, what="last row")
        found = target.psql("SELECT id FROM t ORDER BY id").split()
        assert found == (["1", "2", "3", "9", "10", "50"] if missing == "insert" else ["9", "10"])
        if missing == "error":
            assert len(letters.read_text().splitlines()) == 5
        else:
            pg.wait_until(lambda: forwarder.status()["sinks"][0]["missing"] == 5, 60, what="the count")
            assert 'walspout_sink_missing_total{pipeline="test",sink="postgres"} 5' in forwarder.get("/metrics")[1]


def test_versions_do_not_overlap_when_the_clock_goes_back(db, fwd, target):
    db.psql(TABLE)
    with fwd(sinks=sink(target, mode="history", create_tables="true")):
        db.psql("INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'a')")
        pg.wait_until(lambda: target.value("SELECT to_regclass('t') IS NOT NULL") and len(rows(target)) == 3, 60, what="rows")
        target.psql("UPDATE t SET version_start = version_start + interval '1 day'")
        for sql in ["UPDATE t SET body = 'b'", "UPDATE t SET body = 'c'", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (2, 'd')",
                    "UPDATE t SET id = 4 WHERE id = 3", "UPDATE t SET id = 3 WHERE id = 4", "DELETE FROM t WHERE id = 3"]:
            db.psql(sql)
        wait_for_rows(target, [f'{{"id":{i},"body":"{body}","d":{d},"open":{is_open}}}' for i, body, d, is_open in [
            (1, "a", "false", "false"), (1, "b", "false", "false"), (1, "c", "false", "true"),
            (2, "a", "false", "false"), (2, "b", "false", "false"), (2, "c", "true", "false"), (2, "d", "false", "true"),
            (3, "a", "false", "false"), (3, "b", "false", "false"), (3, "c", "true", "false"), (3, "c", "true", "false"),
            (4, "c", "true", "false")]], columns=VERSIONS)
        check_history(target)


def test_a_history_of_a_transaction_that_comes_in_parts(db, fwd, target):
    db.psql(TABLE + "; INSERT INTO t VALUES (1, 'x')")
    with fwd(sinks=sink(target, mode="history", create_tables="true", max_transaction="7")):
        db.psql("UPDATE t SET body = 'before'")
        db.psql("BEGIN; " + "".join(f"UPDATE t SET body = 'v{i}'; INSERT INTO t VALUES ({i + 10}, 'never'); DELETE FROM t WHERE id = {i + 10}; "
                                    for i in range(50)) + "COMMIT")
        db.psql("UPDATE t SET body = 'after'")
        wait = "SELECT to_regclass('t') IS NOT NULL"
        pg.wait_until(lambda: target.value(wait) and "after" in "".join(rows(target)), 60, what="the last version")
        wait_for_rows(target, [f'{{"id":1,"body":"{body}","d":false,"open":{is_open}}}' for body, is_open in [
            ("after", "true"), ("before", "false"), ("v49", "false")]], columns=VERSIONS)
        check_history(target)


def test_a_history_that_does_not_fit_is_named(db, fwd, target):
    db.psql(TABLE)
    target.psql("CREATE TABLE t (id int, body text, version_id bigint, version_start timestamp, version_deleted boolean)")
    forwarder = fwd(sinks=sink(target, mode="history"), pipeline="retry: {max: 300ms}").start()
    db.psql("INSERT INTO t VALUES (1, 'a')")
    forwarder.wait_for_log("ADD COLUMN \\\"version_end\\\" timestamp with time zone NOT NULL DEFAULT 'infinity'")
    target.psql("ALTER TABLE t ADD COLUMN version_end timestamptz NOT NULL DEFAULT 'infinity'")
    forwarder.wait_for_log("has to be of type timestamp with time zone")
    target.psql("ALTER TABLE t ALTER COLUMN version_start TYPE timestamptz")
    forwarder.wait_for_log("has no default")
    target.psql("ALTER TABLE t ALTER COLUMN version_id SET NOT NULL; ALTER TABLE t ALTER COLUMN version_id ADD GENERATED BY DEFAULT AS IDENTITY")
    forwarder.wait_for_log("no index that begins with the key")
    target.psql("CREATE UNIQUE INDEX ON t (id, version_end)")
    wait_for_rows(target, ['{"id":1,"body":"a","d":false,"open":true}'], columns=VERSIONS)
    assert forwarder.terminate() == 0


@pytest.mark.effect("postgres.add_columns")
def test_a_clone_becomes_a_history(db, fwd, target):
    """The existing rows are versions with an unknown begin."""
    db.psql(TABLE + "; INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    target.psql(TABLE + "; INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    with fwd(sinks=sink(target, mode="history", add_columns="true"), pipeline="retry: {max: 300ms}") as forwarder:
        db.psql("UPDATE t SET body = 'c' WHERE id = 1; INSERT INTO t VALUES (3, 'd')")
        forwarder.wait_for_log("DROP CONSTRAINT t_pkey")
        target.psql("ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE UNIQUE INDEX ON t (id, version_end)")
        wait_for_rows(target, [f'{{"id":{id},"body":"{body}","d":false,"open":{is_open}}}' for id, body, is_open in [
            (1, "a", "false"), (1, "c", "true"), (2, "b", "true"), (3, "d", "true")]], columns=VERSIONS)
        assert target.value("SELECT count(*) FROM t WHERE version_start = '-infinity'") == 2
        assert forwarder.terminate() == 0


@pytest.mark.effect("postgres.add_columns", "postgres.set")
def test_a_column_for_a_constant_does_not_claim_rows(db, fwd, target):
    db.psql(TABLE)
    target.psql(TABLE + "; CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (9, 'of another source')")
    with fwd(sinks=sink(target, add_columns="true", set="{sid: eu-1}"), pipeline="retry: {max: 300ms}") as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'a')")
        forwarder.wait_for_log("would then count as rows of this source")
        target.psql("ALTER TABLE t ADD sid text; ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE UNIQUE INDEX ON t (sid, id)")
        wait_for_rows(target, ['{"id":1,"body":"a","sid":"eu-1"}', '{"id":9,"body":"of another source","sid":null}'])
        db.psql("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1); TRUNCATE t")
        wait_for_rows(target, ['{"id":1,"sid":"eu-1"}'], "u")
        wait_for_rows(target, ['{"id":9,"body":"of another source","sid":null}'])
        assert forwarder.terminate() == 0


# The time of deletes #################################################################################################

@pytest.mark.effect("postgres.deleted_at", "postgres.tables.deleted_at", "postgres.columns.rename", "postgres.columns.leave_out")
def test_an_append_only_copy_may_have_the_time_of_deletes(db, fwd, either):
    db.psql(TABLE + "; CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL; CREATE TABLE u (id int PRIMARY KEY, x int)")
    tables = """
        - table: public.t
          deleted_at: gone"""
    with fwd(sinks=sink_with(either, tables, mode="append", deleted_at="deleted_at", create_tables="true",
                             columns="{rename: {body: text}, leave_out: [x]}")):
        before = db.value("SELECT clock_timestamp()::text")
        db.psql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'); DELETE FROM t WHERE id < 3; "
                "INSERT INTO t VALUES (2, 'again'); INSERT INTO keyless VALUES (1); DELETE FROM keyless")
        after = db.value("SELECT clock_timestamp()::text")
        db.psql("INSERT INTO u VALUES (1, 1), (2, 1)")
        pg.wait_until(lambda: either.value("SELECT to_regclass('u') IS NOT NULL") and len(rows(either, "u")) == 2, 60, what="rows")
        wait_for_rows(either, ['{"id":1,"text":"a","deleted":true}', '{"id":2,"text":"again","deleted":false}',
                               '{"id":3,"text":"c","deleted":false}'], columns="id, text, gone IS NOT NULL AS deleted")
        assert either.value("SELECT gone BETWEEN %s AND %s FROM t WHERE id = 1", [before, after])
        assert rows(either, "keyless") == ['{"n":1,"deleted_at":null}']
        gone = either.value("SELECT gone::text FROM t WHERE id = 1")
        db.psql("TRUNCATE u, t")
        pg.wait_until(lambda: either.value("SELECT count(*) FROM u WHERE deleted_at IS NOT NULL") == 2, 60, what="a truncate")
        assert either.value("SELECT count(*) FROM t WHERE gone IS NOT NULL") == 3
        assert either.value("SELECT gone::text FROM t WHERE id = 1") == gone


# Rows that are older or do not fit ###################################################################################

def test_a_dead_letter_does_not_overwrite_a_newer_row(db, fwd, target, tmp_path):
    copy_tables(db, target, TABLE)
    target.psql("ALTER TABLE t ADD CHECK (body <> 'bad')")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(target), pipeline=f"dead_letter: {{path: {letters}}}") as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'bad')")
        db.psql("UPDATE t SET body = 'newer'")
        wait_for_equal(db, target, ["t"])
        pg.wait_until(lambda: letters.exists() and letters.read_text().count("\n") == 1, what="a dead letter")
        forwarder.terminate()
    target.psql("ALTER TABLE t DROP CONSTRAINT t_body_check")
    replayed = run("replay", str(letters), forwarder.config)
    assert replayed.returncode == 1 and "may have a newer row" in replayed.stderr and "--overwrite" in replayed.stderr
    assert rows(target) == ['{"id":1,"body":"newer"}'] and letters.read_text().count("\n") == 1
    replayed = run("replay", "--overwrite", str(letters), forwarder.config)
    assert replayed.returncode == 0 and rows(target) == ['{"id":1,"body":"bad"}'], replayed.stderr


NARROW = [  # the source's type, the target's, a value that fits, one that does not
    ("numeric", "numeric(6,1)", "12.5", "12.55"), ("numeric[]", "numeric(6,1)[]", "{1.5,NULL}", "{1.5,1.55}"),
    ("double precision", "numeric(6,1)", "0.5", "0.25"), ("double precision", "real", "0.5", "0.1"),
    ("numeric", "double precision", "0.1", "1.00000000000000000001"), ("bigint", "real", "5", "16777217"),
    ("bigint", "double precision", "5", "9007199254740993"), ("bigint", "integer", "5", "5000000000"),
    ("timestamptz", "timestamptz(0)", "2026-01-01 10:00:00Z", "2026-01-01 10:00:00.5Z"),
    ("timestamp", "timestamp(3)", "2026-01-01 10:00:00.123", "2026-01-01 10:00:00.1234"),
    ("timestamp", "date", "2026-01-01", "2026-01-01 10:00"), ("time", "time(0)", "10:00", "10:00:00.5"),
    ("interval", "interval(0)", "1 day 1 second", "1.5 seconds"), ("interval", "interval day", "3 days", "3 days 1 hour"),
    ("text", "varchar(3)", "abc", "abc  "), ("text", "varchar(3)", "abc", "abcd"), ("text[]", "varchar(3)[]", "{abc}", "{abcd}"),
    ("text", "char(3)", "abc", "abcd"), ("text", "name", "abc", "x" * 64), ("text", "\"char\"", "a", "ab"),
    ("numeric", "small", "1.5", "1.55"), ("varbit", "bit(3)", "101", "1011"),
]


@pytest.mark.parametrize("mode", ["clone", "history"])
def test_a_value_that_a_narrower_column_would_change_is_rejected(db, fwd, either, tmp_path, mode):
    columns = [f'"c {i}"' for i in range(len(NARROW))]
    db.psql("CREATE TABLE t (id int PRIMARY KEY, " + ", ".join(f"{c} {n[0]}" for c, n in zip(columns, NARROW)) + ")")
    more = ", version_id bigserial, version_start timestamptz, version_end timestamptz, version_deleted boolean, UNIQUE (id, version_end)"
    either.psql("CREATE DOMAIN small AS numeric(6,1); CREATE TABLE t (id int" + (" PRIMARY KEY, " if mode == "clone" else ", ") +
                ", ".join(f"{c} {n[1]}" for c, n in zip(columns, NARROW)) + (more if mode == "history" else "") + ")")
    letters = tmp_path / "dead"
    with fwd(sinks=sink(either, mode=mode), pipeline=f"dead_letter: {{path: {letters}}}"):
        db.psql("INSERT INTO t VALUES (0, " + ", ".join(f"'{n[2]}'" for n in NARROW) + "); INSERT INTO t (id) VALUES (-1); " +
                "".join(f"INSERT INTO t (id, {c}) VALUES ({i + 1}, '{n[3]}'); " for i, (c, n) in enumerate(zip(columns, NARROW))))
        db.psql(f"UPDATE t SET {columns[0]} = 1.23 WHERE id = 0; UPDATE t SET {columns[0]} = 7 WHERE id = -1")
        pg.wait_until(lambda: either.value(f"SELECT count(*) FROM t WHERE {columns[0]} = 7") == 1, 120, what="the last row")
        # NULL fits every type, and values that fit have arrived.
        assert sorted(set(either.psql("SELECT id FROM t").split())) == ["-1", "0"]
        reasons = [json.loads(line) for line in letters.read_text().splitlines()]
        assert len(reasons) == len(NARROW) + 1
        for i, (column, narrow) in enumerate(zip(columns, NARROW)):
            said = json.dumps(reasons[i])
            assert column.strip('"') in said or narrow[1] in ("integer", "bit(3)"), said
            assert "walspout: " not in said
        assert "would round it" in json.dumps(reasons[0]) and "would cut it" in json.dumps(reasons[14])


# Odd targets #########################################################################################################

@pytest.mark.parametrize("mode", ["clone", "append", "history"])
def test_partitioned_targets_with_generated_and_identity_columns(db, fwd, target, mode):
    db.psql('CREATE TABLE "T 1" ("k ""1" int, "from" int, n int, PRIMARY KEY ("k ""1", "from"))')
    more = ', version_id bigint GENERATED ALWAYS AS IDENTITY, version_start timestamptz, version_end timestamptz, ' \
           'version_deleted boolean, UNIQUE ("k ""1", "from", version_end)'
    target.psql('CREATE TABLE "T 1" ("k ""1" int, "from" int GENERATED BY DEFAULT AS IDENTITY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED' +
                (more if mode == "history" else ', PRIMARY KEY ("k ""1", "from")') + ') PARTITION BY LIST ("k ""1"); '
                'CREATE TABLE p1 PARTITION OF "T 1" FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF "T 1" DEFAULT')
    with fwd(sinks=sink(target, mode=mode)):
        db.psql('INSERT INTO "T 1" SELECT i % 3, i, i FROM generate_series(1, 30) i; UPDATE "T 1" SET n = n + 1; '
                'UPDATE "T 1" SET "k ""1" = 1 WHERE "from" = 5; DELETE FROM "T 1" WHERE "from" = 30; INSERT INTO "T 1" VALUES (1, 99, 1)')
        pg.wait_until(lambda: target.value('SELECT count(*) FROM "T 1" WHERE "from" = 99') == 1, 60, what="the last row")
        expected = db.psql('SELECT "k ""1", "from", n, n * 2 FROM "T 1" ORDER BY 2').splitlines()
        found = target.psql('SELECT "k ""1", "from", n, twice FROM "T 1" ' + ("WHERE version_end = 'infinity' " if mode == "history" else "") +
                            'ORDER BY 2').splitlines()
        assert found == expected if mode != "append" else set(expected) < set(found) and len(found) == len(expected) + 1


@pytest.mark.parametrize("mode", ["clone", pytest.param("history", marks=pytest.mark.long)])
def test_a_backfill_fills_the_target_from_nothing(db, fwd, target, mode):
    """While rows are written, into tables that the sink makes."""
    db.psql("CREATE EXTENSION walspout; " + TABLE + "; CREATE TABLE log (at int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int); "
            "INSERT INTO t SELECT i, 'old' FROM generate_series(1, 20000) i; INSERT INTO log (n) SELECT generate_series(1, 20000)")
    writer = Writer(db, 8)
    writer.start()
    with fwd(source="backfill: {tables: all}", sinks=sink(target, mode=mode, create_tables="true")) as forwarder:
        writer.join()
        assert writer.error is None
        db.psql("UPDATE t SET body = 'one more' WHERE id % 7 = 0")
        where = " WHERE version_end = 'infinity'" if mode == "history" else ""

        def same(table, columns):
            return target.value("SELECT to_regclass(%s) IS NOT NULL", [table]) and \
                db.psql(f"SELECT {columns} FROM {table} ORDER BY 1") == target.psql(f"SELECT {columns} FROM {table}{where} ORDER BY 1")
        pg.wait_until(lambda: same("t", "id, body") and same("log", "at, n"), 180, what="equal tables")
        if mode == "history":
            check_history(target, "log", "at")
        assert forwarder.terminate() == 0
