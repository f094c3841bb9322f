-- A table's schema comes before its first row, and again when its columns have changed.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE SCHEMA "Other é";
CREATE TYPE mood AS ENUM ('sad', 'happy');
ALTER TYPE mood ADD VALUE 'so so "é"' BEFORE 'happy';
CREATE DOMAIN "Other é".amount AS numeric(10, 2) NOT NULL;
CREATE DOMAIN moods AS mood[];
CREATE TYPE pair AS (a int, b text);
-- OIDs of users' types differ from run to run
CREATE FUNCTION pg_temp.schemas(VARIADIC options text[] DEFAULT '{}') RETURNS SETOF text LANGUAGE sql AS $$
  SELECT regexp_replace(data, '"type_oid":\d{5,}', '"type_oid":0', 'g') FROM h.changes('schemas', VARIADIC options || '{schemas,true}') WHERE data LIKE '{"op":"s"%'
$$;
CREATE FUNCTION pg_temp.ops(VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(data::json ->> 'op', ' ') FROM h.changes('schemas', VARIADIC options || '{schemas,true}')
$$;
CALL h.slot('schemas');
CREATE TABLE kinds (id bigint PRIMARY KEY, name varchar(20) NOT NULL, m mood, ms mood[], d "Other é".amount, dm moods, twice bigint GENERATED ALWAYS AS (id * 2) STORED, p pair,
                    n numeric(12, 3)[], "c ""é""" timestamptz(3), gone int);
ALTER TABLE kinds DROP gone;
INSERT INTO kinds (id, name, d) VALUES (1, 'a', 1), (2, 'b', 2);
SELECT pg_temp.schemas();
-- what it says of columns is what the catalogs say
SELECT count(*), count(*) FILTER (WHERE c ->> 'name' = attname AND c ->> 'type_oid' = atttypid::text AND c ->> 'modifier' = atttypmod::text
                                    AND c ->> 'type_name' = typname AND c ->> 'type_schema' = nspname AND (c ->> 'nullable')::bool = NOT attnotnull)
  FROM (SELECT data FROM h.changes('schemas', 'schemas', 'true') LIMIT 1) s, json_array_elements(data::json -> 'columns') WITH ORDINALITY x (c, n)
  FULL JOIN (SELECT a.*, typname, nspname, row_number() OVER (ORDER BY attnum) AS n FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid JOIN pg_namespace k ON k.oid = typnamespace
              WHERE attrelid = 'kinds'::regclass AND attnum > 0 AND NOT attisdropped) a USING (n);
-- it counts nothing: ids of changes are the same with and without it
SELECT (SELECT array_agg(data::json ->> 'id') FROM h.changes('schemas', 'omit', '', 'schemas', 'true') WHERE data::json ->> 'op' <> 's')
     = (SELECT array_agg(data::json ->> 'id') FROM h.changes('schemas', 'omit', '')) AS same;
-- its own id is made of its transaction and the fingerprint
SELECT s ->> 'id' = split_part(c ->> 'id', '-', 1) || '-s' || (s ->> 'fingerprint') AS id, s ->> 'xid' = c ->> 'xid' AS xid, s ->> 'ts' = c ->> 'ts' AS ts
  FROM (SELECT (array_agg(data::json))[1] AS s, (array_agg(data::json))[2] AS c FROM h.changes('schemas', 'omit', '', 'schemas', 'true')) x;
SELECT id LIKE '%-s%' AS has_id, envelope ->> 'op' AS op FROM walspout.peek('schemas', 2, 'schemas', 'true');
CALL h.skip('schemas');

-- once for a table in a connection, and after each change of the columns; not after other changes
CREATE TABLE plain (id int PRIMARY KEY, v text);
INSERT INTO plain VALUES (1);
INSERT INTO kinds (id, name, d) VALUES (3, 'c', 1);
INSERT INTO plain VALUES (2);
ALTER TABLE plain SET (fillfactor = 90);
CREATE INDEX ON plain (v);
CREATE TYPE unrelated AS ENUM ('x');
CREATE SCHEMA unrelated;
INSERT INTO plain VALUES (3);
INSERT INTO kinds (id, name, d) VALUES (4, 'd', 1);
SELECT pg_temp.ops();
CALL h.skip('schemas');
INSERT INTO plain VALUES (4);
BEGIN;
ALTER TABLE plain ADD w int;
INSERT INTO plain VALUES (5);
ALTER TABLE plain ALTER v TYPE varchar(9);
UPDATE plain SET w = 1 WHERE id = 5;
ALTER TABLE plain RENAME w TO x;
DELETE FROM plain WHERE id = 5;
COMMIT;
ALTER TABLE plain DROP x, ALTER v TYPE text;
INSERT INTO plain VALUES (6);
ALTER TABLE plain REPLICA IDENTITY FULL;
INSERT INTO plain VALUES (7);
ALTER TABLE plain DROP CONSTRAINT plain_pkey;
INSERT INTO plain VALUES (8);
ALTER TABLE plain RENAME TO plainer;
TRUNCATE plainer;
SELECT data::json ->> 'op' AS op, data::json ->> 'table' AS table, data::json ->> 'fingerprint' AS fingerprint, data::json ->> 'identity' AS identity,
       (SELECT string_agg(c ->> 'name' || ' ' || (c ->> 'type'), ', ') FROM json_array_elements(data::json -> 'columns') c) AS columns, data::json ->> 'primary_key' AS key
  FROM h.changes('schemas', 'schemas', 'true');
-- types that change under it
CALL h.skip('schemas');
INSERT INTO kinds (id, name, d) VALUES (5, 'e', 1);
ALTER TYPE mood ADD VALUE 'new';
INSERT INTO kinds (id, name, d) VALUES (6, 'f', 1);
ALTER TYPE mood RENAME VALUE 'new' TO 'newer';
INSERT INTO kinds (id, name, d) VALUES (7, 'g', 1);
ALTER TYPE mood RENAME TO feeling;
INSERT INTO kinds (id, name, d) VALUES (8, 'h', 1);
ALTER DOMAIN "Other é".amount SET SCHEMA public;
INSERT INTO kinds (id, name, d) VALUES (9, 'i', 1);
SELECT s -> 'columns' -> 2 ->> 'labels' AS labels, s -> 'columns' -> 5 -> 'base' ->> 'type' AS base, s -> 'columns' -> 4 ->> 'type' AS type
  FROM (SELECT data::json AS s FROM h.changes('schemas', 'schemas', 'true')) x WHERE s ->> 'op' = 's';
SELECT pg_temp.ops();
-- with transactions, and with a message before
SELECT pg_logical_emit_message(true, 'p', 'm') IS NOT NULL;
SELECT pg_temp.ops('transactions', 'true');
CALL h.skip('schemas');

-- equal shapes have equal fingerprints, in whatever way they came to be
CREATE TABLE one (a int PRIMARY KEY, b text);
INSERT INTO one VALUES (1);
DROP TABLE one;
CREATE TABLE one (z int, a int PRIMARY KEY, c text);
ALTER TABLE one DROP z;
ALTER TABLE one RENAME c TO b;
INSERT INTO one VALUES (1);
SELECT count(*), count(DISTINCT data::json ->> 'fingerprint') FROM h.changes('schemas', 'schemas', 'true') WHERE data::json ->> 'op' = 's';
-- of two tables they differ
CREATE TABLE two (a int PRIMARY KEY, b text);
INSERT INTO two VALUES (1);
SELECT count(DISTINCT data::json ->> 'fingerprint') FROM h.changes('schemas', 'schemas', 'true') WHERE data::json ->> 'op' = 's';
CALL h.skip('schemas');

-- rules for columns hold: nothing tells what is left out or changed
INSERT INTO kinds (id, name, d) VALUES (10, 'k', 1);
SET walspout.hash_key = 'Jefe';
SELECT pg_temp.schemas('columns', 'public.kinds: m mask x, ms omit, name keep 1 as initial, id hash as number, dm truncate 3, d as price, twice omit, p omit, n omit', 'set', 'sid=eu-1');
RESET walspout.hash_key;
CREATE TABLE secret (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b));
ALTER TABLE secret REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX secret_b ON secret (b);
ALTER TABLE secret REPLICA IDENTITY USING INDEX secret_b;
INSERT INTO secret VALUES (1, 2);
SELECT pg_temp.schemas('columns', 'public.kinds: * omit, id as id; public.secret: a omit');
CALL h.skip('schemas');

