"""What the server must allow a forwarder, and the messages if it does not."""

import contextlib
import os
import socket
import subprocess
import time

from harness import postgres as pg
import pytest
from harness.forwarder import http_sink, run
from harness.ports import free_port
from harness.processes import die_with_parent
from harness.proxy import Proxy

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


@pytest.fixture
def role(db):
    name = f"{db.name}_role"
    db.psql(f'CREATE ROLE "{name}" LOGIN REPLICATION')
    yield name
    db.server.psql(f'DROP ROLE "{name}"')


def dsn_of(db, role):
    return f"host={db.server.host} port={db.server.port} user={role} dbname={db.name}"


def line_with(text, sign):
    """The only line of a text that has the sign."""
    found = [line for line in text.splitlines() if sign in line]
    assert len(found) == 1, text
    return found[0]


def test_a_role_without_rights_on_the_extension_streams(db, fwd, role):
    """A mark of another program does not cause repeated attempts."""
    db.psql(TABLE + "; CREATE EXTENSION walspout")
    with fwd(dsn=dsn_of(db, role)) as forwarder:
        for i in range(3):
            db.psql("SELECT pg_logical_emit_message(true, 'walspout.mark', 'look')")
            db.psql(f"INSERT INTO t VALUES ({i}, 'x')")
        assert len(forwarder.wait_for_events(3)) == 3
        forwarder.wait_for_log("no backfill is possible")
        time.sleep(2)
        assert "could not continue" not in forwarder.log(), forwarder.log()
        assert forwarder.log().count("no backfill is possible") <= 2, forwarder.log()


# Lag


def test_a_message_that_waits_counts_as_lag(db, fwd, dead_port):
    """A non-transactional message has no commit time."""
    db.psql(TABLE)
    with fwd(sinks=http_sink(dead_port)) as forwarder:
        db.psql("SELECT pg_logical_emit_message(false, 'p', 'a message of its own')")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 1, what="waiting message")
        first = forwarder.status()["lag_seconds"]
        pg.wait_until(lambda: forwarder.status()["lag_seconds"] >= first + 1, what="growing lag")
        db.psql("INSERT INTO t VALUES (1, 'behind it')")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 2, what="waiting row")
        assert forwarder.status()["lag_seconds"] >= first + 1


def test_what_holds_a_slot_is_shown(db, fwd):
    db.psql(TABLE + "; CREATE EXTENSION walspout")
    with fwd() as forwarder:
        held_by = "SELECT held_by FROM walspout.slots WHERE slot_name = %s"
        old = db.server.connect(db.name, autocommit=False)
        try:
            with old.cursor() as cursor:
                cursor.execute("INSERT INTO t VALUES (1, 'old'); SELECT pg_backend_pid()")
                pid = cursor.fetchone()[0]
            db.psql("INSERT INTO t SELECT i, 'young' FROM generate_series(2, 1000) i")
            forwarder.wait_for_events(999)
            pg.wait_until(lambda: f"of process {pid}, since" in (db.value(held_by, (forwarder.slot,)) or ""),
                          60, what="the old transaction")
            row = db.server.query("SELECT catalog_xmin IS NOT NULL, catalog_xmin_age FROM walspout.slots "
                                  "WHERE slot_name = %s", db.name, (forwarder.slot,))[0]
            assert row[0] and row[1] >= 1
        finally:
            old.close()
        assert forwarder.terminate() == 0
        db.psql("INSERT INTO t VALUES (2000, 'nothing reads')")
        assert db.value(held_by, (forwarder.slot,)) == "no process streams the slot"


# Publications


def test_a_missing_publication_is_said_before_the_slot_is_made(db, fwd):
    db.psql(TABLE)
    forwarder = fwd(source="publications: [here, 'not there']", pipeline="retry: {max: 200ms}")
    db.psql("CREATE PUBLICATION here FOR TABLE t")
    forwarder.start(wait=False)
    forwarder.wait_for_log("source failed")
    time.sleep(0.5)
    assert db.server.slot(forwarder.slot) is None, forwarder.log()
    said = [line for line in forwarder.log().splitlines() if "source failed" in line][0]
    assert "not there" in said and "CREATE PUBLICATION" in said and "slot" in said
    db.psql('CREATE PUBLICATION "not there" FOR TABLE t')
    forwarder.wait_for_log("msg=streaming")
    db.psql("INSERT INTO t VALUES (1, 'x')")
    forwarder.wait_for_events(1)


# Lost slots


