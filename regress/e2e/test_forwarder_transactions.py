"""Events at the begin and at the end of transactions."""

import json

import pytest
from harness import postgres as pg
from harness.forwarder import file_sink
from harness.redis import Redis

TABLES = "CREATE TABLE orders (id int PRIMARY KEY, status text); CREATE TABLE items (id int PRIMARY KEY)"


@pytest.mark.effect("source.transactions", "sink.only.ops")
def test_a_transaction_has_a_begin_and_an_end(db, fwd, tmp_path):
    db.psql(TABLES)
    ends = str(tmp_path / "ends")
    sinks = file_sink(str(tmp_path / "main.jsonl")) + file_sink(ends, name="ends", only="{ops: [e]}")
    with fwd(source="transactions: true\nschemas: true\nbatch_bytes: 1B", sinks=sinks) as forwarder:
        db.psql("BEGIN; INSERT INTO orders VALUES (1, 'new'), (2, 'new'); INSERT INTO items VALUES (1); COMMIT")
        db.psql("SELECT pg_logical_emit_message(false, 'p', 'alone')")
        db.psql("UPDATE orders SET status = 'paid'")
        events = forwarder.wait_for_events(12)
        assert [event["op"] for event in events] == ["begin", "s", "c", "c", "s", "c", "commit", "m", "begin", "u", "u", "commit"]
        lsn = events[2]["id"].split("-")[0]
        assert events[0]["id"] == f"{lsn}-begin" and events[6]["id"] == f"{lsn}-commit"
        assert events[0]["xid"] == events[6]["xid"] == events[2]["xid"]
        assert events[6]["events"] == 3
        assert events[6]["tables"] == [{"schema": "public", "table": "orders", "events": 2},
                                       {"schema": "public", "table": "items", "events": 1}]
        pg.wait_until(lambda: len(forwarder.events(ends)) == 2, what="ends")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 0, what="delivery")
        assert forwarder.terminate() == 0
        db.psql("INSERT INTO items VALUES (2)")
        forwarder.start()
        again = forwarder.wait_for_events(16)[12:]
        assert [event["op"] for event in again] == ["begin", "s", "c", "commit"]


def test_redis_keeps_the_order_of_all_in_one_stream(db, fwd, tmp_path):
    """The ids of entries grow, whatever breaks, and nothing is there twice."""
    db.psql(TABLES)
    with Redis(str(tmp_path)) as redis:
        sink = f"      - type: redis\n        url: {redis.url}\n        stream: all\n"
        forwarder = fwd(source="transactions: true\nschemas: true\nbatch_bytes: 1B", sinks=sink)

        def documents():
            return [json.loads(entry["data"]) for _, entry in redis.entries("all")]
        for life in range(3):
            forwarder.start()
            for i in range(3):
                number = life * 100 + i
                db.psql(f"BEGIN; INSERT INTO orders VALUES ({number}, 'x'); INSERT INTO items VALUES ({number}); COMMIT")
                db.psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active "
                        f"AND slot_name = '{forwarder.slot}'")
                forwarder.wait(lambda: len(documents()) == 4 * (3 * life + i + 1), 60, "transaction")
            forwarder.kill()
        found = documents()
        assert [event["op"] for event in found] == ["begin", "c", "c", "commit"] * 9
        assert len({event["id"] for event in found}) == len(found)
        assert len(redis.entries(f"walspout:{db.name}:test:schemas")) >= 2
