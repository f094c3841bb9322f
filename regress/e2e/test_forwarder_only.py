"""`only`: which events a sink gets, and how all others are dropped."""

import json
import os
import re

from harness import postgres as pg
import pytest
from harness.forwarder import file_sink, http_sink, run
from harness.redis import Redis

TABLES = "CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE audit_1 (id int PRIMARY KEY); " \
         "CREATE SCHEMA other; CREATE TABLE other.orders (id int PRIMARY KEY)"


class Filtered:
    """A forwarder with a file for each name of {name: `only`}; None: everything."""

    def __init__(self, fwd, folder, filters, **more):
        self.paths = {name: os.path.join(folder, f"{name}.out") for name in filters}
        self.forwarder = fwd(sinks="".join(
            file_sink(self.paths[name], name=name, **({"only": only} if only else {}))
            for name, only in filters.items()), **more)

    def sink(self, name):
        return next(sink for sink in self.forwarder.status()["sinks"] if sink["name"] == name)

    def events(self, name):
        return self.forwarder.events(self.paths[name])

    def wait_handled(self, count):
        """Waits until each sink has delivered or dropped this number of events."""
        pg.wait_until(lambda: all(sink["events"] + sink["dropped"] >= count and sink["waiting"] == 0
                                  for sink in self.forwarder.status()["sinks"]), 60, what="events")


@pytest.mark.effect("sink.only.tables", "sink.only.ops")
def test_sinks_get_what_they_want_and_the_rest_is_confirmed(db, fwd, tmp_path):
    db.psql(TABLES)
    filters = {
        "all": None,
        "orders": '{tables: ["public.orders"]}',
        "public": '{tables: ["public.*", "!public.audit_*"]}',
        "not_audit": '{tables: ["!*.audit_*"]}',
        "inserts": "{ops: [c]}",
        "messages": "{ops: [m]}",
        "truncates": '{tables: ["*.orders"], ops: [t, d]}',
        "nothing": '{tables: ["no.such"], ops: [c, u, d, t]}',
    }
    filtered = Filtered(fwd, tmp_path, filters)
    with filtered.forwarder as forwarder:
        db.psql("INSERT INTO orders VALUES (1), (2); INSERT INTO audit_1 VALUES (1);"
                "INSERT INTO other.orders VALUES (1)")
        db.psql("SELECT pg_logical_emit_message(true, 'p', '1')")
        db.psql("UPDATE orders SET id = 3 WHERE id = 1; DELETE FROM audit_1; DELETE FROM orders WHERE id = 2")
        db.psql("TRUNCATE orders, audit_1")
        filtered.wait_handled(10)
        everything = filtered.events("all")
        assert len(everything) == 10

        def where(condition):
            return [event for event in everything if condition(event)]
        expected = {
            "orders": where(lambda e: e.get("table") != "audit_1" and e.get("schema") != "other"),
            "public": where(lambda e: e.get("table") != "audit_1" and e.get("schema") != "other"),
            "not_audit": where(lambda e: e.get("table") != "audit_1"),
            "inserts": where(lambda e: e["op"] == "c"),
            "messages": where(lambda e: e["op"] == "m"),
            "truncates": where(lambda e: e.get("table") == "orders" and e["op"] in "td"),
            "nothing": [],
        }
        for name, events in expected.items():
            assert filtered.events(name) == events, name
            assert filtered.sink(name)["dropped"] == 10 - len(events), name
        assert filtered.sink("all")["dropped"] == 0
        assert 'walspout_sink_dropped_total{pipeline="test",sink="nothing"} 10' in \
            forwarder.get("/metrics")[1]
        end = pg.lsn(db.server.current_lsn())
        pg.wait_until(lambda: pg.lsn(db.server.slot(forwarder.slot)["confirmed_flush_lsn"]) >= end, 30,
                      what="all confirmed")
        assert forwarder.terminate() == 0


def test_what_a_sink_does_not_want_does_not_wait_for_its_receiver(db, fwd, tmp_path):
    """A sink for other tables holds up nothing, even with its receiver down."""
    db.psql(TABLES)
    sinks = http_sink(1, only='{tables: ["other.*"]}') + file_sink(tmp_path / "all.out")
    with fwd(sinks=sinks, pipeline="memory: 1MiB\nretry: {max: 200ms}") as forwarder:
        db.psql("INSERT INTO orders SELECT generate_series(1, 20000)")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["dropped"] == 20000, 60, what="dropped events")
        end = pg.lsn(db.server.current_lsn())
        pg.wait_until(lambda: pg.lsn(db.server.slot(forwarder.slot)["confirmed_flush_lsn"]) >= end, 30,
                      what="all confirmed")
        db.psql("INSERT INTO other.orders VALUES (1)")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["waiting"] == 1, 30, what="an event that waits")


