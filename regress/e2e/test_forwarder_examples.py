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
    """The created orders, and the consumer's results."""

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
        """The work is done, but the server gets no acknowledgement."""
        with self.held_up():
            self.add(5)
            self.wait_until_it_waits()
            before = len(self.noticed())
            server.freeze()
        pg.wait_until(lambda: len(self.noticed()) > before, PATIENCE, what="work that is done")
        program.kill()
        server.thaw()


def has_go(language, version):
    """Whether the language is there. Warns if it is missing or too old; in CI that is an error."""
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


# Programs that walspout runs #######################################################################

def kill_program(forwarder):
    """The program of its sink."""
    def running():
        pids = [pid for thread in os.listdir(f"/proc/{forwarder.process.pid}/task")
                for pid in children(forwarder.process.pid, thread)]
        signal_all(pids, signal.SIGKILL)
        return pids
    pids = pg.wait_until(running, PATIENCE, what="a program")
    pg.wait_until(lambda: all(is_gone(pid) for pid in pids), what=f"end of {pids}")


def wait_until_delivered(cluster, forwarder, slot):
    end = pg.lsn(cluster.current_lsn())
    try:
        pg.wait_until(lambda: pg.lsn(cluster.slot(slot)["confirmed_flush_lsn"]) >= end, PATIENCE, what="confirmation")
    except TimeoutError as error:
        raise AssertionError(f"{error}: {forwarder.log()}") from None


def import_cache(example, store, monkeypatch):
    """The module that an application uses."""
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{store.port}")
    namespace = {"__name__": "cache"}
    exec(compile(example.read("cache.py"), "cache.py", "exec"), namespace)
    return namespace["read"]


QUERY = "SELECT id, status FROM orders WHERE id = %(id)s"


def test_a_cache(databases, stage, tmp_path, monkeypatch):
    with Redis(tmp_path, port=free_port()) as store:
        example = stage("cache", {"127.0.0.1:6379": f"127.0.0.1:{store.port}"})
        databases.createdb("shop")
        databases.psql(ORDERS, "shop")
        read = import_cache(example, store, monkeypatch)
        with running_forwarder(example) as forwarder, contextlib.closing(databases.connect("shop")) as application:
            def cached(number, query=QUERY, connection=application):
                row = read(connection, "public.orders", query, {"id": number})
                return row and row["status"]

            def change(sql):
                databases.psql(sql, "shop")
                wait_until_delivered(databases, forwarder, "walspout_cache")

            assert cached(1) is None
            change("INSERT INTO orders SELECT i, 'new' FROM generate_series(1, 100) i")
            assert [cached(number) for number in range(1, 101)] == ["new"] * 100
            assert cached(1) == "new"
            change("UPDATE orders SET status = 'paid' WHERE id = 1")
            assert cached(1) == "paid"
            change("UPDATE orders SET id = 1001 WHERE id = 2; DELETE FROM orders WHERE id = 3")
            assert [cached(number) for number in (2, 3, 1001)] == [None, None, "new"]
            # The program is killed between changes.
            for number in range(10, 20):
                databases.psql(f"UPDATE orders SET status = 'sent' WHERE id = {number}", "shop")
                if number % 3 == 0:
                    kill_program(forwarder)
            wait_until_delivered(databases, forwarder, "walspout_cache")
            assert [cached(number) for number in range(10, 20)] == ["sent"] * 10
            change("TRUNCATE orders")
            assert [cached(number) for number in range(1, 101)] == [None] * 100
            a_slow_reader(databases, store, cached, change)


def a_slow_reader(databases, store, cached, change):
    """A row that was read before a change does not get into the cache after the change."""
    change("INSERT INTO orders VALUES (7, 'new')")
    store.call("FLUSHALL")
    assert cached(8) is None                # the table has a generation
    with contextlib.closing(databases.connect("shop")) as holder, contextlib.closing(databases.connect("shop")) as slow:
        holder.cursor().execute("SELECT pg_advisory_lock(1)")
        found = []
        waits = "SELECT id, status, pg_advisory_xact_lock_shared(1)::text FROM orders WHERE id = %(id)s"
        reader = threading.Thread(target=lambda: found.append(cached(7, waits, slow)))
        reader.start()
        pg.wait_until(lambda: databases.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
                      PATIENCE, what="a reader that waits")
        change("UPDATE orders SET status = 'paid' WHERE id = 7")
        holder.cursor().execute("SELECT pg_advisory_unlock(1)")
        reader.join(PATIENCE)
        assert found == ["new"]
    assert cached(7) == "paid"
    change("TRUNCATE orders")
    assert cached(7) is None


