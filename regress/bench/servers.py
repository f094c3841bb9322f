"""The servers of a benchmark, each private and ended with it: sinks' servers, and the forwarder.

All are started in the work directory of a `cluster.WorkDir`. A sink's server says with sink() how the
forwarder's configuration names it.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import cluster as pg  # noqa: E402
import nats  # noqa: E402

sys.path.insert(0, os.path.join(pg.TOP, "regress", "kafka"))
import broker as kafka  # noqa: E402

BUILT = os.path.join(pg.TOP, "build", "bench")
CLIENTS = os.path.join(BUILT, "clients")
PROGRAM = os.environ.get("WALSPOUT") or os.path.join(pg.TOP, "build", "forwarder", "walspout")
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
      create_slot: false
    sinks:
{sinks}
status:
  listen: 127.0.0.1:0
"""

NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
{user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx.body;
  proxy_temp_path {folder}/nginx.proxy;
  fastcgi_temp_path {folder}/nginx.fastcgi;
  uwsgi_temp_path {folder}/nginx.uwsgi;
  scgi_temp_path {folder}/nginx.scgi;
  client_body_buffer_size 1m;
  client_max_body_size 16m;
  keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


def find_program(*names):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return next((p for p in (shutil.which(name, path=path) for name in names) if p), None)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def first_line(*command):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL)
    return done.stdout.strip().split("\n")[0]


def threads_cpu(pid):
    """CPU seconds of all threads of a process."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


class Program:
    """A server program of a benchmark's own, ended with it."""

    def __init__(self, work, name, command, env=None):
        self.log_path = os.path.join(work.path, f"{name}.log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**os.environ, **(env or {})},
                                            start_new_session=True,
                                            preexec_fn=pg.die_with_parent)
        work.at_exit(self.stop)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait(self, condition, what, timeout=60):
        def met():
            if self.process.poll() is not None:
                sys.exit(f"no {what}: it ended with {self.process.returncode}:\n{self.log()}")
            return condition()
        return pg.wait_until(met, timeout, every=0.005, what=what)

    def stop(self, timeout=20):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Redis:
    """A private Redis that keeps everything in memory, and a connection to it.

    port: it listens there, too.
    """

    def __init__(self, work, port=0):
        self.path = os.path.join(work.socket_dir(), "redis")
        self.server = Program(work, "redis", [
            find_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1",
            "--unixsocket", self.path, "--save", "", "--appendonly", "no", "--dir", work.path])
        self._socket = socket.socket(socket.AF_UNIX)
        self.server.wait(lambda: self._socket.connect_ex(self.path) == 0, "Redis")
        self._replies = self._socket.makefile("rb")
        self.asked = 0          # bytes that ask() has sent

    def ask(self, command):
        """The reply to a command: a line, or a string of several."""
        text = command.encode() + b"\r\n"
        self._socket.sendall(text)
        self.asked += len(text)
        line = self._replies.readline().decode()
        if line.startswith("$"):
            return self._replies.read(int(line[1:]) + 2).decode()
        return line

    def length(self):
        return int(self.ask(f"XLEN {STREAM}")[1:])

    def clear(self):
        self.ask("FLUSHALL")

    def received(self):
        """Bytes that came over all connections but this one."""
        text = self.ask("INFO stats")
        return int(re.search(r"^total_net_input_bytes:(\d+)", text, re.M).group(1)) - self.asked

    def benchmark(self, size, count):
        """XADDs a second that redis-benchmark reaches with one connection."""
        done = subprocess.run(["redis-benchmark", "-s", self.path, "-P", "64", "-c", "1", "-n",
                               str(count), "--csv", "XADD", STREAM, "*", "data", "x" * size],
                              text=True, check=True, stdout=subprocess.PIPE)
        self.clear()
        return float(done.stdout.strip().split("\n")[-1].split('","')[1].strip('"'))

    def sink(self):
        return f"type: redis\nurl: unix://{self.path}\nstream: {STREAM}"


