"""NATS JetStream through the forwarder."""

import contextlib
import json
import os
import socket
import subprocess

import cluster as pg
import nats
from forwarder import run

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Server:
    """A private nats-server. Use it in a `with`."""

    def __init__(self, folder, more=""):
        assert nats.PROGRAM, "nats-server is not installed: apt-get install nats-server"
        self.port = free_port()
        self.config = os.path.join(folder, f"nats_{self.port}.conf")
        with open(self.config, "w") as f:
            f.write(nats.configuration(self.port, os.path.join(folder, f"nats_{self.port}"), more))

    def __enter__(self):
        self.start()
        return self

    def start(self):
        self.process = subprocess.Popen([nats.PROGRAM, "-c", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def accepts():
            with contextlib.suppress(OSError), self.client():
                return True
        pg.wait_until(accepts, 60, what="NATS that listens")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        self.kill()

    def client(self):
        return nats.Client(self.port)

    def messages(self, stream):
        with self.client() as client:
            return client.messages(stream)


def sink(*servers, **more):
    urls = ", ".join(f"nats://127.0.0.1:{server.port}" for server in servers)
    lines = ["- type: nats", f"  servers: [{urls}]"] + [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


def delivered(forwarder, count):
    pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] >= count, 60, what="events")


def test_changes_arrive_once_in_order_over_kills_of_both(db, fwd, tmp_path):
    db.psql(TABLE)
    with Server(str(tmp_path)) as server:
        forwarder = fwd(sinks=sink(server, create_stream="{name: changes}"), source="messages: false")
        with forwarder:
            for i in range(4):
                db.psql(f"INSERT INTO t SELECT i, 'x' FROM generate_series({i * 1000 + 1}, {i * 1000 + 1000}) i")
                if i == 1:
                    server.kill()
                    server.start()
                if i == 2:
                    forwarder.kill()
                    pg.wait_until(lambda: not db.server.slot(forwarder.slot)["active"], what="free slot")
                    forwarder.start()
            end = db.current_lsn()
            pg.wait_until(lambda: db.confirmed_lsn(forwarder.slot) >= end, 60, what="all confirmed")
        messages = server.messages("changes")
        assert [json.loads(message.body)["after"]["id"] for message in messages] == list(range(1, 4001))
        last = messages[-1]
        document = json.loads(last.body)
        assert last.subject == "walspout.public.t"
        assert last.headers == {"Nats-Msg-Id": document["id"], "id": document["id"], "op": "c",
                                "schema": "public", "table": "t", "ts": document["ts"]}


def test_the_next_server_is_taken(db, fwd, tmp_path):
    db.psql(TABLE)
    with Server(str(tmp_path)) as first, Server(str(tmp_path)) as second:
        with fwd(sinks=sink(first, second, create_stream="{name: changes}")) as forwarder:
            db.psql("INSERT INTO t VALUES (1)")
            delivered(forwarder, 1)
            first.kill()
            db.psql("INSERT INTO t VALUES (2)")
            delivered(forwarder, 2)
        assert [json.loads(m.body)["after"]["id"] for m in second.messages("changes")] == [2]


def test_what_is_too_large_becomes_a_dead_letter(db, fwd, tmp_path):
    db.psql(TABLE)
    path = tmp_path / "dead"
    with Server(str(tmp_path)) as server:
        with server.client() as client:
            client.add_stream("changes", "walspout.>", max_msg_size=10_000)
        with fwd(sinks=sink(server), pipeline=f"dead_letter: {{path: {path}}}") as forwarder:
            db.psql("INSERT INTO t SELECT i, repeat('x', CASE i WHEN 2 THEN 20000 ELSE 3 END) "
                    "FROM generate_series(1, 3) i")
            delivered(forwarder, 2)
        assert [json.loads(m.body)["after"]["id"] for m in server.messages("changes")] == [1, 3]
        assert "max_msg_size" in path.read_text()


def test_check_names_what_is_wrong_and_what_may_do_harm(db, fwd, tmp_path):
    db.psql(TABLE)
    with Server(str(tmp_path)) as server:
        config = fwd(sinks=sink(server)).config
        missing = run("check", config)
        assert missing.returncode == 1
        assert "nats stream add NAME --subjects 'walspout.*.*'" in missing.stdout
        with server.client() as client:
            client.add_stream("changes", "walspout.>", duplicate_window=5 * 10**9)
        assert "--dupe-window" in run("check", config).stdout
        assert server.messages("changes") == []


def test_a_wrong_password_is_not_told(db, fwd, tmp_path):
    db.psql(TABLE)
    with Server(str(tmp_path), "authorization { user: me, password: right }\n") as server:
        checked = run("check", fwd(sinks=sink(server, user="me", password="geheim")).config)
        assert checked.returncode == 1
        assert "Authorization Violation" in checked.stdout and 'user "me"' in checked.stdout
        assert "geheim" not in checked.stdout + checked.stderr


def test_a_full_stream_is_waited_for(db, fwd, tmp_path):
    db.psql(TABLE)
    with Server(str(tmp_path)) as server, server.client() as client:
        client.add_stream("changes", "walspout.>", max_msgs=10, discard="new")
        with fwd(sinks=sink(server, unconfirmed=1)) as forwarder:
            db.psql("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 100) i")
            forwarder.wait_for_log("max_msgs")
            client.change_stream("changes", max_msgs=-1)
            delivered(forwarder, 100)
        assert [json.loads(m.body)["after"]["id"] for m in server.messages("changes")] == list(range(1, 101))
