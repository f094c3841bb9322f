"""Rows that exist already: they arrive beside the stream, and a reader that applies all events has the table."""

import contextlib
import os
import re
import resource
import subprocess
import time

import pytest

from harness import postgres as pg
from harness import forwarder
from receiver import differences, received

TABLE = """
    CREATE EXTENSION IF NOT EXISTS walspout;
    CREATE TABLE public.t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, body text);
    ALTER TABLE public.t ALTER body SET STORAGE EXTERNAL;
"""
BACKFILL = "backfill:\n  tables: all"


def request(f, *args, code=0):
    done = forwarder.run("backfill", f.config, *args)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def state(db, table="public.t"):
    return db.value('SELECT state FROM walspout.backfills WHERE "table" = %s ORDER BY id DESC LIMIT 1', (table,))


def wait_for_end(db, f, table="public.t", timeout=100, end="done"):
    try:
        pg.wait_until(lambda: state(db, table) in ("done", "failed", "canceled"), timeout, 0.1, "end of the backfill")
    except TimeoutError:
        raise AssertionError(f"{db.psql('SELECT * FROM walspout.backfills')}\n{f.log()}") from None
    assert state(db, table) == end, f"{db.psql('SELECT * FROM walspout.backfills')}\n{f.log()}"


def wait_for_equal(db, f, table="public.t", timeout=120, where="true"):
    """Waits until the receiver has what the server has; returns the receiver."""
    last = []

    def is_equal():
        receiver = received(f.output)
        last[:] = [differences(db, receiver, table, where), receiver]
        return not last[0]
    try:
        pg.wait_until(is_equal, timeout, 0.5, "receiver that has the table")
    except TimeoutError:
        raise AssertionError(f"{last[0]}\n{f.log()}") from None
    return last[1]


def test_rows_that_exist_arrive_when_the_slot_is_made(db, fwd):
    db.psql(TABLE + "INSERT INTO t SELECT i, i, repeat('x', i * 100) FROM generate_series(1, 19) i")
    with fwd(source=BACKFILL) as f:
        wait_for_end(db, f)
        receiver = wait_for_equal(db, f)
        assert receiver.rows == 19 and receiver.changes == 0
        events = f.events()
        assert [e["op"] for e in events] == ["r"] * 19
        assert set(events[0]) == {"id", "op", "schema", "table", "ts", "key", "after"}
        assert len({e["id"] for e in events}) == 19
        db.psql("UPDATE t SET n = 100 WHERE id = 3")
        wait_for_equal(db, f)
        assert f.status()["backfills"] == []


@pytest.mark.effect("source.backfill.tables", "source.backfill.where", "source.backfill.rate", "source.backfill.workers")
def test_what_is_configured_is_backfilled(db, fwd):
    db.psql(TABLE + "CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE audit_log (id int PRIMARY KEY);"
            "INSERT INTO t SELECT i FROM generate_series(1, 300) i; INSERT INTO other VALUES (1), (2), (3);"
            "INSERT INTO audit_log VALUES (1)")
    with fwd(source="""backfill:
  tables: ["public.*", "!public.audit_*"]
  where: {public.other: "id > 1"}
  rate: 100
  workers: 1""") as f:
        began = time.monotonic()
        for name in ("public.t", "public.other"):
            wait_for_end(db, f, name)
        assert time.monotonic() - began > 1
        ids = {}
        for event in f.events():
            ids.setdefault(event["table"], set()).add(event["after"]["id"])
        assert ids == {"t": set(range(1, 301)), "other": {2, 3}}
        assert state(db, "public.audit_log") is None
        metrics = f.get("/metrics")[1]
        assert 'walspout_backfills{pipeline="test"} 0' in metrics


@pytest.mark.long
def test_many_small_tables_share_rounds(db, fwd):
    """More than are loaded at once, and than one connection reads."""
    tables = 2100
    db.psql(f"CREATE EXTENSION walspout; DO $$ BEGIN FOR i IN 1..{tables} LOOP EXECUTE format("
            "'CREATE TABLE m%s (id int PRIMARY KEY); INSERT INTO m%s VALUES (%s)', i, i, i); "
            "IF i % 300 = 0 THEN COMMIT; END IF; END LOOP; END $$")
    with fwd(source=BACKFILL) as f:
        pg.wait_until(lambda: db.value("SELECT count(*) FROM walspout.backfills WHERE state = 'done'") == tables, 180,
                      what="end of all backfills")
        assert {e["after"]["id"] for e in f.events()} == set(range(1, tables + 1))
        # With as many tables as there may be, no statement for each of them may read all of a catalog.
        time.sleep(2)       # until the statistics are there
        assert db.value("SELECT seq_scan FROM pg_stat_sys_tables WHERE relname = 'pg_class'") < 300


def test_a_slot_that_exists_gets_no_rows_until_they_are_requested(db, fwd):
    db.psql(TABLE + "INSERT INTO t SELECT i, i, 'x' FROM generate_series(1, 5) i")
    f = fwd(source=BACKFILL)
    db.create_slot("fwd")
    with f:
        db.psql("INSERT INTO t VALUES (6)")
        f.wait_for_events(1)
        assert [e["op"] for e in f.events()] == ["c"]
        assert "requested backfill" in request(f, "public.t", "--where", "id < 4")
        wait_for_end(db, f)
        assert sorted(e["after"]["id"] for e in f.events() if e["op"] == "r") == [1, 2, 3]
        assert "done" in request(f, "--status")
        db.psql("SELECT walspout.backfill('t')")
        wait_for_equal(db, f)
        wait_for_end(db, f)