def articles(example):
    """What the index has; None until it is there."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{example.path('articles.db')}?mode=ro", uri=True)) as index:
            return index.execute("SELECT rowid, title, body FROM articles ORDER BY rowid").fetchall()
    except sqlite3.OperationalError:
        return None


def feed(example, *events):
    """Gives events to the index, as walspout would."""
    done = subprocess.run([*example.command("python", "index"), "articles.db"], cwd=example.folder, env=example.env, text=True,
                          input="".join(json.dumps(event) + "\n" for event in events), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"id": event["id"]} for event in events]


def test_a_search_index(databases, stage):
    example = stage("search")
    databases.createdb("shop")
    databases.psql("CREATE EXTENSION walspout; CREATE TABLE articles (id bigint PRIMARY KEY, title text, body text);"
                   "ALTER TABLE articles ALTER body SET STORAGE EXTERNAL;"
                   "INSERT INTO articles SELECT i, 'Article ' || i, repeat('walrus ' || i || ' ', 400)"
                   " FROM generate_series(1, 300) i", "shop")

    def in_the_database():
        return databases.query("SELECT id, title, body FROM articles ORDER BY id", "shop")
    with running_forwarder(example) as forwarder:
        for turn in range(5):
            databases.psql(f"INSERT INTO articles SELECT 1000 + {turn} * 100 + i, 'New', 'spout' FROM generate_series(1, 50) i;"
                           f"UPDATE articles SET title = 'Turn {turn}' WHERE id % 5 = {turn};"     # body is not in the WAL
                           f"UPDATE articles SET id = -id WHERE id % 7 = {turn} AND id > 0;"
                           f"DELETE FROM articles WHERE id % 11 = {turn}", "shop")
            if turn % 2:
                kill_program(forwarder)
            else:
                forwarder.kill()
                forwarder.start(env=example.env, cwd=example.folder)
        pg.wait_until(lambda: articles(example) == in_the_database(), PATIENCE, every=0.2, what="an index that is complete")
        some = in_the_database()[0][0]
        databases.psql(f"UPDATE articles SET body = 'the narwhal is here' WHERE id = {some}", "shop")
        pg.wait_until(lambda: articles(example) == in_the_database(), PATIENCE, every=0.2, what="an index that is complete")
        found = subprocess.run([*example.command("python", "search"), "articles.db", "narwhal"], cwd=example.folder,
                               env=example.env, capture_output=True, text=True, check=True).stdout
        assert found == f"{some}\tthe [narwhal] is here\n"
        databases.psql("TRUNCATE articles; INSERT INTO articles VALUES (1, 'one', 'more')", "shop")
        pg.wait_until(lambda: articles(example) == [(1, "one", "more")], PATIENCE, every=0.2, what="an index that is complete")
        assert forwarder.terminate() == 0
    events_that_come_again(example)


def events_that_come_again(example):
    """Ids are two numbers, and an old event changes nothing."""
    def event(index, title):
        return {"id": f"9000000000000000000-{index}", "op": "u", "key": {"id": 1}, "after": {"id": 1, "title": title, "body": ""}}
    feed(example, event(9, "nine"))
    feed(example, event(10, "ten"))
    feed(example, event(9, "nine"), event(10, "other"))
    assert articles(example) == [(1, "ten", "")]


def test_an_outbox(databases, stage):
    example = stage("outbox")
    prepare(databases, example, "mailer")
    databases.psql(example.read("shop.sql"), "shop")
    orders = Orders(databases)

    def place(number, end="COMMIT"):
        mail = json.dumps({"order": number, "template": "receipt"})
        databases.psql(f"BEGIN; INSERT INTO orders VALUES ({number}, 'new'); SELECT walspout.emit('mail', '{mail}'::jsonb); {end}",
                       "shop")

    def mails():
        return [order for order, in databases.query("SELECT order_id FROM mails ORDER BY ctid", "mailer")]
    with running_forwarder(example) as forwarder:
        for number in range(1, 21):
            place(number)
            place(number + 1000, "ROLLBACK")
            if number == 10:
                kill_program(forwarder)
        with orders.held_up("mails", "mailer"):
            place(21)
            orders.wait_until_it_waits("mailer")
            kill_program(forwarder)
        for number in range(22, 30):
            place(number)
        forwarder.kill()
        forwarder.start(env=example.env, cwd=example.folder)
        place(30)
        pg.wait_until(lambda: 30 in mails(), PATIENCE, what="all mails")
        wait_until_delivered(databases, forwarder, "walspout_outbox")
    assert mails() == list(range(1, 31))


def test_an_audit_log(databases, stage):
    example = stage("audit")
    databases.createdb("shop")
    databases.createdb("audit")
    databases.psql(ORDERS, "shop")
    databases.psql(f"CREATE EXTENSION walspout; INSERT INTO orders VALUES (7, 'new'); {example.read('shop.sql')}", "shop")
    moments = []

    def ask(file, *options):
        done = subprocess.run([databases.installation.program("psql"), "-XAtq", *options, "-f", example.path(file), "audit"],
                              env=databases.client_env(), capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def is_there(table):
        return databases.value("SELECT to_regclass(%s) IS NOT NULL", "audit", (table,))

    def change(who, sql, expected):
        databases.psql(f"BEGIN; SET LOCAL shop.who = '{who}'; {sql}; COMMIT", "shop")
        moments.append((databases.value("SELECT clock_timestamp()::text"), expected))

    with running_forwarder(example) as forwarder:
        pg.wait_until(lambda: is_there("orders"), PATIENCE, what="the row of the backfill")
        change("anna", "UPDATE orders SET status = 'paid' WHERE id = 7", ["7|paid"])
        forwarder.kill()
        change("bert", "UPDATE orders SET status = 'sent' WHERE id = 7; UPDATE orders SET status = 'lost' WHERE id = 7", ["7|lost"])
        change("cleo", "DELETE FROM orders WHERE id = 7", [])
        forwarder.start(env=example.env, cwd=example.folder)
        change("dora", "INSERT INTO orders VALUES (7, 'back')", ["7|back"])
        change("emil", "TRUNCATE orders", [])
        databases.psql("INSERT INTO orders VALUES (7, 'by hand')", "shop")
        pg.wait_until(lambda: is_there("changes") and len(ask("who.sql")) == 7, PATIENCE, what="all changes")
        wait_until_delivered(databases, forwarder, "walspout_audit")
    for moment, expected in moments:
        assert ask("as_of.sql", "-v", f"at={moment}") == expected, moment
    assert [line.split("|", 1)[1] for line in ask("who.sql")] == [
        "||new", "anna||paid", "bert||lost", "cleo||deleted", "dora||back", "emil||deleted", f"{pg.SUPERUSER}||by hand"]


# Their pages ########################################################################################

# What the last command of a page's first part prints in the end.
SHOWN = {"redis": "7 | new", "webhook": "7 | new", "rabbitmq": "7 | new", "kafka": "7 | new", "cache": "'status': 'new'",
         "search": r"They \[live\] in the sea", "outbox": "7 | receipt", "audit": "anna .*new"}

STARTED = """\
until psql -Atc "SELECT 'there' FROM pg_replication_slots" | grep -q there; do sleep 0.1; done
"""


@contextlib.contextmanager
def addresses(name, folder):
    """The example's server, and its address in place of the usual one."""
    if name in ("redis", "cache"):
        with Redis(folder, port=free_port()) as store:
            yield {"127.0.0.1:6379": f"127.0.0.1:{store.port}"}
    elif name == "rabbitmq":
        with pg.WorkDir() as work, RabbitMQ(work) as broker:
            yield {"127.0.0.1:5672": f"127.0.0.1:{broker.port}"}
    elif name == "kafka":
        with kafka.Broker(folder) as broker:
            yield {"127.0.0.1:9092": broker.address}
    else:
        yield {"127.0.0.1:8080": f"127.0.0.1:{free_port()}"}


