"""The forwarder as a process: signals, logs, the service manager, terminals, networks that fail."""

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

from harness import postgres as pg
import pytest
from harness.forwarder import PROGRAM, http_sink, run
from harness.processes import is_gone
from harness.webhook import Webhook

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


class Manager:
    """The socket of a service manager, and its received messages."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.told = []          # (time, line)

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self.socket.recv(4096).decode().splitlines()
                self.told += [(time.monotonic(), line) for line in lines]
        return [line for _, line in self.told]

    def wait_for(self, line, timeout=10):
        pg.wait_until(lambda: line in self.read(), timeout, what=f"{line}: {self.told}")

    def env(self, **more):
        return {**os.environ, "NOTIFY_SOCKET": self.path, **more}


@contextlib.contextmanager
def stopped_thread(thread):
    """Stops one thread of a child, by ptrace: this thread hangs, the others run."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    seize, interrupt, detach = 0x4206, 0x4207, 17

    def ptrace(request):
        if libc.ptrace(request, thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace({request}, {thread})")
    ptrace(seize)
    ptrace(interrupt)
    os.waitpid(thread, 0x40000000)      # __WALL
    try:
        yield
    finally:
        ptrace(detach)


def thread(pid, name):
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as f:
            if f.read().strip() == name:
                return int(task)
    raise AssertionError(f"no thread {name}")


def test_the_service_manager_is_told(db, fwd, tmp_path):
    db.psql(TABLE)
    manager = Manager(str(tmp_path))
    with Webhook() as hook:
        with fwd(sinks=http_sink(hook.port)).start(env=manager.env()) as forwarder:
            manager.wait_for("READY=1")
            # Without a watchdog, the service manager gets the status every ten seconds.
            manager.wait_for("STATUS=1 of 1 pipelines streaming, 0 of 1 sinks failing", 15)
            assert "WATCHDOG=1" not in manager.read()
            assert forwarder.terminate() == 0
            told = manager.read()
            assert told.index("READY=1") < told.index("STOPPING=1")
            assert "STATUS=draining" in told and told.count("STOPPING=1") == 1


def test_the_watchdog_is_told_as_long_as_no_thread_hangs(db, fwd, tmp_path):
    db.psql(TABLE)
    manager = Manager(str(tmp_path))
    # A sink that is down does not end the process: the sink tries again.
    with fwd(sinks=http_sink(1)).start(env=manager.env(WATCHDOG_USEC="2000000")) as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        forwarder.wait_for_log("will try again")
        signs = lambda: [at for at, line in manager.told if line == "WATCHDOG=1"]  # noqa: E731
        pg.wait_until(lambda: manager.read().count("WATCHDOG=1") >= 5, 10, what="signs of life")
        times = signs()
        assert max(b - a for a, b in zip(times, times[1:])) < 1.9
        manager.wait_for("STATUS=1 of 1 pipelines streaming, 1 of 1 sinks failing")
    with fwd(name="idle").start(env=manager.env(WATCHDOG_USEC="2000000")) as forwarder:
        with stopped_thread(thread(forwarder.process.pid, "sink file")):
            forwarder.wait_for_log("a thread hangs")
            assert 'at="sink file"' in forwarder.log()
            manager.read()
            before = len(signs())
            time.sleep(2.5)
            manager.read()
            assert len(signs()) == before
        pg.wait_until(lambda: manager.read().count("WATCHDOG=1") > before, 10, what="recovery")
        assert forwarder.terminate() == 0


def test_the_unit_is_watched_for_longer_than_a_thread_may_be_late():
    with open(os.path.join(pg.TOP, "forwarder", "walspout.service")) as f:
        unit = f.read()
    assert re.search(r"^Type=notify$", unit, re.M) and re.search(r"^WatchdogSec=60s$", unit, re.M)


@pytest.mark.effect("log.level")
def test_sigusr1_switches_the_log_level(db, fwd):
    db.psql(TABLE)
    with fwd(root="log: {level: warn}").start(wait=False) as forwarder:
        pg.wait_until(lambda: db.server.slot(forwarder.slot), what="slot")
        time.sleep(0.5)
        assert forwarder.log() == ""
        forwarder.process.send_signal(signal.SIGUSR1)
        forwarder.wait_for_log("log level switched")
        forwarder.process.send_signal(signal.SIGHUP)
        forwarder.wait_for_log("opening files again")
        forwarder.process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        before = forwarder.log()
        forwarder.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert forwarder.log() == before
        assert forwarder.terminate() == 0


@pytest.mark.effect("log.format")
def test_json_logs_are_json_line_by_line(db, fwd):
    db.psql(TABLE)
    # A text that has to be escaped comes from outside: the server's error message.
    with fwd(source='publications: ["a\\"b"]', root="log: {level: debug, format: json}").start(
            wait=False) as forwarder:
        forwarder.wait_for_log("source failed")
        db.psql('CREATE PUBLICATION "a""b" FOR TABLE t')
        forwarder.wait_for_log('"msg":"streaming"')
        db.psql("INSERT INTO t VALUES (1)")
        forwarder.wait_for_events(1)
        assert forwarder.terminate() == 0
    records = [json.loads(line) for line in forwarder.log().splitlines()]
    assert {"starting", "streaming", "stopping", "stopped"} <= {record["msg"] for record in records}
    for record in records:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["time"])
        assert record["level"] in ("debug", "info", "warning", "error")
    failed = next(record for record in records if record["msg"].startswith("source failed"))
    assert 'a"b' in failed["error"] and failed["pipeline"] == "test" and failed["wait_ms"] >= 0


