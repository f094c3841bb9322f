"""HTTP receivers: one in this process that remembers requests, and one in a separate process that misbehaves on
demand."""

import http.server
import json
import os
import ssl
import sys
import threading
import urllib.request

from harness.folders import TOP
from harness.ports import free_port
from harness.server import Server

MISBEHAVING = os.path.join(TOP, "forwarder", "test", "sink", "http", "http_server.py")


class Webhook(http.server.ThreadingHTTPServer):
    """A receiver that remembers the ids of accepted events, and the requests, as (headers, body).

    answer(number, id) gives the status; by default every event is accepted. judge(body), if set, gives the status from
    the parsed body; `bodies` then has the accepted parsed bodies. Use it in a `with`.
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
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self):
        self.shutdown()
        self._thread.join()
        self.server_close()

    def take(self, headers, body):
        """Handles a request; returns the status of the answer."""
        self.requests.append((headers, body))
        if self.judge:
            parsed = json.loads(body)
            status = self.judge(parsed)
        else:
            status = self.answer(len(self.requests), headers["webhook-id"])
        if 200 <= status < 300:
            if self.judge:
                self.bodies.append(parsed)
            self.ids.append(headers["webhook-id"])
        return status


class _Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.take(self.headers, body))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class MisbehavingWebhook(Server):
    """http_server.py, over TLS. It stores a request before it answers, and misbehaves on demand.

    A subclass writes certificate and key into `cert` and `key` of its folder before the start.
    """

    def __init__(self, place, name="webhook"):
        super().__init__(place, name)
        self.port = free_port()
        self.folder = self.work.mkdir(name)
        self.program = self.work.copy(MISBEHAVING, f"{name}.py")
        self.requests = os.path.join(self.folder, "requests")

    def command(self):
        return [sys.executable, "-B", self.program, self.folder, str(self.port),
                os.path.join(self.folder, "cert"), os.path.join(self.folder, "key")]

    def control(self, message):
        """Sets the behaviour; http_server.py lists them."""
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/_control",
                                         json.dumps(message).encode(), method="POST")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        urllib.request.urlopen(request, timeout=10, context=context).close()
