"""A private Postgres for tests and benchmarks: its own installation tree, its own clusters.

Nothing is installed in the system and nothing is configured beforehand:

    with WorkDir() as work:
        cluster = Cluster(Installation(work))
        cluster.start({"wal_sender_timeout": "1s"})
        cluster.psql("SELECT 1")

The server finds its files relative to its executable. So an `Installation` copies the server's programs to the same
path below the work directory. It installs the extension beside them with `make install-plugin DESTDIR=...`, and links
everything else to the system's files.

The server refuses to run as root: started by root, it runs as `postgres` or `nobody`. That user may not be able to read
the repository, so copies of all needed files are elsewhere. Every run has its own work directory and socket directory.
It has no TCP port, except a free one if a test asks for TLS. So runs never disturb each other.

Other helpers for tests of a cluster are here, too, so that `from harness import postgres as pg` is enough.
"""

from harness.folders import TOP, WorkDir
from harness.postgres.cluster import SUPERUSER, Cluster
from harness.postgres.database import Alone, Database, OnOwnServer
from harness.postgres.installation import Installation, server_version
from harness.postgres.receiver import Receiver, lsn
from harness.processes import cpu_seconds, die_with_parent, exit_on_sigterm, memory_bytes
from harness.server import ServerError
from harness.waiting import wait_until

__all__ = ["SUPERUSER", "TOP", "Alone", "Cluster", "Database", "Installation", "OnOwnServer", "Receiver",
           "ServerError", "WorkDir", "cpu_seconds", "die_with_parent", "exit_on_sigterm", "lsn", "memory_bytes",
           "server_version", "wait_until"]
