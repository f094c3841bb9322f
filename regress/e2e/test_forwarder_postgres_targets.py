"""Targets over TLS, of several servers, with a failover, and behind a pooler."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

from harness import postgres as pg
import pytest
from harness.forwarder import run
from harness.proxy import Proxy
from test_forwarder_postgres_sink import dsn, keep_faith, rows, sink, target, wait_for_equal  # noqa: F401
from test_forwarder_server import pgbouncer

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


class Target(pg.OnOwnServer):
    """A database that exists on each server of a family."""

    def __init__(self, server):
        super().__init__(server, "copies")


class Family:
    """A primary and its standby, which are a target."""

    def __init__(self, work):
        self.first = Target(pg.Cluster(pg.Installation(work), "first", {"wal_keep_size": "512MB"}).start())
        self.first.server.createdb(self.first.name)
        upstream = self.first.server
        standby = pg.Cluster(upstream.installation, "second")
        shutil.rmtree(standby.data)
        upstream._run("pg_basebackup", "-D", standby.data, "-h", upstream.host, "-p", str(upstream.port), "-U",
                      pg.SUPERUSER, "-c", "fast", as_server=True)
        open(os.path.join(standby.data, "standby.signal"), "w").close()
        os.chmod(os.path.join(standby.data, "standby.signal"), 0o666)
        standby.start({"primary_conninfo": f"host={upstream.host} port={upstream.port} user={pg.SUPERUSER} "
                                           "application_name=second", "wal_retrieve_retry_interval": "100ms"})
        self.second = Target(standby)

    def wait_for_standby(self, synchronous):
        """Commits of the primary wait until the standby has them, or do not."""
        if synchronous:
            self.first.server.reload({"synchronous_standby_names": "second", "synchronous_commit": "on"})
        pg.wait_until(lambda: self.first.value("SELECT sync_state FROM pg_stat_replication") == (
            "sync" if synchronous else "async"), 60, what="standby")

    def dsn(self, *members, **more):
        """Of servers in that order."""
        parts = {"host": ",".join(member.server.host for member in members),
                 "port": ",".join(str(member.server.port) for member in members),
                 "user": pg.SUPERUSER, "dbname": "copies", **more}
        return " ".join(f"{key}={value}" for key, value in parts.items())

    def sink(self, *members, **more):
        return (f"      - type: postgres\n        dsn: {self.dsn(*members, **more)}\n        deliver_timeout: 2s\n")


@pytest.fixture
def family():
    with pg.WorkDir() as work:
        yield Family(work)


# TLS #################################################################################################################

@pytest.fixture(scope="module")
def over_tls():
    with pg.WorkDir() as work:
        cluster = pg.Cluster(pg.Installation(work), "tls")
        cluster.ca = cluster.use_tls()
        cluster.start()
        cluster.createdb("copies")
        yield Target(cluster)


def tls_sink(database, **more):
    parts = {"host": "localhost", "hostaddr": "127.0.0.1", "sslmode": "verify-full", "sslrootcert": database.server.ca, **more}
    return sink(database, parts)


def test_rows_go_over_tls(db, fwd, over_tls):
    for database in (db, over_tls):
        database.psql("CREATE TABLE tls (id int PRIMARY KEY, body text)")
    with fwd(sinks=tls_sink(over_tls)) as forwarder:
        # Also more than the socket and a record of TLS hold at once.
        db.psql("INSERT INTO tls SELECT i, repeat('x', i % 3000) FROM generate_series(1, 20000) i; "
                "UPDATE tls SET body = body || 'y' WHERE id % 3 = 0; INSERT INTO tls VALUES (0, repeat('z', 5000000))")
        wait_for_equal(db, over_tls, ["tls"])
        assert over_tls.value("SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
                              "WHERE a.application_name = 'walspout'")
        assert forwarder.terminate() == 0


def test_a_target_whose_certificate_is_not_trusted_gets_nothing(db, fwd, over_tls, tmp_path):
    other = str(tmp_path / "other.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", os.devnull, "-out", other,
                    "-subj", "/CN=another ca", "-days", "2"], check=True, capture_output=True)
    db.psql(TABLE)
    for name, more, why in (("ca", {"sslrootcert": other}, "certificate verify failed"),
                            ("host", {"host": "elsewhere"}, 'does not match host name "elsewhere"')):
        forwarder = fwd(name=name, sinks=tls_sink(over_tls, **more))
        checked = run("check", forwarder.config)
        assert checked.returncode == 1 and why in checked.stdout, checked.stdout
        forwarder.start()
        pg.wait_until(lambda: why in forwarder.log().replace("\\", ""), 60, what=why)
        forwarder.kill()


# Several servers #####################################################################################################

def test_of_several_servers_the_one_that_takes_writes_is_found(db, fwd, family):
    db.psql(TABLE)
    family.first.psql(TABLE)
    with fwd(sinks=family.sink(family.second, family.first, target_session_attrs="read-write")) as forwarder:
        db.psql("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 100) i")
        wait_for_equal(db, family.first, ["t"])
        assert forwarder.terminate() == 0


def test_a_standby_is_named_with_the_remedy(db, fwd, family):
    db.psql(TABLE)
    family.first.psql(TABLE)
    forwarder = fwd(sinks=family.sink(family.second, family.first))
    checked = run("check", forwarder.config)
    assert checked.returncode == 1 and "target_session_attrs=read-write" in checked.stdout, checked.stdout
    forwarder.start()
    forwarder.wait_for_log("target_session_attrs=read-write")
    forwarder.kill()


# Failover ############################################################################################################

def test_a_failover_of_the_target_loses_and_repeats_nothing(db, fwd, family):
    """The standby has all commits of the primary, because commits wait for the standby. Rows are written meanwhile."""
    forwarder = fwd(sinks=family.sink(family.first, family.second, target_session_attrs="read-write"),
                    pipeline="retry: {max: 300ms}")
    done = []

    def disturb():
        if not done:
            done.append(True)
            family.wait_for_standby(synchronous=True)
        elif len(done) == 1 and family.first.value("SELECT count(*) FROM log") > 300:
            done.append(True)
            family.first.server.kill()
            family.second.promote()

    class Both:
        """Runs SQL in the current target. Before the failover the standby gets the changes of the primary."""
        server = family.first.server

        def __getattr__(self, name):
            return getattr(family.second if len(done) == 2 else family.first, name)
    keep_faith(db, Both(), forwarder, disturb, 15)
    assert len(done) == 2, "there was no failover"
    assert "pipeline stops" not in forwarder.log() and "has lost" not in forwarder.log()
    assert family.second.value("SELECT count(*) FROM t") == db.value("SELECT count(*) FROM t")


def test_what_a_failover_of_the_target_loses_is_reported(db, fwd, family):
    """The standby lacks what the primary has committed and the forwarder has confirmed."""
    db.psql(TABLE)
    family.first.psql(TABLE)
    family.wait_for_standby(synchronous=False)
    forwarder = fwd(sinks=family.sink(family.first, family.second, target_session_attrs="read-write"),
                    pipeline="retry: {max: 300ms}").start()
    db.psql("INSERT INTO t VALUES (1, 'both')")
    pg.wait_until(lambda: len(rows(family.second)) == 1, 60, what="row in the standby")
    receiver = family.second.value("SELECT pid FROM pg_stat_wal_receiver")
    os.kill(receiver, signal.SIGSTOP)
    try:
        db.psql("INSERT INTO t VALUES (2, 'lost')")
        wait_for_equal(db, family.first, ["t"])
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 60, what="confirmation")
        family.first.server.kill()
    finally:
        os.kill(receiver, signal.SIGKILL)
    family.second.server.restart("immediate")
    family.second.promote()
    db.psql("INSERT INTO t VALUES (3, 'new')")
    forwarder.wait_for_log("the target has lost transactions that it had committed", timeout=60)
    pg.wait_until(lambda: len(rows(family.second)) == 2, 60, what="new row")
    assert forwarder.status()["sinks"][0]["losses"] == 1
    forwarder.kill()


@pytest.mark.parametrize("rights", ["owner", "superuser"])
def test_a_session_that_was_given_up_commits_nothing_later(db, fwd, target, rights):      # noqa: F811
    """Its statements, with the commit, wait in the server for a lock. The network hides its end from the server."""
    db.psql("CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL")
    target.psql(f'''CREATE TABLE keyless (n int); CREATE ROLE "{target.name}" LOGIN {"SUPERUSER" if rights == "superuser" else ""};
        ALTER TABLE keyless OWNER TO "{target.name}"; GRANT CREATE ON DATABASE "{target.name}" TO "{target.name}"''')
    socket = f"{target.server.host}/.s.PGSQL.{target.server.port}"
    first, second = Proxy(socket), Proxy(socket)
    try:
        forwarder = fwd(pipeline="retry: {max: 300ms}", sinks=sink(
            target, {"host": "127.0.0.1,127.0.0.1", "port": f"{first.port},{second.port}", "user": target.name},
            mode="append", session_replication_role="origin", deliver_timeout="2s", connect_timeout="1s")).start()
        db.psql("INSERT INTO keyless VALUES (1)")
        wait_for_equal(db, target, ["keyless"])
        before = target.value("SELECT backend FROM walspout.positions")
        with contextlib.closing(target.server.connect(target.name, autocommit=False)) as other:
            other.cursor().execute("LOCK TABLE keyless IN EXCLUSIVE MODE")
            db.psql("INSERT INTO keyless VALUES (2)")
            pg.wait_until(lambda: waiting(target) == 1, 60, what="session that waits")
            first.blackhole()
            pg.wait_until(lambda: taken_over(target, before), 60, what="session that takes over")
            other.rollback()
        db.psql("INSERT INTO keyless VALUES (3)")
        pg.wait_until(lambda: len(rows(target, "keyless")) >= 3, 60, what="rows")
        time.sleep(1)
        assert rows(target, "keyless") == rows(db, "keyless")
        forwarder.kill()
    finally:
        first.close()
        second.close()
        target.psql(f'REASSIGN OWNED BY "{target.name}" TO postgres; DROP OWNED BY "{target.name}"; DROP ROLE "{target.name}"')


def waiting(database):
    return database.value("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND "
                          "a.datname = current_database() AND a.application_name = 'walspout'")


def taken_over(database, before):
    """Whether another session than that one has the position."""
    return database.value("SELECT backend FROM walspout.positions") != before


# Times of commits ####################################################################################################

def test_commits_have_the_time_of_the_source(db, fwd, alone):
    """Commits have the source's times, as in a subscription, so that these times can resolve conflicts of two
    databases."""
    db.psql(TABLE)
    alone.server.restart(conf={"track_commit_timestamp": "on"})
    alone.psql(TABLE)
    slot = db.create_slot("truth")
    with fwd(sinks=sink(alone)) as forwarder:
        for i in range(4):
            db.psql(f"INSERT INTO t VALUES ({i}, 'x')")
            time.sleep(0.2)
        wait_for_equal(db, alone, ["t"])
        times = [event["ts"] for event in db.events(slot)]
        assert len(times) == 4 and alone.psql(
            "SET timezone = 'UTC'; SELECT to_char(pg_xact_commit_timestamp(xmin), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM t "
            "ORDER BY id").splitlines() == times
        assert forwarder.terminate() == 0


# Poolers #############################################################################################################

@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_a_pooler_is_rejected_with_the_reason(db, fwd, target, mode):      # noqa: F811
    db.psql(TABLE)
    target.psql(TABLE)
    with pgbouncer(target.server, [target.name], f"pool_mode = {mode}", "ignore_startup_parameters = extra_float_digits,options") as port:
        forwarder = fwd(sinks=sink(target, {"port": port, "host": "127.0.0.1"}))
        checked = run("check", forwarder.config)
        assert checked.returncode == 1 and "connection pooler" in checked.stdout, checked.stdout
        forwarder.start()
        db.psql("INSERT INTO t VALUES (1, 'x')")
        forwarder.wait_for_log("connection pooler")
        time.sleep(0.5)
        assert rows(target) == []
        forwarder.kill()
