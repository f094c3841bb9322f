-- Row filters at their limits: filters that raise send the row, TOASTed
-- columns, settings of the session, types of every kind, partitions.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
\if :since_15
\else
\quit
\endif
CREATE TABLE filtered (id int PRIMARY KEY, n int, t text, d date, ts timestamptz, a int[], j jsonb);
ALTER TABLE filtered ALTER t SET STORAGE EXTERNAL;
ALTER TABLE filtered REPLICA IDENTITY FULL;
SET client_min_messages = error;
CREATE PUBLICATION divides FOR TABLE filtered WHERE (10 / n > 1);
CREATE PUBLICATION long_texts FOR TABLE filtered WHERE (length(t) > 100);
CREATE PUBLICATION starts FOR TABLE filtered WHERE (t LIKE 'a%');
CREATE PUBLICATION dates FOR TABLE filtered WHERE (d > '2024-01-01');
CREATE PUBLICATION jsons FOR TABLE filtered WHERE (j ->> 'a' = 'b');
RESET client_min_messages;
CALL h.slot('filters');
INSERT INTO filtered VALUES (1, 1, '5'), (2, 0, 'not a number'), (3, 100, '0'), (4, NULL, NULL);
UPDATE filtered SET n = n + 1;
UPDATE filtered SET n = 0 WHERE id = 1;
DELETE FROM filtered;
-- the row whose filter raises is there, again and again
SELECT h.changes('filters', 'publications', 'divides');
SELECT h.changes('filters', 'publications', 'divides');
CALL h.skip('filters');

-- one that raises whatever the row is
CREATE PUBLICATION always_raises FOR TABLE filtered WHERE (id > 1 / 0) WITH (publish = 'insert');
CREATE PUBLICATION raises_or_not FOR TABLE filtered WHERE (id = 2 OR id > 1 / 0) WITH (publish = 'insert');
INSERT INTO filtered (id) VALUES (1), (2);
DELETE FROM filtered;
SELECT h.changes('filters', 'publications', 'always_raises');
SELECT h.changes('filters', 'publications', 'raises_or_not');
CALL h.skip('filters');

-- under FULL an unchanged value is in the old row
INSERT INTO filtered (id, n, t) VALUES (1, 1, repeat('a', 3000)), (2, 2, repeat('b', 50));
UPDATE filtered SET n = n + 1;
UPDATE filtered SET t = repeat('b', 3000) WHERE id = 2;
UPDATE filtered SET n = n + 1;
UPDATE filtered SET t = 'a' WHERE id = 1;
DELETE FROM filtered;
SELECT h.short(h.changes('filters', 'publications', 'long_texts'));
SELECT h.short(h.changes('filters', 'publications', 'starts'));
CALL h.slot('filters_pgoutput', 'pgoutput');
CALL h.skip('filters');
INSERT INTO filtered (id, n, t) VALUES (1, 1, repeat('a', 3000)), (2, 2, repeat('b', 50));
UPDATE filtered SET n = n + 1;
UPDATE filtered SET t = repeat('b', 3000) WHERE id = 2;
UPDATE filtered SET n = n + 1;
UPDATE filtered SET t = 'a' WHERE id = 1;
UPDATE filtered SET d = '2024-02-29', j = '{"a":"b"}', a = '{1}' WHERE id = 2;
UPDATE filtered SET d = '2023-02-28', j = '{"a":"c"}', a = '{7}' WHERE id = 2;
UPDATE filtered SET a = NULL WHERE id = 2;
DELETE FROM filtered;
SELECT h.compare_pgoutput('filters', 'filters_pgoutput', 'starts');
SELECT h.short(h.changes('filters', 'publications', 'jsons'));
SELECT h.short(h.changes('filters', 'publications', 'dates'));
SELECT h.changes('filters', 'publications', 'jsons') EXCEPT ALL SELECT h.changes('filters', 'publications', 'dates');

-- a TOASTed column of the identity
CREATE TABLE by_text (t text PRIMARY KEY, v int);
ALTER TABLE by_text ALTER t SET STORAGE EXTERNAL;
CREATE PUBLICATION by_texts FOR TABLE by_text WHERE (length(t) > 2000);
CALL h.skip('filters');
CALL h.skip('filters_pgoutput');
INSERT INTO by_text VALUES (repeat('x', 2100), 1), ('x', 1);
UPDATE by_text SET v = 2;
UPDATE by_text SET t = repeat('y', 2200) WHERE t = 'x';
UPDATE by_text SET t = 'z' WHERE t LIKE 'xx%';
UPDATE by_text SET v = 3;
DELETE FROM by_text;
SELECT h.short(h.changes('filters', 'publications', 'by_texts'));

