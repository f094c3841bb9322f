-- Every statement that writes rows: COPY, ON CONFLICT, MERGE, SELECT INTO,
-- writes in CTEs, in functions and in triggers, foreign keys, cursors.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE target (id int PRIMARY KEY, v text, n int UNIQUE);
CREATE TABLE source (id int, v text);
INSERT INTO source VALUES (1, 'one'), (2, 'two'), (3, 'three');
CALL h.slot('statements');

COPY target FROM stdin;
1	copied	\N
2	\N	20
\.
-- more rows than fit one record of the WAL
INSERT INTO target SELECT g + 1000, repeat('x', g % 50) FROM generate_series(1, 1000) g;
SELECT h.compare('statements', 'target');
SELECT count(*), count(DISTINCT data::json ->> 'id') FROM h.changes('statements', 'omit', 'xid');
DELETE FROM target WHERE id > 1000;

CALL h.skip('statements');
INSERT INTO target VALUES (1, 'again') ON CONFLICT DO NOTHING;
INSERT INTO target VALUES (1, 'again'), (5, 'new') ON CONFLICT (id) DO UPDATE SET v = excluded.v || target.v RETURNING id;
INSERT INTO target VALUES (6, 'same n', 20) ON CONFLICT (n) DO UPDATE SET id = excluded.id;
INSERT INTO target VALUES (5, 'not me') ON CONFLICT (id) DO UPDATE SET v = excluded.v WHERE target.v IS NULL;
SELECT h.changes('statements');

CALL h.skip('statements');
\if :since_15
MERGE INTO target t USING source s ON t.id = s.id
 WHEN MATCHED AND s.id = 1 THEN DELETE
 WHEN MATCHED THEN UPDATE SET v = s.v
 WHEN NOT MATCHED AND s.id = 3 THEN INSERT VALUES (s.id, s.v, 30);
\else
DELETE FROM target WHERE id = 1;
UPDATE target SET v = 'two' WHERE id = 2;
INSERT INTO target VALUES (3, 'three', 30);
\endif
WITH gone AS (DELETE FROM target WHERE id = 3 RETURNING *) INSERT INTO target SELECT id + 30, v, n FROM gone;
CREATE TABLE made AS SELECT * FROM source;
SELECT * INTO made_too FROM source WHERE id = 2;
SELECT h.changes('statements');

CALL h.skip('statements');
CREATE TABLE referring (id int PRIMARY KEY, t int REFERENCES target ON UPDATE CASCADE ON DELETE SET NULL);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO source VALUES (new.id, 'logged'); RETURN new; END $$;
CREATE TRIGGER log_it BEFORE INSERT OR UPDATE ON target FOR EACH ROW EXECUTE FUNCTION log_it();
INSERT INTO target VALUES (7, 'by trigger');
INSERT INTO referring VALUES (1, 7);
UPDATE target SET id = 8 WHERE id = 7;
DELETE FROM target WHERE id = 8;
SELECT h.changes('statements');

CALL h.skip('statements');
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM referring FOR UPDATE;
MOVE c;
UPDATE referring SET id = 2 WHERE CURRENT OF c;
SELECT * FROM referring FOR UPDATE;
COMMIT;
SELECT h.changes('statements');
CALL h.drop('statements');
DROP TABLE referring, target, source, made, made_too;
DROP FUNCTION log_it;
