"""What all private servers have in common: a process that is started, stopped, killed, and frozen."""

import os
import signal
import subprocess

from harness import folders
from harness.ports import accepts
from harness.processes import die_with_parent, freeze, is_gone, signal_all, thaw
from harness.waiting import wait_until


class ServerError(Exception):
    """A server program failed; the text has its name and its output."""


class Server:
    """A program in a folder, and its log there. Use it in a `with`, which starts it and kills it.

    place: a WorkDir, which ends the server when the directory goes, or the path of a folder of the test's own.
    A subclass defines command(), which starts the program, and is_up(), whether it can be used. A server that has ended
    can be started again, with the data on its disk.
    """

    patience = 60           # seconds to wait until the server can be used
    as_server = True        # whether the server runs as the work directory's user
    session = True          # whether the terminal's signals do not reach the server
    death = signal.SIGKILL  # the signal that the server gets when the thread that started it ends

    def __init__(self, place, name):
        self.work = folders.place(place)
        self.name = name
        self.port = None
        self.env = {}       # variables of the process, in addition to ours
        self.log_path = os.path.join(self.work.path, f"{name}.log")
        self.begin = 0      # the position in the log where the process begins
        self.process = None
        self.work.at_exit(self.kill)

    def command(self):
        raise NotImplementedError

    def is_up(self):
        return accepts(self.port)

    def __enter__(self):
        """Starts the server, unless it runs."""
        return self if self.running() else self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self, timeout=None):
        self.launch()
        try:
            self.wait(self.is_up, timeout or self.patience, f"{self.name} that can be used")
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self, env=None, **more):
        """Starts it without waiting. more: arguments of Popen."""
        user = self.work.as_user() if self.as_server else {}
        with open(self.log_path, "ab") as log:
            self.begin = log.tell()
            self.process = subprocess.Popen(
                self.command(), **{"env": {**os.environ, **self.env, **(env or {})}, "stdin": subprocess.DEVNULL,
                                   "stdout": log, "stderr": log, "start_new_session": self.session,
                                   "preexec_fn": lambda: die_with_parent(self.death), **user, **more})

    def wait(self, condition, timeout, what):
        """Waits until the condition is true, while the process runs."""
        def met():
            if self.process.poll() is not None:
                raise ServerError(f"no {what}: {self.name} ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            return condition()
        return wait_until(met, timeout, every=0.005, what=what)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def pids(self):
        """The processes that a fault affects: the server itself first."""
        return [self.process.pid] if self.running() else []

    def stop(self, timeout=20):
        """Sends SIGTERM, and after a while SIGKILL; whether SIGTERM was enough."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                return False
        return True

    def kill(self):
        """Sends SIGKILL. Data that the server confirmed as durable must be on its disk."""
        pids = self.pids()
        signal_all(pids, signal.SIGKILL)
        if self.process:
            self.process.wait()
        for pid in pids[1:]:
            wait_until(lambda pid=pid: is_gone(pid), what=f"end of process {pid} of {self.name}")

    def freeze(self):
        freeze(*self.pids())

    def thaw(self):
        thaw(*self.pids())

    def log(self, start=0):
        """Its log, from a position on if one is given."""
        with open(self.log_path, errors="replace") as f:
            f.seek(start)
            return f.read()

    def log_tail(self, lines=40):
        return "".join(f"  {line}\n" for line in self.log().splitlines()[-lines:])
