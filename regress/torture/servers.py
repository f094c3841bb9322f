"""The receivers: private servers that can be killed, frozen, and restarted with their data; and what arrived at them,
oldest first."""

import json
import os
import random
import signal
import subprocess
import time

from harness import kafka, nats, rabbitmq, redis, webhook
from harness.ports import free_port
from harness.processes import freeze, signal_all, thaw
from torture import checker


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
        signal_all(self.pids(), signal.SIGKILL)

    def freeze(self):
        freeze(*self.pids())

    def thaw(self):
        thaw(*self.pids())

    def forget(self):
        for path in self.paths:
            for name in (path, path + ".pid"):
                if os.path.exists(name):
                    os.unlink(name)
        self.paths = []


class Redis(redis.Redis):
    """Answers a command when it is on disk."""

    def __init__(self, work):
        super().__init__(work, "--appendonly", "yes", "--appendfsync", "always", port=free_port())

    def refuse(self, stream, chance):
        """Rejects commands that add to a stream; returns a function that ends that."""
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


class RabbitMQ(rabbitmq.RabbitMQ):
    # By default the broker stores small messages apart from large ones. A killed broker may keep a small message that
    # it has not confirmed, and lose a large one before it.
    CONF = "heartbeat = 4\nqueue_index_embed_msgs_below = 0\n"

    def __init__(self, work):
        super().__init__(work, conf=self.CONF)
        self.written = 0.0      # time.monotonic(): all queues and bindings are on disk

    def kill(self):
        if self.running():
            time.sleep(max(0, self.written - time.monotonic()))
        super().kill()

    def _changed(self):
        """Declares a queue or a binding. The broker confirms that at once, and writes it within two seconds. If the
        broker is killed before, it loses the declaration."""
        self.written = time.monotonic() + 2.5

    def declare(self, name):
        """An exchange and a queue that takes all of it, both of that name."""
        connection, channel = self.channel()
        channel.exchange_declare(name, "topic", durable=True)
        channel.queue_declare(name, durable=True)
        channel.queue_bind(name, name, "#")
        connection.close()
        self._changed()

    def refuse(self, name, chance):
        """Routes messages to a full queue, so they are nacked; returns a function that ends that. One of the queues is
        always bound: without a queue, messages would be returned."""
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

    def alarm(self):
        """Sets a memory limit that the broker exceeds: connections that publish are blocked."""
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


class Nats(nats.Nats):
    """JetStream."""

    def refuse(self, name, chance):
        """Gives the stream other subjects, or makes it full; returns a function that ends that. The server would drop
        messages beyond a new limit, so no message may arrive while the limit is set."""
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


class Kafka(kafka.Broker):
    """A broker with two listeners: the forwarder's, which sends clients to the proxy, and ours. Each topic has one
    partition, whose offsets say how far it is."""

    patience = 150
    PROPERTIES = """\
listeners=OURS://127.0.0.1:{ours},THEIRS://127.0.0.1:{theirs},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=OURS://127.0.0.1:{ours},THEIRS://{advertised}
controller.quorum.voters=1@127.0.0.1:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,OURS:PLAINTEXT,THEIRS:PLAINTEXT
inter.broker.listener.name=OURS
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
"""

    def __init__(self, work):
        super().__init__(work)
        self.address = f"127.0.0.1:{free_port()}"
        self.ends = None

    def advertise(self, address):
        """Before the first start: where the forwarder is to connect to. Later lines replace earlier ones."""
        with open(self.properties, "a") as f:
            f.write(self.PROPERTIES.format(theirs=self.port, ours=self.address.rpartition(":")[2],
                                           controller=free_port(), advertised=address))

    def _java(self, *words):
        return ["java", "-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                f"-Djava.io.tmpdir={self.folder}", "-cp", self.classpath, *words]

    def launch(self, **more):
        super().launch(env={"LOG_DIR": self.folder}, **more)

    def reach(self, topic):
        """The end of the topic. The broker may still have to write a commit to the topic."""
        if self.ends is None:
            self.ends = kafka.Ends(self.address)
        return self.ends.of(topic)

    def arrivals(self, topic):
        return [checker.Arrival(headers["id"], value.encode(), offset + 1)
                for _, offset, _, value, headers in kafka.read_with_offsets(self.address, topic)]

    def declare(self, topic):
        kafka.create(self.address, topic)


class Webhook(webhook.MisbehavingWebhook):
    def __init__(self, work):
        super().__init__(work)
        self.rejected = None        # text; a request that has it is refused
        self.moods = []             # behaviours, in turn, when it is not told to misbehave
        self.ca_file = os.path.join(self.folder, "ca")      # what the forwarder is to trust
        made = self._make_certificate()
        self._show(made)
        self._trust(made)

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
        """Does one half now; returns a function that does the other half. Connections end each time."""
        made = self._make_certificate()
        first, second = chance.sample([self._show, self._trust], 2)
        first(made)
        cut()

        def heal():
            second(made)
            cut()
        return heal

    def start(self, timeout=None):
        super().start(timeout)
        self.behave({})
        return self

    def behave(self, default):
        message = {"default": default, "queue": [] if default else self.moods}
        if self.rejected:
            message["match"] = {self.rejected: {"status": 422, "body": "not this one"}}
        self.control(message)

    def arrivals(self):
        """The events that it accepted. They count even if the answer was lost."""
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
