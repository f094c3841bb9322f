"""Kafka as a destination: rows, through a real broker that is killed, frozen and restarted. With exactly_once, readers
see each event once, whatever is killed."""

import json
import random
import signal
import threading
import time

from harness import kafka
from harness import postgres as pg
import pytest
from harness.forwarder import run
from harness.processes import freeze, thaw

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


def test_rows_whose_key_is_left_out_have_no_message_key(db, fwd, broker):
    """A compacted topic would lose all but one of two rows that have one message key."""
    db.psql("CREATE TABLE keys (a int, k text, n int, PRIMARY KEY (a, k))")
    with fwd(sinks=sink(broker, topic=f"'{db.name}.{{schema}}.{{table}}'"), source="max_value_bytes: 1kB") as forwarder:
        db.psql("INSERT INTO keys VALUES (1, 'short', 1), (1, repeat('x', 2000), 2), (1, repeat('y', 2000), 3);"
                "UPDATE keys SET n = -n; DELETE FROM keys")
        delivered(forwarder, 9)
        messages = broker.messages(f"{db.name}.public.keys")
    by_key = {}
    for partition, key, value, _ in messages:
        by_key.setdefault(key, []).append((partition, json.loads(value)))
    assert sorted(len(values) for values in by_key.values()) == [3, 6]
    without = by_key[None]
    assert len({partition for partition, _ in without}) == 1, "in one partition, so in order"
    assert all("key" not in event and list(event["elided"]) == ["k"] for _, event in without)
    assert [event["op"] for _, event in without] == ["c", "c", "u", "u", "d", "d"]


@pytest.mark.long
def test_the_first_messages_of_a_topic_arrive(db, fwd, broker):
    """A broker may reject the first request for a new topic, and accept the second. It would then treat the repeated
    first request as a duplicate. With more than one request in flight, 1 of 20 topics lost a message."""
    db.psql(TABLE)
    for turn in range(30):
        topic = f"{db.name}.first.{turn}"
        with fwd(name=f"f{turn}", slot=f"{db.name}_{turn}", sinks=sink(broker, topic=f"'{topic}'")) as forwarder:
            db.psql(f"INSERT INTO t SELECT i, 'x' FROM generate_series({turn * 100 + 1}, {turn * 100 + 100}) i")
            delivered(forwarder, 100)
            assert forwarder.terminate() == 0
        db.server.drop_slot(forwarder.slot)
        assert len(broker.messages(topic)) == 100


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


def exactly_once(broker, **more):
    return sink(broker, exactly_once="true", deliver_timeout="5s", **more)


def all_once(broker, topic, count):
    """Waits until so many events are there, and shows that each is there once, in its key's order."""
    pg.wait_until(lambda: len(broker.messages(topic)) >= count, 240, every=1, what="all events")
    messages = broker.messages(topic)
    ids = [headers["id"] for *_, headers in messages]
    assert len(ids) == count and len(set(ids)) == count
    assert all(in_order(of_key) for of_key in by_key(messages).values())


class Writer(threading.Thread):
    """Inserts rows and changes them until it is told to stop; then `changes` says how many changes there were."""

    def __init__(self, db):
        super().__init__()
        self.db, self.changes, self.over = db, 0, threading.Event()

    def run(self):
        begin = 0
        while not self.over.is_set():
            size = random.choice([1, 10, 500])
            self.db.psql(f"INSERT INTO t SELECT i, 'x' FROM generate_series({begin + 1}, {begin + size}) i; "
                         f"UPDATE t SET body = body || 'y' WHERE id > {max(0, begin - 20)}")
            begin += size
            self.changes += size + size + min(20, begin - size)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


