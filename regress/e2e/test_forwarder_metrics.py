"""/metrics and /status: the WAL that the slot keeps, times, buckets, and the check by promtool."""

import re
import subprocess
import time

import pytest
from harness import postgres as pg
from harness.forwarder import file_sink, http_sink, run

TABLE = "CREATE TABLE orders (id int PRIMARY KEY, note text)"
MB = 1 << 20


def value(forwarder, name):
    """The value of a metric of the pipeline, or None."""
    return forwarder.metrics().get(f'walspout_{name}{{pipeline="test"}}')


def limited(db, megabytes):
    db.psql(f"ALTER SYSTEM SET max_slot_wal_keep_size = '{megabytes}MB'")
    db.psql("SELECT pg_reload_conf()")


@pytest.mark.long
def test_the_wal_that_the_slot_keeps_is_shown(alone, alone_fwd, dead_port):
    alone.psql(TABLE)
    limited(alone, 400)
    with alone_fwd(sinks=http_sink(dead_port)) as forwarder:
        alone.psql("INSERT INTO orders VALUES (1, 'kept')")
        before = pg.wait_until(lambda: value(forwarder, "slot_retained_bytes"), 30, what="retained WAL")
        assert value(forwarder, "slot_retained_limit_bytes") == 400 * MB
        assert 0 < value(forwarder, "slot_safe_bytes") <= 500 * MB
        alone.psql("CREATE TABLE padding (body text)")
        for _ in range(3):
            alone.psql("INSERT INTO padding SELECT repeat(md5(g::text), 100) FROM generate_series(1, 3000) g")
        grown = alone.value("SELECT pg_current_wal_lsn() - restart_lsn FROM pg_replication_slots")
        pg.wait_until(lambda: value(forwarder, "slot_retained_bytes") > before, 60, what="more retained WAL")
        status = forwarder.status()
        assert before < status["retained_bytes"] <= int(float(grown)) + 64 * MB
        assert status["retained_limit_bytes"] == 400 * MB and status["safe_wal_size"] > 0
        assert status["wal_status"] == "reserved"
        states = {name: number for name, number in forwarder.metrics().items() if "slot_wal_status" in name}
        assert {name: number for name, number in states.items() if number} == {
            'walspout_slot_wal_status{pipeline="test",wal_status="reserved"}': 1}, states
        assert len(states) == 4
        said = run("status", f"127.0.0.1:{forwarder.status_port()}").stdout
        assert re.search(r"WAL kept [\d.]+ [kM]B of 400 MB", said), said
        limited(alone, -1)
        pg.wait_until(lambda: value(forwarder, "slot_retained_limit_bytes") is None, 60, what="no limit")
        assert "safe_wal_size" not in forwarder.status() and value(forwarder, "slot_safe_bytes") is None


def test_a_role_without_a_connection_to_spare_streams_nevertheless(alone, alone_fwd):
    alone.psql(TABLE + "; CREATE ROLE few REPLICATION LOGIN CONNECTION LIMIT 1; GRANT SELECT ON orders TO few")
    dsn = f"host={alone.server.host} port={alone.server.port} user=few dbname={alone.name}"
    with alone_fwd(dsn=dsn) as forwarder:
        alone.psql("INSERT INTO orders SELECT g FROM generate_series(1, 100) g")
        assert len(forwarder.wait_for_events(100)) == 100
        assert forwarder.status()["state"] == "streaming"
        assert forwarder.log().count("could not ask how much WAL") <= 1


def test_the_time_of_the_last_event_is_told(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        pg.wait_until(lambda: forwarder.status()["state"] == "streaming", 30, what="the stream")
        assert value(forwarder, "last_event_timestamp_seconds") is None, "nothing has come"
        before = time.time()
        db.psql("INSERT INTO orders VALUES (1)")
        forwarder.wait_for_events(1)
        said = pg.wait_until(lambda: value(forwarder, "last_event_timestamp_seconds"), 30, what="the time")
        assert before - 5 < said < time.time() + 5
        done = 'walspout_sink_last_delivery_timestamp_seconds{pipeline="test",sink="file"}'
        pg.wait_until(lambda: before - 5 < forwarder.metrics().get(done, 0) < time.time() + 5, 30,
                      what="the time of the delivery")
        assert forwarder.status()["last_event_time"].startswith("20")


def test_buckets_have_round_bounds(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        bounds = [re.search('le="([^"]*)"', name)[1] for name in forwarder.metrics()
                  if name.startswith("walspout_sink_latency_seconds_bucket")]
        assert bounds[-1] == "+Inf"
        numbers = [float(bound) for bound in bounds[:-1]]
        assert all(f"{number:e}"[:3] in ("1.0", "2.5", "5.0") for number in numbers), bounds
        assert numbers == sorted(numbers) and numbers[0] <= 0.0001 and numbers[-1] >= 1000


@pytest.mark.parametrize("failing", [False, True])
def test_promtool_finds_nothing(db, fwd, dead_port, tmp_path, failing):
    db.psql("CREATE EXTENSION walspout; " + TABLE + "; INSERT INTO orders VALUES (0)")
    sinks = http_sink(dead_port) if failing else file_sink(tmp_path / "out.jsonl")
    with fwd(sinks=sinks, source="backfill: {tables: [public.orders]}" if not failing else "") as forwarder:
        db.psql("INSERT INTO orders VALUES (1)")
        pg.wait_until(lambda: value(forwarder, "slot_retained_bytes") is not None, 60, what="retained WAL")
        checked = subprocess.run(["promtool", "check", "metrics"], input=forwarder.get("/metrics")[1], text=True,
                                 capture_output=True, timeout=60)
        assert checked.returncode == 0 and not checked.stdout and not checked.stderr, checked
