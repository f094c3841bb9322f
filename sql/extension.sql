-- The extension: the view of slots, peek(), emit(), who may use them, and that
-- it can be dropped, created again and dumped.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE extended (id int PRIMARY KEY, v text);
CALL h.slot('extension');
CALL h.slot('extension_other', 'test_decoding');
INSERT INTO extended VALUES (1, 'one'), (2, 'two');
BEGIN;
INSERT INTO extended VALUES (3, 'three');
INSERT INTO extended VALUES (4, 'four');
COMMIT;

-- slots: those of this plugin only
SELECT slot_name, database = current_database(), active, active_pid, wal_status, confirmed_lsn IS NOT NULL, lag_bytes > 0,
       retained_bytes >= lag_bytes, restart_lsn <= confirmed_lsn, safe_wal_size
  FROM walspout.slots WHERE slot_name LIKE 'extension%';
SELECT lag_bytes = pg_current_wal_lsn() - confirmed_lsn, retained_bytes = pg_current_wal_lsn() - restart_lsn FROM walspout.slots WHERE slot_name = 'extension';
-- what holds it
SELECT catalog_xmin IS NOT NULL, catalog_xmin_age = age(catalog_xmin), held_by FROM walspout.slots WHERE slot_name = 'extension';
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'walspout.slots'::regclass ORDER BY attnum;

-- peek: so many events, nothing consumed
SELECT id ~ '^\d+-\d+$', id = envelope ->> 'id', envelope -> 'after' FROM walspout.peek('extension', 3);
SELECT count(*) FROM walspout.peek('extension', 1);
SELECT count(*) FROM walspout.peek('extension');
SELECT count(*) FROM walspout.peek('extension', 0);
SELECT count(*) FROM walspout.peek('extension', -1);
SELECT count(*) FROM walspout.peek('extension', NULL);
SELECT count(*) FROM walspout.peek('extension', 2147483647);
SELECT count(*) FROM walspout.peek('no_such_slot', 1);
INSERT INTO extended SELECT g FROM generate_series(10, 30) g;
SELECT count(*) FROM walspout.peek('extension');
-- documents that jsonb cannot hold are shown as text
CREATE TABLE odd (j json);
CALL h.skip('extension');
INSERT INTO odd VALUES ('"\u0000"'), ('"\ud800"'), ('1e1000000'), ('{"a":1,"a":2}');
SELECT id ~ '^\d+-\d+$', jsonb_typeof(envelope) FROM walspout.peek('extension');
SELECT envelope FROM walspout.peek('extension', 10, 'omit', 'ts,xid,id');
SELECT walspout.peek('extension', 1, 'no_option', 'x');
CALL h.skip('extension');

-- an old transaction holds a slot that is read
CALL h.slot('extension_held');
BEGIN;
INSERT INTO extended VALUES (100, 'old');
PREPARE TRANSACTION 'it''s "old"';
SELECT count(*) FROM (SELECT pg_logical_emit_message(true, 'p', repeat('x', 100000)) FROM generate_series(1, 10)) m;
CALL h.skip('extension_held');
SELECT retained_bytes > 1000000, lag_bytes < 500000, catalog_xmin_age > 0,
       regexp_replace(held_by, 'transaction \d+|since .*', '', 'g') FROM walspout.slots WHERE slot_name = 'extension_held';
ROLLBACK PREPARED 'it''s "old"';
CALL h.drop('extension_held');
CALL h.skip('extension');
-- emit
BEGIN;
SELECT walspout.emit('outbox', 'text') IS NOT NULL, walspout.emit('outbox', '{"b":1, "a" : 2}'::jsonb) IS NOT NULL, walspout.emit('outbox', '{"b":1, "a" : 2}') IS NOT NULL;
COMMIT;
SELECT walspout.emit(NULL, 'text');
SELECT walspout.emit('outbox', NULL::text);
SELECT walspout.emit('outbox', NULL::jsonb);
BEGIN;
SELECT walspout.emit('outbox', 'never') IS NOT NULL;
ROLLBACK;
SELECT h.changes('extension');

-- privileges
SELECT rolname, has_schema_privilege(rolname, 'walspout', 'USAGE') AS usage, has_table_privilege(rolname, 'walspout.slots', 'SELECT') AS slots,
       has_function_privilege(rolname, 'walspout.peek(name, int, text[])', 'EXECUTE') AS peek,
       has_function_privilege(rolname, 'walspout.emit(text, text)', 'EXECUTE') AS emit_text,
       has_function_privilege(rolname, 'walspout.emit(text, jsonb)', 'EXECUTE') AS emit_jsonb
  FROM (VALUES ('pg_monitor'), ('pg_signal_backend')) r(rolname);
-- of the other predefined roles, those that the version has
SELECT rolname FROM pg_roles
 WHERE rolname LIKE 'pg\_%' AND rolname NOT IN ('pg_monitor', 'pg_read_all_data', 'pg_write_all_data')
   AND (has_schema_privilege(rolname, 'walspout', 'USAGE') OR has_table_privilege(rolname, 'walspout.slots', 'SELECT')
        OR has_function_privilege(rolname, 'walspout.peek(name, int, text[])', 'EXECUTE')
        OR has_function_privilege(rolname, 'walspout.emit(text, text)', 'EXECUTE'));
