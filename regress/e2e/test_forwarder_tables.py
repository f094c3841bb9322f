"""Tables by patterns: the publication that walspout makes and maintains, and tables that join it later."""

import contextlib

import pytest

from harness import postgres as pg
from harness import forwarder
from test_forwarder_backfill import BACKFILL, state, wait_for_end, wait_for_equal
from test_forwarder_check import check

TABLES = 'tables: ["public.*", "!public.audit_*"]'


def publication(f):
    return f"walspout_{f.slot}"


def published(db, f):
    return set(db.psql("SELECT tablename FROM pg_publication_tables WHERE pubname = "
                       f"'{publication(f)}'").split())


def wait_for_tables(db, f, tables, timeout=60):
    try:
        pg.wait_until(lambda: published(db, f) == tables, timeout, 0.2, "tables of the publication")
    except TimeoutError:
        raise AssertionError(f"{published(db, f)}\n{f.log()}") from None


def table(name, key="PRIMARY KEY"):
    return f"CREATE TABLE {name} (id int {key}, n int DEFAULT 0);"


@pytest.mark.effect("source.tables")
def test_tables_that_match_are_published(db, fwd):
    db.psql(table("a") + table("audit_a") + table('"Odd.Name"') + "CREATE SCHEMA other;" + table("other.a"))
    with fwd(source=TABLES) as f:
        assert published(db, f) == {"a", "Odd.Name"}
        db.psql("INSERT INTO a VALUES (1); INSERT INTO audit_a VALUES (1); INSERT INTO other.a VALUES (1)")
        db.psql(table("b") + table("audit_b"))
        wait_for_tables(db, f, {"a", "b", "Odd.Name"})
        f.wait_for_log("have joined")
        db.psql("INSERT INTO b VALUES (2); ALTER TABLE a RENAME TO audit_c")
        wait_for_tables(db, f, {"b", "Odd.Name"})
        db.psql("INSERT INTO audit_c VALUES (3); INSERT INTO b VALUES (4); DROP TABLE \"Odd.Name\"")
        wait_for_tables(db, f, {"b"})
        events = f.wait_for_events(3)
        assert [(e["table"], e["after"]["id"]) for e in events] == [("a", 1), ("b", 2), ("b", 4)]


def test_later_patterns_win_and_question_marks_are_one_character(db, fwd):
    db.psql(table("t1") + table("t22") + table('"t?"') + table("log_a") + table("log_keep") + table('"tü"'))
    with fwd(source="""tables: ["public.*", "!public.log_*", "public.log_keep", "!public.t?", 'public."t?"']""") as f:
        assert published(db, f) == {"t22", "log_keep", "t?"}


def test_partitions_come_as_their_root(db, fwd):
    db.psql("CREATE TABLE r (id int PRIMARY KEY, n int DEFAULT 0) PARTITION BY RANGE (id);"
            "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (10)")
    with fwd(source='tables: ["public.r*", "!public.r1"]') as f:
        assert published(db, f) == {"r"}
        db.psql("INSERT INTO r VALUES (1); CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (10) TO (20);"
                "INSERT INTO r VALUES (11)")
        assert [(e["table"], e["after"]["id"]) for e in f.wait_for_events(2)] == [("r", 1), ("r", 11)]
        # A detached partition is an ordinary table.
        db.psql("ALTER TABLE r DETACH PARTITION r2")
        wait_for_tables(db, f, {"r", "r2"})
        db.psql("ALTER TABLE r ATTACH PARTITION r2 FOR VALUES FROM (10) TO (20)")
        wait_for_tables(db, f, {"r"})


def test_a_publication_of_somebody_else_is_left_alone(db, fwd):
    db.psql(table("a") + table("b"))
    f = fwd(source=TABLES)
    db.psql(f"CREATE PUBLICATION {publication(f)} FOR TABLE a")
    code, text = check(f)
    assert code == 1 and "COMMENT ON PUBLICATION" in text and "`publications`" in text, text
    f.start(wait=False)
    f.wait_for_log("has not created it")
    assert published(db, f) == {"a"} and db.server.slot(f.slot) is None
    # The remedy that was printed.
    db.psql(f"COMMENT ON PUBLICATION {publication(f)} IS 'walspout maintains this publication for slot {f.slot}'")
    f.wait_for_log("msg=streaming")
    wait_for_tables(db, f, {"a", "b"})
    f.kill()
    db.psql(f"COMMENT ON PUBLICATION {publication(f)} IS 'mine'")
    done = forwarder.run("drop", f.config, "--yes")
    assert done.returncode == 0 and "stays" in done.stdout
    assert db.value("SELECT count(*) FROM pg_publication WHERE pubname = %s", (publication(f),)) == 1


