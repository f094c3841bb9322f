"""The configuration bounds the forwarder's memory, whatever waits."""

import time

from harness import postgres as pg
from harness.forwarder import http_sink
from harness.ports import free_port

ALLOWANCE = 32 << 20        # beside `memory`: the program, its libraries, the receivers' buffers


def peak(forwarder):
    return pg.memory_bytes(forwarder.process.pid)["VmHWM"]


def test_an_outage_of_every_sink_costs_bounded_memory_and_no_cpu(db, fwd, full):
    """Events beyond `memory` wait in the WAL."""
    megabytes, memory = (1024, 64) if full else (96, 16)
    db.psql("CREATE TABLE t (id int PRIMARY KEY, note text)")
    port = free_port()
    sinks = (f"      - {{type: redis, url: 'redis://127.0.0.1:{port}'}}\n"
             f"      - {{type: rabbitmq, url: 'amqp://guest:guest@127.0.0.1:{port}/', exchange: x}}\n"
             f"      - {{type: nats, servers: ['nats://127.0.0.1:{port}']}}\n"
             + http_sink(port, lanes=8, batch="{events: 100}"))
    with fwd(sinks=sinks, pipeline=f"memory: {memory}MiB", root="drain: 1s") as forwarder:
        for i in range(megabytes // 8):
            db.psql(f"INSERT INTO t SELECT {i} * 8192 + j, repeat('x', 900) "
                    "FROM generate_series(1, 8192) j")
        pg.wait_until(lambda: forwarder.status()["in_flight_bytes"] >= memory << 20, 60,
                      what="full queue")
        time.sleep(2)
        before = pg.cpu_seconds(forwarder.process.pid)
        time.sleep(5)
        assert pg.cpu_seconds(forwarder.process.pid) - before < 0.1
        status = forwarder.status()
        assert status["state"] == "streaming"
        assert [sink["state"] for sink in status["sinks"]] == ["retrying"] * 4
        print(f"peak {peak(forwarder) >> 20} MiB of {memory}, {megabytes} MB waiting")
        assert peak(forwarder) < (memory << 20) + ALLOWANCE


def test_a_huge_transaction_passes_through_bounded_memory(db, fwd, full):
    """With the smallest rows, the memory beside the bytes counts most."""
    rows, memory = (10_000_000, 64) if full else (500_000, 8)
    db.psql("CREATE TABLE t (id int)")
    with fwd(sinks="      - type: 'null'\n", pipeline=f"memory: {memory}MiB",
             source="omit: [ts, xid]") as forwarder:
        db.psql(f"INSERT INTO t SELECT generate_series(1, {rows})")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] == rows, 600,
                      what="whole transaction")
        print(f"peak {peak(forwarder) >> 20} MiB of {memory}, {rows} rows")
        assert peak(forwarder) < (memory << 20) + ALLOWANCE