def test_a_signal_that_comes_twice_is_one(db, fwd):
    """timeout(1) signals the program, and then its process group."""
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        forwarder.process.send_signal(signal.SIGTERM)
        assert forwarder.terminate() == 0
        assert "second signal" not in forwarder.log()


def test_a_second_sigterm_ends_it_at_once(db, fwd):
    db.psql(TABLE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with fwd(sinks=http_sink(silent.getsockname()[1], timeout="60s"),
                 root="drain: 60s") as forwarder:
            db.psql("INSERT INTO t VALUES (1)")
            pg.wait_until(lambda: forwarder.status()["in_flight_bytes"], what="event")
            forwarder.process.send_signal(signal.SIGTERM)
            forwarder.wait_for_log("msg=stopping")
            time.sleep(0.5)
            assert forwarder.process.poll() is None, "it drains"
            started = time.monotonic()
            assert forwarder.terminate() == 1
            assert time.monotonic() - started < 1
            assert "second signal, leaving at once" in forwarder.log()


def test_it_ends_with_the_test_that_started_it(db, fwd):
    forwarder = fwd()
    script = (f"import os, signal, subprocess, sys\nsys.path.insert(0, {os.path.join(pg.TOP, 'regress')!r})\n"
              "from harness.processes import die_with_parent\n"
              f"p = subprocess.Popen([{PROGRAM!r}, 'run', {forwarder.config!r}], "
              "stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)\n"
              "print(p.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n")
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                          cwd=os.path.dirname(os.path.abspath(__file__)), check=False, timeout=30)
    pid = int(done.stdout)
    pg.wait_until(lambda: is_gone(pid), 10, what="end of the forwarder")


class Proxy:
    """Forwards connections to the server; after `cut()` it forwards nothing, and closes no connection."""

    def __init__(self, server):
        self.target = f"{server.host}/.s.PGSQL.{server.port}"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self._cut = set()
        self._pairs = []
        self._wake, self._waker = socket.socketpair()
        self._ended = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended = True
        self._waker.send(b"x")
        self._thread.join()
        for end in [self.listener, self._wake, self._waker] + [end for pair in self._pairs
                                                               for end in pair]:
            end.close()

    def cut(self):
        """From now on nothing passes through the existing connections."""
        self._cut = {end for pair in self._pairs for end in pair}
        self._waker.send(b"x")

    def _run(self):
        while not self._ended:
            other = {a: b for one, two in self._pairs for a, b in ((one, two), (two, one))
                     if a not in self._cut}
            for end in select.select([self.listener, self._wake, *other], [], [])[0]:
                if end is self.listener:
                    near = end.accept()[0]
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(self.target)
                    self._pairs.append((near, far))
                    self.accepted += 1
                elif end is self._wake:
                    end.recv(1)
                elif end not in self._cut:
                    data = end.recv(65536)
                    if data:
                        other[end].sendall(data)
                    else:
                        self._pairs = [pair for pair in self._pairs if end not in pair]
                        end.close()
                        other[end].close()
                        break


