"""What the keys of the configuration do: keys that no other test shows."""

import copy
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time

from harness import postgres as pg
import config_keys
import jsonschema
import pytest
import yaml
from harness.forwarder import file_sink, http_sink, run
from harness.ports import free_port
from harness.redis import Redis
from harness.webhook import Webhook

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


def test_every_key_is_shown_to_have_an_effect():
    keys = config_keys.keys()
    shown = set(config_keys.declared()) | config_keys.shown_by_sink_tests()
    assert len(keys) > 60 and {"source.origin", "redis.stream", "http.tls.verify", "drain",
                               "pipeline.retry.max"} <= set(keys)
    assert shown - set(keys) - {"sink.type"} == set(), "there are no such keys"
    assert sorted(set(keys) - shown) == [], "no test shows what they do: see config_keys.py"
    assert all(entry["help"] and (entry["required"] or entry["takes"]) for entry in keys.values())


def test_keys_are_looked_for_in_their_section():
    config = "pipelines:\n    source:\n      slot: x\n    sinks:\n      - type: file\n        path: y\n" \
             "    memory: 1MiB\n"
    assert config_keys.is_used(config, "file.path") and config_keys.is_used(config, "source.slot")
    assert not config_keys.is_used(config, "pipeline.dead_letter.path")
    assert not config_keys.is_used(config, "redis.path")


def test_the_schema_is_a_schema_that_takes_the_example():
    schema = json.loads(run("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    with open(os.path.join(pg.TOP, "forwarder", "walspout.example.yaml")) as f:
        text = f.read()
    commented = re.sub(r"^(\s*)# ( *\w+: )", r"\1\2", text, flags=re.M)
    for example in (text, commented):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(example))] == []
    good = yaml.safe_load(text)
    for path, value in [(("log",), {"level": "loud"}), (("pipelines", 0, "memory"), "64"),
                        (("pipelines", 0, "sinks", 0, "maxlen"), 0), (("nonsense",), 1),
                        (("pipelines", 0, "sinks", 0, "type"), "kiosk")]:
        bad = copy.deepcopy(good)
        place = bad
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        assert not validator.is_valid(bad), path


def test_keys_are_printed_for_people():
    out = run("keys").stdout
    assert re.search(r"^  source\.slot +required +\w", out, re.M)
    assert re.search(r"^  redis\.pipeline +1024 +\w", out, re.M)


# source ############################################################################################

@pytest.mark.effect("source.dsn", "source.slot", "source.publications", "pipeline.name",
                    "status.listen", "sink.type", "file.path")
def test_where_from_where_to_and_what_it_is_called(db, fwd):
    db.psql(TABLE + "; CREATE TABLE u (id int); CREATE PUBLICATION p FOR TABLE u")
    with fwd(source="publications: [p]", slot="a_slot_of_its_own") as forwarder:
        db.psql("INSERT INTO t VALUES (1); INSERT INTO u VALUES (2)")
        assert [event["table"] for event in forwarder.wait_for_events(1)] == ["u"]
        assert db.server.slot("a_slot_of_its_own")["active"]
        assert forwarder.get("/status")[0] == 200
        assert 'walspout_up{pipeline="test"} 1' in forwarder.get("/metrics")[1]
        assert forwarder.terminate() == 0
    db.server.drop_slot("a_slot_of_its_own")


EMIT = "SELECT pg_logical_emit_message(true, '{0}', '1')"


@pytest.mark.effect("source.messages", "source.message_prefixes")
def test_messages_can_be_left_out(db, fwd):
    db.psql(TABLE)
    forwarders = {"all": fwd(name="all", slot="m_all"),
                  "none": fwd(name="none", slot="m_none", source="messages: false"),
                  "some": fwd(name="some", slot="m_some", source="message_prefixes: [b]")}
    for forwarder in forwarders.values():
        forwarder.start()
    for sql in (EMIT.format("a"), EMIT.format("b"), "INSERT INTO t VALUES (1)"):
        db.psql(sql)
    expected = {"all": ["a", "b", None], "none": [None], "some": ["b", None]}
    for name, forwarder in forwarders.items():
        events = forwarder.wait_for_events(len(expected[name]))
        assert [event.get("prefix") for event in events] == expected[name]
        assert forwarder.terminate() == 0
        db.server.drop_slot(forwarder.slot)


@pytest.mark.effect("source.origin")
def test_what_was_replicated_from_elsewhere_can_be_left_out(db, fwd):
    db.psql(TABLE)
    with fwd(source="origin: none") as forwarder:
        db.psql(f"SELECT pg_replication_origin_create('{db.name}_o')")
        connection = db.server.connect(db.name)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_replication_origin_session_setup('{db.name}_o')")
            cursor.execute("INSERT INTO t VALUES (1)")
        connection.close()
        db.psql("INSERT INTO t VALUES (2)")
        assert [event["after"]["id"] for event in forwarder.wait_for_events(1)] == [2]
        db.psql(f"SELECT pg_replication_origin_drop('{db.name}_o')")


