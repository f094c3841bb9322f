"""Dead letters: rejected events are set aside, and `walspout replay` sends them again."""

import json
import os
import random
import signal
import subprocess
import time

from harness import postgres as pg
import pytest
from harness.forwarder import PROGRAM, file_sink, http_sink, run
from harness.redis import Redis
from harness.webhook import Webhook

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


@pytest.fixture
def letters(tmp_path):
    return str(tmp_path / "dead")


def dead_letter(path, after=None):
    return f"dead_letter: {{path: {path}" + (f", after: {after}}}" if after else "}")


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def set_aside(db, fwd, letters, count, sinks, **more):
    """A stopped forwarder that has set aside events of `count` rows; and their ids."""
    forwarder = fwd(sinks=sinks, pipeline=dead_letter(letters), **more)
    with forwarder:
        db.psql(f"INSERT INTO t SELECT i, 'a \"b\"' FROM generate_series(1, {count}) i")
        pg.wait_until(lambda: forwarder.status()["sinks"][0]["dead_letters"] == count, 20,
                      what="dead letters")
        assert forwarder.terminate() == 0
    return [letter["id"] for letter in read(letters)]


def test_what_was_refused_is_sent_again_in_order(db, fwd, letters):
    db.psql(TABLE)
    with Webhook(answer=lambda number, id: 400) as hook:
        ids = set_aside(db, fwd, letters, 20, http_sink(hook.port))
        assert len(set(ids)) == 20 and hook.ids == []
        config = fwd(sinks=http_sink(hook.port), pipeline=dead_letter(letters)).config

        listed = run("replay", "--dry-run", letters, config)
        assert listed.returncode == 0
        assert [line.split()[2] for line in listed.stdout.splitlines()] == ids
        assert hook.ids == [] and [letter["id"] for letter in read(letters)] == ids

        refused = run("replay", letters, config)
        assert refused.returncode == 1 and refused.stderr.count("kept: ") == 20
        assert [letter["id"] for letter in read(letters)] == ids

        # 503 and 429 are tried again, as always; one is refused again.
        hook.requests.clear()
        hook.answer = lambda number, id: (400 if id == ids[7] else
                                          503 if number in (3, 4, 11) else 204)
        done = run("replay", letters, config)
        assert done.returncode == 1
        assert hook.ids == ids[:7] + ids[8:]
        assert "line 8: kept: " in done.stderr and "pipeline test, sink http: 19 sent" in done.stderr
        assert [letter["id"] for letter in read(letters)] == [ids[7]]
        assert json.loads(hook.requests[-1][1])["after"] == {"id": 20, "body": 'a "b"'}

        hook.answer = lambda number, id: 204
        assert run("replay", letters, config).returncode == 0
        assert os.path.getsize(letters) == 0
        assert hook.ids[-1] == ids[7]


def test_what_the_sink_does_not_want_any_more_is_discarded(db, fwd, letters):
    """Also where its receiver is down."""
    db.psql(TABLE)
    with Webhook(answer=lambda number, id: 400) as hook:
        set_aside(db, fwd, letters, 3, http_sink(hook.port))
    config = fwd(sinks=http_sink(1, only="{ops: [d]}"), pipeline=dead_letter(letters)).config
    done = run("replay", letters, config)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(": discarded ") == 3 and "3 discarded" in done.stderr
    assert os.path.getsize(letters) == 0


