-- TRUNCATE is one event for each table, with its options.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('truncate');
CREATE TABLE parents (id serial PRIMARY KEY);
CREATE TABLE children (id serial PRIMARY KEY, parent int REFERENCES parents);
CREATE TABLE alone (a int);
CREATE UNLOGGED TABLE unlogged (a int);
CREATE TABLE parted (a int) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
CREATE TABLE inherited () INHERITS (alone);
INSERT INTO alone VALUES (1);
TRUNCATE alone;
TRUNCATE ONLY alone;
TRUNCATE parents, children RESTART IDENTITY;
TRUNCATE parents CASCADE;
TRUNCATE parents RESTART IDENTITY CASCADE;
TRUNCATE unlogged;
TRUNCATE unlogged, children;
TRUNCATE parted;
TRUNCATE parted_1;
BEGIN;
INSERT INTO alone VALUES (2);
TRUNCATE alone;
INSERT INTO alone VALUES (3);
ROLLBACK;
BEGIN;
CREATE TABLE fresh (a int);
INSERT INTO fresh VALUES (1);
TRUNCATE fresh;
INSERT INTO fresh VALUES (2);
COMMIT;
SELECT h.changes('truncate');

-- each has an index of its own
SELECT regexp_replace(data::json ->> 'id', '.*-', ''), data::json ->> 'table'
  FROM h.changes('truncate', 'omit', 'ts,xid') WHERE data LIKE '%"t"%' ORDER BY data::json ->> 'id' LIMIT 5;

-- as publications want it
CREATE PUBLICATION as_leaves FOR TABLE parted, alone, parents;
CREATE PUBLICATION as_root FOR TABLE parted WITH (publish_via_partition_root);
CREATE PUBLICATION without FOR TABLE parted, alone, parents WITH (publish = 'insert, update, delete');
CREATE PUBLICATION only_truncate FOR ALL TABLES WITH (publish = 'truncate');
CALL h.slot('truncate_pgoutput', 'pgoutput');
CALL h.skip('truncate');
INSERT INTO parted VALUES (1);
TRUNCATE parted, alone, children, parents;
TRUNCATE parted_1, alone CASCADE;
TRUNCATE parted_2 RESTART IDENTITY;
SELECT p, h.compare_pgoutput('truncate', 'truncate_pgoutput', p)
  FROM unnest('{as_leaves,as_root,without,only_truncate,"as_leaves,as_root","as_root,only_truncate"}'::text[]) p;
SELECT h.changes('truncate', 'publications', 'as_root,only_truncate');
CALL h.drop('truncate', 'truncate_pgoutput');
DROP PUBLICATION as_leaves, as_root, without, only_truncate;
DROP TABLE parents, children, alone, unlogged, parted, inherited, fresh;
