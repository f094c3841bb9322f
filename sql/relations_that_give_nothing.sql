-- Nothing is sent of unlogged and temporary tables, materialized views,
-- sequences, catalogs, foreign tables, and of tables being rewritten.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('nothing');
CREATE UNLOGGED TABLE un (id int PRIMARY KEY, v text);
INSERT INTO un VALUES (1, repeat('x', 5000));
UPDATE un SET v = 'y';
DELETE FROM un;
CREATE TEMP TABLE tmp (id int PRIMARY KEY, v text);
INSERT INTO tmp VALUES (1, 'x');
CREATE SEQUENCE sq;
SELECT nextval('sq');
CREATE TABLE base (id int PRIMARY KEY, v text);
CREATE MATERIALIZED VIEW mv AS SELECT * FROM base;
CREATE UNIQUE INDEX ON mv (id);
CREATE VIEW vw AS SELECT * FROM base;
CALL h.skip('nothing');
REFRESH MATERIALIZED VIEW mv;
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
SELECT h.changes('nothing');
INSERT INTO vw VALUES (1, 'through a view');
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
REFRESH MATERIALIZED VIEW mv;
UPDATE base SET v = repeat('long ', 1000);
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
VACUUM FULL base;
CLUSTER base USING base_pkey;
DROP MATERIALIZED VIEW mv;
DROP VIEW vw;
ALTER TABLE base ALTER id TYPE bigint;
ALTER TABLE base ALTER v TYPE varchar USING 'rewritten';
ALTER TABLE base SET UNLOGGED;
INSERT INTO base VALUES (2, 'unlogged');
ALTER TABLE base SET LOGGED;
INSERT INTO base VALUES (3, 'logged again');
SELECT replace(h.changes('nothing'), repeat('long ', 1000), '(1000 times long)');
CALL h.drop('nothing');
DROP TABLE un, tmp, base;
DROP SEQUENCE sq;