def test_a_slot_lost_for_its_size_is_said_with_the_remedy(alone, alone_fwd):
    alone.psql(TABLE)
    with alone_fwd() as forwarder:
        forwarder.terminate()
    alone.server.reload({"max_slot_wal_keep_size": "1MB"})

    def lost():
        alone.psql("SELECT pg_switch_wal(); CREATE TABLE IF NOT EXISTS w (i int); "
                   "INSERT INTO w VALUES (1); CHECKPOINT")
        return alone.server.slot(forwarder.slot)["wal_status"] == "lost"
    pg.wait_until(lost, 60, what="lost slot")
    forwarder.start(wait=False)
    assert forwarder.process.wait(20) == 1
    error = line_with(forwarder.log(), "pipeline stops")
    assert "max_slot_wal_keep_size" in error and "pg_drop_replication_slot" in error
    checked = run("check", forwarder.config)
    assert checked.returncode == 1
    assert "is lost" in checked.stdout and "max_slot_wal_keep_size" in checked.stdout


def test_a_slot_lost_for_idleness_is_said_with_the_remedy(alone, alone_fwd):
    if alone.server.installation.major < 18:
        assert not alone.server.value("SELECT count(*) FROM pg_settings "
                                      "WHERE name = 'idle_replication_slot_timeout'")
        return
    alone.psql(TABLE)
    with alone_fwd() as forwarder:
        forwarder.terminate()
    # Its unit was minutes before the release.
    unit = alone.server.value("SELECT unit FROM pg_settings WHERE name = 'idle_replication_slot_timeout'")
    alone.server.reload({"idle_replication_slot_timeout": "1s" if unit == "s" else "1min"})

    def lost():
        alone.psql("CHECKPOINT")
        return alone.server.slot(forwarder.slot)["wal_status"] == "lost"
    pg.wait_until(lost, 120, every=0.5, what="lost slot")
    forwarder.start(wait=False)
    assert forwarder.process.wait(20) == 1
    error = line_with(forwarder.log(), "pipeline stops")
    assert "idle_replication_slot_timeout" in error and "max_slot_wal_keep_size" not in error
    checked = run("check", forwarder.config)
    assert checked.returncode == 1 and "idle_replication_slot_timeout" in checked.stdout


# Failover


@pytest.mark.effect("source.failover")
def test_failover_is_set_or_said_not_to_be(db, fwd):
    db.psql(TABLE)
    knows = db.server.installation.major >= 17
    with fwd() as forwarder:
        forwarder.terminate()
    later = fwd(name="later", source="failover: true")
    checked = run("check", later.config)
    assert checked.returncode == 0, checked.stdout
    assert "failover" in checked.stdout
    with later:
        log = later.log()
        if knows:
            assert db.server.slot(later.slot)["failover"] is True
            assert "failover" in log
        else:
            said = line_with(log, "failover is not in force")
            assert "level=warn" in said and "PostgreSQL 17" in said
        later.terminate()
    checked = run("check", later.config)
    assert checked.returncode == 0
    if knows:
        assert "failover: true has no effect" not in checked.stdout
    else:
        assert "PostgreSQL 17" in line_with(checked.stdout, "failover: true has no effect")


# check


@pytest.mark.parametrize("of", ["role", "database"])
def test_a_superuser_with_another_role_may_replicate_if_run_may(db, fwd, role, of):
    other, boss = f"{role}_other", f"{role}_boss"
    db.psql(f'{TABLE}; CREATE ROLE "{other}"; CREATE ROLE "{boss}" LOGIN SUPERUSER')
    where = f'ROLE "{boss}"' if of == "role" else f'DATABASE "{db.name}"'
    try:
        db.server.psql(f'ALTER {where} SET role = "{other}"')
        forwarder = fwd(dsn=dsn_of(db, boss))
        checked = run("check", forwarder.config)
        forwarder.start(wait=False)

        def outcome():
            log = forwarder.log()
            return "runs" if "msg=streaming" in log else "fails" if "source failed" in log else None
        ran = pg.wait_until(outcome, what="streaming or failure")
        assert (checked.returncode == 0) == (ran == "runs"), checked.stdout + forwarder.log()
        assert ("may not replicate" in checked.stdout) == (ran == "fails"), checked.stdout
    finally:
        db.server.psql(f'ALTER {where} RESET role')
        forwarder.kill()
        db.psql(f'DROP ROLE "{other}"')
        db.server.drop_slot(forwarder.slot)
        db.psql(f'DROP ROLE "{boss}"')


def test_check_notices_that_no_process_is_left_for_a_stream(alone, alone_fwd):
    alone.psql(f"CREATE ROLE reader LOGIN REPLICATION; {TABLE}")
    alone.server.restart(conf={"max_wal_senders": 1})
    dsn = f"host={alone.server.host} port={alone.server.port} user=reader dbname={alone.name}"
    forwarder = alone_fwd(dsn=dsn)
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    assert "replication connection" in checked.stdout
    with alone_fwd(name="first", slot="first"):
        checked = run("check", forwarder.config)
        assert checked.returncode == 1, checked.stdout
        assert "requested standby connections exceeds" in checked.stdout
        assert "raise max_wal_senders" in checked.stdout
        # A streaming connection has what it needs.
        checked = run("check", alone_fwd(name="again", slot="first").config)
        assert checked.returncode == 0, checked.stdout
        assert "  warn " in line_with(checked.stdout, "requested standby connections exceeds")


