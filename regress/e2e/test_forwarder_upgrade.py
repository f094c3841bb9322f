"""Major upgrades: pg_upgrade makes another server, which has the slots of the old one from PostgreSQL 17 on.

The new server is of the same version, for which pg_upgrade does the same. For an upgrade from 17 or later,
UPGRADE_PG_CONFIG names the pg_config of a later version, where walspout has to be installed.
"""

import os
import subprocess

from harness import postgres as pg
import pytest
from harness.forwarder import Forwarder, file_sink, run
from test_gaps import refused

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"
CARRIES_SLOTS = 17
CHECKSUMS_BY_DEFAULT = 18


@pytest.fixture
def make_forwarder(alone_fwd, tmp_path):
    def make(**more):
        os.makedirs(tmp_path / "state", exist_ok=True)
        forwarder = alone_fwd(root=f"drain: 5s\nstate: {tmp_path / 'state'}", **more)
        forwarder.state_file = str(tmp_path / "state" / "test.state")
        return forwarder
    return make


def later_installation(installation):
    """The server after the upgrade."""
    pg_config = os.environ.get("UPGRADE_PG_CONFIG")
    if not pg_config:
        return installation
    assert installation.major >= CARRIES_SLOTS, "UPGRADE_PG_CONFIG is for servers that carry slots over"
    later = pg.Installation(installation.work, pg_config, install=False, name="later")
    assert later.has_module("walspout"), f"walspout is not installed in {later.system_pkglibdir}"
    return later


def upgrade(alone):
    """Runs pg_upgrade on the stopped server; the new server replaces it."""
    old = alone.server
    old.stop()
    later = later_installation(old.installation)
    # Both servers have checksums, or neither has.
    initdb = ["--no-data-checksums"] if later.major >= CHECKSUMS_BY_DEFAULT > old.installation.major else []
    new = pg.Cluster(later, name="upgraded", initdb=initdb)
    done = subprocess.run(
        [later.program("pg_upgrade"), "-b", old.installation.bindir, "-B", later.bindir,
         "-d", old.data, "-D", new.data, "-U", pg.SUPERUSER, "-s", new.host],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=old.client_env(), **old.work.as_user())
    assert done.returncode == 0, done.stdout
    os.rename(old.data, old.data + ".before")
    os.rename(new.data, old.data)
    new.data = old.data
    new.host = old.host
    alone.server = new
    new.start()


def carries_slots(alone):
    return alone.server.installation.major >= CARRIES_SLOTS


def carry_slot_over(alone, forwarder):
    """pg_upgrade has done it, or would on a later version."""
    if not carries_slots(alone):
        alone.server.create_slot(forwarder.slot, "walspout", alone.name)
    assert alone.server.slot(forwarder.slot)


def stopped_after_all(alone, make_forwarder, **more):
    """A forwarder that has delivered everything, as pg_upgrade requires."""
    alone.psql(TABLE)
    forwarder = make_forwarder(**more)
    with forwarder:
        alone.psql("INSERT INTO t VALUES (1, 'before')")
        forwarder.wait_for_events(1)
        end = alone.current_lsn()
        pg.wait_until(lambda: alone.confirmed_lsn(forwarder.slot) >= end, what="confirmation")
        # The server ends first: its last position is confirmed, too.
        alone.server.stop()
        forwarder.terminate()
    return forwarder


def test_a_server_without_the_slot_is_said_once(alone, make_forwarder):
    forwarder = stopped_after_all(alone, make_forwarder)
    upgrade(alone)
    if carries_slots(alone):
        alone.server.drop_slot(forwarder.slot)
    checked = run("check", forwarder.config)
    assert checked.returncode == 1
    about = [line for line in checked.stdout.splitlines() if f'"{forwarder.slot}"' in line]
    assert len(about) == 1 and "ERROR" in about[0] and "is gone" in about[0], checked.stdout
    assert forwarder.state_file in checked.stdout and "pg_upgrade" in checked.stdout
    adopted = run("adopt", forwarder.config, "--yes")
    assert adopted.returncode == 1 and "does not have it" in adopted.stderr
    forwarder.start(wait=False)
    refused(forwarder, "is gone")
    os.remove(forwarder.state_file)
    with forwarder:
        alone.psql("INSERT INTO t VALUES (2, 'after')")
        assert [event["after"]["id"] for event in forwarder.wait_for_events(2)] == [1, 2]