def test_an_event_that_is_left_out_divides_no_batch(db, fwd):
    """Truncates of other tables are barriers only for the sinks that get them."""
    db.psql(TABLES)
    with Redis(os.path.dirname(fwd().config)) as redis:
        sinks = f"      - type: redis\n        url: {redis.url}\n        stream: s\n" \
                "        only: {tables: [public.orders]}\n"
        with fwd(sinks=sinks) as forwarder:
            db.psql("BEGIN; INSERT INTO orders SELECT i FROM generate_series(1, 100) i;"
                    + "TRUNCATE audit_1; INSERT INTO orders SELECT max(id) + 1 FROM orders;" * 100
                    + "COMMIT")
            pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] == 200, 30, what="events")
            batches = int(re.search(r"^walspout_sink_batches_total{.*} (\d+)",
                                    forwarder.get("/metrics")[1], re.M)[1])
            assert batches < 20
            assert [json.loads(entry["data"])["after"]["id"] for _, entry in redis.entries("s")] == \
                list(range(1, 201))


def test_a_restart_repeats_nothing_that_was_left_out(db, fwd, tmp_path):
    db.psql(TABLES)
    filtered = Filtered(fwd, tmp_path, {"orders": "{tables: [public.orders]}"})
    forwarder = filtered.forwarder
    with forwarder:
        db.psql("INSERT INTO orders VALUES (1); INSERT INTO audit_1 SELECT generate_series(1, 100)")
        filtered.wait_handled(101)
        assert forwarder.terminate() == 0
    with forwarder.start():
        db.psql("INSERT INTO orders VALUES (2)")
        pg.wait_until(lambda: filtered.sink("orders")["events"] == 1, 30, what="the new event")
        assert filtered.sink("orders")["dropped"] == 0
        assert [event["after"]["id"] for event in filtered.events("orders")] == [1, 2]


def test_check_warns_of_patterns_that_match_no_table(db, fwd, tmp_path):
    db.psql(TABLES + "; CREATE PUBLICATION p FOR TABLE orders")
    filters = {"good": '{tables: ["public.orders", "*.ord*"]}', "typo": '{tables: ["public.ordres"]}',
               "case": '{tables: ["public.orders", "!Public.*"]}', "unpublished": "{tables: [other.orders]}"}

    def warned(**more):
        forwarder = Filtered(fwd, tmp_path, filters, **more).forwarder
        done = run("check", forwarder.config)
        assert "ERROR" not in done.stdout
        return re.findall(r'warn  sink "(\w+)": pattern "(\S+)" of only.tables matches no table',
                          done.stdout)
    assert warned(name="all") == [("typo", "public.ordres"), ("case", "!Public.*")]
    assert warned(name="published", source="publications: [p]") == [
        ("typo", "public.ordres"), ("case", "!Public.*"), ("unpublished", "other.orders")]


@pytest.mark.parametrize("only, message", [
    ("{tables: [orders]}", 'must hold patterns such as public.orders, public.* or "!public.audit_*", '
                           'not "orders": the schema and a dot are missing'),
    ("{tables: []}", '"tables" is an empty list'),
    ("{ops: []}", '"ops" is an empty list'),
    ("{ops: [c, x]}", '"x" in "ops" is not one of c, u, d, t, m'),
    ("{ops: [insert]}", '"insert" in "ops" is not one of c, u, d, t, m'),
    ("{}", '"only" needs "tables" or "ops"'),
    ("{table: [public.orders]}", 'did you mean "tables"'),
    ("[public.orders]", '"only"'),
    # YAML gives both characters a meaning of their own.
    ("{tables: [!public.audit_*]}", "in quotes"),
    ("{tables: [!public.audit, public.orders]}", "in quotes"),
    ("{tables: [*.orders]}", "in quotes"),
])
def test_a_filter_that_cannot_be_meant_is_an_error(db, fwd, only, message):
    forwarder = fwd(sinks=file_sink("/dev/null", only=only))
    with open(forwarder.config) as f:
        line = next(i for i, text in enumerate(f, 1) if "only:" in text)
    for command in ("check", "run"):
        done = run(command, forwarder.config)
        assert done.returncode == 2
        found = re.search(rf"^\S+:{line}:\d+: (.*)", done.stdout + done.stderr, re.M)
        assert found and message in found[1], done.stdout + done.stderr


def test_a_stream_for_each_key_is_an_error(db, fwd):
    sinks = "      - type: redis\n        url: redis://127.0.0.1:1\n        stream: '{table}:{key}'\n"
    forwarder = fwd(sinks=sinks)
    for command in ("check", "run"):
        done = run(command, forwarder.config)
        assert done.returncode == 2
        assert "names {key}, which would create a stream for each key" in done.stderr
