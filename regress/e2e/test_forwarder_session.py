"""Settings of a database or a role must not turn the forwarder's own queries against the server.

The owner of a database sets the search path of all its sessions, and any role's settings may have timeouts. Both are
ordinary rights. Neither may give its holder a superuser's rights, or stop the delivery of changes.
"""

import json
import os
import subprocess
import time

from harness import postgres as pg
import pytest
from harness.forwarder import PROGRAM, run
from harness.processes import die_with_parent

TABLE = "CREATE TABLE t (id int PRIMARY KEY, body text)"

TRAPS = """\
CREATE SCHEMA evil;
CREATE FUNCTION evil.grab() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE pg_catalog.format('ALTER ROLE %%I SUPERUSER', %(owner)s);
    RETURN true;
EXCEPTION WHEN OTHERS THEN RETURN false;
END $$;

-- operators, as they come before those of pg_catalog
CREATE FUNCTION evil.eq(name, name) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN $1::pg_catalog.text OPERATOR(pg_catalog.=) $2::pg_catalog.text; END $$;
CREATE FUNCTION evil.eq(oid, oid) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN $1::pg_catalog.text OPERATOR(pg_catalog.=) $2::pg_catalog.text; END $$;
CREATE FUNCTION evil.eq(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
CREATE FUNCTION evil.eq("char", "char") RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN $1::pg_catalog.text OPERATOR(pg_catalog.=) $2::pg_catalog.text; END $$;
CREATE FUNCTION evil.eq(integer, integer) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN $1::pg_catalog.text OPERATOR(pg_catalog.=) $2::pg_catalog.text; END $$;
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = "char", RIGHTARG = "char", FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.eq);
CREATE FUNCTION evil.concat(pg_catalog.text, integer) RETURNS pg_catalog.text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN pg_catalog.concat($1, $2); END $$;
CREATE OPERATOR evil.|| (LEFTARG = pg_catalog.text, RIGHTARG = integer, FUNCTION = evil.concat);

-- functions, as they come before those of pg_catalog
CREATE FUNCTION evil.set_config(pg_catalog.text, pg_catalog.text, boolean) RETURNS pg_catalog.text LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN $2; END $$;
CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN pg_catalog.current_database(); END $$;
CREATE FUNCTION evil.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN pg_catalog.pg_current_wal_lsn(); END $$;
CREATE FUNCTION evil.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN false; END $$;
CREATE FUNCTION evil.pg_drop_replication_slot(name) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); PERFORM pg_catalog.pg_drop_replication_slot($1); END $$;
CREATE FUNCTION evil.count() RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN PERFORM evil.grab(); RETURN 1; END $$;

-- types, with casts to them, and catalogs
CREATE DOMAIN evil.regclass AS pg_catalog.regclass CHECK (evil.eq(1, 1));
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.eq(1, 1));
CREATE VIEW evil.pg_replication_slots AS
    SELECT *, evil.grab() FROM pg_catalog.pg_replication_slots;
CREATE VIEW evil.pg_settings AS SELECT *, evil.grab() FROM pg_catalog.pg_settings;
CREATE VIEW evil.pg_publication AS SELECT *, evil.grab() FROM pg_catalog.pg_publication;
CREATE VIEW evil.pg_class AS SELECT *, evil.grab() FROM pg_catalog.pg_class;

CREATE FUNCTION evil.armed() RETURNS boolean LANGUAGE sql AS
    $$ SELECT 'a'::name OPERATOR(evil.=) 'a'::name $$;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
"""


@pytest.fixture
def owner(db):
    """An ordinary role that owns the database."""
    name = f"{db.name}_owner"
    db.psql(f'CREATE ROLE "{name}" LOGIN; ALTER DATABASE "{db.name}" OWNER TO "{name}"')
    yield name
    db.server.psql(f'ALTER DATABASE "{db.name}" RESET ALL')
    db.psql(f'ALTER DATABASE "{db.name}" OWNER TO {pg.SUPERUSER}; '
            f'REASSIGN OWNED BY "{name}" TO {pg.SUPERUSER}; DROP OWNED BY "{name}"; '
            f'DROP ROLE "{name}"')


@pytest.fixture
def role(db):
    """A role of the forwarder's own, and how it connects."""
    name = f"{db.name}_role"
    db.psql(f'CREATE ROLE "{name}" LOGIN REPLICATION')
    yield name
    db.server.psql(f'DROP ROLE "{name}"')


def dsn_of(db, role):
    return f"host={db.server.host} port={db.server.port} user={role} dbname={db.name}"


