"""Reading tables by walspout.read_rows(): an early end leaves nothing behind, memory does not grow with the table, and
changes meanwhile are reported."""

import contextlib
import os
import shutil
import threading

import psycopg2
import pytest

from harness import postgres as pg

READ = "SELECT walspout.read_rows('{table}', '{options}', NULL, NULL, NULL, NULL, {condition})"


def read(table="t", options="{}", condition="NULL"):
    return READ.format(table=table, options=options, condition=condition)


def copy(table="t", options="{}", condition="NULL"):
    return f"COPY ({read(table, options, condition)}) TO STDOUT (FORMAT binary)"


class Counter:
    """A file that counts."""

    def __init__(self, at=None):
        self.size = 0
        self.at = at                # called once something has arrived

    def write(self, data):
        self.size += len(data)
        if self.at:
            at, self.at = self.at, None
            at()


@pytest.fixture
def big(db):
    """A database with a table t that takes a while."""
    db.psql("""CREATE EXTENSION walspout;
        CREATE TABLE t (id int PRIMARY KEY, v text);
        INSERT INTO t SELECT g, repeat('v', 20) || g FROM generate_series(1, 300000) g;
        VACUUM ANALYZE t""")
    return db


@contextlib.contextmanager
def session(db):
    with contextlib.closing(db.server.connect(db.name)) as connection:
        with connection.cursor() as cursor:
            yield connection, cursor


def works(cursor, slot):
    """The session reads all rows again, and the stream, and holds no lock."""
    cursor.execute(f"SELECT sum(length(m)) FROM ({read()}) r(m)")
    assert cursor.fetchone()[0] > 20_000_000
    cursor.execute("SELECT count(*) FROM pg_logical_slot_peek_changes(%s, NULL, 1)", (slot,))
    # Autovacuum may hold one for a moment.
    cursor.execute("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND pid = pg_backend_pid()")
    assert cursor.fetchone()[0] == 0
    cursor.execute("SELECT count(*) FROM pg_cursors")
    assert cursor.fetchone()[0] == 0


def test_a_query_that_is_canceled(big):
    slot = big.create_slot()
    with session(big) as (connection, cursor):
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.copy_expert(copy(), Counter(at=connection.cancel))
        works(cursor, slot)
        # while no row meets the condition, too
        cursor.execute("SET statement_timeout = 100")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute(read(condition="'pg_sleep(0.001) IS NULL'"))
        cursor.execute("RESET statement_timeout")
        works(cursor, slot)


def test_a_transaction_that_goes_on_behind_an_error(big):
    slot = big.create_slot()
    with session(big) as (_, cursor):
        cursor.execute("BEGIN; SAVEPOINT s")
        with pytest.raises(psycopg2.errors.DivisionByZero):
            cursor.execute(read(condition="'1 / (id - 1000) IS NOT NULL'"))
        cursor.execute("ROLLBACK TO s")
        cursor.execute(f"SELECT count(*) FROM ({read()} LIMIT 2) r")
        assert cursor.fetchone()[0] == 2
        cursor.execute("COMMIT")
        works(cursor, slot)


def test_a_client_that_goes_away(big):
    with session(big) as (connection, cursor):
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
        with pytest.raises(psycopg2.Error):
            cursor.copy_expert(copy(), Counter(at=lambda: os.close(connection.fileno())))
    pg.wait_until(lambda: not big.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (pid,)), 60,
                  what="backend that ends")
    assert big.value("SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 't'::regclass "
                     "AND backend_type = 'client backend'") == 0


def test_a_backend_that_is_terminated(big):
    with session(big) as (_, cursor):
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
        with pytest.raises(psycopg2.Error):
            cursor.copy_expert(copy(), Counter(at=lambda: big.value("SELECT pg_terminate_backend(%s)", (pid,))))
    assert "terminated by signal" not in big.server.log_tail()


def test_memory_does_not_grow_with_the_table(big, full):
    """Nor with the number of calls."""
    if full:
        big.psql("INSERT INTO t SELECT g, 'v' FROM generate_series(300001, 10000000) g")
    with session(big) as (_, cursor):
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
        for _ in range(20):
            cursor.execute(f"SELECT count(*) FROM ({read()} LIMIT 1) r")
        before = own_memory(pid)
        largest = 0

        def look():
            nonlocal largest
            largest = max(largest, own_memory(pid))
            counter.at = look
        counter = Counter(at=look)
        cursor.copy_expert(copy(options="{batch_bytes,64kB}"), counter)
        assert counter.size > 20_000_000
        assert largest - before < 8 * 1024 * 1024
        after_all = own_memory(pid)
        for _ in range(200):
            cursor.execute(f"SELECT count(*) FROM ({read()} LIMIT 1) r")
            cursor.execute("SELECT count(*) FROM walspout.read_keys('t', '{}', ARRAY['{\"id\":1}'])")
        assert own_memory(pid) - after_all < 2 * 1024 * 1024


def own_memory(pid):
    """Private bytes of a process: touched shared buffers would grow."""
    return pg.memory_bytes(pid)["RssAnon"]


def test_rows_of_large_values(db):
    """Each value is fetched, and goes before the next one."""
    db.psql("""CREATE EXTENSION walspout;
        CREATE TABLE t (id int PRIMARY KEY, a text, b text, c text);
        ALTER TABLE t ALTER a SET STORAGE EXTERNAL;
        INSERT INTO t SELECT g, repeat('a', 20000000), repeat('b', 20000000), repeat('c', 20000000) FROM generate_series(1, 3) g""")
    with session(db) as (_, cursor):
        cursor.execute(f"SELECT count(*), max(length(m)) > 60000000 FROM ({read()}) r(m)")
        assert cursor.fetchone() == (4, True)
        counter = Counter()
        cursor.copy_expert(copy(options="{max_value_bytes,1MB}"), counter)
        assert counter.size < 10_000


