"""The faults, and a schedule of faults that follows from a seed.

A fault begins, lasts, and heals; then its target works as before. Faults of one target
wait for each other, those of different targets overlap.
"""

import collections
import concurrent.futures
import contextlib
import fnmatch
import functools
import signal
import struct
import threading
import time
from typing import Callable, NamedTuple

from harness import processes
from harness.processes import signal_all

LONGEST = 3.0           # seconds
# A server must stop when it is told to, whatever its readers do. That takes a second or two and a checkpoint; much more
# on a busy machine. A server that waits for a receiver does not stop at all.
STOP = 25.0
PLENTY = 15             # connections of one pipeline to Postgres while its portion is never enough


class Promise(Exception):
    """A promise did not hold during a fault."""


class Fault(NamedTuple):
    name: str
    target: str         # faults of one target take turns
    begin: Callable     # begin(scene, chance) starts the fault; returns what heals it, or None if there was nothing to do
    spares: tuple = ()  # other targets without faults meanwhile
    least: float = 0    # seconds of the fault in a run that names it
    since: int = 0      # the first version of Postgres that the fault applies to
    why: str = ""       # what older versions lack
    called: bool = False    # whether the fault happens only when its name is requested


def _nothing():
    pass


def kill_forwarder(scene, chance):
    scene.forwarder.kill()
    scene.forwarder.start()
    return _nothing


def end_forwarder(scene, chance):
    scene.forwarder.end()
    scene.forwarder.start()
    return _nothing


def kill_walsender(scene, chance):
    """The server treats the loss of a process as a crash, and restarts all others."""
    signal_all(scene.walsenders(chance), signal.SIGKILL)
    return scene.wait_for_postgres


def terminate_walsender(scene, chance):
    signal_all(scene.walsenders(chance), signal.SIGTERM)
    return _nothing


def kill_postgres(scene, chance):
    if chance.random() < 0.5:
        scene.cluster.stop("immediate")
    else:
        scene.cluster.kill()
    time.sleep(chance.choice([0, 0.5]))
    scene.cluster.start()
    return _nothing


def restart_postgres(scene, chance):
    _stop_in_time(scene, "it is restarted")
    return _nothing


def _stop_in_time(scene, why):
    """A fast stop, as an operator does, and a start."""
    try:
        if not scene.cluster.stop("fast", STOP):
            raise Promise(f"the server did not stop within {STOP:g} s while {why}\n"
                          f"{scene.forwarder.log_tail(15)}")
    finally:
        scene.cluster.start()


def _stop_without(name, called):
    """Postgres is stopped while a receiver is away. The receiver comes back later."""
    def begin(scene, chance):
        def go_away():
            way = chance.choice(["kill", "freeze", "blackhole"])
            if name == "file":
                return "full", fill_disk(scene, chance)
            if way == "blackhole":
                scene.proxies[name].blackhole()
                return way, functools.partial(scene.proxies[name].heal, cut=True)
            return way, {"kill": kill, "freeze": freeze}[way](scene.servers[name])
        way, heal = go_away()
        try:
            time.sleep(chance.uniform(0.3, 1.5))    # what is written meanwhile waits
            _stop_in_time(scene, f"{called} was away ({way})")
        except BaseException:
            heal()
            raise
        return heal
    spares = ("disk",) if name == "file" else (name, f"proxy {name}")
    return Fault(f"stop-without-{called}", "postgres", begin, spares)


def promote_postgres(scene, chance):
    """The primary stops, and the standby of the forwarder is promoted. The writers follow."""
    return _nothing if scene.promote() else None


def cut_transaction(scene, chance):
    """One long transaction. Again and again, each connection gets only a part of it."""
    proxy = scene.proxies["postgres"]
    rows = scene.long
    source = chance.choice(scene.sources)
    proxy.ration(70 * rows)             # about a third of what it is on the wire
    before = proxy.accepted
    scene.leader.query("INSERT INTO bulk (payload) SELECT md5(i::text) FROM generate_series(1, %s) i",
                       source.db, (rows,))

    def heal():
        proxy.heal()
        made = proxy.accepted - before
        # Where pauses are short by configuration many connections are right.
        if scene.retry_max >= 4 and made > PLENTY * len(scene.slots):
            raise Promise(f"{made} connections to Postgres were made while a transaction could not "
                          f"pass, by {len(scene.slots)} pipelines")
    return heal


def _freeze(pids):
    processes.freeze(*pids)
    return lambda: processes.thaw(*pids)


def freeze_forwarder(scene, chance):
    return _freeze(scene.forwarder.pids())


