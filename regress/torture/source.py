"""A database with its slots, writers, watches and the truth. A run has one or two sources; two sources have the same
tables, and the same receivers."""

from torture import checker
from torture import truth
from torture.watch import Watch
from torture.workload import SCHEMA, Workload


class Source:
    def __init__(self, db, number):
        self.db = db
        self.number = number    # of several, from 0
        self.slots = []         # of its pipelines
        self.watches = {}       # sink: of its slot
        self.workload = None
        self.documents = []     # the truth, once it was asked
        self.changes = []
        self.tables = {}

    def called(self, sink):
        """How findings name a sink of this source."""
        return f"{sink}/{self.number + 1}" if self.number else sink

    def make(self, leader):
        leader.createdb(self.db)
        leader.psql(SCHEMA, self.db)

    def write(self, leader, seed, folder, rows, writers, rate):
        """Prepares the writers; they start later."""
        self.workload = Workload(leader, self.db, seed + 10_000_000 * self.number, folder, writers, rate,
                                 rows)

    def watch(self, cluster, sinks, reach, set_aside):
        """reach: {sink: how far arrivals have come}"""
        for number, name in enumerate(sinks):
            slot = self.slots[number % len(self.slots)]
            self.watches[name] = Watch(cluster, slot, reach[name], set_aside)

    def ask(self, cluster):
        """For the truth."""
        self.changes = truth.changes(cluster, self.db)
        self.documents = truth.documents(cluster, self.db)
        self.tables = truth.tables(cluster, self.db)

    def ids(self):
        return {checker.id_of(document) for document in self.documents}

    def check(self, sinks):
        return checker.check(self.documents, self.changes, self.tables, sinks)
