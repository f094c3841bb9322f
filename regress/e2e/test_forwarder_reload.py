"""SIGHUP: a changed configuration is applied while events come, and a broken one changes nothing."""

import hashlib
import hmac
import json
import os
import re
import signal
import threading
import time

from harness import postgres as pg
from harness.forwarder import file_sink, http_sink

TABLE = "CREATE TABLE orders (id int PRIMARY KEY, note text)"


def change(forwarder, *pairs):
    """Replaces texts in its configuration; returns the old text."""
    with open(forwarder.config) as f:
        before = f.read()
    after = before
    for old, new in pairs:
        assert old in after, after
        after = after.replace(old, new, 1)
    with open(forwarder.config + ".new", "w") as f:
        f.write(after)
    os.rename(forwarder.config + ".new", forwarder.config)
    return before


def reload(forwarder, says="the configuration is applied"):
    start = len(forwarder.log())
    forwarder.process.send_signal(signal.SIGHUP)
    forwarder.wait_for_log(says, start, 60)
    return forwarder.log(start)


def ids(events):
    """Of rows, each once, in the order of their first arrival."""
    return list(dict.fromkeys(event["key"]["id"] for event in events))


def test_nothing_is_lost_or_reordered_under_load(db, fwd, tmp_path):
    db.psql(TABLE)
    other = str(tmp_path / "other.jsonl")
    done = threading.Event()
    written = []

    def write():
        while not done.is_set() or len(written) < 2000:
            begin = len(written)
            db.psql("".join(f"INSERT INTO orders VALUES ({i});" for i in range(begin, begin + 50)))
            written.extend(range(begin, begin + 50))

    with fwd() as forwarder:
        writer = threading.Thread(target=write)
        writer.start()
        try:
            output = f"        path: {forwarder.output}\n"
            forwarder.wait_for_events(100)
            change(forwarder, (output, output + "        name: first\n"))
            reload(forwarder)
            change(forwarder, ("    sinks:\n", "    memory: 2MiB\n    sinks:\n"))
            reload(forwarder)
            change(forwarder, ("    sinks:\n", "    sinks:\n" + file_sink(other)))
            reload(forwarder)
            forwarder.wait_for_events(100, path=other)
            change(forwarder, ("memory: 2MiB", "memory: 3MiB"), (file_sink(other), ""))
            reload(forwarder)
        finally:
            done.set()
            writer.join()
        events = forwarder.wait_for_events(len(written), 120)
        assert ids(events) == written
        assert forwarder.status()["sinks"][0]["name"] == "first"
        assert forwarder.status()["memory_limit_bytes"] == 3 << 20
        second = ids(forwarder.events(other))
        assert second == written[written.index(second[0]):written.index(second[-1]) + 1]
        assert forwarder.terminate() == 0


def test_a_broken_file_changes_nothing(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        good = change(forwarder, ("slot:", "slto:"))
        said = reload(forwarder, "the configuration is wrong")
        assert re.search(r'at=\S+:\d+:\d+ error=".*slto.*slot', said), said
        change(forwarder, ("slto:", "slot: [["))
        reload(forwarder, "the configuration is wrong")
        os.remove(forwarder.config)
        reload(forwarder, "the configuration is wrong")
        db.psql("INSERT INTO orders VALUES (1)")
        forwarder.wait_for_events(1)
        assert forwarder.status()["connects"] == 1, "the pipeline went on untouched"
        with open(forwarder.config, "w") as f:
            f.write(good)
        assert "begins again" not in reload(forwarder)
        assert forwarder.status()["connects"] == 1


def second_pipeline(forwarder, slot, path):
    with open(forwarder.config) as f:
        dsn = re.search("dsn: (.*)", f.read())[1]
    return (f"  - name: second\n    source:\n      dsn: {dsn}\n      slot: {slot}\n    sinks:\n" + file_sink(path))


def test_pipelines_come_and_go_and_others_are_left_alone(db, fwd, tmp_path):
    db.psql(TABLE)
    path = str(tmp_path / "second.jsonl")
    with fwd() as forwarder:
        second = second_pipeline(forwarder, f"{db.name}_second", path)
        change(forwarder, ("status:\n", second + "status:\n"))
        reload(forwarder)
        forwarder.wait_for_log(f"slot={db.name}_second server", 0)
        db.psql("INSERT INTO orders VALUES (1)")
        forwarder.wait_for_events(1)
        forwarder.wait_for_events(1, path=path)
        names = [pipeline["name"] for pipeline in json.loads(forwarder.get("/status")[1])["pipelines"]]
        assert names == ["test", "second"]
        change(forwarder, ("name: second", "name: renamed"))
        reload(forwarder)
        db.psql("INSERT INTO orders VALUES (2)")
        forwarder.wait_for_events(2, path=path)
        assert ids(forwarder.events(path)) == [1, 2]
        with open(forwarder.config) as f:
            renamed = f.read()
        change(forwarder, (second.replace("second\n    source", "renamed\n    source"), ""))
        assert "walspout drop" in reload(forwarder), renamed
        assert len(json.loads(forwarder.get("/status")[1])["pipelines"]) == 1
        assert forwarder.status()["connects"] == 1
        assert forwarder.get("/history")[0] == 200


def test_what_needs_a_restart_is_named_and_the_rest_is_applied(db, fwd, tmp_path):
    db.psql(TABLE)
    with fwd() as forwarder:
        port = forwarder.status_port()
        change(forwarder, ("listen: 127.0.0.1:0\n", "listen: 127.0.0.1:1\n  tap: rows\n"),
               ("drain: 5s", f"drain: 6s\nstate: {tmp_path}\nlog: {{level: warn, format: json}}"))
        said = reload(forwarder, "key=state")
        for key in ("status.listen", "log.format", "state"):
            assert f"needs a restart\" key={key}" in said, said
        assert "begins again" not in said
        assert forwarder.status_port() == port
        assert forwarder.status()["connects"] == 1
        pg.wait_until(lambda: forwarder.status()["tap"] == "rows", 30, what="the tap")
        assert "is applied" not in forwarder.log(), "it is no warning"
        change(forwarder, ("level: warn", "level: info"))
        reload(forwarder)
        forwarder.process.send_signal(signal.SIGTERM)
        forwarder.wait_for_log("drain_ms=6000")
        assert forwarder.process.wait(30) == 0


def test_a_sink_that_is_down_holds_up_no_reload_for_long(db, fwd, dead_port):
    db.psql(TABLE)
    with fwd(sinks=http_sink(dead_port), root="drain: 1s") as forwarder:
        db.psql("INSERT INTO orders SELECT g FROM generate_series(1, 100) g")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 100, 30, what="events")
        change(forwarder, (http_sink(dead_port), file_sink(forwarder.output)))
        said = reload(forwarder)
        changed = next(line for line in said.splitlines() if "begins again" in line)
        assert "sinks[0]" in changed and str(dead_port) not in changed, "values may be secrets"
        assert ids(forwarder.wait_for_events(100)) == list(range(1, 101))