def lay_traps(db, owner, setting):
    connection = db.server.connect(db.name)
    with connection.cursor() as cursor:
        cursor.execute(f'SET SESSION AUTHORIZATION "{owner}"')
        cursor.execute(TRAPS, {"owner": owner})
        cursor.execute(setting.format(db=db.name, owner=owner))
    connection.close()


def is_superuser(db, role):
    # of another database: this one's settings are not ours to trust
    return db.server.value("SELECT rolsuper FROM pg_roles WHERE rolname = %s", args=(role,))


@pytest.mark.parametrize("path", ["evil, pg_catalog", "evil, pg_catalog, pg_temp", "evil"])
def test_the_owner_of_a_database_does_not_become_superuser(db, fwd, owner, path, tmp_path):
    db.psql(TABLE + "; CREATE PUBLICATION p FOR TABLE t")
    lay_traps(db, owner, f'ALTER DATABASE "{{db}}" SET search_path = {path}')
    os.makedirs(tmp_path / "state", exist_ok=True)
    forwarder = fwd(source="publications: [p]", root=f"drain: 5s\nstate: {tmp_path / 'state'}")
    checked = run("check", forwarder.config)
    assert not is_superuser(db, owner)
    assert checked.returncode == 0, checked.stdout
    with forwarder:
        db.psql("INSERT INTO public.t VALUES (1, 'x')")
        forwarder.wait_for_events(1)
        assert run("check", forwarder.config).returncode == 0
        assert forwarder.terminate() == 0
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    dropped = run("drop", "--yes", forwarder.config)
    assert dropped.returncode == 0 and "dropped slot" in dropped.stdout, dropped.stderr
    tail(db)
    assert not is_superuser(db, owner)
    # The traps work: a careless query falls into them.
    assert db.psql("SELECT evil.armed()") == "t"
    assert is_superuser(db, owner)


def test_a_full_queue_asks_with_no_path_of_others(db, fwd, owner):
    """Queries on a separate connection, while the stream is not read."""
    db.psql(TABLE)
    lay_traps(db, owner, 'ALTER DATABASE "{db}" SET search_path = evil, pg_catalog')
    sinks = ("      - type: http\n        url: http://127.0.0.1:9/\n"
             "        timeout: 3s\n")
    with fwd(sinks=sinks, pipeline="memory: 1MiB") as forwarder:
        db.psql("INSERT INTO public.t SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i")
        pg.wait_until(lambda: forwarder.status()["in_flight_bytes"] >= 1 << 20, 30,
                      what="full queue")
        # Only that query says how far the WAL has grown since.
        db.psql("CREATE TABLE public.w AS SELECT repeat('y', 1000) FROM generate_series(1, 30000)")
        end = db.current_lsn()
        pg.wait_until(lambda: forwarder.status()["lag_bytes"] >= end - db.confirmed_lsn(forwarder.slot),
                      60, what=f"question on the side: {forwarder.log()}")
    assert not is_superuser(db, owner)


