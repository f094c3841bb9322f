-- Statements that change definitions are messages in the stream, in order with the rows, where track_ddl() was called.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
-- What a message says, a line each.
CREATE FUNCTION pg_temp.told() RETURNS TABLE (what text) LANGUAGE sql AS $$
  SELECT CASE WHEN d ->> 'op' <> 'm' THEN concat(d ->> 'op', ' ', d ->> 'after')
         ELSE concat(c ->> 'tag', ': ', (SELECT string_agg(concat(o ->> 'command', ' ', o ->> 'type', ' ', o ->> 'identity'), ', ') FROM json_array_elements(c -> 'objects') o),
                     ' dropped: ', (SELECT string_agg(concat(o ->> 'type', ' ', o ->> 'identity'), ', ') FROM json_array_elements(c -> 'dropped') o)) END
    FROM (SELECT data::json AS d, data::json -> 'content' AS c FROM h.changes('ddl')) x
$$;
CALL h.slot('ddl');
-- off by default
CREATE TABLE before_it (id int);
SELECT * FROM pg_temp.told();
SELECT walspout.track_ddl();
-- it tells nothing of itself, and a second call changes nothing
SELECT walspout.track_ddl();
SELECT * FROM pg_temp.told();
CREATE TABLE tracked (id int PRIMARY KEY, v text);
BEGIN;
INSERT INTO tracked VALUES (1, 'a');
ALTER TABLE tracked ADD w int;
INSERT INTO tracked VALUES (2, 'b', 2);
ALTER TABLE tracked DROP v, ADD x int;
INSERT INTO tracked VALUES (3, 3, 3);
COMMIT;
-- what is rolled back is not told
BEGIN;
DROP TABLE tracked;
ROLLBACK;
CREATE INDEX tracked_w ON tracked (w);
COMMENT ON TABLE tracked IS 'a "comment"';
CREATE VIEW seen AS SELECT * FROM tracked;
DROP TABLE tracked CASCADE;
CREATE TEMP TABLE passing (id int);
ALTER TABLE passing ADD v int;
DROP TABLE passing;
SELECT * FROM pg_temp.told();
-- event triggers of others run commands within a DROP, before our trigger and behind it
CALL h.skip('ddl');
CREATE FUNCTION public.on_other_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE named text;
BEGIN
  SELECT string_agg(object_name, '_') INTO named FROM pg_event_trigger_dropped_objects() WHERE original AND object_name LIKE 'outer%';
  IF named IS NULL THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE public.%I (id int, gone int)', 'in_' || named);
  EXECUTE format('ALTER TABLE public.%I ADD more int', 'in_' || named);
  EXECUTE format('ALTER TABLE public.%I DROP gone', 'in_' || named);
  EXECUTE format('DROP TABLE public.%I', 'in_' || named);
  BEGIN
    CREATE TABLE public.never (id int);
    DROP TABLE public.never, public.missing;
  EXCEPTION WHEN undefined_table THEN NULL;
  END;
END $$;
CREATE EVENT TRIGGER z_other ON sql_drop EXECUTE FUNCTION public.on_other_drop();
CREATE TABLE outer1 (id int);
DROP TABLE outer1;
DROP EVENT TRIGGER z_other;
CREATE EVENT TRIGGER a_other ON sql_drop EXECUTE FUNCTION public.on_other_drop();
CREATE TABLE outer2 (id int, outer_column int);
ALTER TABLE outer2 DROP outer_column;
CREATE INDEX CONCURRENTLY outer3 ON outer2 (id);
DROP INDEX CONCURRENTLY outer3;
DROP EVENT TRIGGER a_other;
DROP TABLE outer2;
DROP FUNCTION public.on_other_drop();
SELECT * FROM pg_temp.told();
-- the statement, and the search path of the session
CALL h.skip('ddl');
CREATE SCHEMA "Other é";
SET search_path = "Other é", pg_catalog;
CREATE TABLE "odd ""name" (id int); /* 'é' */
RESET search_path;
DO $$ BEGIN EXECUTE 'DROP TABLE "Other é"."odd ""name"'; END $$;
SELECT data FROM h.changes('ddl');
-- a password that a statement may hold is not told
CALL h.skip('ddl');
CREATE FOREIGN DATA WRAPPER walspout_test_wrapper;
CREATE SERVER walspout_test_server FOREIGN DATA WRAPPER walspout_test_wrapper;
CREATE USER MAPPING FOR CURRENT_USER SERVER walspout_test_server OPTIONS (password 'hush');
ALTER USER MAPPING FOR CURRENT_USER SERVER walspout_test_server OPTIONS (SET password 'hush');
DROP FOREIGN DATA WRAPPER walspout_test_wrapper CASCADE;
SELECT data LIKE '%hush%' AS has_password, data::json -> 'content' ->> 'tag' AS tag, data::json -> 'content' ->> 'statement' AS statement FROM h.changes('ddl');
-- in whatever statement of a text, and however it is written; a column of that name is no password
CALL h.skip('ddl');
CREATE ROLE walspout_test_password;
DO $$ BEGIN CREATE TABLE hushed (id int); ALTER ROLE walspout_test_password PASSWORD 'hush'; END $$;
CREATE TABLE hushed_too (id int)\; ALTER ROLE walspout_test_password Encrypted Password E'hush';
DO $do$ BEGIN DROP TABLE hushed; ALTER ROLE walspout_test_password PASSWORD $$hush$$; END $do$;
DO $$ BEGIN DROP TABLE hushed_too; PERFORM 'host=h password = hush'; END $$;
DO $$ BEGIN CREATE TABLE hushed (id int); ALTER ROLE walspout_test_password PASSWORD /* new */ -- one
  U&'hush'; END $$;
