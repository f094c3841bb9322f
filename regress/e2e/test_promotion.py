"""A standby that is promoted while it is read: the stream goes on, on another timeline, and nothing is a gap.

Standbys decode from PostgreSQL 16 on: on older servers these tests do not apply, and say so. How to
run them beside an older server of the system: regress/README.md.
"""

import os
import shutil

from harness import postgres as pg
import pytest
from harness.forwarder import Forwarder
from harness.processes import freeze, thaw

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"
DECODES = 16

pytestmark = pytest.mark.skipif(pg.server_version() < DECODES, reason="only from PostgreSQL 16 on can "
                                "a standby decode, and so be promoted while it is read")


class Node(pg.OnOwnServer):
    """A server, and the database that is read."""

    NAME = "shop"

    def __init__(self, server, upstream=None):
        super().__init__(server, self.NAME)
        self.upstream = upstream

    def replayed(self, end):
        pg.wait_until(lambda: self.psql(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t", 60,
                      what="replay")


class Family:
    """A primary and its standbys, or theirs."""

    def __init__(self, work):
        self.primary = Node(pg.Cluster(pg.Installation(work), "primary",
                                       {"wal_keep_size": "512MB", "hot_standby_feedback": "on"}))
        self.primary.server.start()
        self.primary.server.createdb(Node.NAME)
        self.primary.psql(TABLE)

    def standby_of(self, node, name):
        """A standby that streams from that node; it is up, and reads what that writes."""
        server = pg.Cluster(node.server.installation, name)
        shutil.rmtree(server.data)
        upstream = node.server
        node.server._run("pg_basebackup", "-D", server.data, "-h", upstream.host, "-p",
                         str(upstream.port), "-U", pg.SUPERUSER, "-c", "fast", as_server=True)
        conninfo = f"host={upstream.host} port={upstream.port} user={pg.SUPERUSER}"
        open(os.path.join(server.data, "standby.signal"), "w").close()
        os.chmod(os.path.join(server.data, "standby.signal"), 0o666)
        server.start({"primary_conninfo": conninfo, "wal_retrieve_retry_interval": "100ms"})
        return Node(server, node)


@pytest.fixture
def family():
    with pg.WorkDir() as made:
        yield Family(made)


@pytest.fixture
def fwd(tmp_path):
    made = []

    def make(node, **more):
        os.makedirs(tmp_path / "state", exist_ok=True)
        made.append(Forwarder(node, str(tmp_path), slot="shop_fwd",
                              root=f"drain: 5s\nstate: {tmp_path / 'state'}", **more))
        return made[-1]
    yield make
    for forwarder in made:
        forwarder.kill()


def start(forwarder, writer):
    """Starts it. A slot on a standby is made when the primary tells which transactions run."""
    start = os.path.getsize(forwarder.log_path) if os.path.exists(forwarder.log_path) else 0
    forwarder.start(wait=False)

    def streams():
        assert forwarder.process.poll() is None, forwarder.log()
        writer.psql("SELECT pg_log_standby_snapshot()")
        return "msg=streaming" in forwarder.log(start)
    pg.wait_until(streams, 60, every=0.2, what="stream")


def deliver(writer, reader, forwarder, number):
    """Writes a row, and waits until its delivery is confirmed to the server."""
    writer.psql(f"INSERT INTO t VALUES ({number}, 'delivered')")
    end = pg.lsn(writer.server.current_lsn())

    def told():
        assert forwarder.process.poll() is None, forwarder.log()
        return reader.confirmed_lsn(forwarder.slot) >= end
    pg.wait_until(told, 60, what="confirmation")


def arrive(writer, forwarder, number):
    """A row, and waits until it is delivered, and no longer."""
    writer.psql(f"INSERT INTO t VALUES ({number}, 'delivered')")
    pg.wait_until(lambda: any(event["after"]["id"] == number for event in forwarder.events()), 60,
                  what="event")


def arrived(forwarder, numbers):
    """What was delivered, each once or the same again, in order."""
    ids = {event["id"]: event["after"]["id"] for event in forwarder.events()}
    assert list(ids.values()) == list(numbers)
    order = [tuple(map(int, id.split("-"))) for id in ids]
    assert order == sorted(order)
    assert "pipeline stops" not in forwarder.log()


def refused(forwarder, *texts):
    assert forwarder.process.wait(60) == 1, forwarder.log()
    error = [line for line in forwarder.log().splitlines() if "pipeline stops" in line][-1]
    for text in texts:
        assert text in error, error


def go_on(how, node, forwarder):
    """Ends the connection in one of several ways."""
    if how == "the connection is cut":
        start = os.path.getsize(forwarder.log_path)
        node.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                  f"WHERE slot_name = '{forwarder.slot}'")
        forwarder.wait_for_log("msg=streaming", start, timeout=60)
    if how in ("it is killed", "both are killed"):
        forwarder.kill()
    if how in ("the server is killed", "both are killed"):
        node.server.kill()
        node.server.start()
    if how == "the server is restarted":
        node.server.restart()
    if how in ("it is killed", "both are killed"):
        forwarder.start()


ENDS = ["the connection is cut", "it is killed", "the server is restarted", "the server is killed",
        "both are killed"]


