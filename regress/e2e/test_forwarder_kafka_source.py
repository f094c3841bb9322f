"""Kafka as a source: slot -> Kafka -> another forwarder -> its sinks, while members and brokers come and go."""

import base64
import json
import os
import signal
import time

import config_keys
import pytest
from harness import kafka
from harness import postgres as pg
from harness.forwarder import Forwarder, Walspout, file_sink, http_sink, run
from harness.processes import freeze, thaw
from harness.redis import Redis
from harness.webhook import Webhook

TABLE = "CREATE TABLE t (id int PRIMARY KEY, n int)"
PARTITIONS = 4

CONFIG = """\
pipelines:
  - name: reader
    source:
      kafka:
        brokers: ['{brokers}']
        topics: {topics}
        group: {group}
{more}
    sinks:
{sinks}
{pipeline}
status:
  listen: 127.0.0.1:0
drain: 10s
"""

# What makes a group notice soon that a member is gone.
SOON = "librdkafka: {session.timeout.ms: 6000, heartbeat.interval.ms: 500, topic.metadata.refresh.interval.ms: 1000}"
STRATEGIES = ["roundrobin", "cooperative-sticky"]


def shared_by(strategy):
    return SOON.replace("}", f", partition.assignment.strategy: {strategy}}}")


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    more = "group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n"
    with kafka.Broker(str(tmp_path_factory.mktemp("kafka")), partitions=PARTITIONS, more=more, auth=True) as started:
        yield started


class Reader(Forwarder):
    """A forwarder that reads Kafka."""

    def __init__(self, folder, brokers, topics, group, name="reader", sinks=None, more=SOON, pipeline=""):
        self.output = os.path.join(folder, f"{name}.jsonl")
        Walspout.__init__(self, folder, CONFIG.format(
            brokers=brokers, topics=json.dumps(topics), group=group,
            more="".join(f"        {line}\n" for line in more.splitlines()),
            sinks=sinks or file_sink(self.output),
            pipeline="".join(f"    {line}\n" for line in pipeline.splitlines())), name)


@pytest.fixture
def reader(broker, tmp_path, request):
    """Makes readers; ends those that a test leaves."""
    made = []

    def make(topics, group=None, **more):
        brokers = more.pop("brokers", broker.address)
        made.append(Reader(str(tmp_path), brokers, topics, group or request.node.name[:40].split("[")[0], **more))
        return made[-1]
    yield make
    for each in made:
        each.kill()
    for marker in request.node.iter_markers("effect"):
        for key in marker.args:
            texts = [open(each.config).read() for each in made]
            assert any(config_keys.is_used(text, key) for text in texts), f"{key} is not used"


@pytest.fixture
def writer(db, fwd, broker):
    """A forwarder that fills a topic from the slot."""
    def make(topic, **more):
        lines = ["- type: kafka", f"  brokers: ['{broker.address}']", "  create_topics: {}", "  connect_timeout: 20s",
                 f"  topic: '{topic}'"] + [f"  {key}: {value}" for key, value in more.items()]
        return fwd(name="writer", sinks="".join(f"      {line}\n" for line in lines))
    return make


def fill(db, writer, topic, sql, count, **more):
    """Fills a topic with the events of some statements, and ends."""
    with writer(topic, **more) as forwarder:
        db.psql(sql)
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] >= count, 180, what="all events in Kafka")
        assert forwarder.terminate() == 0


def number(event):
    return tuple(map(int, event["id"].split("-")))


def unique(events):
    """Without repetitions, in the order of the first arrival."""
    return list({event["id"]: event for event in events}.values())


def in_order(events):
    """Whether the events of each key came in order, without repetitions."""
    last = {}
    for event in unique(events):
        key = (event.get("table"), json.dumps(event.get("key")))
        if last.get(key, (0, 0)) >= number(event):
            return False
        last[key] = number(event)
    return True


def done(broker, group, topic, messages):
    """Whether the group has committed all of a topic."""
    return sum(kafka.committed(broker.address, group, topic).values()) >= messages


