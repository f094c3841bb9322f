"""What reads a slot and writes into Redis: walspout, a loop around wal2json, and Debezium Server.

Each contender is a server with a slot and a Redis. All of them reach both over TCP. plugin is the slot's. stream() names
the stream that gets the changes of a table. row_of and committed_of find in an entry the id of the row, and the time of the commit
in microseconds since 1970. With initial=True, which has_snapshot allows, a contender creates its slot, and begins with the rows
that exist.
"""

import datetime
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys

from harness.ports import free_port
from harness.postgres import SUPERUSER
from harness.processes import family, first_line
from harness.server import Server
from servers import STREAM, Measured

HERE = os.path.dirname(os.path.abspath(__file__))
HEAP = "-Xmx512m"
JAVA = 21           # the least version that Debezium Server runs with


def micros_of(text):
    """Of a time in UTC such as "2026-11-20T11:22:33.123456Z" or "2026-11-20 11:22:33.12+00"."""
    seconds, fraction = re.match(r"(.{19})\.?(\d*)", text).groups()
    moment = datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * 1_000_000 + int(fraction.ljust(6, "0"))


class OfWalspout(Measured):
    name = "walspout"
    plugin = "walspout"
    has_snapshot = True
    row_of = re.compile(rb'"after":\{"id":(\d+)')

    def __init__(self, cluster, slot, redis, initial=False):
        super().__init__(cluster, slot, f"type: redis\nurl: redis://127.0.0.1:{redis.port}\nstream: {STREAM}",
                         port=cluster.port, source="backfill: {tables: all}" if initial else "create_slot: false")

    def stream(self, table):
        return STREAM

    @staticmethod
    def committed_of(document):
        return micros_of(re.search(rb'"ts":"([^"]+)"', document)[1].decode())


class Peer(Server):
    """One or more processes. Like the forwarder it is started without a wait."""

    as_server = False       # its files are in the repository, which the servers' user may not be able to read

    def __init__(self, cluster, slot, redis):
        super().__init__(cluster.work, self.name)
        self.cluster, self.slot, self.redis = cluster, slot, redis

    def start(self, timeout=None):
        self.launch()
        return self

    def wait_streaming(self):
        return self.wait(lambda: self.cluster.walsender(self.slot), 120, "replication")

    def pids(self):
        return family(self.process.pid) if self.running() else []


class Loop(Peer):
    name = "wal2json"
    plugin = "wal2json"
    has_snapshot = False
    row_of = re.compile(rb'"name":"id","type":"bigint","value":(\d+)')

    def __init__(self, cluster, slot, redis):
        super().__init__(cluster, slot, redis)
        self.env = {"PGTZ": "UTC"}

    def command(self):
        receive = [self.cluster.installation.program("pg_recvlogical"), "-h", "127.0.0.1", "-p", str(self.cluster.port),
                   "-U", SUPERUSER, "-d", "bench", "-S", self.slot, "--start", "-f", "-", "-o", "format-version=2",
                   "-o", "include-timestamp=true"]
        write = [sys.executable, os.path.join(HERE, "wal2json_loop.py"), str(self.redis.port), STREAM]
        return ["sh", "-c", f"{shlex.join(receive)} | {shlex.join(write)}"]

    def stream(self, table):
        return STREAM

    @staticmethod
    def committed_of(document):
        return micros_of(re.search(rb'"timestamp":"([^"]+)"', document)[1].decode())


class Debezium(Peer):
    """Without schemas in the documents, which are several times as large as the rows."""

    name = "debezium"
    plugin = "pgoutput"
    has_snapshot = True
    patience = 120
    row_of = re.compile(rb'"after":\{"id":(\d+)')
    options = {}

    def __init__(self, cluster, slot, redis, initial=False):
        super().__init__(cluster, slot, redis)
        self.snapshot = "initial" if initial else "no_data"
        self.folder = self.work.new_folder(self.name)
        self.distribution = debezium_server()
        os.mkdir(os.path.join(self.folder, "config"))
        with open(os.path.join(self.folder, "config", "application.properties"), "w") as f:
            f.writelines(f"{name}={value}\n" for name, value in self.properties().items())

    def properties(self):
        source = {"connector.class": "io.debezium.connector.postgresql.PostgresConnector",
                  "database.hostname": "127.0.0.1", "database.port": self.cluster.port, "database.user": SUPERUSER,
                  "database.password": "none", "database.dbname": "bench", "topic.prefix": STREAM,
                  "plugin.name": "pgoutput", "slot.name": self.slot, "publication.name": "bench",
                  "publication.autocreate.mode": "disabled", "snapshot.mode": self.snapshot,
                  "offset.storage.file.filename": os.path.join(self.folder, "offsets")}
        return {"debezium.sink.type": "redis", "debezium.sink.redis.address": f"127.0.0.1:{self.redis.port}",
                "debezium.format.value.schemas.enable": "false", "debezium.format.key.schemas.enable": "false",
                "quarkus.http.port": free_port(), "quarkus.log.console.json": "false",
                **{f"debezium.source.{name}": value for name, value in source.items()}, **self.options}

    def command(self):
        """What its run.sh executes."""
        jars = os.path.join(self.distribution, "debezium-server-dist-*-runner.jar")
        return ["sh", "-c", f"cd {self.folder} && exec {java()} {HEAP} -cp "
                f"$(echo {jars}):'{self.distribution}/lib/*' io.debezium.server.Main"]

    def stream(self, table):
        return f"{STREAM}.public.{table}"

    @staticmethod
    def committed_of(document):
        return int(re.search(rb'"source":\{.*?"ts_us":(\d+)', document)[1])


class DebeziumTuned(Debezium):
    """For short waits and large batches. Offsets are written each second, not each minute."""

    name = "debezium-tuned"
    options = {"debezium.source.poll.interval.ms": 5, "debezium.source.max.batch.size": 8192,
               "debezium.source.max.queue.size": 32768, "debezium.sink.redis.batch.size": 2000,
               "debezium.source.offset.flush.interval.ms": 1000}


CONTENDERS = {kind.name: kind for kind in (OfWalspout, Loop, Debezium, DebeziumTuned)}


def debezium_server():
    """The folder of its distribution."""
    done = subprocess.run([os.path.join(HERE, "debezium_server")], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("Debezium Server is not there: see above")
    return done.stdout.strip()


def java():
    """The path of a Java that Debezium Server runs with; None if there is none."""
    home = os.environ.get("JAVA_HOME")
    for path in filter(None, [home and os.path.join(home, "bin", "java"), shutil.which("java"),
                              *sorted(glob.glob("/usr/lib/jvm/*/bin/java"))]):
        found = re.search(r'version "(\d+)', first_line(path, "-version"))
        if found and int(found[1]) >= JAVA:
            return path
    return None