@pytest.mark.parametrize("line, allowed", [("replication", False), ("alone", True)])
def test_the_line_of_pg_hba_names_the_database(alone, alone_fwd, line, allowed):
    alone.psql(f"CREATE ROLE reader LOGIN REPLICATION; {TABLE}")
    with open(os.path.join(alone.server.data, "pg_hba.conf"), "w") as f:
        f.write(f"local all postgres trust\nlocal {line} reader trust\n")
    alone.server.reload()
    dsn = f"host={alone.server.host} port={alone.server.port} user=reader dbname={alone.name}"
    forwarder = alone_fwd(dsn=dsn)

    def settled():
        checked = run("check", forwarder.config)
        return checked if (checked.returncode == 0) == allowed else None
    checked = pg.wait_until(settled, what="reloaded pg_hba.conf")
    forwarder.start(wait=False)
    if allowed:
        forwarder.wait_for_log("msg=streaming")
        return
    forwarder.wait_for_log("source failed")
    for said in [checked.stdout, forwarder.log()]:
        assert "no pg_hba.conf entry" in said
        assert "alone reader" in said and "`replication`" in said, said


# Poolers


PGBOUNCER = next((path for path in ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"] if os.path.exists(path)),
                 "pgbouncer")
PASSES_REPLICATION_ON = (1, 23)


def passes_replication_on():
    """Whether it is a PgBouncer that passes replication connections on."""
    said = subprocess.run([PGBOUNCER, "--version"], check=True, text=True, stdout=subprocess.PIPE).stdout
    version = said.split()[1].split(".")
    return (int(version[0]), int(version[1])) >= PASSES_REPLICATION_ON


@contextlib.contextmanager
def pgbouncer(server, databases, *settings):
    """PgBouncer before a server; its port."""
    port = free_port()
    folder = server.work.mkdir(f"pgbouncer.{port}")
    config = os.path.join(folder, "pgbouncer.ini")
    with open(os.path.join(folder, "users"), "w") as f:
        f.write(f'"{pg.SUPERUSER}" ""\n')
    with open(config, "w") as f:
        f.write("[databases]\n" + "".join(f"{name} = host={server.host} port={server.port}\n"
                                          for name in databases))
        f.write(f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
                f"auth_type = trust\nauth_file = {folder}/users\n" + "".join(f"{s}\n" for s in settings))
    server.work.own_tree(folder)
    process = subprocess.Popen([PGBOUNCER, "-q", config], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=die_with_parent, **server.work.as_user())
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
                return True
        pg.wait_until(listens, what="pgbouncer that listens")
        yield port
    finally:
        process.kill()
        process.wait()


def goes_through_the_pooler(db, forwarder):
    """From PgBouncer 1.23 on: it looks like the server itself."""
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    db.psql(TABLE)
    forwarder.start()
    db.psql("INSERT INTO t VALUES (1, 'x')")
    forwarder.wait_for_events(1)
    assert forwarder.terminate() == 0


@pytest.mark.parametrize("ignored", [None, "replication"])
def test_a_pooler_is_named_at_once(db, fwd, ignored):
    """A pooler may reject the option of a replication connection, drop it, or forward it."""
    settings = [f"ignore_startup_parameters = {ignored}"] if ignored else []
    with pgbouncer(db.server, [db.name], *settings) as port:
        dsn = f"host=127.0.0.1 port={port} user={pg.SUPERUSER} dbname={db.name} sslmode=disable"
        forwarder = fwd(dsn=dsn)
        if passes_replication_on():
            goes_through_the_pooler(db, forwarder)
            return
        forwarder.start(wait=False)
        assert forwarder.process.wait(30) == 2, forwarder.log()
        error = line_with(forwarder.log(), "pipeline stops")
        assert "pooler" in error and "dsn" in error and "PgBouncer" in error
        checked = run("check", forwarder.config)
        assert checked.returncode == 2
        assert "pooler" in checked.stdout and "`dsn`" in checked.stdout
        tailed = run("tail", dsn)
        assert tailed.returncode != 0 and "pooler" in tailed.stderr


def test_a_pooler_that_comes_later_is_waited_out(db, fwd):
    """After events were streamed, the route to the server can be repaired without a restart."""
    db.psql(TABLE)
    server = os.path.join(db.server.host, f".s.PGSQL.{db.server.port}")
    network = Proxy(server)
    dsn = f"host=127.0.0.1 port={network.port} user={pg.SUPERUSER} dbname={db.name} sslmode=disable"
    try:
        with (pgbouncer(db.server, [db.name]) as port,
              fwd(dsn=dsn, pipeline="retry: {max: 200ms}") as forwarder):
            network.target = port
            start = len(forwarder.log())
            network.cut()
            forwarder.wait_for_log("msg=streaming" if passes_replication_on() else "connection pooler", start)
            network.target = server
            db.psql("INSERT INTO t VALUES (1, 'x')")
            forwarder.wait_for_events(1)
    finally:
        network.close()