SELECT rolname FROM pg_roles
 WHERE rolname IN ('pg_read_all_data', 'pg_write_all_data')
   AND has_function_privilege(rolname, 'walspout.peek(name, int, text[])', 'EXECUTE');
CREATE ROLE walspout_plain;
CREATE ROLE walspout_monitor IN ROLE pg_monitor;
CREATE ROLE walspout_replication REPLICATION;
SET ROLE walspout_plain;
SELECT * FROM walspout.slots;
SELECT walspout.peek('extension');
SELECT walspout.emit('p', 'text');
SET ROLE walspout_monitor;
SELECT count(*) FROM walspout.slots WHERE slot_name LIKE 'extension%';
SELECT walspout.peek('extension');
SELECT walspout.emit('p', 'text');
RESET ROLE;
GRANT USAGE ON SCHEMA walspout TO walspout_plain, walspout_replication;
GRANT EXECUTE ON FUNCTION walspout.emit(text, text) TO walspout_plain;
GRANT EXECUTE ON FUNCTION walspout.peek(name, int, text[]) TO walspout_plain, walspout_replication;
SET ROLE walspout_plain;
SELECT walspout.emit('p', 'granted') IS NOT NULL;
SELECT walspout.emit('p', '"granted"'::jsonb);
-- peek() runs as its caller, who needs to be able to read slots
\set VERBOSITY sqlstate
SELECT walspout.peek('extension');
\set VERBOSITY default
SET ROLE walspout_replication;
SELECT count(*) FROM walspout.peek('extension');
RESET ROLE;
REVOKE USAGE ON SCHEMA walspout FROM walspout_plain, walspout_replication;
REVOKE ALL ON FUNCTION walspout.emit(text, text), walspout.peek(name, int, text[]) FROM walspout_plain, walspout_replication;
DROP ROLE walspout_plain, walspout_monitor, walspout_replication;

-- the caller's search path does not matter
CREATE SCHEMA trap;
CREATE FUNCTION trap.pg_logical_emit_message(boolean, text, text) RETURNS pg_lsn LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION trap.greatest_of() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION trap.jsonb_arrow(jsonb, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = trap.jsonb_arrow);
SET search_path = trap, pg_catalog;
SELECT walspout.emit('p', 'not trapped') IS NOT NULL;
SELECT count(*) > 0 FROM walspout.peek('extension');
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA trap CASCADE;
RESET client_min_messages;

-- all of it belongs to the extension; nothing in it is data to dump
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'walspout')
   AND classid <> 'pg_type'::regclass ORDER BY 1;
SELECT extconfig, extrelocatable, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'walspout';
DROP EXTENSION walspout;
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'walspout';
-- slots work without it
SELECT count(*) FROM h.changes('extension');

-- A forwarder made the schema, for its table of positions: the table stays, whatever becomes of the
-- extension. No role but its owner can make functions beside its own.
CREATE ROLE "Walspout's sink";
SELECT format('GRANT CREATE ON DATABASE %I TO "Walspout''s sink"', current_database()) \gexec
SET ROLE "Walspout's sink";
CREATE SCHEMA walspout;
CREATE FUNCTION walspout.backfill_cancel(int) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
CREATE TABLE walspout.positions (sink text PRIMARY KEY, lsn pg_lsn);
INSERT INTO walspout.positions VALUES ('s', '0/1');
RESET ROLE;
\set SHOW_CONTEXT never
CREATE EXTENSION walspout;
\set SHOW_CONTEXT errors
SELECT has_schema_privilege('Walspout''s sink', 'walspout', 'CREATE');
DROP FUNCTION walspout.backfill_cancel(int);
CREATE EXTENSION walspout;
SELECT nspname, nspowner = (SELECT oid FROM pg_roles WHERE rolname = current_user) AS of_superuser FROM pg_namespace WHERE nspname LIKE 'walspout%';
SELECT count(*) FROM pg_depend WHERE objid = 'walspout.positions'::regclass AND deptype = 'e';
SET ROLE "Walspout's sink";
UPDATE walspout.positions SET lsn = '0/2' RETURNING *;
SELECT * FROM walspout.read_documents('[{"a":1}]') s(a int);
SELECT has_schema_privilege('walspout', 'CREATE'), has_table_privilege('walspout.slots', 'SELECT');
RESET ROLE;
DROP EXTENSION walspout;
-- the statements that keep the table
ALTER EXTENSION walspout DROP SCHEMA walspout;
DROP EXTENSION walspout;
SELECT * FROM walspout.positions;
CREATE EXTENSION walspout;
SELECT * FROM walspout.positions;
DROP TABLE walspout.positions;
DROP EXTENSION walspout;
-- an empty schema is no hindrance, nor is a schema with the name of the one that goes
CREATE SCHEMA walspout;
CREATE SCHEMA walspout_before;
CREATE EXTENSION walspout;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'walspout%' ORDER BY 1;
DROP SCHEMA walspout_before;
REVOKE USAGE ON SCHEMA walspout FROM "Walspout's sink";
SELECT format('REVOKE CREATE ON DATABASE %I FROM "Walspout''s sink"', current_database()) \gexec
DROP ROLE "Walspout's sink";

SELECT count(*) FROM walspout.slots WHERE slot_name LIKE 'extension%';
CALL h.drop('extension', 'extension_other');
DROP TABLE extended, odd;
