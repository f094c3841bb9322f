#!/usr/bin/env python3
"""A webhook receiver that misbehaves on demand, for the tests of the http sink.

    http_server.py DIRECTORY PORT [CERTIFICATE KEY [CA]]

With a CA it asks for a certificate signed by that CA. Replaced files apply from the next connection on.

Every request is appended to DIRECTORY/requests as one JSON line before the answer. So a test can tell what
had arrived when the sink returned. A line that is no JSON was truncated by the end of the server.
POST /_control sets the answers:

    {"queue": [BEHAVIOUR, ...], "default": BEHAVIOUR}

Each request takes one behaviour from the queue; then the default applies. A behaviour has any of

    status      200 by default
    headers     {"Name": "value"}
    connect     status with which a proxy answers CONNECT
    early       lines of an informational answer before it, 103 Early Hints
    body        text of the answer
    body_bytes  an answer of that many bytes
    delay       seconds before the answer
    drip        seconds between the answer's bytes
    do          "answer" (default), "garbage", "close" (no answer at all),
                "cut" (closes in the middle of the answer), "behead" (within its headers, after
                the bytes of "body"), "hang" (until the client goes away), "raw" (the bytes of
                "body", then as "then" says: "close", "reset", "hang" until the client goes away, or
                "flood": "flood" again and again until then)

    early_ok    the head of a 200 goes out before the request's body is read: then "read" it, slowly, or
                "reset" the connection, or "close" it: after the whole answer, which says so

With "match": {"text": BEHAVIOUR} in the control message, a request whose body has the text gets that
behaviour, whatever the queue says.
"""

import contextlib
import http.server
import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time


class State:
    def __init__(self, directory):
        self.lock = threading.Lock()
        self.queue = []
        self.default = {}
        self.match = {}
        self.active = 0
        self.log = open(directory + "/requests", "ab+")
        # A server that was killed may have left half a line, for which no client got an answer.
        if self.log.tell() > 0:
            self.log.seek(-1, os.SEEK_END)
            if self.log.read() != b"\n":
                self.log.write(b"\n")

    def control(self, message):
        with self.lock:
            self.queue = list(message.get("queue", []))
            self.default = message.get("default", {})
            self.match = message.get("match", {})

    def behaviour(self, body):
        for text, behaviour in self.match.items():
            if text in body:
                return behaviour
        return self.queue.pop(0) if self.queue else self.default

    def record(self, entry):
        self.log.write(json.dumps(entry).encode() + b"\n")
        self.log.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        length = int(self.headers.get("Content-Length", -1))
        early = self.server.state.default.get("early_ok")
        if early and self.path != "/_control":
            self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")
            if early == "close":
                self.connection.sendall(b"Connection: close\r\n\r\nok")
                self.wait_for_end()
                return
            self.connection.sendall(b"\r\n")
            if early == "reset":
                self.behave({"do": "raw", "body": "", "then": "reset"})
                return
            time.sleep(2)
        body = self.rfile.read(max(length, 0))
        # The client left within the headers or the body: this is no request.
        if len(body) < length or length < 0:
            self.close_connection = True
            return
        body = body.decode("utf-8")
        if self.path == "/_control":
            self.server.state.control(json.loads(body))
            self.answer({})
            return
        state = self.server.state
        with state.lock:
            behaviour = state.behaviour(body)
            state.active += 1
            state.record({
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body,
                "status": behaviour.get("status", 200) if behaviour.get("do", "answer") == "answer" else 0,
                "do": behaviour.get("do", "answer"),
                "port": self.client_address[1],
                "active": state.active,
                "time": time.time(),
            })
        try:
            if early:
                self.connection.sendall(b"OK")
                return
            time.sleep(behaviour.get("delay", 0))
            self.behave(behaviour)
        except OSError:
            self.close_connection = True
        finally:
            with state.lock:
                state.active -= 1

    do_PUT = do_POST

    def do_CONNECT(self):
        """Acts as a proxy that opens the tunnel and loses the data in it, or answers as "connect" says."""
        with self.server.state.lock:
            status = self.server.state.default.get("connect", 200)
        if status != 200:
            self.answer({"status": status})
            return
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.close_connection = True

    def behave(self, behaviour):
        do = behaviour.get("do", "answer")
        if do == "answer":
            self.answer(behaviour)
            return
        self.close_connection = True
        if do == "garbage":
            self.connection.sendall(b"\x00\xff 220 this is not HTTP\r\n\r\n" * 10)
        elif do == "cut":
            self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        elif do == "behead":
            self.connection.sendall(behaviour["body"].encode())
        elif do == "hang":
            select.select([self.connection], [], [], 60)
        elif do == "raw":
            self.connection.sendall(behaviour["body"].encode())
            self.end(behaviour.get("then", "close"), behaviour)

    def wait_for_end(self):
        """Reads nothing, so that the client cannot send all of a long body."""
        self.close_connection = True
        gone = select.poll()
        gone.register(self.connection, select.POLLRDHUP)
        gone.poll(60_000)

    def end(self, then, behaviour):
        if then == "hang":
            select.select([self.connection], [], [], 60)
        elif then == "reset":
            time.sleep(0.05)  # the client reads what came before
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif then == "flood":
            end = time.monotonic() + 60
            while time.monotonic() < end:
                self.connection.sendall(behaviour["flood"].encode())
                time.sleep(behaviour.get("drip", 0))

    def answer(self, behaviour):
        body = behaviour.get("body", "").encode("utf-8") or b"x" * behaviour.get("body_bytes", 0)
        if "early" in behaviour:
            lines = "\r\n".join(["HTTP/1.1 103 Early Hints", *behaviour["early"], "", ""])
            self.wfile.write(lines.encode())
        self.send_response(behaviour.get("status", 200))
        for name, value in behaviour.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "drip" not in behaviour:
            self.wfile.write(body)
            return
        for i in range(len(body)):
            self.wfile.write(body[i:i + 1])
            time.sleep(behaviour["drip"])


class Tls:
    """Appends the name that a client sends to DIRECTORY/names."""

    def __init__(self, directory, certificate, key, ca=None):
        self.names = directory + "/names"
        self.files = (certificate, key)
        self.ca = ca
        self.context = None
        self.seen = None

    def wrap(self, client):
        seen = [os.stat(path).st_mtime_ns for path in self.files]
        if seen != self.seen:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with contextlib.suppress(ssl.SSLError):     # only one of them is replaced so far
                context.load_cert_chain(*self.files)
                if self.ca:
                    context.verify_mode = ssl.CERT_REQUIRED
                    context.load_verify_locations(self.ca)
                context.sni_callback = self.note_name
                self.context, self.seen = context, seen
        return self.context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)

    def note_name(self, _, name, __):
        with open(self.names, "a") as f:
            f.write(f"{name}\n")


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    tls = None

    def get_request(self):
        client, address = super().get_request()
        # The handshake takes place when the connection is read, and holds up no other client.
        return (self.tls.wrap(client) if self.tls else client), address

    def handle_error(self, request, client_address):
        pass


def main():
    directory, port = sys.argv[1], int(sys.argv[2])
    server = Server(("127.0.0.1", port), Handler)
    server.state = State(directory)
    if len(sys.argv) > 3:
        server.tls = Tls(directory, *sys.argv[3:])
    server.serve_forever()


if __name__ == "__main__":
    main()
