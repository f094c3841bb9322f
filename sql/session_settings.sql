-- The bytes do not depend on the session's settings, and the session gets its
-- settings back, whether or not an output function raised.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('settings');
CREATE SCHEMA other;
SET check_function_bodies = off;
CREATE TYPE stamps AS RANGE (subtype = timestamptz);
CREATE FUNCTION stamps_json(stamps) RETURNS json LANGUAGE sql STABLE AS
  $$ SELECT json_build_object('from', lower($1)::text, 'length', (upper($1) - lower($1))::text, 'bytes', E'\\x00ff'::bytea::text,
                              'number', (0.1::float8 + 0.2)::text) $$;
CREATE CAST (stamps AS json) WITH FUNCTION stamps_json(stamps);
CREATE TYPE broken AS RANGE (subtype = int4);
CREATE FUNCTION broken_json(broken) RETURNS json LANGUAGE plpgsql IMMUTABLE AS
  $$ BEGIN RETURN to_json(1 / (lower($1) - 1)); END $$;
CREATE CAST (broken AS json) WITH FUNCTION broken_json(broken);
CREATE TABLE settings (id int PRIMARY KEY, d date, t time, tz timetz, ts timestamp, tsz timestamptz, iv interval,
  f4 float4, f8 float8, m money, b bytea, x xml, n numeric, rc regclass, rcs regclass[], rt regtype, rp regprocedure,
  tr tstzrange, drs daterange[], p point, st stamps, sts stamps[], br broken, j jsonb, ac aclitem);
INSERT INTO settings
SELECT g, '2024-02-29', '12:00:00.5', '12:00+05:30', '2024-02-29 12:00:00.25', '2024-02-29 12:00:00.25+03', '-1 year 3 days -04:05:06.5',
       0.1, 0.1::float8 + 0.2, -1234.5, '\x00ff41', '<a/>', 1.50, 'settings', '{settings,pg_class}', 'stamps', 'stamps_json(stamps)',
       '[2024-02-29 12:00+03,)', '{"[2024-02-29,2024-03-01)"}', '(0.1,0.30000000000000004)', '[2024-02-29 12:00+03,2024-03-01 13:00+03)',
       '{"[2024-02-29 12:00+03,2024-03-01 13:00+03)"}', format('[%s,9)', g)::broken, '[1.5]', 'pg_monitor=r/pg_monitor'
  FROM generate_series(1, 2) g;

-- what the specification says; the cast raises in row 1
CALL h.read('settings', 'user_casts', 'true');
CREATE TEMP TABLE reference AS SELECT * FROM doc;
SELECT data::json -> 'elided' FROM reference;
UPDATE settings SET br = NULL;
CALL h.read('settings', 'user_casts', 'true');
SELECT h.compare_after('settings');

-- everything else
CREATE TEMP TABLE got (n bigint, data text);
CREATE TEMP TABLE odd (setup text);
INSERT INTO odd VALUES
  ('SET DateStyle = ''German, DMY'''), ('SET DateStyle = ''SQL, DMY'''), ('SET DateStyle = ''Postgres, MDY'''),
  ('SET IntervalStyle = iso_8601'), ('SET IntervalStyle = sql_standard'), ('SET IntervalStyle = postgres_verbose'),
  ('SET TimeZone = ''Asia/Kathmandu'''), ('SET TimeZone = ''America/St_Johns'''),
  ('SET bytea_output = escape'), ('SET extra_float_digits = -15'), ('SET extra_float_digits = 0'), ('SET extra_float_digits = 3'),
  ('SET quote_all_identifiers = on'), ('SET search_path = other'), ('SET search_path = '''''), ('SET search_path = pg_catalog, public, other'),
  ('SET xmlbinary = hex'), ('SET xmloption = document'),
  ('SET backslash_quote = on'), ('SET array_nulls = off'), ('SET lc_numeric = ''C'''), ('SET row_security = off'),
  ('SET default_transaction_read_only = on'), ('SET check_function_bodies = off'), ('SET work_mem = 64'),
  ('SET jit = on'), ('SET plan_cache_mode = force_generic_plan'), ('SET default_text_search_config = simple');
DO $$
DECLARE
  o record;
  differ int;
  before text;
  after text;