-- what publications leave out is not told, and partitions have the schema of their root
\if :since_14
CREATE TABLE tree (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE leaf_1 (v text, id int NOT NULL);
ALTER TABLE tree ATTACH PARTITION leaf_1 FOR VALUES FROM (0) TO (10);
CREATE TABLE leaf_2 PARTITION OF tree FOR VALUES FROM (10) TO (20);
CREATE PUBLICATION schemas_of_tree FOR TABLE tree WITH (publish_via_partition_root = true);
INSERT INTO tree VALUES (1, 'one'), (11, 'two'), (2, 'three');
SELECT pg_temp.ops('publications', 'schemas_of_tree');
SELECT pg_temp.ops();
SELECT pg_temp.schemas('publications', 'schemas_of_tree');
DROP PUBLICATION schemas_of_tree;
\endif
CALL h.skip('schemas');

-- frames: behind the relation, right before its event, and not counted
INSERT INTO two VALUES (2), (3);
ALTER TABLE two ADD c int;
INSERT INTO two VALUES (4);
SELECT message, kind, flags, sixteen, index, relation = 'two'::regclass::oid::bigint AS same, left(document, 42) AS document FROM h.frames('schemas', 'schemas', 'true', 'batch_bytes', '1');
SELECT h.number(body, 16, 8) AS events FROM h.frames('schemas', 'schemas', 'true') WHERE kind = 'C';
SELECT count(*), count(*) FILTER (WHERE f.document = j.data AND (f.kind <> 's' OR f.hash::text = h.number(decode(j.data::json ->> 'fingerprint', 'hex'), 0, 8)::text))
  FROM (SELECT *, row_number() OVER () AS n FROM h.frames('schemas', 'omit', '', 'schemas', 'true') WHERE kind BETWEEN 'a' AND 'z') f
  FULL JOIN (SELECT data, row_number() OVER () AS n FROM h.changes('schemas', 'omit', '', 'schemas', 'true')) j USING (n);
-- nothing of it without the option, and rows that are read have none
SELECT DISTINCT kind FROM h.frames('schemas') ORDER BY kind;
SELECT kind FROM h.rows('two', '{schemas,true}');

-- Avro: names that Avro cannot hold are written so that the name can be had back
CREATE TYPE "Other é"."1st" AS ENUM ('', '_x41', 'a b', '_y', 'ü');
CREATE TABLE "Other é"."no-name" ("1" int PRIMARY KEY, "_x" "Other é"."1st" NOT NULL, again "Other é"."1st"[], "ü_x2" numeric(5, 2), n numeric, ts timestamp, tz timestamptz, d date, t time, tt timetz,
                                  u uuid, b boolean, y bytea, r real, f float8, s smallint, l bigint, o oid, j jsonb, amount amount[], x int4range);
CALL h.skip('schemas');
INSERT INTO "Other é"."no-name" VALUES (1, '_y');
SELECT pg_temp.schemas('schema_format', 'avro');
SELECT count(DISTINCT data::json ->> 'fingerprint') FROM unnest('{walspout,avro}'::text[]) f, h.changes('schemas', 'schemas', 'true', 'schema_format', f) WHERE data::json ->> 'op' = 's';
-- however many labels a table has, a schema is no huge document
CALL h.skip('schemas');
DO $$ BEGIN
  EXECUTE format('CREATE TYPE labelled AS ENUM (%s)', (SELECT string_agg(format('%L', repeat(E'\x01', 60) || n), ', ') FROM generate_series(100, 999) n));
  EXECUTE format('CREATE TABLE many_labels (%s)', (SELECT string_agg(format('c%s labelled', n), ', ') FROM generate_series(1, 200) n));
END $$;
INSERT INTO many_labels DEFAULT VALUES;
SELECT f, length(data) < 17 * 1024 * 1024 AS is_short, data LIKE '%,"labels":[%' OR data LIKE '%"symbols":[%' AS has_labels FROM unnest('{walspout,avro}'::text[]) f, h.changes('schemas', 'schemas', 'true', 'schema_format', f) WHERE data LIKE '{"op":"s"%';
DROP TABLE many_labels;
DROP TYPE labelled;
-- rows that are read: their schema comes before the first one, in the same message, and is that of the stream
CALL h.skip('schemas');
CREATE TABLE read_one (id int PRIMARY KEY, mood feeling, secret text);
CREATE TABLE read_none (id int PRIMARY KEY);
CREATE TABLE read_root (id int PRIMARY KEY, v text) PARTITION BY LIST (id);
CREATE TABLE read_part1 PARTITION OF read_root FOR VALUES IN (1);
CREATE TABLE read_part2 PARTITION OF read_root FOR VALUES IN (2);
ALTER TABLE read_part2 REPLICA IDENTITY FULL;
CREATE PUBLICATION read_as_root FOR TABLE read_root WITH (publish_via_partition_root);
INSERT INTO read_one SELECT n, NULL, 's' FROM generate_series(1, 3) n;
INSERT INTO read_root VALUES (1, 'a'), (2, 'b');
SELECT message, kind, flags, index, sixteen, left(document, 80) FROM h.rows('read_one', '{schemas,true,omit,"id,ts",batch_bytes,1}') WHERE kind <> 'K';
SELECT r.document::jsonb - 'id' - 'ts' = s.data::jsonb - 'id' - 'ts' - 'xid' AS same, r.document::jsonb ->> 'id' AS open_id
  FROM h.changes('schemas', 'schemas', 'true', 'columns', 'public.read_one: secret omit, mood keep 1 as feeling') s
  JOIN h.rows('read_one', '{schemas,true,columns,"public.read_one: secret omit, mood keep 1 as feeling"}') r ON r.kind = 's'
 WHERE s.data LIKE '{"op":"s"%"read_one"%' OR s.data LIKE '{"id":%"op":"s"%"read_one"%';
SELECT kind, document::json ->> 'avro' LIKE '{"type":"record","name":"read_one"%' AS is_avro FROM h.rows('read_one', '{schemas,true,schema_format,avro}') WHERE kind = 's';
SELECT kind FROM h.rows('read_none', '{schemas,true}');
SELECT kind, index, document::json ->> 'identity' AS identity FROM h.rows('read_root', '{schemas,true,publications,read_as_root}') WHERE kind IN ('s', 'r');
SELECT kind, index FROM h.keys('read_one', '{"{\"id\":2}"}', '{schemas,true}') WHERE kind <> 'R';
-- behind a mark that names the slot and tables, the schemas of these tables come again
CREATE FUNCTION pg_temp.mark(content text) RETURNS boolean LANGUAGE sql AS $$ SELECT pg_logical_emit_message(true, 'walspout.mark', content) IS NOT NULL $$;
CREATE FUNCTION pg_temp.all_change() RETURNS void LANGUAGE sql AS $$ UPDATE read_one SET secret = 't' WHERE id = 1; UPDATE read_root SET v = 'c' WHERE id = 1 $$;
CREATE FUNCTION pg_temp.come_again(VARIADIC more text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(kind || COALESCE(' ' || (CASE kind WHEN 's' THEN document::json ->> 'table' END), ''), ', ' ORDER BY n)
    FROM (SELECT kind, document, row_number() OVER () AS n FROM h.frames('schemas', VARIADIC '{schemas,true,publications,"read_as_root,read_ones"}' || more)) f WHERE kind IN ('s', 'M', 'u') $$;
CREATE PUBLICATION read_ones FOR TABLE read_one;
CALL h.skip('schemas');
SELECT pg_temp.all_change();
SELECT pg_temp.mark(format('n 1|schemas %s', 'read_one'::regclass::oid));
SELECT pg_temp.all_change();
SELECT pg_temp.mark(format('n 2|schemas %s %s', 'read_one'::regclass::oid, 'read_root'::regclass::oid));
SELECT pg_temp.all_change();
SELECT pg_temp.come_again();
-- other slots, other text, other tables; any role may write a mark
CALL h.skip('schemas');
SELECT pg_temp.all_change();
SELECT count(pg_temp.mark(replace(content, 'OID', 'read_one'::regclass::oid::text)))
  FROM unnest('{"n 1","n|","n|schemas","n|schemas ","n|schemas x OID","n|schemas2 OID","n|sch OID","n|other OID","n|schemas 0 OID","n|schemas 1 99999999999999999999 2","|","n|schemas -1","n schemas OID"}'::text[]) content;
SELECT pg_temp.all_change();
SELECT regexp_replace(pg_temp.come_again(), '(M, )+', 'marks, ');
CALL h.skip('schemas');
DROP PUBLICATION read_as_root, read_ones;
DROP TABLE read_one, read_none, read_root;
SELECT h.changes('schemas', 'schemas', 'maybe');
SELECT h.changes('schemas', 'schema_format', 'protobuf');
CALL h.drop('schemas');
DROP TABLE kinds, plainer, one, two, secret, "Other é"."no-name";
DROP TABLE IF EXISTS tree;
DROP TYPE unrelated, pair;
DROP DOMAIN moods, amount;
DROP TYPE feeling;
DROP SCHEMA unrelated;
DROP SCHEMA "Other é" CASCADE;
