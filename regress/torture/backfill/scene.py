"""One run: tables that are written and backfilled again and again, while all programs are killed and frozen."""

import collections
import contextlib
import os
import random
import shutil
import signal
import tempfile
import threading
import time

import psycopg2

from harness import postgres as pg
from harness.forwarder import Forwarder, file_sink
from harness.ports import free_port
from harness.processes import signal_all
from harness.redis import Redis
from torture.backfill import tables
from torture.backfill.receiver import ENDED, FORGET, Receiver
from torture.backfill.writers import Writer
from torture.truth import SETTINGS

FAILED = os.path.join(pg.TOP, "build", "torture", "failed")
CATCH_UP = 120          # seconds, after all has healed
MISSING = "missing"     # a standby that does not exist: commits wait for it, and are decoded meanwhile
LOCAL = "SET synchronous_commit = local; "
UNFINISHED = "state NOT IN ('done', 'canceled', 'failed')"
CONF = {"wal_sender_timeout": "5s", "max_wal_size": "4GB", "checkpoint_timeout": "30s", "autovacuum_naptime": "1s",
        "restart_after_crash": "on"}

# The ways to request backfills.
PATTERNS, PUBLICATION, REQUESTS = "patterns", "publication", "requests"
MODES = (PATTERNS, REQUESTS, PUBLICATION)


def commit(connection):
    with contextlib.suppress(psycopg2.Error), contextlib.closing(connection):
        connection.commit()


class Failure(Exception):
    """The run did not end as it must; the text says how."""


class Stage:
    """The servers, which several runs use one after the other."""

    def __init__(self, work):
        self.work = work
        self.cluster = pg.Cluster(pg.Installation(work), conf=CONF)
        self.cluster.start()
        self.redis = Redis(work, "--appendonly", "yes", "--appendfsync", "no", port=free_port())
        self.redis.start()

    @property
    def version(self):
        return self.cluster.installation.major


