-- FOR ALL TABLES EXCEPT: what is excluded is not sent, nor are partitions of
-- what is excluded. pgoutput says the same.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
\if :since_19
\else
\quit
\endif
CREATE TABLE sent (id int PRIMARY KEY, v text);
CREATE TABLE not_sent (id int PRIMARY KEY, v text);
CREATE TABLE root (id int, part int, v text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE leaf PARTITION OF root FOR VALUES IN (1);
CREATE TABLE middle PARTITION OF root FOR VALUES IN (2, 3) PARTITION BY LIST (part);
CREATE TABLE deep PARTITION OF middle FOR VALUES IN (2);
CREATE TABLE other_root (id int, part int, v text, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE other_leaf PARTITION OF other_root FOR VALUES IN (1);
SET client_min_messages = error;
CREATE PUBLICATION e_table FOR ALL TABLES EXCEPT (TABLE not_sent);
CREATE PUBLICATION e_root FOR ALL TABLES EXCEPT (TABLE root);
CREATE PUBLICATION e_root_via FOR ALL TABLES EXCEPT (TABLE root) WITH (publish_via_partition_root);
CREATE PUBLICATION e_both_via FOR ALL TABLES EXCEPT (TABLE not_sent, root) WITH (publish_via_partition_root);
CREATE PUBLICATION e_inserts FOR ALL TABLES EXCEPT (TABLE not_sent, other_root) WITH (publish = 'insert');
CREATE PUBLICATION e_named FOR TABLE not_sent, leaf;
CREATE PUBLICATION e_named_root FOR TABLE root WITH (publish_via_partition_root);
CREATE PUBLICATION e_filtered FOR TABLE not_sent WHERE (id > 1);
RESET client_min_messages;
CALL h.slot('except');
CALL h.slot('except_pgoutput', 'pgoutput');
INSERT INTO sent VALUES (1, 'a'), (2, 'b');
INSERT INTO not_sent VALUES (1, 'a'), (2, 'b');
INSERT INTO root VALUES (1, 1, 'leaf'), (2, 2, 'deep');
INSERT INTO other_root VALUES (1, 1, 'other');
UPDATE sent SET v = 'new' WHERE id = 1;
UPDATE not_sent SET v = 'new';
UPDATE root SET v = 'new';
UPDATE root SET part = 2 WHERE id = 1;
UPDATE other_root SET v = 'new';
DELETE FROM sent WHERE id = 2;
DELETE FROM not_sent WHERE id = 2;
DELETE FROM root WHERE id = 2;
TRUNCATE root, other_root, sent, not_sent;
TRUNCATE leaf;
SELECT p, h.compare_pgoutput('except', 'except_pgoutput', p)
  FROM unnest(ARRAY['e_table', 'e_root', 'e_root_via', 'e_both_via', 'e_inserts', 'e_table,e_root', 'e_table,e_named',
                    'e_root,e_named', 'e_root_via,e_named_root', 'e_both_via,e_filtered', 'e_inserts,e_table']) p;
SELECT h.changes('except', 'publications', 'e_both_via');

-- what is excluded changes, and so does what a table is a partition of
CALL h.skip('except');
CALL h.skip('except_pgoutput');
INSERT INTO sent VALUES (3, 'sent');
INSERT INTO not_sent VALUES (3, 'left out');
ALTER PUBLICATION e_table SET ALL TABLES EXCEPT (TABLE sent);
INSERT INTO sent VALUES (4, 'left out');
INSERT INTO not_sent VALUES (4, 'sent');
ALTER PUBLICATION e_table SET ALL TABLES;
INSERT INTO sent VALUES (5, 'sent');
INSERT INTO not_sent VALUES (5, 'sent');
INSERT INTO leaf VALUES (6, 1, 'left out');
ALTER TABLE root DETACH PARTITION leaf;
INSERT INTO leaf VALUES (7, 1, 'sent');
ALTER TABLE root ATTACH PARTITION leaf FOR VALUES IN (1);
INSERT INTO leaf VALUES (8, 1, 'left out');
ALTER TABLE root DETACH PARTITION middle;
INSERT INTO deep VALUES (9, 2, 'sent');
SELECT h.changes('except', 'publications', 'e_table');
SELECT h.changes('except', 'publications', 'e_root');
SELECT p, h.compare_pgoutput('except', 'except_pgoutput', p) FROM unnest(ARRAY['e_table', 'e_root', 'e_root_via']) p;

CALL h.drop('except', 'except_pgoutput');
DROP PUBLICATION e_table, e_root, e_root_via, e_both_via, e_inserts, e_named, e_named_root, e_filtered;
DROP TABLE sent, not_sent, root, middle, other_root;
