-- columns: left out, renamed, masked, hashed and truncated by rules; constants that rows get.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
SET walspout.hash_key = 'Jefe';
CREATE TABLE person (id int PRIMARY KEY, name text, mail varchar(40), note text, born date, tags text[], j jsonb, pin char(4), ssn text);
CREATE TABLE visit (id int PRIMARY KEY, mail text, password text);
CALL h.slot('columns');
INSERT INTO person VALUES
  (1, 'Jörg "J" Müller', 'what do ya want for nothing?', E'line one\nline "two"', '2001-02-03', '{a,"b c"}', '{"a": [1, 2]}', '1234', 'secret'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, '', '', '日本語のテキスト', 'infinity', '{}', '"text"', '1', '');
INSERT INTO visit VALUES (1, 'what do ya want for nothing?', 'x');
UPDATE person SET ssn = 'other' WHERE id = 1;
UPDATE person SET id = 4 WHERE id = 2;
DELETE FROM person WHERE id = 3;
\set rules 'public.person: ssn omit, mail hash, name keep 2, note truncate 9, born mask "?", tags as labels, j hash as digest, pin truncate 2 as p'
SELECT h.changes('columns', 'columns', :'rules');
-- hashes are those of RFC 4231, equal in all tables; the last rule that matches a column decides
SELECT data::json -> 'after' FROM h.changes('columns', 'columns', 'public.*: "mail" hash, password mask none; *."vis?t": id as a; ?ublic.visit : password keep 0, "nothing" omit;') WHERE data::json ->> 'table' = 'visit';
-- one name for many columns
SELECT DISTINCT ON (data::json ->> 'table') data::json -> 'after' FROM h.changes('columns', 'columns', '*.*: *a* omit, ?a?l as e_mail');
-- the text that is hashed is the value without quotes and escapes
SELECT data::json -> 'after' ->> 'name' = data::json -> 'after' ->> 'note' FROM h.changes('columns', 'columns', '*.person: name hash, note hash') LIMIT 3;
-- a key: hashed and renamed; its bytes are those of the row
SELECT h.changes('columns', 'columns', 'public.person: * omit, id hash as number');
SELECT kind, flags, key, before, after, columns FROM h.frames('columns', 'columns', 'public.person: * omit, id hash as number, mail hash, born as birthday, j truncate 3', 'set', 'sid=eu-1');
-- constants are in before and after, behind the columns; a column of that name stays
SELECT h.changes('columns', 'set', 'sid=eu-1, note="a, ""b""", "ä b" = ""', 'columns', '*.person: * omit, id as id, note as note');
CALL h.skip('columns');

-- names that two columns would have: these columns keep their own
INSERT INTO visit VALUES (2, 'm', 'p');
SELECT h.changes('columns', 'columns', '*.visit: mail as password');
SELECT h.changes('columns', 'columns', '*.visit: mail as password, password as mail');
SELECT h.changes('columns', 'columns', '*.visit: mail as x, password as x');
SELECT h.changes('columns', 'columns', '*.visit: mail as x, password as x, id as mail');
SELECT h.changes('columns', 'columns', '*.visit: mail as "ä ""q"", b", password as "__a_name_of_more_than_thirty_two_bytes__"');
CALL h.skip('columns');

-- all of the row under REPLICA IDENTITY FULL; values that are unchanged, or too long
CREATE TABLE large (id int PRIMARY KEY, a text, b text, c text, d text, e text);
ALTER TABLE large ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL;
INSERT INTO large VALUES (1, repeat('a', 5000), repeat('b', 5000), repeat('c', 5000), repeat('d', 5000), repeat('e', 5000));
UPDATE large SET id = 2;
ALTER TABLE large REPLICA IDENTITY FULL;
UPDATE large SET id = 3;
\set rules 'public.large: a keep 3 as x, b truncate 5, c mask no, d hash'
SELECT h.short(d) FROM h.changes('columns', 'columns', :'rules') d;
SELECT h.short(d) FROM h.changes('columns', 'columns', :'rules', 'max_value_bytes', '600') d;
SELECT kind, h.short(after), members FROM h.frames('columns', 'columns', :'rules', 'max_value_bytes', '600', 'set', 's=1') WHERE kind = 'u';
CALL h.skip('columns');

