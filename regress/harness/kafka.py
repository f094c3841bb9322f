"""A private Kafka broker, and what is in its topics.

The program regress/kafka/jars fetches the broker. Topics are read with librdkafka, which the forwarder is built with.
"""

import ctypes
import os
import subprocess
import time

from harness.folders import TOP
from harness.ports import free_port
from harness.server import Server

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
num.partitions={partitions}
{more}
"""


def jars():
    done = subprocess.run([os.path.join(TOP, "regress", "kafka", "jars")], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("no Kafka broker: see above")
    return done.stdout.strip()


# A second listener, which asks for a certificate and a login.
AUTH = """\
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},AUTH://127.0.0.1:{auth}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},AUTH://localhost:{auth}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,AUTH:SASL_SSL
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={folder}/store.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/cert.pem
listener.name.auth.ssl.client.auth=required
listener.name.auth.sasl.enabled.mechanisms=PLAIN,OAUTHBEARER
listener.name.auth.plain.sasl.jaas.config={security}plain.PlainLoginModule required user_admin="kafka-pass-word";
listener.name.auth.oauthbearer.sasl.jaas.config={security}oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub="admin";
"""


class Broker(Server):
    """advertised: the port that the broker names to clients, such as a proxy's. more: lines of its properties. auth: a
    second port is for clients with a certificate (cert.pem and key.pem in the folder, which are their own authority)
    and a login. The login is user admin and password kafka-pass-word, or a token without a signature."""

    patience = 120
    as_server = False       # the jars are in the repository, which the servers' user may not be able to read

    def __init__(self, place, advertised=None, partitions=1, more="", auth=False):
        super().__init__(place, "kafka")
        self.folder = self.work.new_folder("kafka")
        self.port = free_port()
        controller = free_port()
        if auth:
            self.auth_address = f"localhost:{free_port()}"
            self._make_certificate()
            more += AUTH.format(port=self.port, controller=controller, folder=self.folder,
                                auth=self.auth_address.split(":")[1],
                                security="org.apache.kafka.common.security.")
        self.address = f"127.0.0.1:{self.port}"
        self.properties = os.path.join(self.folder, "server.properties")
        self.classpath = jars() + "/*"
        with open(self.properties, "w") as f:
            f.write(PROPERTIES.format(port=self.port, controller=controller, folder=self.folder, more=more,
                                      advertised=advertised or self.port, partitions=partitions))
        with open(self.log_path, "ab") as log:
            subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", "bmljZS1xdWlldC1jbHVzdA", "-c",
                                      self.properties), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           cwd=self.folder)

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem",
                        "-out", "cert.pem"], cwd=self.folder, check=True, capture_output=True)
        with open(os.path.join(self.folder, "store.pem"), "w") as store:
            for name in ("key.pem", "cert.pem"):
                with open(os.path.join(self.folder, name)) as f:
                    store.write(f.read())

    def _java(self, *words):
        return ["java", "-Xms64m", "-Xmx1g", "-XX:+UseSerialGC", "-cp", self.classpath, *words]

    def command(self):
        return self._java("kafka.Kafka", self.properties)

    def launch(self, **more):
        super().launch(cwd=self.folder, **more)

    def messages(self, topic, timeout=60):
        return read(self.address, topic, timeout)


class _Message(ctypes.Structure):
    _fields_ = [("err", ctypes.c_int), ("rkt", ctypes.c_void_p), ("partition", ctypes.c_int32),
                ("payload", ctypes.c_void_p), ("len", ctypes.c_size_t), ("key", ctypes.c_void_p),
                ("key_len", ctypes.c_size_t), ("offset", ctypes.c_int64), ("private", ctypes.c_void_p)]


class _Metadata(ctypes.Structure):
    class _Topic(ctypes.Structure):
        _fields_ = [("topic", ctypes.c_char_p), ("count", ctypes.c_int), ("partitions", ctypes.c_void_p),
                    ("err", ctypes.c_int)]
    _fields_ = [("brokers", ctypes.c_int), ("broker_list", ctypes.c_void_p), ("count", ctypes.c_int),
                ("topics", ctypes.POINTER(_Topic))]


_lib = None


def _library():
    global _lib
    if _lib is None:
        _lib = ctypes.CDLL("librdkafka.so.1")
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_partition_list_new",
                     "rd_kafka_topic_partition_list_add", "rd_kafka_consumer_poll", "rd_kafka_topic_new",
                     "rd_kafka_NewTopic_new", "rd_kafka_queue_new", "rd_kafka_queue_poll"):
            getattr(_lib, name).restype = ctypes.c_void_p
        _lib.rd_kafka_message_headers.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
    return _lib


def _headers(lib, message):
    headers, found = ctypes.c_void_p(), {}
    if lib.rd_kafka_message_headers(message, ctypes.byref(headers)):
        return found
    name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
    while not lib.rd_kafka_header_get_all(headers, ctypes.c_size_t(len(found)), ctypes.byref(name),
                                          ctypes.byref(value), ctypes.byref(size)):
        found[name.value.decode()] = ctypes.string_at(value, size.value).decode()
    return found


def _partitions(lib, consumer, topic, timeout):
    metadata = ctypes.POINTER(_Metadata)()
    handle = ctypes.c_void_p(lib.rd_kafka_topic_new(consumer, topic.encode(), None))
    if lib.rd_kafka_metadata(consumer, 0, handle, ctypes.byref(metadata), int(timeout * 1000)):
        raise OSError("Kafka does not answer")
    count = metadata.contents.topics[0].count
    lib.rd_kafka_metadata_destroy(metadata)
    lib.rd_kafka_topic_destroy(handle)
    return count


def create(address, topic, timeout=60):
    """Makes a topic, with the broker's defaults."""
    lib = _library()
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    lib.rd_kafka_conf_set(conf, b"bootstrap.servers", address.encode(), None, ctypes.c_size_t(0))
    producer = ctypes.c_void_p(lib.rd_kafka_new(0, conf, None, ctypes.c_size_t(0)))
    queue = ctypes.c_void_p(lib.rd_kafka_queue_new(producer))
    made = ctypes.c_void_p(lib.rd_kafka_NewTopic_new(topic.encode(), -1, -1, None, ctypes.c_size_t(0)))
    lib.rd_kafka_CreateTopics(producer, ctypes.byref(made), ctypes.c_size_t(1), None, queue)
    answer = ctypes.c_void_p(lib.rd_kafka_queue_poll(queue, int(timeout * 1000)))
    error = lib.rd_kafka_event_error(answer) if answer else -1
    if answer:
        lib.rd_kafka_event_destroy(answer)
    lib.rd_kafka_NewTopic_destroy(made)
    lib.rd_kafka_queue_destroy(queue)
    lib.rd_kafka_destroy(producer)
    if error:
        raise OSError(f"topic {topic} could not be made: {error}")