def freeze_walsender(scene, chance):
    return _freeze(scene.walsenders(chance))


def freeze_postgres(scene, chance):
    return _freeze(scene.cluster.pids())


# Faults after which it goes on at once.
QUICK_BAD_ANSWERS = [
    {"status": 500}, {"status": 503}, {"status": 408}, {"status": 429},
    {"status": 503, "headers": {"Retry-After": "garbage"}}, {"status": 200, "body_bytes": 1 << 20},
    {"do": "garbage"}, {"do": "close"}, {"do": "cut"}]
BAD_ANSWERS = [
    *QUICK_BAD_ANSWERS, {"status": 429, "headers": {"Retry-After": "1"}},
    {"status": 200, "delay": 1.0}, {"status": 200, "body_bytes": 40, "drip": 0.05}, {"do": "hang"}]


def moods(chance):
    """A webhook with errors: one of many answers is bad."""
    return [chance.choice(QUICK_BAD_ANSWERS) if chance.random() < 0.04 else {} for _ in range(3000)]


def misbehave(scene, chance):
    scene.servers["http"].behave(chance.choice(BAD_ANSWERS))
    return lambda: scene.servers["http"].behave({})


def fill_disk(scene, chance):
    scene.disk.fill(scene.forwarder.process.pid, chance.randrange(0, 20_000))
    return lambda: scene.disk.free(scene.forwarder.process.pid)


def rotate_log(scene, chance):
    """The file sinks' files are rotated, and compressed at once."""
    done = [file.rotate(scene.forwarder.hang_up, chance) for file in scene.files.values()]
    return _nothing if any(done) else None


def tear_write(scene, chance):
    """The forwarder dies in the middle of the next line that it writes into a file."""
    scene.tear_write(True)

    def heal():
        scene.tear_write(False)
        time.sleep(0.5)     # a write that has begun still ends the forwarder
        if scene.forwarder.is_dead():
            scene.forwarder.start()
    return heal


def step_clock(scene, chance):
    """The wall clock jumps, and stays wrong until the next step."""
    scene.step_clock(chance.choice([-86400, -3600, -5, 0, 5, 3600, 86400]))
    return _nothing


# Of a receiver.


def kill(server):
    server.kill()
    return server.start


def freeze(server):
    return _freeze(server.pids())


def refuse(name):
    """It is there, and takes nothing."""
    return lambda scene, chance: scene.servers[name].refuse(scene.name, chance)


def alarm(scene, chance):
    """RabbitMQ is short of memory: it reads nothing from publishers until the fault ends.

    At the end RabbitMQ publishes all that a connection has sent, even if its client has closed it. So a client that
    reconnects meanwhile makes copies.
    """
    over = scene.servers["rabbitmq"].alarm()
    before, readers = scene.proxies["rabbitmq"].accepted, scene.readers_so_far()

    def heal():
        made = scene.proxies["rabbitmq"].accepted - before
        over()
        # A restarted forwarder may make another connection, and so may a forwarder that lost its slot and got it back.
        right = len(scene.sources) + scene.readers_so_far() - readers
        if made > right:
            raise Promise(f"{made} connections to RabbitMQ were made during an alarm, where "
                          f"{right} would do")
    return heal


def _deaths(name, called=None):
    return [Fault(f"{kind.__name__}-{called or name}", name,
                  lambda scene, chance, kind=kind: kind(scene.servers[name]))
            for kind in (kill, freeze)]


# Of the network before a server.


def cut(proxy, chance):
    """Cuts once, at any moment, or again and again in the middle of data."""
    if chance.random() < 0.3:
        proxy.cut()
        return _nothing
    proxy.sever()
    return proxy.heal


# Half of these faults end with a cut, which then is in the middle of data.


def delay(proxy, chance):
    proxy.delay(chance.choice([0.01, 0.1, 0.5]))
    return functools.partial(proxy.heal, cut=chance.random() < 0.5)


def slow(proxy, chance):
    proxy.slow()
    return functools.partial(proxy.heal, cut=chance.random() < 0.5)


def blackhole(proxy, chance):
    proxy.blackhole()
    return functools.partial(proxy.heal, cut=chance.random() < 0.5)


def half_open(proxy, chance):
    proxy.half_open()
    return functools.partial(proxy.heal, cut=True)


def _move(name):
    """The server behind a name gets another address, as a rescheduled pod or a failover by DNS does. The name resolves
    to the new address a moment before or after the move."""
    def begin(scene, chance):
        scene.move(name, chance)
        return _nothing
    return Fault(f"move-{name}", f"proxy {name}", begin)


