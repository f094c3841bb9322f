-- Frames tell of each relation which columns its documents have: names, types,
-- modifiers, and which make the key. No document has to be parsed for that.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE SCHEMA "Other é";
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE "Other é"."Mood" AS ENUM ('x');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN short AS varchar(5) NOT NULL;
CREATE DOMAIN moods AS mood[];
CREATE DOMAIN "Other é".nested AS positive;
-- the types' names and modifiers are those of format_type(), always with the schema if it is not the server's
CALL h.slot('columns');
CREATE TABLE typed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a smallint, b int NOT NULL, c real, d float8, e numeric, f numeric(12, 2),
  g text, h varchar, i varchar(40), j char(3), k char, l "char", m name, n bytea, o bit(3), p bit varying(5), q bit varying, r boolean,
  s date, t timestamp, u timestamptz(3), v time(2), w timetz, x interval, y interval day to second(2), z interval year to month,
  aa json, ab jsonb, ac uuid, ad inet, ae xml, af oid, ag regclass, ah int4range, ai point, aj tsvector, ak money,
  al int[], am varchar(5)[], an numeric(3, 1)[][], ao mood, ap mood[], aq "Other é"."Mood", ar "Other é"."Mood"[], "as" pair, at pair[], au span,
  av positive, aw positive[], ax short, ay moods, az "Other é".nested, "Column ""é""" text);
INSERT INTO typed (b, ax) VALUES (1, 'x');
CREATE FUNCTION pg_temp.expected_columns(tbl regclass) RETURNS TABLE (name text, type_name text, type oid, type_modifier int, not_null boolean)
LANGUAGE sql SET search_path = pg_catalog SET quote_all_identifiers = off AS $$
  SELECT attname::text, format_type(atttypid, atttypmod), atttypid, atttypmod, attnotnull FROM pg_attribute
   WHERE attrelid = tbl AND attnum > 0 AND NOT attisdropped ORDER BY attnum
$$;
SELECT c.name, c.type_name, c.type_modifier, c.in_key, c.not_null, (c.name, c.type_name, c.type, c.type_modifier, c.not_null) = e AS same
  FROM (SELECT body FROM h.frames('columns') WHERE kind = 'R') f CROSS JOIN LATERAL h.frame_columns(f.body) WITH ORDINALITY c (name, type_name, type, type_modifier, in_key, not_null, n)
  FULL JOIN pg_temp.expected_columns('typed') e ON e.name = c.name
 ORDER BY c.n;
-- whatever the session's settings are
SELECT md5(string_agg(columns, E'\n')) AS before FROM h.frames('columns') WHERE kind = 'R' \gset
SET search_path = "Other é", public, pg_catalog;
SET quote_all_identifiers = on;
SELECT md5(string_agg(columns, E'\n')) = :'before' FROM h.frames('columns') WHERE kind = 'R';
SHOW quote_all_identifiers;
RESET quote_all_identifiers;
RESET search_path;
DROP TABLE typed;

-- a modifier is printed by functions of the server only: others are not called
CALL h.skip('columns');
SET client_min_messages = error;
CREATE TYPE modified;
CREATE FUNCTION modified_in(cstring, oid, int) RETURNS modified AS 'varcharin' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION modified_out(modified) RETURNS cstring AS 'varcharout' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION modified_typmod(int) RETURNS cstring AS 'varchartypmodout' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE modified (INPUT = modified_in, OUTPUT = modified_out, TYPMOD_IN = varchartypmodin, TYPMOD_OUT = modified_typmod);
CREATE TYPE modified_by_server;
CREATE FUNCTION modified_by_server_in(cstring, oid, int) RETURNS modified_by_server AS 'varcharin' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION modified_by_server_out(modified_by_server) RETURNS cstring AS 'varcharout' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE modified_by_server (INPUT = modified_by_server_in, OUTPUT = modified_by_server_out, TYPMOD_IN = varchartypmodin, TYPMOD_OUT = varchartypmodout);
RESET client_min_messages;
CREATE TABLE modifiers (a modified(5), b modified(6)[], c modified, d modified_by_server(7), e modified_by_server(8)[]);
INSERT INTO modifiers VALUES ('x');
SELECT name, type_name, type_modifier FROM h.frames('columns') f, h.frame_columns(f.body) WHERE f.kind = 'R';
DROP TABLE modifiers;
SET client_min_messages = error;
DROP TYPE modified, modified_by_server CASCADE;
DROP FUNCTION modified_typmod(int);
RESET client_min_messages;