@pytest.mark.effect("source.omit", "source.max_value_bytes")
def test_fields_and_large_values_can_be_left_out(db, fwd):
    db.psql(TABLE)
    with fwd(source="omit: [ts, xid]\nmax_value_bytes: 100B") as forwarder:
        db.psql("INSERT INTO t VALUES (1, repeat('x', 101))")
        event = forwarder.wait_for_events(1)[0]
        assert "ts" not in event and "xid" not in event and "table" in event
        assert event["after"] == {"id": 1} and event["elided"] == {"body": 101}


@pytest.mark.effect("source.max_depth", "source.numbers")
def test_documents_suit_their_readers(db, fwd):
    db.psql("CREATE TABLE d (id int8 PRIMARY KEY, n numeric, j json)")
    expected = {
        "default": {"id": 2**53, "n": 1, "j": [[]]},
        "flat": {"id": 2**53, "n": 1, "j": "[[]]"},
        "safe": {"id": str(2**53), "n": "1", "j": [[]]},
        "string": {"id": str(2**53), "n": "1", "j": [[]]},
    }
    sources = {"default": "", "flat": "max_depth: 3", "safe": "numbers: safe", "string": "numbers: string"}
    forwarders = {name: fwd(name=name, slot=f"{db.name}_{name}", source=source).start()
                  for name, source in sources.items()}
    db.psql("INSERT INTO d VALUES (9007199254740992, 1, '[[]]')")
    for name, forwarder in forwarders.items():
        event, = forwarder.wait_for_events(1)
        assert event["after"] == expected[name]
        assert forwarder.terminate() == 0
        db.server.drop_slot(forwarder.slot)


@pytest.mark.effect("source.user_casts")
def test_casts_of_users_are_called_if_that_is_wanted(db, fwd):
    db.psql(TABLE)
    db.psql("""
        CREATE TYPE hue AS ENUM ('red');
        CREATE FUNCTION hue_json(hue) RETURNS json LANGUAGE sql AS $$ SELECT '{"hue":"RED"}'::json $$;
        CREATE CAST (hue AS json) WITH FUNCTION hue_json(hue);
        CREATE TABLE hues (id int PRIMARY KEY, h hue)""")
    expected = {"default": "red", "off": "red", "on": {"hue": "RED"}}
    sources = {"default": "", "off": "user_casts: false", "on": "user_casts: true"}
    forwarders = {name: fwd(name=name, slot=f"{db.name}_{name}", source=source).start()
                  for name, source in sources.items()}
    db.psql("INSERT INTO hues VALUES (1, 'red')")
    for name, forwarder in forwarders.items():
        event, = forwarder.wait_for_events(1)
        assert event["after"] == {"id": 1, "h": expected[name]}
        assert forwarder.terminate() == 0
        db.server.drop_slot(forwarder.slot)


@pytest.mark.effect("source.batch_bytes")
def test_messages_of_the_server_have_the_size_that_was_asked_for(db, fwd):
    db.psql(TABLE)
    received = {}
    for size in ("1KiB", "256KiB"):
        slot = f"b_{size.lower()}"
        with fwd(name=size, slot=slot, source=f"batch_bytes: {size}") as forwarder:
            db.psql("TRUNCATE t; INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(1, 5000) i")
            pg.wait_until(lambda: len(forwarder.events()) >= 5001, 20, what="events")
            received[size] = int(re.search(r"^walspout_source_bytes_total{.*} (\d+)",
                                           forwarder.get("/metrics")[1], re.M)[1])
            assert forwarder.terminate() == 0
        db.server.drop_slot(slot)
    # Each message has a header.
    assert received["1KiB"] > received["256KiB"] + 500 * 4


@pytest.mark.effect("source.create_slot", "source.failover")
def test_the_slot_is_made_as_configured_or_not_at_all(db, fwd):
    db.psql(TABLE)
    with fwd(source="create_slot: false").start(wait=False) as forwarder:
        forwarder.wait_for_log("does not exist")
        time.sleep(0.3)
        assert db.server.slot(forwarder.slot) is None
        db.server.create_slot(forwarder.slot, "walspout", db.name)
        forwarder.wait_for_log("msg=streaming")
        assert forwarder.terminate() == 0
    db.server.drop_slot(forwarder.slot)
    with fwd(name="failover", source="failover: true") as forwarder:
        slot = db.server.slot(forwarder.slot)
        # Servers that do not know `failover` create an ordinary slot.
        assert slot.get("failover", True)


# pipeline and root #################################################################################