class Nginx:
    """A webhook that takes everything."""

    def __init__(self, work, port=None):
        self.port = port or free_port()
        folder = tempfile.mkdtemp(dir=work.path)
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w") as f:
            f.write(NGINX.format(folder=folder, port=self.port, user=user))
        self.server = Program(work, "nginx", [find_program("nginx"), "-c", path, "-p", folder])
        self.server.wait(lambda: accepts(self.port), "nginx")

    def sink(self):
        return (f"type: http\nurl: http://127.0.0.1:{self.port}/\nlanes: {LANES}\n"
                f"batch: {{events: {BATCH}}}")

    def bare(self, size, events):
        """Events a second of a bare loop that posts as many of that size in a request."""
        body = BATCH * (size + 1) + 1
        done = first_line(os.path.join(CLIENTS, "bare_http"), f"http://127.0.0.1:{self.port}/",
                          str(body), str(max(LANES, events // BATCH)), str(LANES))
        return float(done) * BATCH


class Rabbitmq:
    SCRIPT = "/usr/lib/rabbitmq/bin/rabbitmq-server"    # the one in /usr/sbin changes the user

    def __init__(self, work, port=None, queue=True):
        self.port = port or free_port()
        folder = tempfile.mkdtemp(dir=work.path)
        epmd_port = free_port()
        names = {"RABBITMQ_CONF_ENV_FILE": "env.conf", "RABBITMQ_CONFIG_FILE": "rabbitmq.conf",
                 "RABBITMQ_ENABLED_PLUGINS_FILE": "plugins", "RABBITMQ_MNESIA_BASE": "data",
                 "RABBITMQ_LOG_BASE": "log", "RABBITMQ_PID_FILE": "pid"}
        env = {name: os.path.join(folder, file) for name, file in names.items()}
        env.update({"HOME": folder, "ERL_EPMD_PORT": str(epmd_port),
                    "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_NODENAME": "bench@localhost",
                    "RABBITMQ_DIST_PORT": str(free_port()), "RABBITMQ_ALLOW_INPUT": "1",
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput +sbwt none"})
        for name, text in (("env.conf", ""), ("plugins", "[]."),
                           ("rabbitmq.conf", f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                                             "disk_free_limit.absolute = 1MB\n")):
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        Program(work, "epmd", ["epmd", "-port", str(epmd_port), "-address", "127.0.0.1"], env)
        self.server = Program(work, "rabbitmq", [self.SCRIPT], env)
        self.server.wait(lambda: accepts(self.port), "RabbitMQ", 120)
        if queue:
            self.bare(100, 1)       # makes the exchange and the queue

    def sink(self):
        return (f"type: rabbitmq\nurl: amqp://guest:guest@127.0.0.1:{self.port}/\n"
                f"exchange: {STREAM}\nunconfirmed: {WINDOW}")

    def bare(self, size, events):
        """Messages a second of a bare loop; leaves the queue empty."""
        return float(first_line(os.path.join(CLIENTS, "bare_rabbitmq"), str(self.port), STREAM,
                                str(size), str(events), str(WINDOW)))


class Nats:
    """JetStream with a stream in files."""

    WINDOW = 4096           # the sink's default

    def __init__(self, work):
        self.port = free_port()
        folder = tempfile.mkdtemp(dir=work.path)
        path = os.path.join(folder, "nats.conf")
        with open(path, "w") as f:
            f.write(nats.configuration(self.port, folder))
        self.server = Program(work, "nats", [nats.PROGRAM, "-c", path])
        self.server.wait(lambda: accepts(self.port), "NATS")
        with nats.Client(self.port) as client:
            client.add_stream(STREAM, f"{STREAM}.>")

    def clear(self):
        """A stream that is purged would still know the ids."""
        with nats.Client(self.port, 120) as client:
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


class Kafka:
    """A broker, and a topic with as many partitions as a small one has."""

    PARTITIONS = 3
    WINDOW = 32768

    def __init__(self, work):
        self.server = kafka.Broker(tempfile.mkdtemp(dir=work.path), partitions=self.PARTITIONS).start()
        self.server.stop = self.server.kill
        work.at_exit(self.server.kill)
        self.topics = 0
        kafka.create(self.server.address, f"{STREAM}{self.topics}")
        self.bare(200, 300_000)     # until the broker's code is compiled

    def sink(self):
        """Each pass has a topic of its own."""
        self.topics += 1
        return (f"type: kafka\nbrokers: ['{self.server.address}']\ntopic: {STREAM}{self.topics}\n"
                f"create_topics: {{}}\nunconfirmed: {self.WINDOW}")

    def bare(self, size, events):
        """Messages a second of a bare loop, and its CPU microseconds a message."""
        line = first_line(os.path.join(CLIENTS, "bare_kafka"), self.server.address,
                          f"{STREAM}{self.topics}", str(size), str(events), str(self.WINDOW))
        return tuple(map(float, line.split()))


class KafkaOnce(Kafka):
    """The same, with transactions."""

    def sink(self):
        return super().sink() + "\nexactly_once: true"


class Forwarder:
    """The program on a slot of the database `bench`. Use it in a `with`.

    sinks: each the keys of its configuration, a line each. port: of 127.0.0.1, instead of the
    server's socket.
    """

    def __init__(self, cluster, slot, *sinks, port=None):
        self.cluster = cluster
        self.slot = slot
        self.sinks = sinks
        self.host, self.port = ("127.0.0.1", port) if port else (cluster.host, cluster.port)

    def __enter__(self):
        self.start()
        return self

    def start(self):
        work = self.cluster.work
        config = os.path.join(work.path, "bench.yaml")
        sinks = "".join("      - " + sink.replace("\n", "\n        ") + "\n" for sink in self.sinks)
        with open(config, "w") as f:
            f.write(CONFIG.format(host=self.host, port=self.port, user=pg.SUPERUSER,
                                  slot=self.slot, sinks=sinks))
        log = os.path.join(work.path, "forwarder.log")
        if os.path.exists(log):
            os.unlink(log)
        self.status_port = None
        self.program = Program(work, "forwarder", [PROGRAM, "run", config])
        self.pid = self.program.process.pid

    def kill9(self):
        self.program.process.kill()
        self.program.process.wait()

    def __exit__(self, *_):
        self.program.stop()
        pg.wait_until(lambda: not self.cluster.walsender(self.slot), what="end of the walsender")

    def wait_streaming(self):
        return self.program.wait(lambda: self.cluster.walsender(self.slot), "replication")

    def metrics(self):
        """{"name{labels}": number} of its /metrics."""
        if not self.status_port:
            self.status_port = self.program.wait(
                lambda: re.search(r"status server listens.* port=(\d+)", self.program.log()),
                "status server").group(1)
        url = f"http://127.0.0.1:{self.status_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as r:
            lines = [line.rsplit(" ", 1) for line in r.read().decode().splitlines()
                     if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def sum_of(self, name):
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)

    def buckets(self):
        """The histogram of its latencies: [(upper bound in seconds, number of events)]."""
        found = []
        for key, value in self.metrics().items():
            bound = re.search(r'latency_seconds_bucket\{.*le="([^"]+)"', key)
            if bound:
                found.append((float(bound.group(1).replace("+Inf", "inf")), value))
        found.sort()
        return [(b, n - (found[i - 1][1] if i else 0)) for i, (b, n) in enumerate(found)]
