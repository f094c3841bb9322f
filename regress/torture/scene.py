"""One run: servers, proxies, the forwarder, a workload, faults, and the check at the end."""

import collections
import concurrent.futures
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

from harness import postgres as pg
from harness.forwarder import Walspout
from harness.processes import signal_all
from harness.proxy import Proxy
from torture import checker, faults, standby, truth
from torture.disk import Disk, size
from torture.rotation import Rotated
from torture.servers import Kafka, Nats, Programs, RabbitMQ, Redis, Webhook
from torture.source import Source

CLOCK = os.path.join(pg.TOP, "build", "torture", "clock_preload.so")
FAILED = os.path.join(pg.TOP, "build", "torture", "failed")
SINKS = ("redis", "http", "rabbitmq", "nats", "exec", "file")
ASKED_FOR = ("kafka", "kafka-once")     # whose broker takes long to start: only where they are named
CATCH_UP = 180          # seconds, after all has healed
REJECTED = '"table":"named"'
AFTER = 3               # failed attempts of one event until it is a dead letter, if that event is the cause

# The forwarder must detect a silent server within a short run.
CONF = {"wal_sender_timeout": "5s", "max_wal_size": "4GB", "checkpoint_timeout": "30s",
        "autovacuum_naptime": "1s", "logical_decoding_work_mem": "1MB", "fsync": "on"}


def host_of(name):
    """What the forwarder calls a server."""
    return f"{name}.walspout.test"


class Failure(Exception):
    """The run did not end as it must; the text says how."""


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
        makers = {"redis": Redis, "http": Webhook, "rabbitmq": RabbitMQ, "nats": Nats, "kafka": Kafka}
        self.proxies = {"postgres": Proxy(self.socket_of(self.cluster))}
        for name in faults.parts(sinks):
            if name in makers:
                self.servers[name] = makers[name](work)
                self.proxies[name] = Proxy(self.servers[name].port)
        if "kafka" in self.servers:
            self.servers["kafka"].advertise(f"{host_of('kafka')}:{self.proxies['kafka'].port}")
        for server in self.servers.values():
            server.start()
        if "exec" in sinks:
            self.servers["exec"] = Programs(work)
        for proxy in self.proxies.values():
            work.at_exit(proxy.close)


    @property
    def version(self):
        return self.cluster.installation.major

    @staticmethod
    def socket_of(cluster):
        return f"{cluster.host}/.s.PGSQL.{cluster.port}"


