"""The status server answers each client, whatever other clients do."""

import contextlib
import http.client
import socket
import threading
import time

from harness import postgres as pg
import pytest

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"
SLOW = {"nothing": b"", "half a request": b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Half: ",
        "a body that never comes": b"POST /status HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        "no reader": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50}


@contextlib.contextmanager
def clients(port, count, says):
    with contextlib.ExitStack() as stack:
        def connect():
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            with contextlib.suppress(OSError):
                client.sendall(says)
            return client
        yield [connect() for _ in range(count)]


def fastest(forwarder, path, times=5):
    """Seconds of the fastest of some answers: a busy machine may hold up one, a server holds up all."""
    taken = []
    for _ in range(times):
        start = time.monotonic()
        assert forwarder.get(path)[0] == 200
        taken.append(time.monotonic() - start)
    return min(taken)


@pytest.mark.parametrize("what", SLOW)
def test_slow_clients_hold_up_no_other(db, fwd, what):
    db.psql(TABLE)
    with fwd() as forwarder:
        with clients(forwarder.status_port(), 200, SLOW[what]):
            assert fastest(forwarder, "/healthz") < 1
            assert fastest(forwarder, "/metrics") < 1
            start = time.monotonic()
            assert forwarder.terminate() == 0
            assert time.monotonic() - start < 10


def test_headers_without_end_hold_up_no_other(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        before = pg.memory_bytes(forwarder.process.pid)["VmHWM"]
        done = threading.Event()

        def drip():
            while not done.is_set():
                with contextlib.suppress(OSError), \
                        socket.create_connection(("127.0.0.1", forwarder.status_port()), 10) as client:
                    client.sendall(b"GET / HTTP/1.1\r\n")
                    while not done.is_set():
                        client.sendall(b"X: y\r\n" * 1000)
        threads = [threading.Thread(target=drip) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            assert fastest(forwarder, "/healthz") < 1
            assert fastest(forwarder, "/metrics") < 1
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert pg.memory_bytes(forwarder.process.pid)["VmHWM"] - before < 8 << 20


def test_a_connection_can_be_used_again(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        connection = http.client.HTTPConnection("127.0.0.1", forwarder.status_port(), timeout=10)
        sockets = set()
        for path in ("/metrics", "/healthz", "/status", "/nothing"):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert int(answer.headers["content-length"]) == len(body) > 0
            connection.request("HEAD", path)
            head = connection.getresponse()
            assert head.status == answer.status and head.read() == b""
            assert head.headers["content-type"] == answer.headers["content-type"]
            sockets.add(connection.sock)
        assert len(sockets) == 1
        connection.request("POST", "/status", b"x" * 1000)
        assert connection.getresponse().status == 405
        connection.close()