-- the key: of the replica identity; under FULL the primary key
CALL h.skip('columns');
CREATE TABLE keyed (a int NOT NULL, b text NOT NULL, c int, d int, dropped int, PRIMARY KEY (c, a));
ALTER TABLE keyed DROP dropped;
CREATE UNIQUE INDEX keyed_index ON keyed (b);
INSERT INTO keyed VALUES (1, 'b', 1, 1);
ALTER TABLE keyed REPLICA IDENTITY USING INDEX keyed_index;
UPDATE keyed SET d = 2;
ALTER TABLE keyed REPLICA IDENTITY FULL;
UPDATE keyed SET d = 3;
ALTER TABLE keyed REPLICA IDENTITY NOTHING;
UPDATE keyed SET d = 4;
ALTER TABLE keyed REPLICA IDENTITY DEFAULT;
DELETE FROM keyed;
ALTER TABLE keyed DROP CONSTRAINT keyed_pkey, ALTER c DROP NOT NULL;
INSERT INTO keyed VALUES (1, 'b', 1, 1);
ALTER TABLE keyed REPLICA IDENTITY FULL;
UPDATE keyed SET d = 5;
ALTER TABLE keyed ADD PRIMARY KEY (d) DEFERRABLE;
TRUNCATE keyed;
SELECT kind, columns, key FROM h.frames('columns') WHERE kind = 'R' OR kind BETWEEN 'a' AND 'z';
-- what the frame calls the key is what the documents have there
SELECT count(*), count(*) FILTER (WHERE e.key IS NOT DISTINCT FROM k.key)
  FROM (SELECT kind, body, ARRAY(SELECT json_object_keys(key::json)) AS key, sum((kind = 'R')::int) OVER (ROWS UNBOUNDED PRECEDING) AS shape
          FROM h.frames('columns')) e
  JOIN (SELECT ARRAY(SELECT name FROM h.frame_columns(body) WHERE in_key) AS key, row_number() OVER () AS shape FROM h.frames('columns') WHERE kind = 'R') k USING (shape)
 WHERE e.kind IN ('c', 'u', 'd');
DROP TABLE keyed;

-- each change of the shape is told before the first row that has it
CALL h.skip('columns');
CREATE TABLE shaped (id int PRIMARY KEY, v positive, w mood, x text, y numeric(5, 2));
INSERT INTO shaped VALUES (1);
ALTER TABLE shaped ADD added int;
INSERT INTO shaped VALUES (2);
ALTER TABLE shaped ADD generated int GENERATED ALWAYS AS (id * 2) STORED;
INSERT INTO shaped VALUES (3);
ALTER TABLE shaped DROP added;
INSERT INTO shaped VALUES (4);
ALTER TABLE shaped RENAME x TO "X";
INSERT INTO shaped VALUES (5);
ALTER TABLE shaped ALTER "X" TYPE varchar(7);
INSERT INTO shaped VALUES (6);
ALTER TABLE shaped ALTER "X" TYPE varchar(9);
INSERT INTO shaped VALUES (7);
ALTER TABLE shaped ALTER y TYPE numeric(6, 2);
INSERT INTO shaped VALUES (8, 1, 'sad', '', 1);
DELETE FROM shaped;
ALTER TABLE shaped ALTER v SET NOT NULL;
INSERT INTO shaped VALUES (9, 1);
ALTER DOMAIN positive RENAME TO above_zero;
INSERT INTO shaped VALUES (10, 1);
ALTER DOMAIN above_zero SET SCHEMA "Other é";
INSERT INTO shaped VALUES (11, 1);
ALTER TYPE mood RENAME TO feeling;
INSERT INTO shaped VALUES (12, 1);
ALTER SCHEMA "Other é" RENAME TO "Another";
INSERT INTO shaped VALUES (13, 1);
ALTER TABLE shaped ALTER w TYPE feeling[] USING ARRAY[w];
INSERT INTO shaped VALUES (14, 1);
ALTER TYPE feeling RENAME TO mood;
INSERT INTO shaped VALUES (15, 1);
BEGIN;
ALTER TABLE shaped DROP w;
INSERT INTO shaped VALUES (16, 1);
SAVEPOINT s;
ALTER TABLE shaped DROP y;
INSERT INTO shaped VALUES (17, 1);
ROLLBACK TO s;
INSERT INTO shaped VALUES (18, 1);
ALTER TABLE shaped RENAME TO renamed;
INSERT INTO renamed VALUES (19, 1);
COMMIT;
-- the same again is not told again
INSERT INTO renamed VALUES (20, 1);
INSERT INTO renamed VALUES (21, 1);
SELECT kind, coalesce(key, document) AS what, columns FROM h.frames('columns') WHERE kind IN ('R', 'c');
-- arrays, and domains within domains and arrays, by the names of what they are made of
CALL h.skip('columns');
CREATE DOMAIN positive AS int;
CREATE TABLE of_domains (id int, a positive[], b moods, c "Another".nested);
INSERT INTO of_domains VALUES (1);
ALTER DOMAIN positive RENAME TO negative;
INSERT INTO of_domains VALUES (2);
ALTER TYPE mood RENAME TO feeling;
INSERT INTO of_domains VALUES (3);
ALTER DOMAIN "Another".nested RENAME TO "Nested";
INSERT INTO of_domains VALUES (4);
ALTER DOMAIN moods RENAME TO feelings;
INSERT INTO of_domains VALUES (5);
SELECT DISTINCT ON (n) n, columns FROM (SELECT columns, document, count(*) FILTER (WHERE kind = 'c') OVER (ROWS UNBOUNDED PRECEDING) + 1 AS n, kind FROM h.frames('columns')) f
 WHERE kind = 'R' ORDER BY n;
