"""The forwarder over TLS to Postgres: all events arrive at once, and a message names a server that is not trusted."""

import contextlib
import os
import subprocess
import time

from harness import postgres as pg
import pytest
from harness.forwarder import run
from harness.processes import freeze, thaw

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"
RECORD = 16384      # of TLS, at most


@pytest.fixture(scope="module")
def server():
    with pg.WorkDir() as work:
        cluster = pg.Cluster(pg.Installation(work))
        cluster.ca = cluster.use_tls()
        cluster.start()
        yield cluster


def dsn(db, ca=None, mode="verify-full", host="localhost"):
    return (f"host={host} hostaddr=127.0.0.1 port={db.server.port} user={pg.SUPERUSER} dbname={db.name} "
            f"sslmode={mode} sslrootcert={ca or db.server.ca}")


def test_everything_arrives_big_and_small(db, fwd):
    db.psql(TABLE)
    with fwd(dsn=dsn(db)) as forwarder:
        assert db.value("SELECT ssl FROM pg_stat_ssl WHERE pid = %s",
                        (db.server.walsender(forwarder.slot),))
        sizes = [around + off for around in (RECORD // 2, RECORD, 2 * RECORD, 4 * RECORD, 1 << 20)
                 for off in range(-400, 101, 100)]
        with contextlib.closing(db.server.connect(db.name)) as client, client.cursor() as cursor:
            for number, size in enumerate(sizes):
                cursor.execute("INSERT INTO t VALUES (%s, repeat('x', %s))", (number, size))
        events = forwarder.wait_for_events(len(sizes), timeout=5)
        assert [len(event["after"]["body"]) for event in events] == sizes
        db.psql("INSERT INTO t SELECT i, repeat('x', i % 3000) FROM generate_series(1000, 40999) i")
        events = forwarder.wait_for_events(len(sizes) + 40000)
        assert [event["after"]["id"] for event in events][len(sizes):] == list(range(1000, 41000))
        assert forwarder.terminate() == 0


def test_what_the_library_has_decrypted_is_not_left_there(db, fwd):
    """A reader that is behind fills its buffer up to the middle of a TLS record. The rest of the record does not make
    the socket readable. No other data do so here: the server is frozen after two messages, while a third one waits for
    a lock.
    Newer libraries (15.20 at least) read such a rest themselves."""
    db.psql(TABLE + """;
        CREATE TYPE slow AS ENUM ('0', '3', '6');
        CREATE TABLE waits (s slow)""")
    with contextlib.closing(db.server.connect(db.name)) as client, client.cursor() as lock, \
            fwd(dsn=dsn(db), source="batch_bytes: 1kB") as forwarder:
        walsender = db.server.walsender(forwarder.slot)
        delays = [delay(db, forwarder, walsender, lock, count) for count in (0, 3, 6)]
        assert min(delays) < 0.08, delays


def delay(db, forwarder, walsender, lock, before):
    """Seconds between the first message and the second one, whose end is what the buffer lacks:
    70 kB and 65 kB, and the buffer has grown to 128 kB."""
    freeze(forwarder.process.pid)
    with contextlib.closing(db.server.connect(db.name, autocommit=False)) as writer:
        writer.cursor().execute(f"INSERT INTO t VALUES ({before}, repeat('x', 70000)), "
                                f"({before + 1}, repeat('x', 65000)); "
                                f"INSERT INTO waits VALUES ('{before}')")
        # The walsender looks up a label that it has not seen, and waits for the catalog.
        lock.execute("BEGIN; LOCK pg_enum IN ACCESS EXCLUSIVE MODE")
        writer.commit()
    pg.wait_until(lambda: db.value("SELECT true FROM pg_locks WHERE pid = %s AND NOT granted",
                                   (walsender,)), what="server that waits")
    freeze(walsender)
    try:
        thaw(forwarder.process.pid)
        came = []
        for count in (1, 2):
            pg.wait_until(lambda: len(forwarder.events()) >= before + count, 3, every=0.001,
                          what="event")
            came.append(time.monotonic())
    finally:
        thaw(walsender)
        lock.execute("ROLLBACK")
    forwarder.wait_for_events(before + 3)
    return came[1] - came[0]


def test_a_certificate_that_is_not_trusted_is_said(db, fwd, tmp_path):
    other = str(tmp_path / "other.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                    os.devnull, "-out", other, "-subj", "/CN=another ca", "-days", "2"],
                   check=True, capture_output=True)
    for name, to, why in (("ca", dsn(db, ca=other), "certificate verify failed"),
                          ("host", dsn(db, host="elsewhere"), 'does not match host name "elsewhere"'),
                          ("none", dsn(db, ca="/nonexistent.pem"), '"/nonexistent.pem" does not exist')):
        forwarder = fwd(name=name, dsn=to)
        checked = run("check", forwarder.config)
        assert checked.returncode == 1 and why in checked.stdout, checked.stdout
        forwarder.start(wait=False)
        forwarder.wait_for_log("source failed")
        assert why in forwarder.log().replace("\\", "")
        forwarder.kill()
