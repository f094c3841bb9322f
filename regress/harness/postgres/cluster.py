"""A database cluster, which is a server like others, and the queries that tests need."""

import json
import os
import re
import signal
import subprocess

from harness import processes
from harness.ports import free_port
from harness.postgres.receiver import Receiver
from harness.server import Server, ServerError
from harness.waiting import wait_until

PORT = 5432                 # names the socket file only
SUPERUSER = "postgres"

OUTPUT_PLUGINS = ["pgoutput", "test_decoding", "walspout", "wal2json", "decoderbufs",
                  "bench_null", "bench_floor"]

BASE_CONF = {
    "listen_addresses": "",
    "fsync": "off",
    "jit": "off",
    "wal_level": "logical",
    "max_wal_senders": 20,
    "max_replication_slots": 100,     # replication origins also use slots of this limit, and keep them
    "max_prepared_transactions": 10,
    "max_connections": 50,
    "log_line_prefix": "%m [%p] %b %d ",
}


class Cluster(Server):
    """A database cluster of an installation: started, stopped and killed as a test likes.

    conf: settings in addition to BASE_CONF. env: environment of the server processes. initdb: its additional options.
    like: a cluster that was never started, whose files are copied; both have the same system identifier.
    """

    death = signal.SIGQUIT

    def __init__(self, installation, name="main", conf=None, env=None, initdb=(), like=None):
        super().__init__(installation.work, name)
        self.installation = installation
        self.data = self.work.mkdir(f"{name}.data")
        self.host = self.work.socket_dir()
        self.port = PORT
        self.env = {"LC_ALL": "C.UTF-8", **(env or {})}
        if like:
            os.rmdir(self.data)
            subprocess.run(["cp", "-a", like.data, self.data], check=True)
        else:
            self._run("initdb", "-D", self.data, "-U", SUPERUSER, "-A", "trust", "-N",
                      "-E", "UTF8", "--locale=C.UTF-8", *initdb, as_server=True)
            self.configure({**BASE_CONF, **self._plugin_list()})
        self.configure(conf or {})
        self.work.at_exit(lambda: self.stop("immediate"))

    # Life of the server

    def configure(self, conf):
        """Adds settings to postgresql.conf; the last one of a name wins."""
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            for name, value in conf.items():
                quoted = str(value).replace("'", "''")
                f.write(f"{name} = '{quoted}'\n")

    def command(self):
        return [self.installation.program("postgres"), "-D", self.data, "-k", self.host, "-p", str(self.port)]

    def start(self, conf=None, timeout=60):
        self.configure(conf or {})
        self.launch()
        try:
            wait_until(self.is_up, timeout, what="server that is ready")
        except (TimeoutError, ServerError) as e:
            self.stop("immediate")
            raise ServerError(f"the server did not start: {e}\n{self.log_tail()}") from None
        return self

    def use_tls(self):
        """Call this before the start: the server then also accepts TLS at "localhost", on its own port.

        Returns the authority for clients; nothing is encrypted on the socket.
        """
        self.port = free_port()
        folder = self.work.mkdir("tls")

        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-subj", "/CN=test ca", "-days", "2")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr",
                "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", "server.pem", "-days", "2")
        self.work.own_tree(folder)
        os.chmod(os.path.join(folder, "server.key"), 0o600)
        self.configure({"listen_addresses": "127.0.0.1", "ssl": "on",
                        "ssl_cert_file": os.path.join(folder, "server.pem"),
                        "ssl_key_file": os.path.join(folder, "server.key")})
        return os.path.join(folder, "ca.pem")

    def stop(self, mode="fast", timeout=60):
        """Ends the server: "smart", "fast" or "immediate", as pg_ctl has it.

        A server that is still there after `timeout` seconds is killed; then the result is False.
        """
        if not self.process:
            return True
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        self.process.send_signal(number)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.process = None
        return True

    def restart(self, mode="fast", conf=None):
        self.stop(mode)
        self.start(conf)

    def reload(self, conf=None):
        self.configure(conf or {})
        self.process.send_signal(signal.SIGHUP)

    def pids(self):
        """The process ids of the postmaster and of every process that it has started."""
        return [pid for own in super().pids() for pid in (own, *processes.children(own))]

    def kill(self):
        """Kills every process of the server at once, as a power failure does."""
        super().kill()
        self.process = None

    # Talking to it

    def client_env(self, **more):
        return {**os.environ, "PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": SUPERUSER,
                "PGOPTIONS": "", "LC_ALL": "C.UTF-8", **more}

    def psql(self, sql, db="postgres"):
        """Runs SQL in psql: what it prints, unaligned, without the last line break."""
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", db, "-f", "-",
                         stdin=sql).rstrip("\n")

    def connect(self, db="postgres", autocommit=True, **more):
        """A psycopg2 connection."""
        import psycopg2
        connection = psycopg2.connect(host=self.host, port=self.port, user=SUPERUSER, dbname=db,
                                      **more)
        if connection.autocommit != autocommit:     # of a replication connection it is fixed
            connection.autocommit = autocommit
        return connection

    def query(self, sql, db="postgres", args=None):
        """All rows of one statement, as tuples."""
        connection = self.connect(db)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, args)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, db="postgres", args=None):
        """The first column of the first row."""
        rows = self.query(sql, db, args)
        return rows[0][0] if rows else None

    def createdb(self, name, encoding="UTF8", locale=None):
        """UTF8 databases have the locale C.UTF-8, all others C."""
        locale = locale or ("C.UTF-8" if encoding == "UTF8" else "C")
        self.psql(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING '{encoding}' "
                  f"LC_COLLATE '{locale}' LC_CTYPE '{locale}'")

    def dropdb(self, name):
        """Drops a database with its slots; sessions in it are ended."""
        for slot, pid in self.query("SELECT slot_name, active_pid FROM pg_replication_slots "
                                    "WHERE database = %s", args=(name,)):
            self.drop_slot(slot)
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    # Logical decoding

    def current_lsn(self):
        """The end of the WAL, flushed, as text."""
        return self.value("SELECT pg_current_wal_lsn()")

    def create_slot(self, slot, plugin="walspout", db="postgres", two_phase=False):
        """Makes a slot; its start LSN."""
        sql = "SELECT lsn::text FROM pg_create_logical_replication_slot(%s, %s)"
        if two_phase:
            sql = "SELECT lsn::text FROM pg_create_logical_replication_slot(%s, %s, false, true)"
        return self.value(sql, db, (slot, plugin))

    def drop_slot(self, slot):
        self.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                   "WHERE slot_name = %s AND active_pid IS NOT NULL", args=(slot,))
        wait_until(lambda: not self.walsender(slot), what=f"end of the walsender of {slot}")
        self.query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                   "WHERE slot_name = %s", args=(slot,))

    def slot(self, slot):
        """A slot's row of pg_replication_slots as a dict."""
        text = self.value("SELECT to_json(s)::text FROM pg_replication_slots s "
                          "WHERE slot_name = %s", args=(slot,))
        return json.loads(text) if text else None

    def walsender(self, slot):
        """The process that streams a slot, if any does."""
        return self.value("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s",
                          args=(slot,))

    def recvlogical(self, slot, db="postgres", options=None, args=(), stdout=subprocess.PIPE,
                    settings=None):
        """Streams a slot with pg_recvlogical; options are the plugin's, settings the walsender's."""
        return Receiver(self, slot, db, options or {}, args, stdout, settings or {})

    # Within

    def is_up(self):
        if self.process.poll() is not None:
            raise ServerError(f"it exited with {self.process.returncode}")
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as f:
                lines = f.read().splitlines()
        except FileNotFoundError:
            return False
        return (len(lines) >= 8 and lines[0] == str(self.process.pid)
                and lines[7].strip() == "ready")

    def _plugin_list(self):
        """Newer servers load only listed output plugins; older servers have no such list."""
        described = self._run("postgres", "--describe-config", as_server=True)
        if not re.search(r"^output_plugin_libraries\t", described, re.M):
            return {}
        return {"output_plugin_libraries": ", ".join(OUTPUT_PLUGINS)}

    def _run(self, program, *args, stdin=None, as_server=False):
        done = subprocess.run([self.installation.program(program), *args], input=stdin, text=True,
                              stdin=subprocess.DEVNULL if stdin is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.client_env(), **(self.work.as_user() if as_server else {}))
        if done.returncode:
            raise ServerError(f"{program} failed with {done.returncode}: {done.stderr}")
        return done.stdout
