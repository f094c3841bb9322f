-- Tables that change in mid-stream: each row is rendered as its table was when
-- it was written.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('ddl');
CREATE TABLE changing (id int PRIMARY KEY, a int, b text, c numeric(5, 2));
INSERT INTO changing VALUES (1, 1, 'first', 1.5);
ALTER TABLE changing ADD d int;
INSERT INTO changing VALUES (2, 2, 'd added', 2, 2);
ALTER TABLE changing ADD e text DEFAULT 'fast', ADD f timestamptz DEFAULT '2024-02-29 12:00+00' NOT NULL;
UPDATE changing SET d = 1 WHERE id = 1;
INSERT INTO changing VALUES (3, 3, 'e and f added', 3, 3);
ALTER TABLE changing DROP a;
UPDATE changing SET d = 2 WHERE id = 2;
ALTER TABLE changing RENAME b TO "B ""quoted"" é";
UPDATE changing SET d = 3 WHERE id = 3;
ALTER TABLE changing ALTER d TYPE text USING 'now text ' || d;
UPDATE changing SET c = 4 WHERE id = 1;
ALTER TABLE changing ALTER c TYPE numeric(10, 4);
UPDATE changing SET c = 5 WHERE id = 1;
ALTER TABLE changing RENAME TO changed;
UPDATE changed SET c = 6 WHERE id = 1;
CREATE SCHEMA "New Schema";
ALTER TABLE changed SET SCHEMA "New Schema";
UPDATE "New Schema".changed SET c = 7 WHERE id = 1;
ALTER SCHEMA "New Schema" RENAME TO newer;
UPDATE newer.changed SET c = 8 WHERE id = 1;
ALTER TABLE newer.changed RENAME id TO ident;
UPDATE newer.changed SET ident = 10 WHERE ident = 1;
ALTER TABLE newer.changed ALTER ident TYPE bigint;
UPDATE newer.changed SET ident = 11 WHERE ident = 10;
VACUUM FULL newer.changed;
CLUSTER newer.changed USING changing_pkey;
DELETE FROM newer.changed WHERE ident = 11;
SELECT h.changes('ddl');

-- rows that are older than a column with a default, in the old row, too
CALL h.skip('ddl');
CREATE TABLE fast (id int PRIMARY KEY, v text);
ALTER TABLE fast REPLICA IDENTITY FULL;
INSERT INTO fast SELECT g, 'old' FROM generate_series(1, 3) g;
ALTER TABLE fast ADD n numeric DEFAULT 1.50, ADD t text DEFAULT repeat('x', 3) || 'é', ADD a int[] DEFAULT '{1,NULL}', ADD z int;
CALL h.skip('ddl');
UPDATE fast SET v = 'new' WHERE id = 1;
ALTER TABLE fast ALTER n SET DEFAULT 7, ALTER t DROP DEFAULT;
DELETE FROM fast WHERE id <= 2;
SELECT h.changes('ddl');

-- definitions and rows in one transaction, and savepoints among them
CALL h.skip('ddl');
BEGIN;
CREATE TABLE mixed (id int PRIMARY KEY, v int);
INSERT INTO mixed VALUES (1, 1);
ALTER TABLE mixed ADD w text DEFAULT 'w';
INSERT INTO mixed VALUES (2, 2);
SAVEPOINT s;
ALTER TABLE mixed ALTER v TYPE text;
ALTER TABLE mixed RENAME w TO never;
INSERT INTO mixed VALUES (3, 'three');
ROLLBACK TO s;
INSERT INTO mixed VALUES (4, 4);
ALTER TABLE mixed ALTER v TYPE text USING 'v' || v;
INSERT INTO mixed VALUES (5, 'five');
UPDATE mixed SET w = 'u' WHERE id = 1;
ALTER TABLE mixed DROP v;
DELETE FROM mixed WHERE id = 2;
ALTER TABLE mixed RENAME TO mixed_2;
INSERT INTO mixed_2 VALUES (6, 'six');
TRUNCATE mixed_2;
INSERT INTO mixed_2 VALUES (7, 'seven');
DROP TABLE mixed_2;
CREATE TABLE mixed_2 (other text);
INSERT INTO mixed_2 VALUES ('another table');
COMMIT;
SELECT h.changes('ddl');

-- generated columns and identities are columns
CALL h.skip('ddl');
CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED);
INSERT INTO generated (a) VALUES (1);
UPDATE generated SET a = 2;
ALTER TABLE generated ALTER g DROP EXPRESSION;
UPDATE generated SET a = 3;
ALTER TABLE generated ADD h text GENERATED ALWAYS AS ('h' || a) STORED;
SELECT h.changes('ddl');

-- types of columns that change under them
CALL h.skip('ddl');
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, m mood);
CREATE TABLE typed (id int PRIMARY KEY, m mood, p pair, ps pair[]);
INSERT INTO typed VALUES (1, 'sad', ROW(1, 'sad'), ARRAY[ROW(1, 'ok')]::pair[]);
ALTER TYPE mood RENAME VALUE 'sad' TO 'glad';
INSERT INTO typed VALUES (2, 'glad', ROW(1, 'glad'), ARRAY[ROW(1, 'ok')]::pair[]);
ALTER TYPE pair RENAME ATTRIBUTE a TO b;
INSERT INTO typed VALUES (3, 'glad', ROW(1, 'glad'), ARRAY[ROW(1, 'ok')]::pair[]);
ALTER TYPE pair ADD ATTRIBUTE c text, DROP ATTRIBUTE b;
INSERT INTO typed VALUES (4, 'glad', ROW('glad', 'c'), ARRAY[ROW('ok', NULL)]::pair[]);
ALTER TABLE typed REPLICA IDENTITY FULL;
UPDATE typed SET m = 'ok' WHERE id = 1;
SELECT h.changes('ddl');

CALL h.drop('ddl');
DROP TABLE newer.changed, fast, mixed_2, generated, typed;
DROP TYPE pair, mood;
DROP SCHEMA newer;
