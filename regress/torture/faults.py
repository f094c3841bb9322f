"""What can go wrong, and a schedule of it that follows from a seed.

A fault begins, lasts, and heals; healing leaves the thing as good as before. Faults of one target
wait for each other, those of different targets overlap.
"""

import collections
import concurrent.futures
import fnmatch
import functools
import os
import signal
import struct
import threading
import time
from typing import Callable, NamedTuple

LONGEST = 3.0           # seconds


class Fault(NamedTuple):
    name: str
    target: str         # faults of one target take turns
    begin: Callable     # begin(scene, chance): breaks it, and returns what heals it


def _nothing():
    pass


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
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
    """The server takes the loss of a process for a crash, and starts all others anew."""
    signal_all(scene.walsenders(chance), signal.SIGKILL)
    return scene.wait_for_postgres


def terminate_walsender(scene, chance):
    signal_all(scene.walsenders(chance), signal.SIGTERM)
    return _nothing


def kill_postgres(scene, chance):
    if chance.random() < 0.5:
        scene.cluster.stop("immediate")
    else:
        scene.cluster.kill9()
    time.sleep(chance.choice([0, 0.5]))
    scene.cluster.start()
    return _nothing


def restart_postgres(scene, chance):
    scene.cluster.restart("fast")
    return _nothing


def _freeze(pids):
    signal_all(pids, signal.SIGSTOP)
    return lambda: signal_all(pids, signal.SIGCONT)


def freeze_forwarder(scene, chance):
    return _freeze([scene.forwarder.process.pid])


def freeze_walsender(scene, chance):
    return _freeze(scene.walsenders(chance))


def freeze_postgres(scene, chance):
    return _freeze(scene.postgres_pids())


BAD_ANSWERS = [
    {"status": 500}, {"status": 503}, {"status": 408}, {"status": 429, "headers": {"Retry-After": "1"}},
    {"status": 503, "headers": {"Retry-After": "garbage"}}, {"status": 200, "delay": 1.0},
    {"status": 200, "body_bytes": 40, "drip": 0.05}, {"status": 200, "body_bytes": 1 << 20},
    {"do": "garbage"}, {"do": "close"}, {"do": "cut"}, {"do": "hang"}]


def misbehave(scene, chance):
    scene.servers["http"].behave(chance.choice(BAD_ANSWERS))
    return lambda: scene.servers["http"].behave({})


def fill_disk(scene, chance):
    scene.disk.fill(scene.forwarder.process.pid, chance.randrange(0, 20_000))
    return lambda: scene.disk.free(scene.forwarder.process.pid)


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


def _deaths(name, called=None):
    return [Fault(f"{kind.__name__}-{called or name}", name,
                  lambda scene, chance, kind=kind: kind(scene.servers[name]))
            for kind in (kill, freeze)]


# Of the network before a server.


def cut(proxy, chance):
    proxy.cut()
    return _nothing


def delay(proxy, chance):
    proxy.delay(chance.choice([0.01, 0.1, 0.5]))
    return proxy.heal


def slow(proxy, chance):
    proxy.slow()
    return proxy.heal


def blackhole(proxy, chance):
    proxy.blackhole()
    return functools.partial(proxy.heal, cut=chance.random() < 0.5)


def half_open(proxy, chance):
    proxy.half_open()
    return functools.partial(proxy.heal, cut=True)


def _network(name):
    return [Fault(f"{kind.__name__.replace('_', '-')}-{name}", f"proxy {name}",
                  lambda scene, chance, kind=kind: kind(scene.proxies[name], chance))
            for kind in (cut, delay, slow, blackhole, half_open)]


