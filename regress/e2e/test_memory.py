"""The walsender's memory does not grow with the transaction, and little with the tables.

Compared with test_decoding over the same WAL, so that the server's own memory (its catalog caches, the reorder buffer)
does not count.
"""

import os
import subprocess
import threading

from harness import postgres as pg
import pytest

CACHE = 8 << 20         # what the plugin lets its cache of relations grow to
MARGIN = 2 << 20

# Little memory for the reorder buffer: its ups and downs would hide a leak.
SETTINGS = {"logical_decoding_work_mem": "1MB"}

FORMATS = ["json", "frames"]


def peak_memory(db, slot, end, options=None, stdout=subprocess.DEVNULL):
    """The most private memory that the walsender had while it streamed the slot up to `end`."""
    peaks = []
    done = threading.Event()

    def sample(pid):
        while True:     # at least once: a small transaction may have been sent before this starts
            peaks.append(pg.memory_bytes(pid).get("RssAnon", 0))
            if done.wait(0.005):
                return

    with db.stream(slot, options, ["--status-interval=0"], stdout=stdout,
                   settings=SETTINGS) as receiver:
        sampler = threading.Thread(target=sample, args=(receiver.walsender(),))
        sampler.start()
        try:
            pg.wait_until(lambda: receiver.sent_lsn() >= end, 300, every=0.1, what="end of the WAL")
        finally:
            done.set()
            sampler.join()
    return max(peaks)