def test_drop_removes_the_publication(db, fwd):
    db.psql(table("a"))
    f = fwd(source=TABLES)
    code, text = check(f)
    assert code == 0 and "`run` creates it: CREATE PUBLICATION" in text and "`run` adds to it: public.a" in text, text
    with f:
        assert "walspout maintains it" in check(f)[1]
    done = forwarder.run("drop", f.config, "--yes")
    assert done.returncode == 0 and "dropped publication" in done.stdout, done.stderr
    assert db.value("SELECT count(*) FROM pg_publication") == 0


def test_tables_that_would_break_the_application_are_left_out(db, fwd):
    db.psql(table("a") + table("keyless", "") + "INSERT INTO keyless VALUES (1)")
    f = fwd(source=TABLES)
    code, text = check(f)
    assert code == 0 and "REPLICA IDENTITY FULL" in text and "keyless" in text, text
    with f:
        assert published(db, f) == {"a"}
        db.psql("UPDATE keyless SET n = 1")
        assert "left out of the publication" in f.log()
        db.psql("ALTER TABLE keyless REPLICA IDENTITY FULL")
        wait_for_tables(db, f, {"a", "keyless"})
        db.psql("UPDATE keyless SET n = 2")
        f.wait_for_events(1)


def test_a_locked_table_holds_up_no_other(db, fwd):
    db.psql(table("a"))
    with fwd(source=TABLES) as f:
        db.psql(table("b"))
        with contextlib.closing(db.server.connect(db.name, autocommit=False)) as locker:
            locker.cursor().execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
            db.psql(table("c"))
            pg.wait_until(lambda: "c" in published(db, f), 60, what="table c")
            db.psql("INSERT INTO a VALUES (1)")
            f.wait_for_events(1)
        wait_for_tables(db, f, {"a", "b", "c"})


def test_a_missing_publication_of_a_slot_that_exists_is_made(db, fwd):
    db.psql(table("a"))
    f = fwd(source=TABLES)
    db.create_slot("fwd")
    with f:
        f.wait_for_log("is created now")
        db.psql("INSERT INTO a VALUES (1)")
        f.wait_for_events(1)
    db.psql(f"DROP PUBLICATION {publication(f)}")
    with f:
        db.psql("INSERT INTO a VALUES (2)")
        f.wait_for_events(2)


def test_privileges_are_named_with_statements(db, fwd, server):
    role = f"least_{db.name}"
    db.psql(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {role} LOGIN REPLICATION;"
            f"CREATE ROLE owner_{db.name}; GRANT CREATE ON SCHEMA public TO owner_{db.name};" + table("a")
            + f"ALTER TABLE a OWNER TO owner_{db.name}")
    try:
        f = fwd(source=TABLES, dsn=f"host={server.host} port={server.port} user={role} dbname={db.name}")
        code, text = check(f)
        assert code == 1 and f"GRANT CREATE ON DATABASE" in text and "is owned by role" in text, text
        for statement in statements(text):
            db.psql(statement)
        code, text = check(f)
        assert code == 0, text
        with f:
            assert published(db, f) == {"a"}
            db.psql("INSERT INTO a VALUES (1)")
            f.wait_for_events(1)
        assert forwarder.run("drop", f.config, "--yes").returncode == 0
    finally:
        db.psql(f"DROP OWNED BY {role}; DROP ROLE {role}; DROP OWNED BY owner_{db.name}; DROP ROLE owner_{db.name}")


def statements(text):
    """The remedies of errors that `check` prints, up to the first alternative."""
    lines = text.split("\n")
    return [line.split("-> ")[1].split(";")[0] for i, line in enumerate(lines)
            if "-> " in line and lines[i - 1].strip().startswith("ERROR")]


