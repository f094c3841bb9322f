"""The receivers of the benchmarks, and the forwarder that delivers to them.

Each receiver has sink(), its configuration in the forwarder, and bare(), the speed of a bare loop on the same client
library. All run in the work directory of the benchmark's cluster.
"""

import os
import re
import subprocess

from harness import kafka, nats, nginx, rabbitmq, redis
from harness.folders import TOP
from harness.forwarder import Walspout
from harness.postgres import SUPERUSER
from harness.processes import first_line
from harness.waiting import wait_until

CLIENTS = os.path.join(TOP, "build", "bench", "clients")
STREAM = "bench"
LANES = 8
BATCH = 100
WINDOW = 1024               # messages that wait for RabbitMQ's confirm

CONFIG = """\
pipelines:
  - name: bench
    source:
      dsn: host={host} port={port} user={user} dbname=bench
      slot: {slot}
      {source}
    sinks:
{sinks}
status:
  listen: 127.0.0.1:0
"""


class RedisSink(redis.Redis):
    """Keeps everything in memory. One connection stays open, because there are many queries."""

    def start(self, timeout=None):
        super().start(timeout)
        self.connection = self.connect(None)
        return self

    def length(self):
        return int(self.connection.ask("XLEN", STREAM))

    def clear(self):
        self.connection.ask("FLUSHALL")

    def received(self):
        """Bytes that came over all connections but this one."""
        text = self.connection.ask("INFO", "stats").decode()
        return int(re.search(r"^total_net_input_bytes:(\d+)", text, re.M).group(1)) - self.connection.sent

    def benchmark(self, size, count):
        """XADDs a second that redis-benchmark reaches with one connection, at the best of several depths of its pipeline.

        A single depth is no upper bound: the forwarder may send more commands at once.
        """
        best = 0.0
        for depth in (64, 512, 2048):
            done = subprocess.run(["redis-benchmark", "-s", self.socket, "-P", str(depth), "-c", "1", "-n",
                                   str(count), "--csv", "XADD", STREAM, "*", "data", "x" * size],
                                  text=True, check=True, stdout=subprocess.PIPE)
            self.clear()
            best = max(best, float(done.stdout.strip().split("\n")[-1].split('","')[1].strip('"')))
        return best

    def sink(self):
        return f"type: redis\nurl: {self.url}\nstream: {STREAM}"