class Tortured(Walspout):
    """The program under test, which ends only when it is told to."""

    def __init__(self, folder, config, clock, names):
        super().__init__(folder, config)
        self.env = {"WALSPOUT_CLOCK": clock, "WALSPOUT_NAMES": names, "LD_PRELOAD": CLOCK}

    def start(self):
        """Does not wait: faults hit it at any moment."""
        self.launch()

    def is_dead(self):
        return self.process.poll() is not None

    def check(self):
        """It must not have ended by itself."""
        if self.is_dead():
            raise Failure(f"the forwarder ended with {self.process.returncode}:\n{self.log_tail(15)}")

    def kill(self):
        self.check()
        super().kill()

    def end(self, timeout=30):
        """SIGTERM, after which it must end well."""
        self.check()
        try:
            code = self.terminate(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"the forwarder does not end on SIGTERM:\n{self.log_tail(15)}") from None
        # Before the program handles signals, they end it as they end any program.
        if code and not (code == -signal.SIGTERM and not self.log(self.begin)):
            raise Failure(f"the forwarder ended with {code} on SIGTERM:\n{self.log_tail(15)}")

    def hang_up(self):
        """SIGHUP, unless it has just been started: before it takes signals they end it."""
        if self.log(self.begin):
            signal_all(self.pids(), signal.SIGHUP)

    def clean(self):
        super().kill()


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
    def __init__(self, stage, seed, seconds, patterns=(), sources=None):
        self.stage = stage
        self.cluster, self.servers = stage.cluster, stage.servers   # the server that is read
        self.leader = standby.Leader(stage.cluster)                 # the one that is written to
        self.proxies, self.disk = stage.proxies, stage.disk
        self.seed = seed
        self.seconds = seconds
        self.patterns = patterns
        self.chance = random.Random(seed)
        self.name = f"torture_{seed}"
        self.folder = stage.work.mkdir(f"run_{seed}")
        self.clock = os.path.join(self.folder, "clock")
        self.names = os.path.join(self.folder, "names")     # of the proxies, as the forwarder knows them
        self.naming = threading.Lock()
        self.dead_letters = os.path.join(self.disk.folder, f"dead_{seed}.jsonl")
        self.state = os.path.join(self.disk.folder, f"state_{seed}")
        self.diary = []
        self.started = time.monotonic()
        self.outcome = Outcome(seed)
        self.forwarder = None
        # One of three runs of five has two, where no option says how many.
        count = sources or (2 if seed // 5 % 3 == 2 else 1)
        self.sources = [Source(self.name if i == 0 else f"{self.name}_{i + 1}", i) for i in range(count)]
        self.files = {source.number: Rotated(self.file(source), self.folder) for source in self.sources}
        # What differs between runs besides the faults. Settings that decide whether some code runs at all differ
        # between consecutive seeds. Six seeds combine all lanes with all pipelines.
        self.lanes = [1, 4][seed % 2]
        self.pipelines = [1, 2, 4][seed % 3]
        # The disk under the dead letters fills up as well, where that is what a run is about.
        self.rejects = "http" in self.servers and (seed // 3 % 2 == 1 or "disk-full" in patterns)
        self.moody = seed // 2 % 2 == 1
        self.batch = self.chance.choice([1, 20, 100])
        self.memory = self.chance.choice(["1MiB", "4MiB", "64MiB"])
        self.unanswered = [50, 1000][seed % 2]
        # Longer, and shorter, than faults last.
        self.patience = self.chance.choice(["1500ms", "5s"])
        self.drain = self.chance.choice(["500ms", "5s"])
        # With small messages most transactions come in several.
        self.batch_bytes = self.chance.choice(["1KiB", "64KiB"])
        # A request for each event is slow.
        one = "http" in self.servers and self.batch == 1
        self.rows = self.chance.choice([500, 2000] if one else [500, 2000, 10_000])
        self.long = 4 * self.rows       # of a transaction that is to be cut
        self.retry_max = 0.5
        self._set_for_its_faults()

    def _set_for_its_faults(self):
        """A run of one kind of fault alone shows more when the rest is quiet."""
        if self.is_only_about("rabbitmq-alarm"):
            self.patience = "1500ms"    # shorter than the alarm
            self.rows, self.moody = 500, False
        if self.is_only_about("long-transaction-cut"):
            self.rows, self.long, self.moody = 500, 40_000, False
            self.batch, self.retry_max = 100, 5

    def is_only_about(self, name):
        return self.patterns == [name]

    @property
    def slots(self):
        return [slot for source in self.sources for slot in source.slots]

    def program_file(self, source):
        return self.servers["exec"].file(f"events_{source.db}.jsonl")

    def file(self, source):
        return os.path.join(self.disk.folder, f"events_{source.db}.jsonl")

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
            for source in self.sources:
                for watch in source.watches.values():
                    watch.stop()
        if self.outcome.findings:
            self.keep()
        self.clean()
        return self.outcome

    def prepare(self):
        with open(self.clock, "wb") as f:
            f.write(bytes(16))
        self.write_names()
        for source in self.sources:
            source.make(self.leader)
        for name in {"rabbitmq", "nats"} & self.servers.keys():
            self.servers[name].declare(self.name)
        for name in {"kafka", "kafka-once"} & set(self.stage.sinks):
            self.servers["kafka"].declare(self.topic(name))
        if "http" in self.servers:
            self.servers["http"].rejected = REJECTED if self.rejects else None
            self.servers["http"].moods = faults.moods(self.chance) if self.moody else []
            self.servers["http"].behave({})
        self.forwarder = Tortured(self.folder, self.config(), self.clock, self.names)
        if any(pattern == "promote-postgres" for pattern in self.patterns):
            self.read_a_standby()
        else:
            self.start_reading()
        self.watch()
        for source in self.sources:
            count = len(self.sources)
            source.write(self.leader, self.seed, self.folder, self.rows, 4 - count, 100 // count)

    def start_reading(self):
        for source in self.sources:
            truth.make_slots(self.cluster, source.db)
        self.forwarder.start()

        def streaming():
            self.forwarder.check()
            return self.readers_so_far() >= len(self.slots)
        pg.wait_until(streaming, 60, what="forwarder that streams")

    def read_a_standby(self):
        self.cluster = standby.make(self.leader.cluster, self.name)
        self.proxies["postgres"].target = self.stage.socket_of(self.cluster)
        with standby.running_transactions(self.leader.cluster):
            self.start_reading()

    def watch(self):
        for source in self.sources:
            reach = {"redis": lambda: self.servers["redis"].reach(),
                     "rabbitmq": lambda: self.servers["rabbitmq"].reach(self.name),
                     "nats": lambda: self.servers["nats"].reach(self.name),
                     **{name: lambda name=name: self.servers["kafka"].reach(self.topic(name))
                        for name in ("kafka", "kafka-once")},
                     "http": lambda: size(self.servers["http"].requests),
                     "exec": lambda source=source: size(self.program_file(source)),
                     "file": self.files[source.number].size}
            source.watch(self.cluster, self.stage.sinks, reach, lambda: size(self.dead_letters))

    def torture(self):
        parts = faults.parts(self.stage.sinks)
        if self.rejects and "file" not in parts:
            parts.append("file")
        apply, _ = faults.without_those_too_new(faults.chosen(parts, self.patterns),
                                                self.stage.version)
        schedule = faults.Schedule(self, apply, self.chance, self.seconds)
        for source in self.sources:
            source.workload.start()
        try:
            schedule.run(self.seconds, self.note)
        finally:
            for source in self.sources:
                source.workload.stop()
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
            server.thaw()
        if "http" in self.servers:
            self.servers["http"].moods = []
            self.servers["http"].behave({})
        self.disk.free(self.forwarder.process.pid)
        self.wait_for_postgres()
        self.promote()      # if nothing was: a standby takes no end of a transaction
        self.note("all is healed")

    def finish(self):
        for source in self.sources:
            source.workload.settle()
        start = time.monotonic()
        try:
            for slot in self.slots:
                self.wait_for(slot)
        finally:
            self.outcome.catch_up = time.monotonic() - start
            self.note("end of the wait")
        self.forwarder.end()
        for watch in [watch for source in self.sources for watch in source.watches.values()]:
            watch.stop()
            if watch.error or not watch.looks:
                raise Failure(f"the watch of {watch.slot} saw nothing: {watch.error}")
        self.outcome.findings = self.check()

    def wait_for(self, slot):
        end = pg.lsn(self.cluster.current_lsn())

        def delivered():
            self.forwarder.check()
            stops = [line for line in self.forwarder.log().splitlines() if 'msg="pipeline stops"' in line]
            if stops:
                raise Failure("a pipeline stopped:\n" + "\n".join(stops))
            state = self.cluster.slot(slot)
            return state and pg.lsn(state["confirmed_flush_lsn"]) >= end
        try:
            pg.wait_until(delivered, CATCH_UP, every=0.1, what=f"slot {slot} that has caught up")
        except TimeoutError as error:
            raise Failure(f"{error}: {self.cluster.slot(slot)}\n{self.forwarder.log_tail(15)}") from None

    def check(self):
        for source in self.sources:
            source.ask(self.cluster)
        ids = [source.ids() for source in self.sources]
        arrived = self.arrivals()
        aside = self.set_aside()
        found = []
        for source in self.sources:
            others = set().union(*(other for i, other in enumerate(ids) if i != source.number))

            def mine(arrivals):
                return checker.of_source(arrivals, ids[source.number], others)
            sinks = [self.sink(source, name, mine(arrived[name, source.number]), mine(aside[name]))
                     for name in self.stage.sinks]
            self.outcome.events += len(source.documents)
            for sink in sinks:
                self.count(sink)
            findings = source.check(sinks)
            if findings:
                self.write_down(source, sinks)
            found += findings
        return found

    def count(self, sink):
        name = sink.name.split("/")[0]
        self.outcome.arrivals[name] += len(sink.arrivals)
        self.outcome.looks += len(sink.looks)
        self.outcome.redeliveries[name] += (
            len(sink.arrivals) - len({arrival.id for arrival in sink.arrivals}))
        self.outcome.dead_letters += len({arrival.id for arrival in sink.set_aside})

    def write_down(self, source, sinks):
        """What a finding is made of, for a person."""
        end = f".{source.number + 1}" if source.number else ""
        self.write(f"documents{end}", source.documents)
        for name, watch in source.watches.items():
            self.write(f"looks.{name}{end}", [str(look).encode() for look in watch.looks])
        for sink in sinks:
            self.write(f"arrivals.{sink.name.replace('/', '.')}",
                       [f"{arrival.stream} {arrival.id} ".lstrip().encode() + arrival.document
                        for arrival in sink.arrivals])

    def arrivals(self):
        """{(sink, number of the source): arrivals}. Several sources share the receivers; each has a file."""
        found = {}
        for name in self.stage.sinks:
            shared = None
            if name == "redis":
                shared = self.servers[name].arrivals()
            elif name in ("rabbitmq", "nats"):
                shared = self.servers[name].arrivals(self.name)
            elif name in ("kafka", "kafka-once"):
                shared = self.servers["kafka"].arrivals(self.topic(name))
            elif name == "http":
                shared = self.servers[name].arrivals()
            for source in self.sources:
                if name == "exec":
                    with open(self.program_file(source), "rb") as f:
                        found[name, source.number] = checker.file_arrivals(f.read())
                elif shared is None:
                    found[name, source.number] = checker.file_arrivals(
                        self.files[source.number].content())
                else:
                    found[name, source.number] = shared
        return found

    def sink(self, source, name, arrivals, aside):
        """With what is promised."""
        made = checker.Sink(source.called(name), arrivals, set_aside=aside, again=self.budget(),
                            looks=source.watches[name].looks)
        if name in ("redis", "nats"):       # outages are shorter than a stream's duplicate window
            return made._replace(once=True)
        if name == "kafka-once":
            return made._replace(once=True)
        if name == "kafka":
            return made._replace(late=True, total=False)
        if name == "rabbitmq":
            # If an alarm is the only fault of a run, nothing delays data in flight.
            return made._replace(late=not self.is_only_about("rabbitmq-alarm"))
        if name == "http":
            return made._replace(late=True, total=self.lanes == 1,
                                 refused=REJECTED.encode() if self.rejects else None)
        return made

    def budget(self):
        """How many copies the faults explain. If receivers die or connections to them break there is no bound: a
        transaction may begin again at each restart."""
        if self.is_only_about("rabbitmq-alarm") or self.is_only_about("long-transaction-cut"):
            # A receiver that the machine delays for longer than a timeout gets a batch again.
            return 1024
        return None

    def set_aside(self):
        """{sink: the dead letters, as they would have arrived}"""
        found, place = collections.defaultdict(list), 0
        if os.path.exists(self.dead_letters):
            with open(self.dead_letters, "rb") as f:
                for line in f.read().split(b"\n"):
                    place += len(line) + 1
                    try:
                        letter = json.loads(line)
                    except ValueError:
                        continue        # cut short by a kill; it was written again
                    document = line[line.index(b'"document":') + len(b'"document":'):-1]
                    found[letter["sink"]].append(checker.Arrival(letter["id"], document, place))
        return found

    # What it is made of

    def config(self):
        text, number = "pipelines:\n", 0
        for source in self.sources:
            sinks = self.sinks(source)
            mine = [sinks[name] for name in self.stage.sinks]
            for group in range(min(self.pipelines, len(mine))):
                slot = f"{source.db}_{group}"
                source.slots.append(slot)
                text += self.pipeline(f"p{number}", source.db, slot,
                                      "".join(mine[group::self.pipelines]))
                number += 1
        os.mkdir(self.state)
        return text + f"drain: {self.drain}\nstate: {self.state}\n"

    def pipeline(self, name, db, slot, sinks):
        return f"""\
  - name: {name}
    source:
      dsn: host={host_of('postgres')} port={self.proxies['postgres'].port} user={pg.SUPERUSER} dbname={db}
      slot: {slot}
      batch_bytes: {self.batch_bytes}
    memory: {self.memory}
    retry: {{initial: 20ms, max: {self.retry_max * 1000:.0f}ms}}
    dead_letter: {{path: {self.dead_letters}, after: {AFTER}}}
    sinks:
{sinks}"""

    def sinks(self, source):
        # With one source, one stream has all events in order. With two sources, each uses the default streams.
        stream = f"        stream: {self.name}\n" if len(self.sources) == 1 else ""
        return {
            "redis": f"""\
      - type: redis
        url: redis://{host_of('redis')}:{self.port('redis')}
{stream}\
        connect_timeout: 2s
        deliver_timeout: {self.patience}
""",
            "http": f"""\
      - type: http
        url: https://{host_of('http')}:{self.port('http')}/
        tls: {{ca_file: {self.servers['http'].ca_file if 'http' in self.servers else ''}}}
        lanes: {self.lanes}
        batch: {{events: {self.batch}}}
        connect_timeout: 2s
        timeout: {'1s' if self.patience == '1500ms' else '2s'}
        deliver_timeout: {self.patience}
""",
            "rabbitmq": f"""\
      - type: rabbitmq
        url: amqp://guest:guest@{host_of('rabbitmq')}:{self.port('rabbitmq')}/
        exchange: {self.name}
        heartbeat: 4s
        connect_timeout: 2s
        deliver_timeout: {self.patience}
""",
            "exec": f"""\
      - type: exec
        command: [{sys.executable}, -B, {self.servers['exec'].program}, {self.program_file(source)}]
        env: {{LD_PRELOAD: ""}}
        unanswered: {self.unanswered}
        grace: 500ms
        deliver_timeout: {self.patience}
""" if "exec" in self.servers else "",
            "nats": f"""\
      - type: nats
        servers: ["nats://{host_of('nats')}:{self.port('nats')}"]
        subject:
          tables: {{message: {self.name}.message}}
          fallback: "{self.name}.{{schema}}.{{table}}"
        id_prefix: "{source.number}:"
        heartbeat: 4s
        ack_timeout: 5s
        connect_timeout: 2s
        deliver_timeout: {self.patience}
""" if "nats" in self.servers else "",
            "kafka": self.kafka("kafka"),
            "kafka-once": self.kafka("kafka-once", "        exactly_once: true\n        create_topics: {}\n"),
            "file": f"""\
      - type: file
        path: {self.file(source)}
        deliver_timeout: {self.patience}
"""}

    def topic(self, name):
        """Of a Kafka sink."""
        return self.name.replace("torture", name)

    def kafka(self, name, more=""):
        return f"""\
      - type: kafka
        name: {name}
        brokers: ["{host_of('kafka')}:{self.port('kafka')}"]
        topic: {self.topic(name)}
        connect_timeout: 2s
        deliver_timeout: {self.patience}
        librdkafka: {{socket.timeout.ms: 4000, transaction.timeout.ms: 5000}}
{more}"""

    def port(self, name):
        return self.proxies[name].port if name in self.proxies else 0

    # What faults need

    def write_names(self):
        # Faults move several servers at once.
        with self.naming:
            with open(self.names + ".new", "w") as f:
                f.writelines(f"{host_of(name)} {proxy.address}\n" for name, proxy in self.proxies.items())
            os.rename(self.names + ".new", self.names)

    def move(self, name, chance):
        """A server that the forwarder knows by its name gets another address."""
        proxy = self.proxies[name]
        proxy.move(chance.choice(sorted({f"127.0.0.{i}" for i in range(1, 5)} - {proxy.address})))
        time.sleep(chance.choice([0, 0.3]))     # until the name says so
        self.write_names()

    def readers_so_far(self):
        """How often a pipeline started to stream its slot."""
        return self.forwarder.log().count("msg=streaming")

    def promote(self):
        """Promotes the standby, once in a run of a standby; whether that happened. The stream goes on, and later the
        forwarder must reconnect, to a server with a new timeline."""
        if self.cluster is self.leader.cluster:
            return False
        old = self.leader.cluster
        if not old.stop("fast"):
            raise Failure("the primary did not stop, although a standby alone reads it")
        if not self.cluster.value("SELECT pg_promote()"):
            raise Failure("the standby could not be promoted")
        self.leader.cluster = self.stage.cluster = self.cluster
        self.note("promoted")
        shutil.rmtree(old.data)
        self.wait_until_behind(self.cluster.current_lsn(), 20)
        signal_all([pid for slot in self.slots if (pid := self.cluster.walsender(slot))],
                          signal.SIGTERM)
        return True

    def wait_until_behind(self, position, timeout):
        """Waits until all slots are confirmed up to that LSN, or the time is over."""
        def behind():
            self.leader.query("SELECT pg_logical_emit_message(false, 'turn', '')", self.sources[0].db)
            return all(pg.lsn(self.cluster.slot(slot)["confirmed_flush_lsn"]) > pg.lsn(position)
                       for slot in self.slots)
        with contextlib.suppress(TimeoutError):
            pg.wait_until(behind, timeout, every=0.2)

    def walsenders(self, chance):
        """One of the processes that feed the forwarder, in a list; none if there is none now."""
        try:
            pids = [pid for slot in self.slots if (pid := self.cluster.walsender(slot))]
        except psycopg2.Error:
            return []
        return [chance.choice(pids)] if pids else []

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
        for path in (self.dead_letters, self.cluster.log_path,
                     *(self.file(source) for source in self.sources),
                     *(server.log_path for server in self.servers.values()),
                     *(server.requests for name, server in self.servers.items() if name == "http")):
            if os.path.exists(path):
                shutil.copy(path, target)
        self.outcome.folder = target

    def clean(self):
        if self.cluster is not self.leader.cluster:     # it was not promoted
            self.cluster.stop("immediate")
            self.cluster = self.leader.cluster
            self.proxies["postgres"].target = self.stage.socket_of(self.cluster)
            self.cluster.query("SELECT pg_drop_replication_slot(%s)", args=(self.name,))
        for source in self.sources:
            for (name,) in self.cluster.query("SELECT gid FROM pg_prepared_xacts", source.db):
                self.cluster.query("ROLLBACK PREPARED %s", source.db, (name,))
            self.cluster.dropdb(source.db)
        if "redis" in self.servers:
            self.servers["redis"].forget()
        for name in {"rabbitmq", "nats"} & self.servers.keys():
            self.servers[name].forget(self.name)
        for name in {"http", "exec"} & self.servers.keys():
            self.servers[name].forget()
        for file in self.files.values():
            file.remove()
        if os.path.exists(self.dead_letters):
            os.unlink(self.dead_letters)
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
