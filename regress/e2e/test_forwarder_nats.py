"""NATS JetStream through the forwarder."""

import json

from harness import postgres as pg
from harness.forwarder import run
from harness.nats import Nats

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


def sink(*servers, **more):
    urls = ", ".join(f"nats://127.0.0.1:{server.port}" for server in servers)
    lines = ["- type: nats", f"  servers: [{urls}]"] + [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


def delivered(forwarder, count):
    pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] >= count, 60, what="events")


def test_changes_arrive_once_in_order_over_kills_of_both(db, fwd, tmp_path):
    db.psql(TABLE)
    with Nats(str(tmp_path)) as server:
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
    with Nats(str(tmp_path)) as first, Nats(str(tmp_path)) as second:
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
    with Nats(str(tmp_path)) as server:
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
    with Nats(str(tmp_path)) as server:
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
    with Nats(str(tmp_path), "authorization { user: me, password: right }\n") as server:
        checked = run("check", fwd(sinks=sink(server, user="me", password="geheim")).config)
        assert checked.returncode == 1
        assert "Authorization Violation" in checked.stdout and 'user "me"' in checked.stdout
        assert "geheim" not in checked.stdout + checked.stderr


def test_a_full_stream_is_waited_for(db, fwd, tmp_path):
    db.psql(TABLE)
    with Nats(str(tmp_path)) as server, server.client() as client:
        client.add_stream("changes", "walspout.>", max_msgs=10, discard="new")
        with fwd(sinks=sink(server, unconfirmed=1)) as forwarder:
            db.psql("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 100) i")
            forwarder.wait_for_log("max_msgs")
            client.change_stream("changes", max_msgs=-1)
            delivered(forwarder, 100)
        assert [json.loads(m.body)["after"]["id"] for m in server.messages("changes")] == list(range(1, 101))
