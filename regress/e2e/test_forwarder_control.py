"""POST /control: sinks are paused, resumed and retried by clients with the token, and by no other client."""

import json
import time
import urllib.error
import urllib.request

import pytest
from harness import postgres as pg
from harness.forwarder import http_sink, run

TABLE = "CREATE TABLE orders (id int PRIMARY KEY, note text)"
TOKEN = "a-token-of-a-test"


def post(forwarder, action, token=TOKEN, sink="file", method="POST", **headers):
    """(code, answer) of a request to control a sink."""
    url = f"http://127.0.0.1:{forwarder.status_port()}/control?pipeline=test&sink={sink}&action={action}"
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def sink(forwarder):
    return forwarder.status()["sinks"][0]


def controlled(fwd, **more):
    return fwd(root=f"  control: {TOKEN}\ndrain: 5s", **more)


@pytest.mark.effect("status.control")
def test_a_paused_sink_delivers_nothing_until_it_is_resumed(db, fwd):
    db.psql(TABLE)
    with controlled(fwd) as forwarder:
        db.psql("INSERT INTO orders VALUES (1)")
        forwarder.wait_for_events(1)
        assert post(forwarder, "pause") == (200, {"done": "pause"})
        pg.wait_until(lambda: sink(forwarder)["state"] == "paused", 30, what="the pause")
        assert "paused" in forwarder.get("/readyz")[1]
        db.psql("INSERT INTO orders SELECT g FROM generate_series(2, 10) g")
        pg.wait_until(lambda: sink(forwarder)["waiting"] == 9, 30, what="events that wait")
        time.sleep(2)
        assert len(forwarder.events()) == 1
        assert post(forwarder, "resume")[0] == 200
        forwarder.wait_for_events(10)
        pg.wait_until(lambda: sink(forwarder)["state"] == "delivering", 30, what="the end of the pause")
        assert post(forwarder, "pause")[0] == 200
        assert forwarder.terminate() == 0


def test_a_retry_ends_a_pause_between_attempts(db, fwd, dead_port):
    db.psql(TABLE)
    with controlled(fwd, sinks=http_sink(dead_port), pipeline="retry: {initial: 1000s, max: 1000s}") as forwarder:
        db.psql("INSERT INTO orders VALUES (1)")
        pg.wait_until(lambda: sink(forwarder)["retries"] > 0, 30, what="a failure")

        def more():
            before = sink(forwarder)["retries"]
            assert post(forwarder, "retry", sink="http")[0] == 200
            time.sleep(1)
            return sink(forwarder)["retries"] > before
        pg.wait_until(more, 30, what="another attempt")


def test_nothing_changes_without_the_token(db, fwd):
    db.psql(TABLE)
    with controlled(fwd) as forwarder:
        assert post(forwarder, "pause", token=None)[0] == 401
        assert post(forwarder, "pause", token=TOKEN[:-1])[0] == 401
        assert post(forwarder, "pause", token=TOKEN + "x")[0] == 401
        assert post(forwarder, "pause", method="GET")[0] == 405
        assert post(forwarder, "pause", Host="evil.example")[0] == 403
        assert post(forwarder, "pause", Origin="http://evil.example")[0] == 403
        assert post(forwarder, "pause", Origin=f"http://127.0.0.1:{forwarder.status_port()}")[0] == 200
        assert post(forwarder, "resume")[0] == 200
        assert post(forwarder, "explode")[0] == 400
        assert post(forwarder, "pause", sink="other")[0] == 404
        assert TOKEN not in forwarder.log() and sink(forwarder)["state"] != "paused"


def test_guesses_are_bounded(db, fwd):
    db.psql(TABLE)
    with controlled(fwd) as forwarder:
        codes = [post(forwarder, "pause", token=f"guess {i}")[0] for i in range(30)]
        assert codes[0] == 401 and codes[-1] == 429
        assert post(forwarder, "pause")[0] == 429, "no token is looked at meanwhile"
        assert forwarder.log().count("the token is wrong") < 25
        pg.wait_until(lambda: post(forwarder, "pause")[0] == 200, 60, 0.5, what="the end of that")


def test_it_is_read_only_by_default(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        assert post(forwarder, "pause")[0] == 403
        assert post(forwarder, "pause", token="")[0] == 403
        assert json.loads(forwarder.get("/status")[1])["control"] is False


def test_a_token_that_is_short_is_an_error(tmp_path):
    (tmp_path / "c.yaml").write_text("pipelines: [{name: p, source: {dsn: 'host=x', slot: s}, sinks: [{type: 'null'}]}]\n"
                                     "status: {control: tooshort}\n")
    checked = run("check", str(tmp_path / "c.yaml"))
    assert checked.returncode == 2 and "16 characters" in checked.stderr and "tooshort" not in checked.stderr
