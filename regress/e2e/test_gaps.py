"""Every gap is reported: a slot that was lost or re-created, a server that was restored.

The forwarder detects each gap while it runs and, with `state`, also gaps from times when no forwarder ran.
"""

import json
import os
import socket
import subprocess
import threading
import time

from harness import postgres as pg
import pytest
from harness.forwarder import Forwarder, run
from harness.processes import freeze, thaw
from torture import checker, truth, workload

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


@pytest.fixture
def fwd(fwd, tmp_path):
    """Makes forwarders that remember."""
    return remembering(fwd, tmp_path)


def remembering(fwd, tmp_path):
    def make(state="state", **more):
        root = "drain: 5s"
        if state:
            os.makedirs(tmp_path / state, exist_ok=True)
            root += f"\nstate: {tmp_path / state}"
        forwarder = fwd(root=root, **more)
        forwarder.state_file = str(tmp_path / str(state) / "test.state")
        return forwarder
    return make


@pytest.fixture
def alone_fwd(alone_fwd, tmp_path):
    return remembering(alone_fwd, tmp_path)


def deliver(db, forwarder, number):
    """Writes a row, and waits until its delivery is confirmed to the server."""
    db.psql(f"INSERT INTO t VALUES ({number}, 'delivered')")
    end = db.current_lsn()
    pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 60, what="confirmation")


def refused(forwarder, *texts):
    """Checks that the forwarder ended with an error that has each of the texts."""
    assert forwarder.process.wait(30) == 1, forwarder.log()
    error = [line for line in forwarder.log().splitlines() if "pipeline stops" in line][-1]
    for text in texts:
        assert text in error, error
    assert "Bring the receivers in line with the database" in error


def make_anew(db, slot, create=True):
    """Drops the slot, changes what no reader will see, and creates the slot again."""
    db.server.drop_slot(slot)
    db.psql("INSERT INTO t VALUES (1000, 'unseen')")
    if create:
        db.server.create_slot(slot, "walspout", db.name)


def test_a_slot_made_anew_while_it_runs_is_refused(db, fwd):
    db.psql(TABLE)
    forwarder = fwd(state=None)
    forwarder.start()
    deliver(db, forwarder, 1)
    # It is kept out for the moment by a stop, as by a network that is down.
    freeze(forwarder.process.pid)
    make_anew(db, forwarder.slot)
    thaw(forwarder.process.pid)
    refused(forwarder, "re-created", "and is at", "start again")
    assert [event["after"]["id"] for event in forwarder.events()] == [1]


@pytest.mark.effect("state")
def test_a_slot_made_anew_while_it_was_down_is_refused(db, fwd):
    db.psql(TABLE)
    forwarder = fwd()
    forwarder.start()
    deliver(db, forwarder, 1)
    forwarder.kill()
    make_anew(db, forwarder.slot)
    checked = run("check", forwarder.config)
    assert checked.returncode == 1
    assert "re-created" in checked.stdout and f"remove {forwarder.state_file}" in checked.stdout
    for _ in range(2):      # for ever, until somebody has dealt with it
        forwarder.start(wait=False)
        refused(forwarder, "re-created", f"remove {forwarder.state_file}")
        assert [event["after"]["id"] for event in forwarder.events()] == [1]
    os.unlink(forwarder.state_file)
    with forwarder:
        db.psql("INSERT INTO t VALUES (2, 'seen')")
        pg.wait_until(lambda: forwarder.events()[-1]["after"]["id"] == 2, 10, what="next change")


@pytest.mark.parametrize("how", ["stopped", "restarted"])
def test_a_slot_that_is_being_made_anew_is_refused(db, fwd, how):
    """A session that creates a slot holds it while older transactions run: it is not a reader."""
    db.psql(TABLE)
    forwarder = fwd()
    forwarder.start()
    deliver(db, forwarder, 1)
    if how == "stopped":
        freeze(forwarder.process.pid)
    else:
        assert forwarder.terminate() == 0
    make_anew(db, forwarder.slot, create=False)
    running = db.server.connect(db.name, autocommit=False)
    with running.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (2000, 'running')")
    maker = threading.Thread(target=db.server.create_slot,
                             args=(forwarder.slot, "walspout", db.name))
    maker.start()
    try:
        pg.wait_until(lambda: db.server.slot(forwarder.slot), 10, what="slot that is being created")
        if how == "stopped":
            thaw(forwarder.process.pid)
        else:
            forwarder.start(wait=False)
        time.sleep(2)
    finally:
        running.close()
        maker.join()
    refused(forwarder, "re-created", f"remove {forwarder.state_file}")
    assert [event["after"]["id"] for event in forwarder.events()] == [1]


