"""The workload during faults: everything that decoding treats differently, side by side.

Each writer has its own connection and random sequence, which follows from the seed. pgbench also runs TPC-B. If the
server dies during a commit, the writer need not know the result: the server is asked at the end.
"""

import json
import os
import random
import subprocess
import threading
import time

import psycopg2

SCHEMA = """
CREATE TABLE account (id int PRIMARY KEY, region int, balance numeric(20,4) DEFAULT 0,
    note text, at timestamptz DEFAULT clock_timestamp(), tags text[], doc jsonb);
CREATE TABLE pair (a int, b text, body text, PRIMARY KEY (a, b));
CREATE TABLE whole (id int PRIMARY KEY, body text, n float8, big text);
ALTER TABLE whole REPLICA IDENTITY FULL;
ALTER TABLE whole ALTER big SET STORAGE EXTERNAL;
CREATE TABLE bag (a int, b text);
ALTER TABLE bag REPLICA IDENTITY FULL;
CREATE TABLE loose (a int, b text);
CREATE TABLE named (code text NOT NULL, body text, id serial PRIMARY KEY);
CREATE UNIQUE INDEX named_code ON named (code);
ALTER TABLE named REPLICA IDENTITY USING INDEX named_code;
CREATE TABLE blob (id int PRIMARY KEY, version int, body text, other bytea);
ALTER TABLE blob ALTER body SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL;
CREATE TABLE shape (id int PRIMARY KEY, v text);
CREATE TABLE bulk (id bigserial PRIMARY KEY, payload text);
CREATE TABLE brief (id int PRIMARY KEY, v text);
CREATE TABLE bench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
CREATE TABLE bench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
CREATE TABLE bench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
CREATE TABLE bench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
"""

# Written once the slots are there: a reader starts with nothing.
ROWS = """
INSERT INTO bench_branches SELECT i, 0 FROM generate_series(1, 2) i;
INSERT INTO bench_tellers SELECT i, 1, 0 FROM generate_series(1, 20) i;
INSERT INTO bench_accounts SELECT i, 1, 0 FROM generate_series(1, 1000) i;
INSERT INTO account SELECT i, i % 7, i FROM generate_series(1, 200) i;
INSERT INTO blob SELECT i, 0, repeat(md5(i::text), 100), decode(repeat('00ff', 2000), 'hex')
    FROM generate_series(1, 20) i;
INSERT INTO shape SELECT i, 'v' FROM generate_series(1, 20) i;
"""

# TPC-B, with tables of a size that a reader can be given at the start.
TPC_B = r"""
\set aid random(1, 1000)
\set bid random(1, 2)
\set tid random(1, 20)
\set delta random(-5000, 5000)
BEGIN;
UPDATE bench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM bench_accounts WHERE aid = :aid;
UPDATE bench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE bench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO bench_history (tid, bid, aid, delta, mtime)
    VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
"""

TEXTS = ["", "plain", "Zoë", "\"quoted\"\\\n\ttab", "\u2028\U0001f600", "x" * 3000, "{\"a\":1}"]


class Undo(Exception):
    """The writer wants its transaction rolled back."""


