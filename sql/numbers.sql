-- numbers: as strings, all of them or those that a reader of doubles may lose.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE DOMAIN percent AS numeric(5, 2);
CREATE TYPE pair AS (i int8, n numeric);
CREATE TABLE counted (id int8 PRIMARY KEY, i2 int2, i4 int4, f4 float4, f8 float8, n numeric, d percent, o oid, m money,
  i8s int8[], ns numeric[], f8s float8[], p pair, ps pair[], r int8range, j json, jb jsonb, b bool);
ALTER TABLE counted REPLICA IDENTITY FULL;
CALL h.slot('counted');
CREATE FUNCTION pg_temp.after(form text) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT json_strip_nulls(data::json -> 'after')::text FROM h.changes('counted', 'numbers', form)
$$;
INSERT INTO counted (id, i2, i4, f4, f8, n, d, o, m, b) VALUES
  (1, -1, 2147483647, 0.1, 1e300, 1.50, 99.95, 4294967295, 12.5, true),
  (9007199254740991, 0, 0, 'NaN', '-Infinity', 'NaN', 0, 1, 0, false),
  (9007199254740992, NULL, NULL, -0.0, 9007199254740993, 1e20, NULL, NULL, NULL, NULL),
  (-9007199254740991, NULL, NULL, NULL, 5e-324, 0, NULL, NULL, NULL, NULL), (-9007199254740992, NULL, NULL, NULL, NULL, -1, NULL, NULL, NULL, NULL),
  (9223372036854775807, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (-9223372036854775808, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO counted (id, i8s, ns, f8s, p, ps, r) VALUES
  (2, '{1,NULL,9007199254740992}', '{{1,2.50},{NaN,NULL}}', '{0.1,NaN}', (1, 2), ARRAY[(9007199254740992, 1), NULL, (NULL, NULL)]::pair[], '[1,9007199254740993)');
SELECT pg_temp.after('json');
SELECT pg_temp.after('string');
SELECT pg_temp.after('safe');
CALL h.read('counted', 'numbers', 'safe');
SELECT h.compare_rows('counted', 'numbers', 'safe');
CALL h.skip('counted');

-- documents of the application: what a double may lose becomes a string, whatever else is asked for
INSERT INTO counted (id, j, jb) SELECT 3, t::json, t::jsonb FROM (SELECT '[0, -0, 1, -1.5, 9007199254740991, 9007199254740992, -9007199254740992, 123456789012345678901234567890]' t) x;
INSERT INTO counted (id, j, jb) SELECT 4, t::json, t::jsonb FROM (SELECT '{"a":0.123456789012345,"b":0.1234567890123456,"c":1e20,"d":1.10,"e":10000000000000000.5, "n":"12345678901234567890", "12345678901234567890" : "\"12345678901234567890" }' t) x;
INSERT INTO counted (id, j, jb) SELECT 5, t::json, t::jsonb FROM (SELECT '12345678901234567890' t) x;
INSERT INTO counted (id, j) VALUES (6, '[1e290,1e-280,1e300,-1E+400,1e-400,0e999999999999,1.5e3,0.00001]'), (7, E'{"a":\n 12345678901234567890 ,\r\n "b":[9007199254740993 ]}');
SELECT pg_temp.after('json');
SELECT pg_temp.after('string');
SELECT pg_temp.after('safe');
CALL h.skip('counted');
SELECT count(pg_logical_emit_message(true, 'p', c)) FROM unnest(ARRAY['12345678901234567890', '{"id": 9007199254740993, "n": 1}', '12345678901234567890 ', '9007199254740993 bottles']) c;
SELECT h.changes('counted', 'numbers', 'safe');
SELECT h.changes('counted', 'numbers', 'string');
CALL h.skip('counted');

-- key, before and after; the envelope's own numbers stay as they are
UPDATE counted SET i4 = 5 WHERE id = 9223372036854775807;
UPDATE counted SET id = 8 WHERE id = 9223372036854775807;
DELETE FROM counted WHERE id IN (8, -9223372036854775808);
SELECT regexp_replace(h.changes('counted', 'numbers', 'safe'), ',"[a-z0-9]+":null', '', 'g');
SELECT regexp_replace(h.changes('counted', 'numbers', 'string'), ',"[a-z0-9]+":null', '', 'g');
SELECT DISTINCT json_typeof(data::json -> 'xid') FROM h.changes('counted', 'numbers', 'string', 'omit', 'ts') data;
SELECT count(*), bool_and(document IN (SELECT h.changes('counted', 'numbers', 'safe'))) FROM h.frames('counted', 'numbers', 'safe') WHERE kind IN ('u', 'd');
SELECT DISTINCT key FROM h.frames('counted', 'numbers', 'string') WHERE kind = 'u';
SELECT count(*) FROM h.changes('counted', 'numbers', 'json') FULL JOIN h.changes('counted') b USING (data) WHERE data IS NULL;

-- with the limits, TOASTed, and too deep
CALL h.skip('counted');
INSERT INTO counted (id, n, ns, j, jb) SELECT 20, 1e131071, array_agg(1e131071), json_agg(9007199254740993), jsonb_agg(9007199254740993) FROM generate_series(1, 2000) n;
SELECT length(data::json #>> '{after,n}'), json_typeof(data::json #> '{after,j,1999}'), json_typeof(data::json #> '{after,jb,1999}'), data::json -> 'elided' FROM h.changes('counted', 'numbers', 'safe', 'max_value_bytes', '140000') data;
SELECT left(data::json #>> '{after,j}', 42), left(data::json #>> '{after,jb}', 42) FROM h.changes('counted', 'numbers', 'safe', 'max_depth', '2') data;
SELECT h.changes('counted', 'numbers', 'some');
CALL h.drop('counted');
DROP TABLE counted;
DROP TYPE pair;
DROP DOMAIN percent;
