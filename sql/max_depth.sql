-- max_depth: how many levels a document nests, its own two included. Deeper
-- values become strings that hold what would stand there.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TYPE inner_row AS (j json, jb jsonb);
CREATE TYPE outer_row AS (i inner_row, a int[]);
CREATE TABLE deep (id int PRIMARY KEY, j json, jb jsonb, js json[], jbs jsonb[], c outer_row, cs outer_row[], a int[]);
CALL h.slot('deep');
-- Levels of a document, as a parser counts them.
CREATE FUNCTION pg_temp.levels(document text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  c text;
  depth int := 0;
  deepest int := 0;
BEGIN
  FOREACH c IN ARRAY regexp_split_to_array(regexp_replace(document, '"(\\.|[^"\\])*"', '', 'g'), '') LOOP
    depth := depth + CASE WHEN c IN ('[', '{') THEN 1 WHEN c IN (']', '}') THEN -1 ELSE 0 END;
    deepest := greatest(deepest, depth);
  END LOOP;
  RETURN deepest;
END
$$;
CREATE FUNCTION pg_temp.nest(levels int) RETURNS text LANGUAGE sql AS $$ SELECT repeat('[', levels) || repeat(']', levels) $$;

-- json and jsonb at each depth, alone and in arrays and composites
INSERT INTO deep (id, j) SELECT n, pg_temp.nest(n)::json FROM generate_series(1, 4) n;
INSERT INTO deep (id, jb) SELECT n + 10, pg_temp.nest(n)::jsonb FROM generate_series(1, 4) n;
INSERT INTO deep (id, js, jbs) SELECT n + 20, ARRAY[pg_temp.nest(n), '1', '"s"']::json[], ARRAY[pg_temp.nest(n), '1', '"s"']::jsonb[] FROM generate_series(0, 3) n WHERE n > 0;
INSERT INTO deep (id, c) SELECT n + 30, ROW(ROW(pg_temp.nest(n), pg_temp.nest(n)), '{1}')::outer_row FROM generate_series(1, 2) n;
INSERT INTO deep (id, cs) SELECT n + 40, ARRAY[ROW(ROW(pg_temp.nest(n), '{}'), NULL)]::outer_row[] FROM generate_series(1, 2) n;
INSERT INTO deep (id, a) VALUES (51, '{}'), (52, '{1}'), (53, '{{1}}'), (54, '{{{1}}}');
INSERT INTO deep (id, j, jb) VALUES (61, '{"a" : [ {"b\"": "é]\\" } ]}', '{"a": [{"b\"": "é]\\"}]}'), (62, '"[[[[[["', '"[[[[[["'), (63, E'[[[\t\n]]]', '1');
SELECT j -> 'after' ->> 'id' AS id, pg_temp.levels(d.data) AS levels, json_strip_nulls(j -> 'after')::text AS after
  FROM (SELECT data, data::json j FROM h.changes('deep', 'max_depth', '5')) d;
-- any depth is kept to, and what a string holds is what would stand there
SELECT n, max(pg_temp.levels(data)), bool_and(CASE WHEN data::json #>> '{after,id}' < '4' OR data::json #>> '{after,id}' = '4' THEN data::json #>> '{after,j}' = pg_temp.nest((data::json #>> '{after,id}')::int) END) AS held
  FROM generate_series(2, 9) n, LATERAL h.changes('deep', 'max_depth', n::text) data GROUP BY n ORDER BY n;
SELECT count(*) FROM h.changes('deep', 'max_depth', '0') FULL JOIN h.changes('deep', 'max_depth', '2147483647') b USING (data) FULL JOIN h.changes('deep') c USING (data) WHERE data IS NULL;
SELECT h.compare('deep', 'deep', 'max_depth', '0');
SELECT h.compare_rows('deep', 'max_depth', '0');

-- the default, and depths that no parser likes
CALL h.skip('deep');
DELETE FROM deep;
CALL h.skip('deep');
INSERT INTO deep (id, j, jb) SELECT n, pg_temp.nest(n)::json, pg_temp.nest(n)::jsonb FROM unnest('{62,63,100,10000}'::int[]) n;
INSERT INTO deep (id, j, jb) SELECT n + 1000, o, o::jsonb
  FROM unnest('{62,64,100}'::int[]) n, LATERAL (SELECT (repeat('{"a":["b",', n / 2) || '"[[["' || repeat(']}', n / 2))::json o) x;
-- long, and flat
INSERT INTO deep (id, j, jb) SELECT 1, json_agg(json_build_array(n)), jsonb_agg(jsonb_build_array(n)) FROM generate_series(1, 1000) n;
INSERT INTO deep (id, j) SELECT 2, json_agg(repeat('[', 100)) FROM generate_series(1, 10) n;
SELECT j -> 'after' ->> 'id' AS id, json_typeof(j #> '{after,j}') AS j, json_typeof(j #> '{after,jb}') AS jb, pg_temp.levels(data) <= 64 AS kept
  FROM (SELECT data, data::json j FROM h.changes('deep')) d;
SELECT id, c.j #>> '{after,j}' = d.j::text AS json, c.j #>> '{after,jb}' = d.jb::text AS jsonb
  FROM (SELECT data::json j FROM h.changes('deep')) c JOIN deep d ON id::text = c.j #>> '{after,id}' WHERE json_typeof(c.j #> '{after,j}') = 'string' ORDER BY id;
SELECT h.compare('deep', 'deep', 'max_depth', '0');
SELECT h.compare_rows('deep', 'max_depth', '0');
-- with a limit of size, and in frames
SELECT data::json -> 'elided' FROM h.changes('deep', 'max_value_bytes', '10000') WHERE data LIKE '%elided%';
SELECT count(*) FROM h.frames('deep') f WHERE kind = 'c' AND document IN (SELECT h.changes('deep'));

-- messages have one level of the document's around them
CALL h.skip('deep');
SELECT count(pg_logical_emit_message(true, n::text, pg_temp.nest(n))) FROM unnest('{62,63,64,9999,10000,10001}'::int[]) n;
SELECT j ->> 'prefix' AS levels, json_typeof(j -> 'content') FROM (SELECT data::json j FROM h.changes('deep')) d;
SELECT j ->> 'prefix' AS levels, json_typeof(j -> 'content') FROM (SELECT data::json j FROM h.changes('deep', 'max_depth', '0')) d;
SELECT j ->> 'prefix' AS levels, json_typeof(j -> 'content') FROM (SELECT data::json j FROM h.changes('deep', 'max_depth', '10000')) d;

-- values of the option
SELECT h.changes('deep', 'max_depth', '1');
SELECT h.changes('deep', 'max_depth', '-1');
SELECT h.changes('deep', 'max_depth', 'deep');
SELECT h.changes('deep', 'max_depth', '64kB');
SELECT h.changes('deep', 'max_depth', '2147483648');
CALL h.drop('deep');
DROP TABLE deep;
DROP TYPE outer_row, inner_row;