WORKLOAD = """
    CREATE OR REPLACE PROCEDURE work(seed float8, rounds int) LANGUAGE plpgsql AS $$
    DECLARE k int; k2 int; what float8;
    BEGIN
        PERFORM setseed(seed);
        FOR i IN 1..rounds LOOP
            FOR j IN 1..(1 + random() * 3)::int LOOP
                k := (random() * 4000)::int; k2 := (random() * 4000)::int; what := random();
                BEGIN
                    IF what < 0.4 THEN UPDATE t SET n = n + 1 WHERE id = k;
                    ELSIF what < 0.5 THEN UPDATE t SET body = repeat(chr(97 + i % 26), 3000) WHERE id = k;
                    ELSIF what < 0.75 THEN UPDATE t SET id = k2, n = n + 1 WHERE id = k;
                    ELSIF what < 0.85 THEN DELETE FROM t WHERE id = k;
                    ELSE INSERT INTO t VALUES (k2, i, repeat('i', 2500 + i % 100));
                    END IF;
                EXCEPTION WHEN unique_violation OR deadlock_detected THEN NULL;
                END;
            END LOOP;
            IF random() < 0.05 THEN ROLLBACK; ELSE COMMIT; END IF;
            PERFORM pg_sleep(0.0005);
        END LOOP;
    END $$;
"""


class Workload:
    """Sessions that change the table until they are told to stop."""

    def __init__(self, db, sessions=2, sql="CALL work({seed}, 60)"):
        self.db, self.sql, self.sessions = db, sql, sessions
        self.processes = []

    def __enter__(self):
        self.stopped = False
        self.threads = []
        import threading
        for number in range(self.sessions):
            self.threads.append(threading.Thread(target=self._run, args=(number,), daemon=True))
            self.threads[-1].start()
        return self

    def _run(self, number):
        seed = number / 10
        while not self.stopped:
            seed = (seed * 7.13 + 0.137) % 1
            try:
                self.db.psql(self.sql.format(seed=round(seed, 6)))
            except pg.ServerError:
                time.sleep(0.2)     # it was killed

    def __exit__(self, *_):
        self.stopped = True
        for thread in self.threads:
            thread.join(120)


def fill(db, rows=4000):
    db.psql(TABLE + WORKLOAD + f"INSERT INTO t SELECT i, 0, repeat('b', 2500 + i % 97) FROM generate_series(1, {rows}, 2) i")


@pytest.mark.long
def test_a_table_that_changes_meanwhile_arrives_whole(db, fwd):
    fill(db)
    f = fwd(source="backfill:\n  rate: 700")
    db.create_slot("fwd")
    with f, Workload(db):
        request(f, "public.t", "--rate", "700")
        wait_for_end(db, f)
        request(f, "public.t", "--rate", "900")
        wait_for_end(db, f)
    with f:
        receiver = wait_for_equal(db, f)
        assert receiver.rows > 500 and receiver.changes > 100


def test_kills_at_any_moment_lose_nothing(db, fwd):
    fill(db)
    f = fwd()
    db.create_slot("fwd")
    f.start()
    with Workload(db):
        request(f, "public.t", "--rate", "400")
        for turn in range(4):
            time.sleep(1.2)
            if turn % 2:
                pid = db.server.walsender(f.slot)
                if pid:
                    db.value("SELECT pg_terminate_backend(%s)", (pid,))
            else:
                f.kill()
                f.start()
        wait_for_end(db, f)
    wait_for_equal(db, f)


def test_it_goes_on_at_the_saved_cursor(db, fwd):
    db.psql(TABLE + "INSERT INTO t SELECT i, i, 'x' FROM generate_series(1, 5000) i")
    f = fwd()
    db.create_slot("fwd")
    f.start()
    request(f, "public.t", "--rate", "1000")
    pg.wait_until(lambda: db.value("SELECT rows FROM walspout.backfills") >= 1000, 60, what="saved rows")
    f.kill()
    saved = db.value("SELECT rows FROM walspout.backfills")
    before = len(f.events())
    f.start()
    wait_for_end(db, f)
    receiver = wait_for_equal(db, f)
    assert len(f.events()) - before <= 5000 - saved
    assert receiver.rows >= 5000


