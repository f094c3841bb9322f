"""One run: tables are written, and copied to another Postgres in all three modes, while programs are killed, frozen,
cut off, and out of disk."""

import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import psycopg2

from harness import postgres as pg
from harness.forwarder import Forwarder
from harness.processes import signal_all
from harness.proxy import Proxy
from torture.backfill import tables
from torture.backfill.writers import Writer
from torture.disk import Disk
from torture.postgres import model

FAILED = os.path.join(pg.TOP, "build", "torture", "failed")
CATCH_UP = 120          # seconds, after all has healed
CONF = {"wal_sender_timeout": "5s", "max_wal_size": "4GB", "checkpoint_timeout": "30s", "track_commit_timestamp": "on",
        "timezone": "UTC"}
# Little WAL is kept, so that rows fill the disk.
TARGET_CONF = {"max_wal_size": "16MB", "min_wal_size": "4MB", "wal_keep_size": "0", "timezone": "UTC", "autovacuum_naptime": "1s",
               "checkpoint_timeout": "30s", "deadlock_timeout": "100ms"}
SEGMENT = 1             # MB of a file of the target's WAL
MODES = ("clone", "append", "history")

SPECS = [spec for spec in tables.SPECS if not spec.outside and not spec.leaves]
KEYS = {**{spec.name: spec.key for spec in SPECS}, "bag": ()}

# The log of changes, written without the stream. A long value is stored as its hash.
TRUTH = """
CREATE SCHEMA truth;
CREATE TABLE truth.changes (n bigserial PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), tbl text, op text,
    old jsonb, new jsonb);
CREATE FUNCTION truth.short(r jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
    $$ SELECT r - 'body' || jsonb_build_object('body', md5(r ->> 'body')) $$;
CREATE FUNCTION truth.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO truth.changes (tbl, op) VALUES (TG_TABLE_NAME, 't');
    ELSE
        INSERT INTO truth.changes (tbl, op, old, new) VALUES (TG_TABLE_NAME, lower(left(TG_OP, 1)),
            CASE WHEN TG_OP <> 'INSERT' THEN truth.short(to_jsonb(OLD)) END,
            CASE WHEN TG_OP <> 'DELETE' THEN truth.short(to_jsonb(NEW)) END);
    END IF;
    RETURN NULL;
END $$;
CREATE TABLE last (id int PRIMARY KEY);
"""
NOTE = """
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION truth.note();
CREATE TRIGGER note_all AFTER TRUNCATE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION truth.note();
"""
MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"
ROW = "(to_jsonb(t) - 'body' - '{{{more}}}'::text[] || jsonb_build_object('body', md5(t.body)))::text"


class Failure(Exception):
    """The run did not end as it must; the text says how."""


class Stage:
    """The servers, which several runs use one after the other."""

    def __init__(self, work):
        self.work = work
        installation = pg.Installation(work)
        self.cluster = pg.Cluster(installation, "source", conf=CONF).start()
        self.target = pg.Cluster(installation, "target", conf=TARGET_CONF, initdb=(f"--wal-segsize={SEGMENT}",))
        self.disk = Disk(work)
        if self.disk.mounted:
            moved = os.path.join(self.disk.folder, "data")
            subprocess.run(["cp", "-a", self.target.data, moved], check=True)
            self.target.data = moved
            work.at_exit(lambda: self.target.stop("immediate"))
        self.target.start()
        self.proxy = Proxy(f"{self.target.host}/.s.PGSQL.{self.target.port}")
        work.at_exit(self.proxy.close)


