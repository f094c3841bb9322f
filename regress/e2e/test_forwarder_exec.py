"""Programs as sinks: the examples, `walspout sink-test`, and a program and a forwarder that are killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import warnings

from harness import postgres as pg
import pytest
from harness.forwarder import run
from harness.proxy import Proxy

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"
PYTHON = "/usr/bin/python3"
EXAMPLES = os.path.join(pg.TOP, "docs", "examples", "exec")

# Appends to a file, and answers for several events at once.
SINK = """\
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "pids"), "a") as f:
    f.write(f"{os.getpid()}\\n")
print("program begins", file=sys.stderr, flush=True)
out = open(os.path.join(here, "lines"), "ab")
pending = b""
while data := os.read(0, 65536):
    *lines, pending = (pending + data).split(b"\\n")
    out.write(b"".join(line + b"\\n" for line in lines))
    out.flush()
    os.write(1, b"".join(b'{"id":"%s"}\\n' % json.loads(line)["id"].encode() for line in lines))
"""


class Program:
    def __init__(self, folder, text=SINK):
        self.folder = str(folder)
        self.path = os.path.join(self.folder, "sink.py")
        with open(self.path, "w") as f:
            f.write(text)

    def sink(self, **more):
        lines = ["- type: exec", f"  command: [{PYTHON}, -B, {self.path}]"]
        lines += [f"  {key}: {value}" for key, value in more.items()]
        return "".join(f"      {line}\n" for line in lines)

    def events(self):
        return [json.loads(line) for line in self.read("lines").split(b"\n")[:-1]]

    def pids(self):
        return [int(pid) for pid in self.read("pids").split()]

    def read(self, name):
        try:
            with open(os.path.join(self.folder, name), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def wait_for(self, count, forwarder, timeout=60):
        """Waits for this number of different events; returns them in the order of their first arrival."""
        def enough():
            unique = {event["id"]: event for event in self.events()}
            return list(unique.values()) if len(unique) >= count else None
        try:
            return pg.wait_until(enough, timeout, what=f"{count} events")
        except TimeoutError as error:
            raise AssertionError(f"{error}, but {len(self.events())}: {forwarder.log()}") from None


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return ") Z " not in f.read()
    except FileNotFoundError:
        return False


def wait_until_gone(pids):
    pg.wait_until(lambda: not any(is_alive(pid) for pid in pids), 30, what=f"end of {pids}")


def test_a_program_gets_every_change(db, fwd, tmp_path):
    program = Program(tmp_path)
    db.psql(TABLE)
    with fwd(sinks=program.sink()) as forwarder:
        forwarder.wait_for_log("msg=\"sink is ready\"")
        assert program.pids() == []                             # check() starts nothing
        db.psql("INSERT INTO t SELECT i, repeat('grüß', i) FROM generate_series(1, 3000) i;"
                "UPDATE t SET id = -1 WHERE id = 1; DELETE FROM t WHERE id = 2; TRUNCATE t")
        events = program.wait_for(3003, forwarder)
        assert [event["op"] for event in events[3000:]] == ["u", "d", "t"]
        assert [event["after"]["id"] for event in events[:3000]] == list(range(1, 3001))
        end = db.server.current_lsn()
        pg.wait_until(lambda: pg.lsn(db.server.slot(forwarder.slot)["confirmed_flush_lsn"]) >= pg.lsn(end),
                      30, what="confirmation")
        forwarder.wait_for_log("msg=\"the receiver says\" pipeline=test sink=exec line=\"program begins\"")
        assert forwarder.status()["sinks"][0]["endpoint"] == PYTHON
        assert forwarder.terminate() == 0
        assert len(program.pids()) == 1
        wait_until_gone(program.pids())


def test_nothing_is_lost_when_either_is_killed(db, fwd, tmp_path):
    program = Program(tmp_path)
    db.psql(TABLE)
    rows = 0
    with fwd(sinks=program.sink(unanswered=100), pipeline="retry: {initial: 10ms, max: 100ms}") as forwarder:
        for turn in range(8):
            for _ in range(5):
                db.psql(f"INSERT INTO t SELECT i FROM generate_series({rows + 1}, {rows + 200}) i")
                rows += 200
            time.sleep(0.05 * (turn % 3))
            if turn % 2:
                forwarder.kill()
                wait_until_gone(program.pids())
                forwarder.start()
            elif program.pids():
                try:
                    os.kill(program.pids()[-1], signal.SIGKILL)
                except ProcessLookupError:
                    pass
        events = program.wait_for(rows, forwarder)
        assert [event["after"]["id"] for event in events] == list(range(1, rows + 1))
        assert "was ended by signal 9 (SIGKILL)" in forwarder.log()
        assert forwarder.terminate() == 0


@pytest.mark.parametrize("pause", [True, False])
def test_a_forwarder_that_is_cut_off_does_not_send_the_rest(db, fwd, tmp_path, pause):
    """The network says nothing of its end, and another forwarder has the slot before the first one gives up."""
    db.psql(TABLE)
    db.psql(f"ALTER DATABASE {db.name} SET wal_sender_timeout = '3s'")
    network = Proxy(os.path.join(db.server.host, f".s.PGSQL.{db.server.port}"))
    waits = 'import time\nwhile not os.path.exists(os.path.join(here, "go")):\n    time.sleep(0.01)\nout = '
    program = Program(tmp_path, SINK.replace("out = ", waits))
    more, retry = ({"deliver_timeout": "1s"}, "retry: {initial: 30s, max: 30s}") if pause else ({}, "")
    try:
        first = fwd(name="first", sinks=program.sink(grace="30s", **more), pipeline=retry,
                    dsn=f"host=127.0.0.1 port={network.port} user={pg.SUPERUSER} dbname={db.name} sslmode=disable")
        second = fwd(name="second")
        with first:
            second.start(wait=False)
            second.wait_for_log("waiting to take over")
            db.psql("INSERT INTO t SELECT i, repeat('x', 9000) FROM generate_series(1, 300) i")
            if pause:
                first.wait_for_log("does not read")
            else:
                pg.wait_until(program.pids, 20, what="program")
            network.blackhole()
            second.wait_for_log("msg=streaming")
            open(os.path.join(program.folder, "go"), "w").close()
            pg.wait_until(program.events, 20, what="events")
            time.sleep(3)
            assert len(program.read("lines")) <= 256 * 1024      # what the pipe had, at most
    finally:
        network.close()


def test_a_program_that_ends_for_nothing_dies_with_the_forwarder(db, fwd, tmp_path):
    stubborn = "import signal, time\nfor s in (1, 2, 15):\n    signal.signal(s, signal.SIG_IGN)\n"
    program = Program(tmp_path, stubborn + SINK + "while True:\n    time.sleep(1)\n")
    db.psql(TABLE)
    with fwd(sinks=program.sink()) as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        program.wait_for(1, forwarder)
        forwarder.kill()
        wait_until_gone(program.pids())
        forwarder.start()
        db.psql("INSERT INTO t VALUES (2)")
        program.wait_for(2, forwarder)
        assert forwarder.terminate() == 0
        wait_until_gone(program.pids())


def test_a_program_that_is_missing_parks_the_sink_until_it_is_there(db, fwd, tmp_path):
    missing = os.path.join(str(tmp_path), "sink")
    sink = f"      - type: exec\n        command: [{missing}]\n"
    program = Program(tmp_path)
    db.psql(TABLE)
    with fwd(sinks=sink, pipeline="retry: {initial: 10ms, max: 200ms}") as forwarder:
        checked = run("check", forwarder.config)
        assert checked.returncode == 1
        assert f"{missing}: could not start the program: there is no such file" in checked.stdout
        db.psql("INSERT INTO t VALUES (1)")
        forwarder.wait_for_log("sink is parked")
        with open(missing, "w") as f:
            f.write(f"#!/bin/sh\nexec {PYTHON} -B {program.path}\n")
        os.chmod(missing, 0o755)
        program.wait_for(1, forwarder)
        assert run("check", forwarder.config).returncode == 0
        assert forwarder.terminate() == 0


def test_a_rejected_event_becomes_a_dead_letter(db, fwd, tmp_path):
    text = SINK.replace("b'{\"id\":\"%s\"}\\n' % json.loads(line)[\"id\"].encode()",
                        "(b'{\"id\":\"%s\"}\\n' if b'bad' not in line else "
                        "b'{\"id\":\"%s\",\"error\":\"bad row\",\"kind\":\"reject\"}\\n')"
                        " % json.loads(line)[\"id\"].encode()")
    assert text != SINK
    program = Program(tmp_path, text)
    letters = os.path.join(str(tmp_path), "dead")
    db.psql(TABLE)
    with fwd(sinks=program.sink(), pipeline=f"dead_letter: {{path: {letters}}}") as forwarder:
        db.psql("INSERT INTO t SELECT i, CASE WHEN i = 5 THEN 'bad' END FROM generate_series(1, 10) i")
        program.wait_for(10, forwarder)
        pg.wait_until(lambda: os.path.exists(letters) and open(letters).read().endswith("\n"), 30,
                      what="dead letter")
        letter = json.loads(open(letters).read())
        assert letter["document"]["after"]["id"] == 5 and "bad row" in letter["reason"]
        assert forwarder.terminate() == 0


# sink-test #########################################################################################

def sink_test(*command, timeout=300):
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return run("sink-test", *command, timeout=timeout, env=env)


def missing(program, package):
    """Whether the language is missing. Warns if so; in CI that is an error."""
    if shutil.which(program):
        return False
    what = f"{program} is not installed, and its example is not tested: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(what)
    warnings.warn(what)
    return True


def test_the_example_in_python(tmp_path):
    check_example([PYTHON, os.path.join(EXAMPLES, "sink.py")], tmp_path)


def test_the_example_in_javascript(tmp_path):
    if not missing("node", "nodejs"):
        check_example(["node", os.path.join(EXAMPLES, "sink.js")], tmp_path)


@pytest.mark.long
def test_the_example_in_go(tmp_path):
    if missing("go", "golang-go"):
        return
    program = os.path.join(str(tmp_path), "sink")
    subprocess.run(["go", "build", "-o", program, os.path.join(EXAMPLES, "sink.go")], check=True, timeout=600,
                   cwd=tmp_path, env={**os.environ, "GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off",
                                      "GOFLAGS": "", "CGO_ENABLED": "0"})
    check_example([program], tmp_path)


def check_example(command, folder):
    out = os.path.join(str(folder), "changes.jsonl")
    done = sink_test("--", *command, out)
    assert done.returncode == 0, done.stdout + done.stderr
    marks = re.findall("^[✓✗]", done.stdout, re.M)
    assert len(marks) == 9 and "9 of 9 passed" in done.stdout
    with open(out) as f:
        for line in f.read().split("\n")[:-1]:
            assert json.loads(line)["id"]


BEGIN = """\
import json, sys, time
def answer(line):
    return json.dumps({"id": json.loads(line)["id"]}) + "\\n"
