"""A TCP proxy that misbehaves on demand, as a bad network does.

    pass        forwards all bytes
    delay       forwards bytes later
    slow        forwards few bytes at a time
    blackhole   accepts connections and bytes, and forwards nothing, as a firewall that drops packets

    sever       resets each connection after a few blocks, in the middle of a block: data in flight
                are lost, which seldom happens when a connection is cut at any moment
    ration      resets each connection after a number of bytes from the server

cut() resets all connections; half_open() closes the server's ends and tells the clients nothing
until heal(), as a server that lost its power.
"""

import contextlib
import random
import socket
import struct
import threading
import time

BLOCK = 65536
TRICKLE = 2048
PAUSE = 0.02
SEVERED = 0.1       # of the blocks


class Proxy:
    """target: a port of 127.0.0.1, or the path of a Unix socket."""

    def __init__(self, target):
        self.target = target
        self.mode = "pass"
        self.seconds = 0.0
        self.lock = threading.Lock()
        self.pairs = {}             # (client, server): how many directions are open
        self.received = 0           # bytes from the target, of all connections
        self.accepted = 0           # connections, so far
        self.spy = None             # a function that gets the clients' bytes before they are forwarded
        self.portion = 0            # bytes from the target that a connection gets in mode "ration"
        self.closed = False
        self.listener, self.port = None, 0
        self._listen("127.0.0.1")

    def _listen(self, address):
        self.address = address
        self.listener = socket.create_server((address, self.port), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def move(self, address):
        """Moves the proxy to another address, with the same port. The old address refuses connections."""
        with self.lock:
            listener, self.listener = self.listener, None
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self.cut()
        self._listen(address)

    def delay(self, seconds):
        self.mode, self.seconds = "delay", seconds

    def slow(self):
        self.mode = "slow"

    def blackhole(self):
        self.mode = "blackhole"

    def half_open(self):
        self.mode = "blackhole"
        for _, server in self._pairs():
            self._reset(server)

    def cut(self):
        for pair in self._pairs():
            for end in pair:
                self._reset(end)

    def sever(self):
        self.mode = "sever"

    def ration(self, portion):
        """Counts from now on, also for connections that exist."""
        self.portion = portion
        self.mode = "ration"

    def heal(self, cut=False):
        """Forwards again. With `cut`, both ends lose the connection instead, in the middle of the waiting bytes."""
        if cut:
            self.mode = "ending"
            time.sleep(2 * PAUSE)
            self.cut()
        self.mode = "pass"

    def close(self):
        self.closed = True
        self.listener.close()
        self.heal(cut=True)

    def _pairs(self):
        with self.lock:
            return list(self.pairs)

    @staticmethod
    def _reset(end):
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            end.close()

    def _accept(self, listener):
        while not self.closed:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._connect, args=(client, listener), daemon=True).start()

    def _connect(self, client, listener):
        self._wait_while_black()
        family = socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET
        server = socket.socket(family)
        try:
            server.connect(self.target if family == socket.AF_UNIX else ("127.0.0.1", self.target))
        except OSError:
            self._reset(client)
            self._reset(server)
            return
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if family == socket.AF_INET:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self.lock:
            self.pairs[pair] = 2
            moved = listener is not self.listener
        # A move that began meanwhile did not see this pair.
        if moved:
            for end in pair:
                self._reset(end)
        for source, sink in (pair, pair[::-1]):
            threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _wait_while_black(self):
        while self.mode == "blackhole" and not self.closed:
            time.sleep(PAUSE)

    def _pump(self, source, sink, pair):
        rationed = 0
        try:
            while True:
                data = source.recv(TRICKLE if self.mode == "slow" else BLOCK)
                if source is pair[1]:
                    with self.lock:
                        self.received += len(data)
                elif self.spy:
                    self.spy(data)
                mode = self.mode
                if mode == "delay":
                    time.sleep(self.seconds)
                elif mode == "slow":
                    time.sleep(PAUSE)
                self._wait_while_black()
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if self.mode == "ending" or (mode == "sever" and random.random() < SEVERED):
                    sink.sendall(data[:len(data) // 2])
                    raise OSError("severed")
                rationed = rationed + len(data) if self.mode == "ration" else 0
                if rationed > self.portion and source is pair[1]:
                    sink.sendall(data[:len(data) // 2])
                    raise OSError("it had its portion")
                sink.sendall(data)
        except OSError:
            # While the proxy forwards nothing, it does not forward the end of a connection either.
            self._wait_while_black()
            for end in pair:
                self._reset(end)
        finally:
            with self.lock:
                self.pairs[pair] -= 1
                last = not self.pairs[pair]
                if last:
                    del self.pairs[pair]
            if last:
                for end in pair:
                    end.close()
