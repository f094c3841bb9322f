"""Redis Streams through the forwarder: which source owns a stream, and what counts as delivered."""

import itertools
import json
import os
import threading

from harness import postgres as pg
import pytest
from harness.forwarder import run
from harness.redis import Redis

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


def sink(redis, **more):
    lines = ["- type: redis", f"  url: {redis.url}"] + [f"  {key}: {value}" for key, value in more.items()]
    return "".join(f"      {line}\n" for line in lines)


@pytest.fixture
def redis(tmp_path):
    with Redis(str(tmp_path)) as server:
        yield server


@pytest.fixture
def other(db):
    """A second database of the same server, with the same table."""
    name = f"{db.name}_b"
    db.server.createdb(name)
    db.server.psql(TABLE, name)
    yield name
    db.server.dropdb(name)


def dsn(db, name):
    return f"host={db.server.host} port={db.server.port} user={pg.SUPERUSER} dbname={name}"


def documents(redis):
    """Of all streams."""
    streams = redis.ask("--raw", "SCAN", "0", "COUNT", "1000", "TYPE", "stream")[1:]
    return [entry["data"] for name in streams if name for _, entry in redis.entries(name)]


def confirmed(db, slot):
    return pg.lsn(db.server.slot(slot)["confirmed_flush_lsn"])


def stop(db, *forwarders):
    for forwarder in forwarders:
        forwarder.kill()
        pg.wait_until(lambda: not db.server.slot(forwarder.slot)["active"], what="slot that is free")
        db.server.drop_slot(forwarder.slot)


def test_two_databases_with_the_same_table_lose_nothing(db, other, fwd, redis):
    db.psql(TABLE)
    first = fwd(name="first", slot="two_first", sinks=sink(redis))
    second = fwd(name="second", slot="two_second", sinks=sink(redis), dsn=dsn(db, other))
    first.start()
    second.start()
    assert first.terminate() == 0
    db.psql("INSERT INTO t SELECT i, 'first' FROM generate_series(1, 5) i")
    db.server.psql("INSERT INTO t SELECT i, 'second' FROM generate_series(1, 3) i", other)
    pg.wait_until(lambda: len(documents(redis)) == 3, what="events of the second database")
    first.start()
    pg.wait_until(lambda: len(documents(redis)) == 8, what="events of the first database")
    assert sorted(redis.ask("KEYS", "walspout:*")) == [
        "walspout:positions", f"walspout:{db.name}:public.t", f"walspout:{other}:public.t"]
    stop(db, first, second)


def test_a_stream_of_another_source_is_refused_and_nothing_is_confirmed(db, other, fwd, redis):
    db.psql(TABLE)
    first = fwd(name="first", slot="own_first", sinks=sink(redis, stream="all"))
    second = fwd(name="second", slot="own_second", sinks=sink(redis, stream="all"), dsn=dsn(db, other))
    first.start()
    db.psql("INSERT INTO t VALUES (1, 'first')")
    pg.wait_until(lambda: len(redis.entries("all")) == 1, what="event")
    second.start()
    before = pg.lsn(db.server.current_lsn())
    db.server.psql("INSERT INTO t VALUES (1, 'second')", other)
    second.wait_for_log("is filled from another source")
    assert f"own_first {db.name}" in second.log() and "{database} or {pipeline}" in second.log()
    assert confirmed(db, second.slot) <= before and len(redis.entries("all")) == 1
    # `run` does what `check` says.
    checked = run("check", second.config)
    assert checked.returncode == 1 and "is filled from another source" in checked.stdout
    db.psql("INSERT INTO t VALUES (2, 'first')")
    pg.wait_until(lambda: len(redis.entries("all")) == 2, what="event")
    stop(db, first, second)


