"""A private Redis, and a connection to one."""

import contextlib
import json
import os
import socket
import subprocess

from harness.server import Server


class Connection:
    """Commands and answers in the plain protocol. Errors of the network are OSError.

    address: a port of 127.0.0.1, or the path of a Unix socket.
    """

    def __init__(self, address, timeout=30):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(("127.0.0.1", address), timeout)
        self.file = self.socket.makefile("rb")
        self.sent = 0           # bytes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        data = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.socket.sendall(data)
        self.sent += len(data)

    def answer(self):
        """A number, a status or an error is also bytes, without the sign before it."""
        line = self.file.readline()
        if not line:
            raise OSError("Redis is gone")
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        return rest

    def ask(self, *words):
        self.send(*words)
        return self.answer()


class Redis(Server):
    """It listens on a Unix socket, and on a port if one is given. By default it keeps nothing on disk.

    options: more of its command line.
    """

    def __init__(self, place, *options, port=0):
        super().__init__(place, "redis")
        self.folder = self.work.new_folder("redis")
        self.socket = os.path.join(self.work.socket_dir(), "redis")
        self.url = f"unix://{self.socket}"
        self.port = port
        self.options = options

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket,
                "--save", "", "--dir", self.folder, "--daemonize", "no", *self.options]

    def is_up(self):
        # The socket's file exists before Redis listens, and Redis listens before it has read its data.
        with contextlib.suppress(OSError):
            return self.call("PING") == b"PONG"

    def restart(self):
        """After a kill it starts with the data on its disk."""
        self.kill()
        self.start()

    def connect(self, timeout=30):
        return Connection(self.socket, timeout)

    def call(self, *words, timeout=30):
        """A command's answer; b"LOADING..." and the like are answers, too."""
        return self.calls([words], timeout)[0]

    def calls(self, commands, timeout=30):
        """The answers of several commands, sent at once."""
        if not commands:
            return []
        with self.connect(timeout) as connection:
            for command in commands:
                connection.send(*command)
            return [connection.answer() for _ in commands]

    def ask(self, *command):
        """The lines that redis-cli prints."""
        return subprocess.run(["redis-cli", "-s", self.socket, *command], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()

    def entries(self, stream):
        """[(id, {field: value})] of a stream."""
        reply = json.loads(self.ask("--json", "XRANGE", stream, "-", "+")[0])
        return [(entry[0], dict(zip(entry[1][::2], entry[1][1::2]))) for entry in reply]