def test_a_commit_that_waits_for_a_standby_is_newer_than_the_rows(db, fwd, server):
    """Its commit record is decoded, and snapshots still show it as running."""
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 10) i")
    f = fwd()
    db.create_slot("fwd")
    with f:
        db.psql("INSERT INTO t VALUES (100, 0, 'first')")
        f.wait_for_events(1)
        server.psql("ALTER SYSTEM SET synchronous_standby_names = 'missing'; SELECT pg_reload_conf()")
        try:
            pg.wait_until(lambda: server.value("SHOW synchronous_standby_names") == "missing", what="setting")
            waiting = subprocess.Popen(
                ["psql", "-XAtq", "-d", db.name, "-c", "UPDATE t SET n = 1 WHERE id = 3"],
                env=server.client_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            f.wait_for_events(2)
            db.psql("SET synchronous_commit = local; SELECT walspout.backfill('t')")
            # The barrier waits for the update, because its transaction is older.
            pg.wait_until(lambda: state(db) == "waiting", 30, what="backfill that waits")
            pg.wait_until(lambda: f.status()["backfills"][0]["held_up_by"], 30, what="name of the transaction")
            assert state(db) == "waiting"
        finally:
            server.psql("SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names")
            server.psql("SELECT pg_reload_conf()")
            waiting.wait(30)
        wait_for_end(db, f)
        wait_for_equal(db, f)


def test_commits_that_wait_for_a_standby_while_rows_are_read(db, fwd, server):
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 300) i")
    f = fwd()
    db.create_slot("fwd")
    with f:
        db.psql("SELECT walspout.backfill('t', rate => 60)")
        pg.wait_until(lambda: len(f.events()) > 10, 60, what="rows")
        db.psql("BEGIN; UPDATE t SET n = 2 WHERE id = 240; PREPARE TRANSACTION 'waits'")
        server.psql("ALTER SYSTEM SET synchronous_standby_names = 'missing'; SELECT pg_reload_conf()")
        waiting = []
        try:
            pg.wait_until(lambda: server.value("SHOW synchronous_standby_names") == "missing", what="setting")
            for sql in ("UPDATE t SET n = 1 WHERE id IN (200, 290)", "DELETE FROM t WHERE id = 210",
                        "UPDATE t SET id = 1000 WHERE id = 220", "UPDATE t SET body = 'new' WHERE id = 230",
                        "COMMIT PREPARED 'waits'"):
                waiting.append(subprocess.Popen(["psql", "-XAtq", "-d", db.name, "-c", sql], env=server.client_env(),
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            # All rows but those are read while these transactions are decoded, and not visible.
            pg.wait_until(lambda: any(e["op"] == "r" and e["key"]["id"] == 299 for e in f.events()), 120, what="rows")
            assert all(p.poll() is None for p in waiting)
            confirmed = db.confirmed_lsn(f.slot)
            f.kill()
            f.start()
            assert db.confirmed_lsn(f.slot) >= confirmed
        finally:
            server.psql("SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names")
            server.psql("SELECT pg_reload_conf()")
            for p in waiting:
                p.wait(30)
        wait_for_end(db, f)
        wait_for_equal(db, f)


def test_old_transactions_hold_up_the_begin_and_are_named(db, fwd, server):
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, 'b' FROM generate_series(1, 10) i")
    f = fwd()
    db.create_slot("fwd")
    with f:
        db.psql("BEGIN; UPDATE t SET n = 5 WHERE id = 5; PREPARE TRANSACTION 'held'")
        try:
            db.psql("SELECT walspout.backfill('t')")
            pg.wait_until(lambda: "held" in (f.status()["backfills"] or [{"held_up_by": ""}])[0]["held_up_by"], 60,
                          what="name of the prepared transaction")
            pg.wait_until(lambda: state(db) == "waiting", 30, what="backfill that waits")
            assert f.events() == []
        finally:
            db.psql("COMMIT PREPARED 'held'")
        wait_for_end(db, f)
        assert wait_for_equal(db, f).rows == 10


def test_a_locked_table_holds_up_nothing_else(db, fwd):
    """The lock delays neither other tables nor a stream that begins meanwhile."""
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, 'b' FROM generate_series(1, 80) i")
    db.psql("CREATE TABLE public.other (id int PRIMARY KEY); INSERT INTO other SELECT generate_series(1, 80)")
    f = fwd()
    db.create_slot("fwd")
    db.psql("SELECT walspout.backfill('t', rate => 20); SELECT walspout.backfill('other', rate => 20)")
    with f, contextlib.closing(db.server.connect(db.name, autocommit=False)) as locker:
        f.wait_for_events(5)
        locker.cursor().execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        wait_for_end(db, f, "public.other", timeout=60)
        f.wait_for_log("lock timeout")
        assert f.terminate() == 0
        f.start()
        db.psql("INSERT INTO other VALUES (81)")
        pg.wait_until(lambda: any(event["op"] == "c" for event in f.events()), 20, what="event of the stream")
        locker.rollback()
        wait_for_end(db, f)
        wait_for_equal(db, f)


def test_a_hot_row_completes(db, fwd):
    """Each chunk has a newer update of the row that lacks the TOASTed column."""
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 400) i")
    f = fwd()
    db.create_slot("fwd")
    hot = "DO $$ BEGIN FOR i IN 1..200 LOOP UPDATE t SET n = n + 1 WHERE id IN (200, 400); COMMIT; END LOOP; END $$"
    with f:
        with Workload(db, sessions=1, sql=hot):
            db.psql("SELECT walspout.backfill('t', rate => 200)")
            wait_for_end(db, f)
        receiver = wait_for_equal(db, f)
        assert receiver.rows >= 390


def test_truncate_and_rewrites_while_rows_are_read(db, fwd):
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 500) i")
    f = fwd()
    db.create_slot("fwd")
    with f:
        db.psql("SELECT walspout.backfill('t', rate => 200)")
        pg.wait_until(lambda: len(f.events()) > 20, 60, what="rows")
        db.psql("TRUNCATE t; INSERT INTO t SELECT i, 1, 'new' FROM generate_series(400, 600) i")
        pg.wait_until(lambda: f.wait_for_events(100), 60, what="events")
        db.psql("ALTER TABLE t ALTER n TYPE bigint")
        wait_for_end(db, f)
        wait_for_equal(db, f)


