"""The forwarder against a real server: nothing is lost, whichever process is killed at any moment."""

import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time

from harness import postgres as pg
import pytest
from harness.forwarder import PROGRAM, file_sink, http_sink, run
from harness.ports import free_port
from harness.webhook import Webhook

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


def test_a_change_arrives_and_is_confirmed(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'one')")
        event = forwarder.wait_for_events(1, timeout=5)[0]
        assert (event["op"], event["after"]) == ("c", {"id": 1, "body": "one"})
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 10, what="confirmation")
        assert forwarder.terminate() == 0
    with forwarder:
        db.psql("INSERT INTO t VALUES (2, 'two')")
        forwarder.wait_for_events(2)
        assert [event["after"]["id"] for event in forwarder.events()] == [1, 2]


def test_nothing_is_lost_when_the_forwarder_is_killed(db, fwd):
    db.psql(TABLE)
    forwarder = fwd(pipeline="memory: 1MiB")
    forwarder.start()
    chance = random.Random(1)
    stop = threading.Event()
    written = []

    def write():
        connection = db.server.connect(db.name, autocommit=False)
        with connection.cursor() as cursor:
            number = 0
            while not stop.is_set():
                rows = chance.choice([1, 3, 2000])
                for _ in range(rows if rows < 10 else 1):
                    cursor.execute("INSERT INTO t SELECT i, repeat('x', 100) FROM "
                                   "generate_series(%s, %s) i", (number, number + rows - 1))
                    number += rows
                connection.commit()
                written.append(number)
                time.sleep(0.002)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(8):
            time.sleep(chance.uniform(0.05, 0.5))
            forwarder.kill()
            forwarder.start(wait=False)
    finally:
        stop.set()
        writer.join()
    total = written[-1]
    events = forwarder.wait_for_events(total, timeout=60)
    assert [event["after"]["id"] for event in events] == list(range(total))
    assert len({event["id"] for event in events}) == total
    # Repeated events are the same, byte for byte.
    with open(forwarder.output) as f:
        lines = f.read().splitlines()
    assert len(set(lines)) == total


def test_nothing_is_lost_when_the_server_is_killed(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        for number in range(3):
            db.psql(f"INSERT INTO t SELECT i, 'x' FROM generate_series({number * 1000 + 1}, "
                    f"{(number + 1) * 1000}) i")
            db.server.kill()
            db.server.start()
        events = forwarder.wait_for_events(3000, timeout=60)
        assert [event["after"]["id"] for event in events] == list(range(1, 3001))


def test_a_killed_walsender_costs_no_repetition(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        for number in range(5):
            db.psql(f"INSERT INTO t VALUES ({number})")
            forwarder.wait_for_events(number + 1)
            mark = len(forwarder.log())
            db.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                    f"WHERE slot_name = '{forwarder.slot}'")
            forwarder.wait_for_log("msg=streaming", mark)
        assert [event["after"]["id"] for event in forwarder.events()] == list(range(5))


def test_a_second_forwarder_waits_and_takes_over(db, fwd):
    db.psql(TABLE)
    first, second = fwd(name="first"), fwd(name="second")
    first.start()
    second.start(wait=False)
    second.wait_for_log("waiting to take over")
    assert second.get("/readyz")[0] == 503
    db.psql("INSERT INTO t VALUES (1)")
    first.wait_for_events(1)
    time.sleep(1.5)
    assert second.events() == []
    first.kill()
    killed = time.monotonic()
    db.psql("INSERT INTO t VALUES (2)")
    events = second.wait_for_events(1, timeout=5)
    assert time.monotonic() - killed < 2
    assert events[-1]["after"]["id"] == 2


def test_a_server_that_is_silent_does_not_keep_it_from_the_next(db, fwd):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        first = fwd()
        with open(first.config) as f:
            text = f.read()
        port = silent.getsockname()[1]
        with open(first.config, "w") as f:
            f.write(text.replace("dsn: host=", "dsn: host=127.0.0.1,").replace("port=", f"port={port},"))
        with first:
            db.psql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
            first.wait_for_events(1)


def test_an_idle_and_a_filtered_database_move_the_slot(db, fwd):
    db.psql(TABLE + "; CREATE TABLE other (id int); CREATE PUBLICATION p FOR TABLE t")
    with fwd(source="publications: [p]") as forwarder:
        for _ in range(5):
            db.psql("INSERT INTO other SELECT generate_series(1, 1000)")
        end = db.current_lsn()
        pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 10, what="moved slot")
        assert forwarder.events() == []


