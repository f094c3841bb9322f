-- Arrays, composites, domains, enums and types of extensions are what
-- row_to_json() makes of them.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
SET client_min_messages = warning;
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE EXTENSION cube;
CREATE EXTENSION isn;
CREATE EXTENSION intarray;
CREATE EXTENSION seg;
RESET client_min_messages;
CALL h.slot('user_types');

CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'back\slash', '', 'né', E'line\nbreak');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN small AS positive CHECK (value < 1000);
CREATE DOMAIN ints AS int[];
CREATE DOMAIN moods AS mood[];
CREATE TYPE pair AS (a int, "b ""q""" text);
CREATE DOMAIN pair_domain AS pair;
CREATE TYPE nest AS (p pair, ps pair[], d small, m mood, f float8, e pair_domain, j json, t timestamptz, n numeric, bs bytea);
CREATE TYPE empty_type AS ();
CREATE TYPE floats AS RANGE (subtype = float8);
CREATE TYPE mood_range AS RANGE (subtype = mood);
CREATE DOMAIN json_domain AS json;
CREATE DOMAIN stamp AS timestamptz;
CREATE TABLE parent (id int, name text);

\if :since_14
\else
CREATE DOMAIN floats_multirange AS text;
\endif
CREATE TABLE user_types (id serial PRIMARY KEY,
  m mood, ms mood[], p small, ps small[], i ints, "is" ints[], mm moods,
  c pair, cs pair[], cd pair_domain, cds pair_domain[], n nest, ns nest[], e empty_type, es empty_type[],
  f floats, fs floats[], fm floats_multirange, mr mood_range, jd json_domain, jds json_domain[],
  st stamp, sts stamp[], par parent, pars parent[],
  h hstore, hs hstore[], ci citext, cis citext[], l ltree, ls ltree[], q lquery, cu cube, isb isbn13, isbs isbn[], s seg);
INSERT INTO user_types (m) SELECT unnest(enum_range(NULL::mood));
INSERT INTO user_types (ms, mm) VALUES (enum_range(NULL::mood) || NULL::mood, enum_range(NULL::mood)), ('{}', '{}'), ('{{sad,NULL}}', '{{sad}}');
INSERT INTO user_types (p, ps) VALUES (1, '{1,NULL,999}');
INSERT INTO user_types (i) VALUES ('{}'), ('{1,2}'), ('{{1,NULL},{3,4}}'), ('[5:6]={1,2}'), ('[-1:0][2:3]={{1,2},{3,4}}'), ('{{{{{{1}}}}}}');
INSERT INTO user_types ("is") VALUES (ARRAY['{1,2}', '{}', NULL, '{{3}}']::ints[]);
INSERT INTO user_types (c, cs, cd, cds) VALUES (ROW(1, 'x'), ARRAY[ROW(1, 'x'), NULL, ROW(NULL, NULL)]::pair[], ROW(2, '"'), ARRAY[ROW(3, '')]::pair_domain[]),
  (ROW(NULL, NULL), '{}', ROW(NULL, NULL), '{}');
INSERT INTO user_types (n, ns)
SELECT n, ARRAY[n, NULL, n] FROM (VALUES
  (ROW(ROW(1, 'x')::pair, ARRAY[ROW(2, E'y\n')::pair, NULL], 5, 'sad', 'NaN', ROW(3, 'z'), '{"a" : 1}', '2024-02-29 12:00+05', 1.50, '\x00ff')::nest),
  (ROW(NULL, '{}', NULL, NULL, '-0', NULL, NULL, 'infinity', 'NaN', '')::nest),
  (ROW(ROW(1, repeat('long', 3000)), NULL, NULL, NULL, 1e300, NULL, '[]', '0044-03-15 BC', 1e100, NULL)::nest)) v(n);