def test_a_request_is_as_large_as_configured(db, fwd):
    """Also more than a sink gets at once by default."""
    db.psql(TABLE)
    port = free_port()
    sinks = http_sink(port, batch="{events: 100000, bytes: 9MiB}")
    with fwd(sinks=sinks, pipeline="retry: {max: 200ms}") as forwarder:
        db.psql("INSERT INTO t SELECT i, repeat('x', 10000) FROM generate_series(1, 2000) i")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 2000, what="backlog")
        with Webhook(port) as receiver:
            receiver.judge = lambda body: 204
            pg.wait_until(lambda: sum(map(len, receiver.bodies)) == 2000, 60, what="all events")
        sizes = [len(body) for _, body in receiver.requests]
        assert 8 << 20 < max(sizes) < (9 << 20) + 10000, sizes


@pytest.mark.long
@pytest.mark.effect("pipeline.retry.initial", "pipeline.retry.max")
def test_pauses_grow_from_the_first_to_the_longest(db, fwd):
    db.psql(TABLE)
    pauses = {}
    for name, initial, most in (("short", 4, 8), ("long", 400, 400)):
        with fwd(name=name, sinks=http_sink(1), slot=f"retry_{name}",
                 pipeline=f"retry: {{initial: {initial}ms, max: {most}ms}}") as forwarder:
            db.psql("INSERT INTO t SELECT count(*) FROM t")
            forwarder.wait_for_log("attempt=15", timeout=40)
            pauses[name] = [int(ms) for ms in re.findall(r"sink=http attempt=\d+ wait_ms=(\d+)",
                                                         forwarder.log())]
            assert forwarder.terminate() == 0
        db.server.drop_slot(f"retry_{name}")
        assert pauses[name][0] <= initial and max(pauses[name]) <= most
    # Each is anything up to the bound of its attempt.
    assert max(pauses["short"]) > 4 and max(pauses["long"]) > 100