def test_what_another_program_adds_is_noticed(db, fwd, redis):
    db.psql(TABLE)
    forwarder = fwd(sinks=sink(redis, stream="all"))
    with forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        pg.wait_until(lambda: len(redis.entries("all")) == 1, what="event")
        redis.ask("XADD", "all", "*", "data", "x")
        before = pg.lsn(db.server.current_lsn())
        db.psql("INSERT INTO t SELECT generate_series(2, 6)")
        forwarder.wait_for_log("another program adds to it")
        assert confirmed(db, forwarder.slot) <= before and len(redis.entries("all")) == 2
        forwarder.kill()
    mark = len(forwarder.log())
    redis.ask("XTRIM", "all", "MAXLEN", "0")
    forwarder.start()
    forwarder.wait_for_log("another program adds to it", mark)
    assert confirmed(db, forwarder.slot) <= before
    # The remedy.
    forwarder.kill()
    redis.ask("DEL", "all")
    with forwarder:
        pg.wait_until(lambda: len(redis.entries("all")) >= 5, what="events")
    stop(db, forwarder)


@pytest.mark.slow
def test_consumers_that_delete_do_not_stop_a_forwarder_that_is_killed(db, fwd, redis):
    db.psql(TABLE)
    name = f"walspout:{db.name}:public.t"
    forwarder = fwd(sinks=sink(redis))
    seen, over = {}, threading.Event()

    def consume():
        while not over.is_set():
            entries = redis.entries(name)
            for id, entry in entries:
                assert seen.setdefault(id, entry["data"]) == entry["data"]
            if entries:
                redis.ask("XDEL", name, *(id for id, _ in entries))
    consumer = threading.Thread(target=consume)
    number = itertools.count()
    try:
        consumer.start()
        for round in range(8):
            forwarder.start()
            for _ in range(20):
                db.psql(f"INSERT INTO t SELECT {next(number) * 100} + i FROM generate_series(1, 50) i")
            forwarder.kill()
            pg.wait_until(lambda: not db.server.slot(forwarder.slot)["active"], what="free slot")
        with forwarder:
            rows = db.value("SELECT count(*) FROM t")
            pg.wait_until(lambda: len(seen) == rows or forwarder.process.poll() is not None, 60,
                          what="events")
            assert len(seen) == rows, forwarder.log()
            assert "another program adds to it" not in forwarder.log()
    finally:
        over.set()
        consumer.join()
    stop(db, forwarder)


def test_what_redis_loses_is_said(db, fwd, redis, tmp_path):
    """Both are killed, and Redis comes back with an older file."""
    db.psql(TABLE)
    state = tmp_path / "state"
    state.mkdir()
    forwarder = fwd(sinks=sink(redis, stream="all"), root=f"drain: 5s\nstate: {state}")
    redis.ask("CONFIG", "SET", "appendonly", "no")
    forwarder.start()
    db.psql("INSERT INTO t SELECT i, 'kept' FROM generate_series(1, 3) i")
    pg.wait_until(lambda: len(redis.entries("all")) == 3, what="events")
    redis.ask("SAVE")
    db.psql("INSERT INTO t SELECT i, 'lost' FROM generate_series(4, 8) i")
    last = db.server.current_lsn()
    pg.wait_until(lambda: confirmed(db, forwarder.slot) >= pg.lsn(last), what="confirmation")
    forwarder.kill()
    redis.restart()
    assert len(redis.entries("all")) == 3
    pg.wait_until(lambda: not db.server.slot(forwarder.slot)["active"], what="slot that is free")
    checked = run("check", forwarder.config)
    assert checked.returncode == 0 and '5 entries of stream "all"' in checked.stdout, checked.stdout
    mark = len(forwarder.log())
    with forwarder.start():
        db.psql("INSERT INTO t VALUES (9, 'later')")
        pg.wait_until(lambda: len(redis.entries("all")) == 4, what="event")
        log = forwarder.log()[mark:]
        assert log.count("has lost events that it had confirmed") == 1
        status = json.loads(forwarder.get("/status")[1])["pipelines"][0]["sinks"][0]
        assert status["losses"] == 1 and "5 entries of stream" in status["last_loss"]
        assert "walspout_sink_losses_total" in forwarder.get("/metrics")[1]
    checked = run("check", forwarder.config)
    assert "entries of stream" not in checked.stdout
    # `drop` also removes the records, so a new begin is not reported as a loss.
    assert len(list(state.glob("*.streams"))) == 1
    pg.wait_until(lambda: not db.server.slot(forwarder.slot)["active"], what="slot that is free")
    assert run("drop", "--yes", forwarder.config).returncode == 0
    assert list(state.iterdir()) == []


