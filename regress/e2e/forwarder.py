"""The forwarder in tests: a process that reads a slot and delivers to files that are easy to read."""

import http.server
import json
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request

import cluster as pg

PROGRAM = os.environ.get("WALSPOUT") or os.path.join(pg.TOP, "build", "forwarder", "walspout")

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


def file_sink(path, **more):
    lines = ["- type: file", f"  path: {path}"] + [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


def http_sink(port, **more):
    lines = ["- type: http", f"  url: http://127.0.0.1:{port}/"]
    lines += [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


class Webhook(http.server.ThreadingHTTPServer):
    """A receiver that remembers the ids of what it took, and the requests, as (headers, body).

    answer(number, id) says with which status; by default everything is taken. judge(body), if set,
    says so from the parsed body; `bodies` are the parsed ones that were taken then.
    """

    daemon_threads = True

    def __init__(self, port=0, answer=lambda number, id: 204):
        self.ids = []
        self.requests = []
        self.bodies = []
        self.answer = answer
        self.judge = None
        super().__init__(("127.0.0.1", port), _Hook)
        self.port = self.server_address[1]

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.headers, body))
        if self.server.judge:
            parsed = json.loads(body)
            status = self.server.judge(parsed)
        else:
            status = self.server.answer(len(self.server.requests), self.headers["webhook-id"])
        if 200 <= status < 300:
            if self.server.judge:
                self.server.bodies.append(parsed)
            self.server.ids.append(self.headers["webhook-id"])
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Forwarder:
    """A running `walspout run`. Use it in a `with`: the end of that ends the program."""

    def __init__(self, db, folder, name="main", sinks=None, source="", pipeline="", root="drain: 5s",
                 slot=None, dsn=None):
        self.db = db
        self.slot = slot or f"{db.name}_fwd"
        self.output = os.path.join(folder, f"{name}.jsonl")
        self.config = os.path.join(folder, f"{name}.yaml")
        self.log_path = os.path.join(folder, f"{name}.log")
        indent = lambda text, width: "".join(" " * width + line + "\n"       # noqa: E731
                                             for line in text.splitlines())
        with open(self.config, "w") as f:
            f.write(CONFIG.format(
                dsn=dsn or f"host={db.server.host} port={db.server.port} user={pg.SUPERUSER} "
                           f"dbname={db.name}",
                slot=self.slot, source=indent(source, 6), sinks=sinks or file_sink(self.output),
                pipeline=indent(pipeline, 4), root=root))
        self.process = None

    def __enter__(self):
        """Starts it, unless it runs."""
        return self if self.process and self.process.poll() is None else self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self, wait=True, **more):
        log = open(self.log_path, "ab")
        start = log.tell()
        self.process = subprocess.Popen([PROGRAM, "run", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=log,
                                        preexec_fn=die_with_parent, **more)
        log.close()
        if wait:
            self.wait_for_log("msg=streaming", start)
        return self

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self.process.stdout.close()
        self.process = None

    def terminate(self, timeout=20):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def log(self, start=0):
        with open(self.log_path) as f:
            f.seek(start)
            return f.read()

    def wait_for_log(self, text, start=0, timeout=30):
        def found():
            if text in self.log(start):
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.log(start)}")
            return False
        try:
            pg.wait_until(found, timeout, what=f"{text!r} in the log")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.log()}") from None

    def events(self, path=None):
        """All that was written, parsed; a line that is being written is left out."""
        try:
            with open(path or self.output) as f:
                lines = f.read().split("\n")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines[:-1]]

    def wait_for_events(self, count, timeout=30, path=None):
        """At least `count` different events, in the order of their first arrival."""
        def enough():
            unique = {event["id"]: event for event in self.events(path)}
            return list(unique.values()) if len(unique) >= count else None
        try:
            return pg.wait_until(enough, timeout, what=f"{count} events")
        except TimeoutError as error:
            raise AssertionError(f"{error}, but {len(self.events(path))}: {self.log()}") from None

    def port(self):
        return int(re.findall(r"status server listens.* port=(\d+)", self.log())[-1])

    def get(self, path):
        """(code, text) of the status server's answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=5) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self):
        return json.loads(self.get("/status")[1])["pipelines"][0]


def die_with_parent():
    pg.die_with_parent(signal.SIGKILL)


class Redis:
    """A private Redis on a unix socket. Use it in a `with`."""

    def __init__(self, folder, *options):
        self.socket = os.path.join(folder, "redis.sock")
        self.url = f"unix://{self.socket}"
        self.command = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir",
                        folder, *options]
        self._start()

    def _start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def restart(self):
        """Killed, it comes back with what is on its disk."""
        self.__exit__()
        self._start()
        self.__enter__()

    def __enter__(self):
        # The socket's file is there before Redis listens.
        ping = ["redis-cli", "-s", self.socket, "PING"]
        pg.wait_until(lambda: subprocess.run(ping, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                             text=True).stdout == "PONG\n", 60,
                      what="Redis that answers")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, *command):
        """The lines that redis-cli prints."""
        return subprocess.run(["redis-cli", "-s", self.socket, *command], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()

    def entries(self, stream):
        """[(id, {field: value})] of a stream."""
        reply = json.loads(self.ask("--json", "XRANGE", stream, "-", "+")[0])
        return [(entry[0], dict(zip(entry[1][::2], entry[1][1::2]))) for entry in reply]


def run(*args, timeout=30, **more):
    """A command of the program that ends by itself."""
    return subprocess.run([PROGRAM, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout,
                          preexec_fn=die_with_parent, **more)
