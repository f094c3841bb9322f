"""Kafka as a destination: rows, through a real broker that is killed, frozen and restarted."""

import json
import signal

from harness import kafka
from harness import postgres as pg
import pytest
from harness.forwarder import run

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with kafka.Broker(str(tmp_path_factory.mktemp("kafka")), partitions=4) as started:
        yield started


def sink(broker, **more):
    lines = ["- type: kafka", f"  brokers: ['{broker.address}']", "  create_topics: {}", "  connect_timeout: 20s"]
    lines += [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


def delivered(forwarder, count):
    pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] >= count, 180, what="all events")


def by_key(messages):
    """{key: [id of event]}, without repetitions."""
    found = {}
    for _, key, _, headers in messages:
        ids = found.setdefault(key, [])
        if headers["id"] not in ids:
            ids.append(headers["id"])
    return found


def in_order(ids):
    numbers = [tuple(map(int, text.split("-"))) for text in ids]
    return numbers == sorted(numbers)


def test_rows_become_messages(db, fwd, broker):
    db.psql(TABLE + "; CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL")
    name = f"{db.name}.{{schema}}.{{table}}"
    with fwd(sinks=sink(broker, topic=f"'{name}'", tombstones="true")) as forwarder:
        db.psql("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 50) i")
        db.psql("UPDATE t SET body = 'y'; DELETE FROM t WHERE id = 7; "
                "INSERT INTO keyless SELECT generate_series(1, 20); TRUNCATE t")
        delivered(forwarder, 50 + 50 + 1 + 20 + 1)
        messages = broker.messages(f"{db.name}.public.t")
        assert len(messages) == 103
        assert len({partition for partition, *_ in messages}) == 4
        seven = [(value, headers) for _, key, value, headers in messages if key == '{"id":7}']
        assert [headers["op"] for _, headers in seven] == ["c", "u", "d", "d"]
        assert seven[3][0] is None
        for _, key, value, headers in messages:
            if value is None:
                continue
            document = json.loads(value)
            assert document["id"] == headers["id"] and document["op"] == headers["op"]
            assert json.loads(key or "null") == document.get("key")
        keyless = broker.messages(f"{db.name}.public.keyless")
        assert len({partition for partition, *_ in keyless}) == 1
        assert [json.loads(value)["after"]["n"] for _, _, value, _ in keyless] == list(range(1, 21))
        assert forwarder.terminate() == 0


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_broker_that_fails_gets_every_row_once(db, fwd, broker, fault):
    db.psql(TABLE)
    topic = f"{db.name}.{fault}"
    with fwd(sinks=sink(broker, topic=topic, deliver_timeout="2s"), pipeline="retry: {max: 500ms}") as forwarder:
        db.psql("INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series(1, 2000) i")
        delivered(forwarder, 1)
        if fault == "kill":
            broker.kill()
        else:
            broker.freeze()
        db.psql("UPDATE t SET body = 'y'")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["state"] == "retrying", 60, what="retry")
        if fault == "kill":
            broker.start()
        else:
            broker.thaw()
        delivered(forwarder, 4000)
        messages = broker.messages(topic)
        assert len(messages) == 4000            # neither a gap nor a repetition
        found = by_key(messages)
        assert len(found) == 2000 and all(len(ids) == 2 and in_order(ids) for ids in found.values())
        assert forwarder.terminate() == 0


def test_a_forwarder_that_is_killed_loses_nothing(db, fwd, broker):
    db.psql(TABLE)
    topic = f"{db.name}.killed"
    forwarder = fwd(sinks=sink(broker, topic=topic))
    forwarder.start()
    for i in range(4):
        db.psql(f"INSERT INTO t SELECT i, 'x' FROM generate_series({i * 5000 + 1}, {i * 5000 + 5000}) i")
        forwarder.process.send_signal(signal.SIGKILL)
        forwarder.process.wait()
        forwarder.start()
    db.psql("UPDATE t SET body = 'y' WHERE id <= 100")

    def all_there():
        return len({headers["id"] for *_, headers in broker.messages(topic)}) == 20100
    pg.wait_until(all_there, 180, what="all events")
    found = by_key(broker.messages(topic))
    assert all(in_order(ids) for ids in found.values()) and len(found) == 20000
    assert forwarder.terminate() == 0


def test_check_says_what_is_missing(db, fwd, broker):
    db.psql(TABLE)
    config = fwd(sinks=f"      - type: kafka\n        brokers: ['{broker.address}']\n        topic: nowhere\n").config
    checked = run("check", config, timeout=120)
    assert checked.returncode == 1
    assert f"kafka-topics.sh --bootstrap-server {broker.address} --create --topic nowhere" in checked.stdout
    config = fwd(name="unknown", sinks=sink(broker, librdkafka="{no.such: 1}")).config
    checked = run("check", config, timeout=120)
    assert checked.returncode != 0
    assert 'No such configuration property: "no.such"' in checked.stdout + checked.stderr
