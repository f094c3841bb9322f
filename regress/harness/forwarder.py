"""The forwarder as tests run it: `walspout run` with a configuration, and other commands."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request

from harness.folders import TOP
from harness.postgres.cluster import SUPERUSER
from harness.processes import die_with_parent
from harness.server import Server
from harness.waiting import wait_until

PROGRAM = os.environ.get("WALSPOUT") or os.path.join(TOP, "build", "forwarder", "walspout")

CONFIG = """\
pipelines:
  - name: test
    source:
      dsn: {dsn}
      slot: {slot}
{source}
    sinks:
{sinks}
{pipeline}
status:
  listen: 127.0.0.1:0
{root}
"""


def run(*args, timeout=30, **more):
    """A command of the program that ends by itself."""
    return subprocess.run([PROGRAM, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout,
                          preexec_fn=die_with_parent, **more)


def file_sink(path, **more):
    lines = ["- type: file", f"  path: {path}"] + [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


def http_sink(port, **more):
    lines = ["- type: http", f"  url: http://127.0.0.1:{port}/"]
    lines += [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


class Walspout(Server):
    """A running `walspout run`, with any configuration."""

    as_server = False       # the program is in the repository, which the servers' user may not be able to read
    session = False

    def __init__(self, place, config, name="walspout"):
        super().__init__(place, name)
        self.config = os.path.join(self.work.path, f"{name}.yaml")
        with open(self.config, "w") as f:
            f.write(config)

    def command(self):
        return [PROGRAM, "run", self.config]

    def start(self, wait=True, **more):
        """more: arguments of Popen."""
        self.launch(**more)
        if wait:
            self.wait_for_log("msg=streaming", self.begin)
        return self

    def terminate(self, timeout=20):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def wait_for_log(self, text, start=0, timeout=30):
        def found():
            if text in self.log(start):
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.log(start)}")
            return False
        try:
            wait_until(found, timeout, what=f"{text!r} in the log")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.log()}") from None

    # What its status server says

    def status_port(self):
        """The port of the status server, once there is one."""
        ports = re.findall(r"status server listens.* port=(\d+)", self.log(self.begin))
        return int(ports[-1]) if ports else None

    def get(self, path, timeout=5):
        """(code, text) of the answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port()}{path}", timeout=timeout) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self):
        return json.loads(self.get("/status")[1])["pipelines"][0]

    def metrics(self):
        """{"name{labels}": number} of its /metrics."""
        self.wait(self.status_port, 60, "status server")
        lines = [line.rsplit(" ", 1) for line in self.get("/metrics", 10)[1].splitlines()
                 if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def sum_of(self, name):
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)


class Forwarder(Walspout):
    """`walspout run` on a slot of a test's database, which has a server and a name. By default it writes a file."""

    def __init__(self, db, folder, name="main", sinks=None, source="", pipeline="", root="drain: 5s",
                 slot=None, dsn=None):
        self.db = db
        self.slot = slot or f"{db.name}_fwd"
        self.output = os.path.join(folder, f"{name}.jsonl")
        super().__init__(folder, CONFIG.format(
            dsn=dsn or f"host={db.server.host} port={db.server.port} user={SUPERUSER} dbname={db.name}",
            slot=self.slot, source=_indent(source, 6), sinks=sinks or file_sink(self.output),
            pipeline=_indent(pipeline, 4), root=root), name)

    def events(self, path=None):
        """All written lines, parsed; an incomplete line is left out."""
        try:
            with open(path or self.output, "rb") as f:     # the end may be half a character
                lines = f.read().split(b"\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines[:-1]]

    def wait_for_events(self, count, timeout=30, path=None):
        """At least `count` different events, in the order of their first arrival."""
        def enough():
            unique = {event["id"]: event for event in self.events(path)}
            return list(unique.values()) if len(unique) >= count else None
        try:
            return wait_until(enough, timeout, what=f"{count} events")
        except TimeoutError as error:
            raise AssertionError(f"{error}, but {len(self.events(path))}: {self.log()}") from None


def _indent(text, width):
    return "".join(" " * width + line + "\n" for line in text.splitlines())
