"""A standby that is read while it is one, and promoted while it is read: from PostgreSQL 16 on."""

import contextlib
import os
import shutil
import threading

import psycopg2

from harness import postgres as pg

FIRST = 16      # version of Postgres that decodes on a standby


def make(primary, name):
    """A running standby of the primary."""
    # The primary keeps WAL and catalog rows for that slot, so the standby's slots do not lose them.
    primary.query("SELECT pg_create_physical_replication_slot(%s, true)", args=(name,))
    server = pg.Cluster(primary.installation, name)
    shutil.rmtree(server.data)
    primary._run("pg_basebackup", "-D", server.data, "-c", "fast", as_server=True)
    open(os.path.join(server.data, "standby.signal"), "w").close()
    server.start({"primary_conninfo": f"host={primary.host} port={primary.port} user={pg.SUPERUSER}",
                  "primary_slot_name": name, "hot_standby_feedback": "on",
                  "wal_receiver_status_interval": "1s", "wal_retrieve_retry_interval": "100ms"})
    follow(primary, server)
    return server


def follow(primary, standby):
    """Waits until the standby has what the primary has now."""
    end = primary.current_lsn()
    pg.wait_until(lambda: standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", args=(end,)), 60,
                  what="standby that follows")


@contextlib.contextmanager
def running_transactions(primary):
    """Meanwhile slots can be made on standbys: the primary says all the time which transactions run."""
    stop = threading.Event()

    def tell():
        while not stop.wait(0.2):
            with contextlib.suppress(psycopg2.Error):
                primary.query("SELECT pg_log_standby_snapshot()")
    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Leader:
    """The server that takes writes, whichever that is: a Cluster for those who write."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __getattr__(self, name):
        return getattr(self.cluster, name)
