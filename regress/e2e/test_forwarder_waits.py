"""Commands say what they wait for: `tail` and `run` while a slot is created; `drop` of nothing."""

import re
import subprocess

import psycopg2
import pytest
from harness import postgres as pg
from harness.forwarder import PROGRAM, run
from harness.postgres.cluster import SUPERUSER


def dsn(db):
    return f"host={db.server.host} port={db.server.port} user={SUPERUSER} dbname={db.name}"


@pytest.fixture
def open_transaction(db):
    db.psql("CREATE TABLE orders (id int PRIMARY KEY)")
    connection = psycopg2.connect(dsn(db) + " application_name=nightly")
    cursor = connection.cursor()
    cursor.execute("INSERT INTO orders VALUES (0); SELECT pg_backend_pid()")
    yield connection, cursor.fetchone()[0]
    connection.close()


def test_tail_says_what_it_waits_for(db, open_transaction, tmp_path):
    connection, pid = open_transaction
    with open(tmp_path / "err", "w+") as err:
        tail = subprocess.Popen([PROGRAM, "tail", dsn(db)], stdout=subprocess.PIPE, stderr=err, text=True)
        try:
            said = pg.wait_until(lambda: (tmp_path / "err").read_text(), 60, what="what it waits for")
            assert f"open transaction of process {pid} (nightly, role {SUPERUSER}), since 20" in said, said
            connection.commit()
            pg.wait_until(lambda: db.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE "
                                           "'walspout_tail%' AND active AND confirmed_flush_lsn IS NOT NULL") == 1,
                          60, what="the slot")
            db.psql("INSERT INTO orders VALUES (1)")
            assert '"id":1' in tail.stdout.readline()
        finally:
            tail.kill()
            tail.wait()


def test_run_says_what_the_slot_waits_for(db, fwd, open_transaction):
    connection, pid = open_transaction
    forwarder = fwd()
    forwarder.start(wait=False)
    try:
        forwarder.wait_for_log("the slot is not created yet", timeout=60)
        assert f"process {pid} (nightly" in forwarder.log()
        connection.commit()
        forwarder.wait_for_log("msg=streaming", timeout=60)
        assert forwarder.log().count("the slot is not created yet") == 1
    finally:
        forwarder.kill()


def test_drop_of_nothing_says_so(db, fwd):
    forwarder = fwd()
    dropped = run("drop", "--yes", forwarder.config)
    assert dropped.returncode == 0
    assert re.search(rf'nothing to drop: there is no slot "{forwarder.slot}".* at .*{db.name}', dropped.stdout), dropped
