-- Rows of partitions are those of the leaves, or of the root where the
-- publication says so, whatever the order of the leaves' columns.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE root (id int, region text, dropped int, v text, w int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
ALTER TABLE root DROP dropped;
CREATE TABLE same PARTITION OF root FOR VALUES IN ('same');
-- other columns in other places
CREATE TABLE turned (w int, gone text, v text, gone_too int, region text NOT NULL, id int NOT NULL);
ALTER TABLE turned DROP gone, DROP gone_too;
ALTER TABLE root ATTACH PARTITION turned FOR VALUES IN ('turned');
-- a level between
CREATE TABLE middle (v text, region text NOT NULL, w int, id int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE leaf (id int NOT NULL, w int, x int, region text NOT NULL, v text);
ALTER TABLE leaf DROP x;
ALTER TABLE middle ATTACH PARTITION leaf FOR VALUES FROM (0) TO (100);
ALTER TABLE root ATTACH PARTITION middle FOR VALUES IN ('deep');
CREATE PUBLICATION via_root FOR TABLE root WITH (publish_via_partition_root);
CREATE PUBLICATION via_middle FOR TABLE middle WITH (publish_via_partition_root);
CREATE PUBLICATION leaves FOR TABLE root;
CREATE PUBLICATION one_leaf FOR TABLE leaf;
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root);
CREATE PUBLICATION inserts_of_leaf FOR TABLE leaf WITH (publish = 'insert');
CALL h.slot('partitions');
CALL h.slot('partitions_pgoutput', 'pgoutput');
INSERT INTO root VALUES (1, 'same', 'a', 10), (2, 'turned', 'b', 20), (3, 'deep', 'c', 30);
UPDATE root SET w = w + 1;
-- a row that moves is deleted here and inserted there
UPDATE root SET region = 'turned' WHERE id = 1;
UPDATE root SET region = 'deep' WHERE id = 1;
UPDATE root SET id = 50 WHERE id = 1;
UPDATE leaf SET v = NULL;
DELETE FROM root WHERE id = 2;
ALTER TABLE leaf REPLICA IDENTITY FULL;
ALTER TABLE middle REPLICA IDENTITY FULL;
ALTER TABLE root REPLICA IDENTITY FULL;
UPDATE root SET v = 'full';
ALTER TABLE leaf REPLICA IDENTITY NOTHING;
ALTER TABLE middle REPLICA IDENTITY DEFAULT;
ALTER TABLE root REPLICA IDENTITY DEFAULT;
INSERT INTO turned (id, region, v) VALUES (60, 'turned', 'direct');
SELECT h.changes('partitions');
SELECT h.changes('partitions', 'publications', 'via_root');
SELECT p, h.compare_pgoutput('partitions', 'partitions_pgoutput', p)
  FROM unnest('{via_root,via_middle,leaves,one_leaf,everything,inserts_of_leaf,"via_root,leaves","via_middle,leaves","one_leaf,via_root","via_middle,via_root","inserts_of_leaf,via_middle"}'::text[]) p;

-- partitions that come and go, below a level too
CALL h.skip('partitions');
CALL h.skip('partitions_pgoutput');
ALTER TABLE leaf REPLICA IDENTITY DEFAULT;
INSERT INTO root VALUES (4, 'deep', 'attached', 1);
ALTER TABLE root DETACH PARTITION middle;
INSERT INTO middle (id, region, v) VALUES (5, 'deep', 'middle detached');
INSERT INTO leaf (id, region, v) VALUES (6, 'deep', 'middle detached');
ALTER TABLE middle DETACH PARTITION leaf;
INSERT INTO leaf (id, region, v) VALUES (7, 'deep', 'leaf detached');
ALTER TABLE root ATTACH PARTITION leaf FOR VALUES IN ('deep');
INSERT INTO root VALUES (8, 'deep', 'leaf attached', 1);
ALTER TABLE root DETACH PARTITION leaf;
ALTER TABLE middle ATTACH PARTITION leaf FOR VALUES FROM (0) TO (100);
INSERT INTO middle (id, region, v) VALUES (9, 'deep', 'leaf attached to middle');
ALTER TABLE root ATTACH PARTITION middle FOR VALUES IN ('deep');
INSERT INTO root VALUES (10, 'deep', 'all attached', 1);
SELECT p, count(*) FROM unnest('{via_root,via_middle,leaves,one_leaf,everything}'::text[]) p,
                        h.changes('partitions', 'publications', p) GROUP BY p ORDER BY p;
-- pgoutput of old servers goes on publishing what is detached
\if :since_15
SELECT p, h.compare_pgoutput('partitions', 'partitions_pgoutput', p)
  FROM unnest('{via_root,via_middle,leaves,one_leaf,everything,"via_middle,via_root"}'::text[]) p;
\endif

-- changes of the root, as which rows of the leaves are published
CALL h.skip('partitions');
CALL h.skip('partitions_pgoutput');
ALTER TABLE root RENAME TO stem;
INSERT INTO stem VALUES (11, 'deep', 'root renamed', 1);
ALTER TABLE stem RENAME v TO "V";
INSERT INTO stem VALUES (12, 'deep', 'column renamed', 1), (12, 'turned', 'column renamed', 1);
ALTER TABLE stem ADD added text DEFAULT 'added', DROP w;
INSERT INTO stem (id, region) VALUES (13, 'deep'), (13, 'turned');
ALTER TABLE stem RENAME TO root;
SELECT h.changes('partitions', 'publications', 'via_root');
SELECT h.changes('partitions', 'publications', 'leaves');

-- by its schema
\if :since_15
CREATE SCHEMA elsewhere;
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA elsewhere;
CALL h.skip('partitions');
INSERT INTO root (id, region) VALUES (20, 'same');
ALTER TABLE root SET SCHEMA elsewhere;
INSERT INTO elsewhere.root (id, region) VALUES (21, 'same');
SELECT h.changes('partitions', 'publications', 'of_schema');
-- the same whichever change is read first
CALL h.skip('partitions');
INSERT INTO elsewhere.root (id, region) VALUES (22, 'same');
SELECT h.changes('partitions', 'publications', 'of_schema');
ALTER TABLE elsewhere.root SET SCHEMA public;
DROP PUBLICATION of_schema;
DROP SCHEMA elsewhere;
\endif

CALL h.drop('partitions', 'partitions_pgoutput');
DROP PUBLICATION via_root, via_middle, leaves, one_leaf, everything, inserts_of_leaf;
DROP TABLE root;
