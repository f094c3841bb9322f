"""The server can always stop, gets few reconnects, and a forwarder that has lost the slot delivers nothing."""

import contextlib
import os
import signal
import socket
import subprocess
import time

from harness import postgres as pg
import pytest
from harness.forwarder import PROGRAM, file_sink, http_sink
from harness.ports import free_port
from harness.processes import die_with_parent, freeze, thaw
from harness.proxy import Proxy
from harness.webhook import Webhook

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"
STOP = 25       # seconds; while a sink is down a server that waits for it does not stop at all


def stop(server, mode="fast"):
    """The server stops in time, although a sink is down."""
    number = {"fast": signal.SIGINT, "smart": signal.SIGTERM}[mode]
    server.process.send_signal(number)
    try:
        server.process.wait(STOP)
    except subprocess.TimeoutExpired:
        server.kill()
        raise AssertionError(f"the server does not stop: {server.log_tail()}") from None
    assert server.process.returncode == 0
    server.process = None


def rows(db, first, last, size=3):
    db.psql(f"INSERT INTO t SELECT i, repeat('x', {size}) FROM generate_series({first}, {last}) i")


def wait_until_full(forwarder):
    pg.wait_until(lambda: forwarder.status()["in_flight_bytes"] >= 1 << 20, 30, what="full queue")


def numbers(ids):
    return [tuple(map(int, text.split("-"))) for text in ids]


DEAD = {
    "refused": lambda port: http_sink(port),
    "redis": lambda port: f"      - {{type: redis, url: 'redis://127.0.0.1:{port}'}}\n",
    "rabbitmq": lambda port: ("      - {type: rabbitmq, url: 'amqp://guest:guest@127.0.0.1:"
                              f"{port}/', exchange: x}}\n"),
    "nats": lambda port: f"      - {{type: nats, servers: ['nats://127.0.0.1:{port}']}}\n",
}


@pytest.mark.parametrize("backlog", ["one row", "full queue"])
@pytest.mark.parametrize("sink", [*DEAD, "silent", "busy"])
def test_a_server_can_stop_while_a_sink_is_down(alone, alone_fwd, sink, backlog, dead_port):
    alone.psql(TABLE)
    with contextlib.ExitStack() as stack:
        if sink == "silent":    # it accepts connections and never answers
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            sinks = http_sink(silent.getsockname()[1])
        elif sink == "busy":
            sinks = http_sink(stack.enter_context(Webhook(answer=lambda *_: 503)).port)
        else:
            sinks = DEAD[sink](dead_port)
        forwarder = alone_fwd(sinks=sinks, pipeline="memory: 1MiB", root="drain: 1s")
        with forwarder:
            rows(alone, 1, 1 if backlog == "one row" else 20000, 1000)
            end = alone.current_lsn()
            if backlog == "full queue":
                wait_until_full(forwarder)
            pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"], 20,
                          what="waiting event")
            stop(alone.server)
            forwarder.wait_for_log("releasing the slot")
            alone.server.start()
            forwarder.wait_for_log("msg=streaming", forwarder.log().rindex("releasing the slot"), timeout=60)
            assert alone.confirmed_lsn(forwarder.slot) < end
            assert forwarder.status()["sinks"][0]["events"] == 0


@pytest.mark.parametrize("rows_and_size", [(1, 3), (1300, 1000), (20000, 1000)],
                         ids=["one row", "just full", "full"])
def test_after_a_stop_all_is_delivered_once(alone, alone_fwd, rows_and_size):
    count, size = rows_and_size
    alone.psql(TABLE)
    port = free_port()
    with alone_fwd(sinks=http_sink(port, batch="{events: 100}"),
                   pipeline="memory: 1MiB\nretry: {initial: 50ms, max: 300ms}") as forwarder:
        rows(alone, 1, count, size)
        end = alone.current_lsn()
        forwarder.wait_for_log("will try again")
        if size > 3:
            wait_until_full(forwarder)
        stop(alone.server)
        alone.server.start()
        assert alone.confirmed_lsn(forwarder.slot) < end
        ids = []
        with Webhook(port) as receiver:
            def all_there():
                ids[:] = [text for _, body in receiver.requests for text in event_ids(body)]
                return len(ids) >= count
            pg.wait_until(all_there, 60, what="all events")
            end = alone.current_lsn()
            pg.wait_until(lambda: alone.confirmed_lsn(forwarder.slot) >= end, 20, what="confirmation")
            all_there()
        assert len(ids) == count and numbers(ids) == sorted(numbers(ids))


def event_ids(body):
    import json
    events = json.loads(body)
    return [event["id"] for event in (events if isinstance(events, list) else [events])]


