"""The programs of docs/examples/clients, which read a slot with the libraries that people use, and are killed."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from harness import postgres as pg
from harness.ports import free_port
from harness.waiting import wait_until

CLIENTS = os.path.join(pg.TOP, "docs", "examples", "clients")
JDBC = "/usr/share/java/postgresql.jar"
BUILD = os.path.join(pg.TOP, "build", "clients")
LANGUAGES = ["python", "java", "go", "node"]


@pytest.fixture(scope="module")
def listening():
    """A server that clients reach over TCP, as pgjdbc needs it."""
    with pg.WorkDir() as work:
        cluster = pg.Cluster(pg.Installation(work))
        cluster.port = free_port()
        yield cluster.start({"listen_addresses": "127.0.0.1"})


@pytest.fixture
def db(listening):
    name = f"clients_{free_port()}"
    listening.createdb(name)
    yield pg.Database(listening, name)
    listening.dropdb(name)


def built(name, *command):
    """The folder of an example with what its language needs, made once."""
    folder = os.path.join(BUILD, f"{name}.{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CLIENTS, folder)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
                          env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def command_of(language, db):
    """The program without its last arguments, slot and file."""
    where = f"host=127.0.0.1 port={db.server.port} user={pg.SUPERUSER} dbname={db.name}"
    if language == "python":
        return [sys.executable, os.path.join(CLIENTS, "reader.py")]
    if language == "java":
        assert os.path.exists(JDBC), "no pgjdbc: apt-get install libpostgresql-jdbc-java default-jdk-headless"
        return ["java", "-cp", JDBC, os.path.join(CLIENTS, "Reader.java"),
                f"jdbc:postgresql://127.0.0.1:{db.server.port}/{db.name}?user={pg.SUPERUSER}"]
    if language == "go":
        return [os.path.join(built("go", "go", "build", "-o", "reader", "reader.go"), "reader"), f"{where} replication=database"]
    return ["node", os.path.join(built("node", "npm", "ci", "--silent", "--no-audit", "--no-fund"), "reader.mjs")]


class Reader:
    def __init__(self, command, db, folder):
        self.command = [*command, "s", str(folder / "changes")]
        self.path = folder / "changes"
        self.log = folder / "log"
        self.env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(db.server.port), "PGUSER": pg.SUPERUSER,
                    "PGDATABASE": db.name}
        self.process = None

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def events(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def numbers(events):
    """The rows in the order of their ids, each id once; the same id is the same event."""
    by_id = {}
    for event in events:
        assert by_id.setdefault(event["id"], event) == event
    return [by_id[id]["after"]["id"] for id in sorted(by_id, key=lambda id: [int(part) for part in id.split("-")])]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_client_that_is_killed_loses_nothing(db, tmp_path, language):
    db.psql("CREATE EXTENSION walspout; CREATE TABLE t (id int PRIMARY KEY, big bigint DEFAULT 9007199254740993)")
    db.psql("SELECT pg_create_logical_replication_slot('s', 'walspout')")
    reader = Reader(command_of(language, db), db, tmp_path)

    def confirmed():
        return db.psql("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'").strip()

    def is_read(position):
        assert reader.process.poll() is None, reader.log.read_text()
        return db.psql(f"SELECT '{confirmed()}'::pg_lsn >= '{position}'::pg_lsn").strip() == "t"
    rows = 0
    try:
        for _ in range(3):
            reader.start()
            for _ in range(20):
                db.psql("".join(f"INSERT INTO t VALUES ({rows + i});" if i % 3 else
                                f"BEGIN; INSERT INTO t VALUES ({rows + i}); COMMIT;" for i in range(10)))
                rows += 10
                time.sleep(0.05)
            reader.kill()
        reader.start()
        # A commit begins where the confirmed commit ends: confirming one byte too far would lose it.
        first, second = (db.server.connect(db.name, autocommit=False) for _ in range(2))
        for _ in range(3):
            for session in (first, second):
                session.cursor().execute(f"INSERT INTO t VALUES ({rows})")
                rows += 1
            first.commit()
            end = db.psql("SELECT pg_current_wal_insert_lsn()").strip()
            wait_until(lambda end=end: is_read(end), 60, what="position that is confirmed")
            reader.kill()
            second.commit()
            reader.start()
        first.close()
        second.close()
        wait_until(lambda: is_read(db.psql("SELECT pg_current_wal_insert_lsn()").strip()), 60, what="position that is confirmed")
        # A slot without changes moves on, too.
        end = db.psql("SELECT pg_switch_wal(); SELECT pg_current_wal_insert_lsn()").strip().splitlines()[-1]
        wait_until(lambda: is_read(end), 60, what="idle slot that moves on")
    finally:
        reader.kill()
    events = reader.events()
    assert numbers(events) == list(range(rows))
    assert {event["after"]["big"] for event in events} == {"9007199254740993" if language == "node" else 9007199254740993}