def test_each_goes_to_the_sink_that_refused_it(db, fwd, letters, tmp_path):
    db.psql(TABLE)
    with Webhook(answer=lambda number, id: 400) as hook, Webhook() as other:
        sinks = http_sink(hook.port, name="one") + http_sink(other.port, name="two")
        ids = set_aside(db, fwd, letters, 3, sinks)
        assert other.ids == ids
        hook.answer = other.answer = lambda number, id: 204
        other.ids.clear()
        # A line of a sink that no longer exists, a line that a crash cut short, a line that is not JSON.
        lines = open(letters).read().splitlines()
        bad = [lines[0].replace('"sink":"one"', '"sink":"gone"'), lines[1][:-3], "junk"]
        with open(letters, "w") as f:
            f.write("\n".join([bad[0], lines[0], bad[1], lines[1], bad[2], lines[2]]) + "\n")
        done = run("replay", letters, fwd(sinks=sinks).config)
        assert done.returncode == 1
        assert hook.ids == ids and other.ids == []
        for number, why in ((1, 'no pipeline "test" with a sink "gone"'), (3, ""), (5, "no dead letter")):
            assert f"line {number}: kept: " in done.stderr and why in done.stderr
        assert open(letters).read().splitlines() == bad


def test_killed_at_any_moment_it_loses_nothing_and_repeats_one_at_most(db, fwd, letters):
    db.psql(TABLE)
    chance = random.Random(2)
    count = 300
    with Webhook(answer=lambda number, id: 400) as hook:
        ids = set_aside(db, fwd, letters, count, http_sink(hook.port))
        config = fwd(sinks=http_sink(hook.port)).config
        hook.answer = lambda number, id: time.sleep(0.002) or 204
        kills = 0
        while True:
            replay = subprocess.Popen([PROGRAM, "replay", letters, config],
                                      stderr=subprocess.DEVNULL)
            try:
                assert replay.wait(chance.uniform(0.01, 0.12)) == 0
                break
            except subprocess.TimeoutExpired:
                replay.kill()
                replay.wait()
                kills += 1
        assert kills > 0
        assert list(dict.fromkeys(hook.ids)) == ids
        assert len(hook.ids) <= count + kills
        assert os.path.getsize(letters) == 0 and os.listdir(os.path.dirname(letters)).count("dead") == 1


def test_a_signal_ends_it_in_the_middle(db, fwd, letters):
    db.psql(TABLE)
    with Webhook(answer=lambda number, id: 400) as hook:
        ids = set_aside(db, fwd, letters, 3, http_sink(hook.port))
        hook.answer = lambda number, id: 204 if id == ids[0] else 503
        config = fwd(sinks=http_sink(hook.port), pipeline="retry: {initial: 10s, max: 10s}").config
        replay = subprocess.Popen([PROGRAM, "replay", letters, config], stderr=subprocess.PIPE,
                                  text=True)
        pg.wait_until(lambda: len(hook.requests) >= 5, what="attempt")
        assert run("replay", letters, config).returncode == 1, "another one is under way"
        time.sleep(0.1)
        replay.send_signal(signal.SIGTERM)
        _, text = replay.communicate(timeout=5)
        assert replay.returncode == 1
        assert "will try again" in text and "stopped before the end" in text
        assert [letter["id"] for letter in read(letters)] == ids[1:]


def test_a_running_forwarder_goes_on_setting_aside(db, fwd, letters):
    db.psql(TABLE)
    rows = 150
    with Webhook(answer=lambda number, id: 400) as hook:
        sinks = http_sink(hook.port)
        with fwd(sinks=sinks, pipeline=dead_letter(letters)) as forwarder:
            count = lambda: forwarder.status()["sinks"][0]["dead_letters"]      # noqa: E731
            db.psql("INSERT INTO t SELECT generate_series(1, 20)")
            pg.wait_until(lambda: count() == 20, what="dead letters")
            with Webhook() as again:
                config = fwd(name="again", sinks=http_sink(again.port)).config
                db.psql(f"INSERT INTO t SELECT generate_series(21, {rows})")
                for _ in range(1000):
                    assert run("replay", letters, config).returncode == 0
                    if count() == rows:
                        break
                assert run("replay", letters, config).returncode == 0
                assert len(again.ids) == rows and len(set(again.ids)) == rows
                assert os.path.getsize(letters) == 0


