"""Secrets in files are read again after a failed login, and on SIGHUP. No restart is needed."""

import base64
import hashlib
import hmac
import json
import os
import signal
import time

from harness import postgres as pg
import pytest
from harness.forwarder import Forwarder, http_sink
from harness.redis import Redis
from harness.webhook import Webhook

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"
FAST = "retry: {initial: 50ms, max: 200ms}"
SLOW = "retry: {initial: 1h, max: 1h}"


def put(path, text):
    """Replaces a file atomically, as tools for secrets do."""
    with open(f"{path}.new", "w") as f:
        f.write(text)
    os.rename(f"{path}.new", path)


def row(db, number):
    db.psql(f"INSERT INTO t VALUES ({number}, 'x')")


def no_secret_shows(forwarder, *secrets):
    text = forwarder.log() + forwarder.get("/status")[1] + forwarder.get("/readyz")[1]
    assert not [secret for secret in secrets if secret in text], text


@pytest.mark.parametrize("spoiled", [None, "", "host=h port=s3cret", "gone"])
def test_a_password_of_the_source_may_change(alone, tmp_path, spoiled):
    server, name = alone.server, alone.name
    alone.psql(f"{TABLE}; CREATE ROLE rot LOGIN REPLICATION PASSWORD 'secret-one'")
    with open(os.path.join(server.data, "pg_hba.conf"), "w") as f:
        f.write("local all postgres trust\nlocal all rot scram-sha-256\n")
    server.reload()
    dsn = f"host={server.host} port={server.port} user=rot dbname={name} password="
    secret = tmp_path / "dsn.txt"
    put(secret, dsn + "secret-one\n")
    forwarder = Forwarder(alone, str(tmp_path), dsn=f"file:{secret}", pipeline=FAST)
    try:
        with forwarder:
            row(alone, 1)
            forwarder.wait_for_events(1)
            alone.psql("ALTER ROLE rot PASSWORD 'secret-two'; SELECT pg_terminate_backend(active_pid) "
                       f"FROM pg_replication_slots WHERE slot_name = '{forwarder.slot}'")
            forwarder.wait_for_log("password authentication failed")
            if spoiled == "gone":
                os.unlink(secret)
            elif spoiled is not None:
                put(secret, spoiled)
            if spoiled is not None:
                attempts = forwarder.log().count("source failed")
                pg.wait_until(lambda: forwarder.log().count("source failed") > attempts + 2,
                              what="attempts")
                assert forwarder.process.poll() is None
                assert str(secret) in forwarder.log()
            row(alone, 2)
            put(secret, dsn + "secret-two\n")
            forwarder.wait_for_events(2)
            no_secret_shows(forwarder, "secret-one", "secret-two", "s3cret")
            assert forwarder.terminate() == 0
    finally:
        forwarder.kill()


@pytest.mark.parametrize("where", ["database", "server", "server with a slot", "pipeline"])
def test_a_dsn_that_leads_elsewhere_is_waited_out(alone, db, tmp_path, where):
    """A slip in the file is no gap: the position stays, and the right DSN needs no restart."""
    for each in (alone, db):
        each.psql(TABLE)
    secret = tmp_path / "dsn.txt"
    forwarder = Forwarder(alone, str(tmp_path), dsn=f"file:{secret}", pipeline=FAST)

    def dsn(server, name):
        return f"host={server.host} port={server.port} user={pg.SUPERUSER} dbname={name}"
    right = dsn(alone.server, alone.name)
    wrong = dsn(db.server, db.name)
    why = "is gone"
    if where == "database":
        alone.server.createdb("elsewhere")
        wrong, why = dsn(alone.server, "elsewhere"), f'belongs to database "{alone.name}"'
    elif where == "server with a slot":
        db.server.create_slot(forwarder.slot, "walspout", db.name)
        why = "another server"
    elif where == "pipeline":
        why = 'the slot of pipeline "second"'
        with open(forwarder.config) as f:
            text = f.read()
        with open(forwarder.config, "w") as f:
            f.write(text.replace("\nstatus:\n", f"""
  - name: second
    source: {{dsn: "{wrong}", slot: {forwarder.slot}}}
    sinks: [{{type: 'null'}}]
status:
"""))
    put(secret, right)
    try:
        with forwarder:
            if where == "pipeline":
                forwarder.wait_for_log("pipeline=second slot=" + forwarder.slot)
            row(alone, 1)
            forwarder.wait_for_events(1)
            put(secret, wrong)
            alone.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                       f"WHERE slot_name = '{forwarder.slot}'")
            forwarder.wait_for_log("leads elsewhere")
            row(alone, 2)
            attempts = forwarder.log().count("leads elsewhere")
            pg.wait_until(lambda: forwarder.log().count("leads elsewhere") > attempts + 2, 30,
                          what="attempts")
            code, text = forwarder.get("/readyz")
            assert code == 503 and str(secret) in text and "leads elsewhere" in text, text
            assert why in forwarder.log().replace('\\"', '"'), forwarder.log()
            assert forwarder.process.poll() is None and "pipeline stops" not in forwarder.log()
            put(secret, right)
            forwarder.wait_for_events(2)
            pg.wait_until(lambda: forwarder.get("/readyz")[0] == 200, what="readiness")
            assert forwarder.terminate() == 0
    finally:
        forwarder.kill()
        if where in ("server with a slot", "pipeline"):
            db.psql(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                    f"WHERE slot_name = '{forwarder.slot}'")


