"""The writers of the tables: changes of rows and keys, TRUNCATE, rewrites, prepared and long transactions."""

import random
import threading
import time

import psycopg2

from torture.backfill.tables import ROWS, TOASTED, insert

PASSING = (psycopg2.errors.IntegrityError, psycopg2.errors.LockNotAvailable, psycopg2.errors.QueryCanceled,
           psycopg2.errors.DeadlockDetected, psycopg2.errors.ProgrammingError, psycopg2.errors.FeatureNotSupported,
           psycopg2.errors.ObjectNotInPrerequisiteState, psycopg2.errors.SerializationFailure)


class Writer(threading.Thread):
    """One connection that writes until it is told to stop, while `gate` is set. `tables` is a list of Specs that may grow."""

    def __init__(self, cluster, db, seed, tables, stop, gate):
        super().__init__(daemon=True)
        self.cluster, self.db, self.tables, self.stop, self.gate = cluster, db, tables, stop, gate
        self.chance = random.Random(seed)
        self.name = f"w{seed}"
        self.transactions = 0
        self.failed = None

    def run(self):
        # A commit that does not wait for the disk is decoded when its record is there.
        local = "-c synchronous_commit=off" if self.chance.random() < 0.3 else ""
        while not self.stop.is_set():
            connection = None
            try:
                connection = self.cluster.connect(
                    self.db, autocommit=False, connect_timeout=5,
                    options=f"{local} -c lock_timeout=1s -c statement_timeout=20s -c deadlock_timeout=50ms")
                while not self.stop.is_set():
                    self.gate.wait()
                    self.transaction(connection)
            except psycopg2.Error as error:
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

    def transaction(self, connection):
        with connection.cursor() as cursor:
            try:
                for _ in range(self.chance.choice([1, 1, 2, 4])):
                    cursor.execute(self.change())
                how = self.chance.random()
                if how < 0.02:
                    time.sleep(self.chance.uniform(0.1, 0.8))       # older than what is read meanwhile
                if how > 0.95:
                    connection.rollback()
                    return
                if 0.02 < how < 0.04:
                    self.prepare(connection, cursor)
                connection.commit()
                self.transactions += 1
            except PASSING:
                connection.rollback()
        time.sleep(self.chance.choice([0, 0.001, 0.003, 0.01]))

    def prepare(self, connection, cursor):
        name = f"{self.name}-{self.transactions}-{self.chance.random()}"
        cursor.execute("PREPARE TRANSACTION %s", (name,))
        connection.commit()
        time.sleep(self.chance.choice([0, 0.1, 0.4]))
        connection.autocommit = True
        try:
            cursor.execute("COMMIT PREPARED %s", (name,))
        finally:
            connection.autocommit = False

    # A change, as SQL

    def change(self):
        spec = self.chance.choice(self.tables)
        i, j = self.chance.randrange(1, ROWS), self.chance.randrange(1, ROWS)
        what = self.chance.random()
        # A writer locks the key before it takes a version, so that versions of a key grow.
        locks = "".join(f"SELECT pg_advisory_xact_lock(hashtext('{spec.name}'), {k});" for k in sorted({i, j}))
        row = spec.where(i)
        if what < 0.45:
            return locks + f"UPDATE {spec.name} SET n = n + 1, v = nextval('versions') WHERE {row}"
        if what < 0.52:
            return locks + (f"UPDATE {spec.name} SET v = nextval('versions'), body = repeat(md5(v::text), {TOASTED} / 32 + 1) "
                            f"WHERE {row}")
        if what < 0.76:
            return locks + self.move(spec, i, j)
        if what < 0.85:
            return locks + f"DELETE FROM {spec.name} WHERE {row}"
        if what < 0.985:
            return locks + insert(spec, f"generate_series({j}, {j})", self.chance.choice([10, TOASTED, 3 * TOASTED]))
        if what < 0.993:
            return self.bag()
        return self.rarely(spec)

    def move(self, spec, i, j):
        if spec.again and self.chance.random() < 0.4:
            return f"UPDATE {spec.name} SET {spec.set} = {spec.again}, v = nextval('versions') WHERE {spec.where(i)}"
        if spec.outside and self.chance.random() < 0.5:
            # Moves the row out of the filter, or back: the event then lacks the columns that do not change.
            away = i + spec.outside
            if self.chance.random() < 0.5:
                i, away = away, i
            return f"UPDATE {spec.name} SET {spec.set} = {away}, v = nextval('versions') WHERE {spec.where(i)}"
        columns = f"({spec.set})" if len(spec.key) > 1 else spec.set
        value = spec.value.format(i=j)
        value = f"({value})" if len(spec.key) > 1 else value
        return f"UPDATE {spec.name} SET {columns} = {value}, v = nextval('versions') WHERE {spec.where(i)}"

    def bag(self):
        a = self.chance.randrange(50)
        return ("UPDATE bag SET a = a + 1, v = nextval('versions') WHERE ctid IN (SELECT ctid FROM bag LIMIT 3);"
                f"DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag WHERE a > {a} LIMIT 2);"
                f"INSERT INTO bag SELECT {a}, 0, nextval('versions'), repeat('y', {TOASTED}) FROM generate_series(1, 2)")

    def rarely(self, spec):
        # A rewritten or emptied table looks empty to an older snapshot. Take the lock before the version.
        what = self.chance.random()
        lock = f"LOCK TABLE {spec.name} IN ACCESS EXCLUSIVE MODE;"
        if what < 0.35 or not spec.rewrites:
            return lock + f"TRUNCATE {spec.name};" + insert(spec, f"generate_series(1, {ROWS}, 2)")
        other = self.chance.choice(["int", "bigint"])
        pause = f"SELECT pg_sleep({self.chance.choice([0, 0.1, 0.3])});"
        return lock + f"ALTER TABLE {spec.name} ALTER n TYPE {other};" + pause
