-- A cast that catches its own error: a subtransaction, which servers before 17
-- refuse in parallel mode. There the value is elided, as after any other error.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('catch');
CREATE TYPE catches AS RANGE (subtype = int4);
CREATE FUNCTION to_json(catches) RETURNS json LANGUAGE plpgsql AS
  'BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN RETURN pg_catalog.to_json(pg_catalog.lower($1)); END';
CREATE CAST (catches AS json) WITH FUNCTION to_json(catches);
CREATE TABLE caught (id int PRIMARY KEY, v catches, vs catches[], w text);
INSERT INTO caught VALUES (0, NULL, NULL, 'a'), (1, '[0,2)', '{}', 'b'), (2, NULL, '{NULL,"[0,2)"}', 'c');
SELECT h.changes('catch', 'user_casts', 'true');
CALL h.drop('catch');
DROP TABLE caught;
DROP CAST (catches AS json);
DROP FUNCTION to_json(catches);
DROP TYPE catches;