def test_events_arrive_as_they_were(db, writer, reader, broker):
    """After Kafka and two forwarders, all kinds of events are byte for byte those of the slot."""
    db.psql(TABLE + "; CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL")
    slot = db.create_slot("twin")
    topic = f"{db.name}.all"
    sql = ("INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i; UPDATE t SET n = 1; DELETE FROM t WHERE id = 7; "
           "UPDATE t SET id = 1000 WHERE id = 8; INSERT INTO keyless VALUES (1); TRUNCATE keyless; "
           "SELECT pg_logical_emit_message(true, 'outbox', '{\"a\":1}')")
    fill(db, writer, topic, sql, 205, tombstones="true")
    expected = {event["id"]: event for event in db.events(slot)}
    with reader([topic]) as second:
        events = second.wait_for_events(205, 120)
        assert {event["id"]: event for event in events} == expected
        assert in_order(second.events())
        pg.wait_until(lambda: second.status()["lag_messages"] == 0, 60, what="no lag")
        status = second.status()
        assert status["group"] and status["partitions"] == PARTITIONS and status["state"] == "streaming"
        metrics = second.get("/metrics")[1]
        assert 'walspout_lag_messages{pipeline="reader"} 0' in metrics
        assert f'walspout_source_partitions{{pipeline="reader"}} {PARTITIONS}' in metrics
        assert second.get("/readyz")[0] == 200
        assert second.terminate() == 0
    # Committed messages are not read again.
    with reader([topic]) as again:
        pg.wait_until(lambda: again.status()["lag_messages"] == 0, 60, what="no lag")
        time.sleep(1)
        assert len(again.events()) == len(events)


def test_into_redis_and_http(db, writer, reader, broker, tmp_path):
    db.psql(TABLE)
    topic = f"{db.name}.sinks"
    fill(db, writer, topic, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 500) i; UPDATE t SET n = 1", 1000)
    with Redis(str(tmp_path)) as redis, Webhook() as hook:
        sinks = (f"      - type: redis\n        url: {redis.url}\n        stream: events\n" + http_sink(hook.port))
        bad = reader([topic], sinks=sinks, name="bad", group="into-redis")
        checked = run("check", bad.config, timeout=120)
        assert checked.returncode == 1 and "set `ids: redis`" in checked.stdout
        sinks = sinks.replace("stream: events", "stream: events\n        ids: redis")
        with reader([topic], sinks=sinks, group="into-redis") as second:
            pg.wait_until(lambda: len(set(hook.ids)) == 1000 and len(redis.entries("events")) >= 1000, 120,
                          what="all events in both")
            pg.wait_until(lambda: done(broker, "into-redis", topic, 1000), 60, what="all offsets")
            events = [json.loads(entry["data"]) for _, entry in redis.entries("events")]
            assert len(unique(events)) == 1000 and in_order(events)
            assert second.terminate() == 0