def test_a_slot_that_is_moved_in_sql_while_it_waits_is_refused(db, fwd):
    """A query that takes changes from the slot does not count as another forwarder."""
    db.psql(TABLE)
    forwarder = fwd()
    forwarder.start()
    deliver(db, forwarder, 1)
    assert forwarder.terminate() == 0
    pg.wait_until(lambda: not db.server.walsender(forwarder.slot), what="end of the walsender")
    db.psql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(2, 400000) i")
    taker = threading.Thread(target=db.psql, args=(
        f"SELECT count(*) FROM pg_logical_slot_get_changes('{forwarder.slot}', NULL, NULL)",))
    taker.start()
    try:
        pg.wait_until(lambda: db.server.walsender(forwarder.slot), what="query that reads the slot")
        forwarder.start(wait=False)
        forwarder.wait_for_log("slot is in use")
    finally:
        taker.join()
    refused(forwarder, "re-created or moved", f"remove {forwarder.state_file}")
    assert [event["after"]["id"] for event in forwarder.events()] == [1]


def test_a_slot_dropped_while_it_was_down_is_not_made_in_passing(db, fwd):
    db.psql(TABLE)
    forwarder = fwd()
    forwarder.start()
    deliver(db, forwarder, 1)
    assert forwarder.terminate() == 0
    make_anew(db, forwarder.slot, create=False)
    checked = run("check", forwarder.config)
    assert checked.returncode == 1 and "is gone" in checked.stdout
    forwarder.start(wait=False)
    refused(forwarder, "is gone", f"remove {forwarder.state_file}")
    assert db.server.slot(forwarder.slot) is None
    os.unlink(forwarder.state_file)
    with forwarder:
        deliver(db, forwarder, 2)


@pytest.mark.parametrize("how", ["of another database", "of another plugin", "physical"])
def test_a_slot_of_the_same_name_that_is_another_one_is_refused(db, fwd, how):
    db.psql(TABLE)
    forwarder = fwd()
    forwarder.start()
    deliver(db, forwarder, 1)
    assert forwarder.terminate() == 0
    make_anew(db, forwarder.slot, create=False)
    if how == "of another database":
        db.server.create_slot(forwarder.slot, "walspout", "postgres")
    elif how == "of another plugin":
        db.server.create_slot(forwarder.slot, "test_decoding", db.name)
    else:
        db.psql(f"SELECT pg_create_physical_replication_slot('{forwarder.slot}')")
    try:
        assert run("check", forwarder.config).returncode == 1
        forwarder.start(wait=False)
        assert forwarder.process.wait(30) == 1
        assert "pipeline stops" in forwarder.log() and "choose another name" in forwarder.log()
        assert [event["after"]["id"] for event in forwarder.events()] == [1]
    finally:
        db.server.drop_slot(forwarder.slot)


def test_the_command_drop_forgets(db, fwd):
    db.psql(TABLE)
    forwarder = fwd()
    with forwarder:
        deliver(db, forwarder, 1)
    assert os.path.exists(forwarder.state_file)
    pg.wait_until(lambda: not db.server.walsender(forwarder.slot), what="end of the walsender")
    assert run("drop", "--yes", forwarder.config).returncode == 0
    with forwarder:
        deliver(db, forwarder, 2)


def test_restarts_and_crashes_are_no_gap(db, fwd):
    db.psql(TABLE)
    forwarder = fwd()
    for number in range(6):
        forwarder.start()
        deliver(db, forwarder, number)
        if number % 3 == 0:
            forwarder.kill()
        elif number % 3 == 1:
            assert forwarder.terminate() == 0
        else:
            db.server.kill()
            db.server.start()
            deliver(db, forwarder, 100 + number)
            forwarder.kill()
    assert "pipeline stops" not in forwarder.log()


def test_a_lost_slot_is_refused_while_it_runs(db, fwd):
    db.psql(TABLE)
    # The receiver accepts connections and never answers: the slot does not move.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sinks = (f"      - type: http\n        url: http://127.0.0.1:{silent.getsockname()[1]}/\n"
                 "        timeout: 3s\n")
        forwarder = fwd(sinks=sinks)
        forwarder.start()
        db.psql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 10000) i")
        db.server.reload({"max_slot_wal_keep_size": "1MB"})
        try:
            def lost():
                db.psql("SELECT pg_switch_wal(); CREATE TABLE IF NOT EXISTS w (i int); "
                        "INSERT INTO w VALUES (1); CHECKPOINT")
                return db.server.slot(forwarder.slot)["wal_status"] == "lost"
            pg.wait_until(lost, 60, what="lost slot")
            refused(forwarder, "is lost", "pg_drop_replication_slot")
        finally:
            db.server.reload({"max_slot_wal_keep_size": "-1"})


