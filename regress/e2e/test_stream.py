"""The plugin through pg_recvlogical: what a reader sees, and how the slot moves."""

import json
import time

from harness import postgres as pg
import psycopg2
import psycopg2.extras
import pytest

# More rows than a server decodes in the timeout that is tested, by far.
LONG_TRANSACTION = 3_000_000


def test_a_line_is_a_change(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, body text)")
    slot = db.create_slot()
    db.psql("""
        INSERT INTO t VALUES (1, E'one\\ntwo'), (2, NULL);
        UPDATE t SET body = 'three' WHERE id = 1;
        DELETE FROM t WHERE id = 2;
        TRUNCATE t;
    """)
    lines = db.lines(slot)
    events = [json.loads(line) for line in lines]
    assert [event["op"] for event in events] == ["c", "c", "u", "d", "t"]
    assert events[0]["after"] == {"id": 1, "body": "one\ntwo"}
    assert events[2]["key"] == {"id": 1}
    assert all(event["table"] == "t" for event in events)
    ids = [tuple(map(int, event["id"].split("-"))) for event in events]
    assert ids == sorted(set(ids))


def test_a_change_is_sent_at_once(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY)")
    slot = db.create_slot()
    with db.stream(slot) as receiver:
        receiver.walsender()
        for number in (1, 2):
            db.psql(f"INSERT INTO t VALUES ({number})")
            assert json.loads(receiver.line(timeout=5))["after"] == {"id": number}


def test_a_confirmed_change_does_not_come_again(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY)")
    slot = db.create_slot()
    db.psql("INSERT INTO t VALUES (1)")
    assert [event["after"]["id"] for event in db.events(slot)] == [1]
    db.psql("INSERT INTO t VALUES (2)")
    assert [event["after"]["id"] for event in db.events(slot)] == [2]


def test_bytes_are_the_same_after_a_crash(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, at timestamptz, amount float8)")
    slot = db.create_slot()
    db.psql("INSERT INTO t SELECT i, '2026-03-01 10:00+02', i / 3.0 FROM generate_series(1, 50) i")
    peek = f"SELECT string_agg(data, '\n') FROM pg_logical_slot_peek_changes('{slot}', NULL, NULL)"
    before = db.value(peek)
    db.server.kill()
    db.server.start()
    db.psql(f"ALTER DATABASE {db.name} SET timezone = 'Asia/Tokyo'; "
            f"ALTER DATABASE {db.name} SET extra_float_digits = -5")
    assert db.value(peek) == before
    assert "\n".join(db.lines(slot)) == before


@pytest.mark.slow
@pytest.mark.parametrize("output_format", ["json", "frames"])
def test_a_long_filtered_transaction_outlives_the_timeout(db, output_format):
    db.psql("""
        CREATE TABLE kept (id int PRIMARY KEY);
        CREATE TABLE filtered (id int);
        CREATE PUBLICATION p FOR TABLE kept;
    """)
    slots = {plugin: db.create_slot(plugin, plugin) for plugin in ("walspout", "bench_null")}
    db.psql(f"INSERT INTO filtered SELECT generate_series(1, {LONG_TRANSACTION})")
    end = db.current_lsn()
    # A busy machine takes longer to decode, and to answer: the timeout is a part of what decoding takes.
    start = time.monotonic()
    db.psql("SET logical_decoding_work_mem = '8MB'; SELECT count(*) FROM "
            f"pg_logical_slot_peek_binary_changes('{slots['bench_null']}', NULL, NULL)")
    timeout = max(1000, int((time.monotonic() - start) * 1000 / 5))
    # A reader that only answers requests. While the server spills changes to disk it sends no requests, with any
    # plugin: so let it spill little at a time.
    quiet = {"args": ["--status-interval=3600"],
             "settings": {"wal_sender_timeout": f"{timeout}ms", "logical_decoding_work_mem": "8MB"}}

    # The transaction is long enough: the server disconnects a plugin that reports no progress. From 16 on the
    # server reports progress itself, whatever the plugin is.
    if db.server.installation.major < 16:
        with db.stream(slots["bench_null"], **quiet) as receiver:
            receiver.process.wait(120)
            assert receiver.process.returncode != 0

    options = {"publications": "p", "format": output_format}
    with db.stream(slots["walspout"], options, **quiet) as receiver:
        walsender = receiver.walsender()
        pg.wait_until(lambda: receiver.sent_lsn() >= end, 120, what="end of the transaction")
        pg.wait_until(lambda: db.confirmed_lsn(slots["walspout"]) >= end, 10,
                      what="slot that has moved past the transaction")
        assert receiver.walsender() == walsender
        receiver.stop()
        assert receiver.process.stdout.closed


def test_a_filtered_database_moves_the_slot(db):
    db.psql("""
        CREATE TABLE kept (id int PRIMARY KEY);
        CREATE TABLE filtered (id int);
        CREATE PUBLICATION p FOR TABLE kept;
    """)
    slot = db.create_slot()
    with db.stream(slot, {"publications": "p"}, ["--status-interval=1"]) as receiver:
        receiver.walsender()
        for _ in range(20):
            db.psql("INSERT INTO filtered VALUES (1)")
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(slot) >= end, 15, what="slot that has moved")


class Client:
    """A client of the replication protocol that confirms what it is told to."""

    def __init__(self, db, slot):
        self.connection = psycopg2.connect(
            host=db.server.host, port=db.server.port, user=pg.SUPERUSER, dbname=db.name,
            connection_factory=psycopg2.extras.LogicalReplicationConnection)
        self.cursor = self.connection.cursor()
        self.cursor.start_replication(slot, decode=True,
                                      options={"transactions": "true", "format": "json"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def message(self):
        return pg.wait_until(self.cursor.read_message, 30, every=0.01, what="a message")

    def confirm(self, position):
        self.cursor.send_feedback(write_lsn=position, flush_lsn=position, force=True)


def test_clients_confirm_what_documents_say(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY)")
    slot = db.create_slot()
    # The commit record of 2 begins where that of 1 ends.
    db.psql("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'two'")
    db.psql("INSERT INTO t VALUES (1)")
    db.psql("COMMIT PREPARED 'two'")
    db.psql("SELECT pg_logical_emit_message(false, 'now', 'three')")
    db.psql("INSERT INTO t VALUES (4)")
    expected = ["1", "2", "three", "4"]
    while expected:
        with Client(db, slot) as client:
            while True:
                message = client.message()
                event = json.loads(message.payload)
                if event["op"] in ("c", "m"):
                    assert str(event.get("content") or event["after"]["id"]) == expected[0]
                if "end_lsn" in event:
                    break
            end = pg.lsn(event["end_lsn"])
            assert message.data_start == end
            client.confirm(end)
            pg.wait_until(lambda: db.confirmed_lsn(slot) == end, 30, what="slot that has moved")
        pg.wait_until(lambda: not db.server.walsender(slot), 30, what="end of the walsender")
        expected.pop(0)