def growth(db, sql, output_format, **options):
    """By how many bytes our peak exceeds that of test_decoding over the WAL of some SQL."""
    ours = db.create_slot("ours")
    base = db.create_slot("base", "test_decoding")
    db.psql(sql)
    end = db.current_lsn()
    return (peak_memory(db, ours, end, {"format": output_format, **options})
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
    """The plugin's memory is bounded; the server also keeps an index of each table that the plugin looked at."""
    tables = 10_000 if full else 2_000
    create = "\n".join(f"CREATE TABLE t{i} (id int PRIMARY KEY, body text, at timestamptz);"
                       for i in range(tables))
    db.psql(create)
    rows = "\n".join(f"INSERT INTO t{i} VALUES (1, 'x', now());" for i in range(tables))
    assert growth(db, rows, "json") < CACHE + MARGIN + tables * 4096


@pytest.mark.slow
def test_tables_that_are_dropped(db):
    """The server keeps nothing of these: even more of them than our cache could hold leave no trace."""
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


def test_marks_of_a_transaction(db):
    """Any role may write messages with the prefix of marks, and as many as it likes."""
    sql = """
        SELECT count(pg_logical_emit_message(true, 'walspout.mark', 'mark|' || repeat('x', 1000)))
          FROM generate_series(1, 30000)
    """
    assert growth(db, sql, "frames", schemas="true") < 2 * MARGIN


# Rows of values that are large, and small on disk. Types that are printed from their stored form, in
# place (arrays, composites, jsonb) and through their output function (varbit).

LARGE = 16 << 20

LARGE_VALUES = {
    "text": "repeat('x', {n})",
    "json": "('\"' || repeat('x', {n}) || '\"')::json",
    "bytea": "decode(repeat('ab', {n}), 'hex')",
    "jsonb": "to_jsonb(array_fill(0, ARRAY[{n} / 12]))",
    "int8[]": "array_fill(0::bigint, ARRAY[{n} / 8])",
    "pair": "ROW(1, repeat('x', {n}))::pair",
    "holder[]": "(SELECT array_agg(h) FROM holder h, generate_series(1, {n} / 250000))",
    "varbit": "repeat('1', {n})::varbit",
    "blob": "repeat('x', {n})::blob",
}

COLUMNS = "abcdef"


def create_large_rows(db, column_type, n):
    """A table with a row of six values of n bytes each, and a row type with compressed fields."""
    value = LARGE_VALUES[column_type].format(n=n)
    db.psql(f"""
        CREATE TYPE pair AS (i int, t text);
        CREATE TABLE holder (t text);
        ALTER TABLE holder ALTER t SET STORAGE MAIN;
        INSERT INTO holder VALUES (repeat('x', 250000));
        CREATE TABLE t (id int PRIMARY KEY, {", ".join(f"{c} {column_type}" for c in COLUMNS)});
        ALTER TABLE t REPLICA IDENTITY FULL;
        INSERT INTO t SELECT 1, {", ".join("v" for _ in COLUMNS)} FROM (SELECT {value} v) s;
    """)


def large_update(db, options, tmp_path):
    """By how many bytes our peak exceeds that of decoding, and the size of the messages."""
    ours = db.create_slot("ours")
    base = db.create_slot("base", "bench_null")
    db.psql("UPDATE t SET id = 2")
    end = db.current_lsn()
    with open(tmp_path / "messages", "wb") as messages:
        os.unlink(messages.name)
        peak = peak_memory(db, ours, end, options, messages)
        size = os.fstat(messages.fileno()).st_size
    return peak - peak_memory(db, base, end), size


@pytest.mark.slow
@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("column_type", [t for t in LARGE_VALUES if t != "blob"])
def test_a_row_of_large_values(db, full, tmp_path, column_type, output_format):
    """One value at a time, and the message twice: the server copies it into its send buffer."""
    n = 3 * LARGE if full else LARGE
    create_large_rows(db, column_type, n)
    grown, size = large_update(db, {"format": output_format}, tmp_path)
    assert size > len(COLUMNS) * 1_000_000
    assert grown < 2 * n + 2 * size + 2 * MARGIN


@pytest.mark.slow
def test_values_that_have_no_room_in_the_document(db, tmp_path):
    """Of twelve values four fit: the others are not decompressed to find that out."""
    n = 240_000_000
    create_large_rows(db, "text", 1)
    for column in COLUMNS:
        db.psql(f"UPDATE t SET {column} = repeat('x', {n})")
    grown, size = large_update(db, {"format": "json"}, tmp_path)
    assert 4 * n < size < 5 * n
    assert grown < 1.5 * n + 2 * size


def test_values_whose_cast_raises(db, tmp_path):
    """Memory that an error leaves, above all the decompressed value, is freed before the next value."""
    db.psql("""
        CREATE TYPE blob;
        CREATE FUNCTION blob_in(cstring) RETURNS blob IMMUTABLE STRICT LANGUAGE internal AS 'textin';
        CREATE FUNCTION blob_out(blob) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
        CREATE TYPE blob (INPUT = blob_in, OUTPUT = blob_out, LIKE = text);
        CREATE FUNCTION blob_json(blob) RETURNS json IMMUTABLE STRICT LANGUAGE internal AS 'json_typeof';
        CREATE CAST (blob AS json) WITH FUNCTION blob_json(blob);
    """)
    create_large_rows(db, "blob", LARGE)
    grown, size = large_update(db, {"format": "json"}, tmp_path)
    assert 0 < size < 10_000
    assert grown < 16 * LARGE     # the message of this error has the value, too


@pytest.mark.parametrize("condition", [" AND ", " OR "])
def test_a_row_filter_of_large_values(db, tmp_path, condition):
    """Of the new row and of the old one, each condition by itself."""
    if db.server.installation.major < 15:
        pytest.skip("publications have no row filters")
    create_large_rows(db, "text", LARGE)
    sign = "=" if condition == " OR " else "<>"
    where = condition.join(f"length({c}) {sign} 0" for c in COLUMNS)
    db.psql(f"CREATE PUBLICATION p FOR TABLE t WHERE ({where} OR id = 2)")
    grown, size = large_update(db, {"publications": "p", "max_value_bytes": "10000"}, tmp_path)
    assert 0 < size < 10_000
    assert grown < 1.5 * LARGE


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("column_type", ["text", "jsonb", "int8[]", "pair", "varbit"])
def test_values_that_are_elided_are_not_decompressed(db, tmp_path, column_type, output_format):
    create_large_rows(db, column_type, LARGE)
    grown, size = large_update(db, {"format": output_format, "max_value_bytes": "10000"}, tmp_path)
    assert size < 10_000
    assert grown < LARGE / 2
