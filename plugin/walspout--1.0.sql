-- The SQL side of the output plugin: what its slots hold back, what they
-- would send next, and a function to send messages.

\echo Use "CREATE EXTENSION walspout" to load this file. \quit

-- A schema of the extension's own: the owner of one that is there already could
-- put functions beside ours that calls would find first. But in a database that is
-- a target, the forwarder may have made one, for its table of positions. That table
-- moves to the new schema, and is no part of the extension. The old schema goes, with
-- all that its owner may be creating in it.
DO $$
DECLARE
    before oid;
    other text;
    aside text := 'walspout_before';     -- a name that is free
    role oid;
BEGIN
    -- No user's operators: this runs as a superuser.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    before := to_regnamespace('walspout');
    IF before IS NULL THEN
        CREATE SCHEMA walspout;
        RETURN;
    END IF;
    SELECT pg_describe_object(classid, objid, 0) INTO other
      FROM pg_depend
     WHERE refclassid = 'pg_namespace'::regclass AND refobjid = before
       AND NOT (classid = 'pg_class'::regclass AND objid IS NOT DISTINCT FROM to_regclass('walspout.positions'))
     LIMIT 1;
    IF other IS NOT NULL THEN
        RAISE duplicate_schema
              USING MESSAGE = format('schema "walspout" exists already, and has something else than the table of positions: %s', other),
                    HINT = 'Drop that, or move it to another schema.';
    END IF;
    WHILE EXISTS (SELECT FROM pg_namespace WHERE nspname = aside) LOOP
        aside := 'walspout_before_' || gen_random_uuid();
    END LOOP;
    EXECUTE format('ALTER SCHEMA walspout RENAME TO %I', aside);
    CREATE SCHEMA walspout;
    EXECUTE format('ALTER TABLE IF EXISTS %I.positions SET SCHEMA walspout', aside);
    -- the roles of forwarders look for the table there
    FOR role IN SELECT grantee
                  FROM pg_namespace, aclexplode(COALESCE(nspacl, acldefault('n', nspowner)))
                 WHERE pg_namespace.oid = before AND privilege_type = 'USAGE' AND grantee <> 0
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA walspout TO %s', role::regrole);
    END LOOP;
    EXECUTE format('DROP SCHEMA %I', aside);
END
$$;

-- The position of restart_lsn tells what holds it. Far behind the confirmed LSN,
-- it waits for a transaction that was running there. Close to that LSN, it waits
-- for the reader. Transactions of other databases count, too.
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

-- jsonb cannot hold all JSON (\u0000, numbers of a million digits): such a
-- document is shown as text, so that it does not hide the rest.
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
    -- the server stops only after whole transactions: cut off the surplus
    FOR document IN
        SELECT c.data
          FROM pg_logical_slot_peek_changes(slot, NULL, n, VARIADIC options)
               WITH ORDINALITY c
         ORDER BY c.ordinality
         LIMIT n
    LOOP
        id := substring(document FROM '^\{"id":"([0-9]+-s?[0-9a-f]+)"');
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

-- pg_logical_emit_message() silently sends nothing if an argument is null: in an
-- outbox an event would be lost.
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

-- Requests to read existing tables, and the progress of each. The forwarder keeps
-- them here and not in a file. So a server that was restored or promoted has the
-- progress that belongs to its data. The plugin never streams this table.
CREATE TABLE walspout.backfills (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot name NOT NULL,
    "table" text NOT NULL,               -- its name at the request, qualified and quoted
    relation oid NOT NULL,
    shape text,                          -- its files, names and keys at the start: if they change, it starts again
    condition text,                      -- an expression as in WHERE; null: all rows
    rate integer CHECK (rate > 0),       -- most rows a second; null: as the forwarder's configuration says
    state text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'waiting', 'running', 'paused', 'done', 'canceled', 'failed')),
    requested timestamptz NOT NULL DEFAULT pg_catalog.now(),
    started timestamptz,
    finished timestamptz,
    barrier text,                        -- an xid8: reading starts after all transactions below it have ended
    cursor text[],                       -- the key of the last row that was read and delivered
    rows bigint NOT NULL DEFAULT 0,      -- rows that were read
    estimate bigint,                     -- of the number of all rows
    error text,
    owner text                           -- the forwarder's process that saves its progress here
);

