-- Publications count as they were when the change was made. One that is
-- missing is an error that names it; one that came later publishes nothing
-- before; none of this stops a slot for good.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
\if :since_15
\else
\quit
\endif
CREATE TABLE watched (id int PRIMARY KEY, v text, w text);
CREATE TABLE other (id int PRIMARY KEY);
CALL h.slot('changing');
INSERT INTO watched VALUES (1, 'before all publications');
SELECT h.changes('changing', 'publications', 'late');
SELECT h.changes('changing', 'publications', '"Late one",late');
CREATE PUBLICATION late FOR TABLE watched;
INSERT INTO watched VALUES (2, 'published');
SELECT h.changes('changing', 'publications', 'late');
SELECT h.changes('changing', 'publications', 'late,missing');
DROP PUBLICATION late;
INSERT INTO watched VALUES (3, 'after it was dropped');
SELECT h.changes('changing', 'publications', 'late');
CREATE PUBLICATION late FOR TABLE watched WHERE (id > 4);
INSERT INTO watched VALUES (4, 'filtered'), (5, 'published again');
SELECT h.changes('changing', 'publications', 'late');
-- read, so that the slot is beyond all of it
SELECT count(*) FROM pg_logical_slot_get_changes('changing', NULL, NULL, 'publications', 'late');
SELECT h.changes('changing', 'publications', 'late');

-- every change to a publication counts from where it stands
ALTER PUBLICATION late SET TABLE watched (id, w);
INSERT INTO watched VALUES (6, 'v', 'column list');
ALTER PUBLICATION late SET (publish = 'update');
INSERT INTO watched VALUES (7, 'v', 'no inserts');
ALTER PUBLICATION late SET (publish = 'insert');
ALTER PUBLICATION late SET TABLE watched WHERE (v = 'w');
INSERT INTO watched VALUES (8, 'v', 'filtered'), (9, 'w', 'not filtered');
ALTER PUBLICATION late ADD TABLE other;
INSERT INTO other VALUES (1);
ALTER PUBLICATION late DROP TABLE watched;
INSERT INTO watched VALUES (10, 'w', 'dropped');
ALTER PUBLICATION late ADD TABLES IN SCHEMA public;
INSERT INTO watched VALUES (11, 'w', 'by its schema');
ALTER PUBLICATION late RENAME TO later;
INSERT INTO watched VALUES (12, 'w', 'by another name');
ALTER PUBLICATION later RENAME TO late;
INSERT INTO watched VALUES (13, 'w', 'by its name');
BEGIN;
INSERT INTO watched VALUES (14, 'w', 'before');
DROP PUBLICATION late;
CREATE PUBLICATION late FOR TABLE other;
INSERT INTO watched VALUES (15, 'w', 'after');
INSERT INTO other VALUES (15);
COMMIT;
SELECT h.changes('changing', 'publications', 'late');
-- a column of the filter is renamed, retyped
CALL h.skip('changing');
ALTER PUBLICATION late SET TABLE watched (id, v) WHERE (v <> 'no');
INSERT INTO watched VALUES (20, 'yes', 'w'), (21, 'no', 'w');
ALTER TABLE watched RENAME v TO renamed;
INSERT INTO watched VALUES (22, 'yes', 'w'), (23, 'no', 'w');
ALTER TABLE watched DROP w, ADD x int DEFAULT 1;
INSERT INTO watched VALUES (24, 'yes', 1), (25, 'no', 1);
SELECT h.changes('changing', 'publications', 'late');
CALL h.drop('changing');
DROP PUBLICATION late;
DROP TABLE watched, other;