@pytest.mark.effect("pipeline.memory", "drain")
def test_a_full_queue_keeps_the_connection_and_the_memory(db, fwd):
    db.psql(TABLE)
    db.server.psql(f"ALTER DATABASE {db.name} SET wal_sender_timeout = '1s'")
    # A receiver that accepts connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sinks = http_sink(silent.getsockname()[1], timeout="60s")
        with fwd(sinks=sinks, pipeline="memory: 4MiB", root="drain: 2s") as forwarder:
            db.psql("INSERT INTO t SELECT i, repeat('x', 900) FROM generate_series(1, 100000) i")
            pg.wait_until(lambda: forwarder.status()["in_flight_bytes"] >= 4 << 20, 20,
                          what="full queue")
            time.sleep(4)
            status = forwarder.status()
            assert status["state"] == "streaming" and status["connects"] == 1
            # Events that cannot be read yet count, too.
            db.psql("INSERT INTO t SELECT i, repeat('x', 900) FROM generate_series(200001, 220000) i")
            pg.wait_until(lambda: forwarder.status()["lag_bytes"] > status["lag_bytes"] + (18 << 20),
                          20, what="lag")
            assert status["in_flight_bytes"] < (4 << 20) + (1 << 20)
            memory = pg.memory_bytes(forwarder.process.pid)["RssAnon"]
            assert memory < (4 << 20) + (32 << 20)
            # The end of the drain does not wait for a receiver that hangs.
            started = time.monotonic()
            assert forwarder.terminate(15) == 0
            assert time.monotonic() - started < 10


def test_a_sink_that_is_down_costs_no_cpu(db, fwd):
    db.psql(TABLE)
    with fwd(sinks=http_sink(1), pipeline="retry: {initial: 1s, max: 10s}") as forwarder:
        db.psql("INSERT INTO t VALUES (1, 'one')")
        forwarder.wait_for_log("will try again")
        time.sleep(1.5)         # an update to the server would be due if there was news
        before = pg.cpu_seconds(forwarder.process.pid)
        time.sleep(3)
        assert pg.cpu_seconds(forwarder.process.pid) - before < 0.1


def test_two_sinks_get_everything_and_the_slower_one_counts(db, fwd, tmp_path):
    db.psql(TABLE)
    one = str(tmp_path / "one")
    port = free_port()
    sinks = file_sink(one) + http_sink(port)
    with fwd(sinks=sinks, pipeline="retry: {initial: 20ms, max: 100ms}") as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        written = forwarder.wait_for_events(1, path=one)
        before = int(written[0]["id"].split("-")[0])    # where its commit begins
        time.sleep(2.5)
        assert db.confirmed_lsn(forwarder.slot) <= before
        code, text = forwarder.get("/readyz")
        assert code == 503 and "sink http is" in text
        with Webhook(port) as receiver:
            pg.wait_until(lambda: receiver.ids, 10, what="call of the webhook")
            pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) > before, 10,
                          what="confirmation")
            pg.wait_until(lambda: forwarder.get("/readyz")[0] == 200, 5, what="readiness")
        assert receiver.ids == [event["id"] for event in written]


def test_it_drains_when_it_is_told_to_stop(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 50000) i")
        forwarder.wait_for_events(1)
        assert forwarder.terminate() == 0
    forwarder.start()
    events = forwarder.wait_for_events(50000)
    assert len(events) == 50000


def test_a_limit_of_file_size_is_waited_for(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        forwarder.wait_for_events(1)
        pid = forwarder.process.pid
        log = os.path.getsize(forwarder.log_path)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (log + 10_000, resource.RLIM_INFINITY))
        db.psql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(2, 100) i")
        forwarder.wait_for_log("File too large")
        assert forwarder.process.poll() is None
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        events = forwarder.wait_for_events(100)
        assert [event["after"]["id"] for event in events] == list(range(1, 101))


def wait_for_last(forwarder, number):
    """Lines of a new file: events in flight when the old file was removed may be in the new file, too."""
    pg.wait_until(lambda: [event["after"]["id"] for event in forwarder.events()][-1:] == [number], 30,
                  what=f"event {number} at the end")