def test_a_reader_that_is_killed_loses_nothing(db, writer, reader, broker):
    db.psql(TABLE)
    topic = f"{db.name}.killed"
    with writer(topic) as first:
        second = reader([topic], group="killed")
        db.psql("INSERT INTO t SELECT i, 0 FROM generate_series(1, 2000) i")
        second.start()
        for i in range(3):
            count = len(second.events())
            db.psql("UPDATE t SET n = n + 1")
            pg.wait_until(lambda: len(second.events()) > count, 120, what="some events")
            second.process.send_signal(signal.SIGKILL)
            second.process.wait()
            # Committed events were in the file before.
            have = {event["id"] for event in second.events()}
            messages = {}
            for partition, _, _, headers in broker.messages(topic):
                messages.setdefault(partition, []).append(headers["id"])
            for partition, offset in kafka.committed(broker.address, "killed", topic).items():
                assert set(messages.get(partition, [])[:offset]) <= have
            second.start()
        pg.wait_until(lambda: len({event["id"] for event in second.events()}) == 8000, 180, what="all events")
        assert in_order(second.events())
        assert second.terminate() == 0
        assert first.terminate() == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_readers_share_the_load_while_events_flow(db, writer, reader, broker, strategy):
    db.psql(TABLE)
    topic = f"{db.name}.shared"
    rows, rounds = 1000, 12
    with writer(topic) as first:
        db.psql(f"INSERT INTO t SELECT i, 0 FROM generate_series(1, {rows}) i")
        group, more = f"shared-{strategy}", shared_by(strategy)
        a, b = (reader([topic], group=group, name=name, more=more) for name in "ab")
        a.start()
        for i in range(rounds):
            db.psql("UPDATE t SET n = n + 1")
            if i == 3:
                b.start()
                pg.wait_until(lambda: a.status()["partitions"] == b.status()["partitions"] == 2, 120, what="shares")
            if i == 6:
                assert a.terminate() == 0
            if i == 9:
                a.start()
        total = rows * (rounds + 1)
        pg.wait_until(lambda: done(broker, group, topic, total), 180, what="all offsets")
        events = unique(a.events() + b.events())
        assert len(events) == total
        assert a.events() and b.events()
        # Each partition had one owner at a time: no event came twice, because all members ended well.
        if strategy == "roundrobin":
            assert len(a.events() + b.events()) == total
        assert in_order(a.events()) and in_order(b.events())
        assert a.terminate() == b.terminate() == first.terminate() == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_reader_whose_sink_is_down_gives_partitions_away(db, writer, reader, broker, strategy):
    """The next owner delivers what this member could not deliver, and this member goes on with its remaining
    partitions."""
    db.psql(TABLE)
    topic = f"{db.name}.down"
    fill(db, writer, topic, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 400) i", 400)
    with Webhook() as hook:
        closed = [True]
        hook.answer = lambda number, id: 503 if closed[0] else 204
        group, more = f"down-{strategy}", shared_by(strategy)
        a = reader([topic], group=group, name="a", sinks=http_sink(hook.port), pipeline="retry: {max: 300ms}", more=more)
        a.start()
        pg.wait_until(lambda: a.status()["sinks"][0]["failures_in_a_row"] > 0, 60, what="a sink that is down")
        b = reader([topic], group=group, name="b", more=more)
        b.start()
        pg.wait_until(lambda: a.status()["partitions"] == 2 and b.status()["partitions"] == 2, 120, what="shares")
        closed[0] = False
        pg.wait_until(lambda: done(broker, group, topic, 400), 120, what="all offsets")
        got = {event["id"] for event in b.events()}
        assert got and set(hook.ids) and len(got | set(hook.ids)) == 400
        assert a.terminate() == b.terminate() == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_reader_with_a_full_queue_goes_on_with_partitions_that_come_back(db, writer, reader, broker, strategy):
    """A full queue pauses partitions. They are read again, also if another member had them meanwhile."""
    db.psql("CREATE TABLE t (id int PRIMARY KEY, n int, body text)")
    topic = f"{db.name}.back"
    rows = 400
    group, more = f"back-{strategy}", shared_by(strategy)
    with writer(topic) as first, Webhook() as hook:
        closed = [True]
        hook.answer = lambda number, id: 503 if closed[0] else 204
        db.psql(f"INSERT INTO t SELECT i, 0, repeat('x', 10000) FROM generate_series(1, {rows}) i")
        pg.wait_until(lambda: first.status()["sinks"][0]["events"] >= rows, 180, what="all events in Kafka")
        a = reader([topic], group=group, name="a", sinks=http_sink(hook.port), more=more,
                   pipeline="memory: 1MiB\nretry: {initial: 10ms, max: 20ms}")
        a.start()
        pg.wait_until(lambda: a.status()["in_flight_bytes"] > 1 << 20, 60, what="a full queue")
        time.sleep(3)
        b = reader([topic], group=group, name="b", more=more)
        b.start()
        pg.wait_until(lambda: a.status()["partitions"] == b.status()["partitions"] == 2, 120, what="shares")
        closed[0] = False
        pg.wait_until(lambda: done(broker, group, topic, rows), 60, what="all offsets")
        assert b.terminate() == 0
        pg.wait_until(lambda: a.status()["partitions"] == PARTITIONS, 60, what="all partitions")
        db.psql("UPDATE t SET n = 1")
        pg.wait_until(lambda: done(broker, group, topic, 2 * rows), 60, what="all offsets after the return")
        assert a.terminate() == first.terminate() == 0