def truncate(address, topic, timeout=60):
    """Removes all messages, as retention does."""
    lib = _library()
    lib.rd_kafka_DeleteRecords_new.restype = ctypes.c_void_p
    producer = _handle(lib, 0, {"bootstrap.servers": address})
    queue = ctypes.c_void_p(lib.rd_kafka_queue_new(producer))
    count = _partitions(lib, producer, topic, timeout)
    places = ctypes.c_void_p(lib.rd_kafka_topic_partition_list_new(count))
    for partition in range(count):
        place = lib.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
        ctypes.cast(place, ctypes.POINTER(_Partition)).contents.offset = -1
    gone = ctypes.c_void_p(lib.rd_kafka_DeleteRecords_new(places))
    lib.rd_kafka_DeleteRecords(producer, ctypes.byref(gone), ctypes.c_size_t(1), None, queue)
    answer = ctypes.c_void_p(lib.rd_kafka_queue_poll(queue, int(timeout * 1000)))
    error = lib.rd_kafka_event_error(answer) if answer else -1
    if answer:
        lib.rd_kafka_event_destroy(answer)
    lib.rd_kafka_DeleteRecords_destroy(gone)
    lib.rd_kafka_topic_partition_list_destroy(places)
    lib.rd_kafka_queue_destroy(queue)
    lib.rd_kafka_destroy(producer)
    if error:
        raise OSError(f"topic {topic} could not be truncated: {error}")