@pytest.mark.parametrize("backlog", ["one row", "full queue"])
def test_a_server_can_stop_smartly(alone, alone_fwd, backlog, dead_port):
    """The other clients are waited for, and the stream goes on meanwhile."""
    alone.psql(TABLE)
    with alone_fwd(sinks=http_sink(dead_port), pipeline="memory: 1MiB") as forwarder:
        rows(alone, 1, 1 if backlog == "one row" else 20000, 1000)
        if backlog == "full queue":
            wait_until_full(forwarder)
            time.sleep(1)
        client = alone.server.connect(alone.name)
        alone.server.process.send_signal(signal.SIGTERM)
        time.sleep(2)
        assert "releasing the slot" not in forwarder.log()
        client.close()
        stop(alone.server, "smart")


@pytest.mark.parametrize("backlog", ["one row", "full queue"])
def test_a_server_can_stop_while_a_forwarder_drains(alone, alone_fwd, backlog, dead_port):
    alone.psql(TABLE)
    with alone_fwd(sinks=http_sink(dead_port), pipeline="memory: 1MiB",
                   root="drain: 10m") as forwarder:
        rows(alone, 1, 1 if backlog == "one row" else 20000, 1000)
        forwarder.wait_for_log("will try again")
        if backlog == "full queue":
            wait_until_full(forwarder)
        forwarder.process.send_signal(signal.SIGTERM)
        forwarder.wait_for_log("draining")
        stop(alone.server)
        assert forwarder.process.wait(STOP) == 0
        assert "the drain ends early" in forwarder.log()
    alone.server.start()
    assert alone.server.value("SELECT confirmed_flush_lsn < pg_current_wal_lsn() "
                       "FROM pg_replication_slots") is True


def test_a_server_can_stop_while_a_forwarder_waits_for_the_slot(alone, alone_fwd, dead_port):
    alone.psql(TABLE)
    sinks = http_sink(dead_port)
    first, second = alone_fwd(name="first", sinks=sinks), alone_fwd(name="second", sinks=sinks)
    with first:
        second.start(wait=False)
        second.wait_for_log("waiting to take over")
        rows(alone, 1, 10)
        first.wait_for_log("will try again")
        stop(alone.server)


def test_a_server_can_stop_while_nobody_reads_what_tail_prints(alone):
    alone.psql(TABLE)
    dsn = f"host={alone.server.host} port={alone.server.port} user={pg.SUPERUSER} dbname={alone.name}"
    tail = subprocess.Popen([PROGRAM, "tail", dsn], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, preexec_fn=die_with_parent)
    try:
        slots = "SELECT count(*) FROM pg_replication_slots WHERE temporary AND active"
        pg.wait_until(lambda: alone.server.value(slots, alone.name) == 1, what="temporary slot")
        rows(alone, 1, 50000, 500)
        time.sleep(1)
        stop(alone.server)
        assert tail.wait(STOP) == 1
        assert "stopping" in tail.stderr.read()
    finally:
        tail.kill()
        tail.stdout.close()
        tail.stderr.close()


@pytest.mark.parametrize("timeout", ["400ms", "2s", "0"])
def test_a_healthy_stream_is_not_let_go(alone, alone_fwd, timeout, tmp_path, dead_port):
    """Idle, busy, synchronous, with a sink that is down beside one that is not."""
    alone.psql(TABLE)
    alone.psql(f"ALTER DATABASE {alone.name} SET wal_sender_timeout = '{timeout}'")
    sinks = file_sink(tmp_path / "one") + http_sink(dead_port)
    with alone_fwd(sinks=sinks, pipeline="memory: 2MiB") as forwarder:
        alone.server.reload({"synchronous_standby_names": "walspout", "synchronous_commit": "local"})
        time.sleep(2)
        rows(alone, 1, 1)
        for number in range(2, 100):
            rows(alone, number, number)
        time.sleep(2)
        rows(alone, 1000, 30000, 200)       # the queue is full
        time.sleep(2)
        assert forwarder.status()["connects"] == 1, forwarder.log()


# Reconnects


class CuttingProxy(Proxy):
    """Cuts each connection when so many bytes have come from the server."""

    def __init__(self, target, limit):
        self.limit = limit
        self.counts = {}
        self.connections = 0
        super().__init__(target)

    def _connect(self, *more):
        self.connections += 1
        super()._connect(*more)

    def _pump(self, source, sink, pair):
        if source is pair[1]:
            source = _Counted(source, self)
        super()._pump(source, sink, pair)