def test_secrets_in_the_file_are_applied(db, fwd):
    db.psql(TABLE + f"; CREATE ROLE {db.name}_one REPLICATION LOGIN; CREATE ROLE {db.name}_two REPLICATION LOGIN")
    dsn = f"host={db.server.host} port={db.server.port} dbname={db.name} password=geheim user={db.name}"
    with fwd(dsn=dsn + "_one") as forwarder:
        change(forwarder, ("_one", "_two"), ("geheim", "heimlich"))
        said = reload(forwarder)
        assert "keys=source.dsn" in said and "heimlich" not in said
        user = "SELECT usename FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid " \
               f"WHERE slot_name = '{forwarder.slot}'"
        pg.wait_until(lambda: db.psql(user) == f"{db.name}_two", 30, what="the other role")
        db.psql("INSERT INTO orders VALUES (1)")
        forwarder.wait_for_events(1)


def test_a_hash_key_in_a_file_is_applied(db, fwd, tmp_path):
    """The configuration is the same before and after: only the file differs."""
    db.psql(TABLE)
    path = tmp_path / "hash_key"
    path.write_text("old\n")
    source = f"columns: {{public.orders: {{note: hash}}}}\nhash_key: file:{path}"
    with fwd(source=source) as forwarder:
        db.psql("INSERT INTO orders VALUES (1, 'x')")
        forwarder.wait_for_events(1)
        assert "begins again" not in reload(forwarder)
        path.write_text("geheim\n")
        said = reload(forwarder)
        assert "keys=source.hash_key" in said and "geheim" not in said
        db.psql("INSERT INTO orders VALUES (2, 'x')")
        events = forwarder.wait_for_events(2)
        assert [event["after"]["note"] for event in events] == \
            [hmac.new(key, b"x", hashlib.sha256).hexdigest() for key in (b"old", b"geheim")]
        path.write_text("")
        reload(forwarder, "is empty: write the value into it")
        db.psql("INSERT INTO orders VALUES (3, 'x')")
        assert forwarder.wait_for_events(3)[2]["after"]["note"] == events[1]["after"]["note"]


def test_a_pipeline_that_cannot_be_started_goes_on_as_it_was(db, fwd, tmp_path):
    db.psql(TABLE)
    with fwd() as forwarder:
        change(forwarder, ("    sinks:\n", f"    dead_letter: {{path: {tmp_path}/none/letters}}\n    sinks:\n"))
        said = reload(forwarder)
        assert "continues as it was before the change" in said, said
        db.psql("INSERT INTO orders VALUES (1)")
        forwarder.wait_for_events(1)
        os.mkdir(tmp_path / "none")
        assert "continues as it was" not in reload(forwarder)
        assert os.path.exists(tmp_path / "none" / "letters")


def test_a_new_pipeline_that_cannot_be_started_is_tried_again(db, fwd, tmp_path):
    db.psql(TABLE)
    path = str(tmp_path / "second.jsonl")
    with fwd() as forwarder:
        second = second_pipeline(forwarder, f"{db.name}_second", path)
        second = second.replace("    sinks:", f"    dead_letter: {{path: {tmp_path}/none/letters}}\n    sinks:")
        change(forwarder, ("status:\n", second + "status:\n"))
        reload(forwarder)
        code, why = forwarder.get("/readyz")
        assert code == 503 and "second: could not be started" in why
        assert json.loads(forwarder.get("/status")[1])["ready"] is False
        os.mkdir(tmp_path / "none")
        db.psql("INSERT INTO orders VALUES (1)")
        pg.wait_until(lambda: forwarder.get("/readyz")[0] == 200, 60, what="readiness")
        db.psql("INSERT INTO orders VALUES (2)")
        forwarder.wait_for_events(1, path=path)
        assert forwarder.log().count("could not be started") == 1


def test_sigterm_in_the_midst_of_a_reload_ends_it(db, fwd, dead_port):
    db.psql(TABLE)
    with fwd(sinks=http_sink(dead_port), root="drain: 60s") as forwarder:
        db.psql("INSERT INTO orders VALUES (1)")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 1, 30, what="an event")
        change(forwarder, ("    sinks:\n", "    memory: 2MiB\n    sinks:\n"))
        reload(forwarder, "begins again")
        forwarder.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        forwarder.process.send_signal(signal.SIGTERM)
        assert forwarder.process.wait(30) == 1