class Scene:
    def __init__(self, stage, seed, seconds):
        self.stage, self.cluster, self.target, self.proxy = stage, stage.cluster, stage.target, stage.proxy
        self.seed, self.seconds = seed, seconds
        self.chance = random.Random(seed)
        self.name = f"target_{seed}"
        self.folder = tempfile.mkdtemp(prefix="run.", dir=stage.work.path)
        self.memory = self.chance.choice(["1MiB", "4MiB", "64MiB"])
        # Most transactions are longer than the least one.
        self.max_transaction = self.chance.choice([3, 200, 50_000])
        self.batch_bytes = self.chance.choice(["1KiB", "64KiB"])
        self.extended = seed % 2 == 1       # the target has the extension, whose function takes documents apart
        self.fires = seed % 3 == 2          # triggers of the target; there are none, but the session is another one
        self.stop, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.diary, self.findings = [], []
        self.faults = collections.Counter()
        self.started = time.monotonic()
        self.writers = []
        self.catch_up = 0.0
        self.changes = 0
        self.forwarder = None
        self.kept = None

    def run(self):
        try:
            self.prepare()
            self.torture()
            self.finish()
        except (Failure, TimeoutError, pg.ServerError, psycopg2.Error, OSError, AssertionError) as error:
            self.findings.append(f"{type(error).__name__}: {error}")
        finally:
            self.stop.set()
            self.gate.set()
            for thread in self.writers:
                thread.join(60)
            self.heal()
            if self.forwarder:
                self.forwarder.thaw()
                self.forwarder.kill()
        if self.findings:
            self.keep()
        self.clean()

    # What there is

    def prepare(self):
        self.cluster.createdb(self.name)
        self.target.createdb(self.name)
        self.db = pg.Database(self.cluster, self.name)
        names = [*KEYS]
        self.db.psql(tables.SETUP + TRUTH + "".join(tables.create(spec) for spec in SPECS)
                     + "".join(NOTE.format(name=name) for name in names))
        self.target.psql("".join(f"CREATE SCHEMA {mode};" for mode in MODES) + ("CREATE EXTENSION walspout;" if self.extended else ""),
                         self.name)
        self.forwarder = Forwarder(
            self.db, self.folder, sinks="".join(self.sink(mode) for mode in MODES), source=f"batch_bytes: {self.batch_bytes}",
            pipeline=f"memory: {self.memory}\nretry: {{initial: 50ms, max: 300ms}}", root="drain: 2s")
        self.forwarder.start()
        self.note(f"memory {self.memory}, max_transaction {self.max_transaction}, batch_bytes {self.batch_bytes}")

    def sink(self, mode):
        more = {"clone": "missing: error", "append": "deleted_at: gone_at", "history": "missing: error"}[mode]
        bag = "" if mode == "append" else ', "!public.bag"'
        lines = ["- type: postgres", f"  name: {mode}", f"  mode: {mode}", f"  {more}", "  create_tables: true",
                 f'  target: "{mode}.{{table}}"', f'  only: {{tables: ["public.*"{bag}]}}', "  deliver_timeout: 2s",
                 f"  session_replication_role: {'origin' if self.fires else 'replica'}",
                 f"  max_transaction: {self.max_transaction}",
                 f"  dsn: host=127.0.0.1 port={self.proxy.port} user={pg.SUPERUSER} dbname={self.name}"]
        return "".join(f"      {line}\n" for line in lines)

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
        """Also for longer than the server keeps the slot for this reader."""
        self.forwarder.freeze()
        time.sleep(self.chance.choice([0.3, 1, 6]))
        self.forwarder.thaw()

    def kill_walsender(self):
        with contextlib.suppress(psycopg2.Error):
            pids = [row[0] for row in self.cluster.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'")]
            signal_all(pids, signal.SIGKILL)
        self.wait_for(self.cluster)

    def kill_source(self):
        self.end(self.cluster)
        self.cluster.start()

    def end(self, cluster):
        if self.chance.random() < 0.5:
            cluster.stop("immediate")
        else:
            cluster.kill()

    def kill_target(self):
        self.end(self.target)
        self.pause(0, 2)
        self.target.start()

    def restart_target(self):
        self.target.stop("fast")
        self.pause(0, 1)
        self.target.start()

    def freeze_target(self):
        """For less time, or for more, than the sink waits."""
        self.target.freeze()
        self.pause(0.3, 4)
        self.target.thaw()

    def sessions(self):
        with contextlib.suppress(psycopg2.Error):
            return [row[0] for row in self.target.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'walspout'")]
        return []

    def freeze_sessions(self):
        """Others of the target go on, such as the process that a sink that comes again asks to end the old session."""
        pids = self.sessions()
        signal_all(pids, signal.SIGSTOP)
        self.pause(0.3, 4)
        signal_all(pids, signal.SIGCONT)

    def kill_session(self):
        """The target treats that as a crash."""
        signal_all(self.sessions()[:1], signal.SIGKILL)
        self.wait_for(self.target)

    def terminate_sessions(self):
        for _ in range(self.chance.choice([1, 5])):
            signal_all(self.sessions(), signal.SIGTERM)
            time.sleep(self.chance.choice([0, 0.05, 0.2]))

    def cut_target(self):
        for _ in range(self.chance.choice([1, 5])):
            self.proxy.cut()
            time.sleep(self.chance.choice([0, 0.05, 0.2]))

    def sever_target(self):
        self.proxy.sever()
        self.pause(0.3, 2)
        self.proxy.heal()

    def lose_target(self):
        """No end of a connection is sent."""
        self.chance.choice([self.proxy.blackhole, self.proxy.half_open])()
        self.pause(0.5, 4)
        self.proxy.heal(cut=self.chance.random() < 0.7)

    def lock_target(self):
        """Another session locks tables that the sinks change."""
        with contextlib.suppress(psycopg2.Error):
            connection = self.target.connect(self.name, autocommit=False, options="-c lock_timeout=1s")
            with contextlib.closing(connection), connection.cursor() as cursor:
                for name in self.chance.sample([spec.name for spec in SPECS], 3):
                    with contextlib.suppress(psycopg2.errors.UndefinedTable):
                        cursor.execute(f"SAVEPOINT one; LOCK TABLE {self.chance.choice(MODES)}.{name} IN ACCESS EXCLUSIVE MODE")
                        continue
                    cursor.execute("ROLLBACK TO one")
                self.pause(0.3, 3)

    def fill_disk(self):
        """No space is left for the target's files and its WAL."""
        self.stage.disk.fill(None, self.chance.choice([0, 200_000, 1_000_000]))
        self.pause(0.5, 3)
        self.stage.disk.free(None)
        self.revive_target()

    def limit_files(self):
        """Files of tables cannot grow; with the lower limit, the WAL cannot be written either, which ends the server."""
        limit = self.chance.choice([SEGMENT << 20, SEGMENT << 20, SEGMENT << 19])
        self.limit(limit)
        # More than a file may have.
        with contextlib.suppress(pg.ServerError):
            self.db.psql("INSERT INTO bag SELECT i, 0, nextval('versions'), md5(i::text) FROM generate_series(1, 20000) i")
        self.pause(1, 3)
        self.limit("unlimited")
        self.revive_target()

    def limit(self, size):
        # As the user of the processes, whose limits even root may not be allowed to set. Some may be gone.
        for pid in self.target.pids() + self.target.pids():     # processes that began meanwhile
            subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={size}:"], stderr=subprocess.DEVNULL,
                           **self.stage.work.as_user())

    def revive_target(self):
        def revived():
            if not self.target.running():
                self.target.kill()      # what is left of it
                self.target.start()
            return self.answers(self.target)
        pg.wait_until(revived, 90, 0.1, "target that answers")

    FAULTS = {"kill-forwarder": kill_forwarder, "end-forwarder": end_forwarder, "freeze-forwarder": freeze_forwarder,
              "kill-walsender": kill_walsender, "kill-source": kill_source, "kill-target": kill_target,
              "restart-target": restart_target, "freeze-target": freeze_target, "freeze-sessions": freeze_sessions,
              "kill-session": kill_session, "terminate-sessions": terminate_sessions, "cut-target": cut_target,
              "sever-target": sever_target, "lose-target": lose_target, "lock-target": lock_target,
              "disk-full": fill_disk, "file-too-large": limit_files}
    NEEDS_MOUNT = ("disk-full",)

    def pause(self, least, most):
        """Within a fault. The forwarder may be killed meanwhile."""
        seconds = self.chance.uniform(least, most)
        if self.chance.random() < 0.25:
            time.sleep(seconds / 2)
            self.kill_forwarder()
            seconds /= 2
        time.sleep(seconds)

    def torture(self):
        self.db.psql("".join(tables.insert(spec, f"generate_series(1, {tables.ROWS}, 2)") for spec in SPECS))
        for number in range(3):
            self.writers.append(Writer(self.cluster, self.name, self.seed * 10 + number, SPECS, self.stop, self.gate))
        self.writers.append(threading.Thread(target=self.write_long, args=(random.Random(self.seed + 1),), daemon=True))
        for writer in self.writers:
            writer.start()
        applicable = [name for name in self.FAULTS if self.stage.disk.mounted or name not in self.NEEDS_MOUNT]
        end, waiting = time.monotonic() + self.seconds, []
        while time.monotonic() < end:
            if not waiting:
                waiting = [*applicable]
                self.chance.shuffle(waiting)
            name = waiting.pop()
            self.note(f"begin {name}")
            self.FAULTS[name](self)
            self.faults[name] += 1
            self.note(f"end {name}")
            if not self.forwarder.running():
                raise Failure(f"the forwarder ended with {self.forwarder.process.returncode}:\n{self.forwarder.log_tail(15)}")
            time.sleep(self.chance.uniform(0, 0.9))
        time.sleep(0.3)
        self.stop.set()
        for writer in self.writers:
            writer.join(60)
            if getattr(writer, "failed", None):
                raise Failure(f"a writer failed: {writer.failed!r}")
        self.note("the writers have ended")

    def write_long(self, chance):
        """Transactions that change many rows, some of them many times."""
        while not self.stop.is_set():
            spec = chance.choice(SPECS)
            sql = chance.choice([
                f"INSERT INTO bag SELECT i % 50, 0, nextval('versions'), md5(i::text) FROM generate_series(1, {chance.randrange(3000)}) i",
                f"UPDATE {spec.name} SET n = n + 1, v = nextval('versions'); " * chance.choice([1, 2])
                + tables.insert(spec, f"generate_series(1, {tables.ROWS})", 10),
                f"DELETE FROM {spec.name}; " + tables.insert(spec, f"generate_series(1, {tables.ROWS}, 3)", 10)])
            with contextlib.suppress(psycopg2.Error):
                connection = self.cluster.connect(self.name, autocommit=False, connect_timeout=5,
                                                  options="-c lock_timeout=1s -c deadlock_timeout=50ms")
                with contextlib.closing(connection):
                    connection.cursor().execute(sql)
                    connection.commit()
            self.stop.wait(chance.choice([0.05, 0.3, 1]))

    @staticmethod
    def answers(cluster):
        with contextlib.suppress(psycopg2.Error):
            return cluster.value("SELECT 1")

    def wait_for(self, cluster):
        pg.wait_until(lambda: self.answers(cluster), 60, what="server that answers")

    def heal(self):
        self.proxy.heal()
        self.target.thaw()
        self.limit("unlimited")
        if self.stage.disk.mounted:
            self.stage.disk.free(None)
        self.revive_target()
        if not self.cluster.running():
            self.cluster.start()
        self.wait_for(self.cluster)

    # The end

    def finish(self):
        self.heal()
        for (name,) in self.cluster.query("SELECT gid FROM pg_prepared_xacts", self.name):
            self.cluster.query("COMMIT PREPARED %s", self.name, (name,))
        start = time.monotonic()
        self.db.psql("INSERT INTO last VALUES (1)")
        try:
            pg.wait_until(self.all_arrived, CATCH_UP, 0.1, "last row in all modes")
        except TimeoutError as error:
            raise Failure(f"{error}\n{self.forwarder.log_tail(15)}") from None
        finally:
            self.catch_up = time.monotonic() - start
        code = self.forwarder.terminate(40)
        if code:
            raise Failure(f"the forwarder ended with {code} on SIGTERM:\n{self.forwarder.log_tail(15)}")
        self.check()

    def all_arrived(self):
        if not self.forwarder.running():
            raise Failure(f"the forwarder ended with {self.forwarder.process.returncode}:\n{self.forwarder.log_tail(15)}")
        return all(self.target.value("SELECT to_regclass(%s) IS NOT NULL", self.name, (f"{mode}.last",))
                   and self.target.value(f"SELECT 1 FROM {mode}.last", self.name) for mode in MODES)

    def check(self):
        at = MICROSECONDS.format("pg_xact_commit_timestamp(c.xmin)")
        changes = [model.Change(*row) for row in self.cluster.query(
            f"SELECT n, xid::text::bigint, {at}, tbl, op, old::text, new::text FROM truth.changes c ORDER BY n", self.name)]
        self.changes = len(changes)
        wanted = model.replay(changes, KEYS)
        for name, columns in KEYS.items():
            rows = [row[0] for row in self.cluster.query(f"SELECT truth.short(to_jsonb(t))::text FROM {name} t", self.name)]
            if columns:
                self.findings += model.compare(f"{name}: what was noted in the source", rows, wanted[name].clone())
                self.findings += model.compare(f"{name}: clone", rows, self.found("clone", name))
                versions = self.versions(name)
                self.findings += model.compare(f"{name}: history", wanted[name].history(), versions)
                self.findings += model.gaps(f"{name}: history", versions, columns)
            self.findings += model.compare(f"{name}: append", wanted[name].append(), self.found("append", name, "gone_at"))
        positions = [row[0] for row in self.target.query("SELECT sink FROM walspout.positions ORDER BY 1", self.name)]
        if positions != sorted(MODES):
            self.findings.append(f"there are positions of {positions}")
        rejected = [line for line in self.forwarder.log().splitlines() if "was rejected" in line]
        self.findings += [f"an event was rejected: {line[:400]}" for line in rejected[:model.SHOWN]]

    def found(self, mode, name, time_column=None):
        if not self.target.value("SELECT to_regclass(%s) IS NOT NULL", self.name, (f"{mode}.{name}",)):
            return []
        row = ROW.format(more=time_column or "")
        if not time_column:
            return [one[0] for one in self.target.query(f"SELECT {row} FROM {mode}.{name} t", self.name)]
        return self.target.query(f"SELECT {row}, {MICROSECONDS.format(time_column)} FROM {mode}.{name} t", self.name)

    def versions(self, name):
        if not self.target.value("SELECT to_regclass(%s) IS NOT NULL", self.name, (f"history.{name}",)):
            return []
        row = ROW.format(more="version_id,version_start,version_end,version_deleted")
        end = f"CASE WHEN isfinite(version_end) THEN {MICROSECONDS.format('version_end')} END"
        return [model.Version(*one) for one in self.target.query(
            f"SELECT {row}, {MICROSECONDS.format('version_start')}, {end}, version_deleted FROM history.{name} t", self.name)]

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
        for cluster, mode in ((self.cluster, "truth"), *((self.target, mode) for mode in MODES)):
            with contextlib.suppress(pg.ServerError), open(os.path.join(self.kept, f"{mode}.sql"), "w") as f:
                f.write(cluster._run("pg_dump", "-n", mode, self.name))
        for cluster in (self.cluster, self.target):
            shutil.copy(cluster.log_path, self.kept)

    def clean(self):
        with contextlib.suppress(psycopg2.Error):
            for (name,) in self.cluster.query("SELECT gid FROM pg_prepared_xacts", self.name):
                self.cluster.query("ROLLBACK PREPARED %s", self.name, (name,))
        self.cluster.dropdb(self.name)
        self.target.dropdb(self.name)
        # Each run has origins of its own.
        self.target.psql("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")
        shutil.rmtree(self.folder, ignore_errors=True)
