"""A private NATS server with JetStream, and a client of a few lines.

No client library for Python is in Debian, and a test should not share the forwarder's own.
"""

import collections
import contextlib
import json
import os
import socket

from harness.ports import free_port
from harness.processes import find_program
from harness.server import Server

PROGRAM = find_program("nats-server")
CONFIG = """\
listen: "127.0.0.1:{port}"
server_name: test
max_payload: 32MB
max_pending: 1GB        # a test reads a whole stream at once
jetstream {{ store_dir: "{folder}/store", max_file_store: 20GB, max_memory_store: 1GB }}
{more}"""


class Nats(Server):
    """A kill of the process does not lose acknowledged messages. more: lines of its configuration."""

    def __init__(self, place, more=""):
        assert PROGRAM, "nats-server is not installed: apt-get install nats-server"
        super().__init__(place, "nats")
        self.port = free_port()
        self.folder = self.work.new_folder("nats")
        self.config = os.path.join(self.folder, "nats.conf")
        with open(self.config, "w") as f:
            f.write(CONFIG.format(port=self.port, folder=self.folder, more=more))
        self.work.own_tree(self.folder)

    def command(self):
        return [PROGRAM, "-c", self.config]

    def is_up(self):
        with contextlib.suppress(OSError), self.client():
            return True

    def client(self, timeout=30):
        return Client(self.port, timeout)

    def messages(self, stream):
        with self.client() as client:
            return client.messages(stream)


class Message:
    def __init__(self, subject, headers, body):
        self.subject = subject
        self.body = body
        lines = headers.decode().split("\r\n")[1:]
        self.headers = dict(line.split(": ", 1) for line in lines if line)


class Client:
    """A connection. Errors are OSError."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")
        self.line()         # INFO
        self.inboxes = 0
        self.early = collections.deque()        # messages that came before the answer to a question
        self.send(b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise OSError("NATS is gone")
        if line.startswith(b"-ERR"):
            raise OSError(f"NATS says {line}")
        return line.rstrip(b"\r\n")

    def message(self):
        """The next message."""
        while True:
            words = self.line().split(b" ")
            if words[0] == b"PING":
                self.send(b"PONG\r\n")
            elif words[0] in (b"MSG", b"HMSG"):
                headers = int(words[-2]) if words[0] == b"HMSG" else 0
                data = self.file.read(int(words[-1]) + 2)[:-2]
                return Message(words[1].decode(), data[:headers], data[headers:])

    def listen(self):
        """The subject of a new inbox."""
        self.inboxes += 1
        inbox = f"_INBOX.test.{os.getpid()}.{id(self)}.{self.inboxes}"
        self.send(b"SUB %s %d\r\n" % (inbox.encode(), self.inboxes))
        return inbox

    def ask(self, question, **what):
        """JetStream's answer, as an object."""
        inbox, body = self.listen(), json.dumps(what).encode() if what else b""
        self.send(b"PUB $JS.API.%s %s %d\r\n%s\r\n" % (question.encode(), inbox.encode(), len(body), body))
        answer = self.message()
        while answer.subject != inbox:
            self.early.append(answer)
            answer = self.message()
        if not answer.body:
            raise OSError("JetStream does not answer")
        found = json.loads(answer.body)
        if "error" in found:
            raise OSError(f"JetStream says {found['error']}")
        return found

    def add_stream(self, name, *subjects, **more):
        self.ask(f"STREAM.CREATE.{name}", name=name, subjects=subjects,
                 **{"storage": "file", "retention": "limits", "num_replicas": 1, "max_msgs": -1,
                    "max_bytes": -1, "discard": "old", "duplicate_window": 600 * 10**9, **more})

    def change_stream(self, name, **changes):
        config = self.ask(f"STREAM.INFO.{name}")["config"]
        self.ask(f"STREAM.UPDATE.{name}", **{**config, **changes})

    def count(self, name):
        return self.ask(f"STREAM.INFO.{name}")["state"]["messages"]

    def messages(self, name):
        """All messages of the stream, which keeps them."""
        left, inbox = self.count(name), self.listen()
        if left:
            self.ask(f"CONSUMER.CREATE.{name}", stream_name=name, config={
                "deliver_subject": inbox, "ack_policy": "none", "deliver_policy": "all",
                "replay_policy": "instant", "max_deliver": -1})
        return [self.early.popleft() if self.early else self.message() for _ in range(left)]