def test_what_redis_will_not_add_is_not_called_delivered(db, fwd, letters, tmp_path):
    db.psql(TABLE)
    with Redis(str(tmp_path)) as redis:
        def sinks(tables):
            return (f"      - type: redis\n        url: {redis.url}\n"
                    f"        stream: {{tables: {{{tables}}}}}\n")
        ids = set_aside(db, fwd, letters, 3, sinks("public.other: all"))
        # Its stream has come into being, and has gone on without them.
        later = f"{int(ids[-1].split('-')[0]) + 1}-0"
        redis.ask("XADD", "all", later, "data", "x")
        config = fwd(sinks=sinks("public.t: all")).config
        kept = run("replay", letters, config)
        assert kept.returncode == 1 and "has later entries, and not this one" in kept.stderr
        assert "--to" in kept.stderr and "pipeline test, sink redis: 0 sent" in kept.stderr
        assert [letter["id"] for letter in read(letters)] == ids
        assert run("replay", "--to", "late:{pipeline}:{database}:{table}", letters,
                   config).returncode == 0
        assert [id for id, _ in redis.entries(f"late:test:{db.name}:t")] == ids
        assert [id for id, _ in redis.entries("all")] == [later]
        assert os.path.getsize(letters) == 0


@pytest.mark.effect("pipeline.dead_letter.path", "pipeline.dead_letter.after")
def test_an_event_that_fails_often_enough_is_set_aside_and_stays_so(db, fwd, letters, tmp_path):
    db.psql(TABLE)
    pipeline = dead_letter(letters, after=3) + "\nretry: {initial: 1ms, max: 5ms}"
    with Webhook(answer=lambda number, id: 500) as hook:
        with fwd(sinks=http_sink(hook.port), pipeline=pipeline) as forwarder:
            db.psql("INSERT INTO t VALUES (1)")
            pg.wait_until(lambda: forwarder.status()["sinks"][0]["dead_letters"] == 1, 20,
                          what="dead letter")
            assert len(hook.requests) == 3
            assert forwarder.terminate() == 0
        assert run("replay", letters, forwarder.config).returncode == 1
        assert len(hook.requests) == 6
        assert len(read(letters)) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_an_outage_of_a_webhook_makes_no_dead_letters(db, fwd, letters, status):
    db.psql(TABLE)
    pipeline = dead_letter(letters, after=2) + "\nretry: {initial: 1ms, max: 5ms}"
    with Webhook(answer=lambda number, id: status) as hook:
        with fwd(sinks=http_sink(hook.port), pipeline=pipeline) as forwarder:
            db.psql("INSERT INTO t SELECT generate_series(1, 20)")
            pg.wait_until(lambda: len(hook.requests) > 60, 30, what="attempts")
            assert forwarder.status()["sinks"][0]["dead_letters"] == 0
            hook.answer = lambda number, id: 204
            pg.wait_until(lambda: len(hook.ids) >= 20, 20, what="events")
            assert len(set(hook.ids)) == 20
            # The outage may end while an event is tried to prove that the receiver takes others.
            assert sum(a > b for a, b in zip(map(id_parts, hook.ids), map(id_parts, hook.ids[1:]))) <= 1
            assert read(letters) == []


def id_parts(id):
    return [int(part) for part in id.split("-")]


