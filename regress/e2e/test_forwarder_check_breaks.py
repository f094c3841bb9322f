"""`check` while its connections break: it says so, and concludes nothing from missing answers."""

import os
import re
import struct
import subprocess

from harness import postgres as pg
import pytest
from harness import proxy as proxies
from harness.forwarder import PROGRAM, file_sink

BROKE = re.compile(r"ERROR .*(ended early|connection broke)")


class Breaker(proxies.Proxy):
    """Calls a function when a client sends the query with this number, before the server gets it."""

    def __init__(self, target, number, happens):
        self.number = number
        self.happens = happens
        self.queries = 0
        super().__init__(target)

    def query(self, pair):
        self.queries += 1
        if self.queries == self.number:
            self.happens(self, pair)

    def _pump(self, source, sink, pair):
        super()._pump(_Queries(source, self, pair) if source is pair[0] else source, sink, pair)


class _Queries:
    """The client's end, whose queries are counted. The first message has no type."""

    def __init__(self, inner, breaker, pair):
        self.inner, self.breaker, self.pair = inner, breaker, pair
        self.pending = b""
        self.started = False

    def recv(self, size):
        data = self.inner.recv(size)
        self.pending += data
        while len(self.pending) >= (5 if self.started else 4):
            kind = self.pending[:1] if self.started else b""
            length = len(kind) + struct.unpack_from("!I", self.pending, len(kind))[0]
            if len(self.pending) < length:
                break
            self.pending, self.started = self.pending[length:], True
            if kind == b"Q":
                self.breaker.query(self.pair)
        return data

    def __getattr__(self, name):
        return getattr(self.inner, name)


def cut(breaker, pair):
    raise OSError("cut")


def freeze(breaker, pair):
    breaker.blackhole()


def terminate(db):
    def ends(breaker, pair):
        mine = "FROM pg_stat_activity WHERE datname = %s AND application_name ~ 'walspout'"
        db.value(f"SELECT count(pg_terminate_backend(pid)) {mine}", (db.name,))
        pg.wait_until(lambda: db.value(f"SELECT count(*) {mine}", (db.name,)) == 0, what="end of the backends")
    return ends


def check(db, forwarder, number, happens):
    """The output of `check` if this happens at that query, and how many queries it sent."""
    breaker = Breaker(os.path.join(db.server.host, f".s.PGSQL.{db.server.port}"), number, happens)
    try:
        with open(forwarder.config) as f:
            text = f.read()
        path = forwarder.config + ".breaks"
        with open(path, "w") as f:
            f.write(re.sub(r"host=\S+ port=\d+", f"host=127.0.0.1 port={breaker.port} sslmode=disable", text))
        done = subprocess.run([PROGRAM, "check", path], text=True, timeout=120, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, findings(done.stdout, breaker.port), breaker.queries
    finally:
        breaker.close()


def findings(output, port):
    """The lines with findings, without what differs from run to run."""
    lines = [line.strip() for line in output.replace(str(port), "PORT").splitlines()]
    return [re.sub(r"\d+ bytes behind", "N bytes behind", line) for line in lines
            if re.match(r"(ok|warn|ERROR) ", line)]


@pytest.fixture
def forwarder(db, fwd, tmp_path):
    """A configuration for which `check` sends many queries."""
    db.psql("""
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE PUBLICATION p FOR TABLE t""")
    return fwd(source="publications: [p]", sinks=file_sink(str(tmp_path / "out"), only="{tables: [public.none]}"))


def assert_says_only_that_it_broke(code, found, whole):
    broke = [line for line in found if BROKE.match(line)]
    assert len(broke) == 1, found
    assert set(found) - set(broke) <= set(whole), found
    assert code == 1


@pytest.mark.parametrize("how", ["cut", "terminate"])
def test_wherever_a_connection_breaks(db, forwarder, how):
    happens = cut if how == "cut" else terminate(db)
    _, whole, queries = check(db, forwarder, 0, None)
    assert queries > 20 and not any(BROKE.match(line) for line in whole)
    for number in range(1, queries + 1):
        code, found, _ = check(db, forwarder, number, happens)
        assert_says_only_that_it_broke(code, found, whole)


def test_a_server_that_stops_answering(db, forwarder):
    _, whole, _ = check(db, forwarder, 0, None)
    assert_says_only_that_it_broke(*check(db, forwarder, 8, freeze)[:2], whole)


def test_a_query_that_is_rejected(db, forwarder):
    """The connection is good, and other steps go on."""
    db.psql(f"""
        CREATE ROLE {db.name}_reader LOGIN REPLICATION;
        REVOKE SELECT ON pg_catalog.pg_publication FROM PUBLIC""")
    with open(forwarder.config) as f:
        text = f.read()
    with open(forwarder.config, "w") as f:
        f.write(text.replace(f"user={pg.SUPERUSER}", f"user={db.name}_reader"))
    try:
        code, found, _ = check(db, forwarder, 0, None)
    finally:
        db.psql(f"DROP ROLE {db.name}_reader")
    errors = [line for line in found if line.startswith("ERROR")]
    assert code == 1 and errors
    assert all("a query failed: " in line and "permission denied" in line for line in errors), errors
    assert "ok    the server lets in a replication connection" in found
    assert not any("does not exist" in line for line in found if "publication" in line)