-- characters count, not bytes, and none is cut
CREATE TABLE letters (id int PRIMARY KEY, v text);
INSERT INTO letters SELECT n, substr('aä日🐘"' || E'\\\n\t\x01' || 'z', 1, n) FROM generate_series(1, 10) n;
SELECT (data::json -> 'after' ->> 'id')::int AS id, n, data::json #>> '{after,v}' = substr(l.v, 1, n)
  FROM generate_series(0, 10) n, h.changes('columns', 'columns', '*.*: v truncate ' || n), letters l
 WHERE l.id = (data::json -> 'after' ->> 'id')::int AND data::json #>> '{after,v}' IS DISTINCT FROM substr(l.v, 1, n);
SELECT data::json -> 'after' FROM h.changes('columns', 'columns', '*.*: v keep 4') LIMIT 5;
CALL h.skip('columns');

-- numbers and documents are masked by their text
CREATE TABLE figures (id int PRIMARY KEY, i int8, n numeric, b bool, f float8, ts timestamptz, x bytea, u uuid, a int[]);
INSERT INTO figures VALUES (1, 9007199254740993, 12.50, true, 'NaN', '2001-02-03 04:05:06Z', '\x01ff', '00010203-0405-0607-0809-0a0b0c0d0e0f', '{1,2}');
SELECT data::json -> 'after' FROM unnest('{json,safe,string}'::text[]) f, h.changes('columns', 'numbers', f, 'columns', '*.*: * keep 3, id as id');
SELECT count(DISTINCT data) FROM unnest('{json,safe,string}'::text[]) f, h.changes('columns', 'numbers', f, 'columns', '*.*: * hash');
CALL h.skip('columns');

-- a key is hashed, or none
SELECT h.changes('columns', 'columns', 'public.visit: mail mask x, id truncate 1');
SELECT h.changes('columns', 'columns', 'public.visit: id omit');
SELECT h.changes('columns', 'columns', '*.*: i* keep 1; *.*: id hash');
SELECT h.changes('columns', 'columns', '*.no_such_table: id omit; public.visit: mail omit');
CREATE PUBLICATION columns_of_visit FOR TABLE visit;
SELECT h.changes('columns', 'columns', 'public.large: id omit', 'publications', 'columns_of_visit');
SELECT h.changes('columns', 'columns', 'public.visit: id omit', 'publications', 'columns_of_visit');
DROP PUBLICATION columns_of_visit;
-- what becomes a key later makes no error, and gives no key away: the rows have no key
INSERT INTO letters VALUES (11, 'eleven');
ALTER TABLE letters DROP CONSTRAINT letters_pkey, ALTER v SET NOT NULL;
CREATE UNIQUE INDEX letters_v ON letters (v);
ALTER TABLE letters REPLICA IDENTITY USING INDEX letters_v;
DELETE FROM letters WHERE id = 11;
INSERT INTO letters VALUES (12, 'twelve');
ALTER TABLE letters REPLICA IDENTITY DEFAULT;
SELECT h.changes('columns', 'columns', 'public.letters: v keep 1');
CALL h.skip('columns');