INSERT INTO user_types (e, es) VALUES (ROW(), ARRAY[ROW()]::empty_type[]);
INSERT INTO user_types (f, fs, fm, mr) VALUES ('[1.5,Infinity)', '{empty,"(,)",NULL}', '{[1,2),[3,4)}', '[sad,né)'), ('empty', '{}', '{}', 'empty');
INSERT INTO user_types (jd, jds) VALUES ('{ "a":1 }', ARRAY['[1, 2]', 'null', NULL]::json_domain[]);
INSERT INTO user_types (st, sts) VALUES ('2024-01-01 00:00+03', '{infinity,NULL,2024-01-01 00:00+03}');
INSERT INTO user_types (par, pars) VALUES (ROW(1, 'x'), ARRAY[ROW(1, 'x'), NULL]::parent[]);
INSERT INTO user_types (h, hs) VALUES ('', '{}'), ('a=>1, "b \"q\""=>NULL, c=>"x\\y", é=>1.0', ARRAY['a=>1', NULL, '']::hstore[]);
INSERT INTO user_types (ci, cis, l, ls, q, cu, isb, isbs, s) VALUES
  ('"X"', '{"a",NULL}', 'a.b.c', '{a.b,c}', 'a.*{1,2}.b|c', '(1.1,-0),(1e100,3)', '978-0-393-04002-9', '{0-393-04002-X}', '1.50 .. ~2.0');

-- arrays of built-in types: shapes, NULLs, bounds, elements of every length
CREATE TABLE arrays (id serial PRIMARY KEY, b bool[], i2 int2[], i4 int4[], i8 int8[], f4 float4[], f8 float8[], n numeric[],
  t text[], vc varchar(9)[], bc char(5)[], na name[], d date[], ti time[], tz timetz[], ts timestamp[], tsz timestamptz[], iv interval[],
  u uuid[], j json[], jb jsonb[], by bytea[], r int4range[], bx box[], ine inet[], bi bit(3)[], iv2 int2vector[], c "char"[], mo money[]);
INSERT INTO arrays (b, i2, i4, i8, f4, f8, n) VALUES
  ('{}', '{}', '{}', '{}', '{}', '{}', '{}'),
  ('{t}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}'),
  ('{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}'),
  ('{t,NULL,f}', '{1,NULL,-2}', '{NULL,1,NULL}', '{1,NULL,-9223372036854775808}', '{NaN,NULL,-0}', '{Infinity,NULL,5e-324}', '{NaN,NULL,1.10,12345678901234567890.123}'),
  ('{{t,f},{NULL,t}}', '{{1,2,3},{4,5,6}}', '{{{1,2},{3,4}},{{5,6},{7,NULL}}}', '[2:3][0:1]={{1,2},{3,4}}', '{{1.5}}', '{{1},{2}}', '{{1.0,2},{3.00,NULL}}');
INSERT INTO arrays (t, vc, bc, na, u, j, jb, by) VALUES
  ('{"",NULL,"NULL","a\"b","c\\d","{}"}', '{a,NULL}', '{a,NULL}', '{a,NULL}', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}',
   ARRAY['{"a" : [1]}', NULL, 'null']::json[], ARRAY['{"a" : [1]}', NULL, 'null', '[]', '1.50']::jsonb[], ARRAY['\x', NULL, '\x00ff']::bytea[]),
  ('{{a,b},{c,NULL}}', '{{a},{b}}', '{{a},{b}}', '{{a},{b}}', '{}', ARRAY[ARRAY['1', '2']]::json[], ARRAY[ARRAY['1', '2']]::jsonb[], '{{"\\x01"}}');
INSERT INTO arrays (d, ti, tz, ts, tsz, iv) VALUES
  ('{2024-02-29,NULL,infinity,"0001-01-01 BC"}', '{24:00,NULL}', '{12:00+05:30,NULL}', '{2024-02-29 12:00,NULL,-infinity}', '{2024-02-29 12:00+05,NULL,infinity}', '{1 mon -1 day,NULL,00:00}');
