"""Backfills of tables with keys of all kinds, and without keys; which rights they need, and what they reject."""

import json

import pytest

from harness import postgres as pg
from harness import forwarder
from receiver import parse, rows_of
from test_forwarder_backfill import BACKFILL, Workload, request, state, wait_for_end, wait_for_equal
from test_forwarder_check import check
from test_forwarder_tables import statements

KEYS = {
    "composite": ("a int, b text, c int, PRIMARY KEY (c, b, a)", "SELECT i % 7, 'b' || i % 13, i FROM generate_series(1, 400) i"),
    "icu": ('k text COLLATE "en-x-icu" PRIMARY KEY', "SELECT chr(65 + i % 26 + 32 * (i % 2)) || 'é-_ ä' || i FROM generate_series(1, 400) i"),
    "uuids": ("k uuid PRIMARY KEY", "SELECT md5(i::text)::uuid FROM generate_series(1, 400) i"),
    "numerics": ("k numeric PRIMARY KEY", "SELECT (i - 200) / 8.0 FROM generate_series(1, 400) i UNION ALL "
                 "SELECT 'NaN' UNION ALL SELECT 1000.00 UNION ALL SELECT 1e40"),
    "times": ("k timestamptz PRIMARY KEY", "SELECT '2026-01-01'::timestamptz + i * interval '1.000001 s' FROM "
              "generate_series(1, 400) i UNION ALL SELECT 'infinity' UNION ALL SELECT '-infinity' UNION ALL SELECT '0044-03-15 BC'"),
    "holes": ("k bigint PRIMARY KEY", "SELECT i::bigint * i * i * 1000003 - 9000000000000 FROM generate_series(1, 400) i"),
}


def make(name, columns, rows):
    return (f"CREATE TABLE {name} ({columns}); ALTER TABLE {name} ADD n int DEFAULT 0, ADD body text;"
            f"ALTER TABLE {name} ALTER body SET STORAGE EXTERNAL; INSERT INTO {name} {rows};"
            f"UPDATE {name} SET body = repeat('b', 3000);")


@pytest.fixture(scope="module")
def has_citext(server):
    return server.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'") == 1


@pytest.mark.long
def test_keys_of_all_kinds(db, fwd, has_citext):
    keys = dict(KEYS)
    db.psql("CREATE EXTENSION walspout")
    if has_citext:
        db.psql("CREATE EXTENSION citext")
        keys["cases"] = ("k citext PRIMARY KEY", "SELECT chr(65 + i % 26 + 32 * (i % 2)) || i FROM generate_series(1, 400) i")
    db.psql("".join(make(name, *key) for name, key in keys.items()))
    changes = "".join(f"UPDATE {name} SET n = n + 1 WHERE ctid IN (SELECT ctid FROM {name} ORDER BY n, ctid DESC LIMIT 20);"
                      for name in keys)
    # The same key with another text: 1.0 becomes 1.00, a letter changes its case.
    changes += "UPDATE numerics SET k = k + 0.000 - 0.00 WHERE k < 0; UPDATE numerics SET k = CASE WHEN scale(k) > 3 THEN trim_scale(k) ELSE k * 1.00 END WHERE k BETWEEN 1 AND 9;"
    if has_citext:
        changes += "UPDATE cases SET k = upper(k) WHERE n % 2 = 0; UPDATE cases SET k = lower(k) WHERE n % 2 = 1;"
    f = fwd(source="backfill:\n  rate: 300")
    db.create_slot("fwd")
    with f:
        with Workload(db, sessions=1, sql=changes):
            request(f, *[f"public.{name}" for name in keys], "--rate", "300")
            for name in keys:
                wait_for_end(db, f, f"public.{name}")
        for name in keys:
            receiver = wait_for_equal(db, f, f"public.{name}")
        assert receiver.rows > 400


BOXES = """
    CREATE FUNCTION compare_boxes(box, box) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN $1 < $2 THEN -1 ELSE ($1 > $2)::int END $$;
    CREATE OPERATOR CLASS by_area FOR TYPE box USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
        FUNCTION 1 compare_boxes(box, box);
    CREATE TABLE boxes (b box NOT NULL);
    CREATE UNIQUE INDEX boxes_b ON boxes (b by_area);
    ALTER TABLE boxes REPLICA IDENTITY USING INDEX boxes_b;
"""


def test_a_key_whose_type_has_an_order_of_the_index_only(db, fwd):
    """The index orders boxes by their area. The type itself has no order."""
    db.psql("CREATE EXTENSION walspout;" + BOXES + "INSERT INTO boxes SELECT box(point(0, 0), point(i, 1)) FROM generate_series(1, 300) i")
    f = fwd()
    db.create_slot("fwd")
    with f:
        with Workload(db, sessions=1, sql="UPDATE boxes SET b = box(point(1, 1), point(1 + width(b), 2)) WHERE width(b)::int % 7 = 0"):
            request(f, "public.boxes", "--rate", "200")
            wait_for_end(db, f, "public.boxes")
        assert wait_for_equal(db, f, "public.boxes").rows > 250


