-- What publications of every version say: tables, operations, all tables, and
-- partitions as their root. The same as pgoutput.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE plain (id int PRIMARY KEY, v text);
CREATE TABLE "Plain too" (id int PRIMARY KEY, v text);
CREATE TABLE plain_root (id int, part int, v text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE plain_leaf PARTITION OF plain_root FOR VALUES IN (1);
SET client_min_messages = error;
CREATE PUBLICATION plain_all FOR ALL TABLES;
CREATE PUBLICATION plain_all_via FOR ALL TABLES WITH (publish_via_partition_root);
CREATE PUBLICATION plain_one FOR TABLE plain;
CREATE PUBLICATION "Plain, two" FOR TABLE plain, "Plain too";
CREATE PUBLICATION plain_inserts FOR TABLE plain WITH (publish = 'insert');
CREATE PUBLICATION plain_deletes FOR ALL TABLES WITH (publish = 'delete, truncate');
CREATE PUBLICATION plain_partitions FOR TABLE plain_root;
CREATE PUBLICATION plain_partitions_via FOR TABLE plain_root WITH (publish_via_partition_root);
CREATE PUBLICATION plain_nothing;
RESET client_min_messages;
CALL h.slot('plain');
CALL h.slot('plain_pgoutput', 'pgoutput');
INSERT INTO plain VALUES (1, 'a'), (2, 'b');
INSERT INTO "Plain too" VALUES (1, 'a');
INSERT INTO plain_root VALUES (1, 1, 'a'), (2, 1, 'b');
UPDATE plain SET id = id + 10;
UPDATE "Plain too" SET v = 'new';
UPDATE plain_root SET v = 'new';
DELETE FROM plain WHERE id = 11;
DELETE FROM plain_root WHERE id = 1;
TRUNCATE plain, "Plain too", plain_root;
SELECT p, h.compare_pgoutput('plain', 'plain_pgoutput', p)
  FROM unnest(ARRAY['plain_all', 'plain_all_via', 'plain_one', '"Plain, two"', 'plain_inserts', 'plain_deletes', 'plain_partitions',
                    'plain_partitions_via', 'plain_nothing', 'plain_inserts,plain_deletes', 'plain_one,plain_partitions_via']) p;
CALL h.drop('plain', 'plain_pgoutput');
DROP PUBLICATION plain_all, plain_all_via, plain_one, "Plain, two", plain_inserts, plain_deletes, plain_partitions,
  plain_partitions_via, plain_nothing;
DROP TABLE plain, "Plain too", plain_root;