# What each part can suffer: the parts that a run has give its faults.
FAULTS = {
    "forwarder": [
        Fault("kill-forwarder", "forwarder", kill_forwarder),
        Fault("end-forwarder", "forwarder", end_forwarder),
        Fault("freeze-forwarder", "forwarder", freeze_forwarder),
        Fault("step-clock", "clock", step_clock)],
    "postgres": [
        Fault("kill-walsender", "postgres", kill_walsender),
        Fault("terminate-walsender", "postgres", terminate_walsender),
        Fault("kill-postgres", "postgres", kill_postgres),
        Fault("restart-postgres", "postgres", restart_postgres),
        Fault("freeze-walsender", "postgres", freeze_walsender),
        Fault("freeze-postgres", "postgres", freeze_postgres), *_network("postgres")],
    "redis": [*_deaths("redis"), *_network("redis")],
    "rabbitmq": [*_deaths("rabbitmq"), *_network("rabbitmq")],
    "http": [*_deaths("http", "webhook"), Fault("webhook-misbehaves", "http", misbehave),
             *_network("http")],
    "file": [Fault("disk-full", "disk", fill_disk)],
    # The file of dead letters is on the same disk as the file sink's.
}


# One run of each has most of what there is.
KINDS = {
    "deaths": ["kill-*", "end-*", "terminate-*", "restart-*"],
    "freezes": ["freeze-*"],
    "network of Postgres": ["*-postgres"],
    "network of the sinks": ["cut-*", "delay-*", "slow-*", "blackhole-*", "half-open-*"],
    "webhook": ["webhook-misbehaves", "kill-webhook"],
    "disk and clock": ["disk-full", "step-clock", "kill-forwarder"],
    "everything": ["*"],
}


def chosen(parts, patterns):
    """The faults of the parts whose names match one of the patterns; all of them without any."""
    return [fault for part in parts for fault in FAULTS[part]
            if not patterns or any(fnmatch.fnmatch(fault.name, pattern) for pattern in patterns)]


class Schedule:
    """Lets faults happen at random moments of `seconds`. What failed to break or heal is in errors."""

    def __init__(self, scene, faults, chance, seconds):
        self.scene = scene
        self.locks = collections.defaultdict(threading.Lock)
        self.count = collections.Counter()
        self.errors = []
        self.plan = []          # (when, fault, how long, a random generator of its own)
        deck = []               # dealt to the end before it is shuffled again
        when = chance.uniform(0.1, 1.0)
        while faults and when < seconds - 0.2:
            together = 1 if chance.random() < 0.7 else chance.choice([2, 3])
            for _ in range(together):
                lasts = chance.choice([0.05, chance.uniform(0.1, 1.0), chance.uniform(0.5, LONGEST)])
                deck = deck or chance.sample(faults, len(faults))
                self.plan.append((when, deck.pop(), lasts, type(chance)(chance.random())))
            # What was confirmed too early shows when the forwarder dies while a sink lags behind.
            kills = [fault for fault in faults if fault.name == "kill-forwarder"]
            if kills and chance.random() < 0.35:
                self.plan.append((when + lasts * chance.uniform(0.5, 0.95), kills[0], 0,
                                  type(chance)(chance.random())))
            when += chance.uniform(0.1, 1.5)
        self.plan.sort(key=lambda entry: entry[0])

    def run(self, seconds, note):
        start = time.monotonic()
        happening = []
        for when, fault, lasts, chance in self.plan:
            time.sleep(max(0, start + when - time.monotonic()))
            if time.monotonic() > start + seconds + LONGEST:
                break
            happening.append(self.scene.stage.threads.submit(self._happen, fault, lasts, chance, note))
        time.sleep(max(0, start + seconds - time.monotonic()))
        concurrent.futures.wait(happening)

    def _happen(self, fault, lasts, chance, note):
        with self.locks[fault.target]:
            try:
                note(f"{fault.name} {lasts:.2f} s")
                heal = fault.begin(self.scene, chance)
                try:
                    time.sleep(lasts if heal is not _nothing else 0)
                finally:
                    heal()
                self.count[fault.name] += 1
                note(f"{fault.name} is over")
            except Exception as error:      # the run has to say that it was not what it should be
                self.errors.append(f"{fault.name}: {type(error).__name__}: {error}")


def set_clock(path, seconds):
    with open(path, "r+b") as f:
        f.write(struct.pack("=q", seconds))
