-- Code of users that renders values may do whatever it likes: the row goes out
-- without the value and names it in "elided", and the slot moves on.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('raise');
CREATE TABLE other_table (a int);
INSERT INTO other_table VALUES (1);
CALL h.skip('raise');

SET check_function_bodies = off;
-- types with a cast to json each; ranges, because anyone may create them
CREATE TYPE divides AS RANGE (subtype = int4);
CREATE FUNCTION to_json(divides) RETURNS json LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.to_json(1 / lower($1))';
CREATE TYPE raises AS RANGE (subtype = int4);
CREATE FUNCTION to_json(raises) RETURNS json LANGUAGE plpgsql AS 'BEGIN RAISE ''no %'', $1; END';
CREATE TYPE reads AS RANGE (subtype = int4);
CREATE FUNCTION to_json(reads) RETURNS json LANGUAGE sql AS 'SELECT pg_catalog.to_json(a) FROM public.other_table';
CREATE TYPE writes AS RANGE (subtype = int4);
CREATE FUNCTION to_json(writes) RETURNS json LANGUAGE sql AS 'INSERT INTO public.other_table VALUES (2) RETURNING pg_catalog.to_json(a)';
CREATE TYPE recurses AS RANGE (subtype = int4);
CREATE FUNCTION forever(int) RETURNS json LANGUAGE plpgsql AS 'BEGIN RETURN public.forever($1 + 1); END';
CREATE FUNCTION to_json(recurses) RETURNS json LANGUAGE sql AS 'SELECT public.forever(1)';
CREATE TYPE bad_json AS RANGE (subtype = int4);
CREATE FUNCTION to_json(bad_json) RETURNS json LANGUAGE sql AS $$ SELECT '{'::json $$;
CREATE TYPE gives_null AS RANGE (subtype = int4);
CREATE FUNCTION to_json(gives_null) RETURNS json LANGUAGE sql AS 'SELECT NULL::json';
CREATE TYPE sets AS RANGE (subtype = int4);
CREATE FUNCTION to_json(sets) RETURNS json LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_catalog.set_config(''datestyle'', ''German'', false); PERFORM 1 / 0; END';
CREATE TYPE works AS RANGE (subtype = int4);
CREATE FUNCTION to_json(works) RETURNS json LANGUAGE sql AS $$ SELECT json_build_array(lower($1), E'\n') $$;
CREATE TYPE ddl AS RANGE (subtype = int4);
CREATE FUNCTION to_json(ddl) RETURNS json LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE nonsense (); RETURN NULL; END';
SELECT format('CREATE CAST (%I AS json) WITH FUNCTION to_json(%1$I)', t)
  FROM unnest('{divides,raises,reads,writes,recurses,bad_json,gives_null,sets,works,ddl}'::text[]) t \gexec
SELECT format('CREATE TABLE t_%s (id int PRIMARY KEY, v %1$I, vs %1$I[], w text)', t)
  FROM unnest('{divides,raises,reads,writes,recurses,bad_json,gives_null,sets,works,ddl}'::text[]) t \gexec
SELECT format('INSERT INTO t_%s VALUES (0, NULL, NULL, ''a''), (1, ''[0,2)'', ''{}'', ''b''), (2, NULL, ''{NULL,"[0,2)"}'', ''c'')', t)
  FROM unnest('{divides,raises,reads,writes,recurses,bad_json,gives_null,sets,works,ddl}'::text[]) t \gexec

SHOW datestyle;
SELECT h.changes('raise', 'user_casts', 'true');
-- nothing is left of what they did
SHOW datestyle;
SELECT * FROM other_table;
SELECT current_setting('bytea_output'), current_setting('search_path'), pg_current_xact_id_if_assigned();
-- and once more, now that it has been decoded
SELECT count(*) FROM h.changes('raise', 'user_casts', 'true');

-- whatever the error says that it is
CALL h.skip('raise');
CREATE FUNCTION fails(code text) RETURNS json LANGUAGE plpgsql AS 'BEGIN RAISE ''no'' USING ERRCODE = code; END';
SELECT format('CREATE TYPE fails_%s AS RANGE (subtype = int4)', c),
       format('CREATE FUNCTION to_json(fails_%s) RETURNS json LANGUAGE sql AS $$ SELECT public.fails(%L) $$', c, c),
       format('CREATE CAST (fails_%s AS json) WITH FUNCTION to_json(fails_%1$s)', c),
       format('CREATE TABLE tf_%s (v fails_%1$s)', c), format('INSERT INTO tf_%s VALUES (''[1,2)'')', c)
  FROM unnest('{53100,53200,53400,57014,57P01,57P02,58030,58P01,40001,40P01,55P03,25006,XX000,XX001,P0004,72000}'::text[]) c
\set ECHO none
\gexec
\set ECHO all
SELECT h.changes('raise', 'user_casts', 'true');

-- in the middle of a transaction of others, and as a part of the key
CALL h.skip('raise');
CREATE TABLE keyed (k divides PRIMARY KEY, v int);
BEGIN;
INSERT INTO other_table VALUES (3);
INSERT INTO keyed VALUES ('[0,5)', 1), ('[1,5)', 2);
INSERT INTO other_table VALUES (4);
UPDATE keyed SET v = 3;
UPDATE keyed SET k = '[2,5)' WHERE v = 3 AND k = '[1,5)';
DELETE FROM keyed;
INSERT INTO other_table VALUES (5);
COMMIT;
SELECT h.changes('raise', 'user_casts', 'true');

-- a cast that comes and goes in mid-stream
CALL h.skip('raise');
DROP CAST (divides AS json);
INSERT INTO t_divides VALUES (3, '[0,2)', NULL, 'without the cast');
CREATE CAST (divides AS json) WITH FUNCTION to_json(divides);
INSERT INTO t_divides VALUES (4, '[0,2)', NULL, 'it raises');
CREATE OR REPLACE FUNCTION to_json(divides) RETURNS json LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.to_json(lower($1))';
INSERT INTO t_divides VALUES (5, '[0,2)', NULL, 'it works');
SELECT h.changes('raise', 'user_casts', 'true');

-- the function is gone in the end: only what comes after that is concerned
DROP CAST (divides AS json);
DROP FUNCTION to_json(divides);
SELECT h.changes('raise', 'user_casts', 'true');

CALL h.drop('raise');
DROP TABLE t_divides, t_raises, t_reads, t_writes, t_recurses, t_bad_json, t_gives_null, t_sets, t_works, t_ddl,
  other_table, keyed;
SELECT format('DROP CAST (%I AS json)', t), format('DROP FUNCTION to_json(%I)', t), format('DROP TYPE %I', t)
  FROM unnest('{raises,reads,writes,recurses,bad_json,gives_null,sets,works,ddl}'::text[]) t \gexec
DROP TYPE divides;
SET client_min_messages = warning;
\set ECHO none
SELECT format('DROP TABLE %I', relname), format('DROP TYPE %I CASCADE', replace(relname, 'tf_', 'fails_')) FROM pg_class WHERE relname LIKE 'tf\_%' \gexec
\set ECHO all
DROP FUNCTION forever, fails;