CREATE UNIQUE INDEX backfills_unfinished ON walspout.backfills (slot, relation)
 WHERE state IN ('requested', 'waiting', 'running', 'paused');

-- Keys of rows that must be read again. They have a table of their own, so that a save costs
-- no more than what it changes.
CREATE TABLE walspout.backfill_keys (
    backfill bigint NOT NULL REFERENCES walspout.backfills ON DELETE CASCADE,
    number bigint NOT NULL,              -- the forwarder's
    key text NOT NULL,                   -- as "key" has it in the envelope
    PRIMARY KEY (backfill, number)
);

COMMENT ON TABLE walspout.backfill_keys IS
  'keys of rows that a backfill must read again, as they were moved with unchanged columns';

COMMENT ON TABLE walspout.backfills IS
  'requests to send existing rows of tables, and their progress; made by walspout.backfill()';

-- Which tables the forwarder knows to be published for a slot, if it backfills tables that
-- join later. A table without any of its entries left the publications, even if it has
-- joined again. The row of relation 0 says that the slot is known at all.
CREATE TABLE walspout.tables (
    slot name NOT NULL,
    relation oid NOT NULL,
    entries oid[] NOT NULL DEFAULT '{}', -- of pg_publication_rel, pg_publication_namespace or pg_publication
    partitions oid[],                    -- that are published as this table; null: unknown
    server text,                         -- relation 0: the system identifier; on another server all OIDs differ
    since timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (slot, relation)
);

COMMENT ON TABLE walspout.tables IS
  'tables that are known to be published for a slot, as others are backfilled when they join; kept by the forwarder';

-- The functions that read tables, for the forwarder. Both return messages of the
-- format "frames" with events "r". read_rows() reads in the order of the key, from
-- after the key in "after". It stops after max_rows rows, max_bytes written bytes,
-- or max_ms milliseconds; nulls are no limit.
CREATE FUNCTION walspout.read_rows("table" regclass, options text[], after text[], max_rows bigint, max_bytes bigint,
                                   max_ms integer, condition text)
RETURNS SETOF bytea
AS 'MODULE_PATHNAME', 'walspout_read_rows'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

-- The rows that have these keys, each as "key" has it in the envelope.
CREATE FUNCTION walspout.read_keys("table" regclass, options text[], keys text[])
RETURNS SETOF bytea
AS 'MODULE_PATHNAME', 'walspout_read_keys'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

-- Raises if read_rows() could not read the table in pieces, as far as that can be
-- checked without publications.
CREATE FUNCTION walspout.check_rows("table" regclass, condition text)
RETURNS void
AS 'MODULE_PATHNAME', 'walspout_check_rows'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION walspout.read_rows(regclass, text[], text[], bigint, bigint, integer, text) IS
  'rows of a table in the order of its key, as events "r" in frames: for the forwarder';
COMMENT ON FUNCTION walspout.read_keys(regclass, text[], text[]) IS
  'the rows of a table that have these keys, as events "r" in frames: for the forwarder';