class HttpSink(nginx.Nginx):
    def sink(self):
        return (f"type: http\nurl: http://127.0.0.1:{self.port}/\nlanes: {LANES}\n"
                f"batch: {{events: {BATCH}}}")

    def bare(self, size, events):
        """Events a second of a bare loop that posts as many of that size in a request."""
        body = BATCH * (size + 1) + 1
        done = first_line(os.path.join(CLIENTS, "bare_http"), f"http://127.0.0.1:{self.port}/",
                          str(body), str(max(LANES, events // BATCH)), str(LANES))
        return float(done) * BATCH


class RabbitmqSink(rabbitmq.RabbitMQ):
    """queue: whether an exchange and a queue are made at the start."""

    def __init__(self, work, port=None, queue=True):
        super().__init__(work, port, erlang="")
        self.queue = queue

    def start(self, timeout=None):
        super().start(timeout)
        if self.queue:
            self.bare(100, 1)       # makes both
        return self

    def sink(self):
        return (f"type: rabbitmq\nurl: amqp://guest:guest@127.0.0.1:{self.port}/\n"
                f"exchange: {STREAM}\nunconfirmed: {WINDOW}")

    def bare(self, size, events):
        """Messages a second of a bare loop; leaves the queue empty."""
        return float(first_line(os.path.join(CLIENTS, "bare_rabbitmq"), str(self.port), STREAM,
                                str(size), str(events), str(WINDOW)))


class NatsSink(nats.Nats):
    """JetStream with a stream in files."""

    WINDOW = 4096           # the sink's default

    def start(self, timeout=None):
        super().start(timeout)
        with self.client() as client:
            client.add_stream(STREAM, f"{STREAM}.>")
        return self

    def clear(self):
        """A purged stream would still remember the ids."""
        with self.client(120) as client:
            client.ask(f"STREAM.DELETE.{STREAM}")
            client.add_stream(STREAM, f"{STREAM}.>")

    def sink(self):
        return (f'type: nats\nservers: ["nats://127.0.0.1:{self.port}"]\n'
                f'subject: "{STREAM}.{{schema}}.{{table}}"\nunconfirmed: {self.WINDOW}')

    def bare(self, size, events):
        """Messages a second of a bare loop, and its CPU microseconds a message; leaves the stream empty."""
        line = first_line(os.path.join(CLIENTS, "bare_nats"), str(self.port), STREAM, str(size),
                          str(events), str(self.WINDOW))
        return tuple(map(float, line.split()))


class KafkaSink(kafka.Broker):
    """A broker, and a topic with as many partitions as a small topic has."""

    PARTITIONS = 3
    WINDOW = 32768

    def __init__(self, work):
        super().__init__(work, partitions=self.PARTITIONS)
        self.topics = 0
        self.documents = os.path.join(work.path, "kafka_documents")

    def start(self, timeout=None):
        super().start(timeout)
        kafka.create(self.address, f"{STREAM}{self.topics}")
        self.use(["x" * 200])
        self.warm_up()
        return self

    def warm_up(self):
        """Until the broker's code is compiled."""
        self.bare(200, 300_000)

    def sink(self):
        """Each pass has a topic of its own, which exists like the topic of the bare loop."""
        self.topics += 1
        kafka.create(self.address, f"{STREAM}{self.topics}")
        return (f"type: kafka\nbrokers: ['{self.address}']\ntopic: {STREAM}{self.topics}\n"
                f"create_topics: {{}}\nunconfirmed: {self.WINDOW}")

    def use(self, documents):
        """What the bare loop sends."""
        with open(self.documents, "w") as f:
            f.writelines(document + "\n" for document in documents)

    def bare(self, _, events, *transactional_id):
        """Messages a second of a bare loop, and its CPU microseconds a message."""
        line = first_line(os.path.join(CLIENTS, "bare_kafka"), self.address, f"{STREAM}{self.topics}",
                          self.documents, str(events), str(self.WINDOW), *transactional_id)
        return tuple(map(float, line.split()))


class KafkaOnce(KafkaSink):
    """The same, with transactions."""

    def warm_up(self):
        """A broker's first transaction creates the topic of transactions, which takes a second."""
        super().warm_up()
        self.bare(200, 1_000, "warm-up")

    def sink(self):
        return super().sink() + "\nexactly_once: true"


class Measured(Walspout):
    """The program on a slot of the database `bench`. Use it in a `with`.

    sinks: each the keys of its configuration, a line each. port: of 127.0.0.1, instead of the
    server's socket. source: one more of its keys.
    """

    session = True      # as a service: the kernel shares CPU time between sessions, and pgbench has the terminal's

    def __init__(self, cluster, slot, *sinks, port=None, source="create_slot: false"):
        self.cluster = cluster
        self.slot = slot
        host, port = ("127.0.0.1", port) if port else (cluster.host, cluster.port)
        text = "".join("      - " + sink.replace("\n", "\n        ") + "\n" for sink in sinks)
        super().__init__(cluster.work, CONFIG.format(host=host, port=port, user=SUPERUSER, slot=slot, sinks=text,
                                                    source=source),
                         "forwarder")

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Does not wait, because the time that follows is measured."""
        if os.path.exists(self.log_path):
            os.unlink(self.log_path)
        self.launch()
        return self

    def __exit__(self, *_):
        self.stop()
        wait_until(lambda: not self.cluster.walsender(self.slot), what="end of the walsender")

    def wait_streaming(self):
        return self.wait(lambda: self.cluster.walsender(self.slot), 60, "replication")

    def buckets(self):
        """The histogram of its latencies: [(upper bound in seconds, number of events)]."""
        found = []
        for key, value in self.metrics().items():
            bound = re.search(r'latency_seconds_bucket\{.*le="([^"]+)"', key)
            if bound:
                found.append((float(bound.group(1).replace("+Inf", "inf")), value))
        found.sort()
        return [(b, n - (found[i - 1][1] if i else 0)) for i, (b, n) in enumerate(found)]
