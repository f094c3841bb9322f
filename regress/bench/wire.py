"""Bytes on the wire: from the server to the reader of a slot, and from the forwarder to Redis.

Readers connect through a proxy that counts all bytes, with headers, keepalives and the like, as on a network. Redis
itself says how much it received.
"""

import contextlib
import subprocess
import time

import programs
from harness import postgres as pg
from harness.proxy import Proxy
from servers import Measured

plugins = programs.load("run")

CONTENDERS = ("frames", "json", "pgoutput", "wal2json")


def settled(proxy):
    """Bytes from the server, once no more bytes come."""
    seen = -1
    while proxy.received != seen:
        seen = proxy.received
        time.sleep(0.3)
    return seen


def measure(cluster, workload, redis, scale):
    """Bytes a row of a workload: {"server": {contender: bytes}, "redis": bytes, "document": bytes}."""
    contenders = [c for c in plugins.CONTENDERS
                  if c.name in CONTENDERS and cluster.installation.has_module(c.plugin)]
    bench = plugins.Bench(cluster, contenders, 1, scale)
    changes, _, end = bench.write(workload, contenders)
    if workload.name == "updates":      # pgbench's clients share them evenly
        changes = changes // plugins.CLIENTS * plugins.CLIENTS
    with contextlib.closing(Proxy(f"{cluster.host}/.s.PGSQL.{cluster.port}")) as proxy:
        server = {c.name: _count(cluster, bench, c, end, proxy) / changes for c in contenders}
        already = redis.received()
        with Measured(cluster, "bench_frames", redis.sink(), port=proxy.port) as forwarder:
            name = "walspout_sink_events_total"
            forwarder.wait(lambda: redis.length() >= changes, 600, "last event")
            pg.wait_until(lambda: forwarder.sum_of(name) >= changes, what="last event counted")
            document = forwarder.sum_of("walspout_sink_bytes_total") / changes
        received = redis.received() - already
    redis.clear()
    cluster.dropdb("bench")
    return {"changes": changes, "server": server, "redis": received / changes,
            "document": document}


def _count(cluster, bench, contender, end, proxy):
    """Bytes of one pass over the contender's slot."""
    before = proxy.received
    with cluster.recvlogical(bench.slot(contender), "bench", contender.options,
                             ["--status-interval=0", "-h", "127.0.0.1", "-p", str(proxy.port)],
                             subprocess.DEVNULL) as receiver:
        bench.wait_sent(receiver.walsender(), end, receiver)
        return settled(proxy) - before


def print_wire(results):
    print("\nOn the wire: bytes a row, from the server to the reader of the slot, and on to Redis")
    names = [name for name in CONTENDERS if any(name in r["server"] for r in results.values())]
    rows = [("workload", "rows", *names, "the document", "to Redis")]
    for workload, r in results.items():
        rows.append((workload, f"{r['changes']:,}",
                     *(f"{r['server'][name]:.1f}" if name in r["server"] else "" for name in names),
                     f"{r['document']:.1f}", f"{r['redis']:.1f}"))
    plugins.print_table(rows)