def test_a_connection_on_the_side_uses_the_new_password(alone, tmp_path):
    """While the queue is full the server is asked on a second connection."""
    server, name = alone.server, alone.name
    alone.psql(f"{TABLE}; CREATE ROLE rot LOGIN REPLICATION PASSWORD 'secret-one'")
    with open(os.path.join(server.data, "pg_hba.conf"), "w") as f:
        f.write("local all postgres trust\nlocal all rot scram-sha-256\n")
    server.reload()
    dsn = f"host={server.host} port={server.port} user=rot dbname={name} password="
    secret = tmp_path / "dsn.txt"
    put(secret, dsn + "secret-one\n")
    with Webhook(answer=lambda *_: 503) as receiver:
        forwarder = Forwarder(alone, str(tmp_path), dsn=f"file:{secret}", sinks=http_sink(receiver.port),
                              pipeline="memory: 1MiB\n" + FAST)
        try:
            with forwarder:
                alone.psql("ALTER ROLE rot PASSWORD 'secret-two'")
                put(secret, dsn + "secret-two\n")
                alone.psql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) i")
                pg.wait_until(lambda: forwarder.status()["in_flight_bytes"] >= 1 << 20, 30,
                              what="full queue")
                pg.wait_until(lambda: server.value("SELECT count(*) FROM pg_stat_replication "
                                                   "WHERE usename = 'rot'") == 2, 20,
                              what="second connection")
                assert "source failed" not in forwarder.log()
        finally:
            forwarder.kill()


def redis_sink(redis, url, password=None):
    lines = ["- type: redis", f"  url: {url}"] + ([f"  password: {password}"] if password else [])
    return "".join(f"      {line}\n" for line in lines)


