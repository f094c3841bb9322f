"""An item of a list in the configuration is exact text, although the plugin's options use commas."""

import json

import pytest
from harness.forwarder import run

ODD = ["a,b", "Q\"", " sp ", "Mail", "it's", "back\\slash", "\"", ",", "", "two\nlines", "ümlaut", "()"]
NEAR = ["a", "b", "Q", "sp", "mail", "its", "backslash", " ", "a, b", "Q\"\"", "Umlaut", "two lines"]


def emit(db, prefixes):
    for prefix in prefixes:
        db.server.query("SELECT pg_logical_emit_message(true, %s, '1')", db.name, (prefix,))


@pytest.mark.effect("source.message_prefixes")
@pytest.mark.parametrize("prefixes", [ODD, *([prefix] for prefix in ODD)],
                         ids=["all", *map(repr, ODD)])
def test_a_prefix_is_exact(db, fwd, prefixes):
    forwarder = fwd(source=f"message_prefixes: {json.dumps(prefixes)}")
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    db.psql("CREATE TABLE t (id int)")
    with forwarder:
        emit(db, NEAR + ODD)
        db.psql("INSERT INTO t VALUES (1)")
        events = forwarder.wait_for_events(len(prefixes) + 1)
    assert [event.get("prefix") for event in events] == [*prefixes, None]


@pytest.mark.effect("source.publications")
def test_a_publication_is_exact(db, fwd):
    names = ["a,b", "Q\"", " sp ", "Mail", "it's", "back\\slash", "ümlaut", "p" * 63]
    near = ["a", "b", "Q", "sp", "mail", "its", "backslash", "umlaut", "p" * 62]
    for number, name in enumerate(names + near):
        quoted = name.replace('"', '""')
        db.psql(f'CREATE TABLE t{number} (id int PRIMARY KEY); '
                f'CREATE PUBLICATION "{quoted}" FOR TABLE t{number}')
    forwarder = fwd(source=f"publications: {json.dumps(names)}")
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    with forwarder:
        for number in reversed(range(len(names + near))):
            db.psql(f"INSERT INTO t{number} VALUES (1)")
        events = forwarder.wait_for_events(len(names))
    assert [event["table"] for event in events] == [f"t{n}" for n in reversed(range(len(names)))]


@pytest.mark.parametrize("key", ["message_prefixes", "publications"])
def test_an_item_that_cannot_be_is_said_where_it_is(fwd, key):
    forwarder = fwd(source=f"{key}:\n  - good\n  - \"a\\0b\"")
    for command in ("check", "run"):
        done = run(command, forwarder.config)
        assert done.returncode == 2
        assert f'main.yaml:8:11: "{key}" must not hold a NUL character' in done.stdout + done.stderr


def test_an_option_that_the_server_rejects_is_not_tried_for_ever(server, fwd, db):
    """A message's prefix cannot have characters that the database's encoding lacks."""
    db.server.dropdb(db.name)
    db.server.createdb(db.name, encoding="LATIN1")
    forwarder = fwd(source="message_prefixes: [\"\\u20ac\"]")
    checked = run("check", forwarder.config)
    assert checked.returncode == 1
    assert "the server rejects an option of `source`" in checked.stdout, checked.stdout
    forwarder.start(wait=False)
    assert forwarder.process.wait(60) == 1
    stops = [line for line in forwarder.log().splitlines() if "pipeline stops" in line]
    assert len(stops) == 1 and "the server rejects an option of `source`" in stops[0]
    assert "source failed" not in forwarder.log()
    # A slot without a reader would keep WAL. Only a slot that existed before stays.
    assert server.slot(forwarder.slot) is None, forwarder.log()
    server.create_slot(forwarder.slot, "walspout", db.name)
    forwarder.start(wait=False)
    assert forwarder.process.wait(60) == 1
    assert server.slot(forwarder.slot)
