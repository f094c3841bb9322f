"""The walsender's memory does not grow with the transaction, and little with the tables.

Compared with test_decoding over the same WAL, so that what the server itself keeps (its catalog
caches, the reorder buffer) is not taken for ours.
"""

import subprocess
import threading

import cluster as pg
import pytest

CACHE = 8 << 20         # what the plugin lets its cache of relations grow to
MARGIN = 2 << 20

# Little memory for the reorder buffer: its ups and downs would hide a leak.
SETTINGS = {"logical_decoding_work_mem": "1MB"}

FORMATS = ["json", "frames"]


def peak_memory(db, slot, end, options=None):
    """The most private memory that the walsender had while it streamed the slot up to `end`."""
    peaks = [0]
    done = threading.Event()

    def sample(pid):
        while not done.wait(0.005):
            peaks.append(pg.memory_bytes(pid).get("RssAnon", 0))

    with db.stream(slot, options, ["--status-interval=0"], stdout=subprocess.DEVNULL,
                   settings=SETTINGS) as receiver:
        sampler = threading.Thread(target=sample, args=(receiver.walsender(),))
        sampler.start()
        try:
            pg.wait_until(lambda: receiver.sent_lsn() >= end, 300, every=0.1, what="end of the WAL")
        finally:
            done.set()
            sampler.join()
    return max(peaks)


def growth(db, sql, output_format):
    """By how many bytes our peak passes that of test_decoding over the WAL of some SQL."""
    ours = db.create_slot("ours")
    base = db.create_slot("base", "test_decoding")
    db.psql(sql)
    end = db.current_lsn()
    return (peak_memory(db, ours, end, {"format": output_format})
            - peak_memory(db, base, end))


@pytest.mark.slow
@pytest.mark.parametrize("output_format", FORMATS)
def test_rows_of_a_transaction(db, full, output_format):
    rows = 5_000_000 if full else 1_000_000
    db.psql("CREATE TABLE t (id bigint PRIMARY KEY, amount numeric, tags text[], body jsonb)")
    sql = f"""
        INSERT INTO t SELECT i, i / 7.0, array['a', i::text], '{{"a": [1, 2.5, "x"]}}'
        FROM generate_series(1, {rows}) i;
    """
    assert growth(db, sql, output_format) < 2 * MARGIN


@pytest.mark.slow
def test_tables(db, full):
    """What we keep is bounded; the server keeps an index of each table, too, that we looked at."""
    tables = 10_000 if full else 2_000
    create = "\n".join(f"CREATE TABLE t{i} (id int PRIMARY KEY, body text, at timestamptz);"
                       for i in range(tables))
    db.psql(create)
    rows = "\n".join(f"INSERT INTO t{i} VALUES (1, 'x', now());" for i in range(tables))
    assert growth(db, rows, "json") < CACHE + MARGIN + tables * 4096


@pytest.mark.slow
def test_tables_that_are_dropped(db):
    """Of these the server keeps nothing: more of them than our cache could hold leave no trace."""
    sql = "\n".join(f"CREATE TABLE t{i} (id int PRIMARY KEY, body text);"
                    f"INSERT INTO t{i} VALUES (1, 'x'); DROP TABLE t{i};" for i in range(3_000))
    assert growth(db, sql, "json") < CACHE + MARGIN


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_table_that_is_altered_again_and_again(db, output_format):
    db.psql("CREATE TABLE t (id serial PRIMARY KEY, body text)")
    sql = "\n".join("ALTER TABLE t ADD extra int; INSERT INTO t (body) VALUES ('x');"
                    "ALTER TABLE t DROP extra; INSERT INTO t (body) VALUES ('y');"
                    for _ in range(500))
    assert growth(db, sql, output_format) < MARGIN
