"""One-row transactions through the whole chain, into a Redis stream: latency, capacity, recovery.

pgbench updates rows, each in a separate transaction. `stream_latency` blocks in XREAD, and notes when each event was
committed and when it arrived.

capacity() is the highest rate that pgbench reaches while the reader does not fall behind. The search begins with the
rate that arrives when pgbench is not limited, and goes down in steps. Unlimited clients never wait, so they reach more
than any fixed rate.

many_sinks() compares the forwarder's CPU with one sink and with many sinks that discard events: the cost of one more
sink.

recovery() kills the forwarder and starts it again at once. It measures the time until the first event that was
committed after the kill arrives. Events that were in flight before the kill may arrive after it.
"""

import math
import os
import random
import re
import statistics
import subprocess
import sys
import time

import programs
from harness import postgres as pg
from servers import CLIENTS, STREAM, Measured

print_table = programs.load("run").print_table

WARM_UP = 2                 # seconds of load before latencies count
RATES = (1_000, 10_000)     # transactions a second
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
# Milliseconds, at most, one a quantile. Without fsync.
LATENCY_TARGETS = {1_000: (0.2, None, 1.0, None), 10_000: (None, None, 2.0, 5.0)}

CAPACITY_CLIENTS = (8, 16, 32)      # connections of pgbench; which is best depends on the machine
CAPACITY_PARTS = (0.1, 0.5, 0.9)    # of the capacity: at which latencies are measured
CAPACITY_TIMES = 4          # of the seconds of other loads: the tails need more samples
CAPACITY_STEPS = (1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4)
REACHED = 0.98              # of the rate that was asked for, at least
FALLS_BEHIND = 0.01         # seconds a second, at most: less is no trend in so short a time

SINKS = 50
SINKS_RATE = 1_000
SINKS_TARGET = 5.0          # times the CPU of one sink, at most

RECOVERY_RATE = 1_000
RECOVERY_TARGET = 1.0       # seconds, at most

TABLE = """
    CREATE TABLE hot (id int PRIMARY KEY, account int, status text);
    INSERT INTO hot SELECT i, 0, 'status ' || i % 50 FROM generate_series(1, 100000) i;
"""
UPDATE = """\\set id random(1, 100000)
UPDATE hot SET account = account + 1 WHERE id = :id;
"""