@pytest.mark.parametrize("change, told", [
    ("ALTER PUBLICATION p SET TABLE t (id, v, w)", True),
    ("ALTER PUBLICATION p DROP TABLE t", True),
    ("ALTER PUBLICATION p SET TABLE t (id, v) WHERE (w > 'x')", True),
    ("ALTER PUBLICATION p SET TABLE t (id)", False),
    ("CREATE TYPE mood AS ENUM ('sad'); ALTER TYPE mood ADD VALUE 'ok'", False),
])
def test_what_is_published_changes_between_two_rows(db, change, told):
    """The session learns of it when it opens the table of the large values."""
    if pg.server_version() < 15:
        pytest.skip("this server's publications have neither columns nor rows")
    db.psql("""CREATE EXTENSION walspout;
        CREATE TABLE t (id int PRIMARY KEY, v text, w text);
        ALTER TABLE t REPLICA IDENTITY FULL, ALTER v SET STORAGE EXTERNAL;
        INSERT INTO t SELECT g, repeat('v', 3000), 'w' FROM generate_series(1, 10) g;
        CREATE PUBLICATION p FOR TABLE t (id, v) WITH (publish = 'insert')""")
    options = "{publications,p,batch_bytes,1}"
    with session(db) as (_, cursor):
        cursor.execute(f"BEGIN; DECLARE c CURSOR FOR {read(options=options)}; FETCH 2 FROM c")
        for part in change.split(";"):
            db.psql(part)
        if told:
            with pytest.raises(psycopg2.Error, match="changed while it was read"):
                cursor.execute("FETCH ALL FROM c")
        else:
            cursor.execute("FETCH ALL FROM c")
            assert cursor.rowcount >= 8
        cursor.execute("ROLLBACK")
        cursor.execute(f"SELECT count(*) FROM ({read()}) r")


def test_keys_in_the_order_of_a_collation(db):
    """An ICU collation, for which texts with different bytes are equal: the index decides which rows are equal."""
    db.psql("""CREATE EXTENSION walspout;
        CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE COLLATION german (provider = icu, locale = 'de-u-kn-true');
        CREATE TABLE loosely (k text COLLATE loose PRIMARY KEY);
        INSERT INTO loosely VALUES ('b'), ('A'), ('é'), ('Z'), ('a2');
        CREATE TABLE strictly (id int PRIMARY KEY, k text COLLATE loose NOT NULL);
        CREATE UNIQUE INDEX strict_index ON strictly (k COLLATE "C");
        ALTER TABLE strictly REPLICA IDENTITY USING INDEX strict_index;
        INSERT INTO strictly SELECT g, k FROM unnest('{a,A,b,B,é,É}'::text[]) WITH ORDINALITY u (k, g);
        CREATE TABLE numbered (k text COLLATE german PRIMARY KEY);
        INSERT INTO numbered SELECT 'k' || g FROM generate_series(1, 30) g""")
    for table, rows in (("loosely", 5), ("strictly", 6), ("numbered", 30)):
        assert pieces(db, table) == rows


def pieces(db, table):
    """Reads one row after the other by the cursor; how many there are."""
    after, found = None, 0
    with session(db) as (_, cursor):
        while True:
            cursor.execute("SELECT walspout.read_rows(%s, '{}', %s, 1, NULL, NULL, NULL)", (table, after))
            frame = last_frame(bytes(cursor.fetchall()[-1][0]))
            if frame[1] == 1:
                return found
            found += 1
            size = int.from_bytes(frame[18:22], "big")
            after = [frame[22:22 + size].decode()]
            assert found < 1000


def last_frame(message):
    """The last frame of a message, which is the cursor."""
    at = 4
    while message[at:at + 1] != b"K":
        at += 8 + int.from_bytes(message[at + 4:at + 8], "big")
    return message[at:]


def rows_of(message):
    """How many rows were read, as the cursor says."""
    return int.from_bytes(last_frame(message)[8:16], "big")


def test_rows_that_are_written_meanwhile(big):
    """Each call has the rows of its snapshot, while rows are written and removed."""
    stop = threading.Event()

    def write():
        with session(big) as (_, cursor):
            while not stop.is_set():
                cursor.execute("UPDATE t SET v = v || 'x' WHERE id % 1000 = 0")
                cursor.execute("DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 'again')")
                cursor.execute("VACUUM t")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        with session(big) as (_, cursor):
            for _ in range(5):
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SELECT count(*), sum(length(v)) FROM t")
                count = cursor.fetchone()[0]
                cursor.execute(read())
                assert rows_of(bytes(cursor.fetchall()[-1][0])) == count
                cursor.execute("COMMIT")
    finally:
        stop.set()
        writer.join()


def test_a_standby():
    with pg.WorkDir() as work:
        primary = pg.Cluster(pg.Installation(work), "primary", {"wal_keep_size": "64MB"})
        primary.start()
        primary.psql("CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY)")
        standby = pg.Cluster(primary.installation, "standby")
        shutil.rmtree(standby.data)
        primary._run("pg_basebackup", "-D", standby.data, "-c", "fast", as_server=True)
        open(os.path.join(standby.data, "standby.signal"), "w").close()
        standby.start({"primary_conninfo": f"host={primary.host} port={primary.port} user={pg.SUPERUSER}"})
        for call in (read(), "SELECT walspout.read_keys('t', '{}', '{}')"):
            with pytest.raises(psycopg2.Error, match="standby") as error:
                standby.query(call)
            assert "primary" in error.value.diag.message_hint