def test_files_are_opened_again(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        forwarder.wait_for_events(1)
        os.rename(forwarder.output, forwarder.output + ".1")
        forwarder.process.send_signal(signal.SIGHUP)
        forwarder.wait_for_log("opening files again")
        time.sleep(1.2)
        db.psql("INSERT INTO t VALUES (2)")
        wait_for_last(forwarder, 2)


def test_nothing_is_written_to_a_rotated_file_after_the_signal(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        for i in range(1, 6):
            db.psql(f"INSERT INTO t VALUES ({i})")
            wait_for_last(forwarder, i)
            rotated = f"{forwarder.output}.{i}"
            os.rename(forwarder.output, rotated)
            size = os.path.getsize(rotated)
            mark = len(forwarder.log())
            forwarder.process.send_signal(signal.SIGHUP)
            forwarder.wait_for_log("opening files again", mark)
            db.psql(f"INSERT INTO t VALUES (-{i})")
            wait_for_last(forwarder, -i)
            assert os.path.getsize(rotated) == size
            os.rename(forwarder.output, forwarder.output + ".after")
            mark = len(forwarder.log())
            forwarder.process.send_signal(signal.SIGHUP)
            forwarder.wait_for_log("opening files again", mark)


def test_a_file_that_is_removed_loses_nothing_that_follows(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        for i in range(1, 7):
            db.psql(f"INSERT INTO t VALUES ({i})")
            wait_for_last(forwarder, i)
            os.remove(forwarder.output)
        assert "was removed" in forwarder.log()


def test_a_slot_that_is_gone_is_said_loudly(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.server.drop_slot(forwarder.slot)
        assert forwarder.process.wait(20) == 1
        assert "somebody dropped it" in forwarder.log()
        assert db.server.slot(forwarder.slot) is None


def test_a_lost_slot_is_said_loudly(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        forwarder.terminate()
    server = db.server
    server.reload({"max_slot_wal_keep_size": "1MB"})
    try:
        def lost():
            db.psql("SELECT pg_switch_wal(); CREATE TABLE IF NOT EXISTS w (i int); "
                    "INSERT INTO w VALUES (1); CHECKPOINT")
            return server.slot(forwarder.slot)["wal_status"] == "lost"
        pg.wait_until(lost, 60, what="lost slot")
        forwarder.start(wait=False)
        assert forwarder.process.wait(20) == 1
        assert "is lost" in forwarder.log() and "pg_drop_replication_slot" in forwarder.log()
        checked = run("check", forwarder.config)
        assert checked.returncode == 1 and "is lost" in checked.stdout
    finally:
        server.reload({"max_slot_wal_keep_size": "-1"})


def test_the_slot_of_another_plugin_is_left_alone(db, fwd):
    slot = db.create_slot("other", "test_decoding")
    forwarder = fwd(slot=slot)
    forwarder.start(wait=False)
    assert forwarder.process.wait(20) == 1
    assert "test_decoding" in forwarder.log()


def test_metrics_and_status(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO t SELECT generate_series(1, 10)")
        forwarder.wait_for_events(10)
        assert forwarder.get("/healthz") == (200, "ok\n")
        pg.wait_until(lambda: forwarder.get("/readyz")[0] == 200, 5, what="readiness")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] == 10, what="events")
        assert forwarder.status()["state"] == "streaming"
        metrics = forwarder.get("/metrics")[1]
        labels = 'pipeline="test",sink="file"'
        assert f"walspout_sink_events_total{{{labels}}} 10" in metrics
        assert f"walspout_sink_latency_seconds_count{{{labels}}} 10" in metrics
        assert 'walspout_up{pipeline="test"} 1' in metrics
        assert forwarder.get("/nothing")[0] == 404


def test_the_status_server_is_alone_and_takes_nothing(db, fwd):
    with fwd() as first:
        port = first.status_port()
        second = fwd(name="second", root=f"status: {{listen: '127.0.0.1:{port}'}}", slot=first.slot)
        with open(second.config) as f:
            text = f.read()
        with open(second.config, "w") as f:
            f.write(text.replace("status:\n  listen: 127.0.0.1:0\n", ""))
        done = run("run", second.config)
        assert done.returncode == 1 and "could not listen" in done.stderr
        before = pg.memory_bytes(first.process.pid)["VmHWM"]
        with socket.create_connection(("127.0.0.1", port)) as client:
            with contextlib.suppress(OSError):
                client.sendall(b"POST /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(1000):
                    client.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert pg.memory_bytes(first.process.pid)["VmHWM"] - before < 8 << 20
        assert first.get("/healthz")[0] == 200


def test_check_says_what_is_wrong_and_how_to_fix_it(db, fwd):
    db.psql("CREATE TABLE bare (i int); CREATE PUBLICATION p FOR TABLE bare")
    bare = run("check", fwd(source="publications: [p]").config)
    assert bare.returncode == 1, bare.stdout + bare.stderr
    assert "ALTER TABLE bare REPLICA IDENTITY FULL" in bare.stdout
    db.psql("ALTER TABLE bare REPLICA IDENTITY FULL")
    good = run("check", fwd(name="good", source="publications: [p]").config)
    assert good.returncode == 0, good.stdout + good.stderr
    missing = run("check", fwd(name="bad", source="publications: [q]").config)
    assert missing.returncode == 1
    assert 'publication "q" does not exist' in missing.stdout
    assert db.server.slot(f"{db.name}_fwd") is None, "it changes nothing"


def test_check_names_columns_that_code_of_users_renders(db, fwd):
    db.psql("""
        CREATE TYPE hue AS ENUM ('red');
        CREATE FUNCTION hue_json(hue) RETURNS json LANGUAGE sql AS 'SELECT ''1''::json';
        CREATE CAST (hue AS json) WITH FUNCTION hue_json(hue);
        CREATE TYPE tone AS ENUM ('low');
        CREATE FUNCTION tone_json(tone) RETURNS json LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
        REVOKE EXECUTE ON FUNCTION tone_json FROM PUBLIC;
        CREATE CAST (tone AS json) WITH FUNCTION tone_json(tone);
        CREATE EXTENSION hstore;
        CREATE DOMAIN hue_domain AS hue; CREATE TYPE pair AS (i int, h hue_domain[]);
        CREATE TABLE t (id int PRIMARY KEY, "A" hue, b hue_domain, c hue[], d pair[], e hstore, f int);
        CREATE TABLE u (id int PRIMARY KEY, h hue, t tone);
        CREATE PUBLICATION p FOR TABLE t; CREATE PUBLICATION q FOR TABLE u""")
    some = run("check", fwd(name="some", source="publications: [p]").config)
    assert some.returncode == 0, some.stdout + some.stderr
    for name in ('t."A"', "t.b", "t.c", "t.d"):
        assert f"column public.{name}: values of type public.hue are printed as text" in some.stdout, some.stdout
    assert "public.hue_json(public.hue) in sql" in some.stdout and "user_casts: true" in some.stdout
    for name in ("column public.t.e", "column public.t.f", "column public.u."):
        assert name not in some.stdout
    every = run("check", fwd(name="every").config)
    assert "column public.t.d: " in every.stdout and "column public.u.h: " in every.stdout
    enabled = run("check", fwd(name="enabled", source="publications: [q]\nuser_casts: true").config)
    assert enabled.returncode == 0, enabled.stdout + enabled.stderr
    assert "column public.u.h: the cast of type public.hue to json is users' code" in enabled.stdout
    assert "column public.u.t: values of type public.tone are printed as text" in enabled.stdout
    assert "column public.t." not in enabled.stdout


def test_check_notices_that_the_plugin_is_missing(db, fwd):
    plugin = os.path.join(db.server.installation.pkglibdir, "walspout.so")
    os.rename(plugin, plugin + ".away")
    try:
        missing = run("check", fwd().config)
    finally:
        os.rename(plugin + ".away", plugin)
    assert missing.returncode == 1
    assert "make install-plugin" in missing.stdout


def test_a_wrong_configuration_is_told_at_once_and_whole(db, fwd):
    forwarder = fwd(pipeline="memorry: 1MiB\nretry: {initial: 5}")
    done = run("run", forwarder.config)
    assert done.returncode == 2
    assert 'did you mean "memory"?' in done.stderr and "such as 30s" in done.stderr
    assert run("run", "/nonexistent.yaml").returncode == 2
    assert run("walk").returncode == 2
    assert run("version").stdout.startswith("walspout ")


def test_secrets_do_not_show(db, fwd):
    forwarder = fwd()
    with open(forwarder.config) as f:
        text = f.read().replace("user=postgres", "user=postgres password=${PASSWORD}")
    with open(forwarder.config, "w") as f:
        f.write(text.replace("host=/", "host=/nonexistent/"))
    forwarder.start(wait=False, env={"PASSWORD": "hush-hush"})
    forwarder.wait_for_log("source failed")
    assert "hush" not in forwarder.log() + forwarder.get("/status")[1]
    with open(f"/proc/{forwarder.process.pid}/cmdline") as f:
        assert "hush" not in f.read()


def test_tail_needs_no_configuration(db):
    db.psql(TABLE)
    dsn = f"host={db.server.host} port={db.server.port} user={pg.SUPERUSER} dbname={db.name}"
    tail = subprocess.Popen([PROGRAM, "tail", dsn], stdout=subprocess.PIPE, text=True)
    try:
        slots = "SELECT count(*) FROM pg_replication_slots WHERE temporary AND active"
        pg.wait_until(lambda: db.value(slots) == 1, what="temporary slot")
        time.sleep(0.2)
        db.psql("INSERT INTO t VALUES (1, 'one')")
        assert json.loads(tail.stdout.readline())["after"] == {"id": 1, "body": "one"}
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0
        pg.wait_until(lambda: db.value(slots) == 0, what="end of the slot")
    finally:
        tail.kill()
        tail.stdout.close()


def test_drop_drops_the_slot_when_told_twice(db, fwd):
    forwarder = fwd()
    with forwarder:
        assert forwarder.terminate() == 0
    assert run("drop", forwarder.config).returncode == 2
    assert db.server.slot(forwarder.slot)
    assert run("drop", "--yes", forwarder.config).returncode == 0
    assert db.server.slot(forwarder.slot) is None