class Scene:
    def __init__(self, stage, seed, seconds, faults=()):
        """faults: names of FAULTS; none: all."""
        self.stage, self.cluster, self.redis = stage, stage.cluster, stage.redis
        self.seed, self.seconds, self.chosen = seed, seconds, faults
        self.chance = random.Random(seed)
        self.mode = MODES[seed % 3]
        self.name = f"backfill_{seed}"
        self.slot = f"{self.name}_fwd"
        self.folder = tempfile.mkdtemp(prefix="run.", dir=stage.work.path)
        os.mkdir(os.path.join(self.folder, "state"))
        self.memory = self.chance.choice(["1MiB", "4MiB", "64MiB"])
        self.rate = self.chance.choice([150, 400, 2000])
        # If the reading of tables without a key is not interrupted, they must be exact.
        self.patient = seed // 3 % 2 == 0
        # A backfill reads larger portions while the stream is idle. The next changes then concern many of these rows.
        self.bursts = seed // 2 % 2 == 1
        self.gate = threading.Event()
        self.gate.set()
        self.diary, self.findings = [], []
        self.faults = collections.Counter()
        self.started = time.monotonic()
        self.stop = threading.Event()
        self.written = []       # Specs that writers know
        self.late = []          # Specs of tables that joined later
        self.writers = []
        self.requests = []
        self.stop_requests = threading.Event()
        self.stop_ends = threading.Event()
        self.ends = {}          # content of the message that told of an end: rows that the table had there
        self.looked_at = set()  # backfills whose end was told, or need not be
        self.catch_up = 0.0
        self.counts = collections.Counter()
        self.forwarder = None
        self.kept = None

    def run(self):
        try:
            self.prepare()
            self.torture()
            self.finish()
        except (Failure, TimeoutError, pg.ServerError, psycopg2.Error, OSError, AssertionError) as error:
            self.findings.append(f"{type(error).__name__}: {error}")
            self.look_at_what_came()
        finally:
            self.stop.set()
            self.gate.set()
            self.stop_requests.set()
            self.stop_ends.set()
            for thread in [*self.writers, *self.requests]:
                thread.join(60)
            self.redis.thaw()
            if self.forwarder:
                self.forwarder.thaw()
                self.forwarder.kill()
        if self.findings:
            self.keep()
        self.clean()

    # What there is

    @property
    def filters(self):
        """Whether a publication has a row filter."""
        return self.mode == PUBLICATION and self.stage.version >= 15

    def prepare(self):
        self.cluster.createdb(self.name)
        self.db = pg.Database(self.cluster, self.name)
        self.db.psql(tables.SETUP + "".join(tables.create(spec) for spec in tables.SPECS) + tables.fill())
        if self.mode == PUBLICATION:
            rows = f" WHERE (id < {tables.SPECS[-2].outside})" if self.filters else ""
            names = ", ".join(spec.name + (rows if spec.outside else "") for spec in tables.SPECS)
            self.db.psql(f"CREATE PUBLICATION chosen FOR TABLE bag, {names} WITH (publish_via_partition_root)")
        if self.mode == REQUESTS:
            self.db.create_slot("fwd")
        source = {
            PATTERNS: f"tables: ['public.*', '!public.audit_*']\nbackfill: {{new_tables: true, rate: {self.rate}}}",
            PUBLICATION: f"publications: [chosen]\nbackfill: {{new_tables: true, rate: {self.rate}}}",
            REQUESTS: ""}[self.mode]
        sinks = file_sink(os.path.join(self.folder, "main.jsonl")) + (
            f"      - type: redis\n        url: {self.redis.url}\n        stream: {self.name}\n"
            "        deliver_timeout: 2s\n")
        self.forwarder = Forwarder(self.db, self.folder, sinks=sinks, source=source, pipeline=f"memory: {self.memory}",
                                   root=f"drain: 2s\nstate: {self.folder}/state")
        self.written = list(tables.SPECS)
        self.note(f"mode {self.mode}, rate {self.rate}, memory {self.memory}, patient {self.patient}")

    def names(self, spec):
        """What events call the table."""
        if spec.leaves and self.mode == REQUESTS:      # without a publication, partitions are sent as such
            return [f"public.{leaf}" for leaf in spec.leaves]
        return [f"public.{spec.name}"]

    def request(self, spec, cancel=False, rate=None):
        """Requests a backfill, before which the receivers empty their table. A table whose backfill has not ended is
        left alone."""
        sql, rate = "", rate or self.rate
        for name in self.names(spec):
            if cancel:
                sql += (f"SELECT walspout.backfill_cancel(id) FROM walspout.backfills WHERE relation = '{name}'::regclass "
                        f"AND slot = '{self.slot}' AND {UNFINISHED};")
            sql += (f"SELECT pg_logical_emit_message(true, '{FORGET}', '{name} ' || "
                    f"walspout.backfill('{name}', '{self.slot}', rate => {rate}));")
        with contextlib.suppress(pg.ServerError, psycopg2.Error):
            self.db.psql(f"{LOCAL} BEGIN; {sql} COMMIT")
            self.note(f"requested {spec.name}{' instead of another' if cancel else ''}")

    def join_late(self):
        spec = tables.late(len(self.late) + 1)
        rows = tables.insert(spec, f"generate_series(1, {tables.ROWS}, 2)")
        sql = tables.create(spec) + rows
        with contextlib.suppress(pg.ServerError, psycopg2.Error):
            self.db.psql(f"{LOCAL} BEGIN; {sql} COMMIT")
            self.written.append(spec)
            self.late.append(spec)
            time.sleep(self.chance.choice([0, 0.1]))
            if self.mode == PUBLICATION:
                while not self.stop.is_set():
                    try:
                        self.db.psql(f"{LOCAL} ALTER PUBLICATION chosen ADD TABLE {spec.name}")
                        break
                    except pg.ServerError as error:
                        if "already member" in str(error):
                            break
                        time.sleep(0.2)
            elif self.mode == REQUESTS:
                self.request(spec)
            self.note(f"{spec.name} joins")

    def pause(self):
        with contextlib.suppress(pg.ServerError, psycopg2.Error):
            self.db.psql(f"{LOCAL} SELECT walspout.backfill_pause(id) FROM walspout.backfills WHERE slot = '{self.slot}' AND "
                         f"state = 'running' AND relation <> 'bag'::regclass AND random() < 0.5")
            time.sleep(self.chance.uniform(0.1, 0.6))
        self.resume()

    def resume(self):
        with contextlib.suppress(pg.ServerError, psycopg2.Error):
            self.db.psql(f"{LOCAL} SELECT walspout.backfill_resume(id) FROM walspout.backfills WHERE slot = '{self.slot}' AND "
                         "state = 'paused'")

    # What goes wrong

    def kill_forwarder(self):
        self.forwarder.kill()
        self.forwarder.start(wait=False)

    def end_forwarder(self):
        if "msg=streaming" in self.forwarder.log(self.forwarder.begin):
            code = self.forwarder.terminate(40)
            if code:
                raise Failure(f"the forwarder ended with {code} on SIGTERM:\n{self.forwarder.log_tail(15)}")
            self.forwarder.start(wait=False)

    def freeze_forwarder(self):
        self.forwarder.freeze()
        time.sleep(self.chance.uniform(0.2, 1))
        self.forwarder.thaw()

    def _backends(self, where):
        with contextlib.suppress(psycopg2.Error):
            return [row[0] for row in self.cluster.query(f"SELECT pid FROM pg_stat_activity WHERE {where}")]
        return []

    def _signal(self, where, number):
        signal_all(self._backends(where), number)
        self.wait_for_postgres()

    def kill_walsender(self):
        self._signal("backend_type = 'walsender'", signal.SIGKILL)

    def terminate_walsender(self):
        self._signal("backend_type = 'walsender'", signal.SIGTERM)

    @property
    def reader(self):
        return f"datname = '{self.name}' AND application_name ~ 'walspout' AND backend_type = 'client backend'"

    def kill_reader(self):
        """Kills the server process that reads rows. The server treats that as a crash."""
        self._signal(self.reader, signal.SIGKILL)

    def terminate_reader(self):
        self._signal(self.reader, signal.SIGTERM)

    def kill_postgres(self):
        if self.chance.random() < 0.5:
            self.cluster.stop("immediate")
        else:
            self.cluster.kill()
        time.sleep(self.chance.choice([0, 0.4]))
        self.cluster.start()

    def _standby(self, name):
        """Sets the standby that commits wait for; waits until the server uses the setting."""
        with contextlib.suppress(pg.ServerError, psycopg2.Error):
            self.cluster.psql(f"{LOCAL} ALTER SYSTEM SET synchronous_standby_names = '{name}'; SELECT pg_reload_conf()")

    def commit_and_wait(self, spec):
        """Changes of one table, by a session that waits at its commit."""
        chance = random.Random(self.chance.random())

        def commit():
            writer = Writer(self.cluster, self.name, chance.random(), [spec], self.stop, self.gate)
            with contextlib.suppress(psycopg2.Error):
                connection = self.cluster.connect(self.name, autocommit=False, options="-c lock_timeout=500ms")
                with contextlib.closing(connection), connection.cursor() as cursor:
                    for _ in range(chance.choice([2, 6])):
                        cursor.execute(writer.change())
                    connection.commit()
        threading.Thread(target=commit, daemon=True).start()

    def hold_commits(self):
        """Commits are decoded, and no snapshot sees them, until they need not wait any more."""
        self._standby(MISSING)
        try:
            for spec in self.chance.sample(tables.SPECS, 8):
                self.commit_and_wait(spec)
            time.sleep(self.chance.uniform(0.2, 1.2))
            if self.chance.random() < 0.5:
                self.kill_forwarder()
                time.sleep(self.chance.uniform(0.3, 1.5))
        finally:
            self._standby("")

    def _locked(self, spec, mode, sql=""):
        """A session in a transaction that has locked the table; None if it did not get the lock."""
        with contextlib.suppress(psycopg2.Error):
            connection = self.cluster.connect(self.name, autocommit=False, options="-c lock_timeout=2s")
            try:
                connection.cursor().execute(f"LOCK TABLE {spec.name} IN {mode} MODE; {sql}")
                return connection
            except psycopg2.Error:
                connection.close()
        return None

    @contextlib.contextmanager
    def _all_rows_wait(self, specs):
        """In these tables all rows are updated by transactions that are delivered, and that no snapshot sees."""
        held = [self._locked(spec, "SHARE ROW EXCLUSIVE", f"UPDATE {spec.name} SET n = n + 1, v = nextval('versions')")
                for spec in specs]
        self._standby(MISSING)
        try:
            for connection in filter(None, held):
                threading.Thread(target=commit, args=(connection,), daemon=True).start()
            time.sleep(self.chance.uniform(0.3, 0.6))
            yield
        finally:
            self._standby("")

    def _hurry(self):
        """Slow backfills that begin again, or that another process continues, are slow no longer."""
        with contextlib.suppress(pg.ServerError, psycopg2.Error):
            self.db.psql(f"{LOCAL} UPDATE walspout.backfills SET rate = 2000 WHERE slot = '{self.slot}' AND {UNFINISHED}")

    def _some_saved(self, spec, rate=40):
        """Whether a slow backfill was begun, and progress of it was saved."""
        self.request(spec, cancel=True, rate=rate)

        def saved():
            with contextlib.suppress(psycopg2.Error):
                return self.cluster.value(f"SELECT rows >= 20 AND state = 'running' FROM walspout.backfills WHERE relation = "
                                          f"'{spec.name}'::regclass AND slot = '{self.slot}' ORDER BY id DESC LIMIT 1", self.name)
        with contextlib.suppress(TimeoutError):
            pg.wait_until(saved, 8, 0.02, "saved rows")
            return True
        self.note(f"no rows of {spec.name} are saved")
        return False

    def _until_more_saved(self, specs, more):
        """Until that many rows of each table were read and saved, or for 2 s."""
        def rows(spec):
            with contextlib.suppress(psycopg2.Error):
                return self.cluster.value(f"SELECT rows FROM walspout.backfills WHERE relation = '{spec.name}'::regclass AND "
                                          f"slot = '{self.slot}' ORDER BY id DESC LIMIT 1", self.name) or 0
            return 0
        before = {spec.name: rows(spec) for spec in specs}
        with contextlib.suppress(TimeoutError):
            pg.wait_until(lambda: all(rows(spec) >= before[spec.name] + more for spec in specs), 2, 0.02, "more saved rows")
            return
        self.note(f"few rows of {', '.join(before)} are read while commits wait")

    def request_while_commits_wait(self):
        """A backfill begins while transactions wait that were delivered before it is observed."""
        specs = self.chance.sample([spec for spec in self.free() if not spec.leaves], 2)
        with self._all_rows_wait(specs):
            for spec in specs:
                self.request(spec, cancel=True)
            time.sleep(self.chance.uniform(0.5, 1.2))

    def restart_while_commits_wait(self):
        """Rows are read that commits which wait have changed. Then another process goes on with these backfills."""
        specs = [spec for spec in self.chance.sample([spec for spec in tables.SPECS if not spec.leaves], 2)
                 if self._some_saved(spec)]
        with self._all_rows_wait(specs):
            self._until_more_saved(specs, self.chance.choice([3, 10]))
            self._hurry()
            self.kill_forwarder()
            time.sleep(self.chance.uniform(0.8, 2))

    def _wait_for_reader(self, locker, spec):
        """Whether the process that reads waits for the lock that this session has. It waits half a second at most: so no
        time may be lost with new connections."""
        def waits():
            with locker.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock' AND relation = "
                               "%s::regclass", (spec.name,))
                return cursor.fetchone()[0]
        with contextlib.suppress(TimeoutError):
            pg.wait_until(waits, 2, 0.003, "process that waits for a lock")
            return True
        self.note(f"no process waits for {spec.name}")
        return False

    def truncate_behind_a_read(self):
        """A TRUNCATE commits when rows are read, and before it is known where in the stream they belong."""
        spec = self.chance.choice([spec for spec in tables.SPECS if not spec.leaves])
        locker = self._locked(spec, "ACCESS EXCLUSIVE") if self._some_saved(spec) else None
        if not locker:
            return
        with contextlib.suppress(psycopg2.Error), contextlib.closing(self.cluster.connect(self.name)) as truncater:
            truncate = truncater.cursor()

            def run(sql):
                with contextlib.suppress(psycopg2.Error):
                    truncate.execute(sql)
            # The same keys in its transaction would hide a TRUNCATE that is forgotten.
            behind = threading.Thread(target=run, args=(f"TRUNCATE {spec.name}",), daemon=True)
            try:
                if self._wait_for_reader(locker, spec):
                    self.forwarder.freeze()     # it has asked for the rows, and cannot place them
                    behind.start()
                    time.sleep(0.1)             # until the TRUNCATE waits, too
                    commit(locker)
                    behind.join(5)
            finally:
                locker.close()
                self.forwarder.thaw()
            time.sleep(0.3)
            run(tables.insert(spec, f"generate_series(1, {tables.ROWS}, 2)"))
            self._hurry()

    def rewrite_before_a_read(self):
        """A rewrite commits while the process that reads waits for its lock: to an older snapshot the table looks empty."""
        spec = self.chance.choice([spec for spec in tables.SPECS if spec.rewrites])
        if not self._some_saved(spec):
            return
        with contextlib.suppress(psycopg2.Error):
            old = self.cluster.value("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s::regclass AND "
                                     "attname = 'n'", self.name, (spec.name,))
            other = "bigint" if old == "integer" else "integer"
            locker = self._locked(spec, "ACCESS EXCLUSIVE", f"ALTER TABLE {spec.name} ALTER n TYPE {other}")
            if locker:
                self._wait_for_reader(locker, spec)
                commit(locker)
            self._hurry()

    # Rows get keys in front of those that are read, and lack their body there: they have to be read again. No writer has
    # negative keys.
    MOVE = ("LOCK TABLE plain IN SHARE ROW EXCLUSIVE MODE; DELETE FROM plain WHERE id < 0;"
            "UPDATE plain SET id = -id, v = nextval('versions') WHERE id > 400")

    def _confirmed(self, lsn):
        with contextlib.suppress(psycopg2.Error):
            return self.cluster.value("SELECT confirmed_flush_lsn > %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s",
                                      args=(lsn, self.slot))
        return False

    def _move_and_kill(self):
        with contextlib.suppress(psycopg2.Error, pg.ServerError):
            self.db.psql(f"SET lock_timeout = '2s'; {LOCAL} BEGIN; {self.MOVE}; COMMIT")
            lsn = self.cluster.value("SELECT pg_current_wal_lsn()")
            with contextlib.suppress(TimeoutError):
                pg.wait_until(lambda: self._confirmed(lsn), 1.5, 0.02, "confirmed position")
                self.note("the slot is behind the moves")
        self.forwarder.kill()

    def _until_told(self, spec):
        """Until the backfill has ended, and the rows there are noted: the next request would hide what is missing."""
        def told():
            with contextlib.suppress(psycopg2.Error):
                last = self.cluster.query("SELECT id, state FROM walspout.backfills WHERE relation = %s::regclass ORDER BY id DESC "
                                          "LIMIT 1", self.name, (spec.name,))
                return last and (last[0][0] in self.looked_at or last[0][1] in ("canceled", "failed"))
        with contextlib.suppress(TimeoutError):
            pg.wait_until(told, 10, 0.1, "end of a backfill")

    def kill_behind_moves(self):
        """Only the database still knows the keys to read again."""
        if self._some_saved(tables.SPECS[0]):
            self._move_and_kill()
            self._hurry()
            self.forwarder.start(wait=False)
            self._until_told(tables.SPECS[0])

    def kill_behind_unsaved_moves(self):
        """The keys to read again cannot be saved: then the slot must not move past them."""
        if not self._some_saved(tables.SPECS[0]):
            return
        with contextlib.suppress(psycopg2.Error, pg.ServerError, TimeoutError):
            connection = self.cluster.connect(self.name, autocommit=False, options="-c lock_timeout=3s")
            with contextlib.closing(connection):
                connection.cursor().execute("LOCK TABLE walspout.backfills IN SHARE ROW EXCLUSIVE MODE")
                self._move_and_kill()
                # A save that waits for the lock would still be done.
                self.terminate_reader()
                pg.wait_until(lambda: not self._backends(self.reader), 5, what="end of the process that reads")
        self._hurry()
        if not self.forwarder.running():
            self.forwarder.start(wait=False)
        self._until_told(tables.SPECS[0])

    def kill_behind_a_frozen_sink(self):
        """One sink has rows that the other does not have, and only another process can bring them."""
        spec = self.chance.choice(tables.SPECS[:-1])
        if not self._some_saved(spec):
            return
        self.redis.freeze()
        try:
            time.sleep(self.chance.uniform(1.2, 1.7))       # what is placed could be saved
            self._hurry()
            self.kill_forwarder()
        finally:
            self.redis.thaw()

    def hold_saves(self):
        """The progress of backfills cannot be saved, while the stream and its confirmation could go on."""
        try:
            connection = self.cluster.connect(self.name, autocommit=False, options="-c lock_timeout=3s")
        except psycopg2.Error:
            return
        with contextlib.closing(connection), contextlib.suppress(psycopg2.Error):
            connection.cursor().execute("LOCK TABLE walspout.backfills IN SHARE ROW EXCLUSIVE MODE")
            time.sleep(self.chance.uniform(0.5, 2.5))
            if self.chance.random() < 0.7:
                self.forwarder.kill()
        if not self.forwarder.running():
            self.forwarder.start(wait=False)

    def freeze_redis(self):
        """One receiver has less than the other, and may get the queued events only from another process."""
        self.redis.freeze()
        try:
            time.sleep(self.chance.uniform(0.5, 3))
            if self.chance.random() < 0.75:
                self.kill_forwarder()
        finally:
            self.redis.thaw()

    FAULTS = {"kill-forwarder": kill_forwarder, "end-forwarder": end_forwarder, "freeze-forwarder": freeze_forwarder,
              "kill-walsender": kill_walsender, "terminate-walsender": terminate_walsender,
              "kill-reader": kill_reader, "terminate-reader": terminate_reader, "kill-postgres": kill_postgres,
              "hold-commits": hold_commits, "request-while-commits-wait": request_while_commits_wait,
              "freeze-redis": freeze_redis, "hold-saves": hold_saves,
              "restart-while-commits-wait": restart_while_commits_wait,
              "truncate-behind-a-read": truncate_behind_a_read, "rewrite-before-a-read": rewrite_before_a_read,
              "kill-behind-moves": kill_behind_moves, "kill-behind-unsaved-moves": kill_behind_unsaved_moves,
              "kill-behind-a-frozen-sink": kill_behind_a_frozen_sink}

    def free(self):
        """Tables that may be asked for at any time."""
        return [*tables.SPECS, *(self.late if self.mode == REQUESTS else ())]

    def torture(self):
        for number in range(3):
            self.writers.append(Writer(self.cluster, self.name, self.seed * 10 + number, self.written, self.stop,
                                       self.gate))
            self.writers[-1].start()
        self.forwarder.start(wait=False)
        if self.mode == REQUESTS:
            for spec in self.chance.sample(tables.SPECS, 6):
                self.request(spec)
        elif self.patient:
            pg.wait_until(lambda: self.db.value("SELECT state = 'done' FROM walspout.backfills WHERE relation = 'bag'::regclass"),
                          60, what=f"end of the backfill of a table without a key\n{self.forwarder.log_tail(10)}")
        self.requests = [threading.Thread(target=self._request_until_the_end, args=(random.Random(self.seed + 1),),
                                          daemon=True)]
        self.requests[0].start()
        self.requests.append(threading.Thread(target=self._tell_ends, daemon=True))
        self.requests[1].start()
        if self.bursts:
            threading.Thread(target=self._burst, args=(random.Random(self.seed + 2),), daemon=True).start()
        end, waiting = time.monotonic() + self.seconds, []
        while time.monotonic() < end:
            if not waiting:
                waiting = [*(self.chosen or self.FAULTS)]
                self.chance.shuffle(waiting)
            name = waiting.pop()
            self.note(f"begin {name}")
            self.FAULTS[name](self)
            self.faults[name] += 1
            self.note(f"end {name}")
            if not self.forwarder.running():
                raise Failure(f"the forwarder ended with {self.forwarder.process.returncode}:\n{self.forwarder.log_tail(15)}")
            time.sleep(self.chance.uniform(0, 0.9))
        self.stop_requests.set()
        self.requests[0].join(60)
        time.sleep(0.3)
        self.stop.set()
        self.gate.set()
        for writer in self.writers:
            writer.join(60)
            if writer.failed:
                raise Failure(f"a writer failed: {writer.failed!r}")
        self.note(f"all is healed after {sum(writer.transactions for writer in self.writers)} transactions")

    def _burst(self, chance):
        while not self.stop.is_set():
            self.gate.clear()
            self.stop.wait(chance.uniform(0.4, 1.2))
            self.gate.set()
            self.stop.wait(chance.uniform(0.05, 0.5))

    def _request_until_the_end(self, chance):
        while not self.stop_requests.is_set():
            time.sleep(chance.uniform(0.1, 0.7))
            what = chance.random()
            if what < 0.62:
                self.request(chance.choice(self.free()))
            elif what < 0.72:
                self.request(chance.choice(self.free()), cancel=True)
            elif what < 0.82:
                self.pause()
            elif len(self.late) < 4:
                self.join_late()

    def wait_for_postgres(self):
        def answers():
            with contextlib.suppress(psycopg2.Error):
                return self.cluster.value("SELECT 1")
        pg.wait_until(answers, 60, what="server that answers")

    # The end of each backfill

    def _tell_ends(self):
        while not self.stop_ends.wait(0.2):
            with contextlib.suppress(psycopg2.Error):
                self.tell_ends()

    def tell_ends(self):
        """Writes a message behind each backfill that is done, and keeps what the table has there: so has each receiver."""
        last = ("SELECT b.id, b.\"table\" FROM walspout.backfills b WHERE b.state = 'done' AND NOT EXISTS (SELECT FROM "
                "walspout.backfills o WHERE o.relation = b.relation AND o.id > b.id)")
        connection = self.cluster.connect(self.name, autocommit=False,
                                          options=f"{SETTINGS} -c lock_timeout=1s -c synchronous_commit=local")
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(last)
            ended = cursor.fetchall()
            connection.rollback()
            for number, name in ended:
                if number in self.looked_at:
                    continue
                # Rows without a key, and rows that enter a row filter later on, are compared in the end of the run only.
                if name != "public.bag" and not (self.filters and name == "public.filtered"):
                    cursor.execute(f"LOCK TABLE {name} IN SHARE MODE; {last} AND b.id = {number}")
                    if cursor.fetchall():
                        cursor.execute(f"SELECT row_to_json(t)::text FROM {name} t")
                        self.ends[f"{name} {number}"] = [row[0] for row in cursor.fetchall()]
                        cursor.execute("SELECT pg_logical_emit_message(true, %s, %s)", (ENDED, f"{name} {number}"))
                connection.commit()
                self.looked_at.add(number)

    # The end

    def finish(self):
        self.wait_for_postgres()
        self._standby("")
        for (name,) in self.cluster.query("SELECT gid FROM pg_prepared_xacts", self.name):
            self.cluster.query("COMMIT PREPARED %s", self.name, (name,))
        start = time.monotonic()
        try:
            self.wait_for_ends()
            self.stop_ends.set()
            self.requests[1].join(60)
            self.tell_ends()
            self.wait_for_last()
        finally:
            self.catch_up = time.monotonic() - start
        code = self.forwarder.terminate(40)
        if code:
            raise Failure(f"the forwarder ended with {code} on SIGTERM:\n{self.forwarder.log_tail(15)}")
        self.check()

    def wait_for_ends(self):
        joined = [spec.name for spec in self.late]
        last = []

        def ended():
            if "parked" in self.forwarder.log(self.forwarder.begin):
                raise Failure(f"a sink is parked\n{self.forwarder.log_tail(15)}")
            self.resume()
            last[:] = self.db.psql(
                f"SELECT id, \"table\", state, error FROM walspout.backfills WHERE {UNFINISHED} UNION ALL "
                "SELECT 0, name, 'was not requested', '' FROM unnest(ARRAY[" + ", ".join(f"'{name}'" for name in joined)
                + "]::text[]) name WHERE NOT EXISTS (SELECT FROM walspout.backfills b WHERE b.relation = name::regclass)"
            ).splitlines()
            return not last
        if self.mode == REQUESTS:       # a request may have been lost with its server
            for spec in [*tables.SPECS, *self.late]:
                if not self.db.value("SELECT count(*) FROM walspout.backfills WHERE relation = %s::regclass",
                                     (self.names(spec)[0],)):
                    self.request(spec)
        try:
            pg.wait_until(ended, CATCH_UP, 0.2, "end of all backfills")
        except TimeoutError as error:
            raise Failure(f"{error}: {last}\n{self.forwarder.log_tail(15)}") from None

    def wait_for_last(self):
        """Waits until both receivers have the last writes."""
        self.db.psql("SELECT pg_logical_emit_message(true, 'last', '')")
        last = b'"prefix":"last"'

        def there():
            with open(self.forwarder.output, "rb") as f:
                f.seek(max(0, os.path.getsize(self.forwarder.output) - 4096))
                in_file = last in f.read()
            entries = self.redis.call("XREVRANGE", self.name, "+", "-", "COUNT", 1)
            return in_file and entries and last in entries[0][1][-1]
        pg.wait_until(there, CATCH_UP, 0.1, f"last event\n{self.forwarder.log_tail(10)}")

    def check(self):
        states = self.cluster.query('SELECT "table", state, error FROM walspout.backfills ORDER BY id', self.name)
        failed = [row for row in states if row[1] == "failed"]
        cut = any(name == "public.bag" and "cut short" in error for name, _, error in failed)
        self.findings += [f"a backfill failed: {row}" for row in failed if row[0] != "public.bag" or self.patient or not cut]
        left = self.cluster.value("SELECT count(*) FROM walspout.backfill_keys", self.name)
        if left:
            self.findings.append(f"{left} keys to read again are left")
        names = {name: f"id < {spec.outside}" if spec.outside and self.filters else "true"
                 for spec in [*tables.SPECS, *self.late] for name in self.names(spec)}
        if self.mode != REQUESTS and not cut:
            names["public.bag"] = "true"
        connection = self.cluster.connect(self.name, options=SETTINGS)
        truth = {}
        with contextlib.closing(connection), connection.cursor() as cursor:
            for name, where in names.items():
                cursor.execute(f"SELECT row_to_json(t)::text FROM {name} t WHERE {where}")
                truth[name] = [row[0] for row in cursor.fetchall()]
        for name, documents in (("file", self.file_documents()), ("redis", self.redis_documents())):
            receiver = self.receive(name, documents)
            if cut or self.mode == REQUESTS:
                receiver.findings = [f for f in receiver.findings if "no such row" not in f]
                receiver.kinds.pop("no such row", None)
            for table, rows in truth.items():
                receiver.compare(table, rows)
            self.findings += receiver.result()
            self.counts.update({f"{op} at {name}": count for op, count in receiver.counts.items()})
        self.note(f"{len(states)} backfills: {collections.Counter(row[1] for row in states)}")

    def receive(self, name, documents):
        receiver = Receiver(name, ["public.bag"], self.ends)
        for document in documents:
            receiver.take(document)
        return receiver

    def look_at_what_came(self):
        """After a run that did not end: what is wrong already."""
        with contextlib.suppress(OSError, psycopg2.Error, AttributeError):
            for name, documents in (("file", self.file_documents()), ("redis", self.redis_documents())):
                self.findings += [finding for finding in self.receive(name, documents).result() if "no such row" not in finding]

    def file_documents(self):
        with open(self.forwarder.output, "rb") as f:
            return f.read().split(b"\n")[:-1]

    def redis_documents(self):
        start = "-"
        while True:
            entries = self.redis.call("XRANGE", self.name, start, "+", "COUNT", 5000)
            for _, fields in entries:
                yield fields[fields.index(b"data") + 1]
            if len(entries) < 5000:
                return
            start = "(" + entries[-1][0].decode()

    # The diary, and what is left of a failure

    def note(self, text):
        self.diary.append(f"{time.monotonic() - self.started:7.3f} {text}")

    def keep(self):
        top = FAILED if os.access(pg.TOP, os.W_OK) else tempfile.mkdtemp(prefix="walspout.failed.")
        self.kept = os.path.join(top, self.name)
        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(self.folder, self.kept)
        for name, lines in (("diary", self.diary), ("findings", self.findings)):
            with open(os.path.join(self.kept, name), "w") as f:
                f.writelines(line + "\n" for line in lines)
        with contextlib.suppress(OSError, psycopg2.Error, pg.ServerError):
            with open(os.path.join(self.kept, "redis.jsonl"), "wb") as f:
                f.writelines(document + b"\n" for document in self.redis_documents())
            with open(os.path.join(self.kept, "backfills"), "w") as f:
                f.write(self.db.psql("SELECT * FROM walspout.backfills ORDER BY id"))
        shutil.copy(self.cluster.log_path, self.kept)

    def clean(self):
        self._standby("")
        with contextlib.suppress(psycopg2.Error):
            for (name,) in self.cluster.query("SELECT gid FROM pg_prepared_xacts", self.name):
                self.cluster.query("ROLLBACK PREPARED %s", self.name, (name,))
        self.cluster.dropdb(self.name)
        self.redis.call("DEL", self.name)
        shutil.rmtree(self.folder, ignore_errors=True)