class Writer(threading.Thread):
    """One connection that writes until it is told to stop. It waits for a server that is down."""

    def __init__(self, cluster, db, seed, rows, stop):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.db = db
        self.seed = seed
        self.chance = random.Random(seed)
        self.rows = rows        # of a large transaction
        self.budget = 2 * rows  # of all of them
        self.stop = stop
        self.transactions = 0
        self.failed = None
        self.cursor = None

    def run(self):
        names, weights = zip(*ACTIONS)
        while not self.stop.is_set():
            connection = None
            try:
                connection = self.cluster.connect(
                    self.db, autocommit=False, connect_timeout=5,
                    options="-c lock_timeout=2s -c statement_timeout=20s -c deadlock_timeout=100ms")
                while not self.stop.is_set():
                    self.transaction(connection, self.chance.choices(names, weights)[0])
            except psycopg2.Error as error:
                # A connection that broke has no SQLSTATE, and is not always an OperationalError.
                if error.pgcode and not isinstance(error, psycopg2.OperationalError):
                    self.failed = error
                    return
                self.stop.wait(0.05)
            except Exception as error:      # a mistake of ours: the run has to say so
                self.failed = error
                return
            finally:
                if connection:
                    connection.close()

    def transaction(self, connection, action):
        with connection.cursor() as self.cursor:
            try:
                action(self)
                if self.chance.random() < 0.05:
                    raise Undo()
                if self.chance.random() < 0.03:
                    self.prepare(connection)
                connection.commit()
                self.transactions += 1
            except (Undo, psycopg2.errors.IntegrityError, psycopg2.errors.LockNotAvailable,
                    psycopg2.errors.QueryCanceled, psycopg2.errors.DeadlockDetected,
                    psycopg2.errors.ProgrammingError, psycopg2.errors.ObjectNotInPrerequisiteState):
                connection.rollback()
        time.sleep(self.chance.choice([0, 0, 0.001, 0.01]))

    def prepare(self, connection):
        name = f"w{self.seed}-{self.transactions}-{self.chance.random()}"
        self.do("PREPARE TRANSACTION %s", name)
        connection.commit()
        connection.autocommit = True
        try:
            self.do(f"{'COMMIT' if self.chance.random() < 0.8 else 'ROLLBACK'} PREPARED %s", name)
        finally:
            connection.autocommit = False

    def do(self, sql, *args):
        self.cursor.execute(sql, args)

    def text(self):
        return self.chance.choice(TEXTS)

    # What a transaction does

    def insert(self):
        for _ in range(self.chance.choice([1, 1, 2, 10])):
            self.do("INSERT INTO account VALUES (%s, %s, random() * 1e9, %s, now(), %s, %s) "
                    "ON CONFLICT (id) DO UPDATE SET note = excluded.note",
                    self.chance.randrange(1000), 3, self.text(), [self.text(), None],
                    json.dumps({"k": [1, 2.50, None, self.text()]}))

    def update(self):
        self.do("UPDATE account SET balance = balance + 0.0001, note = %s WHERE id %% 100 = %s",
                self.text(), self.chance.randrange(100))

    def delete(self):
        self.do("DELETE FROM account WHERE id = %s", self.chance.randrange(1000))

    def change_keys(self):
        self.do("INSERT INTO pair VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                self.chance.randrange(50), self.chance.choice("xyzé"), self.text())
        self.do("UPDATE pair SET a = %s, b = %s WHERE a = %s", self.chance.randrange(50),
                self.chance.choice("xyzé"), self.chance.randrange(50))
        self.do("UPDATE account SET id = %s WHERE id = %s", self.chance.randrange(1000),
                self.chance.randrange(1000))

    def insert_again(self):
        key = self.chance.randrange(30)
        for number in range(self.chance.choice([1, 3])):
            self.do("DELETE FROM whole WHERE id = %s", key)
            self.do("INSERT INTO whole VALUES (%s, %s, random(), repeat('b', %s))", key,
                    f"{number} {self.text()}", self.chance.choice([1, 9000]))
        self.do("UPDATE whole SET n = n + 1 WHERE id = %s", key)

    def without_a_key(self):
        self.do("INSERT INTO bag SELECT %s, %s FROM generate_series(1, 2)",
                self.chance.randrange(5), self.chance.choice("ab"))
        self.do("UPDATE bag SET b = b || '!' WHERE a = %s AND length(b) < 4",
                self.chance.randrange(5))
        self.do("DELETE FROM bag WHERE length(b) > 2 AND a = %s", self.chance.randrange(5))
        self.do("INSERT INTO loose VALUES (%s, %s)", self.chance.randrange(5), self.text())

    def by_index(self):
        code = f"c{self.chance.randrange(40)}"
        self.do("INSERT INTO named (code, body) VALUES (%s, %s) ON CONFLICT (code) DO UPDATE "
                "SET body = excluded.body", code, self.text())
        self.do("UPDATE named SET code = %s WHERE code = %s", f"c{self.chance.randrange(40)}",
                f"c{self.chance.randrange(40)}")

    def savepoints(self):
        self.do("SAVEPOINT a")
        self.insert()
        self.do("SAVEPOINT b")
        self.without_a_key()
        self.do("ROLLBACK TO b")
        self.change_keys()
        if self.chance.random() < 0.5:
            self.do("ROLLBACK TO a")
        else:
            self.do("RELEASE a")
        self.update()

    def roll_back(self):
        self.insert()
        self.do("INSERT INTO bulk (payload) SELECT 'never' FROM generate_series(1, %s)",
                self.chance.choice([1, 2000]))
        self.do("SELECT pg_logical_emit_message(true, 'never', 'rolled back')")
        self.do("SELECT pg_logical_emit_message(false, 'always', 'not rolled back')")
        raise Undo()

    def toast(self):
        key = self.chance.randrange(1, 21)
        self.do("UPDATE blob SET version = version + 1 WHERE id = %s", key)
        if self.chance.random() < 0.5:
            self.do("UPDATE blob SET body = repeat(md5(version::text), %s) WHERE id = %s",
                    self.chance.choice([1, 100, 3000]), key)
        if self.chance.random() < 0.2:
            self.do("DELETE FROM blob WHERE id = %s", key)
            self.do("INSERT INTO blob VALUES (%s, 0, repeat('n', 5000), decode(repeat('0a', 5000), "
                    "'hex'))", key)
        self.do("UPDATE whole SET n = n + 1 WHERE id = %s", self.chance.randrange(30))

    def truncate(self):
        self.do("TRUNCATE " + self.chance.choice(["bag", "loose", "pair", "whole, bag", "brief",
                                                  "bulk RESTART IDENTITY"]))
        self.without_a_key()

    def large(self):
        rows = self.chance.randrange(self.rows // 2, self.rows)
        if rows > self.budget:
            return
        self.budget -= rows
        self.do("INSERT INTO bulk (payload) SELECT md5(i::text) FROM generate_series(1, %s) i", rows)
        if self.chance.random() < 0.3:
            self.do("UPDATE bulk SET payload = payload || 'u' WHERE id %% 3 = 0 AND "
                    "length(payload) < 34")
        if self.chance.random() < 0.5:
            self.do("DELETE FROM bulk WHERE id %% 2 = 0")

    def message(self):
        self.do("SELECT pg_logical_emit_message(%s, %s, %s)", self.chance.random() < 0.5,
                self.chance.choice(["note", "Zoë"]), self.chance.choice([*TEXTS, '{"a": [1]}']))

    def shapes(self):
        self.do("INSERT INTO shape (id, v) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE "
                "SET v = excluded.v", self.chance.randrange(60), self.text())
        self.do("UPDATE shape SET v = v || '.' WHERE id %% 10 = %s AND length(v) < 100",
                self.chance.randrange(10))

    def change_shape(self):
        """A schema change, and a message that tells the model of a reader about it."""
        self.do("LOCK TABLE shape IN ACCESS EXCLUSIVE MODE")
        self.do("SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = "
                "'shape'::regclass AND attnum > 2 AND NOT attisdropped")
        columns = self.cursor.fetchall()
        do = self.chance.choice(["add", "drop", "rename", "text"] if columns else ["add"])
        what = {"schema": "public", "table": "shape", "do": do}
        if do == "add" and len(columns) < 8:
            # Some of the defaults are kept in the catalog, some rewrite the table.
            sql, value = self.chance.choice([("int DEFAULT 7", 7), ("text DEFAULT 'd'", "d"),
                                             ("int", None), ("boolean DEFAULT true", True)])
            what.update(column=f"c{self.chance.randrange(10**6)}", value=value)
            self.do(f"ALTER TABLE shape ADD {what['column']} {sql}")
        elif do == "drop":
            what.update(column=self.chance.choice(columns)[0])
            self.do(f"ALTER TABLE shape DROP {what['column']}")
        elif do == "rename":
            what.update(column=self.chance.choice(columns)[0], to=f"r{self.chance.randrange(10**6)}")
            self.do(f"ALTER TABLE shape RENAME {what['column']} TO {what['to']}")
        else:
            numbers = [name for name, type_ in columns if type_ == "integer"]
            if not numbers:
                return
            what.update(do="text", column=numbers[0])
            self.do(f"ALTER TABLE shape ALTER {what['column']} DROP DEFAULT, "
                    f"ALTER {what['column']} TYPE text")
        self.do("SELECT pg_logical_emit_message(true, 'ddl', %s)", json.dumps(what))
        self.shapes()

    def new_table(self):
        name = f"new_{self.chance.randrange(10**9)}"
        self.do(f"CREATE TABLE {name} (id int PRIMARY KEY, body text)")
        self.do(f"INSERT INTO {name} SELECT i, 'n' FROM generate_series(1, 5) i")
        self.do(f"UPDATE {name} SET id = id + 100 WHERE id = 2")


ACTIONS = [(Writer.insert, 20), (Writer.update, 10), (Writer.delete, 10), (Writer.change_keys, 10),
           (Writer.insert_again, 10), (Writer.without_a_key, 8), (Writer.by_index, 8),
           (Writer.savepoints, 8), (Writer.roll_back, 5), (Writer.toast, 10), (Writer.truncate, 1),
           (Writer.large, 0.7), (Writer.message, 6), (Writer.shapes, 8), (Writer.change_shape, 1.5),
           (Writer.new_table, 1)]


class Workload:
    """All writers, from start() to stop()."""

    def __init__(self, cluster, db, seed, folder, writers=3, rate=100, rows=10_000):
        self.cluster = cluster
        self.db = db
        self.seed = seed
        self.rate = rate            # TPC-B transactions a second
        self.script = os.path.join(folder, f"tpc_b_{db}.sql")
        with open(self.script, "w") as f:
            f.write(TPC_B)
        self.ended = threading.Event()
        self.writers = [Writer(cluster, db, seed * 100 + i, rows, self.ended)
                        for i in range(writers)]
        self.bench = threading.Thread(target=self._bench, daemon=True)
        self.process = None

    def start(self):
        self.cluster.psql(ROWS, self.db)
        for thread in [*self.writers, self.bench]:
            thread.start()

    def stop(self):
        """Ends all writers; raises if a writer failed by its own fault."""
        self.ended.set()
        if self.process:
            self.process.terminate()
        for thread in [*self.writers, self.bench]:
            thread.join(60)
            if thread.is_alive():
                raise RuntimeError(f"{thread} does not end")
        for writer in self.writers:
            if writer.failed:
                raise writer.failed

    def settle(self):
        """Ends what a crash left prepared."""
        for (name,) in self.cluster.query("SELECT gid FROM pg_prepared_xacts", self.db):
            self.cluster.query("COMMIT PREPARED %s", self.db, (name,))

    def _bench(self):
        while not self.ended.is_set():
            self.process = subprocess.Popen(
                [self.cluster.installation.program("pgbench"), "-n", "-c", "2", "-T", "3600",
                 "-R", str(self.rate), "--random-seed", str(self.seed), "-f", self.script, self.db],
                env=self.cluster.client_env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            if self.ended.is_set():
                self.process.terminate()
            self.process.wait()
            self.ended.wait(0.2)
