-- max_value_bytes bounds the JSON of a value, too, whatever little the value has
-- in the database; and the content and the prefix of a message.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS hstore;
RESET client_min_messages;
CREATE TYPE wide AS (a_name_that_is_rather_long int, another_name_that_is_rather_long int, n numeric);
CREATE TYPE numeric_range AS RANGE (subtype = numeric);
CREATE TABLE grown (id int PRIMARY KEY, v text, b bytea, j json, jb jsonb, n numeric, na numeric[], nr numeric_range,
  nra numeric_range[], w wide, wa wide[], ba bool[], h hstore, nm name, u uuid[]);
CALL h.slot('grown');
-- Rows whose documents are longer than that, by what was left out of others.
CREATE FUNCTION pg_temp.documents(max int) RETURNS TABLE (id text, longer boolean, names text) LANGUAGE sql AS $$
  SELECT j -> 'key' ->> 'id', octet_length(data) > max + 1000,
         (SELECT string_agg(key || ' ' || value, ', ') FROM json_each_text(j -> 'elided'))
    FROM (SELECT data, data::json j FROM h.changes('grown', 'max_value_bytes', max::text)) d
$$;

-- as much as fits, and one byte more: quotes and brackets around it do not count
INSERT INTO grown (id, v) SELECT n, repeat('x', n) FROM unnest(ARRAY[511, 999, 1000, 1001]) n;
INSERT INTO grown (id, v) SELECT n * 10, repeat('"', n) FROM unnest(ARRAY[499, 500, 501]) n;
INSERT INTO grown (id, v) SELECT n * 10, repeat(E'\x01', n) FROM unnest(ARRAY[166, 167]) n;
INSERT INTO grown (id, b) SELECT n * 100, decode(repeat('ff', n), 'hex') FROM unnest(ARRAY[497, 498, 499, 500, 501]) n;
INSERT INTO grown (id, n) SELECT n * 10000, ('1e' || n - 1)::numeric FROM unnest(ARRAY[1001, 1002, 1003, 131072]) n;
INSERT INTO grown (id, n) SELECT -n, ('1e-' || n)::numeric FROM unnest(ARRAY[999, 1000, 1001]) n;
SELECT * FROM pg_temp.documents(1000);
CALL h.skip('grown');
-- 512 bytes of JSON always pass, if the value itself does
DELETE FROM grown;
CALL h.skip('grown');
INSERT INTO grown (id, v) VALUES (1, repeat(E'\x01', 10)), (2, repeat('x', 11));
INSERT INTO grown (id, nm) VALUES (3, repeat(E'\x01', 63));
INSERT INTO grown (id, n) SELECT n, ('1e' || n)::numeric FROM unnest(ARRAY[500, 513, 514]) n;
SELECT * FROM pg_temp.documents(10);
CALL h.skip('grown');

-- little in the database, and much of it
DELETE FROM grown;
CALL h.skip('grown');
INSERT INTO grown (id, na) SELECT 1, array_agg(1e131071) FROM generate_series(1, 500);
INSERT INTO grown (id, nr) VALUES (2, numeric_range(1, 1e131071));
INSERT INTO grown (id, nra) SELECT 3, array_agg(numeric_range(n, 1e131071)) FROM generate_series(1, 20) n;
INSERT INTO grown (id, w) VALUES (4, (1, 2, 1e131071));
INSERT INTO grown (id, wa) SELECT 5, array_agg((n, n, NULL)::wide) FROM generate_series(1, 150) n;
INSERT INTO grown (id, wa) SELECT 6, array_agg(NULL::wide) FROM generate_series(1, 70000) n;
INSERT INTO grown (id, ba) SELECT 7, array_agg(true) FROM generate_series(1, 9000) n;
INSERT INTO grown (id, jb) SELECT 8, jsonb_agg(1e1000) FROM generate_series(1, 100) n;
INSERT INTO grown (id, jb) SELECT 9, jsonb_build_object('in', jsonb_build_array(repeat(E'\x01', 9000)));
INSERT INTO grown (id, j) SELECT 10, ('[' || repeat(' ', 9998) || ']')::json;
INSERT INTO grown (id, j) SELECT 11, ('[' || repeat(' ', 10001) || ']')::json;
INSERT INTO grown (id, h) SELECT 12, hstore(repeat(E'\x01', 5000), NULL);
INSERT INTO grown (id, b) SELECT 13, decode(repeat('ff', 9000), 'hex');
INSERT INTO grown (id, u) SELECT 14, array_agg('00000000-0000-0000-0000-000000000000'::uuid) FROM generate_series(1, 300) n;
INSERT INTO grown (id, v, n) SELECT 15, repeat('x', 9000), 1e131071;
SELECT * FROM pg_temp.documents(10000);
SELECT count(*), max(octet_length(data)) < 11000 FROM h.changes('grown', 'max_value_bytes', '10000');
-- the key, the old row and the new one each
ALTER TABLE grown REPLICA IDENTITY FULL;
CALL h.skip('grown');
UPDATE grown SET v = 'short' WHERE id IN (1, 6, 15);
-- a key that lacks a column would be that of other rows, too: there is none
CREATE TABLE grown_keys (k numeric PRIMARY KEY, v int);
CREATE TABLE grown_pairs (a int, k numeric, v int, PRIMARY KEY (a, k));
INSERT INTO grown_keys VALUES (1e131071, 1);
UPDATE grown_keys SET v = 2;
UPDATE grown_keys SET k = 2e131071;
DELETE FROM grown_keys;
INSERT INTO grown_pairs VALUES (1, 1e131071, 1), (1, 2e131071, 2), (1, 3, 3);
UPDATE grown_pairs SET v = -v;
UPDATE grown_pairs SET k = 3e131071 WHERE v = -1;
UPDATE grown_pairs SET k = 4 WHERE v = -1;
UPDATE grown_pairs SET k = 1e131071 WHERE v = -1;
DELETE FROM grown_pairs WHERE a = 1 AND v = -2;
ALTER TABLE grown_pairs REPLICA IDENTITY FULL;
UPDATE grown_pairs SET v = 5;
SELECT h.short(h.changes('grown', 'max_value_bytes', '10000'));
CALL h.skip('grown');

-- messages
SELECT count(pg_logical_emit_message(true, 'p', repeat(c, 9000))) FROM unnest(ARRAY[E'\x01', 'x', '1']) c;
SELECT count(pg_logical_emit_message(true, 'p', decode(repeat('ff', n), 'hex'))) FROM unnest(ARRAY[7500, 7501, 10000, 10001]) n;
SELECT count(pg_logical_emit_message(true, repeat('p', n), 'x')) FROM unnest(ARRAY[10000, 10001]) n;
SELECT count(pg_logical_emit_message(true, repeat('p', 20000), repeat('c', 20000)));
SELECT h.short(h.changes('grown', 'max_value_bytes', '10000'));
SELECT h.short(data) FROM h.changes('grown') WHERE data LIKE '%elided%';
CALL h.skip('grown');
SELECT count(pg_logical_emit_message(true, repeat('p', n), 'x')) FROM unnest(ARRAY[512, 513]) n;
SELECT h.short(h.changes('grown', 'max_value_bytes', '5'));
CALL h.drop('grown');
DROP TABLE grown, grown_keys, grown_pairs;
DROP TYPE wide, numeric_range;
DROP EXTENSION hstore;
