"""A broker that is silent at a chosen moment: every wait of the forwarder ends, and the forwarder can stop."""

import struct
import threading

import pytest
from harness import kafka
from harness import postgres as pg
from harness.ports import free_port
from harness.proxy import Proxy
from test_forwarder_kafka_source import STRATEGIES, TABLE, fill, reader, shared_by, writer  # noqa: F401

pytestmark = pytest.mark.long

# Requests of Kafka's protocol.
OFFSET_COMMIT, OFFSET_FETCH = 8, 9


class Silent(kafka.Broker):
    """A broker behind a proxy, which falls silent with the first request of one kind."""

    def __init__(self, place):
        self.proxy = Proxy(free_port())
        super().__init__(place, advertised=self.proxy.port,
                         more="group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n")
        self.proxy.target = self.port
        self.address = f"127.0.0.1:{self.proxy.port}"

    def fall_silent_at(self, request):
        def spy(data):
            while len(data) >= 6:
                size, kind = struct.unpack(">ih", data[:6])
                if kind == request:
                    self.proxy.spy = None
                    self.proxy.blackhole()
                data = data[4 + size:]
        self.proxy.spy = spy

    def is_silent(self):
        return self.proxy.mode == "blackhole"

    def stop(self):
        super().stop()
        self.proxy.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Silent(str(tmp_path_factory.mktemp("kafka"))) as started:
        yield started


@pytest.fixture(autouse=True)
def healed(broker):
    yield
    broker.proxy.spy = None
    broker.proxy.heal(cut=True)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_reader_outlives_a_silence_while_it_joins(db, writer, reader, broker, strategy):
    """The group has assigned partitions, but the broker does not give the group's offsets."""
    db.psql(TABLE)
    topic = f"{db.name}.silent"
    fill(db, writer, topic, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i", 100)
    broker.fall_silent_at(OFFSET_FETCH)
    second = reader([topic], group=f"silent-{strategy}", more=shared_by(strategy))
    second.launch()
    pg.wait_until(broker.is_silent, 60, what="a silent broker")
    second.wait_for_log("source failed, will connect again", timeout=120)
    broker.proxy.heal(cut=True)
    second.wait_for_events(100, 120)
    assert second.terminate() == 0


@pytest.mark.parametrize("moment", ["idle", "committing", "joining"])
def test_a_reader_ends_while_the_broker_is_silent(db, writer, reader, broker, moment):
    db.psql(TABLE)
    topic = f"{db.name}.end"
    fill(db, writer, topic, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i", 100)
    if moment != "idle":
        broker.fall_silent_at(OFFSET_FETCH if moment == "joining" else OFFSET_COMMIT)
    second = reader([topic], group=f"end-{moment}")
    second.launch()
    if moment == "idle":
        second.wait_for_events(100, 120)
        pg.wait_until(lambda: kafka.committed(broker.address, "end-idle", topic) == {0: 100}, 60, what="the offset")
        broker.proxy.blackhole()
    pg.wait_until(broker.is_silent, 120, what="a silent broker")
    assert second.terminate(60) == 0


@pytest.mark.parametrize("once", ["false", "true"])
def test_a_forwarder_ends_while_the_broker_is_silent(db, writer, broker, once):
    """Events that Kafka did not confirm come again, and with exactly_once no event is there twice."""
    db.psql(TABLE)
    topic = f"{db.name}.out"
    with writer(topic, exactly_once=once) as forwarder:
        db.psql("INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] >= 100, 180, what="all events in Kafka")
        broker.proxy.blackhole()
        db.psql("UPDATE t SET n = 1")
        pg.wait_until(lambda: forwarder.status()["in_flight_bytes"] > 0, 60, what="events in flight")
        assert forwarder.terminate(60) == 0
        broker.proxy.heal(cut=True)
        forwarder.start()
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 180, what="all confirmed")
        ids = [headers["id"] for _, _, _, headers in broker.messages(topic)]
        assert len(set(ids)) == 200
        if once == "true":
            assert len(ids) == 200
        assert forwarder.terminate() == 0


def test_the_harness_asks_a_silent_broker_in_bounded_time(broker):
    """The torture uses this to look at what has arrived."""
    kafka.create(broker.address, "ends")
    kafka.send(broker.address, "ends", [b"x"] * 10)
    ends, said = kafka.Ends(broker.address), []

    def ask():
        try:
            said.append(ends.of("ends"))
        except OSError as error:
            said.append(str(error))
    ask()
    assert said == [10]
    broker.proxy.blackhole()
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(60)
    assert "does not say" in said[1]
    broker.proxy.heal(cut=True)
    pg.wait_until(lambda: ask() or said[-1] == 10, 60, what="the end, again")
    ends.close()