-- partitions: the filter of the table that is published as
CREATE TABLE parted (id int PRIMARY KEY, junk int, v text) PARTITION BY RANGE (id);
ALTER TABLE parted DROP junk;
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 (v text, j1 int, j2 int, id int NOT NULL);
ALTER TABLE part_2 DROP j1, DROP j2;
ALTER TABLE parted ATTACH PARTITION part_2 FOR VALUES FROM (10) TO (20);
SET client_min_messages = error;
CREATE PUBLICATION of_root FOR TABLE parted WHERE (id % 2 = 0) WITH (publish_via_partition_root);
CREATE PUBLICATION of_root_columns FOR TABLE parted (id) WHERE (id % 2 = 0) WITH (publish_via_partition_root);
CREATE PUBLICATION of_leaves FOR TABLE part_1 WHERE (id > 3), part_2 WHERE (id > 13);
CREATE PUBLICATION of_both FOR TABLE parted WHERE (id % 2 = 0), part_1 WHERE (id > 3) WITH (publish_via_partition_root);
CREATE PUBLICATION of_leaf FOR TABLE part_2 (v, id) WHERE (id = 12);
RESET client_min_messages;
CALL h.skip('filters');
CALL h.skip('filters_pgoutput');
INSERT INTO parted SELECT g, 'v' || g FROM generate_series(0, 19) g;
UPDATE parted SET v = 'u';
DELETE FROM parted WHERE id IN (3, 4, 5, 13, 14, 15);
UPDATE parted SET id = id + 1 WHERE id IN (2, 12);
UPDATE parted SET id = id + 1 WHERE id = 3;
UPDATE parted SET id = 14 WHERE id = 0;
DELETE FROM parted;
SELECT p, h.compare_pgoutput('filters', 'filters_pgoutput', p)
  FROM unnest(ARRAY['of_root', 'of_root_columns', 'of_leaves', 'of_both', 'of_leaf', 'of_root,of_leaves', 'of_root_columns,of_leaf']) p;

-- a filter that CREATE PUBLICATION does not let in, written past it into the catalog, is not run: the rows are sent
CREATE FUNCTION users_filter(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION users_equal(int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR === (FUNCTION = users_equal, LEFTARG = int, RIGHTARG = text);
CREATE TABLE hacked (id int PRIMARY KEY, t text);
CREATE TABLE hacks (id int, t text, CONSTRAINT "function" CHECK (users_filter(id)), CONSTRAINT "operator" CHECK (id === t),
  CONSTRAINT volatile CHECK (id > 0 AND clock_timestamp() < '2000-01-01'), CONSTRAINT good CHECK (id < 0));
CREATE PUBLICATION hack FOR TABLE hacked WHERE (id > 0);
SET allow_system_table_mods = on;
CREATE PROCEDURE h.hack(name text) LANGUAGE sql AS $$
  UPDATE pg_publication_rel SET prqual = (SELECT conbin FROM pg_constraint WHERE conrelid = 'hacks'::regclass AND conname = name)
   WHERE prrelid = 'hacked'::regclass
$$;
CALL h.skip('filters');
CALL h.hack('function');
INSERT INTO hacked VALUES (1, 'function');
CALL h.hack('operator');
INSERT INTO hacked VALUES (2, 'operator');
CALL h.hack('volatile');
INSERT INTO hacked VALUES (3, 'volatile');
CALL h.hack('good');
INSERT INTO hacked VALUES (4, 'good, and it does not pass');
SELECT h.changes('filters', 'publications', 'hack');
RESET allow_system_table_mods;
DROP PROCEDURE h.hack;
DROP PUBLICATION hack;
DROP TABLE hacked, hacks;
DROP OPERATOR === (int, text);
DROP FUNCTION users_filter, users_equal;
CALL h.drop('filters', 'filters_pgoutput');
DROP PUBLICATION divides, always_raises, raises_or_not, long_texts, starts, dates, jsons, by_texts, of_root, of_root_columns, of_leaves, of_both, of_leaf;
DROP TABLE filtered, by_text, parted;