class _Counted:
    """A socket that fails when too much was received."""

    def __init__(self, inner, owner):
        self.inner, self.owner, self.left = inner, owner, owner.limit

    def recv(self, size):
        if self.left <= 0 and self.owner.limit:
            raise OSError("cut")
        data = self.inner.recv(min(size, self.left) if self.owner.limit else size)
        self.left -= len(data)
        return data

    def __eq__(self, other):
        return other is self or other is self.inner

    def __hash__(self):
        return hash(self.inner)

    def __getattr__(self, name):
        return getattr(self.inner, name)


@pytest.fixture
def cutting(db):
    made = CuttingProxy(os.path.join(db.server.host, f".s.PGSQL.{db.server.port}"), 3_000_000)
    yield made
    made.limit = 0
    made.close()


def through(db, port):
    return f"host=127.0.0.1 port={port} user={pg.SUPERUSER} dbname={db.name} sslmode=disable"


@pytest.mark.long
def test_a_transaction_that_never_comes_whole_is_no_storm(db, fwd, cutting):
    db.psql(TABLE)
    with fwd(dsn=through(db, cutting.port)) as forwarder:
        rows(db, 1, 1)
        forwarder.wait_for_events(1)
        before = cutting.connections
        rows(db, 2, 40001, 200)
        time.sleep(12)
        events = forwarder.events()
        assert cutting.connections - before < 15, forwarder.log()
        ids = [event["id"] for event in events]
        assert len(ids) == len(set(ids)), "no event comes twice"
        attempts = [int(line.split("attempt=")[1].split()[0]) for line in forwarder.log().splitlines()
                    if "source failed" in line]
        assert attempts == list(range(1, len(attempts) + 1)) and len(attempts) > 3
        cutting.limit = 0
        forwarder.wait_for_events(40001, timeout=90)
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 20, what="confirmation")
        assert [event["after"]["id"] for event in forwarder.events()] == list(range(1, 40002))
        rows(db, 50000, 50000)
        forwarder.wait_for_events(40002)


def test_retry_max_is_of_the_source_too(db, fwd):
    forwarder = fwd(pipeline="retry: {initial: 10ms, max: 50ms}", dsn="host=/nonexistent")
    forwarder.start(wait=False)
    pg.wait_until(lambda: forwarder.log().count("source failed") > 30, 30, what="attempts")
    waits = [int(line.split("wait_ms=")[1].split()[0]) for line in forwarder.log().splitlines()
             if "source failed" in line]
    assert max(waits) <= 50


def test_cuts_within_transactions_repeat_nothing(db, fwd):
    """Also the events in the queue, and those received in part."""
    db.psql(TABLE)
    network = Proxy(os.path.join(db.server.host, f".s.PGSQL.{db.server.port}"))
    try:
        with fwd(dsn=through(db, network.port), pipeline="memory: 1MiB\nretry: {initial: 5ms, max: 50ms}",
                 source="batch_bytes: 4kB") as forwarder:
            rows(db, 1, 1)
            forwarder.wait_for_events(1)
            network.sever()
            for first in range(2, 20002, 1000):
                rows(db, first, first + 999, 50)
                time.sleep(0.05)
            pg.wait_until(lambda: forwarder.status()["connects"] > 3, 60, what="streams that were cut")
            network.heal()
            forwarder.wait_for_events(20001, timeout=60)
            end = db.current_lsn()
            pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 20, what="confirmation")
            assert [event["after"]["id"] for event in forwarder.events()] == list(range(1, 20002))
    finally:
        network.close()


# Fencing


def take_over(db, first, second, gone=lambda: None):
    """The first one is stopped, and loses the slot to the second."""
    freeze(first.process.pid)
    gone()
    db.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
            f"WHERE slot_name = '{first.slot}'")
    second.wait_for_log("msg=streaming")


@pytest.mark.parametrize("receiver", ["dead", "slow"])
def test_who_has_lost_the_slot_delivers_nothing(db, fwd, receiver):
    db.psql(TABLE)
    port = free_port()
    slow = {"seconds": 1.0}

    def answer(number, id):
        time.sleep(slow["seconds"])
        return 204
    pace = "retry: {initial: 20ms, max: 100ms}"
    with contextlib.ExitStack() as stack:
        if receiver == "slow":
            stack.enter_context(Webhook(port, answer))
        first = fwd(name="first", sinks=http_sink(port), pipeline=pace)
        second = fwd(name="second")
        stack.enter_context(first)
        second.start(wait=False)
        second.wait_for_log("waiting to take over")
        rows(db, 0, 4)
        pg.wait_until(lambda: first.status()["sinks"][0]["waiting"] == 5, 20, what="backlog")
        if receiver == "dead":
            first.wait_for_log("will try again")
        take_over(db, first, second)
        events = second.wait_for_events(5)
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(first.slot) >= end, 20, what="confirmation")
        hook = stack.enter_context(Webhook(port)) if receiver == "dead" else None
        slow["seconds"] = 0
        thaw(first.process.pid)
        first.wait_for_log("waiting to take over")
        time.sleep(2)
        if hook:
            assert hook.ids == []
        assert first.status()["sinks"][0]["events"] <= (1 if receiver == "slow" else 0)
        second.kill()
        first.wait_for_log("msg=streaming", first.log().index("waiting to take over"))
        assert "is discarded" in first.log()
        rows(db, 5, 5)
        pg.wait_until(lambda: first.status()["sinks"][0]["waiting"] == 0, 20, what="delivery")
        if hook:
            pg.wait_until(lambda: len(hook.ids) == 1, 20, what="the next event")
            assert hook.ids[0] not in [event["id"] for event in events]