DROP TABLE renamed, of_domains;

-- Partitions published as their root have its names, columns and types, each with the key of its own: an id stands for one of them.
CALL h.skip('columns');
CREATE TABLE root (id int NOT NULL, region text NOT NULL, v varchar(10), PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE one PARTITION OF root FOR VALUES IN ('one');
CREATE TABLE two (gone int, v varchar(10), region text NOT NULL, id int NOT NULL);
ALTER TABLE two DROP gone;
ALTER TABLE root ATTACH PARTITION two FOR VALUES IN ('two');
CREATE UNIQUE INDEX two_id ON two (id);
ALTER TABLE two REPLICA IDENTITY USING INDEX two_id;
CREATE TABLE three PARTITION OF root FOR VALUES IN ('three');
ALTER TABLE three REPLICA IDENTITY NOTHING;
CREATE PUBLICATION via_root FOR TABLE root WITH (publish_via_partition_root);
INSERT INTO root VALUES (1, 'one', 'a'), (2, 'two', 'b'), (3, 'three', 'c'), (4, 'one', 'd'), (5, 'two', 'e'), (6, 'three', 'f');
ALTER TABLE root ADD w int;
INSERT INTO root VALUES (7, 'two', 'g', 1);
TRUNCATE root;
SELECT kind, coalesce(columns, document) AS what, document LIKE 'public.%' AS named, key,
       CASE relation WHEN 'root'::regclass::oid::bigint THEN 'root' WHEN 'one'::regclass::oid::bigint THEN 'one'
                     WHEN 'two'::regclass::oid::bigint THEN 'two' WHEN 'three'::regclass::oid::bigint THEN 'three' END AS relation
  FROM h.frames('columns', 'publications', 'via_root') WHERE kind NOT IN ('B', 'C');
SELECT DISTINCT document FROM h.frames('columns', 'publications', 'via_root') WHERE kind = 'R';
-- a row that moves to another partition keeps its place in the order of its key
CALL h.skip('columns');
DROP TABLE two, three;
CREATE TABLE two PARTITION OF root FOR VALUES IN ('two');
INSERT INTO root VALUES (1, 'one'), (2, 'two');
DELETE FROM root;
INSERT INTO root VALUES (1, 'one'), (2, 'two');
SELECT count(DISTINCT relation) AS relations, count(DISTINCT key) AS keys, count(DISTINCT (key, hash)) AS hashes FROM h.frames('columns', 'publications', 'via_root') WHERE kind IN ('c', 'd');
DROP PUBLICATION via_root;
DROP TABLE root;

-- a table as wide as can be
CALL h.skip('columns');
SELECT format('CREATE TABLE widest (%s)', string_agg(format('column_%s varchar(%s)', g, g), ', ')) FROM generate_series(1, 1600) g \gset
:format;
INSERT INTO widest VALUES ('x');
SELECT count(*), max(type_modifier), min(name), max(type_name) FROM h.frames('columns') f, h.frame_columns(f.body) WHERE kind = 'R';
DROP TABLE widest;
SET client_min_messages = error;
DROP SCHEMA "Another" CASCADE;
DROP TYPE feeling, pair, span, negative, short, feelings CASCADE;
RESET client_min_messages;

-- column lists
\if :since_15
\else
CALL h.drop('columns');
\quit
\endif
CALL h.skip('columns');
CREATE TABLE listed (id int PRIMARY KEY, a int, b text, c text, g int GENERATED ALWAYS AS (a * 2) STORED);
CREATE PUBLICATION all_columns FOR TABLE listed;
CREATE PUBLICATION some_columns FOR TABLE listed (id, b);
CREATE PUBLICATION other_columns FOR TABLE listed (c, id);
CREATE PUBLICATION no_key FOR TABLE listed (a) WITH (publish = 'insert');
INSERT INTO listed VALUES (1, 2, 'b', 'c');
SELECT p, columns, (SELECT document FROM h.frames('columns', 'publications', p) WHERE kind = 'c') AS document
  FROM unnest('{all_columns,some_columns,other_columns,"some_columns,other_columns",no_key}'::text[]) p,
       LATERAL (SELECT columns FROM h.frames('columns', 'publications', p) WHERE kind = 'R') r;
SELECT columns FROM h.frames('columns') WHERE kind = 'R';
-- lists that change
ALTER PUBLICATION some_columns SET TABLE listed (id, c);
INSERT INTO listed VALUES (2, 2, 'b', 'c');
ALTER PUBLICATION some_columns SET TABLE listed;
INSERT INTO listed VALUES (3, 2, 'b', 'c');
SELECT kind, coalesce(columns, after) AS what FROM h.frames('columns', 'publications', 'some_columns') WHERE kind IN ('R', 'c');
DROP PUBLICATION all_columns, some_columns, other_columns, no_key;
DROP TABLE listed;
CALL h.drop('columns');