BEGIN
  FOR o IN SELECT setup FROM odd LOOP
    EXECUTE o.setup;
    SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) INTO before FROM pg_settings WHERE context = 'user';
    DELETE FROM pg_temp.got;
    INSERT INTO pg_temp.got
      SELECT ordinality AS n, data FROM pg_logical_slot_peek_changes('settings', NULL, NULL, 'omit', 'id,ts,xid', 'user_casts', 'true') WITH ORDINALITY;
    SELECT count(*) INTO differ FROM pg_temp.reference r FULL JOIN pg_temp.got g USING (n)
     WHERE r.data IS DISTINCT FROM g.data AND n <= 2;
    IF differ > 0 THEN
      RAISE NOTICE '%: % documents differ', o.setup, differ;
    END IF;
    SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) INTO after FROM pg_settings WHERE context = 'user';
    IF before <> after THEN
      RAISE NOTICE '%: settings became %', o.setup, after;
    END IF;
    -- what the settings do, not only what they say
    IF o.setup LIKE '%German%' AND date '2024-02-29'::text <> '29.02.2024' THEN
      RAISE NOTICE 'DateStyle is lost: %', date '2024-02-29';
    ELSIF o.setup LIKE '%iso_8601%' AND interval '1 day'::text <> 'P1D' THEN
      RAISE NOTICE 'IntervalStyle is lost: %', interval '1 day';
    ELSIF o.setup LIKE '%Kathmandu%' AND extract(timezone FROM timestamptz '2024-02-29') <> 20700 THEN
      RAISE NOTICE 'TimeZone is lost: %', timestamptz '2024-02-29';
    ELSIF o.setup LIKE '%escape' AND '\x41'::bytea::text <> 'A' THEN
      RAISE NOTICE 'bytea_output is lost: %', '\x41'::bytea;
    ELSIF o.setup LIKE '%-15' AND (1 / 3.0::float8)::text <> '0.3' THEN
      RAISE NOTICE 'extra_float_digits is lost: %', 1 / 3.0::float8;
    END IF;
    EXECUTE regexp_replace(o.setup, '^SET (\S+) = .*', 'RESET \1');
  END LOOP;
END
$$;
RESET ALL;


-- names are printed for the search path "public", whatever else is in sight
CALL h.skip('settings');
UPDATE settings SET rc = 'settings', rcs = '{settings,pg_class}', rt = 'stamps';
CREATE TEMP TABLE settings ();
CREATE TYPE pg_temp.stamps AS ();
SELECT data::json #>> '{after,rc}', data::json #>> '{after,rcs}', data::json #>> '{after,rt}' FROM h.changes('settings', 'user_casts', 'true');
DROP TABLE pg_temp.settings;
DROP TYPE pg_temp.stamps;

-- code of users cannot set anything, and nothing is left of its attempts
CREATE TYPE sets AS RANGE (subtype = int4);
CREATE FUNCTION sets_json(sets) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config(name, value, lower($1) = 1)
     FROM (VALUES ('bytea_output', 'hex'), ('extra_float_digits', '2'), ('intervalstyle', 'iso_8601'), ('datestyle', 'German'),
                  ('timezone', 'Asia/Kathmandu'), ('statement_timeout', '1h'), ('lock_timeout', '1h'), ('work_mem', '64kB'),
                  ('search_path', 'pg_catalog'), ('walspout.made_up', 'x')) v(name, value);
  RETURN to_json(1 / (lower($1) - 3));
END
$$;
CREATE CAST (sets AS json) WITH FUNCTION sets_json(sets);
CREATE TABLE setting (id serial, s sets, d date DEFAULT '2024-02-29', f float8 DEFAULT 0.1, b bytea DEFAULT '\x41', i interval DEFAULT '1 day');
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = sql_standard;
SET bytea_output = escape;
SET extra_float_digits = -15;
SET TimeZone = 'America/St_Johns';
CALL h.skip('settings');
-- for the transaction, for the session, and before it raises
INSERT INTO setting (s) VALUES (NULL), ('[1,9)'), ('[2,9)'), ('[3,9)'), (NULL);
SELECT h.changes('settings', 'user_casts', 'true');
SELECT name, setting FROM pg_settings WHERE name IN ('bytea_output', 'extra_float_digits', 'IntervalStyle', 'DateStyle', 'TimeZone',
  'statement_timeout', 'lock_timeout', 'work_mem', 'search_path') ORDER BY name;
SELECT current_setting('walspout.made_up', true) IN ('', NULL) IS NOT FALSE AS not_made_up;
SELECT date '2024-02-29', interval '1 day', '\x41'::bytea, 1 / 3.0::float8, timestamptz '2024-02-29 00:00+00';
-- and a function that has settings of its own
CREATE FUNCTION german() RETURNS text LANGUAGE plpgsql SET DateStyle = 'German' SET IntervalStyle = iso_8601 AS
  $$ BEGIN RETURN date '2024-02-29'::text || ' ' || interval '1 day'::text; END $$;
CREATE OR REPLACE FUNCTION sets_json(sets) RETURNS json LANGUAGE sql AS
  $$ SELECT json_build_array(date '2024-02-29'::text, public.german(), date '2024-02-29'::text, interval '1 day'::text) $$;
CALL h.skip('settings');
INSERT INTO setting (s) VALUES ('[1,9)'), ('[2,9)');
SELECT h.changes('settings', 'user_casts', 'true');
SHOW DateStyle;
SHOW IntervalStyle;
RESET ALL;
CALL h.drop('settings');
DROP TABLE settings, setting;
DROP CAST (stamps AS json);
DROP CAST (broken AS json);
DROP CAST (sets AS json);
DROP FUNCTION stamps_json, broken_json, sets_json, german;
DROP TYPE stamps, broken, sets;
DROP SCHEMA other;