def through(forwarder, db, host, port):
    """Makes a forwarder connect to another address."""
    with open(forwarder.config) as f:
        text = f.read()
    with open(forwarder.config, "w") as f:
        f.write(text.replace(f"host={db.server.host} port={db.server.port}",
                             f"host={host} port={port}"))
    return forwarder


def test_a_connection_that_is_dead_without_a_word_is_noticed(db, fwd):
    db.psql(TABLE)
    db.server.psql(f"ALTER DATABASE {db.name} SET wal_sender_timeout = '2s'")
    with Proxy(db.server) as proxy:
        with through(fwd(), db, "127.0.0.1", proxy.port) as forwarder:
            db.psql("INSERT INTO t VALUES (1)")
            forwarder.wait_for_events(1)
            # Idle is not dead: the server answers when it is asked.
            time.sleep(5)
            assert forwarder.status()["connects"] == 1
            mark = len(forwarder.log())
            proxy.cut()
            db.psql("INSERT INTO t VALUES (2)")
            forwarder.wait_for_log("has been silent for", mark, timeout=10)
            # The server, too, has to notice before the slot is free.
            events = forwarder.wait_for_events(2, timeout=15)
            assert [event["after"]["id"] for event in events] == [1, 2]
            assert forwarder.status()["connects"] == 2


def test_a_name_that_does_not_resolve_is_tried_again(db, fwd):
    forwarder = through(fwd(), db, "no-such-host.invalid", 5432)
    with forwarder.start(wait=False):
        forwarder.wait_for_log("attempt=2", timeout=60)
        assert "no-such-host.invalid" in forwarder.log() and "could not connect" in forwarder.log()
        assert forwarder.get("/healthz")[0] == 200
        code, text = forwarder.get("/readyz")
        assert code == 503 and "no-such-host.invalid" in text
        assert forwarder.terminate(60) == 0


def dsn(db):
    return f"host={db.server.host} port={db.server.port} user={pg.SUPERUSER} dbname={db.name}"