def test_a_row_that_moves_to_a_key_that_is_left_out(db, fwd):
    """Without a key, the row cannot be read again, and the backfill does not wait for that."""
    db.psql("""CREATE EXTENSION walspout; CREATE TABLE t (a int, k text, body text, PRIMARY KEY (a, k)); ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
        INSERT INTO t SELECT i, 'k', repeat('b', 3000) FROM generate_series(1, 300) i""")
    f = fwd(source="max_value_bytes: 1kB")
    db.create_slot("fwd")
    with f:
        request(f, "public.t", "--rate", "100")
        pg.wait_until(lambda: db.value("SELECT max(rows) >= 50 FROM walspout.backfills"), 60, what="saved rows")
        db.psql("UPDATE t SET k = repeat('z', 2000) WHERE a = 290; DELETE FROM t WHERE a = 290")
        wait_for_end(db, f, timeout=30)
        assert {e["key"]["a"] for e in f.events() if e["op"] == "r"} == set(range(1, 301)) - {290}


def test_a_key_that_is_dropped_in_the_middle(db, fwd):
    db.psql("CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY);"
            "INSERT INTO t SELECT generate_series(1, 2000); CREATE TABLE other (id int PRIMARY KEY)")
    f = fwd()
    db.create_slot("fwd")
    with f:
        request(f, "public.t", "--rate", "200")
        pg.wait_until(lambda: len(f.events()) > 20, 60, what="rows")
        db.psql("ALTER TABLE t DROP CONSTRAINT t_pkey")
        wait_for_end(db, f, end="failed")
        error = db.value("SELECT error FROM walspout.backfills WHERE state = 'failed'")
        assert "key" in error and "REPLICA IDENTITY USING INDEX" in error
        db.psql("INSERT INTO other VALUES (1)")
        pg.wait_until(lambda: any(e["table"] == "other" for e in f.events()), 60, what="the stream")


# Tables without a key #################################################################################

KEYLESS = "CREATE EXTENSION walspout; CREATE TABLE k (a int, body text); ALTER TABLE k ALTER body SET STORAGE EXTERNAL;"


def multiset(f, table="k"):
    """The rows of a receiver that ignores keys, each as often as it is there."""
    rows = {}
    with open(f.output) as file:
        events = [parse(line) for line in file.read().split("\n")[:-1]]
    for event in events:
        if event["table"] != table:
            continue
        for image, step in (("before", -1), ("after", 1)):
            if event.get(image):
                text = json.dumps(event[image], sort_keys=True)
                rows[text] = rows.get(text, 0) + step
    return {row: count for row, count in rows.items() if count}


def expected(db, table="k"):
    rows = {}
    for row in rows_of(db, table):
        text = json.dumps(row, sort_keys=True)
        rows[text] = rows.get(text, 0) + 1
    return rows


def test_a_table_without_a_key_is_exact_when_the_slot_is_made(db, fwd):
    db.psql(KEYLESS + "ALTER TABLE k REPLICA IDENTITY FULL; CREATE TABLE t (id int PRIMARY KEY);"
            "INSERT INTO t SELECT generate_series(1, 50);"
            "INSERT INTO k SELECT i % 50, repeat('x', 2500) FROM generate_series(1, 3000) i")
    work = ("UPDATE k SET a = a + 1 WHERE ctid IN (SELECT ctid FROM k LIMIT 3);"
            "DELETE FROM k WHERE ctid IN (SELECT ctid FROM k WHERE a > 10 LIMIT 2); INSERT INTO k VALUES (7, 'new'), (7, 'new')")
    with Workload(db, sessions=2, sql=work):
        f = fwd(source=BACKFILL)
        f.start()
        wait_for_end(db, f, "public.k")
        wait_for_end(db, f, "public.t")
    try:
        pg.wait_until(lambda: multiset(f) == expected(db), 90, 0.5, "receiver that has the rows")
    except TimeoutError:
        here, there = multiset(f), expected(db)
        raise AssertionError(f"{len(here)} {len(there)} {[r[:60] for r in here.items() ^ there.items()][:9]}") from None
    of_k = [e for e in f.events() if e["table"] == "k"]
    ops = [e["op"] for e in of_k]
    assert "r" in ops and "r" not in ops[ops.index(next(op for op in ops if op != "r")):], "rows come before all changes"
    assert len({e["id"] for e in f.events()}) == len(f.events())
    assert db.value("SELECT rows FROM walspout.backfills WHERE \"table\" = 'public.k'") == ops.count("r")


