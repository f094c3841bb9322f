-- What cannot be read says why, and what to do.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE FUNCTION pg_temp.read("table" regclass, options text[] DEFAULT '{}', after_key text[] DEFAULT NULL, condition text DEFAULT NULL)
RETURNS SETOF text LANGUAGE sql AS $$ SELECT key FROM h.rows("table", options, after_key, NULL, NULL, NULL, condition) WHERE kind = 'r' $$;
\set SHOW_CONTEXT never
CREATE TABLE read_plain (id int PRIMARY KEY, v text);
INSERT INTO read_plain VALUES (1, 'a');
-- no table
CREATE VIEW read_view AS SELECT * FROM read_plain;
CREATE MATERIALIZED VIEW read_matview AS SELECT * FROM read_plain;
CREATE FOREIGN DATA WRAPPER read_wrapper;
CREATE SERVER read_server FOREIGN DATA WRAPPER read_wrapper;
CREATE FOREIGN TABLE read_foreign (id int) SERVER read_server;
CREATE UNLOGGED TABLE read_unlogged (id int PRIMARY KEY);
CREATE TEMP TABLE read_temp (id int PRIMARY KEY);
SELECT pg_temp.read(NULL);
SELECT pg_temp.read('read_view');
SELECT pg_temp.read('read_matview');
SELECT pg_temp.read('read_foreign');
SELECT pg_temp.read('read_plain_pkey');
SELECT pg_temp.read('read_unlogged');
\set VERBOSITY sqlstate
SELECT pg_temp.read('read_temp');
\set VERBOSITY default
SELECT pg_temp.read('pg_class');
SELECT pg_temp.read('walspout.backfills');
SELECT pg_temp.read(4294967295::oid::regclass);
-- options and limits
SELECT pg_temp.read('read_plain', '{number,safe}');
SELECT pg_temp.read('read_plain', '{numbers}');
SELECT pg_temp.read('read_plain', '{{numbers,safe}}');
SELECT pg_temp.read('read_plain', '{numbers,NULL}');
SELECT pg_temp.read('read_plain', '{proto_version,3}');
SELECT h.rows('read_plain', '{}', NULL, -1);
SELECT h.rows('read_plain', '{}', NULL, NULL, -1);
SELECT h.rows('read_plain', '{}', NULL, NULL, NULL, -1);
-- what is published
CREATE PUBLICATION read_none;
CREATE PUBLICATION read_updates FOR TABLE read_plain WITH (publish = 'update,delete');
SELECT pg_temp.read('read_plain', '{publications,read_none}');
SELECT pg_temp.read('read_plain', '{publications,read_updates}');
SELECT pg_temp.read('read_plain', '{publications,read_missing}');
SELECT pg_temp.read('read_plain', '{publications,"read_none,read_updates"}');
-- keys
CREATE TABLE read_keyless (v text);
CREATE TABLE read_deferrable (id int PRIMARY KEY DEFERRABLE);
ALTER TABLE read_deferrable REPLICA IDENTITY FULL;
INSERT INTO read_keyless VALUES ('a');
SELECT pg_temp.read('read_keyless');
SELECT pg_temp.read('read_keyless', '{}', '{a}');
SELECT walspout.read_keys('read_keyless', '{}', '{}');
SELECT pg_temp.read('read_deferrable');
-- under DEFAULT it is no identity, and the table one without a key
ALTER TABLE read_deferrable REPLICA IDENTITY DEFAULT;
SELECT pg_temp.read('read_deferrable', '{}', '{1}');
SELECT pg_temp.read('read_plain', '{}', '{1,2}');
SELECT pg_temp.read('read_plain', '{}', '{x}');
SELECT pg_temp.read('read_plain', '{}', '{NULL}');
SELECT walspout.read_keys('read_plain', '{}', NULL);
SELECT walspout.read_keys('read_plain', '{}', '{x}');
SELECT walspout.read_keys('read_plain', '{}', '{"{}"}');
SELECT walspout.read_keys('read_plain', '{}', '{"{\"id\":\"x\"}"}');
SELECT walspout.read_keys('read_plain', '{}', '{"[1]"}');
CREATE TABLE read_long (k text PRIMARY KEY);
INSERT INTO read_long VALUES ('k'), (repeat('k', 700));
SELECT pg_temp.read('read_long', '{max_value_bytes,600}');
-- conditions
SELECT pg_temp.read('read_plain', '{}', NULL, 'v = ');
SELECT pg_temp.read('read_plain', '{}', NULL, '');
SELECT pg_temp.read('read_plain', '{}', NULL, 'w = 1');
SELECT pg_temp.read('read_plain', '{}', NULL, 'id');
SELECT pg_temp.read('read_plain', '{}', NULL, 'max(id) = 1');
SELECT pg_temp.read('read_plain', '{}', NULL, 'generate_series(1, 2) = 1');
SELECT pg_temp.read('read_plain', '{}', NULL, 'true); DROP TABLE read_plain; SELECT (true');
SELECT pg_temp.read('read_plain', '{}', NULL, 'true) UNION ALL SELECT id, v, true FROM read_plain WHERE (true');
SELECT pg_temp.read('read_plain', '{}', NULL, 'true) ORDER BY (v');
SELECT pg_temp.read('read_plain', '{}', NULL, 'true) LIMIT (1');
SELECT pg_temp.read('read_plain', '{}', NULL, 'true) FOR UPDATE -- ');
SELECT pg_temp.read('read_plain', '{}', NULL, '1 / (id - 1) = 1');
SELECT pg_temp.read('read_plain', '{}', NULL, '$1');
-- the session is none the worse
SELECT pg_temp.read('read_plain');
SHOW search_path;
SHOW enable_sort;