@pytest.mark.parametrize("how", ENDS)
def test_a_promotion_under_the_stream_is_no_gap(family, fwd, how):
    primary, standby = family.primary, family.standby_of(family.primary, "standby")
    forwarder = fwd(standby)
    start(forwarder, primary)
    for number in (1, 2):
        deliver(primary, standby, forwarder, number)
    standby.replayed(primary.server.current_lsn())
    primary.server.stop()
    standby.promote()
    assert standby.timeline() == 2
    # The stream is still the same one.
    for number in (3, 4):
        deliver(standby, standby, forwarder, number)
    assert forwarder.log().count("msg=streaming") == 1
    with open(os.path.join(os.path.dirname(forwarder.output), "state", "test.state")) as f:
        assert "timeline 2\n" in f.read()
    go_on(how, standby, forwarder)
    for number in (5, 6):
        deliver(standby, standby, forwarder, number)
    assert forwarder.terminate() == 0
    arrived(forwarder, range(1, 7))


@pytest.mark.parametrize("how", ENDS)
def test_what_arrives_after_a_promotion_and_is_not_confirmed_yet_is_no_gap(family, fwd, how):
    primary, standby = family.primary, family.standby_of(family.primary, "standby")
    forwarder = fwd(standby)
    start(forwarder, primary)
    for number in (1, 2):
        deliver(primary, standby, forwarder, number)
    standby.replayed(primary.server.current_lsn())
    primary.server.stop()
    standby.promote()
    arrive(standby, forwarder, 3)
    go_on(how, standby, forwarder)
    for number in (4, 5):
        deliver(standby, standby, forwarder, number)
    assert forwarder.terminate() == 0
    arrived(forwarder, range(1, 6))


@pytest.mark.parametrize("how", ENDS)
def test_a_promotion_further_up_is_no_gap(family, fwd, how):
    """The standby that is read stays one, and follows the other to its timeline; then it is promoted, too."""
    primary = family.primary
    middle = family.standby_of(primary, "middle")
    last = family.standby_of(middle, "last")
    forwarder = fwd(last)
    start(forwarder, primary)
    deliver(primary, last, forwarder, 1)
    middle.replayed(primary.server.current_lsn())
    primary.server.stop()
    middle.promote()
    for number in (2, 3):
        deliver(middle, last, forwarder, number)
    go_on(how, last, forwarder)
    deliver(middle, last, forwarder, 4)
    last.replayed(middle.server.current_lsn())
    middle.server.stop()
    last.promote()
    assert last.timeline() == 3
    deliver(last, last, forwarder, 5)
    go_on(how, last, forwarder)
    deliver(last, last, forwarder, 6)
    assert forwarder.terminate() == 0
    arrived(forwarder, range(1, 7))


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while it was down"])
def test_another_promotion_of_an_older_copy_is_refused(family, fwd, running):
    """Its timeline has the same number, and lacks the delivered rows."""
    primary, standby = family.primary, family.standby_of(family.primary, "standby")
    forwarder = fwd(standby)
    start(forwarder, primary)
    deliver(primary, standby, forwarder, 1)
    standby.save()
    for number in (2, 3):
        deliver(primary, standby, forwarder, number)
    standby.replayed(primary.server.current_lsn())
    primary.server.stop()
    standby.promote()
    deliver(standby, standby, forwarder, 4)
    before = len(forwarder.events())
    if not running:
        assert forwarder.terminate() == 0
    standby.restore()
    standby.promote()
    standby.psql("INSERT INTO t SELECT i, repeat('y', 100) FROM generate_series(10, 40000) i")
    assert standby.timeline() == 2
    if not running:
        forwarder.start(wait=False)
    refused(forwarder, "history")
    assert len(forwarder.events()) == before


def test_what_cannot_be_followed_is_not_confirmed(family, fwd):
    """Without a walsender to spare the timeline is not known: events are delivered, the slot stays."""
    primary, standby = family.primary, family.standby_of(family.primary, "standby")
    forwarder = fwd(standby)
    start(forwarder, primary)
    deliver(primary, standby, forwarder, 1)
    assert forwarder.terminate() == 0
    standby.server.restart(conf={"max_wal_senders": 20})
    taken = [replication(standby.server) for _ in range(19)]
    forwarder.start()
    arrive(primary, forwarder, 2)
    forwarder.wait_for_log("nothing is confirmed", timeout=60)
    for connection in taken:
        connection.close()
    deliver(primary, standby, forwarder, 3)
    assert forwarder.terminate() == 0
    arrived(forwarder, range(1, 4))


@pytest.mark.long
def test_an_older_copy_is_refused_if_its_standby_could_not_be_followed(family, fwd):
    """The last events were not confirmed. They must come again, and do not."""
    primary, standby = family.primary, family.standby_of(family.primary, "standby")
    forwarder = fwd(standby)
    start(forwarder, primary)
    deliver(primary, standby, forwarder, 1)
    assert forwarder.terminate() == 0
    standby.save()
    taken = [replication(standby.server) for _ in range(19)]
    forwarder.start()
    for number in (2, 3):
        arrive(primary, forwarder, number)
    forwarder.wait_for_log("nothing is confirmed", timeout=60)
    end = primary.server.current_lsn()
    freeze(forwarder.process.pid)
    primary.server.stop()
    for connection in taken:
        connection.close()
    standby.restore()
    standby.promote()
    standby.psql("INSERT INTO t SELECT i, repeat('y', 100) FROM generate_series(10, 40000) i")
    assert pg.lsn(standby.server.current_lsn()) > pg.lsn(end)
    thaw(forwarder.process.pid)
    refused(forwarder, "was delivered, and is not in this server's WAL")
    # Events of both servers may come again; no event of the copy alone is delivered.
    assert {event["after"]["id"] for event in forwarder.events()} == {1, 2, 3}


def replication(server):
    import psycopg2.extras
    return psycopg2.connect(host=server.host, port=server.port, user=pg.SUPERUSER, dbname=Node.NAME,
                            connection_factory=psycopg2.extras.LogicalReplicationConnection)