@pytest.mark.parametrize("dialect", ["debezium", "row"])
def test_exactly_once_in_the_forms_of_other_programs(db, fwd, broker, dialect):
    """These documents have no id: the position and the headers come from beside them."""
    db.psql(TABLE)
    topic = f"{db.name}.{dialect}"
    forwarder = fwd(source=f"dialect: {dialect}", sinks=exactly_once(broker, topic=topic), pipeline="retry: {max: 300ms}")
    forwarder.start()
    count = 0
    for life in range(3):
        db.psql(f"INSERT INTO t SELECT i, 'x' FROM generate_series({life * 100 + 1}, {life * 100 + 100}) i; "
                f"UPDATE t SET id = id + 1000 WHERE id = {life * 100 + 1}; SELECT pg_logical_emit_message(true, 'p', 'm')")
        count += 100 + (2 if dialect == "debezium" else 1) + 1     # a change of the key is a delete and an insert of debezium
        forwarder.process.send_signal(signal.SIGKILL)
        forwarder.process.wait()
        forwarder.start()
    pg.wait_until(lambda: len(broker.messages(topic)) >= count, 120, every=1, what="all events")
    messages = broker.messages(topic)
    ids = [headers["id"] for *_, headers in messages]
    assert len(ids) == count and len(set(ids)) == count
    keys = [key for _, key, _, headers in messages if headers["op"] == "m"]
    assert keys == [{"debezium": '{"prefix":"p"}', "row": None}[dialect]] * 3
    assert all(headers["op"] == "m" or key.startswith('{"id":') for _, key, _, headers in messages)
    assert forwarder.terminate() == 0


@pytest.mark.long
@pytest.mark.parametrize("victim", ["forwarder", "broker", "both"])
def test_exactly_once_whatever_is_killed(db, fwd, broker, victim):
    db.psql(TABLE)
    topic = f"{db.name}.once"
    forwarder = fwd(sinks=exactly_once(broker, topic=topic), pipeline="retry: {max: 300ms}")
    forwarder.start()

    def kill_forwarder():
        forwarder.process.send_signal(signal.SIGKILL)
        forwarder.process.wait()
        forwarder.start()

    def kill_broker():
        broker.kill()
        broker.start()
    deeds = {"forwarder": [kill_forwarder] * 8, "broker": [kill_broker] * 3,
             "both": [kill_forwarder, kill_broker, kill_forwarder, kill_broker, kill_forwarder]}[victim]
    with Writer(db) as writer:
        for deed in deeds:
            time.sleep(random.uniform(0.3, 2.5))
            deed()
        time.sleep(1)
    all_once(broker, topic, writer.changes)
    assert forwarder.terminate() == 0


@pytest.mark.long
def test_exactly_once_where_a_standby_takes_over(db, fwd, broker):
    """The forwarder that had the slot is frozen, and continues in the middle of its work."""
    db.psql(TABLE)
    db.server.psql(f"ALTER DATABASE {db.name} SET wal_sender_timeout = '2s'")
    topic = f"{db.name}.standby"
    first = fwd(sinks=exactly_once(broker, topic=topic), pipeline="retry: {max: 300ms}")
    first.start()
    second = fwd(name="second", sinks=exactly_once(broker, topic=topic), pipeline="retry: {max: 300ms}")
    second.start(wait=False)
    second.wait_for_log("waiting to take over")
    with Writer(db) as writer:
        for sleeper, other in ((first, second), (second, first)):
            time.sleep(random.uniform(0.5, 1.5))
            begin = len(other.log())
            freeze(sleeper.process.pid)
            other.wait_for_log("msg=streaming", begin, 120)
            time.sleep(1)
            thaw(sleeper.process.pid)
            time.sleep(2)
    all_once(broker, topic, writer.changes)
    assert first.terminate() == 0 and second.terminate() == 0


def test_a_database_that_was_restored_is_noticed(db, fwd, broker):
    """A position beyond the WAL of the database does not count as its own."""
    db.psql(TABLE)
    config = dict(sinks=exactly_once(broker, topic=f"{db.name}.restored"), pipeline="retry: {max: 300ms}")
    with fwd(**config) as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'x')")
        delivered(forwarder, 1)
        assert forwarder.terminate() == 0
    key = next(key for _, key, _, _ in broker.messages("walspout.positions") if f" {db.name}" in key)
    kafka.send(broker.address, "walspout.positions", [b"99999999999999-0 5AF3/107A3FFF 1700000000123456"], key.encode())
    forwarder = fwd(**config)
    checked = run("check", forwarder.config, timeout=120)
    assert checked.returncode == 1 and "beyond the database's WAL position" in checked.stdout
    forwarder.start()
    db.psql("INSERT INTO t VALUES (2, 'x')")
    pg.wait_until(lambda: forwarder.status()["sinks"][0]["state"] == "parked", 60, what="sink that is parked")
    assert len(broker.messages(f"{db.name}.restored")) == 1
    forwarder.kill()