def test_row_filters_partitions_and_identities(db, fwd, server):
    db.psql(TABLE + """
        CREATE TABLE filtered (id int PRIMARY KEY, n int, body text);
        ALTER TABLE filtered ALTER body SET STORAGE EXTERNAL;
        CREATE TABLE root (id int, n int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF root FOR VALUES FROM (0) TO (50);
        CREATE TABLE high PARTITION OF root FOR VALUES FROM (50) TO (1000);
        CREATE TABLE whole (id int PRIMARY KEY, body text);
        ALTER TABLE whole ALTER body SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
        CREATE TABLE other (id int, code text NOT NULL, body text);
        CREATE UNIQUE INDEX other_code ON other (code);
        ALTER TABLE other REPLICA IDENTITY USING INDEX other_code;
        INSERT INTO filtered SELECT i, i % 10, repeat('f', 3000) FROM generate_series(1, 100) i;
        INSERT INTO root SELECT i, 0 FROM generate_series(1, 99) i;
        INSERT INTO whole SELECT i, repeat('w', 3000) FROM generate_series(1, 100) i;
        INSERT INTO other SELECT i, 'c' || i, 'x' FROM generate_series(1, 100) i;
    """)
    tables = "filtered, root, whole, other"
    if server.installation.major >= 15:
        db.psql("CREATE PUBLICATION p FOR TABLE filtered WHERE (id < 60), root, whole, other "
                "WITH (publish_via_partition_root)")
    else:
        db.psql(f"CREATE PUBLICATION p FOR TABLE {tables} WITH (publish_via_partition_root)")
    where = {"public.filtered": "id < 60" if server.installation.major >= 15 else "true"}
    f = fwd(source="publications: [p]")
    db.create_slot("fwd")
    changes = """DO $$ BEGIN FOR i IN 1..30 LOOP
        UPDATE filtered SET n = n + 1 WHERE id = 50 + i;
        UPDATE root SET id = id + 50 WHERE id = 10 AND NOT EXISTS (SELECT FROM root WHERE id = 60);
        UPDATE root SET n = n + 1 WHERE id = i;
        UPDATE whole SET id = 500 + i WHERE id = i;
        UPDATE whole SET id = i WHERE id = 500 + i;
        UPDATE other SET code = 'd' || i WHERE code = 'c' || i;
        UPDATE other SET code = 'c' || i WHERE code = 'd' || i;
        COMMIT; END LOOP; END $$"""
    names = ("public.filtered", "public.root", "public.whole", "public.other")
    with f:
        with Workload(db, sessions=1, sql=changes):
            request(f, *names, "--rate", "50")
            # These leave the row filter, and come back without the column that does not change.
            db.psql("UPDATE filtered SET id = id + 200 WHERE id <= 30")
            db.psql("UPDATE filtered SET id = id - 200 WHERE id > 200")
            assert state(db, "public.filtered") in ("requested", "waiting", "running")
            for name in names:
                wait_for_end(db, f, name)
        for name in names:
            wait_for_equal(db, f, name, where=where.get(name, "true"))


def test_what_cannot_be_read_is_refused_with_a_remedy(db, fwd):
    db.psql(TABLE + "CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (1); CREATE TABLE outside (id int PRIMARY KEY);"
            "CREATE PUBLICATION p FOR TABLE t, keyless")
    f = fwd(source="publications: [p]")
    db.create_slot("fwd")
    with f:
        assert "key" in request(f, "public.keyless", code=1).lower()
        assert "does not exist" in request(f, "public.missing", code=1)
        assert request(f, "public.t", "--where", "no such", code=1)
        refused = request(f, "public.outside", "public.t", code=1)
        assert "table public.outside is not published" in refused and "ALTER PUBLICATION" in refused
        assert "requested backfill 1 of public.t" in refused, "the other tables are requested"
        wait_for_end(db, f)
        db.psql("SELECT walspout.backfill('outside')")
        wait_for_end(db, f, "public.outside", end="failed")
        assert "publi" in db.value("SELECT error FROM walspout.backfills WHERE state = 'failed'")


def slow_backfill(db, f, rows=500, rate=100):
    """A table, and a backfill of it that has saved some rows."""
    db.psql(TABLE + f"INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, {rows}) i")
    db.create_slot("fwd")
    f.start()
    db.psql(f"SELECT walspout.backfill('t', rate => {rate})")
    pg.wait_until(lambda: db.value("SELECT rows FROM walspout.backfills") >= 50, 60, what="saved rows")


def test_a_renamed_table_begins_again(db, fwd):
    f = fwd()
    slow_backfill(db, f)
    db.psql("ALTER TABLE t RENAME TO renamed")
    f.wait_for_log("its backfill begins again", timeout=60)
    wait_for_end(db, f)     # the request keeps the name that the table had
    wait_for_equal(db, f, "public.renamed")


def test_a_re_created_table_is_another_table(db, fwd):
    f = fwd()
    slow_backfill(db, f)
    db.psql("DROP TABLE t;" + TABLE + "INSERT INTO t VALUES (7, 7, 'new')")
    wait_for_end(db, f, end="failed")
    error = db.value("SELECT error FROM walspout.backfills")
    assert "is gone" in error and "request a backfill of the new" in error
    db.psql("SELECT walspout.backfill('t')")
    wait_for_end(db, f)
    assert [e["after"]["id"] for e in f.events() if e["op"] == "r"][-1] == 7


