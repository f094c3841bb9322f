-- Requests of backfills: made, paused, ended; who may, and what is refused.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
\set SHOW_CONTEXT never
CREATE TABLE "Asked" (id int PRIMARY KEY, status text);
CREATE TABLE asked_keyless (v text);
CREATE TABLE asked_deferrable (id int PRIMARY KEY DEFERRABLE);
CREATE VIEW asked_view AS SELECT 1;
-- slots
SELECT walspout.backfill('"Asked"');
SELECT walspout.backfill('"Asked"', 'asked');
CALL h.slot('asked');
CALL h.slot('asked_other', 'test_decoding');
SELECT walspout.backfill('"Asked"', 'asked_other');
SELECT walspout.backfill('"Asked"') AS first \gset
SELECT slot, "table", relation = '"Asked"'::regclass AS same, condition, rate, state, abs(extract(epoch FROM now() - requested)) < 60 AS now, started, finished, cursor, rows, estimate, error
  FROM walspout.backfills;
CALL h.slot('asked_second');
SELECT walspout.backfill('"Asked"');
-- one at a time for a table and a slot
\set VERBOSITY terse
DO $$ BEGIN
  PERFORM walspout.backfill('"Asked"', 'asked');
EXCEPTION WHEN object_in_use THEN
  RAISE '%', regexp_replace(sqlerrm, '\d[0-9:+-]*', '...', 'g');
END $$;
SELECT walspout.backfill('"Asked"', 'asked_second', 'status = ''open''', 100) AS second \gset
SELECT slot, condition, rate, state FROM walspout.backfills ORDER BY id;
-- pause, resume, cancel
DO $$ BEGIN
  PERFORM walspout.backfill_resume(min(id)) FROM walspout.backfills;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RAISE '%', regexp_replace(sqlerrm, '\d+', '...', 'g');
END $$;
SELECT walspout.backfill_pause(:first);
SELECT walspout.backfill_pause(:second);
SELECT walspout.backfill_resume(:second);
SELECT slot, state, finished FROM walspout.backfills ORDER BY id;
SELECT walspout.backfill_cancel(:first);
SELECT slot, state, finished IS NOT NULL FROM walspout.backfills ORDER BY id;
DO $$ BEGIN
  PERFORM walspout.backfill_cancel(min(id)) FROM walspout.backfills;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RAISE '%', regexp_replace(sqlerrm, '\d+', '...', 'g');
END $$;
\set VERBOSITY default
SELECT walspout.backfill_cancel(-1);
SELECT walspout.backfill_pause(NULL);
-- a canceled one makes room
SELECT walspout.backfill('"Asked"', 'asked') > :first;
-- what is refused
SELECT walspout.backfill(NULL, 'asked');
SELECT walspout.backfill('asked_view', 'asked');
SELECT walspout.backfill('asked_keyless', 'asked');
SELECT walspout.backfill('asked_deferrable', 'asked');
ALTER TABLE asked_deferrable REPLICA IDENTITY FULL;
SELECT walspout.backfill('asked_deferrable', 'asked');
SELECT walspout.backfill('walspout.backfills', 'asked');
SELECT walspout.backfill('"Asked"', 'asked', 'state = 1');
SELECT walspout.backfill('"Asked"', 'asked', rate => 0);
-- a partitioned table, whatever it is published as
CREATE TABLE asked_tree (id int PRIMARY KEY) PARTITION BY LIST (id);
SELECT walspout.backfill('asked_tree', 'asked') > 0;
-- privileges
CREATE ROLE walspout_asks;
GRANT USAGE ON SCHEMA walspout TO walspout_asks;
SET ROLE walspout_asks;
SELECT walspout.backfill('"Asked"', 'asked');
SELECT walspout.backfill_cancel(:second);
SELECT count(*) FROM walspout.backfills;
RESET ROLE;
GRANT EXECUTE ON FUNCTION walspout.backfill, walspout.backfill_cancel TO walspout_asks;
GRANT SELECT, INSERT, UPDATE ON walspout.backfills TO walspout_asks;
SET ROLE walspout_asks;
SELECT walspout.backfill('"Asked"', 'asked_second');
SELECT walspout.backfill_cancel(:second);
RESET ROLE;
GRANT SELECT ON "Asked" TO walspout_asks;
SET ROLE walspout_asks;
SELECT walspout.backfill('"Asked"', 'asked_second') > :second;
RESET ROLE;
GRANT pg_monitor TO walspout_asks;
REVOKE ALL ON walspout.backfills FROM walspout_asks;
SET ROLE walspout_asks;
SELECT slot, "table", state, rows FROM walspout.backfills ORDER BY id;
\set VERBOSITY sqlstate
SELECT cursor FROM walspout.backfills;
SELECT condition FROM walspout.backfills;
\set VERBOSITY default
RESET ROLE;
DROP OWNED BY walspout_asks;
DROP ROLE walspout_asks;
DELETE FROM walspout.backfills;
CALL h.drop('asked', 'asked_other', 'asked_second');
DROP VIEW asked_view;
DROP TABLE "Asked", asked_keyless, asked_deferrable, asked_tree;
