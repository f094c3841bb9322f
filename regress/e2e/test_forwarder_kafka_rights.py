"""Kafka, for a user who lacks rights, gets them, and loses them while events flow."""

import json

import pytest
from harness import kafka
from harness import postgres as pg
from harness.forwarder import run
from test_forwarder_kafka_source import PARTITIONS, SOON, HEADERS, reader  # noqa: F401

pytestmark = pytest.mark.long

USER, GROUP = "admin", "rights"     # who is no administrator here

RIGHTS = """\
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with kafka.Broker(str(tmp_path_factory.mktemp("kafka")), partitions=PARTITIONS, more=RIGHTS, auth=True) as started:
        yield started


@pytest.fixture(scope="module")
def open_broker(tmp_path_factory):
    """Rights apply only to resources with a rule."""
    more = RIGHTS + "allow.everyone.if.no.acl.found=true\n"
    with kafka.Broker(str(tmp_path_factory.mktemp("kafka")), partitions=PARTITIONS, more=more, auth=True) as started:
        yield started


def send(broker, topic, first, count):
    """Events with ids of their own."""
    for i in range(first, first + count):
        document = b'{"id":"%d-0","after":{}}' % i
        headers = [(name, b"%d-0" % i if name == "id" else b"after:%d+2" % document.index(b"{}")
                    if name == "spans" else value) for name, value in HEADERS]
        kafka.send(broker.address, topic, [document], b"k%d" % i, headers, partition=i % PARTITIONS)


def test_rights_of_a_reader(reader, broker):
    topic = "with.rights"
    kafka.create(broker.address, topic)
    send(broker, topic, 1, 8)
    more = (f"sasl: {{mechanism: plain, user: {USER}, password: kafka-pass-word}}\n"
            f"tls: {{ca_file: {broker.folder}/cert.pem, cert_file: {broker.folder}/cert.pem, "
            f"key_file: {broker.folder}/key.pem}}\n{SOON}")
    second = reader([topic], group=GROUP, brokers=broker.auth_address, more=more, pipeline="retry: {max: 500ms}")

    def check():
        done = run("check", second.config, timeout=120)
        return done.returncode, done.stdout

    code, said = check()
    assert code == 1 and "or the user may not see it" in said and "--operation Read --operation Describe" in said, said
    second.start(wait=False)
    second.wait_for_log("kafka-acls.sh", timeout=120)
    assert second.get("/readyz")[0] == 503

    kafka.allow(broker.address, USER, kafka.TOPIC, topic, kafka.READ)
    kafka.allow(broker.address, USER, kafka.TOPIC, topic, kafka.DESCRIBE)
    code, said = check()
    assert code == 1 and f"Read --group '{GROUP}'" in said, said
    second.wait_for_log(f"Read --group '{GROUP}'", timeout=120)
    assert second.get("/readyz")[0] == 503 and not second.events()

    # No restart is needed.
    kafka.allow(broker.address, USER, kafka.GROUP, GROUP, kafka.READ)
    code, said = check()
    assert code == 0, said
    second.wait_for_events(8, 120)
    pg.wait_until(lambda: second.get("/readyz")[0] == 200, 60, what="a reader that is ready")

    # Events from the time without the right arrive once the right is restored.
    for count, (kind, name) in enumerate(((kafka.GROUP, GROUP), (kafka.TOPIC, topic)), 1):
        begin = len(second.log())
        kafka.forbid(broker.address, USER, kind, name, kafka.READ)
        second.wait_for_log("kafka-acls.sh", begin, timeout=120)
        send(broker, topic, 8 * count + 1, 8)
        kafka.allow(broker.address, USER, kind, name, kafka.READ)
        pg.wait_until(lambda: len({event["id"] for event in second.events()}) == 8 * (count + 1), 180,
                      what="all events")
    assert "kafka-pass-word" not in second.log()
    last = {}
    for event in second.events():
        last[event["id"]] = last.get(event["id"], 0) + 1
    assert json.dumps(sorted(last)) == json.dumps(sorted(f"{i}-0" for i in range(1, 25)))
    assert second.terminate() == 0


@pytest.mark.parametrize("what, once", [("topic", "false"), ("topic", "true"), ("positions", "true")])
def test_a_writer_loses_a_right(db, fwd, open_broker, what, once):
    """The log names the missing right. With this right everything arrives, without a restart."""
    broker = open_broker
    db.psql("CREATE TABLE t (id int PRIMARY KEY, n int)")
    topic, positions = f"{db.name}.{what}.{once}", f"{db.name}.{what}.{once}.positions"
    lines = ["- type: kafka", f"  brokers: ['{broker.auth_address}']", "  create_topics: {}", f"  topic: '{topic}'",
             f"  exactly_once: {once}",
             f"  sasl: {{mechanism: plain, user: {USER}, password: kafka-pass-word}}",
             f"  tls: {{ca_file: {broker.folder}/cert.pem, cert_file: {broker.folder}/cert.pem, "
             f"key_file: {broker.folder}/key.pem}}"]
    if once == "true":
        lines.append(f"  positions: '{positions}'")
    denied = topic if what == "topic" else positions

    def confirmed(forwarder):
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 180, what="all confirmed")

    with fwd(sinks="".join(f"      {line}\n" for line in lines), pipeline="retry: {max: 500ms}") as forwarder:
        db.psql("INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i")
        confirmed(forwarder)
        for user, right in ((USER, kafka.DESCRIBE), ("another", kafka.WRITE)):
            kafka.allow(broker.address, user, kafka.TOPIC, denied, right)
        begin = len(forwarder.log())
        db.psql("UPDATE t SET n = 1")
        forwarder.wait_for_log("--operation Write --operation Describe --topic", begin, timeout=120)
        assert denied in forwarder.log(begin)
        assert len({headers["id"] for _, _, _, headers in broker.messages(topic)}) == 100
        kafka.allow(broker.address, USER, kafka.TOPIC, denied, kafka.WRITE)
        kafka.allow(broker.address, USER, kafka.TOPIC, denied, kafka.READ)
        confirmed(forwarder)
        ids = [headers["id"] for _, _, _, headers in broker.messages(topic)]
        assert len(set(ids)) == 200
        if once == "true":
            assert len(ids) == 200
        assert "kafka-pass-word" not in forwarder.log()
        assert forwarder.terminate() == 0
