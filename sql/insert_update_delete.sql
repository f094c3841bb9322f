-- Insert, update and delete under every replica identity: which of key,
-- before and after there are, and what is in them.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('iud');

-- DEFAULT: the old key is in the WAL only where it changed
CREATE TABLE by_default (a int, id int PRIMARY KEY, b text);
INSERT INTO by_default VALUES (1, 10, 'x'), (NULL, 20, NULL);
UPDATE by_default SET a = 2 WHERE id = 10;
UPDATE by_default SET id = 11 WHERE id = 10;
UPDATE by_default SET id = 11, b = 'y' WHERE id = 11;
DELETE FROM by_default WHERE id = 11;
SELECT h.changes('iud');
CALL h.skip('iud');

-- a key of several columns comes in the order of the table's columns
CREATE TABLE by_two (b text, a int, c int, PRIMARY KEY (c, b));
INSERT INTO by_two VALUES ('b', 1, 2);
UPDATE by_two SET a = 3;
UPDATE by_two SET c = 4;
DELETE FROM by_two;
SELECT h.changes('iud');
CALL h.skip('iud');

-- FULL: the old row is whole; the key is the primary key's
CREATE TABLE by_full (a int, id int PRIMARY KEY, b text);
ALTER TABLE by_full REPLICA IDENTITY FULL;
INSERT INTO by_full VALUES (1, 10, 'x');
UPDATE by_full SET a = 2;
UPDATE by_full SET id = 11;
UPDATE by_full SET b = NULL;
DELETE FROM by_full;
SELECT h.changes('iud');
CALL h.skip('iud');

-- FULL, and the primary key is deferrable: it is the key all the same
CREATE TABLE by_full_deferrable (a int, id int, b int, PRIMARY KEY (id, b) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX by_full_deferrable_a ON by_full_deferrable (a);
ALTER TABLE by_full_deferrable REPLICA IDENTITY FULL;
INSERT INTO by_full_deferrable VALUES (1, 10, 1), (2, 11, 1);
UPDATE by_full_deferrable SET a = 3 WHERE id = 10;
UPDATE by_full_deferrable SET id = id + 1;
DELETE FROM by_full_deferrable WHERE id = 11;
-- without its primary key the table has no key, and another one is noticed
ALTER TABLE by_full_deferrable DROP CONSTRAINT by_full_deferrable_pkey;
DELETE FROM by_full_deferrable;
INSERT INTO by_full_deferrable VALUES (4, 13, 1);
ALTER TABLE by_full_deferrable ADD PRIMARY KEY (id) DEFERRABLE;
DELETE FROM by_full_deferrable;
SELECT h.changes('iud');
CALL h.skip('iud');

-- FULL without a primary key: no key, but the old row
CREATE TABLE by_full_keyless (a int, b text);
ALTER TABLE by_full_keyless REPLICA IDENTITY FULL;
INSERT INTO by_full_keyless VALUES (1, 'x');
UPDATE by_full_keyless SET a = 2;
DELETE FROM by_full_keyless;
SELECT h.changes('iud');
CALL h.skip('iud');

-- USING INDEX: its columns are the key, not the primary key's
CREATE TABLE by_index (id int PRIMARY KEY, a int NOT NULL, b text NOT NULL);
CREATE UNIQUE INDEX by_index_ba ON by_index (b, a) INCLUDE (id);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_ba;
INSERT INTO by_index VALUES (1, 10, 'x');
UPDATE by_index SET id = 2;
UPDATE by_index SET a = 11;
DELETE FROM by_index;
SELECT h.changes('iud');
CALL h.skip('iud');

-- NOTHING: no key, no old row; never silence
CREATE TABLE by_nothing (id int PRIMARY KEY, a int);
ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
INSERT INTO by_nothing VALUES (1, 10);
UPDATE by_nothing SET a = 11;
UPDATE by_nothing SET id = 2;
DELETE FROM by_nothing;
SELECT h.changes('iud');
CALL h.skip('iud');

-- no key at all, a deferrable key, and an identity index that was dropped
CREATE TABLE keyless (a int, b text);
INSERT INTO keyless VALUES (1, 'x');
UPDATE keyless SET a = 2;
DELETE FROM keyless;
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE, a int);
INSERT INTO deferrable_key VALUES (1, 10);
UPDATE deferrable_key SET id = 2;
DELETE FROM deferrable_key;
INSERT INTO by_index VALUES (3, 30, 'z');
DROP INDEX by_index_ba;
UPDATE by_index SET id = 4;
DELETE FROM by_index;
SELECT h.changes('iud');
CALL h.skip('iud');

-- the identity may change from one statement to the next
CREATE TABLE by_turns (id int PRIMARY KEY, a int NOT NULL UNIQUE);
BEGIN;
INSERT INTO by_turns VALUES (1, 10);
UPDATE by_turns SET a = 11;
ALTER TABLE by_turns REPLICA IDENTITY FULL;
UPDATE by_turns SET a = 12;
ALTER TABLE by_turns REPLICA IDENTITY USING INDEX by_turns_a_key;
UPDATE by_turns SET a = 13;
ALTER TABLE by_turns REPLICA IDENTITY NOTHING;
UPDATE by_turns SET a = 14;
ALTER TABLE by_turns REPLICA IDENTITY DEFAULT, DROP CONSTRAINT by_turns_pkey;
UPDATE by_turns SET a = 15;
ALTER TABLE by_turns ADD PRIMARY KEY (a);
UPDATE by_turns SET a = 16;
COMMIT;
SELECT h.changes('iud');

-- a table without columns
CALL h.skip('iud');
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
DELETE FROM no_columns;
SELECT h.changes('iud');

CALL h.drop('iud');
DROP TABLE by_default, by_two, by_full, by_full_deferrable, by_full_keyless, by_index, by_nothing, keyless,
  deferrable_key, by_turns, no_columns;