@pytest.mark.parametrize("how", ["checkpoint", "shutdown"])
def test_a_full_queue_does_not_hold_up_the_server(db, fwd, how):
    """A server process that must end waits without end if nothing reads its message. A checkpoint, or the end of the
    server, then waits for this process."""
    db.psql(TABLE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sinks = (f"      - type: http\n        url: http://127.0.0.1:{silent.getsockname()[1]}/\n"
                 "        timeout: 3s\n")
        with fwd(sinks=sinks, pipeline="memory: 1MiB") as forwarder:
            db.psql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i")
            pg.wait_until(lambda: forwarder.status()["in_flight_bytes"] >= 1 << 20, 20,
                          what="full queue")
            if how == "shutdown":
                ended = threading.Thread(target=db.server.stop)
            else:
                db.psql("SELECT pg_switch_wal(); CREATE TABLE w (i int); SELECT pg_switch_wal()")
                db.server.reload({"max_slot_wal_keep_size": "1MB"})
                ended = threading.Thread(target=db.psql, args=("CHECKPOINT",))
            ended.start()
            ended.join(30)
            late = ended.is_alive()
            if how == "checkpoint" and not late:
                refused(forwarder, "is lost")
        ended.join()
        if how == "shutdown":
            db.server.start()
        else:
            db.server.reload({"max_slot_wal_keep_size": "-1"})
        assert not late


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it was down"])
@pytest.mark.parametrize("how", ["save", "back_up"])
def test_a_server_restored_to_an_earlier_point_is_refused(alone, alone_fwd, how, running):
    alone.psql(TABLE)
    forwarder = alone_fwd()
    forwarder.start()
    deliver(alone, forwarder, 1)
    getattr(alone, how)()
    # Beyond what a start of the server writes by itself.
    alone.psql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(10, 20000) i")
    deliver(alone, forwarder, 2)
    if not running:
        assert forwarder.terminate() == 0
    alone.restore()
    if not running:
        forwarder.start(wait=False)
    refused(forwarder, "WAL ends at" if how == "save" else "is gone", forwarder.state_file)


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it was down"])
@pytest.mark.parametrize("how", ["save", "back_up"])
def test_a_restored_server_whose_log_has_grown_past_it_is_refused(alone, alone_fwd, how, running):
    """The server, the timeline and all positions look right, but other changes are at these positions. A backup without
    the slot is as bad, once the slot is re-created."""
    alone.psql(TABLE)
    forwarder = alone_fwd()
    forwarder.start()
    deliver(alone, forwarder, 1)
    getattr(alone, how)()
    # Beyond what a start of the server writes by itself: the slot that is created then is behind it.
    alone.psql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(30000, 32000) i")
    for number in (2, 3, 4):
        deliver(alone, forwarder, number)
    end = alone.current_lsn()
    if running:
        freeze(forwarder.process.pid)
    else:
        assert forwarder.terminate() == 0
    alone.restore()
    if how == "back_up":
        alone.server.create_slot(forwarder.slot, "walspout", alone.name)
    alone.psql("INSERT INTO t SELECT i, 'other' FROM generate_series(10, 20) i")
    alone.psql("INSERT INTO t SELECT i, repeat('y', 100) FROM generate_series(100, 20000) i")
    assert alone.current_lsn() > end and alone.timeline() == 1
    if running:
        thaw(forwarder.process.pid)
    for attempt in range(2):        # for ever, until somebody has dealt with it
        if attempt or not running:
            forwarder.start(wait=False)
        refused(forwarder, "was delivered, and is not in this server's WAL", "start again",
                forwarder.state_file)
    os.unlink(forwarder.state_file)
    with forwarder:
        deliver(alone, forwarder, 50000)
        assert forwarder.events()[-1]["after"]["id"] == 50000


def test_other_options_after_a_crash_are_no_gap(alone, alone_fwd):
    """Delivered events do not come again, because no sink gets them now."""
    alone.psql(TABLE + "; CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE u")
    forwarder = alone_fwd()
    forwarder.start()
    deliver(alone, forwarder, 1)
    slot = alone.confirmed_lsn(forwarder.slot)
    for number in (2, 3):
        deliver(alone, forwarder, number)
    assert forwarder.terminate() == 0
    alone.server.kill()
    alone.server.start()
    assert alone.confirmed_lsn(forwarder.slot) <= slot      # forgotten in the crash
    other = alone_fwd(source="publications: [p]")
    with other:
        alone.psql("INSERT INTO u VALUES (1)")
        pg.wait_until(lambda: other.events()[-1]["table"] == "u", 10, what="change")


@pytest.mark.parametrize("change", ["ALTER PUBLICATION p SET TABLE u",
                                    "DROP PUBLICATION p; CREATE PUBLICATION p FOR TABLE u"])
@pytest.mark.parametrize("how", ["running", "down"])
def test_a_publication_that_changed_before_a_crash_is_no_gap(alone, alone_fwd, how, change):
    """Delivered events are decoded as before."""
    alone.psql(TABLE + "; CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
    forwarder = alone_fwd(source="publications: [p]")
    forwarder.start()
    for number in (1, 2, 3):
        deliver(alone, forwarder, number)
    if how == "down":
        assert forwarder.terminate() == 0
    alone.psql(change)
    alone.server.kill()
    alone.server.start()
    if how == "down":
        forwarder.start()
    alone.psql("INSERT INTO u VALUES (1)")
    pg.wait_until(lambda: forwarder.events()[-1]["table"] == "u", 20, what="change")
    assert forwarder.terminate() == 0


def delivered_then_saved(alone, forwarder, how):
    """A backup, then changes that are delivered: two before the point to recover to, one after."""
    alone.psql(TABLE)
    # The recovery uses the WAL of the old server.
    alone.server.reload({"wal_keep_size": "1GB"})
    forwarder.start()
    deliver(alone, forwarder, 1)
    getattr(alone, how)()
    deliver(alone, forwarder, 2)
    alone.psql("SELECT pg_create_restore_point('before')")
    alone.psql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(10, 20000) i")
    deliver(alone, forwarder, 3)
    return alone.current_lsn()


@pytest.mark.parametrize("grown", [False, True], ids=["shorter log", "log grown past it"])
@pytest.mark.parametrize("how", ["save", "back_up"])
@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it was down"])
def test_a_server_recovered_to_before_what_was_delivered_is_refused(alone, alone_fwd, running, how,
                                                                    grown):
    """On its new timeline positions mean other changes, although they look plausible."""
    forwarder = alone_fwd()
    end = delivered_then_saved(alone, forwarder, how)
    before = len(forwarder.events())
    if running:
        # Kept out until the server is what it is to be, as by a network that is down.
        freeze(forwarder.process.pid)
    else:
        assert forwarder.terminate() == 0
    alone.replay("before")
    alone.promote()
    assert alone.current_lsn() < end
    if how == "back_up":    # which leaves slots out
        alone.server.create_slot(forwarder.slot, "walspout", alone.name)
    if grown:
        alone.psql("INSERT INTO t SELECT i, repeat('y', 100) FROM generate_series(10, 40000) i")
        assert alone.current_lsn() > end
    if running:
        thaw(forwarder.process.pid)
    for attempt in range(2):        # for ever, until somebody has dealt with it
        if attempt or not running:
            forwarder.start(wait=False)
        refused(forwarder, "another history: it left timeline 1 at", "what was delivered reaches",
                "start again", forwarder.state_file)
        assert len(forwarder.events()) == before
    os.unlink(forwarder.state_file)
    with forwarder:
        deliver(alone, forwarder, 50000)
        assert forwarder.events()[-1]["after"]["id"] == 50000


def test_two_timelines_of_the_same_number_are_told_apart(alone, alone_fwd):
    """The second of two recoveries from one backup does not know the first, and gets the same timeline number."""
    forwarder = alone_fwd()
    delivered_then_saved(alone, forwarder, "save")
    data = alone.server.data
    subprocess.run(["cp", "-a", data + ".saved", data + ".again"], check=True)
    alone.replay()
    alone.promote()
    deliver(alone, forwarder, 4)
    assert forwarder.terminate() == 0
    before, end = len(forwarder.events()), alone.current_lsn()
    os.rename(data + ".old", data + ".first")
    os.rename(data + ".again", data + ".saved")
    alone.replay("before", log=data + ".first/pg_wal")
    alone.promote()
    alone.psql("INSERT INTO t SELECT i, repeat('y', 100) FROM generate_series(10, 40000) i")
    assert alone.timeline() == 2 and alone.current_lsn() > end
    forwarder.start(wait=False)
    refused(forwarder, "its timeline 2 began at", "start again", forwarder.state_file)
    assert len(forwarder.events()) == before


def test_a_server_that_is_recovered_to_before_what_was_delivered_is_waited_for(alone, alone_fwd):
    """As long as it is a standby it may still replay the rest; once it is promoted it will not."""
    forwarder = alone_fwd()
    delivered_then_saved(alone, forwarder, "save")
    before = len(forwarder.events())
    alone.replay("before")
    forwarder.wait_for_log("the standby has not replayed yet what was delivered")
    alone.promote()
    refused(forwarder, "another history: it left timeline 1 at", forwarder.state_file)
    assert len(forwarder.events()) == before


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it was down"])
def test_a_server_promoted_after_what_was_delivered_is_no_gap(alone, alone_fwd, running):
    """No event is lost. The older slot repeats events, and these are the same."""
    forwarder = alone_fwd()
    delivered_then_saved(alone, forwarder, "save")
    if not running:
        assert forwarder.terminate() == 0
        alone.psql("INSERT INTO t VALUES (4, 'not delivered')")
    alone.replay()
    alone.promote()
    if running:
        deliver(alone, forwarder, 4)
    # And once more. From the timeline that is remembered it is one step, or two if it was down.
    alone.server.stop()
    alone.start_as_standby()
    alone.promote()
    assert alone.timeline() == 3
    if not running:
        forwarder.start()
    deliver(alone, forwarder, 5)
    assert forwarder.terminate() == 0
    assert "pipeline stops" not in forwarder.log()
    with open(forwarder.output) as f:
        arrived = f.readlines()
    lines = list({json.loads(line)["id"]: line for line in arrived}.values())
    assert set(arrived) == set(lines)
    events = [json.loads(line) for line in lines]
    assert [event["after"]["id"] for event in events] == [1, 2, *range(10, 20001), 3, 4, 5]
    order = [tuple(map(int, event["id"].split("-"))) for event in events]
    assert order == sorted(order)


def test_another_server_is_refused(alone, alone_fwd, db, tmp_path):
    for each in (alone, db):
        each.psql(TABLE)
    forwarder = alone_fwd()
    forwarder.start()
    deliver(alone, forwarder, 1)
    assert forwarder.terminate() == 0
    other = Forwarder(db, str(tmp_path), name="other", slot=forwarder.slot,
                      root=f"drain: 5s\nstate: {tmp_path / 'state'}")
    db.server.create_slot(forwarder.slot, "walspout", db.name)
    try:
        other.start(wait=False)
        refused(other, "another server", "system identifier")
    finally:
        other.kill()


def test_two_hosts_may_take_turns(db, fwd):
    """Each has a state of its own; a forwarder that sees the other read takes over what that leaves."""
    db.psql(TABLE)
    hosts = [fwd(state=name, name=name) for name in ("one", "two")]
    hosts[0].start()
    for turn in range(4):
        reader, waiter = hosts[turn % 2], hosts[1 - turn % 2]
        mark = os.path.getsize(waiter.log_path) if os.path.exists(waiter.log_path) else 0
        waiter.start(wait=False)
        waiter.wait_for_log("waiting to take over", mark)
        deliver(db, reader, turn)
        reader.kill()
        waiter.wait_for_log("msg=streaming", mark)
    for host in hosts:
        assert "pipeline stops" not in host.log()


def test_a_standby_takes_over_within_two_seconds_and_nothing_is_missing(db, fwd, tmp_path):
    db.psql(workload.SCHEMA)
    truth.make_slots(db.server, db.name)
    first, second = fwd(name="first"), fwd(name="second")
    first.start()
    second.start(wait=False)
    second.wait_for_log("waiting to take over")
    writers = workload.Workload(db.server, db.name, 1, str(tmp_path), rows=2000)
    killed, taken = [], []

    def watch():
        second.wait_for_log("msg=streaming")
        taken.append(time.monotonic())
    watcher = threading.Thread(target=watch)
    watcher.start()
    writers.start()
    try:
        time.sleep(2)
        killed.append(time.monotonic())
        first.kill()
        watcher.join(30)
        time.sleep(2)
    finally:
        writers.stop()
    writers.settle()
    assert taken and taken[0] - killed[0] < 2
    end = db.current_lsn()
    pg.wait_until(lambda: db.confirmed_lsn(second.slot) >= end, 60, what="confirmation")
    assert second.terminate() == 0
    arrivals = [checker.Arrival(checker.id_of(line), line)
                for forwarder in (first, second)
                for line in open(forwarder.output, "rb").read().split(b"\n")[:-1]]
    changes = truth.changes(db.server, db.name)
    documents = truth.documents(db.server, db.name)
    found = checker.check(documents, changes, truth.tables(db.server, db.name),
                          [checker.Sink("file", arrivals)])
    assert found == []
    assert len(documents) > 1000
