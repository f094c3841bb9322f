-- The SQL side of the output plugin: what its slots hold back, what they
-- would send next, and a way to send something that is no row.

\echo Use "CREATE EXTENSION walspout" to load this file. \quit

-- A schema of the extension's own: if there is one already this fails, for
-- whoever owns it could put functions beside ours that calls would find first.
CREATE SCHEMA walspout;

-- What holds restart_lsn is told from where it is. Far behind what was confirmed,
-- it waits for a transaction that was running there. Close to that, it waits for
-- the reader. Transactions of other databases count, too.
CREATE VIEW walspout.slots AS
SELECT s.slot_name,
       s.database,
       s.active,
       s.active_pid,
       s.wal_status,
       s.confirmed_flush_lsn AS confirmed_lsn,
       pg_catalog.pg_wal_lsn_diff(here.lsn, s.confirmed_flush_lsn)::bigint AS lag_bytes,
       s.restart_lsn,
       pg_catalog.pg_wal_lsn_diff(here.lsn, s.restart_lsn)::bigint AS retained_bytes,
       s.safe_wal_size,
       s.catalog_xmin,
       pg_catalog.age(s.catalog_xmin) AS catalog_xmin_age,
       CASE WHEN s.restart_lsn IS NOT NULL THEN
           NULLIF(pg_catalog.concat_ws('; ',
               CASE WHEN NOT s.active THEN 'no process streams the slot'
                    WHEN confirmed.lag * 2 > here.lsn - s.restart_lsn
                    THEN pg_catalog.concat('the reader that process ', s.active_pid, ' serves has not confirmed more')
               END,
               CASE WHEN confirmed.lag * 2 <= here.lsn - s.restart_lsn THEN oldest.transaction END), '')
       END AS held_by
  FROM pg_catalog.pg_replication_slots s
 CROSS JOIN LATERAL (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                                 THEN pg_catalog.pg_last_wal_replay_lsn()
                                 ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) here
 CROSS JOIN LATERAL (SELECT here.lsn - s.confirmed_flush_lsn AS lag) confirmed
  LEFT JOIN (SELECT pg_catalog.age(a.backend_xid) AS age,
                    pg_catalog.concat('transaction ', a.backend_xid, ' of process ', a.pid,
                                      ', since ', a.xact_start) AS transaction
               FROM pg_catalog.pg_stat_activity a
              WHERE a.backend_xid IS NOT NULL
              UNION ALL
             SELECT pg_catalog.age(p.transaction),
                    pg_catalog.concat('prepared transaction ', p.transaction, ', "', p.gid,
                                      '", since ', p.prepared)
               FROM pg_catalog.pg_prepared_xacts p
              ORDER BY age DESC
              LIMIT 1) oldest ON true
 WHERE s.plugin = 'walspout';

COMMENT ON VIEW walspout.slots IS
  'replication slots of walspout: lag_bytes is WAL not yet confirmed, retained_bytes WAL kept on disk, held_by why it is kept';

-- jsonb cannot hold all that JSON can (\u0000, numbers of a million digits):
-- such a document is shown as text, so that one of them does not hide the rest.
CREATE FUNCTION walspout.peek(slot name, n integer DEFAULT 10,
                              VARIADIC options text[] DEFAULT '{}',
                              OUT id text, OUT envelope jsonb)
RETURNS SETOF record
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    document text;
BEGIN
    IF n <= 0 THEN
        RETURN;
    END IF;
    -- the server stops after whole transactions only: cut off what is more
    FOR document IN
        SELECT c.data
          FROM pg_logical_slot_peek_changes(slot, NULL, n, VARIADIC options)
               WITH ORDINALITY c
         ORDER BY c.ordinality
         LIMIT n
    LOOP
        id := substring(document FROM '^\{"id":"([0-9]+-[0-9]+)"');
        BEGIN
            envelope := document::jsonb;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            envelope := jsonb_build_object('text', document);
        END;
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION walspout.peek(name, integer, text[]) IS
  'the first changes that the slot would send with these options, without consuming them';

-- pg_logical_emit_message() sends nothing, and says nothing, if an argument is
-- null: in an outbox that would be an event lost.
CREATE FUNCTION walspout.emit(prefix text, content text)
RETURNS pg_catalog.pg_lsn
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF prefix IS NULL OR content IS NULL THEN
        RAISE null_value_not_allowed
              USING MESSAGE = 'prefix and content of a message must not be null';
    END IF;
    RETURN pg_logical_emit_message(true, prefix, content);
END
$$;

CREATE FUNCTION walspout.emit(prefix text, content jsonb)
RETURNS pg_catalog.pg_lsn
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF prefix IS NULL OR content IS NULL THEN
        RAISE null_value_not_allowed
              USING MESSAGE = 'prefix and content of a message must not be null';
    END IF;
    RETURN pg_logical_emit_message(true, prefix, content::text);
END
$$;

COMMENT ON FUNCTION walspout.emit(text, text) IS
  'a message that is sent if and when the transaction commits: an outbox without a table';
COMMENT ON FUNCTION walspout.emit(text, jsonb) IS
  'a message that is sent if and when the transaction commits: an outbox without a table';

-- Requests to read tables that exist already, and how far each was read. The
-- forwarder keeps them here and not in a file, because a server that was restored
-- or promoted then has the progress that belongs to its data. The plugin never
-- streams this table.
CREATE TABLE walspout.backfills (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot name NOT NULL,
    "table" text NOT NULL,               -- qualified and quoted, as it was called when it was requested
    relation oid NOT NULL,
    filenode oid,                        -- of the table when it was begun: another one after it was rewritten
    condition text,                      -- which rows: an expression as in WHERE; null: all
    rate integer CHECK (rate > 0),       -- rows a second at most; null: as the forwarder is configured
    state text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'waiting', 'running', 'paused', 'done', 'canceled', 'failed')),
    requested timestamptz NOT NULL DEFAULT pg_catalog.now(),
    started timestamptz,
    finished timestamptz,
    barrier text,                        -- an xid8: no row is read before all transactions below it are over
    cursor text[],                       -- the key of the last row that was read and delivered
    reread text[] NOT NULL DEFAULT '{}', -- keys of rows to be read again
    rows bigint NOT NULL DEFAULT 0,      -- that were read
    estimate bigint,                     -- of all rows
    error text
);

CREATE UNIQUE INDEX backfills_unfinished ON walspout.backfills (slot, relation)
 WHERE state IN ('requested', 'waiting', 'running', 'paused');

COMMENT ON TABLE walspout.backfills IS
  'requests to send the rows that tables have already, and how far they are';

-- Nothing for everybody. Slots say how the server is run, peek() shows rows
-- whatever the privileges on their tables are, and emit() writes to what other
-- systems read. What is monitored of backfills is without
-- values of rows.
REVOKE ALL ON SCHEMA walspout FROM PUBLIC;
REVOKE ALL ON walspout.slots FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.peek(name, integer, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.emit(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.emit(text, jsonb) FROM PUBLIC;
REVOKE ALL ON walspout.backfills FROM PUBLIC;
GRANT USAGE ON SCHEMA walspout TO pg_monitor;
GRANT SELECT ON walspout.slots TO pg_monitor;
GRANT SELECT (id, slot, "table", relation, rate, state, requested, started, finished, rows, estimate)
      ON walspout.backfills TO pg_monitor;