@pytest.mark.parametrize("outage, cure", [
    (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
    (("ACL", "SETUSER", "default", "-xadd"), ("ACL", "SETUSER", "default", "+xadd")),
], ids=["memory", "replica", "replicas", "permission"])
def test_an_outage_of_redis_makes_no_dead_letters(db, fwd, letters, tmp_path, outage, cure):
    db.psql(TABLE)
    pipeline = dead_letter(letters, after=2) + "\nretry: {initial: 1ms, max: 5ms}"
    with Redis(str(tmp_path)) as redis:
        sinks = f"      - type: redis\n        url: {redis.url}\n        stream: all\n"
        with fwd(sinks=sinks, pipeline=pipeline) as forwarder:
            redis.ask(*outage)
            db.psql("INSERT INTO t SELECT generate_series(1, 16)")
            pg.wait_until(lambda: forwarder.status()["sinks"][0]["retries"] > 40, 30, what="attempts")
            assert forwarder.status()["sinks"][0]["dead_letters"] == 0
            redis.ask(*cure)
            pg.wait_until(lambda: len(redis.entries("all")) == 16, 20, what="entries")
            assert read(letters) == []


def test_only_the_bad_event_of_a_batch_is_set_aside(db, fwd, letters):
    db.psql(TABLE)
    pipeline = dead_letter(letters, after=2) + "\nretry: {initial: 1ms, max: 5ms}"
    with Webhook() as hook:
        hook.judge = lambda body: 500 if any(event["after"]["id"] in (5, 8) for event in body) else 204
        with fwd(sinks=http_sink(hook.port, batch="{events: 10}"), pipeline=pipeline) as forwarder:
            db.psql("INSERT INTO t SELECT generate_series(1, 30)")
            pg.wait_until(lambda: forwarder.status()["sinks"][0]["events"] == 28, 20, what="events")
            assert forwarder.status()["sinks"][0]["dead_letters"] == 2
        delivered = [event["after"]["id"] for body in hook.bodies for event in body]
        assert delivered == [i for i in range(1, 31) if i not in (5, 8)]
        assert [letter["document"]["after"]["id"] for letter in read(letters)] == [5, 8]


@pytest.mark.parametrize("status, remedy", [(410, "take the sink out"), (301, "set url to it"),
                                            (422, "configure dead_letter")])
def test_a_parked_sink_leaves_the_others_alone_and_needs_no_restart(db, fwd, tmp_path, status, remedy):
    db.psql(TABLE)
    one = str(tmp_path / "one")
    with Webhook(answer=lambda number, id: status) as hook:
        with fwd(sinks=file_sink(one) + http_sink(hook.port),
                 pipeline="retry: {initial: 1ms, max: 100ms}") as forwarder:
            db.psql("INSERT INTO t VALUES (1)")
            forwarder.wait_for_log("sink is parked")
            db.psql("INSERT INTO t VALUES (2)")
            forwarder.wait_for_events(2, path=one)
            code, text = forwarder.get("/readyz")
            assert code == 503 and "sink http is parked" in text and remedy in text
            assert forwarder.log().count("sink is parked") == 1
            hook.answer = lambda number, id: 204
            pg.wait_until(lambda: len(hook.ids) == 2, 10, what="events")
            pg.wait_until(lambda: forwarder.get("/readyz")[0] == 200, 5, what="readiness")


def test_a_file_that_the_forwarder_writes_to_is_not_disturbed(db, fwd, letters, tmp_path):
    db.psql(TABLE)
    with fwd() as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        forwarder.wait_for_events(1)
        event = open(forwarder.output).read().splitlines()[0]
        with open(letters, "w") as f:
            f.write('{"sent":0,"id":"%s","pipeline":"test","sink":"file","reason":"no","op":"c",'
                    '"schema":"public","table":"t","commit_time":0,"key_hash":0,"key_begin":0,'
                    '"key_size":0,"barrier":0,"document":%s}\n' % (json.loads(event)["id"], event))
        replay = subprocess.Popen([PROGRAM, "replay", letters, forwarder.config],
                                  stderr=subprocess.PIPE, text=True)
        assert "sink is ready" in replay.stderr.readline()
        assert "another process" in replay.stderr.readline()
        assert run("check", forwarder.config).returncode == 0
        assert forwarder.terminate() == 0
        assert replay.communicate(timeout=40) and replay.returncode == 0
        assert open(forwarder.output).read().splitlines() == [event, event]


def test_what_cannot_be_replayed_says_why(db, fwd, letters, tmp_path):
    config = fwd(sinks=file_sink(str(tmp_path / "out"))).config
    missing = run("replay", str(tmp_path / "none"), config)
    assert missing.returncode == 2 and "no such file" in missing.stderr
    assert run("replay", letters, str(tmp_path / "none.yaml")).returncode == 2
    open(letters, "w").close()
    assert run("replay", letters, config).returncode == 0
