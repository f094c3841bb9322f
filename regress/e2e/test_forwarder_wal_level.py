"""`check` and `run` on a server whose wal_level is replica: from PostgreSQL 19 on that is enough."""

from harness import postgres as pg
import pytest
from harness.forwarder import run


@pytest.fixture(scope="module")
def server():
    with pg.WorkDir() as work:
        cluster = pg.Cluster(pg.Installation(work), conf={"wal_level": "replica"})
        cluster.start()
        yield cluster


def test_wal_level_is_replica(db, server, fwd):
    db.psql("CREATE TABLE t (id int PRIMARY KEY)")
    forwarder = fwd()
    checked = run("check", forwarder.config)
    if server.installation.major < 19:
        assert checked.returncode == 1
        assert "ERROR wal_level is replica" in checked.stdout
        assert "ALTER SYSTEM SET wal_level = logical" in checked.stdout
        return
    assert checked.returncode == 0, checked.stdout
    assert "ok    wal_level is replica" in checked.stdout
    with forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        pg.wait_until(lambda: len(forwarder.events()) == 1, what="event")
        assert "ok    effective_wal_level is logical" in run("check", forwarder.config).stdout
