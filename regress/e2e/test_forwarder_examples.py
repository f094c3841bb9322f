"""The examples of docs/examples, with real servers: programs that are killed lose nothing and do nothing twice."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
import warnings

import pika
import pytest
from harness import kafka, postgres as pg
from harness.examples import EXAMPLES, Example, Program
from harness.forwarder import PROGRAM, Walspout
from harness.ports import accepts, free_port
from harness.processes import children, is_gone, signal_all
from harness.rabbitmq import RabbitMQ
from harness.redis import Redis
from test_code_blocks import at_home, blocks, paste

LANGUAGES = ["python", "node", pytest.param("go", marks=pytest.mark.long)]       # Go is compiled for a minute
SECRET = "whsec_dGhlIGtleSBvZiBhIHRlc3QgYW5kIG5vdGhpbmcgZWxzZQ=="
ORDERS = "CREATE TABLE orders (id bigint PRIMARY KEY, status text)"
PATIENCE = 120


@pytest.fixture(scope="module")
def cluster():
    with pg.WorkDir() as work:
        yield pg.Cluster(pg.Installation(work)).start()


@pytest.fixture
def databases(cluster):
    """Drops what a test has made."""
    yield cluster
    for name, in cluster.query("SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')"):
        cluster.dropdb(name)


@pytest.fixture
def stage(databases, tmp_path):
    """Makes copies of examples."""
    def make(name, places=None, **env):
        own = {"PGHOST": databases.host, "PGPORT": str(databases.port), "PGUSER": pg.SUPERUSER, "WEBHOOK_SECRET": SECRET}
        return Example(name, tmp_path, {**own, **env}, places or {})
    return make


@contextlib.contextmanager
def running_forwarder(example):
    forwarder = Walspout(example.folder, example.read("walspout.yaml"), "forwarder")
    forwarder.start(env=example.env, cwd=example.folder)
    try:
        yield forwarder
    finally:
        forwarder.kill()


def prepare(cluster, example, consumer="notices"):
    """The databases: of the source, and of the consumer."""
    cluster.createdb("shop")
    cluster.psql(ORDERS, "shop")
    cluster.createdb(consumer)
    cluster.psql(example.read("inbox.sql"), consumer)


class Orders:
    """Orders that were made, and what a consumer made of them."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.count = 0

    def add(self, count):
        self.cluster.psql(f"INSERT INTO orders SELECT i, 'new' FROM generate_series({self.count + 1}, {self.count + count}) i",
                          "shop")
        self.count += count

    def noticed(self):
        return [order for order, in self.cluster.query("SELECT order_id FROM notices ORDER BY 1", "notices")]

    def wait(self, *programs):
        try:
            pg.wait_until(lambda: len(set(self.noticed())) == self.count, PATIENCE, every=0.1, what="all notices")
        except TimeoutError as error:
            logs = "\n".join(program.log() for program in programs)
            raise AssertionError(f"{error}: {len(set(self.noticed()))} of {self.count}\n{logs}") from None

    def each_once(self):
        assert self.noticed() == list(range(1, self.count + 1))

    @contextlib.contextmanager
    def held_up(self, table="notices", database="notices"):
        """The consumer waits in the middle of its work, until the `with` ends."""
        lock = self.cluster.connect(database, autocommit=False)
        try:
            lock.cursor().execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield
        finally:
            lock.close()

    def wait_until_it_waits(self, database="notices"):
        pg.wait_until(lambda: self.cluster.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", args=(database,)),
            PATIENCE, what="a consumer in the middle of its work")

    def kill_in_the_middle(self, program):
        with self.held_up():
            self.add(5)
            self.wait_until_it_waits()
            program.kill()

    def kill_before_it_acknowledges(self, program, server):
        """The work is done, and the server does not hear that it is."""
        with self.held_up():
            self.add(5)
            self.wait_until_it_waits()
            before = len(self.noticed())
            server.freeze()
        pg.wait_until(lambda: len(self.noticed()) > before, PATIENCE, what="work that is done")
        program.kill()
        server.thaw()


def has_go(language, version):
    """Says so once where a language is too old or missing; CI has it."""
    if language != "go":
        return True
    found = shutil.which("go") and re.search(r"go1\.(\d+)", subprocess.run(["go", "version"], capture_output=True, text=True).stdout)
    if found and int(found[1]) >= version:
        return True
    what = f"Go 1.{version} is missing, and its example is not tested: apt-get install golang-go"
    if os.environ.get("CI"):
        pytest.fail(what)
    warnings.warn(what)
    return False


# Consumers #########################################################################################