def test_a_frozen_reader_delivers_nothing_old(db, writer, reader, broker):
    db.psql(TABLE)
    topic = f"{db.name}.frozen"
    with writer(topic) as first, Webhook() as hook:
        slow = [0.0]

        def answer(number, id):
            time.sleep(slow[0])
            return 204
        hook.answer = answer
        db.psql("INSERT INTO t SELECT i, 0 FROM generate_series(1, 50) i")
        a = reader([topic], group="frozen", name="a", sinks=http_sink(hook.port))
        a.start()
        pg.wait_until(lambda: len(set(hook.ids)) == 50, 120, what="first events")
        slow[0] = 0.2
        db.psql("UPDATE t SET n = 1")
        pg.wait_until(lambda: len(set(hook.ids)) > 52, 60, what="some more")
        freeze(a.process.pid)
        slow[0] = 0
        b = reader([topic], group="frozen", name="b", sinks=http_sink(hook.port))
        b.start()
        db.psql("UPDATE t SET n = 2")
        pg.wait_until(lambda: len(set(hook.ids)) == 150, 120, what="all events, by the other one")
        time.sleep(0.5)
        before = len(hook.requests)
        thaw(a.process.pid)
        pg.wait_until(lambda: a.status()["partitions"] > 0, 120, what="a share for the one that is back")
        time.sleep(1)
        # Events that it had begun to send before it was frozen may still arrive.
        late = hook.requests[before:]
        assert len(late) <= 8, len(late)
        assert first.terminate() == 0


@pytest.mark.long
def test_a_broker_that_restarts(db, writer, reader, broker):
    db.psql(TABLE)
    topic = f"{db.name}.restart"
    with writer(topic) as first:
        with reader([topic], group="restart") as second:
            db.psql("INSERT INTO t SELECT i, 0 FROM generate_series(1, 500) i")
            second.wait_for_events(500, 120)
            broker.kill()
            pg.wait_until(lambda: second.status()["state"] == "connecting", 60, what="an outage that shows")
            assert second.get("/readyz")[0] == 503
            broker.start()
            db.psql("UPDATE t SET n = 1")
            second.wait_for_events(1000, 180)
            pg.wait_until(lambda: second.status()["state"] == "streaming", 60, what="streaming again")
            pg.wait_until(lambda: done(broker, "restart", topic, 1000), 60, what="all offsets")
            assert in_order(second.events())
            assert second.terminate() == 0
        assert first.terminate() == 0


def test_a_full_queue_pauses_reading(db, writer, reader, broker):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, body text)")
    topic = f"{db.name}.full"
    fill(db, writer, topic, "INSERT INTO t SELECT i, repeat('x', 10000) FROM generate_series(1, 3000) i", 3000)
    with Webhook() as hook:
        closed = [True]
        hook.answer = lambda number, id: 503 if closed[0] else 204
        with reader([topic], group="full", sinks=http_sink(hook.port),
                    pipeline="memory: 1MiB\nretry: {max: 300ms}") as second:
            pg.wait_until(lambda: second.status()["in_flight_bytes"] > 1 << 20, 60, what="a full queue")
            time.sleep(4)
            assert second.status()["in_flight_bytes"] < 2 << 20
            closed[0] = False
            pg.wait_until(lambda: done(broker, "full", topic, 3000), 180, what="all offsets")
            assert len(set(hook.ids)) == 3000 and len(hook.ids) < 3300
            assert second.terminate() == 0


def test_patterns_find_topics_that_come_later(db, writer, reader, broker):
    db.psql(TABLE + "; CREATE TABLE later (id int PRIMARY KEY, n int)")
    with writer(f"{db.name}.pattern.{{table}}") as first:
        db.psql("INSERT INTO t VALUES (1, 0)")
        with reader([f"^{db.name}\\.pattern\\..*"], group="pattern") as second:
            assert second.wait_for_events(1, 120)[0]["table"] == "t"
            db.psql("INSERT INTO later VALUES (1, 0)")
            assert {event["table"] for event in second.wait_for_events(2, 120)} == {"t", "later"}
            assert second.terminate() == 0
        assert first.terminate() == 0