def _handle(lib, kind, options):
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    for name, value in options.items():
        assert lib.rd_kafka_conf_set(conf, name.encode(), value.encode(), None, ctypes.c_size_t(0)) == 0, name
    return ctypes.c_void_p(lib.rd_kafka_new(kind, conf, None, ctypes.c_size_t(0)))


def send(address, topic, values, key=None, headers=(), partition=0, timeout=60):
    """Sends messages, each with these headers: (name, bytes or None). Values are bytes or None."""
    lib = _library()
    producer = _handle(lib, 0, {"bootstrap.servers": address, "log_level": "0", "enable.idempotence": "true"})
    try:
        for value in values:
            words = [ctypes.c_int(1), topic.encode(), ctypes.c_int(3), ctypes.c_int32(partition),
                     ctypes.c_int(7), ctypes.c_int(2)]
            for kind, text in ((4, value), (5, key)):
                words += [ctypes.c_int(kind), text, ctypes.c_size_t(len(text or b""))]
            for name, text in headers:
                words += [ctypes.c_int(9), name.encode(), text, ctypes.c_ssize_t(len(text or b""))]
            error = lib.rd_kafka_producev(producer, *words, ctypes.c_int(0))
            assert error == 0, error
        assert lib.rd_kafka_flush(producer, int(timeout * 1000)) == 0
    finally:
        lib.rd_kafka_destroy(producer)


class _Partition(ctypes.Structure):
    _fields_ = [("topic", ctypes.c_char_p), ("partition", ctypes.c_int32), ("offset", ctypes.c_int64),
                ("metadata", ctypes.c_void_p), ("size", ctypes.c_size_t), ("opaque", ctypes.c_void_p),
                ("err", ctypes.c_int), ("private", ctypes.c_void_p)]


class _Partitions(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int), ("size", ctypes.c_int), ("all", ctypes.POINTER(_Partition))]


def committed(address, group, topic, timeout=60):
    """{partition: offset}: the position of a group; partitions without a position are left out."""
    lib = _library()
    consumer = _handle(lib, 1, {"bootstrap.servers": address, "group.id": group, "log_level": "0"})
    try:
        count = _partitions(lib, consumer, topic, timeout)
        places = ctypes.c_void_p(lib.rd_kafka_topic_partition_list_new(count))
        for partition in range(count):
            lib.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
        error = lib.rd_kafka_committed(consumer, places, int(timeout * 1000))
        if error:
            raise OSError(f"Kafka does not say where the group is: {error}")
        found = ctypes.cast(places, ctypes.POINTER(_Partitions)).contents
        offsets = {place.partition: place.offset for place in found.all[:found.count] if place.offset >= 0}
        lib.rd_kafka_topic_partition_list_destroy(places)
        return offsets
    finally:
        lib.rd_kafka_destroy(consumer)


def read(address, topic, timeout=180):
    """[(partition, key, value, headers)]: all committed messages of a topic; keys and values are texts or None."""
    return [(partition, *rest) for partition, _, *rest in read_with_offsets(address, topic, timeout)]


def _consumer(address, isolation="read_committed"):
    lib = _library()
    conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
    for name, value in (("bootstrap.servers", address), ("group.id", "reader"), ("log_level", "0"),
                        ("enable.partition.eof", "true"), ("enable.auto.commit", "false"),
                        ("isolation.level", isolation)):
        assert lib.rd_kafka_conf_set(conf, name.encode(), value.encode(), None, ctypes.c_size_t(0)) == 0
    return ctypes.c_void_p(lib.rd_kafka_new(1, conf, None, ctypes.c_size_t(0)))