def test_a_full_queue_is_fenced_too(db, fwd):
    """Nothing is read, so the end of the connection does not show."""
    db.psql(TABLE)
    port = free_port()
    first = fwd(name="first", sinks=http_sink(port),
                pipeline="memory: 1MiB\nretry: {initial: 20ms, max: 100ms}")
    second = fwd(name="second", pipeline="memory: 1MiB")
    with first:
        second.start(wait=False)
        second.wait_for_log("waiting to take over")
        rows(db, 1, 20000, 1000)
        wait_until_full(first)
        freeze(first.process.pid)
        pid = db.server.slot(first.slot)["active_pid"]
        os.kill(pid, signal.SIGTERM)
        time.sleep(1.5)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)        # it may be blocked while it says that it ends
        second.wait_for_log("msg=streaming")
        second.wait_for_events(20000)
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(first.slot) >= end, 20, what="confirmation")
        with Webhook(port) as hook:
            thaw(first.process.pid)
            first.wait_for_log("waiting to take over")
            time.sleep(2)
            assert hook.ids == []


def test_a_forwarder_that_is_cut_off_stops_delivering(db, fwd):
    """The forwarder does not see the end of the connection: its lease ends before another reader gets the slot."""
    db.psql(TABLE)
    db.psql(f"ALTER DATABASE {db.name} SET wal_sender_timeout = '3s'")
    network = Proxy(os.path.join(db.server.host, f".s.PGSQL.{db.server.port}"))
    started = []

    def answer(number, id):
        started.append(time.monotonic())
        time.sleep(0.3)
        return 204
    try:
        with Webhook(answer=answer) as hook:
            first = fwd(name="first", sinks=http_sink(hook.port), dsn=through(db, network.port))
            second = fwd(name="second")
            with first:
                second.start(wait=False)
                second.wait_for_log("waiting to take over")
                rows(db, 1, 200)
                pg.wait_until(lambda: len(started) > 3, 20, what="deliveries")
                time.sleep(2)       # a slow sink and a silent server: it goes on
                assert len(started) > 5
                network.blackhole()
                second.wait_for_log("msg=streaming")
                taken = time.monotonic()
                time.sleep(2)
                assert max(started) < taken
                network.heal(cut=True)
                time.sleep(2)
                assert max(started) < taken or "is discarded" in first.log()
    finally:
        network.close()


def test_an_outage_of_the_server_holds_deliveries_back(alone, alone_fwd):
    """No event is lost by that, and the end does not wait."""
    alone.psql(TABLE)
    busy = {"status": 503}
    with Webhook(answer=lambda *_: busy["status"]) as hook, \
            alone_fwd(sinks=http_sink(hook.port),
                      pipeline="retry: {initial: 20ms, max: 100ms}") as forwarder:
        def waiting(count):
            return pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == count, 30,
                                 what=f"{count} waiting events")
        rows(alone, 1, 5)
        waiting(5)
        stop(alone.server)
        busy["status"] = 204
        time.sleep(2)
        assert hook.ids == []
        alone.server.start()
        pg.wait_until(lambda: len(hook.ids) == 5, 30, what="events")
        waiting(0)
        busy["status"] = 503
        rows(alone, 6, 6)
        waiting(1)
        stop(alone.server)
        busy["status"] = 204
        assert forwarder.terminate(15) == 0
        assert len(hook.ids) == 5


def test_a_drain_goes_on_while_the_server_is_silent(db, fwd):
    db.psql(TABLE)

    def answer(number, id):
        time.sleep(0.3)
        return 204
    with Webhook(answer=answer) as hook:
        with fwd(sinks=http_sink(hook.port), root="drain: 60s") as forwarder:
            rows(db, 1, 15)
            pg.wait_until(lambda: hook.ids, 20, what="delivery")
            assert forwarder.terminate(60) == 0
            assert len(hook.ids) == 15
            assert db.value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = "
                            f"'{forwarder.slot}'")