def test_streams_that_may_be_evicted_are_warned_of(db, fwd, redis):
    forwarder = fwd(sinks=sink(redis))
    redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    checked = run("check", forwarder.config)
    assert checked.returncode == 0 and "maxmemory-policy is allkeys-lru" in checked.stdout
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert "maxmemory-policy" not in run("check", forwarder.config).stdout


TWO = """\
pipelines:
  - name: one
    source: {{dsn: "{dsn_one}", slot: conflict_one}}
    sinks:
{one}
  - name: two
    source: {{dsn: "{dsn_two}", slot: conflict_two}}
    sinks:
{two}
"""


@pytest.mark.parametrize("one, two, stream", [
    ({"stream": "all"}, {"stream": "all"}, "all"),
    ({"stream": "'{schema}.t'"}, {"stream": "{tables: {s.t: 's.{table}'}}"}, "s.t"),
    ({"stream": "'x:{table}'"}, {"stream": "{tables: {public.u: y}, fallback: 'x:{op}'}"}, "x:c"),
    ({}, {}, None),
    ({"stream": "'{pipeline}:{table}'"}, {"stream": "'{pipeline}:{table}'"}, None),
    ({"stream": "'{database}.{table}'"}, {"stream": "'{database}.{table}'"}, None),
    ({"stream": "'a:{table}'"}, {"stream": "'b:{table}'"}, None),
])
def test_two_pipelines_of_a_file_cannot_write_one_stream(db, other, redis, tmp_path, one, two, stream):
    config = tmp_path / "two.yaml"
    config.write_text(TWO.format(dsn_one=dsn(db, db.name), dsn_two=dsn(db, other),
                                 one=sink(redis, **one), two=sink(redis, **two)))
    checked = run("check", str(config))
    if stream is None:
        assert checked.returncode == 0, checked.stdout + checked.stderr
        return
    for done in (checked, run("run", str(config))):
        assert done.returncode == 2
        for part in ('pipeline "one"', 'pipeline "two"', f'stream "{stream}"',
                     "{pipeline} or {database}"):
            assert part in done.stderr
    assert db.server.slot("conflict_one") is None


def test_two_sinks_of_a_pipeline_cannot_write_one_stream(db, fwd, redis):
    forwarder = fwd(sinks=sink(redis, name="a") + sink(redis, name="b"))
    done = run("run", forwarder.config)
    assert done.returncode == 2 and 'sink "a"' in done.stderr and 'sink "b"' in done.stderr
    assert f"walspout:{db.name}:" in done.stderr


def test_one_database_by_two_spellings_is_one(db, redis, tmp_path):
    config = tmp_path / "two.yaml"
    config.write_text(TWO.format(
        dsn_one=dsn(db, db.name), one=sink(redis), two=sink(redis),
        dsn_two=f"postgresql:///{db.name}?host={db.server.host}&port={db.server.port}"))
    assert f'stream "walspout:{db.name}:.' in run("check", str(config)).stderr


def test_streams_are_named_after_where_the_events_come_from(db, fwd, redis):
    db.psql(TABLE + "; CREATE SCHEMA \"a.b\"; CREATE TABLE \"a.b\".\"c:d\" (id int)")
    forwarder = fwd(sinks=sink(redis, stream="'{pipeline}/{database}/{schema}.{table}'"),
                    dsn=f"host={db.server.host} port={db.server.port} user={pg.SUPERUSER}")
    with forwarder.start(env={**os.environ, "PGDATABASE": db.name}):
        db.psql("INSERT INTO t VALUES (1); INSERT INTO \"a.b\".\"c:d\" VALUES (1)")
        pg.wait_until(lambda: len(documents(redis)) == 2, what="events")
        assert sorted(redis.ask("KEYS", "test/*")) == [f"test/{db.name}/a%2Eb.c%3Ad",
                                                       f"test/{db.name}/public.t"]
    stop(db, forwarder)