def replace_certificate(scene, chance):
    """The webhook gets another certificate, of another authority. Its file and the forwarder's file are replaced one
    after the other, so that for a while no connection is trusted."""
    return scene.servers["http"].replace_certificate(chance, scene.proxies["http"].cut)


def _network(name):
    return [Fault(f"{kind.__name__.replace('_', '-')}-{name}", f"proxy {name}",
                  lambda scene, chance, kind=kind: kind(scene.proxies[name], chance))
            for kind in (cut, delay, slow, blackhole, half_open)] + [_move(name)]


# The faults of each part: the parts of a run determine its faults.
FAULTS = {
    "forwarder": [
        Fault("kill-forwarder", "forwarder", kill_forwarder),
        Fault("end-forwarder", "forwarder", end_forwarder),
        Fault("freeze-forwarder", "forwarder", freeze_forwarder),
        Fault("tear-write", "forwarder", tear_write),
        Fault("step-clock", "clock", step_clock)],
    "postgres": [
        Fault("kill-walsender", "postgres", kill_walsender),
        Fault("terminate-walsender", "postgres", terminate_walsender),
        Fault("kill-postgres", "postgres", kill_postgres),
        Fault("restart-postgres", "postgres", restart_postgres),
        Fault("freeze-walsender", "postgres", freeze_walsender),
        Fault("freeze-postgres", "postgres", freeze_postgres), *_network("postgres"),
        Fault("long-transaction-cut", "postgres", cut_transaction, ("proxy postgres",), least=8),
        Fault("promote-postgres", "postgres", promote_postgres, since=16, called=True,
              why="a standby cannot decode, so no forwarder reads the server that is promoted")],
    "redis": [*_deaths("redis"), Fault("redis-refuses", "redis", refuse("redis")), *_network("redis"),
              _stop_without("redis", "redis")],
    # Requests in flight when the rejection begins must arrive before it ends, or later requests overtake them.
    "rabbitmq": [*_deaths("rabbitmq"),
                 Fault("rabbitmq-refuses", "rabbitmq", refuse("rabbitmq"), ("proxy rabbitmq",)),
                 # Longer than two heartbeats, and longer than any deliver_timeout.
                 Fault("rabbitmq-alarm", "rabbitmq", alarm, ("proxy rabbitmq",), least=9),
                 *_network("rabbitmq"), _stop_without("rabbitmq", "rabbitmq")],
    "nats": [*_deaths("nats"), Fault("nats-refuses", "nats", refuse("nats"), ("proxy nats",)),
             *_network("nats"), _stop_without("nats", "nats")],
    "kafka": [*_deaths("kafka"), *_network("kafka"), _stop_without("kafka", "kafka")],
    "http": [*_deaths("http", "webhook"), Fault("webhook-misbehaves", "http", misbehave),
             Fault("replace-certificate", "http", replace_certificate, ("proxy http",)),
             *_network("http"), _stop_without("http", "webhook")],
    "exec": _deaths("exec"),
    "file": [Fault("disk-full", "disk", fill_disk), Fault("rotate-log", "log", rotate_log),
             _stop_without("file", "file")],
    # The file of dead letters is on the same disk as the file sink's.
}


def parts(sinks):
    """The parts that can break with these sinks. Two sinks of Kafka share one broker."""
    return ["forwarder", "postgres", *dict.fromkeys(sink.removesuffix("-once") for sink in sinks)]


class Kind(NamedTuple):
    """Of runs: one of each has most of what there is."""
    patterns: list
    sources: int = 1


KINDS = {
    "deaths": Kind(["kill-*", "end-*", "terminate-*", "restart-*"]),
    "freezes": Kind(["freeze-*"]),
    "network of Postgres": Kind(["*-postgres"]),
    "network of the sinks": Kind(["cut-*", "delay-*", "slow-*", "blackhole-*", "half-open-*"]),
    "addresses and certificates": Kind(["move-*", "replace-certificate", "kill-forwarder"]),
    "refusals": Kind(["*-misbehaves", "*-refuses", "kill-webhook"]),
    "disk and clock": Kind(["disk-full", "step-clock", "kill-forwarder", "tear-write"]),
    "log rotation": Kind(["rotate-log", "kill-forwarder", "freeze-forwarder"]),
    "a stopping server": Kind(["stop-*"]),
    "a memory alarm": Kind(["rabbitmq-alarm"]),
    "cuts in a transaction": Kind(["long-transaction-cut"]),
    "a promoted standby": Kind(["promote-postgres", "terminate-walsender", "kill-forwarder"]),
    "two sources": Kind(["kill-forwarder", "kill-redis", "kill-rabbitmq", "kill-nats", "kill-kafka", "kill-webhook",
                         "kill-exec", "cut-*"], 2),
    "everything": Kind(["*"]),
}


