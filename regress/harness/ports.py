"""Ports of 127.0.0.1."""

import random
import socket


def free_port():
    """A port without a listener, which the system does not give to clients."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first = int(f.read().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, max(first, 20_000))
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def accepts(address, timeout=0.5):
    """Whether a program listens at a port, or at the path of a Unix socket."""
    unix = isinstance(address, str)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as s:
        s.settimeout(timeout)
        return s.connect_ex(address if unix else ("127.0.0.1", address)) == 0


class ClosedPort:
    """A port that refuses connections. It is held until its release, so that no other program can get it."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))     # and no listen()
        self.number = self._socket.getsockname()[1]

    def release(self):
        self._socket.close()
        return self.number

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
