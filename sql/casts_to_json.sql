-- Types that have a cast to json are rendered by it, wherever row_to_json()
-- does so: base types, ranges, enums and domains over them, but no arrays,
-- composites and built-in types. Casts in SQL are called only if the option
-- user_casts says so; without it such a value is its text.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
\if :since_14
\else
\quit
\endif
SET client_min_messages = warning;
CREATE EXTENSION hstore;
RESET client_min_messages;
CALL h.slot('casts');
CREATE TYPE hue AS ENUM ('red', 'green');
CREATE FUNCTION hue_json(hue) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT json_build_object('hue', upper($1::text)) $$;
CREATE CAST (hue AS json) WITH FUNCTION hue_json(hue);
CREATE DOMAIN hue_domain AS hue;
CREATE TYPE span AS RANGE (subtype = int4);
CREATE FUNCTION span_json(span) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT json_build_array(lower($1), upper($1)) $$;
CREATE CAST (span AS json) WITH FUNCTION span_json(span) AS ASSIGNMENT;
CREATE FUNCTION spans_json(span_multirange) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT '"spans"'::json $$;
CREATE CAST (span_multirange AS json) WITH FUNCTION spans_json(span_multirange) AS IMPLICIT;
CREATE TYPE couple AS (a hue, b span);
CREATE FUNCTION couple_json(couple) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT '"couple"'::json $$;
CREATE CAST (couple AS json) WITH FUNCTION couple_json(couple);
CREATE FUNCTION hues_json(hue[]) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT '"hues"'::json $$;
CREATE CAST (hue[] AS json) WITH FUNCTION hues_json(hue[]);
CREATE FUNCTION point_json(point) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT '"point"'::json $$;
CREATE CAST (point AS json) WITH FUNCTION point_json(point);
CREATE TYPE by_io AS RANGE (subtype = float8);
CREATE CAST (by_io AS json) WITH INOUT;
CREATE TABLE casts (id int PRIMARY KEY, h hue, hs hue[], hd hue_domain, s span, ss span[], m span_multirange, c couple, cs couple[],
  p point, io by_io, hst hstore, hsts hstore[], hr hue, j jsonb);
INSERT INTO casts VALUES (1, 'red', '{red,NULL}', 'green', '[1,5)', '{"[1,5)",NULL}', '{[1,2)}', ROW('red', '[1,2)'), ARRAY[ROW('red', NULL)]::couple[],
  '(1,2)', 'empty', 'a=>1, b=>NULL', ARRAY['x=>y']::hstore[], NULL, '{}');
SELECT h.compare('casts', 'casts', 'user_casts', 'true');
SELECT h.compare_rows('casts', 'user_casts', 'true');
SELECT data FROM doc;
SELECT h.changes('casts');
CALL h.read('casts');
SELECT h.compare_rows('casts');
SELECT h.changes('casts', 'user_casts', 'off') = h.changes('casts');
CALL h.drop('casts');
DROP TABLE casts;
DROP TYPE couple, hue_domain, hue, span, by_io CASCADE;
DROP CAST (point AS json);
DROP FUNCTION point_json;
DROP EXTENSION hstore;
