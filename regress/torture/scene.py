"""One run: servers, proxies, the forwarder, a workload, faults, and the check in the end."""

import collections
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

import checker
import cluster as pg
import faults
import truth
from disk import Disk
from proxy import Proxy
from servers import RabbitMQ, Redis, Webhook, die_with_parent
from watch import Watch, size
from workload import SCHEMA, Workload

PROGRAM = os.environ.get("WALSPOUT") or os.path.join(pg.TOP, "build", "forwarder", "walspout")
CLOCK = os.path.join(pg.TOP, "build", "torture", "clock_preload.so")
FAILED = os.path.join(pg.TOP, "build", "torture", "failed")
SINKS = ("redis", "http", "rabbitmq", "file")
CATCH_UP = 180          # seconds, after all has healed
REJECTED = '"table":"named"'

# The server that stopped answering is to be found out within a short run.
CONF = {"wal_sender_timeout": "5s", "max_wal_size": "4GB", "checkpoint_timeout": "30s",
        "autovacuum_naptime": "1s", "logical_decoding_work_mem": "1MB", "fsync": "on"}


class Failure(Exception):
    """The run did not end as it must; says how."""


class Stage:
    """The servers, which several runs use one after the other."""

    def __init__(self, work, sinks):
        self.work = work
        self.sinks = sinks
        self.cluster = pg.Cluster(pg.Installation(work), conf=CONF)
        self.cluster.start()
        self.servers = {}
        self.disk = Disk(work)
        # Servers end with the thread that started them: these stay.
        self.threads = concurrent.futures.ThreadPoolExecutor(16)
        makers = {"redis": Redis, "http": Webhook, "rabbitmq": RabbitMQ}
        for name in sinks:
            if name in makers:
                self.servers[name] = makers[name](work).start()
        self.proxies = {"postgres": Proxy(f"{self.cluster.host}/.s.PGSQL.{self.cluster.port}")}
        for name, server in self.servers.items():
            self.proxies[name] = Proxy(server.port)
        for proxy in self.proxies.values():
            work.at_exit(proxy.close)


class Forwarder:
    """The program under test, which ends only when it is told to."""

    def __init__(self, folder, config, clock):
        self.config = os.path.join(folder, "walspout.yaml")
        with open(self.config, "w") as f:
            f.write(config)
        self.log_path = os.path.join(folder, "walspout.log")
        self.clock = clock
        self.process = None
        self.begin = 0          # of the log of this process

    def start(self):
        env = {**os.environ, "WALSPOUT_CLOCK": self.clock, "LD_PRELOAD": CLOCK}
        with open(self.log_path, "ab") as log:
            self.begin = log.tell()
            self.process = subprocess.Popen([PROGRAM, "run", self.config], env=env, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            preexec_fn=die_with_parent)

    def is_dead(self):
        return self.process.poll() is not None

    def check(self):
        """It must not have ended by itself."""
        if self.process.poll() is not None:
            raise Failure(f"the forwarder ended with {self.process.returncode}:\n{self.tail()}")

    def kill(self):
        self.check()
        self.process.kill()
        self.process.wait()

    def end(self, timeout=30):
        """SIGTERM, after which it must end well."""
        self.check()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"the forwarder does not end on SIGTERM:\n{self.tail()}") from None
        # Before it takes signals, they end it as they end any program.
        if code and not (code == -signal.SIGTERM and not self.log(self.begin)):
            raise Failure(f"the forwarder ended with {code} on SIGTERM:\n{self.tail()}")

    def clean(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self, start=0):
        with open(self.log_path, errors="replace") as f:
            f.seek(start)
            return f.read()

    def tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])


class Outcome:
    """What a run did and found."""

    def __init__(self, seed):
        self.seed = seed
        self.findings = []
        self.faults = collections.Counter()
        self.events = 0
        self.arrivals = collections.Counter()
        self.redeliveries = collections.Counter()
        self.dead_letters = 0
        self.seconds = 0.0
        self.looks = 0
        self.catch_up = 0.0     # seconds from the end of the faults until all was delivered
        self.folder = None

    def as_dict(self):
        return {"seed": self.seed, "events": self.events, "faults": dict(self.faults),
                "arrivals": dict(self.arrivals), "redeliveries": dict(self.redeliveries),
                "dead_letters": self.dead_letters, "looks": self.looks,
                "seconds": round(self.seconds, 1), "catch_up": round(self.catch_up, 1),
                "findings": [str(finding) for finding in self.findings], "folder": self.folder}