CREATE TABLE passwords (password text DEFAULT 'none', password_of text);
DROP TABLE passwords, hushed;
DROP ROLE walspout_test_password;
SELECT data::json -> 'content' ->> 'tag' AS tag, data::json -> 'content' ->> 'statement' AS statement FROM h.changes('ddl');
-- any role runs statements: no privilege on the extension is needed, and no object of theirs is called
CALL h.skip('ddl');
CREATE ROLE walspout_test_ddl;
GRANT CREATE ON SCHEMA "Other é" TO walspout_test_ddl;
GRANT USAGE ON SCHEMA "Other é" TO walspout_test_ddl;
SET ROLE walspout_test_ddl;
SET search_path = "Other é", pg_catalog;
CREATE FUNCTION "Other é".current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'wrong' $$;
CREATE TABLE "Other é".mine (id int);
SET walspout_ddl.dropped = 'no JSON';
CREATE TABLE "Other é".mine_too (id int);
SET walspout_ddl.dropped = '{{x,y},{x,y}}';
CREATE TABLE "Other é".mine_three (id int);
SET walspout_ddl.dropped = '[5:6]={x,y}';
DROP TABLE "Other é".mine_three;
RESET search_path;
SELECT walspout.track_ddl();
RESET ROLE;
SELECT count(*), count(*) FILTER (WHERE data::json -> 'content' ->> 'search_path' = '"Other é", pg_catalog') AS right_path, count(*) FILTER (WHERE data LIKE '%no JSON%') AS wrong FROM h.changes('ddl') WHERE data LIKE ANY (ARRAY['%"CREATE %', '%"DROP %']) AND data NOT LIKE '%SCHEMA%';
-- a role that may call the functions, and is no superuser
GRANT USAGE ON SCHEMA walspout TO walspout_test_ddl;
GRANT EXECUTE ON FUNCTION walspout.track_ddl(), walspout.untrack_ddl() TO walspout_test_ddl;
SET ROLE walspout_test_ddl;
SELECT walspout.untrack_ddl();
RESET ROLE;
SELECT walspout.untrack_ddl();
SET ROLE walspout_test_ddl;
SELECT walspout.track_ddl();
RESET ROLE;
-- off again, and nothing is left
CALL h.skip('ddl');
CREATE TABLE after_it (id int);
SELECT walspout.untrack_ddl();
SELECT * FROM pg_temp.told();
SELECT evtname FROM pg_event_trigger WHERE evtname LIKE 'walspout%';
-- the triggers go with the extension
DROP OWNED BY walspout_test_ddl;
DROP ROLE walspout_test_ddl;
DROP SCHEMA "Other é" CASCADE;
DROP TABLE before_it, after_it;
CALL h.drop('ddl');
SELECT walspout.track_ddl();
DROP EXTENSION walspout;
SELECT evtname FROM pg_event_trigger WHERE evtname LIKE 'walspout%';
CREATE TABLE still_works (id int);
DROP TABLE still_works;
CREATE EXTENSION walspout;
