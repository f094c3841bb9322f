"""Compares the slot's position with what a receiver has, all the time.

A position that is confirmed too early loses events only if the forwarder dies at that moment. The watch does not wait
for such a death. It asks each slot for its position again and again, and after that the receiver how much it has. The
receiver must have all events that the slot had passed; `checker.py` tests that.
"""

import threading

import psycopg2

from torture import checker
from harness import postgres as pg

EVERY = 0.02            # seconds between looks


class Watch:
    """A thread that looks at one slot and one receiver until stop(): `looks`, oldest first.

    `error` has the reason why it could not look: a watch that saw nothing must not count as a success.
    """

    def __init__(self, cluster, slot, there, set_aside=lambda: 0):
        """`there` and `set_aside` return how far arrivals have come, as Arrival.place measures it. They raise an
        OSError while that is unknown."""
        self.cluster = cluster
        self.slot = slot
        self.there = there
        self.set_aside = set_aside
        self.looks = []
        self.error = None
        self._connection = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        try:
            last = None
            while not self._stopping.wait(EVERY):
                confirmed = self._confirmed()
                if confirmed is None or confirmed == last:
                    continue
                # For a receiver that is down, its next answer is good enough.
                reach = self._reach()
                if reach:
                    self.looks.append(checker.Look(confirmed, *reach))
                    last = confirmed
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self._disconnect()

    def _confirmed(self):
        try:
            if not self._connection:
                self._connection = self.cluster.connect(connect_timeout=10)
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT confirmed_flush_lsn FROM pg_replication_slots "
                               "WHERE slot_name = %s", (self.slot,))
                return pg.lsn(cursor.fetchone()[0])
        except psycopg2.Error:          # killed, or on its way up
            self._disconnect()
            return None

    def _disconnect(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def _reach(self):
        while True:
            try:
                return self.there(), self.set_aside()
            except OSError:
                if self._stopping.wait(EVERY):
                    return None