def test_a_slot_that_was_carried_over_is_adopted(alone, make_forwarder):
    forwarder = stopped_after_all(alone, make_forwarder)
    upgrade(alone)
    carry_slot_over(alone, forwarder)
    alone.psql("INSERT INTO t VALUES (2, 'after')")
    checked = run("check", forwarder.config)
    assert checked.returncode == 1
    assert "another server" in checked.stdout and "walspout adopt" in checked.stdout
    forwarder.start(wait=False)
    refused(forwarder, "another server", "walspout adopt")
    with open(forwarder.state_file) as f:
        before = f.read()
    system = alone.server.value("SELECT system_identifier::text FROM pg_control_system()")
    if not carries_slots(alone):    # somebody has created the slot by hand
        adopted = run("adopt", forwarder.config, "--yes")
        assert adopted.returncode == 1 and "before PostgreSQL 17" in adopted.stderr
        with open(forwarder.state_file) as f:
            assert f.read() == before
        return
    asked = run("adopt", forwarder.config)
    assert asked.returncode == 2 and "--yes" in asked.stderr
    assert system in asked.stdout and "timeline" in asked.stdout and "position" in asked.stdout
    with open(forwarder.state_file) as f:
        assert f.read() == before
    assert run("adopt", forwarder.config, "--yes", "--pipeline", "other").returncode == 2
    adopted = run("adopt", forwarder.config, "--yes", "--pipeline", "test")
    assert adopted.returncode == 0, adopted.stderr
    again = run("adopt", forwarder.config, "--yes")
    assert again.returncode == 0 and "nothing to adopt" in again.stdout
    assert run("check", forwarder.config).returncode == 0
    with forwarder:
        alone.psql("INSERT INTO t VALUES (3, 'later')")
        events = forwarder.wait_for_events(3)
        assert [event["after"]["id"] for event in events] == [1, 2, 3]
        numbers = [tuple(map(int, event["id"].split("-"))) for event in events]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("what", ["read", "in use", "behind", "other plugin", "other database"])
def test_what_pg_upgrade_does_not_make_is_not_adopted(alone, make_forwarder, what):
    forwarder = stopped_after_all(alone, make_forwarder)
    if what == "behind":
        other = pg.Cluster(alone.server.installation, name="other")
        other.host, alone.server = alone.server.host, other
        other.start()
        other.createdb(alone.name)
        alone.psql(TABLE)
    else:
        upgrade(alone)
    server, slot = alone.server, forwarder.slot
    if what in ("other plugin", "other database"):
        if carries_slots(alone):
            server.drop_slot(slot)
        server.create_slot(slot, "test_decoding" if what == "other plugin" else "walspout",
                           alone.name if what == "other plugin" else "postgres")
    elif what == "behind":
        server.create_slot(slot, "walspout", alone.name)
        with open(forwarder.state_file) as f:
            text = f.read()
        told = next(line for line in text.splitlines() if line.startswith("told "))
        with open(forwarder.state_file, "w") as f:
            f.write(text.replace(told, "told 7F/0"))
    else:
        carry_slot_over(alone, forwarder)
    reader = None
    if what == "read":
        alone.psql("INSERT INTO t VALUES (2, 'read by somebody else')")
        server.value("SELECT count(*) FROM pg_logical_slot_get_changes(%s, NULL, NULL)", alone.name, (slot,))
    elif what == "in use":
        reader = server.recvlogical(slot, alone.name)
        reader.walsender()
    try:
        with open(forwarder.state_file) as f:
            before = f.read()
        adopted = run("adopt", forwarder.config, "--yes")
        assert adopted.returncode == 1, adopted.stdout
        sign = {"read": "were read from it", "in use": "uses it", "behind": "before what was delivered",
                "other plugin": "test_decoding", "other database": "another database"}[what]
        assert sign in adopted.stderr, adopted.stderr
        with open(forwarder.state_file) as f:
            assert f.read() == before
    finally:
        if reader:
            reader.stop()


def test_adopt_needs_a_record(alone, make_forwarder, tmp_path):
    forwarder = make_forwarder()
    adopted = run("adopt", forwarder.config, "--yes")
    assert adopted.returncode == 0 and "has no record" in adopted.stdout
    forgetful = Forwarder(alone, str(tmp_path), name="forgetful", sinks=file_sink(tmp_path / "x"))
    adopted = run("adopt", forgetful.config, "--yes")
    assert adopted.returncode == 2 and "`state`" in adopted.stderr