GOOD = b'{"id":"5-0","after":{}}'
HEADERS = [("id", b"5-0"), ("op", b"c"), ("schema", b"public"), ("table", b"t"), ("hash", b"00000000000000ff"),
           ("spans", b"after:%d+2" % GOOD.index(b"{}"))]


@pytest.mark.effect("source.kafka.foreign", "source.kafka.topics", "source.kafka.group", "source.kafka.brokers")
def test_foreign_messages(db, reader, broker, tmp_path):
    topic = f"{db.name}.foreign"
    kafka.create(broker.address, topic)
    send = lambda values, headers: kafka.send(broker.address, topic, values, b"k", headers)       # noqa: E731
    send([GOOD], HEADERS)
    send([b"hello \xff\x00\n"], [("x", b"\xfe"), ("y", None)])
    send([GOOD], HEADERS[:-1] + [("spans", b"after:20+4000000000")])
    send([None], HEADERS)
    send([GOOD.replace(b"5-0", b"6-0")], [("id", b"6-0")] + HEADERS[1:])

    stopped = reader([topic], group="stopped")
    stopped.start(wait=False)
    assert stopped.process.wait(60) == 1
    log = stopped.log()
    assert f'message 1 of partition 0 of topic \\"{topic}\\" is not an event of walspout' in log
    assert "foreign: skip" in log and f"--topic {topic}:0 --reset-offsets --to-offset 2" in log
    assert [event for event in stopped.events()] == [json.loads(GOOD)]
    assert kafka.committed(broker.address, "stopped", topic)[0] == 1
    checked = run("check", stopped.config, timeout=120)
    assert checked.returncode == 1 and "is not an event of walspout" in checked.stdout, checked.stdout

    with reader([topic], group="skipped", name="skip", more=SOON + "\nforeign: skip") as second:
        pg.wait_until(lambda: kafka.committed(broker.address, "skipped", topic).get(0) == 5, 60, what="all offsets")
        assert len(second.events()) == 2 and second.status()["foreign"] == 2
        assert second.terminate() == 0

    letters = os.path.join(str(tmp_path), "letters")
    with reader([topic], group="letters", name="letters", more=SOON + "\nforeign: dead_letter",
                pipeline=f"dead_letter: {{path: {letters}}}") as third:
        pg.wait_until(lambda: kafka.committed(broker.address, "letters", topic).get(0) == 5, 60, what="all offsets")
        assert len(third.events()) == 2
        assert third.terminate() == 0
    with open(letters) as f:
        found = [json.loads(line) for line in f]
    assert [letter["document"]["offset"] for letter in found] == [1, 2]
    assert found[0]["document"]["value_base64"] == "aGVsbG8g/wAK"
    assert found[0]["document"]["headers"] == [{"name": "x", "value_base64": "/g=="}, {"name": "y"}]
    assert found[1]["document"]["value"] == GOOD.decode()
    replayed = run("replay", "--dry-run", letters, third.config)
    assert "no event" in replayed.stdout + replayed.stderr


def test_rows_alone_stop_at_once(db, writer, reader, broker):
    db.psql(TABLE)
    topic = f"{db.name}.rows"
    fill(db, writer, topic, "INSERT INTO t VALUES (1, 0)", 1, value="row")
    second = reader([topic], group="rows", more=SOON + "\nforeign: skip")
    second.start(wait=False)
    assert second.process.wait(60) == 1
    assert "value: envelope" in second.log()


