"""A private Postgres for tests and benchmarks: its own installation tree, its own clusters.

Nothing is installed in the system and nothing is configured beforehand:

    with WorkDir() as work:
        cluster = Cluster(Installation(work))
        cluster.start({"wal_sender_timeout": "1s"})
        cluster.psql("SELECT 1")

The server finds its files relative to its executable. So an `Installation` copies the server's
programs to the same path below the work directory, installs the extension beside them with
`make install-plugin DESTDIR=...`, and links everything else to the system's files.

The server refuses to run as root: started by root, it runs as `postgres` or `nobody`. That user
may not be able to read the repository, so nothing that it needs stays there. Every run has a work
directory and a socket directory of its own, and no TCP port but a free one where a test asks for
TLS: runs never meet.
"""

import contextlib
import ctypes
import os
import pwd
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PORT = 5432                 # names the socket file only
SUPERUSER = "postgres"
SOCKET_PATH_LIMIT = 107

OUTPUT_PLUGINS = ["pgoutput", "test_decoding", "walspout", "wal2json", "decoderbufs",
                  "bench_null", "bench_floor"]

BASE_CONF = {
    "listen_addresses": "",
    "fsync": "off",
    "jit": "off",
    "wal_level": "logical",
    "max_wal_senders": 20,
    "max_replication_slots": 20,
    "max_prepared_transactions": 10,
    "max_connections": 50,
    "log_line_prefix": "%m [%p] %b %d ",
}


class ServerError(Exception):
    """A server program failed; says which, and what it printed."""


def wait_until(condition, timeout=30, every=0.02, what="condition"):
    """The first true value of condition(), which is asked again until `timeout` seconds are over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout} s")
        time.sleep(every)


def cpu_seconds(pid):
    """CPU time, user and system, that a process has used."""
    try:
        with open(f"/proc/{pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e9
    except (FileNotFoundError, IndexError):
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid):
    """{"VmHWM": ..., "VmRSS": ..., "RssAnon": ...} of a process, in bytes."""
    with open(f"/proc/{pid}/status") as f:
        fields = re.findall(r"^(VmHWM|VmRSS|RssAnon):\s+(\d+) kB", f.read(), re.M)
    return {name: int(kilobytes) * 1024 for name, kilobytes in fields}


def lsn(text):
    """'16/B374D848' as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def server_version(pg_config=None):
    """The major version of the server that tests use."""
    pg_config = pg_config or os.environ.get("PG_CONFIG") or "pg_config"
    text = subprocess.run([pg_config, "--version"], check=True, text=True, stdout=subprocess.PIPE).stdout
    return int(re.search(r"PostgreSQL (\d+)", text).group(1))


def exit_on_sigterm():
    """Turns SIGTERM into an exception, so that servers are stopped and work directories removed.

    A second SIGTERM changes nothing: make and the shell send it too, and the cleaning must not end half done.
    """
    def leave(*_):
        signal.signal(signal.SIGTERM, lambda *_: None)
        sys.exit(128 + signal.SIGTERM)
    signal.signal(signal.SIGTERM, leave)


class WorkDir:
    """A temporary directory that belongs to the user the server runs as.

    Removed at the end of the `with`; kept when WALSPOUT_KEEP is set.
    """

    def __init__(self):
        self.user = None
        if os.geteuid() == 0:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            self.user = names.get("postgres") or names["nobody"]
        self.path = tempfile.mkdtemp(prefix="walspout.")
        self._own(self.path)
        self._sockets = None
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()
        if os.environ.get("WALSPOUT_KEEP"):
            print(f"kept {self.path}", file=sys.stderr)
            return
        shutil.rmtree(self.path, ignore_errors=True)
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def at_exit(self, function):
        """Calls function() before the directory goes; the last one registered is called first."""
        self._stack.callback(function)

    def mkdir(self, name, mode=0o700):
        path = os.path.join(self.path, name)
        os.makedirs(path, mode=mode)
        self._own(path)
        return path

    def copy(self, source, name):
        """Copies a file or folder of the repository to where the server's user can read it."""
        path = os.path.join(self.path, name)
        if os.path.isdir(source):
            shutil.copytree(source, path)
        else:
            shutil.copy(source, path)
        self.own_tree(path)
        return path

    def socket_dir(self):
        """A directory for sockets, short enough for a socket's address."""
        path = os.path.join(self.path, "s")
        if len(f"{path}/.s.PGSQL.{PORT}.lock") > SOCKET_PATH_LIMIT:
            if not self._sockets:
                self._sockets = tempfile.mkdtemp(prefix="walspout.", dir="/tmp")
                self._own(self._sockets)
            path = os.path.join(self._sockets, "s")
        suffix = 0
        while os.path.exists(f"{path}{suffix}"):
            suffix += 1
        path = f"{path}{suffix}"
        os.mkdir(path, 0o755)
        self._own(path)
        return path

    def own_tree(self, path):
        self._own(path)
        for folder, folders, files in os.walk(path):
            for name in folders + files:
                self._own(os.path.join(folder, name))

    def as_user(self):
        """Arguments for subprocess that run a program as the server's user."""
        if not self.user:
            return {"cwd": self.path}
        groups = os.getgrouplist(self.user.pw_name, self.user.pw_gid)
        return {"cwd": self.path, "user": self.user.pw_uid, "group": self.user.pw_gid,
                "extra_groups": groups}

    def _own(self, path):
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)