def test_a_paused_backfill_of_a_dropped_table_hides_no_change(db, fwd):
    """Another table has its name, and its own backfill observes the changes."""
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 500) i; CREATE PUBLICATION p FOR TABLE t")
    f = fwd(source="publications: [p]")
    db.create_slot("fwd")
    f.start()
    request(f, "public.t", "--rate", "100")
    request(f, "public.t", "--pause")
    pg.wait_until(lambda: f.status()["backfills"] and f.status()["backfills"][0]["state"] == "paused", 30, what="pause")
    db.psql("DROP TABLE t;" + TABLE + "INSERT INTO t SELECT i, 1, repeat('c', 3000) FROM generate_series(1, 500) i; "
            "ALTER PUBLICATION p ADD TABLE t")
    db.psql("SELECT walspout.backfill('t', rate => 100)")
    pg.wait_until(lambda: db.value("SELECT max(rows) >= 50 FROM walspout.backfills WHERE state = 'running'"), 60, what="saved rows")
    # These rows move before what is read, without the column that does not change.
    db.psql("UPDATE t SET id = -id WHERE id > 300")
    wait_for_end(db, f)
    wait_for_equal(db, f, timeout=20)


def test_another_version_of_a_collation_begins_again(db, fwd):
    """That version is a part of what is saved as the table's shape: another order of keys makes the cursor useless."""
    f = fwd()
    slow_backfill(db, f)
    f.kill()
    db.psql("UPDATE walspout.backfills SET shape = md5('of another version')")
    seen = len(f.events())
    f.start()
    f.wait_for_log("its backfill begins again", timeout=60)
    wait_for_end(db, f)
    assert sum(e["op"] == "r" for e in f.events()[seen:]) >= 500, "all rows are read again"
    wait_for_equal(db, f)


@pytest.mark.parametrize("who", ["the forwarder creates the slot", "somebody creates the slot"])
def test_a_failed_over_server_begins_again(alone, alone_fwd, who):
    """The standby has the saved progress, and no slot: what was changed before the next slot was created is in no stream."""
    f = alone_fwd()
    slow_backfill(alone, f, rows=3000)
    alone.back_up()
    pg.wait_until(lambda: alone.value("SELECT rows FROM walspout.backfills") >= 150, 60, what="saved rows")
    f.kill()
    alone.replay()
    alone.promote()
    assert alone.timeline() == 2 and alone.value("SELECT state = 'running' AND rows >= 150 FROM walspout.backfills")
    alone.psql("UPDATE t SET n = 1 WHERE id <= 20; INSERT INTO t VALUES (0, 1, 'new')")
    if who == "somebody creates the slot":
        alone.create_slot("fwd")
    alone.psql("UPDATE walspout.backfills SET rate = NULL")
    f.start()
    f.wait_for_log("begin again" if who == "the forwarder creates the slot" else "its backfill begins again", timeout=60)
    wait_for_end(alone, f)
    wait_for_equal(alone, f)


def test_commits_that_are_not_flushed(db, fwd):
    """Their changes reach the slot with the next flush only, which the mark of a chunk brings about."""
    db.psql(f'ALTER DATABASE "{db.name}" SET synchronous_commit = off')
    change = "UPDATE t SET n = n + 1 WHERE id % 7 = 0"
    f = fwd()
    slow_backfill(db, f)
    with Workload(db, sessions=1, sql=change):
        wait_for_end(db, f)
    db.psql("SET synchronous_commit = on; INSERT INTO t VALUES (1000)")
    wait_for_equal(db, f)


def test_a_truncated_partition_of_a_root_is_no_event(db, fwd):
    """As the documents say. Its backfill begins again, and brings no row of that partition."""
    db.psql("CREATE EXTENSION walspout; CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);"
            "CREATE TABLE low PARTITION OF r FOR VALUES FROM (0) TO (500); CREATE TABLE high PARTITION OF r FOR VALUES FROM (500) TO "
            "(1000); INSERT INTO r SELECT generate_series(0, 999); CREATE PUBLICATION p FOR TABLE r WITH (publish_via_partition_root)")
    f = fwd(source="publications: [p]")
    db.create_slot("fwd")
    with f:
        db.psql("SELECT walspout.backfill('r', rate => 300)")
        pg.wait_until(lambda: len(f.events()) > 60, 60, what="rows")
        db.psql("TRUNCATE high")
        f.wait_for_log("its backfill begins again", timeout=60)
        wait_for_end(db, f, "public.r")
        assert all(e["op"] == "r" and e["after"]["id"] < 500 for e in f.events())
        db.psql("ALTER TABLE r DETACH PARTITION low; INSERT INTO r VALUES (600)")
        pg.wait_until(lambda: any(e["op"] == "c" for e in f.events()), 30, what="event")
        assert not any(e["op"] in "dt" for e in f.events())