"""
LOOP = "for line in sys.stdin:\n"


@pytest.mark.parametrize("text, says", [
    ("sys.exit(4)", "✗ answers for an event that nothing follows: the program ended with exit status 4"),
    (LOOP + "    sys.stdout.write(answer(line))", "no answer for 1 events"),        # not flushed
    ("for line in sys.stdin:\n    print('got it', flush=True)", "it wrote what is no answer: \"got it\""),
    ("for line in sys.stdin:\n    print('{\"id\":\"1-1\"}', flush=True)",
     "it answered for an event that it was not given: \"1-1\""),
    ("seen = set()\n" + LOOP + "    if line not in seen:\n        seen.add(line)\n"
     "        print(answer(line), end='', flush=True)", "✗ answers again for events that come again"),
    (LOOP + "    if len(line) > 100000: sys.exit(1)\n    print(answer(line), end='', flush=True)",
     "✗ takes odd documents"),
    (LOOP + "    print(answer(line), end='', flush=True)\ntime.sleep(1000)",
     "✗ ends at end of file, with all answered and exit status 0: it still runs 5 s later"),
    ("import os\nif os.path.exists(__file__ + '.lock'): sys.exit('locked')\nopen(__file__ + '.lock', 'w')\n"
     + LOOP + "    print(answer(line), end='', flush=True)\nos.unlink(__file__ + '.lock')",
     "✗ goes on after it was killed: the program ended with exit status 1; it said last: \"locked\""),
], ids=["ends", "not-flushed", "chatty", "unknown-id", "silent-on-repeats", "short-lines", "no-end", "lock"])
def test_what_is_missing_is_said(tmp_path, text, says):
    path = tmp_path / "bad.py"
    path.write_text(BEGIN + text + "\n")
    done = sink_test(PYTHON, str(path))
    assert done.returncode == 1, done.stdout
    assert says in done.stdout and "\n  -> " in done.stdout
    assert "\033" not in done.stdout


@pytest.mark.parametrize("answer, remedy", [
    ('{"id": "ID", "ok": true}', "no other keys than id, error and kind"),
    ('{"id": "ID", "error": "no", "kind": "later"}', "an answer is a line"),
    ("got ID", "an answer is a line"),
    ('{"id": "1-1"}', "the id of the event's document"),
    ('{"id": "ID"}' + " " * 70_000, "an answer is a line"),
], ids=["unknown-key", "unknown-kind", "chatty", "unknown-id", "long"])
def test_the_remedy_is_that_of_what_was_written(tmp_path, answer, remedy):
    """Nothing about flushing: the answer arrived."""
    path = tmp_path / "bad.py"
    path.write_text(BEGIN + LOOP + f"    print({answer!r}.replace('ID', json.loads(line)['id']), flush=True)\n")
    done = sink_test(PYTHON, str(path))
    assert done.returncode == 1, done.stdout
    remedies = [line.lower() for line in done.stdout.splitlines() if line.startswith("  -> ")]
    assert remedies and all(remedy in line for line in remedies), done.stdout
    assert "flush" not in done.stdout.lower()


def test_sink_test_needs_a_program():
    done = sink_test()
    assert done.returncode == 2 and "COMMAND is required" in done.stderr
    done = sink_test("--", "/nonexistent/program", "--flag")
    assert done.returncode == 1
    assert "✗ starts: /nonexistent/program: could not start the program" in done.stdout