class Scene:
    def __init__(self, stage, seed, seconds, patterns=()):
        self.stage = stage
        self.cluster, self.servers = stage.cluster, stage.servers
        self.proxies, self.disk = stage.proxies, stage.disk
        self.seed = seed
        self.seconds = seconds
        self.patterns = patterns
        self.chance = random.Random(seed)
        self.db = f"torture_{seed}"
        self.folder = stage.work.mkdir(f"run_{seed}")
        self.clock = os.path.join(self.folder, "clock")
        self.dead_letters = os.path.join(self.disk.folder, f"dead_{seed}.jsonl")
        self.file = os.path.join(self.disk.folder, f"events_{seed}.jsonl")
        self.state = os.path.join(self.disk.folder, f"state_{seed}")
        self.diary = []
        self.started = time.monotonic()
        self.outcome = Outcome(seed)
        self.slots = []
        self.forwarder = None
        self.workload = None
        self.watches = {}       # sink: of its slot
        # What differs between runs beside the faults. What decides whether some code runs at all
        # differs between seeds that follow each other; six have all of lanes with all of pipelines.
        self.lanes = [1, 4][seed % 2]
        self.pipelines = [1, 2, 4][seed % 3]
        # The disk under the dead letters fills up as well, where that is what a run is about.
        self.rejects = "http" in self.servers and (seed // 3 % 2 == 1 or "disk-full" in patterns)
        self.moody = seed // 2 % 2 == 1
        self.batch = self.chance.choice([1, 20, 100])
        self.memory = self.chance.choice(["1MiB", "4MiB", "64MiB"])
        # Longer, and shorter, than faults last.
        self.patience = self.chance.choice(["1500ms", "5s"])
        self.drain = self.chance.choice(["500ms", "5s"])
        # With small messages most transactions come in several.
        self.batch_bytes = self.chance.choice(["1KiB", "64KiB"])
        # A request for each event is slow.
        one = "http" in self.servers and self.batch == 1
        self.rows = self.chance.choice([500, 2000] if one else [500, 2000, 10_000])

    # The run

    def run(self):
        """The outcome; what was found is in it. Nothing is left but the folder of a failure."""
        start = time.monotonic()
        try:
            self.prepare()
            self.torture()
            self.finish()
        except (Failure, TimeoutError, pg.ServerError, psycopg2.Error, OSError) as error:
            self.outcome.findings.append(f"{type(error).__name__}: {error}")
        finally:
            self.outcome.seconds = time.monotonic() - start
            if self.forwarder:
                self.forwarder.clean()
            for watch in self.watches.values():
                watch.stop()
        if self.outcome.findings:
            self.keep()
        self.clean()
        return self.outcome

    def prepare(self):
        with open(self.clock, "wb") as f:
            f.write(bytes(16))
        self.cluster.createdb(self.db)
        self.cluster.psql(SCHEMA, self.db)
        truth.make_slots(self.cluster, self.db)
        if "rabbitmq" in self.servers:
            self.servers["rabbitmq"].declare(self.db)
        if "http" in self.servers:
            self.servers["http"].rejected = REJECTED if self.rejects else None
            self.servers["http"].moods = faults.moods(self.chance) if self.moody else []
            self.servers["http"].behave({})
        self.forwarder = Forwarder(self.folder, self.config(), self.clock)
        self.forwarder.start()

        def streaming():
            self.forwarder.check()
            return self.forwarder.log().count("msg=streaming") >= len(self.slots)
        pg.wait_until(streaming, 60, what="forwarder that streams")
        self.watch()
        self.workload = Workload(self.cluster, self.db, self.seed, self.folder, rows=self.rows)

    def watch(self):
        reach = {"redis": lambda: self.servers["redis"].reach(self.db),
                 "rabbitmq": lambda: self.servers["rabbitmq"].reach(self.db),
                 "http": lambda: size(self.servers["http"].requests),
                 "file": lambda: size(self.file)}
        for number, name in enumerate(self.stage.sinks):
            slot = self.slots[number % len(self.slots)]
            self.watches[name] = Watch(self.cluster, slot, reach[name],
                                       lambda: size(self.dead_letters))

    def torture(self):
        parts = ["forwarder", "postgres", *self.stage.sinks]
        if self.rejects and "file" not in parts:
            parts.append("file")
        schedule = faults.Schedule(self, faults.chosen(parts, self.patterns), self.chance,
                                   self.seconds)
        self.workload.start()
        try:
            schedule.run(self.seconds, self.note)
        finally:
            self.workload.stop()
            self.heal()
        self.outcome.faults = schedule.count
        if schedule.errors:
            raise Failure("\n".join(schedule.errors))

    def heal(self):
        for proxy in self.proxies.values():
            proxy.heal()
        for name, server in self.servers.items():
            if not server.running():
                server.start()
            faults.signal_all(server.pids(), signal.SIGCONT)
        if "http" in self.servers:
            self.servers["http"].moods = []
            self.servers["http"].behave({})
        self.disk.free(self.forwarder.process.pid)
        self.wait_for_postgres()
        self.note("all is healed")

    def finish(self):
        self.workload.settle()
        start = time.monotonic()
        try:
            for slot in self.slots:
                self.wait_for(slot)
        finally:
            self.outcome.catch_up = time.monotonic() - start
            self.note("end of the wait")
        self.forwarder.end()
        for watch in self.watches.values():
            watch.stop()
            if watch.error or not watch.looks:
                raise Failure(f"the watch of {watch.slot} saw nothing: {watch.error}")
        self.outcome.findings = self.check()

    def wait_for(self, slot):
        end = pg.lsn(self.cluster.current_lsn())

        def delivered():
            self.forwarder.check()
            state = self.cluster.slot(slot)
            return state and pg.lsn(state["confirmed_flush_lsn"]) >= end
        try:
            pg.wait_until(delivered, CATCH_UP, every=0.1, what=f"slot {slot} that has caught up")
        except TimeoutError as error:
            raise Failure(f"{error}: {self.cluster.slot(slot)}\n{self.forwarder.tail()}") from None

    def check(self):
        changes = truth.changes(self.cluster, self.db)
        documents = truth.documents(self.cluster, self.db)
        sinks = self.arrivals()
        self.outcome.events = len(documents)
        for sink in sinks:
            self.outcome.arrivals[sink.name] = len(sink.arrivals)
            self.outcome.looks += len(sink.looks)
            self.outcome.redeliveries[sink.name] = (
                len(sink.arrivals) - len({arrival.id for arrival in sink.arrivals}))
            self.outcome.dead_letters += len({arrival.id for arrival in sink.set_aside})
        found = checker.check(documents, changes, truth.tables(self.cluster, self.db), sinks)
        if found:
            self.write("documents", documents)
            for name, watch in self.watches.items():
                self.write(f"looks.{name}", [str(look).encode() for look in watch.looks])
            for sink in sinks:
                self.write(f"arrivals.{sink.name}", [arrival.id.encode() + b" " + arrival.document
                                                     for arrival in sink.arrivals])
        return found

    def arrivals(self):
        sinks = []
        aside = self.set_aside()
        for name in self.stage.sinks:
            if name == "redis":
                sinks.append(checker.Sink(name, self.servers[name].arrivals(self.db), once=True))
            elif name == "rabbitmq":
                sinks.append(checker.Sink(name, self.servers[name].arrivals(self.db), late=True))
            elif name == "http":
                sinks.append(checker.Sink(name, self.servers[name].arrivals(), late=True,
                                          total=self.lanes == 1, set_aside=aside,
                                          refused=REJECTED.encode() if self.rejects else None))
            else:
                with open(self.file, "rb") as f:
                    sinks.append(checker.Sink(name, checker.file_arrivals(f.read())))
        return [sink._replace(looks=self.watches[sink.name].looks) for sink in sinks]

    def set_aside(self):
        """The dead letters, as they would have arrived."""
        found, place = [], 0
        if os.path.exists(self.dead_letters):
            with open(self.dead_letters, "rb") as f:
                for line in f.read().split(b"\n"):
                    place += len(line) + 1
                    try:
                        letter = json.loads(line)
                    except ValueError:
                        continue        # cut short by a kill; it was written again
                    if letter["sink"] != "http":    # only that refuses
                        continue
                    document = line[line.index(b'"document":') + len(b'"document":'):-1]
                    found.append(checker.Arrival(letter["id"], document, place))
        return found

    # What it is made of

    def config(self):
        sinks = {
            "redis": f"""\
      - type: redis
        url: redis://127.0.0.1:{self.port('redis')}
        stream: {self.db}
        connect_timeout: 2s
        deliver_timeout: {self.patience}
""",
            "http": f"""\
      - type: http
        url: http://127.0.0.1:{self.port('http')}/
        lanes: {self.lanes}
        batch: {{events: {self.batch}}}
        connect_timeout: 2s
        timeout: 2s
        deliver_timeout: {self.patience}
""",
            "rabbitmq": f"""\
      - type: rabbitmq
        url: amqp://guest:guest@127.0.0.1:{self.port('rabbitmq')}/
        exchange: {self.db}
        heartbeat: 4s
        connect_timeout: 2s
        deliver_timeout: {self.patience}
""",
            "file": f"""\
      - type: file
        path: {self.file}
        deliver_timeout: {self.patience}
"""}
        mine = [sinks[name] for name in self.stage.sinks]
        groups = ["".join(mine[i::self.pipelines]) for i in range(min(self.pipelines, len(mine)))]
        text = "pipelines:\n"
        for number, group in enumerate(groups):
            slot = f"{self.db}_{number}"
            self.slots.append(slot)
            text += f"""\
  - name: p{number}
    source:
      dsn: host=127.0.0.1 port={self.proxies['postgres'].port} user={pg.SUPERUSER} dbname={self.db}
      slot: {slot}
      batch_bytes: {self.batch_bytes}
    memory: {self.memory}
    retry: {{initial: 20ms, max: 500ms}}
    dead_letter: {{path: {self.dead_letters}}}
    sinks:
{group}"""
        os.mkdir(self.state)
        return text + f"drain: {self.drain}\nstate: {self.state}\n"

    def port(self, name):
        return self.proxies[name].port if name in self.proxies else 0

    # What faults need

    def walsenders(self, chance):
        """One of the processes that feed the forwarder, in a list; none if there is none now."""
        try:
            pids = [pid for slot in self.slots if (pid := self.cluster.walsender(slot))]
        except psycopg2.Error:
            return []
        return [chance.choice(pids)] if pids else []

    def postgres_pids(self):
        pid = self.cluster.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [pid, *(int(child) for child in f.read().split())]

    def wait_for_postgres(self):
        def answers():
            try:
                return self.cluster.value("SELECT 1")
            except psycopg2.Error:
                return None
        pg.wait_until(answers, 60, what="server that answers")

    def step_clock(self, seconds):
        faults.set_control(self.clock, "clock", seconds)

    def tear_write(self, on):
        faults.set_control(self.clock, "tear", int(on))

    # The diary, and what is left of a failure

    def note(self, text):
        self.diary.append(f"{time.monotonic() - self.started:7.3f} {text}")

    def write(self, name, lines):
        with open(os.path.join(self.folder, name), "wb") as f:
            f.writelines(line + b"\n" for line in lines)

    def keep(self):
        top = FAILED if os.access(pg.TOP, os.W_OK) else tempfile.mkdtemp(prefix="walspout.failed.")
        target = os.path.join(top, str(self.seed))
        self.write("diary", [line.encode() for line in self.diary])
        self.write("findings", [str(finding).encode() for finding in self.outcome.findings])
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder, target)
        for path in (self.dead_letters, self.file, self.cluster.log_path,
                     *(server.log_path for server in self.servers.values()),
                     *(server.requests for name, server in self.servers.items() if name == "http")):
            if os.path.exists(path):
                shutil.copy(path, target)
        self.outcome.folder = target

    def clean(self):
        self.cluster.dropdb(self.db)
        if "redis" in self.servers:
            self.servers["redis"].forget(self.db)
        if "rabbitmq" in self.servers:
            self.servers["rabbitmq"].forget(self.db)
        if "http" in self.servers:
            self.servers["http"].forget()
        for path in (self.dead_letters, self.file):
            if os.path.exists(path):
                os.unlink(path)
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