-- Rows of documents, for the forwarder in a target: what json_to_recordset() gives, for
-- less work. The text is an array of JSON objects, or one object. The function reads nothing
-- else, and does nothing that its caller may not do: all roles that may use the schema
-- may call it.
CREATE FUNCTION walspout.read_documents(documents text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'walspout_read_documents'
LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 100;

COMMENT ON FUNCTION walspout.read_documents(text) IS
  'rows with the given columns of a JSON array of objects, as json_to_recordset() gives them: for the sink postgres of the forwarder';

-- The slot, if a call names none.
CREATE FUNCTION walspout.backfill_slot(given name)
RETURNS name
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    slots name[] := ARRAY(SELECT s.slot_name FROM pg_replication_slots s
                           WHERE s.plugin = 'walspout' AND s.database = current_database()
                           ORDER BY s.slot_name);
BEGIN
    IF given = ANY (slots) THEN
        RETURN given;
    ELSIF given IS NOT NULL THEN
        RAISE undefined_object
              USING MESSAGE = format('there is no slot "%s" of walspout in this database', given),
                    HINT = coalesce('Its slots are: ' || nullif(array_to_string(slots, ', '), '') || '.',
                                    'Start the forwarder, which creates its slot.');
    ELSIF cardinality(slots) = 1 THEN
        RETURN slots[1];
    ELSIF cardinality(slots) = 0 THEN
        RAISE undefined_object
              USING MESSAGE = 'there is no slot of walspout in this database',
                    HINT = 'Start the forwarder, which creates its slot.';
    END IF;
    RAISE ambiguous_parameter
          USING MESSAGE = 'there are several slots of walspout in this database',
                HINT = 'Name one of them: ' || array_to_string(slots, ', ') || '.';
END
$$;

CREATE FUNCTION walspout.backfill("table" regclass, slot name DEFAULT NULL, condition text DEFAULT NULL,
                                  rate integer DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted name := walspout.backfill_slot(slot);
    qualified text := (SELECT format('%I.%I', n.nspname, c.relname)
                         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE c.oid = "table");
    other record;
    request bigint;
BEGIN
    IF "table" IS NULL THEN
        RAISE null_value_not_allowed
              USING MESSAGE = 'the table must not be null', HINT = 'Name a table, as in ''public.orders''.';
    ELSIF rate <= 0 THEN
        RAISE invalid_parameter_value
              USING MESSAGE = format('the rate must be at least 1 row a second, not %s', rate),
                    HINT = 'Give a greater number, or null for the forwarder''s own rate.';
    END IF;
    -- raises if the table cannot be read in pieces, or the condition is wrong
    PERFORM walspout.check_rows("table", condition);
    INSERT INTO walspout.backfills (slot, "table", relation, condition, rate)
    VALUES (wanted, qualified, "table", backfill.condition, backfill.rate)
        ON CONFLICT DO NOTHING
 RETURNING id INTO request;
    IF request IS NULL THEN
        SELECT b.id, b.state, b.requested INTO other
          FROM walspout.backfills b
         WHERE b.slot = wanted AND b.relation = backfill."table"
           AND b.state IN ('requested', 'waiting', 'running', 'paused');
        RAISE object_in_use
              USING MESSAGE = format('backfill %s of table %s is not finished: it was requested at %s and is %s',
                                     other.id, qualified, to_char(other.requested, 'YYYY-MM-DD HH24:MI:SSOF'), other.state),
                    HINT = format('Wait for it, or end it with SELECT walspout.backfill_cancel(%s).', other.id);
    END IF;
    -- the forwarder looks at the table when it gets this message from the slot
    PERFORM pg_logical_emit_message(true, 'walspout.mark', 'look');
    RETURN request;
END
$$;

-- Change the state of a request, if its present state is allowed.
CREATE FUNCTION walspout.backfill_change(request bigint, action text, allowed text[], becomes text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_state text;
BEGIN
    UPDATE walspout.backfills b
       SET state = becomes, finished = CASE WHEN becomes = 'canceled' THEN now() END
     WHERE b.id = request AND b.state = ANY (allowed);
    IF FOUND THEN
        PERFORM pg_logical_emit_message(true, 'walspout.mark', 'look');
        RETURN;
    END IF;
    SELECT b.state INTO found_state FROM walspout.backfills b WHERE b.id = request;
    IF found_state IS NULL THEN
        RAISE undefined_object
              USING MESSAGE = format('there is no backfill %s', coalesce(request::text, 'null')),
                    HINT = 'SELECT id, slot, "table", state FROM walspout.backfills shows all of them.';
    END IF;
    RAISE object_not_in_prerequisite_state
          USING MESSAGE = format('backfill %s is %s and cannot be %s', request, found_state, action),
                HINT = format('This is possible while it is %s.', array_to_string(allowed, ' or '));
END
$$;

CREATE FUNCTION walspout.backfill_cancel(id bigint) RETURNS void LANGUAGE sql VOLATILE AS
$$ SELECT walspout.backfill_change($1, 'canceled', '{requested,waiting,running,paused}', 'canceled') $$;

CREATE FUNCTION walspout.backfill_pause(id bigint) RETURNS void LANGUAGE sql VOLATILE AS
$$ SELECT walspout.backfill_change($1, 'paused', '{requested,waiting,running}', 'paused') $$;

-- The backfill continues where it was, once the forwarder has seen the request.
CREATE FUNCTION walspout.backfill_resume(id bigint) RETURNS void LANGUAGE sql VOLATILE AS
$$ SELECT walspout.backfill_change($1, 'resumed', '{paused}', 'requested') $$;

COMMENT ON FUNCTION walspout.backfill(regclass, name, text, integer) IS
  'request that the existing rows of a table are sent beside the stream, as events "r"; returns the id of the request';
COMMENT ON FUNCTION walspout.backfill_cancel(bigint) IS 'end a backfill; rows that were sent stay sent';
COMMENT ON FUNCTION walspout.backfill_pause(bigint) IS 'stop a backfill until walspout.backfill_resume()';
COMMENT ON FUNCTION walspout.backfill_resume(bigint) IS 'continue a paused backfill';

-- Statements that change definitions become messages in the stream of changes. This is the
-- function of event triggers, which track_ddl() creates. It runs with the rights and the
-- search path of the session that runs the statement. So all names in it are qualified,
-- operators, too. A command's dropped objects are known before its other objects. They wait
-- in a setting, so that one message has both. Another event trigger may run commands of its
-- own meanwhile. So the setting is a stack: it has the dropped objects of each command that
-- has begun, the innermost last. Where a command begins in an earlier transaction, as CREATE
-- INDEX CONCURRENTLY does, the stack is empty at its end.
CREATE FUNCTION walspout.on_ddl()
RETURNS event_trigger
LANGUAGE plpgsql
AS $$
DECLARE
    running pg_catalog.text[];
    depth pg_catalog.int4;
    dropped pg_catalog.json;
    objects pg_catalog.json;
BEGIN
    BEGIN
        running := ARRAY(SELECT pg_catalog.unnest(NULLIF(pg_catalog.current_setting('walspout_ddl.dropped', true), '')::pg_catalog.text[]));
    EXCEPTION WHEN OTHERS THEN
        running := '{}'; -- something else made the setting
    END;
    depth := pg_catalog.cardinality(running);
    IF tg_event OPERATOR(pg_catalog.=) 'ddl_command_start' THEN
        PERFORM pg_catalog.set_config('walspout_ddl.dropped', pg_catalog.array_append(running, '')::pg_catalog.text, true);
        RETURN;
    END IF;
    IF tg_event OPERATOR(pg_catalog.=) 'sql_drop' THEN
        SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
                   'type', d.object_type, 'schema', d.schema_name, 'identity', d.object_identity, 'original', d.original))
          INTO dropped
          FROM pg_catalog.pg_event_trigger_dropped_objects() d
         WHERE NOT d.is_temporary AND (d.original OR d.normal);
        running[GREATEST(depth, 1)] := COALESCE(dropped::pg_catalog.text, '');
        PERFORM pg_catalog.set_config('walspout_ddl.dropped', running::pg_catalog.text, true);
        RETURN;
    END IF;
    IF depth OPERATOR(pg_catalog.>) 0 THEN
        BEGIN
            dropped := NULLIF(running[depth], '')::pg_catalog.json;
        EXCEPTION WHEN OTHERS THEN
            dropped := NULL;
        END;
        PERFORM pg_catalog.set_config('walspout_ddl.dropped', running[1:depth OPERATOR(pg_catalog.-) 1]::pg_catalog.text, true);
    END IF;
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object('command', c.command_tag, 'type', c.object_type, 'schema', c.schema_name,
                                                            'identity', c.object_identity))
      INTO objects
      FROM pg_catalog.pg_event_trigger_ddl_commands() c
     WHERE COALESCE(c.schema_name, '') OPERATOR(pg_catalog.<>) 'pg_temp';
    IF objects IS NULL AND dropped IS NULL THEN
        RETURN; -- only temporary objects
    END IF;
    PERFORM pg_catalog.pg_logical_emit_message(true, 'walspout.ddl', pg_catalog.json_build_object(
                'tag', tg_tag, 'objects', COALESCE(objects, '[]'::pg_catalog.json), 'dropped', COALESCE(dropped, '[]'::pg_catalog.json),
                -- such a statement may hold a password
                'statement', CASE WHEN tg_tag OPERATOR(pg_catalog.~) ' (SERVER|USER MAPPING|SUBSCRIPTION|FOREIGN DATA WRAPPER)$'
                                    OR pg_catalog.current_query() OPERATOR(pg_catalog.~*) '\mpassword\M(\s|--[^\n]*|/\*.*\*/)*(''|[eun]&?''|\$|=)' THEN NULL
                                  ELSE pg_catalog.current_query() END,
                'search_path', pg_catalog.current_setting('search_path'))::pg_catalog.text);
