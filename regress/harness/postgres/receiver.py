"""pg_recvlogical, which reads a slot."""

import os
import selectors
import signal
import subprocess
import tempfile
import time

from harness.server import ServerError
from harness.waiting import wait_until


def lsn(text):
    """'16/B374D848' as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Receiver:
    """A running pg_recvlogical. Use it in a `with`: the end of that ends the program."""

    def __init__(self, cluster, slot, db, options, args, stdout, settings):
        self.cluster = cluster
        self.slot = slot
        command = [cluster.installation.program("pg_recvlogical"), "-d", db, "-S", slot,
                   "--start", "--no-loop", "-f", "-", *args]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        pgoptions = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._errors = tempfile.TemporaryFile()
        self._reader = None
        self._pending = b""
        self.process = subprocess.Popen(command, env=cluster.client_env(PGOPTIONS=pgoptions),
                                        stdout=stdout, stdin=subprocess.DEVNULL,
                                        stderr=self._errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def walsender(self, timeout=30):
        """The server process that feeds this program."""
        return wait_until(self._walsender, timeout, every=0.005, what=f"walsender for {self.slot}")

    def sent_lsn(self):
        """Everything before this LSN has been decoded and sent."""
        if self.process.poll() is not None:
            raise ServerError(f"pg_recvlogical ended with {self.process.returncode}: "
                              f"{self.errors()}")
        text = self.cluster.value(
            "SELECT sent_lsn::text FROM pg_stat_replication r JOIN pg_replication_slots s "
            "ON s.active_pid = r.pid WHERE slot_name = %s", args=(self.slot,))
        return lsn(text) if text else 0

    def errors(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def lines(self, timeout=60):
        """All lines until the program ends by itself, as it does with --endpos."""
        try:
            output, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise TimeoutError(f"pg_recvlogical did not end within {timeout} s: "
                               f"{self.errors()}") from None
        if self.process.returncode:
            raise ServerError(f"pg_recvlogical failed: {self.errors()}")
        return output.decode().split("\n")[:-1]

    def line(self, timeout=30):
        """The next line, which is a message of the plugin's."""
        if not self._reader:
            self._reader = selectors.DefaultSelector()
            self._reader.register(self.process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            if not self._reader.select(max(0, deadline - time.monotonic())):
                raise TimeoutError(f"no line within {timeout} s: {self.errors()}")
            chunk = os.read(self.process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise ServerError(f"pg_recvlogical ended: {self.errors()}")
            self._pending += chunk
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode()

    def stop(self, number=signal.SIGINT, timeout=30):
        """Ends the program, and waits until the server has released the slot, too."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self.cluster.process:
            wait_until(lambda: not self.cluster.walsender(self.slot), timeout,
                       what=f"end of the walsender of {self.slot}")

    def _walsender(self):
        if self.process.poll() is not None:
            raise ServerError(f"pg_recvlogical ended with {self.process.returncode}: "
                              f"{self.errors()}")
        return self.cluster.walsender(self.slot)
