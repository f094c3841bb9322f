-- TOASTed values: whole when they are new; named in "unchanged" when they did
-- not change; taken from the old row under REPLICA IDENTITY FULL.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('toast');

-- every way to store a value; bytes that do not compress
CREATE FUNCTION noise(n int) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT string_agg(md5(g::text), '') FROM generate_series(1, n / 32) g $$;
CREATE TABLE toasted (id int PRIMARY KEY, ext text, com text, main text, lz text,
  b bytea, j json, jb jsonb, a text[], n numeric, c varchar, x xml);
ALTER TABLE toasted ALTER ext SET STORAGE EXTERNAL, ALTER main SET STORAGE MAIN;
\if :since_14
ALTER TABLE toasted ALTER lz SET COMPRESSION pglz;
\endif
INSERT INTO toasted
SELECT s, repeat('e"', s), repeat('c"', s), repeat('m"', s), noise(s) || repeat('l', s), convert_to(noise(s), 'UTF8'),
       json_build_object('k', noise(s)), jsonb_build_object('k', noise(s)), ARRAY[noise(s), NULL, 'x'],
       ('1' || repeat('123456789', least(s, 10000)))::numeric, noise(s), xmlparse(CONTENT noise(s))
  FROM unnest(ARRAY[0, 32, 64, 126, 127, 128, 1000, 1996, 2000, 2032, 8192, 100000]) s;
SELECT h.compare('toast', 'toasted');
SELECT h.compare_rows('toasted');
-- under FULL the update of another column gives all of them
CALL h.skip('toast');
ALTER TABLE toasted REPLICA IDENTITY FULL;
UPDATE toasted SET id = id + 1000000;
SELECT h.compare('toast', 'toasted');
SELECT count(*) FROM doc WHERE data::json -> 'unchanged' IS NOT NULL;
SELECT count(*) FROM doc, json_each(data::json -> 'before') b, json_each(data::json -> 'after') a
 WHERE a.key = b.key AND a.key <> 'id' AND a.value::text <> b.value::text;

-- unchanged, without FULL
CALL h.skip('toast');
CREATE TABLE attached (id int PRIMARY KEY, small text, big text, other text);
ALTER TABLE attached ALTER big SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL;
INSERT INTO attached VALUES (1, 'a', repeat('b', 3000), repeat('o', 3000)), (2, 'a', NULL, repeat('o', 10));
CALL h.skip('toast');
UPDATE attached SET small = 'c';
UPDATE attached SET big = repeat('B', 5) WHERE id = 1;
UPDATE attached SET big = repeat('B', 2500) WHERE id = 2;
UPDATE attached SET other = NULL, id = 3 WHERE id = 2;
UPDATE attached SET small = NULL WHERE id = 3;
DELETE FROM attached;
SELECT h.short(h.changes('toast'));

-- under FULL, only what the change is about is long in the document
CALL h.skip('toast');
ALTER TABLE attached REPLICA IDENTITY FULL;
INSERT INTO attached VALUES (1, 'a', repeat('b', 3000), repeat('o', 3000));
UPDATE attached SET small = 'c';
UPDATE attached SET big = repeat('B', 2500);
UPDATE attached SET other = NULL;
DELETE FROM attached;
SELECT h.short(h.changes('toast'));

-- a TOASTed column in the key: its value is in the WAL, old or new
CALL h.skip('toast');
CREATE TABLE long_key (k text, id int, v int, big text, PRIMARY KEY (k, id));
ALTER TABLE long_key ALTER k SET STORAGE EXTERNAL, ALTER big SET STORAGE EXTERNAL;
INSERT INTO long_key VALUES (repeat('k', 2300), 1, 1, repeat('b', 3000));
UPDATE long_key SET v = 2;
UPDATE long_key SET id = 2;
UPDATE long_key SET k = repeat('l', 2300);
UPDATE long_key SET k = 'short';
DELETE FROM long_key;
SELECT h.short(h.changes('toast'));

-- only one of two identical values is stored again
CALL h.skip('toast');
CREATE TABLE rewritten (id int PRIMARY KEY, big text);
ALTER TABLE rewritten ALTER big SET STORAGE EXTERNAL;
INSERT INTO rewritten VALUES (1, repeat('x', 3000));
CALL h.skip('toast');
BEGIN;
UPDATE rewritten SET big = repeat('y', 3000);
UPDATE rewritten SET id = 2;
UPDATE rewritten SET big = big || 'z';
SAVEPOINT s;
UPDATE rewritten SET big = repeat('w', 3000);
ROLLBACK TO s;
UPDATE rewritten SET id = 3;
COMMIT;
SELECT h.short(h.changes('toast'));

CALL h.drop('toast');
DROP TABLE toasted, attached, long_key, rewritten;
DROP FUNCTION noise;