END
$$;

-- The triggers become members of the extension, so that DROP EXTENSION drops them. They are
-- disabled meanwhile, or they would report that.
CREATE FUNCTION walspout.track_ddl()
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{walspout_ddl_begun,walspout_ddl_dropped,walspout_ddl}'::text[]
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_event_trigger WHERE evtname = name);
        EXECUTE format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION walspout.on_ddl()', name,
                       CASE name WHEN 'walspout_ddl_begun' THEN 'ddl_command_start' WHEN 'walspout_ddl_dropped' THEN 'sql_drop'
                                 ELSE 'ddl_command_end' END);
        EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', name);
        EXECUTE format('ALTER EXTENSION walspout ADD EVENT TRIGGER %I', name);
    END LOOP;
    ALTER EVENT TRIGGER walspout_ddl_begun ENABLE;
    ALTER EVENT TRIGGER walspout_ddl_dropped ENABLE;
    ALTER EVENT TRIGGER walspout_ddl ENABLE;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE insufficient_privilege
          USING MESSAGE = format('role "%s" cannot track DDL: %s', current_user, SQLERRM),
                HINT = 'Event triggers are for superusers. Let one of them run SELECT walspout.track_ddl() in this database, once.';
END
$$;

CREATE FUNCTION walspout.untrack_ddl()
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT evtname FROM pg_event_trigger
                 WHERE evtfoid = 'walspout.on_ddl()'::regprocedure
    LOOP
        EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', name);
    END LOOP;
    FOR name IN SELECT evtname FROM pg_event_trigger
                 WHERE evtfoid = 'walspout.on_ddl()'::regprocedure
    LOOP
        IF EXISTS (SELECT FROM pg_depend d JOIN pg_event_trigger t ON d.classid = 'pg_event_trigger'::regclass AND d.objid = t.oid
                    WHERE t.evtname = name AND d.deptype = 'e') THEN
            EXECUTE format('ALTER EXTENSION walspout DROP EVENT TRIGGER %I', name);
        END IF;
        EXECUTE format('DROP EVENT TRIGGER %I', name);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE insufficient_privilege
          USING MESSAGE = format('role "%s" cannot end the tracking of DDL: %s', current_user, SQLERRM),
                HINT = 'Let the owner of the event triggers, or a superuser, run SELECT walspout.untrack_ddl().';
