"""A broker that says nothing at a chosen moment: what the forwarder waits for has an end, and so has the forwarder."""

import struct

import pytest
from harness import kafka
from harness import postgres as pg
from harness.ports import free_port
from harness.proxy import Proxy
from test_forwarder_kafka_source import STRATEGIES, TABLE, fill, reader, shared_by, writer  # noqa: F401

# A request of Kafka's protocol.
OFFSET_FETCH = 9


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
    """The group has given it partitions, and the broker does not say where the group is in them."""
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