def test_requests_can_be_paused_resumed_and_canceled(db, fwd):
    db.psql(TABLE + WORKLOAD + "INSERT INTO t SELECT i, 0, repeat('b', 2500) FROM generate_series(1, 3000) i")
    f = fwd()
    db.create_slot("fwd")
    with f:
        request(f, "public.t", "--rate", "500")
        assert "not finished" in request(f, "public.t", code=1)
        pg.wait_until(lambda: len(f.events()) > 50, 60, what="rows")
        assert "paused" in request(f, "public.t", "--pause")
        pg.wait_until(lambda: f.status()["backfills"][0]["state"] == "paused", 30, what="pause")
        with Workload(db):
            time.sleep(1)
            f.kill()
            f.start()
            time.sleep(1)
            assert state(db) == "paused"
            assert "resumed" in request(f, "--resume")
            wait_for_end(db, f)
        wait_for_equal(db, f)
        request(f, "public.t", "--rate", "100")
        assert "canceled" in request(f, "public.t", "--cancel")
        wait_for_end(db, f, end="canceled")
        pg.wait_until(lambda: f.status()["backfills"] == [], 30, what="end")


def test_the_server_dies_while_rows_are_read(fwd, tmp_path):
    with pg.WorkDir() as work:
        server = pg.Cluster(pg.Installation(work), conf={"fsync": "on"})
        server.start()
        server.createdb("own")
        db = pg.Database(server, "own")
        fill(db)
        f = forwarder.Forwarder(db, str(tmp_path))
        db.create_slot("fwd")
        try:
            f.start()
            with Workload(db):
                request(f, "public.t", "--rate", "500")
                for _ in range(2):
                    time.sleep(1.5)
                    server.kill()
                    server.start()
                wait_for_end(db, f)
            wait_for_equal(db, f)
        finally:
            f.kill()


def test_a_row_that_enters_the_filter_before_the_end_is_whole(db, fwd, server):
    """Also when all rows of the table have arrived."""
    if server.installation.major < 15:
        return  # there are no row filters
    db.psql(TABLE + "CREATE PUBLICATION p FOR TABLE t WHERE (id < 1000);"
            "INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 3) i")
    f = fwd(source="publications: [p]")
    db.create_slot("fwd")
    with f:
        for turn in range(10):
            outside = 1001 + turn
            db.psql(f"INSERT INTO t VALUES ({outside}, 0, repeat('o', 3000))")
            seen = sum(event["op"] == "r" for event in f.events())
            # The last of these rows is followed by a second without a read.
            request(f, "public.t", "--rate", "1")
            pg.wait_until(lambda: sum(event["op"] == "r" for event in f.events()) - seen >= 3 + turn, 60,     # noqa: B023
                          what="rows")
            db.psql(f"UPDATE t SET id = {outside - 900} WHERE id = {outside}")
            before_the_end = state(db) == "running"
            wait_for_end(db, f)
            if before_the_end:
                break
            db.psql(f"DELETE FROM t WHERE id = {outside - 900}; INSERT INTO t VALUES ({outside - 900}, 0, 'b')")
        assert before_the_end
        entered = [event for event in f.events() if event["op"] == "c" and event.get("unchanged")]
        assert entered[-1]["after"]["id"] == outside - 900
        wait_for_equal(db, f, where="id < 1000")


def test_more_keys_to_read_again_than_memory_has_room_for(db, fwd):
    """One transaction moves all rows: the backfill begins again, and the table arrives whole."""
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 2200) FROM generate_series(1, 12000) i")
    f = fwd(pipeline="memory: 8MiB")
    db.create_slot("fwd")
    with f:
        request(f, "public.t", "--rate", "2000")
        pg.wait_until(lambda: len(f.events()) > 500, 60, what="rows")
        db.psql("UPDATE t SET id = id + 100000")
        f.wait_for_log("the backfill begins again", timeout=60)
        f.kill()
        f.start()
        db.psql("UPDATE walspout.backfills SET rate = NULL")
        wait_for_end(db, f)
        wait_for_equal(db, f)
        assert db.value("SELECT count(*) FROM walspout.backfill_keys") == 0


@pytest.mark.long
def test_kills_lose_no_key_that_is_to_be_read_again(db, fwd):
    """Keys change all the time, with a column that does not; the process is killed at any moment."""
    db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 2500) FROM generate_series(1, 3000) i")
    moves = """DO $$ BEGIN FOR i IN 1..60 LOOP
        UPDATE t SET id = id + 10000 WHERE id = (random() * 3000)::int;
        UPDATE t SET id = id - 10000 WHERE id = (SELECT max(id) FROM t) AND id > 10000;
        COMMIT; PERFORM pg_sleep(0.001); END LOOP; END $$"""
    f = fwd()
    db.create_slot("fwd")
    f.start()
    with Workload(db, sessions=1, sql=moves):
        request(f, "public.t", "--rate", "500")
        for turn in range(8):
            time.sleep(0.2 + turn * 0.13)
            f.kill()
            f.start()
        wait_for_end(db, f)
    wait_for_equal(db, f)
    assert db.value("SELECT count(*) FROM walspout.backfill_keys") == 0


