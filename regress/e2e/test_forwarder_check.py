"""`check` finds whatever `run` would fail at, and changes nothing; how `run` ends then."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import cluster as pg
import pytest
from forwarder import PROGRAM, die_with_parent, file_sink, http_sink, run

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"


def check(forwarder):
    done = run("check", forwarder.config)
    return done.returncode, done.stdout + done.stderr


def listen(forwarder, address):
    with open(forwarder.config) as f:
        text = f.read()
    with open(forwarder.config, "w") as f:
        f.write(text.replace("listen: 127.0.0.1:0", f"listen: '{address}'"))
    return forwarder


def files(folder):
    """{path: (inode, size, mode, owner, time of change)} of all that is there."""
    found = {}
    for path, folders, names in os.walk(folder):
        for name in folders + names:
            full = os.path.join(path, name)
            status = os.lstat(full)
            found[full] = (status.st_ino, status.st_size, status.st_mode, status.st_uid,
                           status.st_mtime_ns)
    return found


# The status server ###################################################################################

@contextlib.contextmanager
def taken(host):
    """A port that another program has, at all addresses of a name: of these the forwarder takes one that is free."""
    places = {(family, place[0]) for family, *_, place in
              socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)}
    port = 0
    with contextlib.ExitStack() as others:
        for family, address in places:
            other = others.enter_context(socket.create_server((address, port), family=family))
            port = other.getsockname()[1]
        yield port


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "[::1]"])
def test_a_port_that_another_program_has_is_an_error(db, fwd, address):
    with taken(address.strip("[]")) as port:
        forwarder = listen(fwd(), f"{address}:{port}")
        code, text = check(forwarder)
        assert code == 1 and "ERROR" in text and "could not listen" in text and "->" in text
        assert run("run", forwarder.config).returncode == 1


def test_an_address_that_is_not_ours_is_an_error(db, fwd):
    code, text = check(listen(fwd(), "192.0.2.1:9187"))
    assert code == 1 and "192.0.2.1:9187" in text and "`listen`" in text


def test_the_port_of_the_forwarder_that_runs_is_no_error(db, fwd):
    db.psql(TABLE)
    with fwd() as forwarder:
        listen(forwarder, f"127.0.0.1:{forwarder.port()}")
        code, text = check(forwarder)
        assert code == 0 and "runs" in text, text
        # Another one's is.
        other = listen(fwd(name="other", slot="another"), f"127.0.0.1:{forwarder.port()}")
        code, text = check(other)
        assert code == 1 and "could not listen" in text


# Files ###############################################################################################

WRONG_FILES = {
    "no state": ("", "state: {folder}/none", "No such file or directory"),
    "no folder for dead letters": ("dead_letter: {{path: {folder}/none/dead}}", "", "none/dead"),
    "dead letters are a folder": ("dead_letter: {{path: {folder}}}", "", "Is a directory"),
    "dead letters below a file": ("dead_letter: {{path: {folder}/file/x}}", "", "Not a directory"),
    "state is a file": ("", "state: {folder}/file", "Not a directory"),
}


@pytest.mark.parametrize("what", WRONG_FILES)
def test_a_file_that_cannot_be_had_is_an_error_that_may_pass(db, fwd, tmp_path, what):
    db.psql(TABLE)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "file").write_text("")
    pipeline, root, why = WRONG_FILES[what]
    forwarder = fwd(pipeline=pipeline.format(folder=folder), root=root.format(folder=folder))
    before = files(folder)
    code, text = check(forwarder)
    assert code == 1 and why in text, text
    assert files(folder) == before
    # A file system may be mounted later: the service manager is to try again.
    done = run("run", forwarder.config)
    assert done.returncode == 1 and why in done.stderr, done.stderr
    assert done.stderr.startswith("time="), "it is a line of the log"


def test_a_unit_goes_on_trying():
    with open(os.path.join(pg.TOP, "forwarder", "walspout.service")) as f:
        unit = f.read()
    for line in ("Restart=on-failure", "RestartPreventExitStatus=2", "StartLimitIntervalSec=0"):
        assert f"\n{line}\n" in unit


def test_check_makes_and_changes_no_file(db, fwd, tmp_path):
    db.psql(TABLE)
    state = tmp_path / "state"
    state.mkdir()
    new = fwd(sinks=file_sink(tmp_path / "new.jsonl"), root=f"state: {state}",
              pipeline=f"dead_letter: {{path: {tmp_path}/dead}}")
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"id":"1-0"}\n{"id":"2-')
    old = fwd(name="old", sinks=file_sink(torn))
    before = files(tmp_path)
    for forwarder in (new, old):
        code, text = check(forwarder)
        assert code == 0, text
    assert files(tmp_path) == before
    with new:
        db.psql("INSERT INTO t VALUES (1)")
        new.wait_for_events(1, path=tmp_path / "new.jsonl")
        before = os.stat(tmp_path / "new.jsonl").st_ino
        assert check(new)[0] == 0
        assert os.stat(tmp_path / "new.jsonl").st_ino == before


@pytest.mark.parametrize("path,why", [
    ("{}/none/events", "No such file"), ("{}", "Is a directory"), ("{}/file/events", "Not a directory"),
    ("{}/pipe", "no regular file"), ("{}/" + "n" * 300, "too long"), ("{}/none/", "Is a directory")])
def test_a_file_sink_that_could_not_write_is_an_error(db, fwd, tmp_path, path, why):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "file").write_text("")
    os.mkfifo(folder / "pipe")
    code, text = check(fwd(sinks=file_sink(path.format(folder))))
    assert code == 1 and why in text, text


@pytest.mark.skipif(os.geteuid() != 0, reason="root can become another user")
def test_check_as_another_user_sees_what_that_user_may_do(db, fwd, tmp_path):
    """The program and its configuration are inherited: folders of the tests are closed to others."""
    os.chmod(tmp_path, 0o711)
    closed = tmp_path / "closed"
    closed.mkdir(0o755)
    forwarder = fwd(sinks=file_sink(f"{closed}/events"), root=f"state: {closed}",
                    pipeline=f"dead_letter: {{path: {closed}/dead}}")
    for folder in tmp_path.parents:
        if folder.stat().st_mode & 0o001 == 0 and folder.stat().st_uid == os.geteuid():
            os.chmod(folder, folder.stat().st_mode | 0o011)

    def other_user():
        die_with_parent()
        os.setgid(54321)
        os.setuid(54321)
    os.chmod(forwarder.config, 0o644)
    with open(PROGRAM, "rb") as program, open(forwarder.config) as config:
        done = subprocess.run(["walspout", "check", f"/dev/fd/{config.fileno()}"], timeout=60, text=True,
                              executable=f"/dev/fd/{program.fileno()}", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, pass_fds=(program.fileno(), config.fileno()),
                              preexec_fn=other_user, cwd="/", check=False)
    assert done.returncode == 1
    denied = [line for line in done.stdout.splitlines() if "Permission denied" in line]
    assert sum(str(closed) in line for line in denied) == 3, done.stdout


@pytest.mark.parametrize("second", ["out", "folder/../out", "link"])
def test_two_sinks_of_one_file_are_an_error(db, fwd, tmp_path, second):
    os.mkdir(tmp_path / "folder")
    os.symlink(tmp_path / "out", tmp_path / "link")
    other = file_sink(f"{tmp_path}/{second}").replace("type: file", "type: file\n        name: second")
    forwarder = fwd(sinks=file_sink(tmp_path / "out") + other)
    for command in ("check", "run"):
        done = run(command, forwarder.config)
        assert done.returncode == 2 and "can both write file" in done.stderr, done.stderr


def test_a_sink_that_writes_the_dead_letters_file_is_an_error(db, fwd, tmp_path):
    forwarder = fwd(sinks=file_sink(tmp_path / "out"),
                    pipeline=f"dead_letter: {{path: {tmp_path}/./out}}")
    for command in ("check", "run"):
        done = run(command, forwarder.config)
        assert done.returncode == 2 and "writes the dead letter file" in done.stderr, done.stderr


def test_functions_that_are_closed_to_the_role_are_no_fault(db, fwd, tmp_path):
    functions = ["pg_control_system()", "pg_create_logical_replication_slot(name, name, bool, bool, bool)"]
    if db.server.installation.major < 14:
        functions[1] = "pg_create_logical_replication_slot(name, name, bool)"
    elif db.server.installation.major < 17:
        functions[1] = "pg_create_logical_replication_slot(name, name, bool, bool)"
    db.psql(f"CREATE ROLE {db.name}_r LOGIN REPLICATION")
    for function in functions:
        db.psql(f"REVOKE EXECUTE ON FUNCTION {function} FROM public")
    forwarder = fwd(sinks=file_sink(tmp_path / "out"))
    with open(forwarder.config) as f:
        text = f.read()
    with open(forwarder.config, "w") as f:
        f.write(re.sub(r"user=\w+", f"user={db.name}_r", text))
    code, text = check(forwarder)
    assert code == 0 and "the plugin was not tried" in text, text


# Sinks ###############################################################################################

@pytest.mark.parametrize("secret", ["ab", "whsec_YWI=", "whsec_" + "QUFB" * 8])
def test_a_secret_that_is_too_short_is_an_error(db, fwd, secret):
    forwarder = fwd(sinks=http_sink(1, secret=secret))
    code, text = check(forwarder)
    short = len(secret) < 24
    assert ("at least 24 bytes" in text) is short, text
    if short:
        assert code == 1 and secret not in text
        assert run("run", forwarder.config).returncode == 2


# Tables ##############################################################################################

IDENTITIES = """
    CREATE TABLE bare (id int, v text);
    CREATE TABLE late_key (id int PRIMARY KEY DEFERRABLE, v text);
    CREATE TABLE dropped (id int NOT NULL UNIQUE, v text);
    ALTER TABLE dropped REPLICA IDENTITY USING INDEX dropped_id_key;
    ALTER TABLE dropped DROP CONSTRAINT dropped_id_key;
    CREATE TABLE nothing (id int PRIMARY KEY, v text);
    ALTER TABLE nothing REPLICA IDENTITY NOTHING;
    CREATE SCHEMA "S";
    CREATE TABLE "S"."P" (id int, v text) PARTITION BY LIST (id);
    CREATE TABLE "S"."Leaf" PARTITION OF "S"."P" DEFAULT;
    CREATE TABLE good (id int PRIMARY KEY, v text);
    CREATE TABLE whole (id int PRIMARY KEY DEFERRABLE, v text);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE indexed (id int NOT NULL UNIQUE, v text);
    ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_id_key;
