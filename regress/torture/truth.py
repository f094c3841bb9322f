"""The truth about what was committed, from Postgres alone: what `checker.py` compares with.

Its slots are created before the first row, and read once, at the very end, by a separate reader that no fault affected.
"""

from torture import checker

DOCUMENTS, CHANGES = "truth_documents_", "truth_changes_"       # and the database

# With these, row_to_json prints what the plugin promises.
SETTINGS = ("-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex "
            "-c extra_float_digits=1")


def make_slots(cluster, db):
    cluster.create_slot(DOCUMENTS + db, "walspout", db)
    cluster.create_slot(CHANGES + db, "test_decoding", db)


def documents(cluster, db):
    """All documents, as bytes, in order. Writes a message behind the last: to be read after changes()."""
    end = cluster.current_lsn()
    # A keepalive must pass the end, and nothing else may be written after that.
    cluster.query("SELECT pg_logical_emit_message(false, 'end', '')", db)
    with cluster.recvlogical(DOCUMENTS + db, db, args=[f"--endpos={end}"]) as receiver:
        lines = receiver.lines(timeout=300)
    return [line.encode() for line in lines]


def changes(cluster, db):
    """What test_decoding says was committed."""
    rows = cluster.query(
        "SELECT xid::text, left(data, 400) FROM pg_logical_slot_peek_changes(%s, NULL, NULL, "
        "'skip-empty-xacts', '1')", db, (CHANGES + db,))
    return checker.decoded_changes(rows)


def tables(cluster, db):
    """{(schema, table): [row as JSON]} of all tables."""
    connection = cluster.connect(db, options=SETTINGS)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nspname, relname, c.oid::regclass::text FROM pg_class c "
                           "JOIN pg_namespace n ON n.oid = relnamespace "
                           "WHERE relkind = 'r' AND nspname = 'public'")
            found = {}
            for schema, name, quoted in cursor.fetchall():
                cursor.execute(f"SELECT row_to_json(t)::text FROM {quoted} t")
                found[schema, name] = [row[0] for row in cursor.fetchall()]
            return found
    finally:
        connection.close()