@pytest.mark.parametrize("language", LANGUAGES)
def test_consumers_of_redis_streams(databases, stage, tmp_path, language):
    if not has_go(language, 19):
        return
    with Redis(tmp_path, port=free_port()) as store:
        example = stage("redis", {"127.0.0.1:6379": f"127.0.0.1:{store.port}"}, CLAIM_AFTER_MS="1000")
        prepare(databases, example)
        orders = Orders(databases)
        words = example.command(language, "consumer")
        one, two = (Program(example, name, [*words, name]) for name in ("one", "two"))
        with running_forwarder(example) as forwarder, one:
            orders.add(50)
            orders.wait(forwarder, one)
            orders.kill_in_the_middle(one)
            one.start()
            orders.wait(forwarder, one)
            orders.kill_before_it_acknowledges(one, store)
            with two:               # takes what the other one left
                orders.add(50)
                orders.wait(forwarder, two)
                pg.wait_until(lambda: store.call("XLEN", "walspout:shop:public.orders") == b"0", PATIENCE,
                              what="a stream that is empty")
                assert store.call("XPENDING", "walspout:shop:public.orders", "notices")[0] == b"0"
    orders.each_once()


def sign(webhook_id, body):
    now = str(int(time.time()))
    key = base64.b64decode(SECRET.partition("_")[2])
    code = hmac.new(key, f"{webhook_id}.{now}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": webhook_id, "webhook-timestamp": now, "webhook-signature": "v1," + base64.b64encode(code).decode()}


def post(port, body, headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/hook", body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("language", LANGUAGES)
def test_receivers_of_webhooks(databases, stage, language):
    if not has_go(language, 21):
        return
    port = free_port()
    example = stage("webhook", {"127.0.0.1:8080": f"127.0.0.1:{port}"}, PORT=str(port))
    prepare(databases, example)
    orders = Orders(databases)
    words = ["python3", "-m", "gunicorn", "--threads", "4", "--bind", f"127.0.0.1:{port}", "receiver:app"]
    if language != "python":
        words = example.command(language, "receiver")
    receiver = Program(example, "receiver", words, lambda: accepts(port))
    with receiver, running_forwarder(example) as forwarder:
        orders.add(30)
        orders.wait(forwarder, receiver)
        orders.kill_in_the_middle(receiver)
        receiver.start()
        orders.wait(forwarder, receiver)
        # The answer is lost after the work is done: the same webhook comes again.
        body = json.dumps({"op": "c", "after": {"id": orders.count + 1, "status": "new"}}).encode()
        assert [post(port, body, sign("again", body)) for _ in range(2)] == [204, 204]
        orders.count += 1
        assert post(port, body, {}) == 401
        assert post(port, body, {**sign("forged", body), "webhook-signature": "forged"}) == 401
        assert post(port, body + b" ", sign("forged", body)) == 401
        assert post(port, b"x" * (16 * 1024 * 1024 + 1), {}) in (401, 413)
    orders.each_once()


def test_a_worker_of_rabbitmq(databases, stage):
    with pg.WorkDir() as work, RabbitMQ(work) as broker:
        url = f"amqp://guest:guest@127.0.0.1:{broker.port}/"
        example = stage("rabbitmq", {"amqp://guest:guest@127.0.0.1:5672/": url})
        prepare(databases, example)
        orders = Orders(databases)
        connection, channel = broker.channel()
        words = example.command("python", "worker")
        one, two = (Program(example, name, words) for name in ("one", "two"))

        def has_queue():
            try:
                return connection.channel().queue_declare("notices", passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return None
        with one:
            pg.wait_until(has_queue, PATIENCE, what="a queue")
            with two, running_forwarder(example) as forwarder:
                orders.add(50)
                orders.wait(forwarder, one, two)
                orders.kill_in_the_middle(one)          # the other one goes on
                orders.wait(forwarder, two)
                one.start()
                orders.kill_before_it_acknowledges(two, broker)
                orders.add(50)
                orders.wait(forwarder, one)
                pg.wait_until(lambda: channel.queue_declare("notices", passive=True).method.message_count == 0, PATIENCE,
                              what="a queue that is empty")
        connection.close()
    orders.each_once()


@pytest.mark.long
def test_a_consumer_of_kafka(databases, stage, tmp_path):
    with kafka.Broker(tmp_path) as broker:
        example = stage("kafka", {"127.0.0.1:9092": broker.address})
        prepare(databases, example)
        orders = Orders(databases)
        words = example.command("python", "consumer")
        one, two = (Program(example, name, words) for name in ("one", "two"))
        with running_forwarder(example) as forwarder, one:
            orders.add(50)
            orders.wait(forwarder, one)
            orders.kill_in_the_middle(one)
            with two:               # gets the partitions when the broker gives the other one up
                orders.wait(forwarder, two)
                orders.kill_before_it_acknowledges(two, broker)
                two.start()
                orders.add(50)
                orders.wait(forwarder, two)
    orders.each_once()