"""
BAD = ["bare", "late_key", "dropped", "nothing", '"S"."Leaf"']
ALL = [*BAD, "good", "whole", "indexed"]


def rejects(db, table, statement):
    try:
        db.psql(statement.format(table=table))
    except pg.ServerError as error:
        assert "replica identity" in str(error), error
        return True
    return False


@pytest.mark.parametrize("root", [False, True], ids=["leaves", "root"])
def test_tables_whose_updates_the_server_rejects_are_errors(db, fwd, root):
    db.psql(IDENTITIES)
    option = " WITH (publish_via_partition_root)" if root else ""
    db.psql("CREATE PUBLICATION p FOR TABLE bare, late_key, dropped, nothing, good, whole, indexed, "
            f'"S"."P"{option}')
    for table in ALL:
        db.psql(f"INSERT INTO {table} VALUES (1, 'a')")
    for source in ("publications: [p]", ""):
        code, text = check(fwd(source=source, name=source[:3] or "all"))
        named = [table for table in ALL if f"ERROR table {table} " in text]
        assert named == [table for table in ALL
                         if rejects(db, table, "UPDATE {table} SET v = 'b'")] == BAD, text
        assert code == 1
    # The statements that it names are right.
    for line in [line for line in text.splitlines() if "-> ALTER TABLE" in line]:
        db.psql(line.split("-> ")[1].split(", or ")[0])
    code, text = check(fwd(source="publications: [p]", name="after"))
    assert code == 0 and "ERROR" not in text
    assert not any(rejects(db, table, "UPDATE {table} SET v = 'c'") for table in ALL)


def test_tables_that_nothing_publishes_are_warned_of(db, fwd):
    db.psql(IDENTITIES)
    code, text = check(fwd())
    assert code == 0
    assert [table for table in ALL if f"warn  table {table} " in text] == BAD, text
    assert text.count("carry no key") == len(BAD)


def test_a_publication_of_inserts_needs_no_identity(db, fwd):
    db.psql(IDENTITIES + "CREATE PUBLICATION p FOR TABLE bare WITH (publish = 'insert')")
    code, text = check(fwd(source="publications: [p]"))
    assert code == 0 and "table bare" not in text
    # Another publication counts too: the server asks all of them.
    db.psql("CREATE PUBLICATION q FOR TABLE bare WITH (publish = 'delete')")
    code, text = check(fwd(source="publications: [p]", name="other"))
    assert code == 1 and "ERROR table bare " in text and "DELETE" in text and "UPDATE" not in text
    assert rejects(db, "bare", "DELETE FROM {table}")
    assert not rejects(db, "bare", "UPDATE {table} SET v = 'x'")


def test_many_tables_without_identity_are_counted(db, fwd):
    db.psql("".join(f"CREATE TABLE t{i} (i int);" for i in range(30)))
    text = check(fwd())[1]
    assert text.count("carry no key") == 20 and "10 more" in text


def test_a_signal_ends_run_well_after_check_said_so(db, fwd, tmp_path):
    """What `check` finds good `run` starts with."""
    db.psql(TABLE)
    forwarder = fwd(root=f"state: {tmp_path}", pipeline=f"dead_letter: {{path: {tmp_path}/dead}}")
    assert check(forwarder)[0] == 0
    with forwarder:
        forwarder.process.send_signal(signal.SIGTERM)
        assert forwarder.process.wait(30) == 0