END
$$;

COMMENT ON FUNCTION walspout.track_ddl() IS
  'from now on, statements that change definitions are messages with the prefix walspout.ddl in the stream of changes';
COMMENT ON FUNCTION walspout.untrack_ddl() IS 'end the effect of walspout.track_ddl()';

-- PUBLIC gets nothing. Slots show how the server is run, peek() shows rows whatever
-- the privileges on their tables are, and emit() writes to what other systems read.
-- A backfill sends a table there, and the forwarder evaluates its condition.
-- Monitoring sees backfills without values of rows. The helper functions of these
-- do nothing that their caller may not do.
REVOKE ALL ON SCHEMA walspout FROM PUBLIC;
REVOKE ALL ON walspout.slots FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.peek(name, integer, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.emit(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.emit(text, jsonb) FROM PUBLIC;
REVOKE ALL ON walspout.backfills FROM PUBLIC;
REVOKE ALL ON walspout.tables FROM PUBLIC;
REVOKE ALL ON walspout.backfill_keys FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.read_rows(regclass, text[], text[], bigint, bigint, integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.read_keys(regclass, text[], text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.backfill(regclass, name, text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.backfill_cancel(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.backfill_pause(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.backfill_resume(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.track_ddl() FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.untrack_ddl() FROM PUBLIC;
REVOKE ALL ON FUNCTION walspout.on_ddl() FROM PUBLIC;
GRANT USAGE ON SCHEMA walspout TO pg_monitor;
GRANT SELECT ON walspout.slots TO pg_monitor;
GRANT SELECT (id, slot, "table", relation, rate, state, requested, started, finished, rows, estimate)
      ON walspout.backfills TO pg_monitor;