# Tables that join later ##############################################################################

NEW = "publications: [p]\nbackfill:\n  new_tables: true"
ROWS = "INSERT INTO {0} SELECT i, i FROM generate_series(1, {1}) i;"


def backfills(db, name):
    return db.value('SELECT count(*) FROM walspout.backfills WHERE "table" = %s', (name,))


@pytest.mark.effect("source.backfill.new_tables")
def test_tables_that_join_later_are_backfilled(db, fwd):
    db.psql("CREATE EXTENSION walspout;" + table("a") + table("b") + ROWS.format("a", 5) + ROWS.format("b", 7)
            + "CREATE PUBLICATION p FOR TABLE a")
    with fwd(source=NEW) as f:
        wait_for_end(db, f, "public.a")
        db.psql("UPDATE b SET n = 100; ALTER PUBLICATION p ADD TABLE b; UPDATE b SET n = n + 1 WHERE id = 3")
        wait_for_end_of_next(db, f, "public.b", 1)
        wait_for_equal(db, f, "public.b")
        assert backfills(db, "public.a") == 1


def wait_for_end_of_next(db, f, name, count):
    pg.wait_until(lambda: backfills(db, name) >= count, 60, 0.2, f"request {count} of {name}: {f.log()}")
    wait_for_end(db, f, name)


def test_tables_that_match_later_are_backfilled(db, fwd):
    db.psql("CREATE EXTENSION walspout;" + table("a"))
    with fwd(source=TABLES + "\nbackfill:\n  new_tables: true\n  tables: ['public.*', '!public.not_*']") as f:
        db.psql(table("b") + ROWS.format("b", 50) + table("not_this") + ROWS.format("not_this", 3))
        wait_for_end_of_next(db, f, "public.b", 1)
        wait_for_equal(db, f, "public.b")
        wait_for_tables(db, f, {"a", "b", "not_this"})
        assert backfills(db, "public.not_this") == 0


def test_a_slot_that_exists_knows_its_tables(db, fwd):
    """A new key in the configuration does not start a backfill."""
    db.psql("CREATE EXTENSION walspout;" + table("a") + ROWS.format("a", 5) + table("b") + ROWS.format("b", 5)
            + "CREATE PUBLICATION p FOR TABLE a")
    f = fwd(source=NEW)
    db.create_slot("fwd")
    with f:
        f.wait_for_log("that join from now on")
        db.psql("ALTER PUBLICATION p ADD TABLE b")
        wait_for_end_of_next(db, f, "public.b", 1)
        assert backfills(db, "public.a") == 0


def test_rows_of_an_attached_partition_are_backfilled(db, fwd):
    """No event has them: the table is published as its root. Two come at once, one below another root, one empty."""
    db.psql("CREATE EXTENSION walspout; CREATE TABLE r (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
            "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (100); INSERT INTO r SELECT i, i FROM generate_series(1, 50) i;"
            "CREATE PUBLICATION p FOR TABLE r WITH (publish_via_partition_root)")
    with fwd(source=NEW) as f:
        wait_for_end(db, f, "public.r")
        db.psql("CREATE TABLE r2 (id int PRIMARY KEY, n int); INSERT INTO r2 SELECT i, i FROM generate_series(100, 149) i;"
                "CREATE TABLE r3 (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
                "CREATE TABLE r31 PARTITION OF r3 FOR VALUES FROM (200) TO (250);"
                "INSERT INTO r3 SELECT i, i FROM generate_series(200, 249) i;")
        db.psql("BEGIN; ALTER TABLE r ATTACH PARTITION r2 FOR VALUES FROM (100) TO (200);"
                "ALTER TABLE r ATTACH PARTITION r3 FOR VALUES FROM (200) TO (300);"
                "CREATE TABLE r4 PARTITION OF r FOR VALUES FROM (300) TO (400); COMMIT; UPDATE r SET n = -1 WHERE id = 210")
        wait_for_end_of_next(db, f, "public.r", 2)
        receiver = wait_for_equal(db, f, "public.r")
        assert receiver.rows == 150, "rows of other partitions are not read again"
        f.wait_for_log("tables have got partitions")