def patient(text, shown):
    """The page with conditions in place of its pauses: a busy machine needs longer."""
    text = text.replace("walspout.yaml &\nsleep 2\n", f"walspout.yaml &\n{STARTED}")
    text = re.sub(r"^(walspout run walspout.yaml & .*)\nsleep 2\n", rf"\1\n{STARTED}", text, flags=re.M)
    text = text.replace("time.sleep(2)", "time.sleep(8)")
    return re.sub(r"^sleep [35]\n((?:psql \w+ -[cf](?! \"INSERT)|python3 search).*)$", rf'until \1 | tee shown | grep "{shown}"; do sleep 0.3; done\ncat shown',
                  text, flags=re.M)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long if name == "kafka" else ()) for name in SHOWN])
def test_the_page(databases, stage, tmp_path, name):
    with addresses(name, tmp_path) as places:
        example = stage(name, places)
        text = "".join(text for language, text in blocks(f"docs/examples/{name}/README.md") if language == "sh")
        path = os.pathsep.join([os.path.dirname(PROGRAM), databases.installation.bindir, example.env["PATH"]])
        environment = {**example.env, "PATH": os.pathsep.join([example.path("bin"), path])}
        said = paste("pip() { :; }\n" + patient(at_home(text, places), SHOWN[name]), tmp_path / name, environment)
    assert re.search(SHOWN[name].replace("|", r"\|"), said), said