INSERT INTO arrays (r, bx, ine, bi, iv2, c, mo) VALUES
  ('{"[1,2)",NULL,empty}', '{(1,1),(0,0);NULL}', '{10.0.0.1,NULL,::1/64}', '{101,NULL}', '{"1 2",NULL,""}', '{a,NULL,""}', '{1.5,NULL,-1000000}');
-- around the size from which on a value is compressed or moved away
INSERT INTO arrays (i4, i8, t, f8, n, jb, by)
SELECT array_agg(g), array_agg(g * 1000000007::int8), array_agg(repeat('x', g % 30) || chr(g % 90 + 33)), array_agg(CASE WHEN g % 3 > 0 THEN g / 7.0 END),
       array_agg(g / 7.0), array_agg(to_jsonb(g) || to_jsonb(repeat('y', g % 10))), array_agg(decode(md5(g::text), 'hex'))
  FROM unnest(ARRAY[5, 9, 10, 11, 30, 31, 32, 33, 100, 500, 1000, 10000]) s, generate_series(1, s) g GROUP BY s;

SELECT 'user_types', h.compare('user_types', 'user_types')
UNION ALL SELECT 'arrays', h.compare('user_types', 'arrays');
SELECT 'user_types', h.compare_rows('user_types') UNION ALL SELECT 'arrays', h.compare_rows('arrays');

-- types that change in mid-stream: rows written before and after
ALTER TYPE mood RENAME VALUE 'sad' TO 'glad';
ALTER TYPE mood ADD VALUE 'new' BEFORE '';
INSERT INTO user_types (m, ms, mm) VALUES ('glad', '{glad,new}', '{new}'), ('new', '{}', '{}');
ALTER TYPE pair ADD ATTRIBUTE c numeric[] CASCADE;
INSERT INTO user_types (c, cs) VALUES (ROW(1, 'x', '{1.0}'), ARRAY[ROW(1, 'x', NULL)]::pair[]);
ALTER TYPE pair DROP ATTRIBUTE a CASCADE;
INSERT INTO user_types (c, cs) VALUES (ROW('x', '{1.0}'), ARRAY[ROW('x', NULL)]::pair[]);
ALTER TYPE pair RENAME ATTRIBUTE c TO "C é" CASCADE;
INSERT INTO user_types (c, cs, n) VALUES (ROW('x', '{1.0}'), ARRAY[ROW('x', NULL)]::pair[], ROW(ROW('x', '{1.0}'), NULL, 1, 'new', 1, NULL, NULL, NULL, NULL, NULL));
ALTER TABLE parent ADD added int, DROP name;
INSERT INTO user_types (par, pars) VALUES (ROW(1, 2), ARRAY[ROW(1, 2), NULL]::parent[]);
BEGIN;
CREATE TYPE fresh AS ENUM ('a', 'b');
CREATE TYPE fresh_pair AS (f fresh, fs fresh[]);
ALTER TABLE user_types ADD fr fresh DEFAULT 'b', ADD fp fresh_pair;
INSERT INTO user_types (fr, fp) VALUES ('a', ROW('a', '{a,b}'));
COMMIT;

-- all rows again as they look now
CALL h.skip('user_types');
ALTER TABLE user_types REPLICA IDENTITY FULL;
UPDATE user_types SET p = 7;
SELECT h.compare('user_types', 'user_types');
-- and as they were: rows that are older than an attribute have it, too
SELECT count(*) FROM doc, json_each((data::json -> 'after')) a, json_each((data::json -> 'before')) b
 WHERE a.key = b.key AND a.key <> 'p' AND a.value::text <> b.value::text;
CALL h.drop('user_types');
DROP TABLE user_types, arrays, parent;
DROP TYPE nest, pair_domain, pair, moods, mood_range, mood, small, positive, ints, empty_type, floats, json_domain, stamp, fresh_pair, fresh;
DROP EXTENSION hstore, citext, ltree, cube, isn, intarray, seg;