def test_messages_that_are_gone_are_a_gap(db, writer, reader, broker):
    db.psql(TABLE)
    topic = f"{db.name}.gap"
    fill(db, writer, topic, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i", 100)
    with reader([topic], group="gap") as second:
        pg.wait_until(lambda: done(broker, "gap", topic, 100), 180, what="all offsets")
        assert second.terminate() == 0
    fill(db, writer, topic, "UPDATE t SET n = 1", 100)
    kafka.truncate(broker.address, topic)
    again = reader([topic], group="gap", name="again")
    again.start(wait=False)
    assert again.process.wait(90) == 1
    assert "are gone: retention has removed them, or the topic was created again" in again.log()
    checked = run("check", again.config, timeout=120)
    assert checked.returncode == 1 and "are gone" in checked.stdout


def test_check_says_what_is_missing(db, writer, reader, broker):
    topic = f"{db.name}.checked"
    config = reader([topic], name="missing").config
    checked = run("check", config, timeout=120)
    assert checked.returncode == 1 and f'topic "{topic}" is not there' in checked.stdout
    db.psql(TABLE)
    fill(db, writer, topic, "INSERT INTO t VALUES (1, 0)", 1)
    checked = run("check", reader([topic], name="good").config, timeout=120)
    assert checked.returncode == 0, checked.stdout
    assert "1 messages behind" in checked.stdout and "are events of walspout" in checked.stdout
    for more, said in (("librdkafka: {no.such: 1}", 'No such configuration property: "no.such"'),
                       ("librdkafka: {enable.auto.commit: true}", "the source relies on the value")):
        checked = run("check", reader([topic], name="option", more=more).config, timeout=120)
        assert checked.returncode == 2 and said in checked.stdout + checked.stderr
    assert "has no slot" in run("drop", "--yes", reader([topic]).config).stdout


@pytest.mark.effect("source.kafka.connect_timeout", "source.kafka.librdkafka")
def test_brokers_that_are_away_are_waited_for(reader, dead_port):
    brokers = f"127.0.0.1:{dead_port}"
    second = reader(["t"], brokers=brokers, more="connect_timeout: 2s\nlibrdkafka: {client.id: x}")
    assert "Connection refused" in run("check", second.config, timeout=120).stdout
    second.start(wait=False)
    second.wait_for_log("source failed, will connect again", timeout=60)
    pg.wait_until(lambda: "Connection refused" in second.get("/readyz")[1], 60, what="the reason")
    assert second.terminate() == 0


def token():
    """A token without a signature."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")    # noqa: E731
    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': 'admin', 'iat': now, 'exp': now + 3600})}."


@pytest.mark.effect("source.kafka.sasl.mechanism", "source.kafka.sasl.user", "source.kafka.sasl.password",
                    "source.kafka.tls.ca_file", "source.kafka.tls.cert_file", "source.kafka.tls.key_file")
def test_a_password_and_a_certificate(reader, broker, tmp_path):
    """A corrected password needs no restart."""
    topic = "with.password"
    kafka.create(broker.address, topic)
    kafka.send(broker.address, topic, [GOOD], b"k", HEADERS)
    password = tmp_path / "password"
    password.write_text("wrong-word")
    files = f"cert_file: {broker.folder}/cert.pem, key_file: {broker.folder}/key.pem"
    more = (f"sasl: {{mechanism: plain, user: admin, password: 'file:{password}'}}\n"
            f"tls: {{ca_file: {broker.folder}/cert.pem, {files}}}")
    second = reader([topic], group=topic, brokers=broker.auth_address, more=more, pipeline="retry: {max: 500ms}")
    checked = run("check", second.config, timeout=120)
    assert checked.returncode == 1 and "Correct mechanism, user and password in sasl" in checked.stdout, checked.stdout
    second.start(wait=False)
    second.wait_for_log("Correct mechanism, user and password in sasl", timeout=60)
    assert "wrong-word" not in second.log()
    password.write_text("kafka-pass-word")
    assert second.wait_for_events(1, 120) == [json.loads(GOOD)]
    assert run("check", second.config, timeout=120).returncode == 0
    assert second.terminate() == 0


@pytest.mark.effect("source.kafka.sasl.token", "source.kafka.tls.verify")
def test_a_token(reader, broker):
    topic = "with.token"
    kafka.create(broker.address, topic)
    kafka.send(broker.address, topic, [GOOD], b"k", HEADERS)
    files = f"cert_file: {broker.folder}/cert.pem, key_file: {broker.folder}/key.pem"
    more = (f"sasl: {{mechanism: oauthbearer, token: '{token()}'}}\ntls: {{verify: false, {files}}}")
    with reader([topic], group=topic, brokers=broker.auth_address, more=more) as second:
        assert second.wait_for_events(1, 120) == [json.loads(GOOD)]
        assert second.terminate() == 0