@pytest.mark.parametrize("where", ["password", "url"])
def test_a_password_of_redis_may_change(db, fwd, tmp_path, where):
    db.psql(TABLE)
    secret = tmp_path / "secret"
    with Redis(str(tmp_path)) as redis:
        redis.ask("CONFIG", "SET", "requirepass", "secret-one")

        def ask(password, *command):
            return redis.ask("-a", password, "--no-auth-warning", *command)
        text = (lambda p: p) if where == "password" else (lambda p: f"unix://:{p}@{redis.socket}")
        put(secret, text("secret-one"))
        sinks = (redis_sink(redis, redis.url, f"file:{secret}") if where == "password"
                 else redis_sink(redis, f"file:{secret}"))
        stream = f"walspout:{db.name}:public.t"
        with fwd(sinks=sinks, pipeline=FAST) as forwarder:
            row(db, 1)
            pg.wait_until(lambda: ask("secret-one", "XLEN", stream) == ["1"], what="first entry")
            ask("secret-one", "CONFIG", "SET", "requirepass", "secret-two")
            ask("secret-two", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            row(db, 2)
            forwarder.wait_for_log("sink is parked")
            put(secret, text("secret-two") + "\n")
            pg.wait_until(lambda: ask("secret-two", "XLEN", stream) == ["2"], what="second entry")
            pg.wait_until(lambda: forwarder.get("/readyz")[0] == 200, what="readiness")
            row(db, 3)
            pg.wait_until(lambda: ask("secret-two", "XLEN", stream) == ["3"], what="third entry")
            no_secret_shows(forwarder, "secret-one", "secret-two")


class Guard(Webhook):
    """A webhook that answers 401 unless the header has the token."""

    def __init__(self, token):
        super().__init__()
        self.token = token
        self.answer = lambda *_: 204 if self.requests[-1][0]["authorization"] == self.token else 401


def test_a_token_in_a_header_may_change(db, fwd, tmp_path):
    db.psql(TABLE)
    secret = tmp_path / "token"
    put(secret, "token-one\n")
    with Guard("token-one") as receiver:
        sinks = http_sink(receiver.port, headers=f"{{Authorization: 'file:{secret}'}}")
        with fwd(sinks=sinks, pipeline=FAST) as forwarder:
            row(db, 1)
            pg.wait_until(lambda: len(receiver.ids) == 1, what="first event")
            receiver.token = "token-two"
            row(db, 2)
            forwarder.wait_for_log("sink is parked")
            put(secret, "token-two\n")
            pg.wait_until(lambda: len(receiver.ids) == 2, what="second event")
            no_secret_shows(forwarder, "token-one", "token-two")


def test_a_sighup_ends_the_wait_of_a_parked_sink(db, fwd, tmp_path):
    db.psql(TABLE)
    secret = tmp_path / "token"
    put(secret, "token-one")
    with Guard("token-two") as receiver:
        sinks = http_sink(receiver.port, headers=f"{{Authorization: 'file:{secret}'}}")
        with fwd(sinks=sinks, pipeline=SLOW) as forwarder:
            row(db, 1)
            forwarder.wait_for_log("sink is parked")
            put(secret, "token-two")
            forwarder.process.send_signal(signal.SIGHUP)
            pg.wait_until(lambda: len(receiver.ids) == 1, 30, what="event")


def test_a_sighup_ends_the_wait_of_the_source(alone, tmp_path):
    server, name = alone.server, alone.name
    alone.psql(f"{TABLE}; CREATE ROLE rot LOGIN REPLICATION PASSWORD 'secret-two'")
    with open(os.path.join(server.data, "pg_hba.conf"), "w") as f:
        f.write("local all postgres trust\nlocal all rot scram-sha-256\n")
    server.reload()
    dsn = f"host={server.host} port={server.port} user=rot dbname={name} password="
    secret = tmp_path / "dsn.txt"
    put(secret, dsn + "secret-one")
    forwarder = Forwarder(alone, str(tmp_path), dsn=f"file:{secret}", pipeline=SLOW)
    try:
        forwarder.start(wait=False)
        forwarder.wait_for_log("password authentication failed")
        put(secret, dsn + "secret-two")
        forwarder.process.send_signal(signal.SIGHUP)
        forwarder.wait_for_log("msg=streaming")
    finally:
        forwarder.kill()


def signed_by(key, headers, body):
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(key), text, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}" in headers["webhook-signature"].split()


def test_a_key_that_signs_is_read_again_on_sighup(db, fwd, tmp_path):
    db.psql(TABLE)
    secret = tmp_path / "key"
    keys = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    put(secret, f"whsec_{keys[0]}\n")
    with Webhook() as receiver:
        with fwd(sinks=http_sink(receiver.port, secret=f"file:{secret}")) as forwarder:
            row(db, 1)
            pg.wait_until(lambda: len(receiver.requests) == 1, what="first event")
            assert signed_by(keys[0], *receiver.requests[0])
            # An invalid key changes nothing, and the log says so.
            put(secret, "whsec_?\n")
            forwarder.process.send_signal(signal.SIGHUP)
            forwarder.wait_for_log("secret")
            row(db, 2)
            pg.wait_until(lambda: len(receiver.requests) == 2, what="second event")
            assert signed_by(keys[0], *receiver.requests[1])
            put(secret, f"whsec_{keys[1]}\n")
            start = len(forwarder.log())
            forwarder.process.send_signal(signal.SIGHUP)
            forwarder.wait_for_log("opening files again", start)

            def follows():
                row(db, 100 + len(receiver.requests))
                time.sleep(0.2)
                return signed_by(keys[1], *receiver.requests[-1])
            pg.wait_until(follows, what="event with the new signature")
            assert json.loads(receiver.requests[-1][1])["op"] == "c"
            no_secret_shows(forwarder, *keys)