class OneRow:
    """seconds: of load for each figure."""

    def __init__(self, cluster, redis, seconds):
        self.cluster = cluster
        self.redis = redis
        self.seconds = seconds
        self.warm_up = min(WARM_UP, seconds)

    def latency(self, rate, fsync):
        """Quantiles of the latency at so many transactions a second."""
        clients = 16 if fsync or rate > 1_000 else 4
        return {"fsync": fsync, **self._latency(rate, clients)}

    def capacity(self):
        """The highest rate that the chain sustains, and the latency at parts of it."""
        tries = [self._try(None, clients) for clients in CAPACITY_CLIENTS]
        best = max(tries, key=lambda t: t["through"])
        for part in CAPACITY_STEPS:
            found = self._try(part * best["through"], best["clients"])
            tries.append(found)
            sustained = (found["reached"] >= REACHED * found["rate"]
                         and found["behind"] <= FALLS_BEHIND)
            if sustained:
                break
        return {"tps": found["reached"], "clients": found["clients"], "sustained": sustained,
                "tries": tries,
                "latency": [{"part": part,
                             **self._latency(round(part * found["reached"]), found["clients"],
                                         CAPACITY_TIMES * self.seconds)}
                            for part in CAPACITY_PARTS]}

    def recovery(self, kills):
        """Seconds from each kill of the forwarder until the first new event is in the stream."""
        gaps = random.Random(1)
        killed = []
        self._begin()
        with Measured(self.cluster, "bench", self.redis.sink()) as forwarder:
            self._wait_ready(forwarder)
            reader = self._reader(0)
            load = self._pgbench(RECOVERY_RATE, 4, 86400)
            time.sleep(self.warm_up)
            for _ in range(kills):
                killed.append(time.time())
                forwarder.kill()
                forwarder.start()
                self._wait_delivering(forwarder)
                # Not in step with the forwarder's work of each second.
                time.sleep(gaps.uniform(1, 2))
            load.terminate()
            load.wait()
            self._check_complete()
            samples = self._samples(reader)
        self._end()
        recovered = [first_new(samples, moment) for moment in killed]
        return {"rate": RECOVERY_RATE, "seconds": recovered, "max": max(recovered),
                "median": statistics.median(recovered)}

    def many_sinks(self, rounds):
        """CPU of the forwarder with one sink and with many, side by side, and their latency."""
        passes = {1: [], SINKS: []}
        for _ in range(rounds):
            for count, found in passes.items():
                found.append(self._null_sinks(count))
        middle = {count: sorted(found, key=lambda f: f["cpu"])[len(found) // 2]
                  for count, found in passes.items()}
        return {"rate": SINKS_RATE, "sinks": SINKS, "one": middle[1], "many": middle[SINKS],
                "ratio": middle[SINKS]["cpu"] / middle[1]["cpu"],
                "passes": {str(count): found for count, found in passes.items()}}

    # Within

    def _null_sinks(self, count):
        """CPU microseconds a transaction, and the bounds of the latency's buckets in ms."""
        self._begin()
        sinks = [f"type: \"null\"\nname: s{i}" for i in range(count)]
        with Measured(self.cluster, "bench", *sinks) as forwarder:
            forwarder.wait_streaming()
            forwarder.wait(lambda: forwarder.log().count("sink is ready") == count, 60, "sinks")
            cpu = pg.cpu_seconds(forwarder.pid)
            load = self._pgbench(SINKS_RATE, 4, self.seconds)
            output, _ = load.communicate()
            if load.returncode:
                sys.exit(f"pgbench failed:\n{output}")
            time.sleep(0.5)
            cpu = pg.cpu_seconds(forwarder.pid) - cpu
            events = forwarder.sum_of("walspout_sink_events_total") / count
            buckets = forwarder.buckets()
        self.cluster.dropdb("bench")
        return {"cpu": cpu / events * 1e6, "events": events,
                "reached": float(re.search(r"^tps = ([\d.]+)", output, re.M).group(1)),
                "buckets_ms": [bucket_of(buckets, q) * 1000 for q in QUANTILES.values()]}

    def _try(self, rate, clients):
        """How far the reader falls behind, and the rate that arrives."""
        run = self._run(rate, clients)
        latencies = [latency / 1e6 for _, latency in run["samples"]]
        tenth = max(1, len(latencies) // 10)
        behind = ((statistics.median(latencies[-tenth:]) - statistics.median(latencies[:tenth]))
                  / (0.9 * self.seconds)) if latencies else 1
        return {"clients": clients, "rate": rate, "reached": run["reached"], "behind": behind,
                "through": run["reached"] * (1 - min(0.9, max(0, behind)))}

    def _latency(self, rate, clients, seconds=None):
        run = self._run(rate, clients, seconds)
        samples = sorted(latency for _, latency in run["samples"])
        return {"rate": rate, "clients": clients, "reached": run["reached"],
                "samples": len(samples),
                "ms": [quantile(samples, q) / 1000 for q in QUANTILES.values()],
                "p99.99": quantile(samples, 0.9999) / 1000, "max": samples[-1] / 1000 if samples else math.nan,
                "buckets_ms": [bucket_of(run["buckets"], q) * 1000 for q in QUANTILES.values()],
                "cpu": run["cpu"]}

    def _run(self, rate, clients, seconds=None):
        """One load: rate reached, samples in the order of arrival, and the forwarder's own figures.

        rate: transactions a second; None is as many as there may be. seconds: of the load, if not as long as others.
        """
        self._begin()
        with Measured(self.cluster, "bench", self.redis.sink()) as forwarder:
            self._wait_ready(forwarder)
            reader = self._reader(self.warm_up)
            cpu = pg.cpu_seconds(forwarder.pid)
            load = self._pgbench(rate, clients, self.warm_up + (seconds or self.seconds))
            output, _ = load.communicate()
            if load.returncode:
                sys.exit(f"pgbench failed:\n{output}")
            time.sleep(0.5)
            events = forwarder.sum_of("walspout_sink_events_total")
            cpu = pg.cpu_seconds(forwarder.pid) - cpu
            buckets = forwarder.buckets()
            samples = self._samples(reader)
        self._end()
        return {"reached": float(re.search(r"^tps = ([\d.]+)", output, re.M).group(1)),
                "samples": samples, "buckets": buckets,
                "cpu": cpu / events * 1e6 if events else math.nan}

    def _begin(self):
        self.cluster.createdb("bench")
        self.cluster.psql(TABLE, "bench")
        self.cluster.psql("CHECKPOINT")
        self.cluster.create_slot("bench", db="bench")

    def _end(self):
        self.redis.clear()
        self.cluster.dropdb("bench")

    @staticmethod
    def _wait_ready(forwarder):
        forwarder.wait_streaming()
        forwarder.wait(lambda: "sink is ready" in forwarder.log(), 60, "sink")

    @staticmethod
    def _wait_delivering(forwarder):
        forwarder.wait(lambda: forwarder.sum_of("walspout_sink_events_total") > 0, 120, "event after a kill")

    def _check_complete(self):
        """Checks that every committed update is in the stream, once."""
        committed = pg.wait_until(self._committed, what="end of pgbench's connections")
        pg.wait_until(lambda: self.redis.length() >= committed, 60, what="last event")
        if self.redis.length() != committed:
            sys.exit(f"{self.redis.length()} entries of {committed} transactions")

    def _committed(self):
        """The number of transactions, once no more can come."""
        if self.cluster.value("SELECT count(*) FROM pg_stat_activity WHERE datname = 'bench' "
                              "AND application_name = 'pgbench'"):
            return None
        return self.cluster.value("SELECT sum(account) FROM hot", "bench")

    def _pgbench(self, rate, clients, seconds):
        script = os.path.join(self.cluster.work.path, "one_row.sql")
        with open(script, "w") as f:
            f.write(UPDATE)
        return subprocess.Popen([self.cluster.installation.program("pgbench"), "-n", "-M",
                                 "prepared", *(["-R", f"{rate:.0f}"] if rate else []), "-c",
                                 str(clients), "-j", "1", "-T", str(seconds), "-f", script,
                                 "bench"],
                                env=self.cluster.client_env(), stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                preexec_fn=pg.die_with_parent)

    def _reader(self, warm_up):
        reader = subprocess.Popen([os.path.join(CLIENTS, "stream_latency"), self.redis.socket, STREAM,
                                   str(warm_up)], text=True, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        reader.stdout.readline()
        return reader

    @staticmethod
    def _samples(reader):
        """[(commit time, latency)] in microseconds; ends the reader."""
        output, _ = reader.communicate()
        return [tuple(map(int, line.split())) for line in output.splitlines()]


def first_new(samples, moment):
    """Seconds from a moment until the first event that was committed after it arrives."""
    return min((committed + latency for committed, latency in samples if committed > moment * 1e6),
               default=math.inf) / 1e6 - moment


def quantile(ordered, q):
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else math.nan


def bucket_of(buckets, q):
    """Upper bound of the bucket that a quantile is in."""
    wanted = q * sum(count for _, count in buckets)
    seen = 0
    for bound, count in buckets:
        seen += count
        if seen >= wanted:
            return bound
    return math.nan


def against(value, text, target, at_least=False):
    """A figure as text, with its target and whether it is met."""
    if target is None:
        return text, False
    good = value >= target if at_least else value <= target
    sign = ">=" if at_least else "<="
    return f"{text} {sign} {target:g} {'yes' if good else 'NO'}", not good


def print_latency(results):
    """How many targets were missed."""
    print("\nLatency, ms, from the commit's time stamp: to arrival at a reader that blocks in XREAD"
          "\n(and the bound of the forwarder's own bucket, to the XADD's reply)")
    rows = [("transactions a second", "fsync", "reached", *QUANTILES, "max", "CPU µs a row")]
    missed = 0
    for r in results:
        targets = (None,) * len(QUANTILES) if r["fsync"] else LATENCY_TARGETS[r["rate"]]
        cells = []
        for value, bucket, target in zip(r["ms"], r["buckets_ms"], targets):
            cell, bad = against(value, f"{value:.2f} ({bucket:.2f})", target)
            cells.append(cell)
            missed += bad
        rows.append((f"{r['rate']:,}", "on" if r["fsync"] else "off", f"{r['reached']:,.0f}",
                     *cells, f"{r['max']:.1f}", f"{r['cpu']:.1f}"))
    print_table(rows)
    return missed


def print_capacity(result):
    print(f"\nCapacity: {result['tps']:,.0f} one-row transactions a second, without fsync, on "
          f"{result['clients']} connections"
          + ("" if result["sustained"] else ", and NOT SUSTAINED: the machine is busy")
          + ". Latency, ms, at parts of it:")
    rows = [("of the capacity", "a second", "reached", *QUANTILES, "p99.99", "max", "CPU µs a row")]
    for r in result["latency"]:
        rows.append((f"{r['part']:.0%}", f"{r['rate']:,}", f"{r['reached']:,.0f}",
                     *(f"{value:.2f}" for value in (*r["ms"], r["p99.99"])), f"{r['max']:.1f}", f"{r['cpu']:.1f}"))
    print_table(rows)


def print_many_sinks(result):
    """How many targets were missed."""
    ratio, missed = against(result["ratio"], f"{result['ratio']:.1f}", SINKS_TARGET)
    print(f"\nSinks that do nothing, at {result['rate']:,} transactions a second: CPU of the forwarder, "
          f"µs a transaction,\nand the bound of the bucket, in ms, of the latency. "
          f"{result['sinks']} sinks cost as much as one, times {ratio}")
    print_table([("sinks", "reached", "CPU µs", *QUANTILES)] + [
        (count, f"{r['reached']:,.0f}", f"{r['cpu']:.1f}", *(f"{ms:.2f}" for ms in r["buckets_ms"]))
        for count, r in (("1", result["one"]), (str(result["sinks"]), result["many"]))])
    return missed


def print_recovery(result):
    """How many targets were missed."""
    worst, missed = against(result["max"], f"{result['max']:.3f}", RECOVERY_TARGET)
    print(f"\nRecovery: the forwarder killed {len(result['seconds'])} times at {result['rate']:,} "
          f"transactions a second,\nstarted again at once; seconds until the first event that was "
          f"committed after the kill:\n  median {result['median']:.3f}, max {worst}")
    return missed