@pytest.mark.effect("sink.deliver_timeout")
def test_a_delivery_is_given_up_in_time(db, fwd):
    db.psql(TABLE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sinks = http_sink(silent.getsockname()[1], deliver_timeout="500ms")
        with fwd(sinks=sinks, root="drain: 1s") as forwarder:
            mark = len(forwarder.log())
            started = time.monotonic()
            db.psql("INSERT INTO t VALUES (1)")
            forwarder.wait_for_log("could not deliver", mark, timeout=10)
            assert 0.4 < time.monotonic() - started < 3


SYNCS = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int count(long number, int fd) {
    int log = open(getenv("SYNC_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(log, "x", 1) != 1) abort();
    close(log);
    return syscall(number, fd);
}
int fsync(int fd) { return count(SYS_fsync, fd); }
int fdatasync(int fd) { return count(SYS_fdatasync, fd); }
"""


@pytest.mark.effect("file.fsync")
@pytest.mark.parametrize("fsync", [True, False])
def test_a_file_is_synced_or_not(db, fwd, tmp_path, fsync):
    db.psql(TABLE)
    library, log = tmp_path / "syncs.so", tmp_path / "syncs"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)], input=SYNCS,
                   text=True, check=True)
    env = {**os.environ, "LD_PRELOAD": str(library), "SYNC_LOG": str(log)}
    out = str(tmp_path / "out")
    with fwd(sinks=file_sink(out, fsync=str(fsync).lower())).start(env=env) as forwarder:
        for number in range(5):
            db.psql(f"INSERT INTO t VALUES ({number})")
            forwarder.wait_for_events(number + 1, path=out)
        assert forwarder.terminate() == 0
    assert (os.path.getsize(log) if log.exists() else 0) >= 5 if fsync else not log.exists()


# sinks #############################################################################################

@pytest.mark.effect("redis.stream", "redis.unmapped")
def test_tables_have_streams_of_their_own(db, fwd, tmp_path):
    db.psql(TABLE + "; CREATE TABLE u (id int); CREATE TABLE v (id int)")
    with Redis(str(tmp_path)) as redis:
        def sink(stream):
            return f"      - type: redis\n        url: {redis.url}\n        {stream}\n"
        tables = "tables: {public.t: mine, message: \"{{m}}\"}"
        some = fwd(name="some", slot="r_some",
                   sinks=sink(f"stream: {{{tables}}}\n        unmapped: drop"))
        rest = fwd(name="rest", slot="r_rest",
                   sinks=sink("stream: {tables: {public.t: t2}, fallback: \"rest:{table}:{op}\"}"))
        with some, rest:
            for sql in ("INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (2)", EMIT.format("a")):
                db.psql(sql)
            for forwarder in (some, rest):
                def all_done():
                    sink = forwarder.status()["sinks"][0]
                    return sink["events"] + sink["dropped"] == 3
                pg.wait_until(all_done, what="events")
            assert some.status()["sinks"][0]["dropped"] == 1
            assert sorted(redis.ask("KEYS", "*")) == ["mine", "rest::m", "rest:u:c", "t2",
                                                      "walspout:positions", "{m}"]
            for forwarder in (some, rest):
                assert forwarder.terminate() == 0
                db.server.drop_slot(forwarder.slot)


@pytest.mark.effect("sink.name")
def test_a_sink_is_called_as_configured(db, fwd):
    db.psql(TABLE)
    with Webhook() as hook, fwd(sinks=http_sink(hook.port, name="my-hook")) as forwarder:
        forwarder.wait_for_log("sink=my-hook")
        assert forwarder.status()["sinks"][0]["name"] == "my-hook"


SINKS = {"redis": ("redis://127.0.0.1:{port}", "rediss://localhost:{port}", ""),
         "http": ("https://127.0.0.1:{port}/", "https://localhost:{port}/", ""),
         "rabbitmq": ("amqp://u:p@127.0.0.1:{port}/", "amqps://u:p@localhost:{port}/",
                      "\n        exchange: e")}


@pytest.mark.effect("redis.connect_timeout", "http.connect_timeout", "rabbitmq.connect_timeout")
def test_who_takes_a_connection_and_says_nothing_is_not_waited_for(db, fwd):
    for name, (url, _, more) in SINKS.items():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            config = fwd(name=name, sinks=f"      - type: {name}\n        connect_timeout: 600ms\n"
                         f"        url: {url.format(port=silent.getsockname()[1])}{more}\n").config
            started = time.monotonic()
            checked = run("check", config)
            assert checked.returncode == 1 and f'sink "{name}" at ' in checked.stdout
            assert 0.5 < time.monotonic() - started < 4, name


class TlsServer:
    """Takes TLS connections of clients with a certificate; remembers their names, answers nothing."""

    def __init__(self, folder):
        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-subj", "/CN=test ca", "-days", "2")
        with open(os.path.join(folder, "san"), "w") as f:
            f.write("subjectAltName=DNS:localhost")
        for name in ("localhost", "walspout-client"):
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                    f"{name}.csr", "-subj", f"/CN={name}")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "san")
        self.file = lambda name: os.path.join(folder, name)         # noqa: E731
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file("localhost.pem"), self.file("localhost.key"))
        context.load_verify_locations(self.file("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2    # a rejected certificate ends the handshake itself
        self.clients = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, args=(context,), daemon=True).start()

    def _run(self, context):
        while True:
            try:
                raw = self.listener.accept()[0]
            except OSError:
                return
            try:
                raw.settimeout(5)
                with context.wrap_socket(raw, server_side=True) as client:
                    subject = dict(pair[0] for pair in client.getpeercert()["subject"])
                    self.clients.append(subject["commonName"])
            except OSError:
                raw.close()


# The libraries' messages about a server that they do not trust.
COMPLAINTS = ["verif", "certificate problem", "self-signed certificate", "self signed certificate"]


@pytest.mark.effect("redis.tls.ca_file", "redis.tls.cert_file", "redis.tls.key_file",
                    "redis.tls.verify", "http.tls.ca_file", "http.tls.cert_file",
                    "http.tls.key_file", "http.tls.verify", "rabbitmq.tls.ca_file",
                    "rabbitmq.tls.cert_file", "rabbitmq.tls.key_file", "rabbitmq.tls.verify")
def test_tls_shows_and_trusts_the_certificates_it_is_given(db, fwd, tmp_path):
    server = TlsServer(str(tmp_path))
    own = (f"cert_file: {server.file('walspout-client.pem')}, "
           f"key_file: {server.file('walspout-client.key')}")
    ca = f"ca_file: {server.file('ca.pem')}"
    for name, (_, url, more) in SINKS.items():
        for tls, known, trusts in ((f"{ca}, {own}", True, True),
                                   (f"{own}, verify: false", True, True),
                                   (own, None, False),      # a stranger; some say so late
                                   (ca, False, None)):      # no certificate of its own
            server.clients.clear()
            config = fwd(name=name, sinks=f"      - type: {name}\n        tls: {{{tls}}}\n"
                         f"        url: {url.format(port=server.port)}{more}\n").config
            checked = run("check", config)
            if name == "redis" and "with hiredis 1.0 or later" in checked.stderr:
                continue                    # as of Debian 12: TLS is refused, and said so
            time.sleep(0.1)
            said = (name, tls, checked.stdout)
            if known is not None:
                assert (server.clients[:1] == ["walspout-client"]) == known, said
            if trusts is not None:
                complaint = any(words in checked.stdout for words in COMPLAINTS)
                assert complaint != trusts, said
    server.listener.close()