class Ends:
    """Gives the ends of the first partitions of topics. Readers may see committed messages a moment later."""

    def __init__(self, address):
        self.consumer = _consumer(address, "read_uncommitted")

    def of(self, topic, timeout=2):
        lib = _library()
        places = ctypes.c_void_p(lib.rd_kafka_topic_partition_list_new(1))
        place = lib.rd_kafka_topic_partition_list_add(places, topic.encode(), 0)
        place = ctypes.cast(place, ctypes.POINTER(_Partition)).contents
        place.offset = -1       # the end
        # Not rd_kafka_query_watermark_offsets(), which asks for both ends. If a broker fails, that function waits
        # without an end. If only the request for the first offset is answered, it returns that offset as the last one.
        error = lib.rd_kafka_offsets_for_times(self.consumer, places, int(timeout * 1000)) or place.err
        end = place.offset
        lib.rd_kafka_topic_partition_list_destroy(places)
        if error or end < 0:
            raise OSError(f"Kafka does not say where {topic} ends: {error}")
        return end

    def close(self):
        _library().rd_kafka_destroy(self.consumer)


def read_with_offsets(address, topic, timeout=180):
    """The same, with the offset behind the partition."""
    lib = _library()
    consumer = _consumer(address)
    end, found, over = time.monotonic() + timeout, [], 0
    try:
        count = _partitions(lib, consumer, topic, timeout)
        places = ctypes.c_void_p(lib.rd_kafka_topic_partition_list_new(count))
        for partition in range(count):
            place = lib.rd_kafka_topic_partition_list_add(places, topic.encode(), partition)
            # Only the beginning of the struct: the offset is the third member, after a pointer and a number.
            ctypes.cast(place + 16, ctypes.POINTER(ctypes.c_int64)).contents.value = -2
        lib.rd_kafka_assign(consumer, places)
        lib.rd_kafka_topic_partition_list_destroy(places)
        while over < count:
            if time.monotonic() > end:
                raise OSError(f"Kafka does not say all of {topic}")
            pointer = lib.rd_kafka_consumer_poll(consumer, 1000)
            if not pointer:
                continue
            message = ctypes.cast(pointer, ctypes.POINTER(_Message)).contents
            if message.err == -191:
                over += 1
            elif message.err == 0:
                text = [ctypes.string_at(at, size).decode() if at else None
                        for at, size in ((message.key, message.key_len), (message.payload, message.len))]
                found.append((message.partition, message.offset, *text, _headers(lib, ctypes.c_void_p(pointer))))
            lib.rd_kafka_message_destroy(ctypes.c_void_p(pointer))
    finally:
        lib.rd_kafka_destroy(consumer)
    return found


# Of the library's enumerations.
TOPIC, GROUP = 2, 3
READ, WRITE, DESCRIBE = 3, 4, 8
_LITERAL, _ALLOW = 3, 3


def allow(address, user, kind, name, operation):
    """Gives a user a right; the broker must have an authorizer."""
    _change_acl("Create", address, user, kind, name, operation)


def forbid(address, user, kind, name, operation):
    """Revokes a right that allow() gave."""
    _change_acl("Delete", address, user, kind, name, operation)


def _change_acl(change, address, user, kind, name, operation, timeout=60):
    lib = _library()
    make = getattr(lib, "rd_kafka_AclBinding_new" if change == "Create" else "rd_kafka_AclBindingFilter_new")
    make.restype = ctypes.c_void_p
    producer = _handle(lib, 0, {"bootstrap.servers": address})
    queue = ctypes.c_void_p(lib.rd_kafka_queue_new(producer))
    acl = ctypes.c_void_p(make(kind, name.encode(), _LITERAL, f"User:{user}".encode(), b"*", operation, _ALLOW, None,
                               ctypes.c_size_t(0)))
    getattr(lib, f"rd_kafka_{change}Acls")(producer, ctypes.byref(acl), ctypes.c_size_t(1), None, queue)
    answer = ctypes.c_void_p(lib.rd_kafka_queue_poll(queue, int(timeout * 1000)))
    error = lib.rd_kafka_event_error(answer) if answer else -1
    if answer:
        lib.rd_kafka_event_destroy(answer)
    lib.rd_kafka_AclBinding_destroy(acl)
    lib.rd_kafka_queue_destroy(queue)
    lib.rd_kafka_destroy(producer)
    if error:
        raise OSError(f"the rights of {user} could not be changed: {error}")
