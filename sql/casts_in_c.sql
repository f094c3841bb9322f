-- Casts to json in C are called, whether users' code may run or not. None of
-- them reads a table, or runs a query: a value that would take one is printed as
-- its text, whatever happened to the table since.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('c_casts');
CREATE TABLE notes (note text);
INSERT INTO notes VALUES ('of the table');
CREATE FUNCTION users_code() RETURNS json LANGUAGE sql AS $$ SELECT '"users'' code ran"'::json $$;
CREATE TABLE functions (name text);
INSERT INTO functions VALUES ('cast_by_query'), ('cast_by_query_of_red'), ('cast_by_query_caught'), ('cast_by_query_of_catalog'),
  ('cast_by_scan'), ('cast_by_command'), ('cast_by_function'), ('cast_that_raises'), ('cast_to_subtransaction');
SELECT format('CREATE TYPE of_%s AS ENUM (''red'', ''green'')', name),
       format('CREATE TYPE in_%s AS (c of_%1$s)', name),
       format('CREATE FUNCTION %1$s(of_%1$s) RETURNS json LANGUAGE c STRICT AS ''walspout_test_casts'', ''%1$s''', name),
       format('CREATE CAST (of_%1$s AS json) WITH FUNCTION %1$s(of_%1$s)', name),
       format('CREATE TABLE t_%1$s (id int PRIMARY KEY, v of_%1$s, vs of_%1$s[], c in_%1$s, cs in_%1$s[])', name)
  FROM functions ORDER BY name
\set ECHO none
\gexec
\set ECHO all
CALL h.skip('c_casts');
SELECT format('INSERT INTO t_%s VALUES (1, ''red'', ''{green,red}'', ROW(''red''), ''{(green),NULL,(red)}''), (2, ''green'', ''{green}'', ROW(''green''), NULL)', name)
  FROM functions WHERE name <> 'cast_to_subtransaction' ORDER BY name
\set ECHO none
\gexec
\set ECHO all
-- the server itself would say this
SELECT v::json FROM t_cast_by_query;
SELECT v::json FROM t_cast_by_scan;
SELECT h.changes('c_casts');
CREATE TEMP TABLE before AS SELECT * FROM h.changes('c_casts');
-- rows that are read from their table are told the same
CALL h.read('c_casts');
SELECT name, h.compare_rows(('t_' || name)::regclass) FROM functions WHERE name <> 'cast_to_subtransaction' ORDER BY name;
-- while another transaction locks the table; nor does a column wait whose type is the table's row
CREATE TABLE rows_of_notes (n notes, v of_cast_by_query);
INSERT INTO rows_of_notes VALUES (ROW('of the row'), 'red');
BEGIN;
LOCK TABLE notes IN ACCESS EXCLUSIVE MODE;
PREPARE TRANSACTION 'locker';
SET statement_timeout = '60s';
SELECT data FROM h.changes('c_casts') WHERE data LIKE '%rows_of_notes%';
SELECT count(*) FROM before FULL JOIN h.changes('c_casts') now USING (data)
 WHERE (before.data IS NULL OR now.data IS NULL) AND data NOT LIKE '%rows_of_notes%';
RESET statement_timeout;
ROLLBACK PREPARED 'locker';
DROP TABLE rows_of_notes;
-- and whatever became of it
VACUUM FULL notes;
SELECT count(*) FROM before FULL JOIN h.changes('c_casts') now USING (data) WHERE (before.data IS NULL OR now.data IS NULL) AND data NOT LIKE '%rows_of_notes%';
SELECT count(*) FROM before FULL JOIN h.changes('c_casts', 'user_casts', 'true') now USING (data) WHERE (before.data IS NULL OR now.data IS NULL) AND data NOT LIKE '%rows_of_notes%';
DROP TABLE notes;
SELECT count(*) FROM before FULL JOIN h.changes('c_casts') now USING (data) WHERE (before.data IS NULL OR now.data IS NULL) AND data NOT LIKE '%rows_of_notes%';
-- one subtransaction holds a column's value, however many elements it has
CALL h.skip('c_casts');
INSERT INTO t_cast_to_subtransaction
  SELECT 1, 'red', array_agg('red'::of_cast_to_subtransaction), ROW('red')::in_cast_to_subtransaction, array_agg(ROW('red'::of_cast_to_subtransaction)::in_cast_to_subtransaction)
    FROM generate_series(1, 100000);
CALL h.read('c_casts');
SELECT count(*), count(DISTINCT vs::text) FROM doc, json_array_elements(data::json -> 'after' -> 'vs') vs;
SELECT count(*), count(DISTINCT cs ->> 'c') FROM doc, json_array_elements(data::json -> 'after' -> 'cs') cs;
SELECT (a #>> '{cs,0,c}')::int - (a ->> 'v')::int FROM (SELECT data::json -> 'after' AS a FROM doc) d;
-- nothing of the sandbox is left
SHOW lock_timeout;
DO 'BEGIN PERFORM 1; END';
CALL h.drop('c_casts');
SET client_min_messages = warning;
\set ECHO none
SELECT format('DROP TABLE t_%s', name), format('DROP TYPE in_%s', name), format('DROP TYPE of_%s CASCADE', name) FROM functions ORDER BY name \gexec
\set ECHO all
DROP FUNCTION users_code;
DROP TABLE functions;