-- privileges
CREATE ROLE walspout_reader;
GRANT USAGE ON SCHEMA walspout TO walspout_reader;
SET ROLE walspout_reader;
SELECT walspout.read_rows('read_plain', '{}', NULL, NULL, NULL, NULL, NULL);
SELECT walspout.read_keys('read_plain', '{}', '{}');
RESET ROLE;
GRANT EXECUTE ON FUNCTION walspout.read_rows, walspout.read_keys TO walspout_reader;
SET ROLE walspout_reader;
SELECT walspout.read_rows('read_plain', '{}', NULL, NULL, NULL, NULL, NULL);
SELECT walspout.read_keys('read_plain', '{}', '{}');
RESET ROLE;
GRANT SELECT (id) ON read_plain TO walspout_reader;
SET ROLE walspout_reader;
SELECT walspout.read_rows('read_plain', '{}', NULL, NULL, NULL, NULL, NULL);
RESET ROLE;
GRANT SELECT ON read_plain TO walspout_reader;
SET ROLE walspout_reader;
SELECT length(walspout.read_rows('read_plain', '{}', NULL, NULL, NULL, NULL, NULL)) > 0;
RESET ROLE;
-- row-level security would hide rows
ALTER TABLE read_plain ENABLE ROW LEVEL SECURITY;
SET ROLE walspout_reader;
SELECT walspout.read_rows('read_plain', '{}', NULL, NULL, NULL, NULL, NULL);
SET row_security = off;
SELECT walspout.read_rows('read_plain', '{}', NULL, NULL, NULL, NULL, NULL);
RESET ALL;
RESET ROLE;
SELECT pg_temp.read('read_plain');
REVOKE ALL ON SCHEMA walspout FROM walspout_reader;
REVOKE ALL ON read_plain FROM walspout_reader;
REVOKE ALL ON FUNCTION walspout.read_rows, walspout.read_keys FROM walspout_reader;
DROP ROLE walspout_reader;
SET client_min_messages = warning;
DROP SERVER read_server CASCADE;
DROP FOREIGN DATA WRAPPER read_wrapper;
DROP PUBLICATION read_none, read_updates;
DROP TABLE read_plain, read_unlogged, read_temp, read_keyless, read_deferrable, read_long CASCADE;