class Installation:
    """The server's programs and the extension, in a tree below the work directory.

    modules: more shared libraries to put beside the extension's; one of the same name replaces it.
    install: whether the extension is put there, or is what the system has. name: of the tree.
    """

    def __init__(self, work, pg_config=None, modules=(), install=True, name="pg"):
        self.work = work
        self.pg_config = pg_config or os.environ.get("PG_CONFIG") or "pg_config"
        self.root = os.path.join(work.path, name)
        os.mkdir(self.root, 0o755)
        self.system_bindir = self.ask("--bindir")
        self.system_pkglibdir = self.ask("--pkglibdir")
        self.bindir = self.root + self.system_bindir
        self.pkglibdir = self.root + self.system_pkglibdir
        self.sharedir = self.root + self.ask("--sharedir")
        self.major = server_version(self.pg_config)

        # Our files first: `make install` must never write through a link into the system.
        os.makedirs(os.path.join(self.sharedir, "extension"))
        os.makedirs(self.pkglibdir)
        if install:
            self._install_extension()
        for module in modules:
            self.add_module(module)
        shutil.copytree(self.system_bindir, self.bindir)
        self._link(self.system_pkglibdir, self.pkglibdir)
        self._link(self.ask("--sharedir"), self.sharedir)

    def ask(self, option):
        return subprocess.run([self.pg_config, option], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()

    def program(self, name):
        return os.path.join(self.bindir, name)

    def test_program(self, path):
        """A program of the server's test suite, such as "regress/pg_regress".

        PG_TEST_PROGRAMS is a folder with those that the server's packages lack.
        """
        own = os.path.join(self.system_pkglibdir, "pgxs/src/test", path)
        if os.path.exists(own):
            return own
        return os.path.join(os.environ.get("PG_TEST_PROGRAMS", own[:-len(path)]), path)

    def add_module(self, path):
        target = os.path.join(self.pkglibdir, os.path.basename(path))
        if os.path.lexists(target):
            os.unlink(target)
        shutil.copy(path, target)
        os.chmod(target, 0o755)

    def has_module(self, name):
        return os.path.exists(os.path.join(self.pkglibdir, name + ".so"))

    def _install_extension(self):
        # Variables given to an outer make stay in force; its job server is not ours to use.
        env = dict(os.environ)
        env["MAKEFLAGS"] = re.sub(r"\s?(-j\d*|--jobserver-\S+)", "", env.get("MAKEFLAGS", ""))
        done = subprocess.run(["make", "-C", TOP, "-s", "--no-print-directory", "install-plugin",
                               f"PG_CONFIG={self.pg_config}", f"DESTDIR={self.root}"],
                              env=env, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise ServerError(f"make install failed:\n{done.stdout}")
        subprocess.run(["chmod", "-R", "a+rX", self.root], check=True)

    def _link(self, source, target):
        """Links whatever `source` has and `target` lacks; descends only where both have a folder."""
        for entry in os.scandir(source):
            path = os.path.join(target, entry.name)
            if entry.is_dir() and os.path.isdir(path):
                self._link(entry.path, path)
            elif not os.path.lexists(path):
                os.symlink(entry.path, path)


class Cluster:
    """A database cluster of an installation: started, stopped and killed as a test likes.

    conf: settings beside BASE_CONF. env: environment of the server processes. initdb: more of its options.
    """

    def __init__(self, installation, name="main", conf=None, env=None, initdb=()):
        self.installation = installation
        self.work = installation.work
        self.data = self.work.mkdir(f"{name}.data")
        self.log_path = os.path.join(self.work.path, f"{name}.log")
        self.host = self.work.socket_dir()
        self.port = PORT
        self.env = env or {}
        self.process = None
        self._run("initdb", "-D", self.data, "-U", SUPERUSER, "-A", "trust", "-N",
                  "-E", "UTF8", "--locale=C.UTF-8", *initdb, as_server=True)
        self.configure({**BASE_CONF, **self._plugin_list(), **(conf or {})})
        self.work.at_exit(lambda: self.stop("immediate"))

    # Life of the server

    def configure(self, conf):
        """Adds settings to postgresql.conf; the last one of a name wins."""
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            for name, value in conf.items():
                quoted = str(value).replace("'", "''")
                f.write(f"{name} = '{quoted}'\n")

    def start(self, conf=None, timeout=60):
        self.configure(conf or {})
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [self.installation.program("postgres"), "-D", self.data, "-k", self.host,
             "-p", str(self.port)],
            env={**os.environ, "LC_ALL": "C.UTF-8", **self.env}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent,
            **self.work.as_user())
        log.close()
        try:
            wait_until(self._ready, timeout, what="server that is ready")
        except (TimeoutError, ServerError) as e:
            self.stop("immediate")
            raise ServerError(f"the server did not start: {e}\n{self.log_tail()}") from None

    def use_tls(self):
        """Before the start: it takes TLS, too, at "localhost", on a port of its own.

        The authority that a client may trust; nothing is encrypted on the socket.
        """
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
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
            self.kill9()
            return False
        self.process = None
        return True

    def restart(self, mode="fast", conf=None):
        self.stop(mode)
        self.start(conf)

    def reload(self, conf=None):
        self.configure(conf or {})
        self.process.send_signal(signal.SIGHUP)

    def kill9(self):
        """Kills every process of the server at once: what a power failure leaves of it."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            children = [int(pid) for pid in f.read().split()]
        self.process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        for pid in children:
            wait_until(lambda: not os.path.exists(f"/proc/{pid}") or _is_zombie(pid),
                       what=f"end of process {pid}")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def log_tail(self, lines=40):
        return "".join(f"  {line}\n" for line in self.log().splitlines()[-lines:])

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
        """Drops a database with its slots; whoever is connected to it is thrown out."""
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
        import json
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

    def _ready(self):
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
        """Newer servers load no output plugin that they were not told of; older ones know no list."""
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


class Receiver:
    """A running pg_recvlogical. Use it in a `with`: the end of that ends the program."""

    def __init__(self, cluster, slot, db, options, args, stdout, settings):
        self.cluster = cluster
        self.slot = slot
        command = [cluster.installation.program("pg_recvlogical"), "-d", db, "-S", slot,
                   "--start", "--no-loop", "-f", "-", *args]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        pgoptions = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._errors = tempfile.TemporaryFile()
        self._reader = None
        self._pending = b""
        self.process = subprocess.Popen(command, env=cluster.client_env(PGOPTIONS=pgoptions),
                                        stdout=stdout, stdin=subprocess.DEVNULL,
                                        stderr=self._errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def walsender(self, timeout=30):
        """The server process that feeds this program."""
        return wait_until(self._walsender, timeout, every=0.005, what=f"walsender for {self.slot}")

    def sent_lsn(self):
        """Everything before this LSN has been decoded and sent."""
        if self.process.poll() is not None:
            raise ServerError(f"pg_recvlogical ended with {self.process.returncode}: "
                              f"{self.errors()}")
        text = self.cluster.value(
            "SELECT sent_lsn::text FROM pg_stat_replication r JOIN pg_replication_slots s "
            "ON s.active_pid = r.pid WHERE slot_name = %s", args=(self.slot,))
        return lsn(text) if text else 0

    def errors(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def lines(self, timeout=60):
        """All lines until the program ends by itself, as it does with --endpos."""
        try:
            output, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise TimeoutError(f"pg_recvlogical did not end within {timeout} s: "
                               f"{self.errors()}") from None
        if self.process.returncode:
            raise ServerError(f"pg_recvlogical failed: {self.errors()}")
        return output.decode().split("\n")[:-1]

    def line(self, timeout=30):
        """The next line, which is a message of the plugin's."""
        if not self._reader:
            self._reader = selectors.DefaultSelector()
            self._reader.register(self.process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            if not self._reader.select(max(0, deadline - time.monotonic())):
                raise TimeoutError(f"no line within {timeout} s: {self.errors()}")
            chunk = os.read(self.process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise ServerError(f"pg_recvlogical ended: {self.errors()}")
            self._pending += chunk
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode()

    def stop(self, number=signal.SIGINT, timeout=30):
        """Ends the program, and waits until the server has let go of the slot too."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self.cluster.process:
            wait_until(lambda: not self.cluster.walsender(self.slot), timeout,
                       what=f"end of the walsender of {self.slot}")

    def _walsender(self):
        if self.process.poll() is not None:
            raise ServerError(f"pg_recvlogical ended with {self.process.returncode}: "
                              f"{self.errors()}")
        return self.cluster.walsender(self.slot)


_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent(number=signal.SIGQUIT):
    """For preexec_fn: the signal that the process gets when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


def _is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