def _is_asked_for(fault, patterns):
    if fault.called:
        return fault.name in patterns
    return not patterns or any(fnmatch.fnmatch(fault.name, pattern) for pattern in patterns)


def chosen(of, patterns):
    """The faults of some parts whose names match one of the patterns; without patterns all faults. Faults that must be
    requested match only by their full names."""
    return [fault for part in of for fault in FAULTS[part] if _is_asked_for(fault, patterns)]


def without_those_too_new(faults, version):
    """(faults that apply to this version of Postgres, why the others do not, as lines)"""
    return ([fault for fault in faults if version >= fault.since],
            [f"{fault.name} does not apply: before PostgreSQL {fault.since} {fault.why}, and this is {version}"
             for fault in faults if version < fault.since])


def deal(faults, chance):
    """Faults without end. Targets take turns, and so do the faults of each target. A run is too short for all, and a
    mistake that only one fault of one target shows must not be rare."""
    of_target = collections.defaultdict(list)
    for fault in faults:
        of_target[fault.target].append(fault)
    decks = {target: [] for target in of_target}
    while True:
        for target in chance.sample(list(decks), len(decks)):
            deck = decks[target]
            if not deck:
                deck += chance.sample(of_target[target], len(of_target[target]))
            yield deck.pop()


class Schedule:
    """Runs faults at random moments of `seconds`. Faults that failed to begin or heal are in errors."""

    def __init__(self, scene, faults, chance, seconds):
        self.scene = scene
        self.locks = collections.defaultdict(threading.Lock)
        self.count = collections.Counter()
        self.errors = []
        self.end = float("inf")
        self.plan = []          # (when, fault, how long, a random generator of its own)
        dealt = deal(faults, chance)
        when = chance.uniform(0.1, 1.0)
        while faults and when < seconds - 0.2:
            together = 1 if chance.random() < 0.7 else chance.choice([2, 3])
            for _ in range(together):
                fault = next(dealt)
                lasts = chance.choice([0.05, chance.uniform(0.1, 1.0), chance.uniform(0.5, LONGEST)])
                if fault.name in scene.patterns:
                    lasts = max(lasts, fault.least)
                self.plan.append((when, fault, lasts, type(chance)(chance.random())))
            # What was confirmed too early shows when the forwarder ends while a sink lags behind.
            ends = [fault for fault in faults if fault.name in ("kill-forwarder", "end-forwarder")]
            if ends and chance.random() < 0.35:
                self.plan.append((when + lasts * chance.uniform(0.5, 0.95), chance.choice(ends), 0,
                                  type(chance)(chance.random())))
            when += chance.uniform(0.1, 1.0)
        self.plan.sort(key=lambda entry: entry[0])

    def run(self, seconds, note):
        start = time.monotonic()
        self.end = start + seconds + LONGEST
        happening = []
        for when, fault, lasts, chance in self.plan:
            time.sleep(max(0, start + when - time.monotonic()))
            if time.monotonic() > self.end:
                break
            happening.append(self.scene.stage.threads.submit(self._happen, fault, lasts, chance, note))
        time.sleep(max(0, start + seconds - time.monotonic()))
        concurrent.futures.wait(happening)

    def _happen(self, fault, lasts, chance, note):
        with contextlib.ExitStack() as locks:
            # Always in the same order; otherwise two threads could wait for each other without end.
            for target in sorted({fault.target, *fault.spares}):
                locks.enter_context(self.locks[target])
            # Other faults may have taken longer than planned: then there is time for the remaining faults.
            late = time.monotonic() > self.end and self.count[fault.name]
            if self.errors or late:
                return
            try:
                note(f"{fault.name} {lasts:.2f} s")
                heal = fault.begin(self.scene, chance)
                if heal is None:
                    note(f"{fault.name} found nothing to do")
                    return
                try:
                    time.sleep(lasts if heal is not _nothing else 0)
                finally:
                    heal()
                self.count[fault.name] += 1
                note(f"{fault.name} is over")
            except Exception as error:      # the run has to say that it was not what it should be
                self.errors.append(f"{fault.name}: {type(error).__name__}: {error}")


def set_control(path, name, value):
    """Of the two numbers that clock_preload.c looks at."""
    with open(path, "r+b") as f:
        f.seek(8 * ("clock", "tear").index(name))
        f.write(struct.pack("=q", value))
