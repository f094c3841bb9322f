"""The receivers: private servers, each a process that can be killed, frozen, and started again with
what it had, and what arrived at it, oldest first."""

import ctypes
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import checker
import cluster as pg
import nats

sys.path.insert(0, os.path.join(pg.TOP, "regress", "kafka"))
import broker as kafka  # noqa: E402

RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
NODE = "walspout@localhost"
HTTP_SERVER = os.path.join(pg.TOP, "forwarder", "test", "sink", "http", "http_server.py")
_LIBC = ctypes.CDLL(None)


def die_with_parent():
    """In a child, before it becomes another program."""
    _LIBC.prctl(1, signal.SIGKILL)


def free_port():
    """A port of 127.0.0.1 that nobody listens on, and that the system gives to no client."""
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


def accepts(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A child process. What it says goes to a log in the work directory."""

    own_user = True         # not root

    def __init__(self, work, name):
        self.work = work
        self.name = name
        self.port = free_port()
        self.log_path = os.path.join(work.path, f"{name}.log")
        self.process = None
        work.at_exit(self.kill)

    def command(self):
        raise NotImplementedError

    def env(self):
        return {}

    def start(self, timeout=60):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), env={**os.environ, **self.env()}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent,
                **(self.work.as_user() if self.own_user else {}))
        pg.wait_until(self._up, timeout, what=f"{self.name} that listens")
        return self

    def _up(self):
        if self.process.poll() is not None:
            with open(self.log_path, errors="replace") as f:
                raise pg.ServerError(f"{self.name} ended with {self.process.returncode}:\n"
                                     f"{f.read()[-3000:]}")
        return accepts(self.port)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL; what it promised to keep is on its disk, or it lied."""
        if self.running():
            self.process.kill()
        if self.process:
            self.process.wait()

    def pids(self):
        return [self.process.pid] if self.running() else []


class Programs:
    """The programs of exec sinks. The forwarder starts them; each has a file."""

    name = "exec"

    def __init__(self, work):
        self.folder = work.mkdir("exec")
        self.program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "exec_sink.py")
        self.log_path = os.path.join(self.folder, "log")    # there is none: theirs is the forwarder's
        self.paths = []

    def file(self, name):
        """The file of a new program."""
        path = os.path.join(self.folder, name)
        if path not in self.paths:
            self.paths.append(path)
        return path

    def start(self):
        return self

    def running(self):
        return True

    def pids(self):
        found = []
        for path in self.paths:
            try:
                with open(path + ".pid") as f:
                    pid = int(f.read())
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if path.encode() in f.read().split(b"\0"):
                        found.append(pid)
            except (OSError, ValueError):
                pass            # it has ended, or begins
        return found

    def kill(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def forget(self):
        for path in self.paths:
            for name in (path, path + ".pid"):
                if os.path.exists(name):
                    os.unlink(name)
        self.paths = []


class Redis(Server):
    """Answers a command when it is on disk."""

    def __init__(self, work):
        super().__init__(work, "redis")
        self.folder = work.mkdir("redis")

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "yes", "--appendfsync", "always", "--dir", self.folder,
                "--daemonize", "no"]

    def _up(self):
        return super()._up() and self.call("PING") == b"PONG"

    def call(self, *words, timeout=30):
        """A command's answer; b"LOADING..." and the like are answers, too."""
        return self.calls([words], timeout)[0]

    def calls(self, commands, timeout=30):
        """The answers of several commands, sent at once."""
        if not commands:
            return []
        with (socket.create_connection(("127.0.0.1", self.port), timeout) as s,
              s.makefile("rb") as file):
            for command in commands:
                words = [str(word).encode() for word in command]
                s.sendall(b"*%d\r\n" % len(words) + b"".join(
                    b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            return [self._answer(file) for _ in commands]

    def _answer(self, file):
        line = file.readline()
        if not line:
            raise OSError("Redis is gone")
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self._answer(file) for _ in range(int(rest))]
        if kind == b"$":
            return None if rest == b"-1" else file.read(int(rest) + 2)[:-2]
        return rest

    def refuse(self, stream, chance):
        """Refuses what adds to a stream; returns what ends that."""
        name, value = chance.choice([("maxmemory", 1), ("min-replicas-to-write", 1)])
        self.configure(name, value)
        return lambda: self.configure(name, 0)

    def configure(self, name, value):
        answer = self.call("CONFIG", "SET", name, value)
        if answer != b"OK":
            raise OSError(f"Redis says {answer}")

    def streams(self):
        """The names of all streams. What else there is belongs to the forwarder."""
        found = self.call("KEYS", "*")
        if not isinstance(found, list):
            raise OSError(f"Redis says {found}")
        kinds = self.calls([("TYPE", key.decode()) for key in found])
        return [key.decode() for key, kind in zip(found, kinds) if kind == b"stream"]

    def arrivals(self):
        return [arrival for stream in sorted(self.streams()) for arrival in self._entries(stream)]

    def _entries(self, stream):
        found, start = [], "-"
        while True:
            entries = self.call("XRANGE", stream, start, "+", "COUNT", 5000)
            for name, fields in entries:
                found.append(checker.Arrival(name.decode(), fields[fields.index(b"data") + 1],
                                             len(found) + 1, stream))
            if len(entries) < 5000:
                return found
            start = "(" + entries[-1][0].decode()

    def reach(self):
        """{stream: how many events it has}"""
        streams = self.streams()
        lengths = self.calls([("XLEN", stream) for stream in streams])
        if not all(length.isdigit() for length in lengths):
            raise OSError(f"Redis says {lengths}")
        return {stream: int(length) for stream, length in zip(streams, lengths)}

    def forget(self):
        self.call("FLUSHALL")


class RabbitMQ(Server):
    def __init__(self, work):
        super().__init__(work, "rabbitmq")
        self.home = work.mkdir("rabbitmq")
        files = {"rabbitmq.conf": f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                                  "disk_free_limit.absolute = 1MB\nheartbeat = 4\n"
                                  # By default small messages are kept apart from large ones, and a
                                  # broker that is killed may keep a small one that it has not
                                  # confirmed, and lose a large one before it.
                                  "queue_index_embed_msgs_below = 0\n",
                 "plugins": "[].", "env.conf": ""}
        for name, text in files.items():
            with open(os.path.join(self.home, name), "w") as f:
                f.write(text)
        work.own_tree(self.home)
        self.epmd_port, self.distribution_port = free_port(), free_port()
        self.epmd = None
        self.written = 0.0      # time.monotonic(): all queues and bindings are on disk

    def command(self):
        return [RABBITMQ]

    def env(self):
        home = self.home
        return {"HOME": home, "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
                "ERL_CRASH_DUMP_SECONDS": "0",
                "RABBITMQ_NODENAME": NODE,
                "RABBITMQ_DIST_PORT": str(self.distribution_port),
                "RABBITMQ_CONF_ENV_FILE": f"{home}/env.conf",
                "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
                "RABBITMQ_MNESIA_BASE": f"{home}/data", "RABBITMQ_LOG_BASE": f"{home}/log",
                "RABBITMQ_PID_FILE": f"{home}/pid",
                # The script becomes the broker: signals are for that.
                "RABBITMQ_ALLOW_INPUT": "1",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput +sbwt none +S 2:2"}

    def start(self, timeout=90):
        if not self.epmd or self.epmd.poll() is not None:
            self.epmd = subprocess.Popen(
                ["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **self.work.as_user())
        return super().start(timeout)

    def kill(self):
        if self.running():
            time.sleep(max(0, self.written - time.monotonic()))
        super().kill()
        # Of a killed broker its name is left for a moment.
        if self.epmd:
            self.epmd.kill()
            self.epmd.wait()
            self.epmd = None

    def _changed(self):
        """A queue or a binding. The broker says so at once, and writes it within two seconds: killed
        before, it would come back without."""
        self.written = time.monotonic() + 2.5

    def channel(self):
        import pika
        connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", self.port, heartbeat=0))
        return connection, connection.channel()

    def declare(self, name):
        """An exchange and a queue that takes all of it, both of that name."""
        connection, channel = self.channel()
        channel.exchange_declare(name, "topic", durable=True)
        channel.queue_declare(name, durable=True)
        channel.queue_bind(name, name, "#")
        connection.close()
        self._changed()

    def refuse(self, name, chance):
        """What is published goes to a queue that is full instead, and is nacked; returns what ends
        that. There is always one of the queues: without any, messages would come back."""
        full = name + ".full"

        def end():
            # What was under way when it began: let its end in, and it has overtaken the beginning.
            time.sleep(0.5)
            connection, channel = self.channel()
            channel.queue_bind(name, name, "#")
            channel.queue_delete(full)
            connection.close()
            self._changed()
        connection, channel = self.channel()
        channel.queue_declare(full, durable=True, arguments={"x-max-length": 0,
                                                             "x-overflow": "reject-publish"})
        channel.queue_bind(full, name, "#")
        channel.queue_unbind(name, name, "#")
        connection.close()
        return end

    def control(self, *args, timeout=120):
        """Runs rabbitmqctl."""
        done = subprocess.run([RABBITMQCTL, "-n", NODE, *args], env={**os.environ, **self.env()},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, **self.work.as_user())
        if done.returncode:
            raise OSError(f"rabbitmqctl {' '.join(args)}: {done.stdout.decode(errors='replace')}")

    def alarm(self):
        """Runs out of memory, as it believes: connections that publish are blocked."""
        self.control("set_vm_memory_high_watermark", "absolute", "1")
        return lambda: self.control("set_vm_memory_high_watermark", "0.4")

    def reach(self, name):
        """How many messages it has."""
        import pika
        try:
            connection, channel = self.channel()
            count = channel.queue_declare(name, durable=True, passive=True).method.message_count
            connection.close()
            return count
        except pika.exceptions.AMQPError as error:
            raise OSError(f"RabbitMQ: {error}") from None

    def arrivals(self, name):
        connection, channel = self.channel()
        count = channel.queue_declare(name, durable=True, passive=True).method.message_count
        found = []
        if count:
            for _, properties, body in channel.consume(name, auto_ack=True, inactivity_timeout=10):
                if body is None:
                    break
                found.append(checker.Arrival(properties.message_id, body, len(found) + 1))
                if len(found) >= count:
                    break
        connection.close()
        return found

    def forget(self, name):
        connection, channel = self.channel()
        channel.queue_delete(name)
        channel.exchange_delete(name)
        connection.close()


class Nats(Server):
    """JetStream. What it has acknowledged a kill of the process does not take."""

    def __init__(self, work):
        super().__init__(work, "nats")
        self.folder = work.mkdir("nats")
        self.config = os.path.join(self.folder, "nats.conf")
        with open(self.config, "w") as f:
            f.write(nats.configuration(self.port, os.path.join(self.folder, "store")))
        work.own_tree(self.folder)

    def command(self):
        return [nats.PROGRAM, "-c", self.config]

    def client(self):
        return nats.Client(self.port)

    def refuse(self, name, chance):
        """A stream that takes other subjects, or is full; returns what ends that. The server would drop what
        is beyond a new limit, so nothing may arrive while the limit is set."""
        with self.client() as client:
            client.change_stream(name, subjects=[f"{name}-elsewhere.>"])
            if chance.random() < 0.5:
                time.sleep(0.3)
                client.change_stream(name, subjects=[f"{name}.>"], discard="new",
                                     max_msgs=client.count(name) + 200)

        def end():
            # What was under way when it began: let its end in, and it has overtaken the beginning.
            time.sleep(0.5)
            with self.client() as client:
                client.change_stream(name, max_msgs=-1, subjects=[f"{name}.>"])
        return end

    def reach(self, name):
        """How many messages it has."""
        with self.client() as client:
            return client.count(name)

    def arrivals(self, name):
        with self.client() as client:
            return [checker.Arrival(message.headers["id"], message.body, number)
                    for number, message in enumerate(client.messages(name), 1)]

    def declare(self, name):
        with self.client() as client:
            client.add_stream(name, f"{name}.>")

    def forget(self, name):
        with self.client() as client:
            client.ask(f"STREAM.DELETE.{name}")


class Kafka(Server):
    """A broker with two listeners: the forwarder's, which sends clients to the proxy, and ours. Each topic has one
    partition, whose offsets say how far it is."""

    PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=OURS://127.0.0.1:{ours},THEIRS://127.0.0.1:{theirs},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=OURS://127.0.0.1:{ours},THEIRS://{advertised}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,OURS:PLAINTEXT,THEIRS:PLAINTEXT
inter.broker.listener.name=OURS
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
num.partitions=1
"""
    own_user = False        # whose jars it may not read

    def __init__(self, work):
        super().__init__(work, "kafka")
        self.folder = work.mkdir("kafka")
        self.ours = free_port()
        self.classpath = kafka.jars() + "/*"
        self.properties = os.path.join(self.folder, "server.properties")
        self.ends = None

    def advertise(self, address):
        """Before the first start: where the forwarder is to connect to."""
        with open(self.properties, "w") as f:
            f.write(self.PROPERTIES.format(theirs=self.port, ours=self.ours, controller=free_port(),
                                           folder=self.folder, advertised=address))
        subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", "bmljZS1xdWlldC1jbHVzdA", "-c",
                                  self.properties), check=True, capture_output=True, cwd=self.folder)

    def _java(self, *words):
        return ["java", "-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                f"-Djava.io.tmpdir={self.folder}", "-cp", self.classpath, *words]

    def command(self):
        return self._java("kafka.Kafka", self.properties)

    def env(self):
        return {"LOG_DIR": self.folder}

    def start(self, timeout=150):
        return super().start(timeout)

    @property
    def address(self):
        return f"127.0.0.1:{self.ours}"

    def reach(self, topic):
        """How far the topic is. Of what is committed the broker may have yet to tell the topic."""
        if self.ends is None:
            self.ends = kafka.Ends(self.address)
        return self.ends.of(topic)

    def arrivals(self, topic):
        return [checker.Arrival(headers["id"], value.encode(), offset + 1)
                for _, offset, _, value, headers in kafka.read_with_offsets(self.address, topic)]

    def declare(self, topic):
        kafka.create(self.address, topic)


class Webhook(Server):
    """http_server.py, which writes a request down before it answers, and misbehaves as it is told."""

    def __init__(self, work, name="webhook"):
        super().__init__(work, name)
        self.folder = work.mkdir(name)
        self.program = work.copy(HTTP_SERVER, f"{name}.py")
        self.requests = os.path.join(self.folder, "requests")
        self.rejected = None        # text; a request that has it is refused
        self.moods = []             # behaviours, in turn, when it is not told to misbehave
        self.ca_file = os.path.join(self.folder, "ca")      # what the forwarder is to trust
        made = self._make_certificate()
        self._show(made)
        self._trust(made)

    def command(self):
        return [sys.executable, "-B", self.program, self.folder, str(self.port),
                os.path.join(self.folder, "cert"), os.path.join(self.folder, "key")]

    def _make_certificate(self):
        key, cert = (os.path.join(self.folder, name) for name in ("new.key", "new.cert"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "30", "-subj", "/CN=webhook", "-addext",
                        "subjectAltName=DNS:http.walspout.test", "-set_serial",
                        str(random.SystemRandom().getrandbits(64)), "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        with open(key) as f, open(cert) as g:
            return f.read(), g.read()

    def _replace(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path + ".replaced", "w") as f:
            f.write(text)
        os.chmod(path + ".replaced", 0o644)
        os.rename(path + ".replaced", path)

    def _show(self, made):
        self._replace("key", made[0])
        self._replace("cert", made[1])

    def _trust(self, made):
        self._replace("ca", made[1])

    def replace_certificate(self, chance, cut):
        """Half of it now; returns what does the other half. Connections end each time."""
        made = self._make_certificate()
        first, second = chance.sample([self._show, self._trust], 2)
        first(made)
        cut()

        def heal():
            second(made)
            cut()
        return heal

    def start(self, timeout=60):
        super().start(timeout)
        self.behave({})
        return self

    def behave(self, default):
        message = {"default": default, "queue": [] if default else self.moods}
        if self.rejected:
            message["match"] = {self.rejected: {"status": 422, "body": "not this one"}}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/_control",
                                         json.dumps(message).encode(), method="POST")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        urllib.request.urlopen(request, timeout=10, context=context).close()

    def arrivals(self):
        """The events that it said it took. An answer may be lost: they are taken all the same."""
        found, place = [], 0
        with open(self.requests, "rb") as f:
            for line in f:
                place += len(line)
                try:
                    request = json.loads(line)
                except ValueError:          # killed while it wrote; nothing was answered
                    continue
                # An answer that is cut behind the headers of a 200 says so, too.
                if 200 <= request["status"] < 300 or request["do"] == "cut":
                    found += self._events(request["body"], request["headers"]["webhook-id"], place)
        return found

    @staticmethod
    def _events(body, name, reached):
        if not body.startswith("["):
            return [checker.Arrival(name, body.encode(), reached)]
        found, place, decoder = [], 1, json.JSONDecoder()
        while body[place - 1] != "]":
            end = decoder.raw_decode(body, place)[1]
            document = body[place:end].encode()
            found.append(checker.Arrival(checker.id_of(document), document, reached))
            place = end + 1
        return found

    def forget(self):
        os.truncate(self.requests, 0)