def test_a_partition_that_is_attached_during_a_backfill(db, fwd):
    """The backfill that begins again, or the next, has the rows of the one before, too."""
    db.psql("CREATE EXTENSION walspout; CREATE TABLE r (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
            "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (1000); INSERT INTO r SELECT i, i FROM generate_series(1, 500) i;"
            "CREATE PUBLICATION p FOR TABLE r WITH (publish_via_partition_root)")
    with fwd(source=NEW + "\n  rate: 100") as f:
        for number, low in enumerate((1000, 2000)):
            pg.wait_until(lambda: db.value("SELECT rows > 0 FROM walspout.backfills WHERE state = 'running'"), 60, 0.05, "rows")
            db.psql(f"CREATE TABLE a{low} (id int PRIMARY KEY, n int); INSERT INTO a{low} SELECT i, i FROM "
                    f"generate_series({low}, {low + 49}) i;"
                    f"ALTER TABLE r ATTACH PARTITION a{low} FOR VALUES FROM ({low}) TO ({low + 1000})")
            wait_for_next = number + 2
            pg.wait_until(lambda: backfills(db, "public.r") >= wait_for_next, 60, 0.1, f"next request: {f.log()}")
        wait_for_end(db, f, "public.r")
        wait_for_equal(db, f, "public.r")


@pytest.mark.long
def test_a_table_that_leaves_and_joins_again(db, fwd):
    """Also within one statement, between two looks, and while it is backfilled."""
    db.psql("CREATE EXTENSION walspout;" + table("a") + table("b") + ROWS.format("b", 300)
            + "CREATE PUBLICATION p FOR TABLE a, b")
    with fwd(source=NEW + "\n  rate: 100") as f:
        pg.wait_until(lambda: len(f.events()) > 20, 60, what="rows")
        db.psql("ALTER PUBLICATION p DROP TABLE b")
        db.psql("UPDATE b SET n = -1")
        db.psql("ALTER PUBLICATION p ADD TABLE b")
        wait_for_end_of_next(db, f, "public.b", 2)
        wait_for_equal(db, f, "public.b")
        db.psql("ALTER PUBLICATION p DROP TABLE b")
        pg.wait_until(lambda: db.value("SELECT count(*) FROM walspout.tables WHERE relation = 'b'::regclass") == 0, 60,
                      what="table that is forgotten")
        db.psql("UPDATE b SET n = -2")
        db.psql("ALTER PUBLICATION p ADD TABLE b")
        wait_for_end_of_next(db, f, "public.b", 3)
        wait_for_equal(db, f, "public.b")
        assert backfills(db, "public.a") == 1


def test_kills_between_joining_and_the_backfill(db, fwd):
    db.psql("CREATE EXTENSION walspout;" + table("a") + "CREATE PUBLICATION p FOR TABLE a")
    f = fwd(source=NEW + "\n  rate: 200")
    f.start()
    for i in range(4):
        name = f"public.k{i}"
        db.psql(table(name) + ROWS.format(name, 200))
        if i % 2:
            f.kill()
        db.psql(f"ALTER PUBLICATION p ADD TABLE {name}")
        if i % 2:
            f.start()
        pg.wait_until(lambda: backfills(db, name) == 1, 60, 0.05, "request")
        f.kill()
        f.start()
    for i in range(4):
        wait_for_end(db, f, f"public.k{i}")
        wait_for_equal(db, f, f"public.k{i}")
        assert backfills(db, f"public.k{i}") == 1


def test_tables_of_a_schema_and_of_all(db, fwd, server):
    db.psql("CREATE EXTENSION walspout; CREATE SCHEMA s;" + table("s.a") + ROWS.format("s.a", 3))
    if server.installation.major >= 15:
        db.psql("CREATE PUBLICATION p FOR TABLES IN SCHEMA s")
    else:
        db.psql("CREATE PUBLICATION p FOR TABLE s.a")
    with fwd(source=NEW) as f:
        wait_for_end(db, f, "s.a")
        if server.installation.major >= 15:
            db.psql(table("b") + ROWS.format("b", 3))
            db.psql("ALTER TABLE b SET SCHEMA s")
            wait_for_end_of_next(db, f, "s.b", 1)
            assert backfills(db, "s.a") == 1