def test_a_large_table_without_a_key_waits_for_the_sinks(db, fwd):
    """More than the queue holds, while the table changes."""
    db.psql(KEYLESS + "INSERT INTO k SELECT i, repeat('x', 5000) FROM generate_series(1, 8000) i")
    with fwd(source=BACKFILL, pipeline="memory: 2MiB") as f:
        db.psql("INSERT INTO k VALUES (0, 'last')")
        wait_for_end(db, f, "public.k")
        pg.wait_until(lambda: multiset(f) == expected(db), 90, 0.5, "receiver that has the rows")


def test_a_kill_while_a_table_without_a_key_is_read_fails_it(db, fwd, tmp_path):
    db.psql(KEYLESS + "INSERT INTO k SELECT i, repeat('x', 5000) FROM generate_series(1, 20000) i;"
            "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    f = fwd(source=BACKFILL, pipeline="memory: 1MiB")
    f.start()
    pg.wait_until(lambda: len(f.events()) > 100, 60, 0.01, "rows")
    f.kill()
    assert state(db, "public.k") == "running"
    f.start()
    wait_for_end(db, f, "public.k", end="failed")
    error = db.value("SELECT error FROM walspout.backfills WHERE \"table\" = 'public.k'")
    assert "cut short" in error and "walspout drop" in error
    # All else goes on.
    wait_for_end(db, f, "public.t")
    db.psql("INSERT INTO k VALUES (-1, 'x')")
    pg.wait_until(lambda: any(e["table"] == "k" and e["after"]["a"] == -1 for e in f.events()), 60, what="event")


def test_a_walsender_that_ends_does_not_end_the_reading(db, fwd):
    db.psql(KEYLESS + "INSERT INTO k SELECT i, repeat('x', 5000) FROM generate_series(1, 20000) i")
    with fwd(source=BACKFILL, pipeline="memory: 1MiB") as f:
        pg.wait_until(lambda: len(f.events()) > 100, 60, 0.01, "rows")
        db.value("SELECT pg_terminate_backend(%s)", (db.server.walsender(f.slot),))
        wait_for_end(db, f, "public.k")
        pg.wait_until(lambda: multiset(f) == expected(db), 90, 0.5, "receiver that has the rows")


def test_a_table_without_a_key_is_refused_later(db, fwd):
    db.psql(KEYLESS + "INSERT INTO k VALUES (1, 'x'); CREATE PUBLICATION p FOR TABLE k; "
            "ALTER TABLE k REPLICA IDENTITY FULL")
    f = fwd(source="publications: [p]\nbackfill:\n  new_tables: true")
    db.create_slot("fwd")
    with f:
        assert "has no key" in request(f, "public.k", code=1)
        # By new_tables.
        f.wait_for_log("that join from now on")
        pg.wait_until(lambda: db.value("SELECT count(*) FROM walspout.tables WHERE relation <> 0") == 1, 60, what="table")
        db.psql("ALTER PUBLICATION p DROP TABLE k; ALTER PUBLICATION p ADD TABLE k")
        wait_for_end_of_any(db, f)
        assert f.events() == []


def wait_for_end_of_any(db, f):
    pg.wait_until(lambda: state(db, "public.k") == "failed", 60, 0.2, f"end: {f.log()}")
    assert "REPLICA IDENTITY USING INDEX" in db.value("SELECT error FROM walspout.backfills")


# Rights ###############################################################################################

def test_what_check_prints_is_all_that_a_role_needs(db, fwd, server):
    role = f"reader_{db.name}"
    db.psql("CREATE EXTENSION walspout; CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY);"
            "INSERT INTO s.t SELECT generate_series(1, 9); CREATE TABLE s.kl (a int); INSERT INTO s.kl VALUES (1);"
            "CREATE TABLE s.late (id int PRIMARY KEY); INSERT INTO s.late VALUES (1);"
            "CREATE TABLE s.hidden (id int PRIMARY KEY); INSERT INTO s.hidden VALUES (1);"
            "ALTER TABLE s.hidden ENABLE ROW LEVEL SECURITY;"
            f"CREATE PUBLICATION p FOR TABLE s.t, s.hidden, s.kl; CREATE ROLE {role} LOGIN REPLICATION")
    try:
        f = fwd(source="publications: [p]\nbackfill:\n  new_tables: true",
                dsn=f"host={server.host} port={server.port} user={role} dbname={db.name}")
        f.start(wait=False)
        f.wait_for_log("is not created")
        f.kill()
        code, text = check(f)
        assert code == 1, text
        printed = [s for s in statements(text) if s.startswith("GRANT") or "BYPASSRLS" in s]
        for word in ("USAGE ON SCHEMA walspout", "SELECT, INSERT, UPDATE ON walspout.backfills",
                     "SELECT, INSERT, UPDATE, DELETE ON walspout.tables", "walspout.read_rows", "walspout.read_keys",
                     "USAGE ON SCHEMA s", "SELECT ON s.t", "SELECT ON s.hidden", "BYPASSRLS"):
            assert any(word in statement for statement in printed), (word, text)
        db.psql("; ".join(printed) + "; ALTER TABLE s.kl REPLICA IDENTITY FULL")
        code, text = check(f)
        assert code == 0 and "may use what the extension has" in text, text
        with f:
            for name in ("s.t", "s.hidden", "s.kl"):
                wait_for_end(db, f, name)
            db.psql(f"GRANT SELECT ON s.late TO {role}; ALTER PUBLICATION p ADD TABLE s.late")
            pg.wait_until(lambda: state(db, "s.late") == "done", 60, what=f"backfill of s.late: {f.log()}")
            assert len(f.events()) == 12
    finally:
        db.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_each_mistake_in_a_request_says_what_is_wrong_and_what_to_do(db, fwd, server):
    role = f"asks_{db.name}"
    db.psql("CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY, body text); CREATE TABLE outside (id int PRIMARY KEY);"
            "CREATE TABLE secret (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t, secret;"
            f"CREATE ROLE {role} LOGIN REPLICATION; GRANT USAGE ON SCHEMA walspout TO {role};"
            f"GRANT SELECT, INSERT, UPDATE ON walspout.backfills TO {role};"
            f"GRANT SELECT, INSERT, DELETE ON walspout.backfill_keys TO {role};"
            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA walspout TO {role}; GRANT SELECT ON t, outside TO {role}")
    try:
        f = fwd(source="publications: [p]", dsn=f"host={server.host} port={server.port} user={role} dbname={db.name}")
        db.create_slot("fwd")
        for args, texts in {
            ("public.outside",): ("table public.outside is not published", "ALTER PUBLICATION ... ADD TABLE public.outside"),
            ("public.secret",): ("permission denied for table public.secret", f"GRANT SELECT ON public.secret TO {role}"),
            ("public.t", "--where", "body = "): ('syntax error at or near ")"', "for instance status = 'open'"),
            ("public.t", "--where", "id"): ("must be type boolean, not type integer", "for instance status = 'open'"),
            ("public.t", "--where", "bodies = 1"): ('column "bodies" does not exist', 'Perhaps you meant'),
            ("public.missing",): ('relation "public.missing" does not exist',),
        }.items():
            said = request(f, *args, code=1)
            for text in texts:
                assert text in said, (args, said)
        assert db.value("SELECT count(*) FROM walspout.backfills") == 0
        assert "requested backfill 1" in request(f, "public.t")
        again = request(f, "public.t", code=1)
        assert "backfill 1 of table public.t is not finished: it was requested at" in again, again
        assert "end it with SELECT walspout.backfill_cancel(1)" in again, again
    finally:
        db.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_row_level_security_raises_and_hides_nothing(db, fwd, server):
    role = f"rls_{db.name}"
    db.psql("CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2);"
            f"CREATE ROLE {role} LOGIN REPLICATION; GRANT USAGE ON SCHEMA walspout TO {role};"
            f"GRANT SELECT, INSERT, UPDATE ON walspout.backfills TO {role};"
            f"GRANT SELECT, INSERT, DELETE ON walspout.backfill_keys TO {role};"
            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA walspout TO {role}; GRANT SELECT ON t TO {role};"
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY one ON t USING (id = 1)")
    try:
        f = fwd(dsn=f"host={server.host} port={server.port} user={role} dbname={db.name}")
        db.create_slot("fwd")
        with f:
            db.psql("SELECT walspout.backfill('t')")
            wait_for_end(db, f, end="failed")
            assert "row-level security" in db.value("SELECT error FROM walspout.backfills")
            assert f.events() == []
            db.psql(f"ALTER ROLE {role} BYPASSRLS; SELECT walspout.backfill('t')")
            wait_for_end(db, f)
            assert len(f.events()) == 2
    finally:
        db.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_standby_is_refused(alone, alone_fwd):
    alone.psql("CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    alone.server.restart(conf={"hot_standby_feedback": "on"})
    alone.back_up()
    alone.replace()
    alone.start_as_standby(f'cp "{alone.server.data}.old/pg_wal/%f" "%p"')
    f = alone_fwd(source=BACKFILL)
    done = forwarder.run("backfill", f.config, "public.t")
    assert done.returncode == 1 and "standby" in done.stderr and "primary" in done.stderr
    code, text = check(f)
    assert code == 1 and "`backfill` needs the primary" in text, text
    f.start(wait=False)
    f.wait_for_log("this server is a standby", timeout=60)
    assert "is not created" in f.log()