def tail(db):
    """`walspout tail` prints a change."""
    process = subprocess.Popen([PROGRAM, "tail", dsn_of(db, pg.SUPERUSER)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    try:
        pg.wait_until(lambda: db.server.query("SELECT pid FROM pg_stat_replication WHERE state = "
                                              "'streaming'"), 30, what="stream")
        db.psql("INSERT INTO public.t VALUES (2000, 'tail')")
        assert '"id":2000' in process.stdout.readline()
    finally:
        process.kill()
        assert process.communicate()[1] == ""


def test_the_extension_is_made_and_used_safely(db, owner):
    slot = db.create_slot()
    lay_traps(db, owner, 'ALTER DATABASE "{db}" SET search_path = evil, pg_catalog')
    db.psql("CREATE EXTENSION walspout; SELECT * FROM walspout.slots; CREATE TABLE public.t (i int)")
    db.psql("INSERT INTO public.t VALUES (1); SELECT walspout.emit('a', 'text'); "
            """SELECT walspout.emit('a', '{"a": 1}'::jsonb)""")
    found = db.psql(f"SELECT * FROM walspout.slots; SELECT * FROM walspout.peek('{slot}', 10)")
    assert found.count('"op"') == 3
    assert not is_superuser(db, owner)


TIMEOUTS = {"statement_timeout": "20ms", "lock_timeout": "20ms",
            "idle_in_transaction_session_timeout": "20ms", "idle_session_timeout": "1s",
            "transaction_timeout": "300ms"}
HARM = {**TIMEOUTS, "default_transaction_isolation": "serializable",
        "default_transaction_read_only": "on", "default_transaction_deferrable": "on",
        "exit_on_error": "on", "standard_conforming_strings": "off", "client_encoding": "LATIN1",
        "client_min_messages": "debug5", "bytea_output": "escape", "datestyle": "German, DMY",
        "intervalstyle": "sql_standard", "timezone": "Asia/Kathmandu", "extra_float_digits": "-15",
        "quote_all_identifiers": "on", "row_security": "off", "transform_null_equals": "on",
        "search_path": "nowhere"}


def known(db, settings):
    """Those of the settings that the server knows, and lets be set."""
    names = {name.lower() for name, in db.server.query("SELECT name FROM pg_settings")}
    if db.server.installation.major >= 19:
        names.discard("standard_conforming_strings")    # is on, always
    return {name: value for name, value in settings.items() if name in names}


def unharmed(db):
    """A connection that ignores the settings of the database."""
    harmless = {name: "0" if "timeout" in name else "off" for name in HARM
                if "timeout" in name or "transaction_read_only" in name}
    options = " ".join(f"-c {name}={value}" for name, value in known(db, harmless).items())
    return db.server.connect(db.name, options=options)


@pytest.mark.parametrize("settings, of", [
    pytest.param(HARM, "role", id="all-role"),
    pytest.param(HARM, "database", id="all-database", marks=pytest.mark.long),
    pytest.param(TIMEOUTS, "role", id="timeouts-role", marks=pytest.mark.long),
    pytest.param(TIMEOUTS, "database", id="timeouts-database", marks=pytest.mark.long)])
def test_settings_for_sessions_do_no_harm(db, fwd, role, of, settings):
    """The settings apply to all sessions, and are meant for other programs."""
    name = "p" if settings is TIMEOUTS else "It's \\ one"
    db.psql(TABLE + f"; INSERT INTO t VALUES (0, 'before'); CREATE PUBLICATION \"{name}\" FOR TABLE t")
    of = f'ROLE "{role}"' if of == "role" else f'DATABASE "{db.name}"'
    for setting, value in known(db, settings).items():
        db.server.psql(f"ALTER {of} SET {setting} = '{value}'")
    forwarder = fwd(source=f"publications: [{json.dumps(name)}]", dsn=dsn_of(db, role))
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    assert f'publication "{name}" exists' in checked.stdout
    assert checked.stderr == ""
    # The slot waits for a transaction that is older, and longer than any of the timeouts.
    running = unharmed(db)
    with running.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO public.t VALUES (1, 'long')")
        forwarder.start(wait=False)
        checked = run("check", forwarder.config)
        assert checked.returncode == 0, checked.stdout
        assert "the server has the plugin" in checked.stdout
        time.sleep(2)
        cursor.execute("COMMIT")
        forwarder.wait_for_log("msg=streaming")
        cursor.execute("INSERT INTO public.t SELECT i, repeat('x', 100) "
                       "FROM generate_series(10, 200009) i")
        forwarder.wait_for_events(200_000, timeout=120)
        time.sleep(2)       # idle for longer than any of the timeouts
        cursor.execute("INSERT INTO public.t VALUES (2, 'after')")
    running.close()
    forwarder.wait_for_events(200_001)
    assert forwarder.terminate() == 0
    assert len(forwarder.events()) == 200_001
    log = forwarder.log()
    assert "source failed" not in log
    assert all(line.startswith("time=") for line in log.splitlines()), log
    checked = run("check", forwarder.config)
    assert checked.returncode == 0, checked.stdout
    assert run("drop", "--yes", forwarder.config).returncode == 0


def test_a_superuser_is_advised_against(db, fwd, role):
    checked = run("check", fwd().config)
    assert checked.returncode == 0
    assert "is a superuser" in checked.stdout
    assert "CREATE ROLE" in checked.stdout
    checked = run("check", fwd(name="other", dsn=dsn_of(db, role)).config)
    assert checked.returncode == 0
    assert "a superuser" not in checked.stdout


def test_another_role_set_for_the_role_changes_nothing(db, fwd, role):
    """The stream and all other connections have the rights of the DSN's role."""
    other = f"{role}_other"
    db.psql(f'CREATE ROLE "{other}"; GRANT "{other}" TO "{role}"; '
            f'ALTER ROLE "{role}" SET role = "{other}"')
    try:
        with fwd(dsn=dsn_of(db, role)) as forwarder:
            assert run("check", forwarder.config).returncode == 0
            assert forwarder.terminate() == 0
        checked = run("check", forwarder.config)
        assert checked.returncode == 0, checked.stdout
        assert f'role "{role}" may replicate' in checked.stdout
        dropped = run("drop", "--yes", forwarder.config)
        assert dropped.returncode == 0, dropped.stderr
    finally:
        db.psql(f'ALTER ROLE "{role}" RESET role; DROP ROLE "{other}"')
