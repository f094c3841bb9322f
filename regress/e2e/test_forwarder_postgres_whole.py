"""Postgres as a destination of a busy stream: each transaction of the source is visible as a whole, or not at all."""

import time

import pytest
from harness import postgres as pg
from test_forwarder_postgres_sink import copy_tables, sink, target

__all__ = ["target"]    # a fixture

MARKS = "CREATE TABLE marks (tx int, part int, filler text, PRIMARY KEY (tx, part))"

SLOW = r"""while read -r line; do
    sleep 0.01
    id=${line#*\"id\":\"}
    echo "{\"id\":\"${id%%\"*}\"}"
done
"""


def make_tables(db, target):
    """The target notes the transaction that writes a row."""
    copy_tables(db, target, MARKS)
    target.psql("ALTER TABLE marks ADD written_by xid8 DEFAULT pg_current_xact_id()")


def write(db, first, last, parts, size=1):
    """Transactions that insert some rows each."""
    db.psql(f"DO $$ BEGIN FOR i IN {first}..{last} LOOP "
            f"INSERT INTO marks SELECT i, part, repeat('x', {size}) FROM generate_series(1, {parts}) part; COMMIT; "
            "END LOOP; END $$")


def divided(target):
    return target.psql("SELECT tx FROM marks GROUP BY tx HAVING count(DISTINCT written_by) > 1").splitlines()


def wait_for_count(target, count):
    pg.wait_until(lambda: target.value("SELECT count(*) FROM marks") == count, 60, what="rows")


@pytest.mark.parametrize("parts", [3, 5, 7])
def test_max_transaction_does_not_divide_shorter_transactions(db, fwd, target, parts):
    make_tables(db, target)
    with fwd(sinks=sink(target, max_transaction=7)) as forwarder:
        forwarder.terminate()
        write(db, 1, 400, parts)
        forwarder.start()
        write(db, 401, 800, parts)
        wait_for_count(target, 800 * parts)
        assert not divided(target)
        assert forwarder.status()["sinks"][0]["retries"] == 0


@pytest.mark.parametrize("slow", [False, True], ids=["alone", "beside a slow sink"])
def test_memory_does_not_divide_transactions_that_fit(db, fwd, target, slow, tmp_path):
    """Transactions before them, and another sink, fill the memory."""
    make_tables(db, target)
    sinks = sink(target)
    if slow:
        program = tmp_path / "slow"
        program.write_text(SLOW)
        sinks += f"      - type: exec\n        command: [sh, {program}]\n"
    with fwd(sinks=sinks, pipeline="memory: 1MiB", source="batch_bytes: 16KiB") as forwarder:
        forwarder.terminate()
        write(db, 1, 40, 20, 5000)
        forwarder.start()
        wait_for_count(target, 40 * 20)
        assert not divided(target)
        assert forwarder.status()["sinks"][0]["retries"] == 0


def test_tables_that_a_rolled_back_transaction_made_are_made_again(db, fwd, target):
    """The sink makes a table in an open transaction. The same transaction then has a key twice, so it is applied again."""
    db.psql("CREATE TABLE long (id int PRIMARY KEY, filler text); CREATE TABLE t (id int PRIMARY KEY)")
    with fwd(sinks=sink(target, mode="append", create_tables="true")) as forwarder:
        db.psql("BEGIN; INSERT INTO long SELECT i, repeat('x', 500) FROM generate_series(1, 30000) i; "
                "INSERT INTO t VALUES (1); DELETE FROM t; INSERT INTO t VALUES (1); COMMIT")
        pg.wait_until(lambda: target.value("SELECT to_regclass('t') IS NOT NULL"), 60, what="table")
        pg.wait_until(lambda: target.value("SELECT count(*) FROM t") == 1, 60, what="row")
        assert target.value("SELECT count(*) FROM long") == 30000
        assert forwarder.status()["sinks"][0]["retries"] == 0, forwarder.log()


def test_a_transaction_that_does_not_end_locks_no_rows(db, fwd, target):
    """Its rest does not come, because the reader waits for a sink that cannot deliver."""
    make_tables(db, target)
    sinks = sink(target) + "      - type: exec\n        command: [sleep, 1000]\n"
    with fwd(sinks=sinks, pipeline="memory: 1MiB", source="batch_bytes: 16KiB") as forwarder:
        forwarder.terminate()
        target.psql("INSERT INTO marks VALUES (41, 1)")
        write(db, 1, 30, 20, 1000)
        write(db, 41, 41, 20, 20000)
        forwarder.start()
        wait_for_count(target, 30 * 20 + 1)
        time.sleep(7)
        for _ in range(10):
            target.psql("SET lock_timeout = '500ms'; UPDATE marks SET filler = 'mine' WHERE tx = 41")
            time.sleep(0.2)
        assert forwarder.status()["sinks"][0]["retries"] == 0


def test_sinks_that_begin_together_make_one_table_of_positions(db, fwd, target):
    db.psql("CREATE TABLE t (id int PRIMARY KEY)")
    names = [f"s{i}" for i in range(8)]
    sinks = "".join(sink(target, name=name, create_tables="true", target=f"public.{name}") for name in names)
    with fwd(sinks=sinks) as forwarder:
        db.psql("INSERT INTO t VALUES (1)")
        pg.wait_until(lambda: all(target.value(f"SELECT to_regclass('{name}') IS NOT NULL") for name in names), 60, what="tables")
        assert [one["retries"] for one in forwarder.status()["sinks"]] == [0] * len(names), forwarder.log()
