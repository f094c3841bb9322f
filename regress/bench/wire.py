"""Bytes on the wire: from the server to whoever reads a slot, and from the forwarder to Redis.

Readers connect through a proxy that counts, so that messages' headers, keepalives and the like are in it, as
they are on a network. What goes to Redis is what Redis says that it has received.
"""

import os
import selectors
import socket
import subprocess
import threading
import time

import cluster as pg
import programs
from servers import Forwarder

plugins = programs.load("run")

CONTENDERS = ("frames", "json", "pgoutput", "wal2json")
BLOCK = 1 << 20


class Proxy:
    """Stands before the server's socket, and counts what the server sends. Use it in a `with`.

    host: the folder with its socket.
    """

    def __init__(self, cluster):
        self.cluster = cluster
        self.sent = 0

    def __enter__(self):
        name = f".s.PGSQL.{self.cluster.port}"
        self.host = os.path.join(self.cluster.host, "w")
        os.makedirs(self.host, exist_ok=True)
        path = os.path.join(self.host, name)
        if os.path.exists(path):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._server = os.path.join(self.cluster.host, name)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def settled(self):
        """What was sent when nothing more comes."""
        seen = -1
        while self.sent != seen:
            seen = self.sent
            time.sleep(0.3)
        return seen

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        """Hands on both ways until one side ends."""
        with client, socket.socket(socket.AF_UNIX) as server, \
                selectors.DefaultSelector() as selector:
            server.connect(self._server)
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            try:
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(BLOCK)
                        if not data:
                            return
                        if key.fileobj is server:
                            self.sent += len(data)
                        key.data.sendall(data)
            except OSError:
                return      # one side was killed, as the readers are


def measure(cluster, workload, redis, scale):
    """Bytes a row of a workload: {"server": {contender: bytes}, "redis": bytes, "document": bytes}."""
    contenders = [c for c in plugins.CONTENDERS
                  if c.name in CONTENDERS and cluster.installation.has_module(c.plugin)]
    bench = plugins.Bench(cluster, contenders, 1, scale)
    changes, _, end = bench.write(workload, contenders)
    if workload.name == "updates":      # pgbench's clients share them evenly
        changes = changes // plugins.CLIENTS * plugins.CLIENTS
    with Proxy(cluster) as proxy:
        server = {c.name: _count(cluster, bench, c, end, proxy) / changes for c in contenders}
        already = redis.received()
        with Forwarder(cluster, "bench_frames", redis.sink(), host=proxy.host) as forwarder:
            name = "walspout_sink_events_total"
            forwarder.program.wait(lambda: redis.length() >= changes, "last event", 600)
            pg.wait_until(lambda: forwarder.sum_of(name) >= changes, what="last event counted")
            document = forwarder.sum_of("walspout_sink_bytes_total") / changes
        received = redis.received() - already
    redis.clear()
    cluster.dropdb("bench")
    return {"changes": changes, "server": server, "redis": received / changes,
            "document": document}


def _count(cluster, bench, contender, end, proxy):
    """Bytes of one pass over the contender's slot."""
    before = proxy.sent
    with cluster.recvlogical(bench.slot(contender), "bench", contender.options,
                             ["--status-interval=0", "-h", proxy.host],
                             subprocess.DEVNULL) as receiver:
        bench.wait_sent(receiver.walsender(), end, receiver)
        return proxy.settled() - before


def print_wire(results):
    print("\nOn the wire: bytes a row, from the server to the reader of the slot, and on to Redis")
    names = [name for name in CONTENDERS if any(name in r["server"] for r in results.values())]
    rows = [("workload", "rows", *names, "the document", "to Redis")]
    for workload, r in results.items():
        rows.append((workload, f"{r['changes']:,}",
                     *(f"{r['server'][name]:.1f}" if name in r["server"] else "" for name in names),
                     f"{r['document']:.1f}", f"{r['redis']:.1f}"))
    plugins.print_table(rows)