-- partitions that are published as their root have its rules
CREATE TABLE tree (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
CREATE TABLE leaf (b int, a text, id int NOT NULL);
ALTER TABLE leaf DROP b;
ALTER TABLE tree ATTACH PARTITION leaf FOR VALUES FROM (0) TO (10);
INSERT INTO tree VALUES (1, 'one');
SELECT h.changes('columns', 'columns', '*.tree: a omit; *.leaf: a as leaf_a', 'set', 's=1');
\if :since_14
CREATE PUBLICATION columns_of_tree FOR TABLE tree WITH (publish_via_partition_root = true);
INSERT INTO tree VALUES (2, 'two');
SELECT h.changes('columns', 'columns', '*.tree: a as tree_a, id hash; *.leaf: a omit', 'set', 's=1', 'publications', 'columns_of_tree');
SELECT kind, document, columns FROM h.rows('tree', '{omit,"id,ts",columns,"*.tree: a as tree_a, id hash",set,s=1,publications,columns_of_tree}') WHERE kind <> 'K';
SELECT kind, document FROM h.keys('tree', ARRAY['{"id":"' || 'none' || '"}'] || ARRAY(SELECT key FROM h.rows('tree', '{columns,"*.tree: id hash",publications,columns_of_tree}') WHERE key IS NOT NULL LIMIT 1), '{omit,"id,ts",columns,"*.tree: a as tree_a, id hash",publications,columns_of_tree}') WHERE kind = 'r';
DROP PUBLICATION columns_of_tree;
\endif

-- rows that are read from tables
\set options '{omit,"id,ts",columns,"*.person: ssn omit, id hash as number, mail hash, note truncate 4, born mask x; *.large: a keep 1, b mask m, d omit, id as n",set,sid=eu}'
SELECT kind, index, document, columns, members FROM h.rows('person', :'options');
SELECT kind, h.short(document), columns, members FROM h.rows('large', :'options');
-- by their keys as the documents have them
SELECT kind, h.short(document) FROM h.keys('large', '{"{\"n\":7}","{\"n\":3}"}', :'options') WHERE kind <> 'R';
SELECT count(*) AS keys, count(*) FILTER (WHERE document IN (SELECT document FROM h.rows('person', :'options'))) AS same
  FROM h.keys('person', ARRAY(SELECT key FROM h.rows('person', :'options') WHERE kind = 'r'), :'options') WHERE kind = 'r';
SELECT kind, flags, index FROM h.keys('person', '{}', :'options');
SELECT kind, flags, index FROM h.keys('person', '{"{\"number\":\"no\"}"}', :'options');
SELECT count(*) FROM h.keys('person', '{"{\"number\":"}', :'options');

-- what is not good
SELECT h.changes('columns', 'columns', 'public.person: ssn');
SELECT h.changes('columns', 'columns', 'public.person: ssn remove');
SELECT h.changes('columns', 'columns', 'person: ssn omit');
SELECT h.changes('columns', 'columns', 'public.person ssn omit');
SELECT h.changes('columns', 'columns', 'public.person: ssn truncate');
SELECT h.changes('columns', 'columns', 'public.person: ssn truncate -1');
SELECT h.changes('columns', 'columns', 'public.person: ssn keep 99999999999');
SELECT h.changes('columns', 'columns', 'public.person: ssn mask');
SELECT h.changes('columns', 'columns', 'public.person: ssn hash as');
SELECT h.changes('columns', 'columns', 'public.person: ssn omit as x');
SELECT h.changes('columns', 'columns', 'public.person: ssn hash mask x');
SELECT h.changes('columns', 'columns', 'public.person: "ssn omit');
SELECT h.changes('columns', 'columns', 'public.person: ssn omit,');
SELECT h.changes('columns', 'columns', 'public.person:');
SELECT h.changes('columns', 'columns', '');
SELECT h.changes('columns', 'set', 'a');
SELECT h.changes('columns', 'set', 'a=1,a=2');
SELECT h.changes('columns', 'set', '=1');
SELECT count(*) FROM h.changes('columns', 'set', (SELECT string_agg(g || '=1', ',') FROM generate_series(1, 100) g));
DO $$
DECLARE
  given text[];
  message text;
BEGIN
  FOREACH given SLICE 1 IN ARRAY ARRAY[['columns', '*.*: a mask ' || repeat('x', 501)], ['columns', '*.*: a as ' || repeat('x', 501)],
    ['set', 'a=' || repeat('x', 501)], ['set', repeat('x', 501) || '=1'], ['set', (SELECT string_agg(g || '=1', ',') FROM generate_series(1, 101) g)]] LOOP
    BEGIN
      PERFORM h.changes('columns', VARIADIC given);
    EXCEPTION WHEN invalid_parameter_value THEN
      GET STACKED DIAGNOSTICS message = PG_EXCEPTION_HINT;
      RAISE NOTICE '%', substr(message, 1, 40);
    END;
  END LOOP;
END $$;

SET walspout.hash_key = '';
SELECT h.changes('columns', 'columns', 'public.person: ssn hash');
SET walspout.hash_key = 'short';
SELECT count(*) FROM h.changes('columns', 'columns', 'public.person: ssn hash');
-- another role does not see the key
CREATE ROLE columns_reader;
SET ROLE columns_reader;
DO $$ BEGIN
  RAISE EXCEPTION 'it is %', current_setting('walspout.hash_key');
EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'it is hidden';
END $$;
SELECT count(*) FROM pg_settings WHERE name = 'walspout.hash_key';
RESET ROLE;
DROP ROLE columns_reader;
CALL h.drop('columns');
DROP TABLE person, visit, large, letters, figures, tree;
