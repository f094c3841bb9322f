"""A database for tests, in a shared server or in its own server."""

import json
import os
import subprocess

from harness.postgres.cluster import SUPERUSER, Cluster
from harness.postgres.installation import server_version
from harness.postgres.receiver import lsn
from harness.waiting import wait_until


class Database:
    """A database, and slots in it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    def psql(self, sql):
        return self.server.psql(sql, self.name)

    def value(self, sql, args=None):
        return self.server.value(sql, self.name, args)

    def create_slot(self, suffix="slot", plugin="walspout"):
        """Makes a slot; its name, which is unique in the server."""
        slot = f"{self.name}_{suffix}"
        self.server.create_slot(slot, plugin, self.name)
        return slot

    def stream(self, slot, options=None, args=(), **more):
        return self.server.recvlogical(slot, self.name, options, args, **more)

    def lines(self, slot, options=None, timeout=60):
        """All that pg_recvlogical prints up to the end of the WAL, and confirms."""
        end = self.server.current_lsn()
        with self.stream(slot, options, [f"--endpos={end}"]) as receiver:
            return receiver.lines(timeout)

    def events(self, slot, options=None, timeout=60):
        """The same, as parsed documents."""
        return [json.loads(line) for line in self.lines(slot, options, timeout)]

    def confirmed_lsn(self, slot):
        return lsn(self.server.slot(slot)["confirmed_flush_lsn"])

    def current_lsn(self):
        return lsn(self.server.current_lsn())


class OnOwnServer(Database):
    """A database on the test's own server, which may be stopped and replaced."""

    def save(self):
        """A copy of the stopped server's files."""
        self.server.stop()
        subprocess.run(["cp", "-a", self.server.data, self.server.data + ".saved"], check=True)
        self.server.start()

    def back_up(self):
        """A copy by pg_basebackup, which leaves slots out."""
        folder = self.server.data + ".saved"
        self.server._run("pg_basebackup", "-D", folder, "-h", self.server.host,
                         "-p", str(self.server.port), "-U", SUPERUSER, "-c", "fast",
                         as_server=True)

    def restore(self):
        self.replace()
        self.server.start()

    def replace(self):
        self.server.stop()
        os.rename(self.server.data, self.server.data + ".old")
        os.rename(self.server.data + ".saved", self.server.data)

    def replay(self, until=None, log=None):
        """Restores as a standby, and replays the old WAL: to a restore point, or all of it."""
        end = self.current_lsn()
        self.replace()
        self.start_as_standby(f'cp "{log or self.server.data + ".old/pg_wal"}/%f" "%p"',
                              **({"recovery_target_name": until} if until else {}))
        if until:
            done = "pg_get_wal_replay_pause_state() = 'paused'" if server_version() >= 14 else \
                "pg_is_wal_replay_paused()"
        else:
            done = f"pg_last_wal_replay_lsn() - '0/0' >= {end}"
        wait_until(lambda: self.psql(f"SELECT {done}") == "t", what="end of the replay")

    def start_as_standby(self, restore_command="false", **conf):
        open(os.path.join(self.server.data, "standby.signal"), "w").close()
        self.server.start({"restore_command": restore_command, **conf})

    def promote(self):
        """Ends recovery: a new timeline begins."""
        assert self.psql("SELECT pg_promote()") == "t"

    def timeline(self):
        return int(self.psql("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"), 16)


class Alone(OnOwnServer):
    """A new database on a new server, which is like a cluster that was never started."""

    def __init__(self, work, like):
        super().__init__(Cluster(like.installation.in_folder(work), like=like).start(), "alone")
        self.server.createdb(self.name)