@pytest.mark.parametrize("color", [True, False], ids=["coloured", "plain"])
def test_tail_on_a_terminal_is_for_people(db, color):
    db.psql(TABLE)
    ours, theirs = pty.openpty()
    tail = subprocess.Popen([PROGRAM, "tail", dsn(db)] + ([] if color else ["--no-color"]),
                            stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    try:
        assert b"Ctrl-C" in tail.stderr.readline()
        db.psql("INSERT INTO t VALUES (1, 'one'); UPDATE t SET body = 'two'; DELETE FROM t; TRUNCATE t")
        text = ""
        while text.count("\n") < 8:
            assert select.select([ours], [], [], 10)[0], text
            text += os.read(ours, 65536).decode()
        lines = text.replace("\r\n", "\n").splitlines()
        for verb, code, number in (("insert", 32, 0), ("update", 33, 2), ("delete", 31, 4),
                                   ("truncate", 35, 6)):
            key = "" if verb == "truncate" else '{"id":1}'
            if color:
                assert re.fullmatch(rf"\x1b\[1;{code}m{verb} *\x1b\[0m \x1b\[1mpublic\.t\x1b\[0m "
                                    + re.escape(key), lines[number]), lines[number]
                document = re.fullmatch(r"  \x1b\[2m(.*)\x1b\[0m", lines[number + 1])[1]
            else:
                assert lines[number].split() == [verb, "public.t"] + ([key] if key else [])
                document = lines[number + 1]
            assert json.loads(document)["op"] == {"insert": "c"}.get(verb, verb[0])
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0
    finally:
        tail.kill()
        tail.wait()
        tail.stderr.close()
        os.close(ours)


@pytest.mark.parametrize("command", [
    ["version"], ["check", "CONFIG"], ["tail", "DSN"], ["drop", "CONFIG", "--yes"], ["run", "CONFIG"],
    ["replay", "--dry-run", "LETTERS", "CONFIG"]], ids=lambda command: command[0])
def test_a_reader_that_has_gone_kills_no_command(db, fwd, tmp_path, command):
    forwarder = fwd(root="drain: 1s", sinks="      - type: stdout\n" if command[0] == "run" else None)
    letters = tmp_path / "dead"
    letters.write_text("junk\n")
    words = {"CONFIG": forwarder.config, "DSN": dsn(db), "LETTERS": str(letters)}
    reading, writing = os.pipe()
    os.close(reading)
    db.psql(TABLE)
    process = subprocess.Popen([PROGRAM] + [words.get(word, word) for word in command],
                               stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    try:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            # Writes changes for programs that wait for them.
            db.psql("INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t")
            time.sleep(0.1)
        assert process.poll() is not None, "it waits for nothing"
        assert process.returncode >= 0, f"ended by signal {-process.returncode}"
    finally:
        process.kill()
        process.communicate()


def test_a_standard_error_that_is_not_read_stops_nothing(db, fwd):
    db.psql(TABLE)
    forwarder = fwd(root="log: {level: debug}\ndrain: 2s", sinks=http_sink(1),
                    pipeline="retry: {initial: 1ms, max: 2ms}")
    reading, writing = os.pipe()
    process = subprocess.Popen([PROGRAM, "run", forwarder.config], stdin=subprocess.DEVNULL,
                               stderr=writing)
    os.close(writing)
    try:
        pg.wait_until(lambda: db.server.slot(forwarder.slot) and
                      db.server.slot(forwarder.slot)["active"], 30, what="stream")
        db.psql("INSERT INTO t VALUES (1)")
        pg.wait_until(lambda: unread(reading) > 60_000, 30, what="a pipe that is full")
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.returncode >= 0, f"ended by signal {-process.returncode}"
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def unread(pipe):
    size = ctypes.c_int()
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size.value


def test_lines_that_found_no_room_are_counted(db, fwd):
    db.psql(TABLE)
    forwarder = fwd(sinks=http_sink(1), pipeline="retry: {initial: 1ms, max: 2ms}")
    process = subprocess.Popen([PROGRAM, "run", forwarder.config], stdin=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    try:
        pg.wait_until(lambda: (db.server.slot(forwarder.slot) or {}).get("active"), 30, what="stream")
        db.psql("INSERT INTO t VALUES (1)")
        pg.wait_until(lambda: unread(process.stderr.fileno()) > 60_000, 30, what="a pipe that is full")
        time.sleep(1)
        lines = b""
        while b"records are lost" not in lines:
            lines += os.read(process.stderr.fileno(), 65536)
        lines = lines.splitlines()[:-1]
        assert all(line.startswith((b"time=", b"(")) for line in lines), lines
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("status", [True, False], ids=["status", "pipelines"])
def test_a_thread_that_cannot_be_created_ends_the_program(db, fwd, status):
    forwarder = fwd()
    if not status:
        with open(forwarder.config) as f:
            text = f.read().replace("status:\n  listen: 127.0.0.1:0\n", "")
        with open(forwarder.config, "w") as f:
            f.write(text)

    def few_processes():
        # The limit does not count for root. A user with several processes is over the limit at once.
        if os.geteuid() == 0:
            os.setgid(54321)
            os.setuid(54321)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))

    # Folders of the tests are closed to others: the program and its configuration are inherited.
    with open(PROGRAM, "rb") as program, open(forwarder.config) as config:
        os.chmod(forwarder.config, 0o644)
        done = subprocess.run(
            ["walspout", "run", f"/dev/fd/{config.fileno()}"], timeout=60, text=True,
            executable=f"/dev/fd/{program.fileno()}", stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, pass_fds=(program.fileno(), config.fileno()),
            preexec_fn=few_processes, cwd="/")
    assert done.returncode == 1, done.stderr
    assert "Resource temporarily unavailable" in done.stderr
    assert status or "could not create a thread" in done.stderr


def test_help_names_every_command():
    text = run("--help").stdout
    for command in ("run", "check", "tail", "replay", "drop", "adopt", "version"):
        assert re.search(rf"^ +{command} +\w", text, re.M), text
        assert run(command, "--help").returncode == 0


@pytest.mark.parametrize("color", [True, False], ids=["coloured", "plain"])
def test_check_on_a_terminal_is_for_people(db, fwd, color):
    forwarder = fwd()
    ours, theirs = pty.openpty()
    check = subprocess.Popen([PROGRAM, "check", forwarder.config], stdin=subprocess.DEVNULL,
                             stdout=theirs, env={**os.environ, "NO_COLOR": "" if color else "1"})
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:     # the other end is closed
        pass
    finally:
        os.close(ours)
    assert check.wait(10) == 0
    assert (b"  \x1b[32mok   \x1b[0m wal_level is logical" in text) is color
    assert (b"  ok    wal_level is logical" in text) is not color
