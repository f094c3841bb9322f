"""The key that columns are hashed with: where it comes from, and that no log and no other role sees it."""

import hashlib
import hmac
import json
import os

import pytest

from harness import postgres as pg
from harness.privilege import give, server_user
from harness.server import ServerError

KEY = "k3y-that-n0-log-has"
RULES = {"columns": "public.t: v hash"}
TALKATIVE = {
    "log_replication_commands": "on", "log_statement": "all", "log_min_messages": "debug5",
    "log_min_error_statement": "debug5", "log_connections": "on", "log_disconnections": "on",
    "log_duration": "on", "log_error_verbosity": "verbose", "debug_print_parse": "on", "log_hostname": "off",
}


@pytest.fixture
def chatty(db):
    """A server that logs everything; what it has logged since."""
    db.server.reload(TALKATIVE)
    before = len(db.server.log())
    yield lambda: db.server.log()[before:]
    db.server.reload({
        "log_replication_commands": "off", "log_statement": "none", "log_min_messages": "warning",
        "log_min_error_statement": "error", "log_connections": "off", "log_disconnections": "off",
        "log_duration": "off", "log_error_verbosity": "default", "debug_print_parse": "off"})


@pytest.fixture
def slot(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    slot = db.create_slot()
    db.psql("INSERT INTO t VALUES (1, 'secret')")
    return slot


def hashed(value, key=KEY):
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()


def events(db, slot, settings, options=RULES):
    end = db.server.current_lsn()
    with db.stream(slot, options, [f"--endpos={end}"], settings=settings) as receiver:
        return [json.loads(line) for line in receiver.lines()]


def test_a_key_of_the_startup_packet_is_in_no_log(db, slot, chatty):
    with db.server.connect(db.name, options=f"-c walspout.hash_key={KEY}") as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT data FROM pg_logical_slot_peek_changes(%s, NULL, NULL, 'columns', %s)",
                           (slot, RULES["columns"]))
            assert hashed("secret") in cursor.fetchone()[0]
    read = events(db, slot, {"walspout.hash_key": KEY})
    assert read[0]["after"] == {"id": 1, "v": hashed("secret")}
    with pytest.raises(ServerError, match="Column v has no change"):
        events(db, slot, {"walspout.hash_key": KEY}, {"columns": "public.t: v"})
    log = chatty()
    assert "START_REPLICATION" in log and "v hash" in log     # it does log the options
    assert KEY not in log
    assert "secret" not in log.replace("'secret'", "")


def test_other_sessions_do_not_see_the_key(db, slot):
    with db.stream(slot, RULES, settings={"walspout.hash_key": KEY}) as receiver:
        assert hashed("secret") in receiver.line()
        for view in ("pg_stat_activity", "pg_stat_replication", "pg_settings"):
            assert KEY not in db.psql(f"SELECT v::text FROM {view} v")
        with open(f"/proc/{receiver.walsender()}/cmdline", "rb") as f:
            assert KEY.encode() not in f.read()


def test_a_file_on_the_server_holds_the_key(db, slot, tmp_path):
    path = os.path.join(db.server.work.path, "hash_key")

    def write(content):
        with open(path, "w") as f:
            f.write(content)
        os.chmod(path, 0o600)
        give(path, server_user())

    setting = {"walspout.hash_key_file": path}
    write(f"{KEY}\nmore\n")
    end = events(db, slot, setting)
    assert end[0]["after"]["v"] == hashed("secret")
    db.psql("INSERT INTO t VALUES (2, 'two')")
    # the session's own key wins
    assert events(db, slot, {**setting, "walspout.hash_key": "own"})[0]["after"]["v"] == hashed("two", "own")
    for content, message in (("", "holds no key"), ("\nkey", "holds no key"), ("x" * 1025, "is too long")):
        write(content)
        with pytest.raises(ServerError, match=message) as refused:
            events(db, slot, setting)
        assert "one line" in str(refused.value)
    os.unlink(path)
    with pytest.raises(ServerError, match="cannot be opened"):
        events(db, slot, setting)


def test_keys_of_every_length(db, slot):
    for size in (1, 63, 64, 65, 500):
        db.psql(f"INSERT INTO t VALUES ({size + 10}, 'ä{size}')")
        key = "k" * size
        assert events(db, slot, {"walspout.hash_key": key})[-1]["after"]["v"] == hashed(f"ä{size}", key)


@pytest.mark.parametrize("encoding, text", [
    ("LATIN1", 'aäöü"z'), ("EUC_JP", "a日本語z"), ("WIN1251", "aжя€z"), ("SQL_ASCII", "aä日z"),
    ("UTF8", "aä日\U0001f418z")])
def test_characters_of_other_encodings(server, encoding, text):
    """Characters are counted, and hashes are of the text in UTF-8, whatever the database's encoding is."""
    name = f"columns_{encoding.lower()}"
    server.createdb(name, encoding)
    db = pg.Database(server, name)
    connection = server.connect(name)
    try:
        if encoding != "SQL_ASCII":
            connection.set_client_encoding("UTF8")
        cursor = connection.cursor()
        cursor.execute('CREATE TABLE t (id int PRIMARY KEY, "odd, name" text, v text, big text)')
        slot = db.create_slot()
        for n in range(len(text) + 2):
            quoted = "'" + text + "'"
            cursor.execute(f"INSERT INTO t VALUES ({n}, {quoted}, {quoted}, repeat({quoted}, 20000))".encode())
            rules = f'public.t: "odd, "* truncate {n} as "new, one", v hash, big truncate {n}'
            read, = events(db, slot, {"walspout.hash_key": KEY, "client_encoding": "UTF8"}, {"columns": rules})
            after = read["after"]
            assert after["new, one"] == text[:n] and after["v"] == hashed(text)
            assert after["big"] == (text * 2)[:n]
    finally:
        connection.close()
        server.dropdb(name)