def test_drop_removes_what_is_requested(db, fwd):
    db.psql(TABLE + "CREATE TABLE other (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    f = fwd(source=BACKFILL)
    with f:
        wait_for_end(db, f)
        wait_for_end(db, f, "public.other")
    db.psql("SELECT walspout.backfill('t'); INSERT INTO walspout.backfill_keys SELECT max(id), 1, '{}' FROM walspout.backfills")
    done = forwarder.run("drop", "--yes", f.config)
    assert done.returncode == 0 and "removed 3 backfills" in done.stdout, done.stdout + done.stderr
    assert db.value("SELECT count(*) FROM walspout.backfills") == 0
    assert db.value("SELECT count(*) FROM walspout.backfill_keys") == 0
    assert "backfills" not in forwarder.run("drop", "--yes", f.config).stdout


def test_drop_forgets_which_tables_were_published(db, fwd):
    db.psql(TABLE + "CREATE PUBLICATION p FOR TABLE t")
    f = fwd(source="publications: [p]\nbackfill:\n  new_tables: true")
    with f:
        pg.wait_until(lambda: db.value("SELECT count(*) FROM walspout.tables") == 2, 60, what="tables that are known")
    done = forwarder.run("drop", "--yes", f.config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert db.value("SELECT count(*) FROM walspout.tables") == 0


@pytest.mark.parametrize("args, why", [(["t"], '"t" has no schema: name the table as SCHEMA.TABLE'),
                                       (["--pause", "--resume"], "exclude each other")])
def test_a_command_line_that_is_wrong_is_said(db, fwd, args, why):
    assert why in request(fwd(), *args, code=2)


def test_the_status_says_how_fast_rows_come(db, fwd):
    db.psql(TABLE + "INSERT INTO t SELECT i FROM generate_series(1, 3000) i; ANALYZE t")
    f = fwd()
    db.create_slot("fwd")
    with f:
        request(f, "public.t", "--rate", "100")
        pg.wait_until(lambda: db.value("SELECT rows FROM walspout.backfills") >= 100, 60, what="saved rows")
        shown = re.search(r"running\t(\d+) rows of about 3000, (\d+) a second, about (\d+) s left", request(f, "--status"))
        assert shown, request(f, "--status")
        rows, rate, left = map(int, shown.groups())
        assert 0 < rate < 200 and left == pytest.approx((3000 - rows) / rate, rel=0.2)
        f.wait_for_log("rows_per_s=", timeout=30)
        assert re.search(r"backfill runs.* estimate=3000 rows_per_s=\d+ left_s=\d+", f.log())
        request(f, "--cancel")
        request(f, "public.t")
        pg.wait_until(lambda: "done\t3000 rows\n" in request(f, "--status"), 60, what="a number without an estimate")


@pytest.mark.long
def test_a_row_of_300_megabytes(db, fwd):
    """Its JSON is twice as long."""
    db.psql(TABLE + "INSERT INTO t SELECT 1, 1, repeat('\"', 300000000) UNION ALL SELECT 2, 2, 'small'")
    f = fwd(pipeline="memory: 1MiB")
    db.create_slot("fwd")
    with f:
        request(f, "public.t")
        wait_for_end(db, f, timeout=300)
        with open(f.output, "rb") as file:
            lines = file.read().split(b"\n")
        assert len(lines) == 3 and b'"body":"small"' in lines[1]
        assert len(lines[0]) > 600_000_000 and lines[0].count(b'\\"') == 300_000_000


@pytest.mark.long
def test_a_row_of_1_2_gigabytes_lacks_its_value(db, fwd):
    """600 MB of text are twice as long in JSON: no value of Postgres has room for that. The next rows come, too."""
    db.psql(TABLE + "INSERT INTO t SELECT 1, 1, 'small' UNION ALL SELECT 2, 2, repeat('\"', 600000000) UNION ALL SELECT 3, 3, 'small'")
    f = fwd(pipeline="memory: 1MiB")
    db.create_slot("fwd")
    with f:
        request(f, "public.t")
        wait_for_end(db, f, timeout=300)
        events = f.events()
        assert [e["after"]["id"] for e in events] == [1, 2, 3]
        assert "body" not in events[1]["after"] and events[1]["elided"] == {"body": 600000000}


@pytest.mark.long
def test_a_row_that_needs_more_memory_than_there_is_names_the_remedy(db, fwd):
    db.psql(TABLE + "INSERT INTO t SELECT 1, 1, repeat('x', 300000000)")
    f = fwd(pipeline="memory: 1MiB")
    db.create_slot("fwd")
    with f:
        resource.prlimit(f.process.pid, resource.RLIMIT_AS, (400_000_000, -1))
        request(f, "public.t")
        f.wait_for_log("set `max_value_bytes`", timeout=120)
        assert "A row of public.t may be too long" in f.status()["backfill_error"]
        db.psql("INSERT INTO t VALUES (2, 2, 'streamed')")
        pg.wait_until(lambda: any(e["op"] == "c" for e in f.events()), 60, what="event of the stream")
        resource.prlimit(f.process.pid, resource.RLIMIT_AS, (-1, -1))
        wait_for_end(db, f, timeout=200)

def test_drop_says_what_the_role_may_not_remove(db, fwd):
    role = f"{db.name}_drops"
    db.psql(TABLE + f"CREATE ROLE {role} LOGIN REPLICATION; INSERT INTO t VALUES (1)")
    f = fwd(dsn=f"host={db.server.host} port={db.server.port} user={role} dbname={db.name}")
    try:
        db.create_slot("fwd")
        db.psql("SELECT walspout.backfill('t')")
        assert "stay: the role may not" in forwarder.run("drop", "--yes", f.config).stdout
        assert state(db) == "requested"
        db.psql(f"GRANT USAGE ON SCHEMA walspout TO {role}; GRANT SELECT, INSERT, UPDATE ON walspout.backfills TO {role}")
        assert "canceled 1 backfill of" in forwarder.run("drop", "--yes", f.config).stdout
        assert state(db) == "canceled"
    finally:
        db.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")


class Barred:
    """The role of a forwarder can no longer connect: the connection of the stream stays."""

    def __init__(self, server, role):
        self.server, self.role = server, role
        self.path = os.path.join(server.data, "pg_hba.conf")

    def __enter__(self):
        with open(self.path) as f:
            self.before = f.read()
        self._write(f"local all {self.role} reject\nhost all {self.role} all reject\n" + self.before)
        self.server.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                          f"WHERE usename = '{self.role}' AND backend_type = 'client backend'")

    def _write(self, text):
        with open(self.path, "w") as f:
            f.write(text)
        self.server.value("SELECT pg_reload_conf()")

    def __exit__(self, *_):
        self._write(self.before)


@pytest.mark.long
def test_a_slot_that_is_held_for_long_is_told_and_let_go(fwd, tmp_path):
    """The reader cannot connect, and the stream goes on: the WAL for the backfill has a bound."""
    with pg.WorkDir() as work:
        server = pg.Cluster(pg.Installation(work), conf={"wal_init_zero": "off", "max_wal_size": "4GB"})
        server.start()
        server.createdb("own")
        server.psql("CREATE ROLE reads LOGIN SUPERUSER")
        db = pg.Database(server, "own")
        db.psql(TABLE + "INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 400) i")
        state_folder = str(tmp_path / "state")
        os.mkdir(state_folder)
        f = forwarder.Forwarder(db, str(tmp_path), root=f"drain: 5s\nstate: {state_folder}",
                                dsn=f"host={server.host} port={server.port} user=reads dbname=own")
        db.create_slot("fwd")
        try:
            f.start()
            request(f, "public.t", "--rate", "20")
            pg.wait_until(lambda: db.value("SELECT rows FROM walspout.backfills") >= 10, 60, what="saved rows")
            with Barred(server, "reads"):
                # The receiver lacks a column of that row, and the database cannot be told.
                db.psql("UPDATE t SET id = 1000 WHERE id = 300")
                f.wait_for_log("the slot keeps WAL", timeout=90)
                assert "remedy" in f.log()
                assert f.status()["backfill_error"]
                for _ in range(70):
                    db.psql("SELECT pg_logical_emit_message(true, 'other', 'x'), pg_switch_wal()")
                pg.wait_until(lambda: f.status()["backfill_held_bytes"] > 1 << 30
                              or "begin again" in f.log(), 60, what="WAL that is held")
                f.wait_for_log("that WAL is released", timeout=90)
                pg.wait_until(lambda: db.value("SELECT pg_current_wal_lsn() - confirmed_flush_lsn < 64 << 20 "
                                               "FROM pg_replication_slots WHERE slot_name = %s", (f.slot,)) is True, 60,
                              what="confirmed position")
                assert db.value("SELECT cursor IS NOT NULL FROM walspout.backfills") is True
                db.psql("UPDATE t SET id = 1001 WHERE id = 301")
                f.kill()
            f.start()
            assert "keeps" in forwarder.run("backfill", f.config, "--status").stdout
            db.psql("UPDATE walspout.backfills SET rate = NULL")
            assert "walspout_backfill_held_bytes" in f.get("/metrics")[1]
            wait_for_end(db, f)
            wait_for_equal(db, f)
            assert not [name for name in os.listdir(state_folder) if "backfills" in name]
        finally:
            f.kill()


@pytest.mark.long
def test_progress_that_cannot_be_written_is_told(db, fwd):
    """The role can connect, but has lost its right to write: that also holds the slot."""
    role = f"{db.name}_fills"
    db.psql(TABLE + f"""
        CREATE ROLE {role} LOGIN REPLICATION; GRANT USAGE ON SCHEMA walspout TO {role};
        GRANT SELECT, INSERT, UPDATE ON walspout.backfills TO {role};
        GRANT SELECT, INSERT, DELETE ON walspout.backfill_keys TO {role};
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA walspout TO {role}; GRANT SELECT ON t TO {role};
        INSERT INTO t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 400) i""")
    f = fwd(dsn=f"host={db.server.host} port={db.server.port} user={role} dbname={db.name}")
    db.create_slot("fwd")
    try:
        with f:
            db.psql("SELECT walspout.backfill('t', rate => 4)")
            pg.wait_until(lambda: db.value("SELECT rows FROM walspout.backfills") >= 4, 60, what="saved rows")
            db.psql(f"REVOKE INSERT ON walspout.backfill_keys FROM {role}; UPDATE t SET id = 1000 WHERE id = 300")
            f.wait_for_log("the slot keeps WAL", timeout=90)
            assert f.status()["backfill_held_bytes"] > 0 and "backfill_keys" in f.status()["backfill_error"]
            f.kill()
            db.psql(f"GRANT INSERT ON walspout.backfill_keys TO {role}; UPDATE walspout.backfills SET rate = NULL")
            f.start()
            wait_for_end(db, f)
            wait_for_equal(db, f)
            pg.wait_until(lambda: f.status()["backfill_error"] == "" and f.status()["backfill_held_bytes"] == 0, 30,
                          what="end of the trouble")
    finally:
        f.kill()
        db.psql(f"DROP OWNED BY {role}; DROP ROLE {role}")
