-- Only what is committed is sent, in the order of commits: subtransactions,
-- rolled back ones, prepared transactions, transactions that spill to disk.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE sub (id int PRIMARY KEY, v text);
CALL h.slot('sub');
CALL h.slot('sub_two_phase', 'walspout', :'since_14');
BEGIN;
INSERT INTO sub VALUES (1, 'top');
SAVEPOINT a;
INSERT INTO sub VALUES (2, 'a');
SAVEPOINT b;
INSERT INTO sub VALUES (3, 'b, rolled back');
ROLLBACK TO b;
INSERT INTO sub VALUES (3, 'b again');
RELEASE a;
UPDATE sub SET v = 'top again' WHERE id = 1;
COMMIT;
BEGIN;
INSERT INTO sub VALUES (4, 'never');
ROLLBACK;
DO $$
BEGIN
  FOR i IN 10 .. 12 LOOP
    BEGIN
      INSERT INTO sub VALUES (i, 'in a block');
      INSERT INTO sub VALUES (1, 'taken');
    EXCEPTION WHEN unique_violation THEN
      INSERT INTO sub VALUES (i, 'after an error');
    END;
  END LOOP;
END
$$;
SELECT h.changes('sub');
-- indexes count on, and all of a transaction has one xid
SELECT regexp_replace(data::json ->> 'id', '.*-', '') AS index, data::json #>> '{after,v}',
       dense_rank() OVER (ORDER BY (data::json ->> 'xid')::int) AS transaction
  FROM h.changes('sub', 'omit', 'ts');
-- and ids grow, as numbers, in the order of the documents
SELECT count(*) FILTER (WHERE id <= before) FROM (
  SELECT string_to_array(data::json ->> 'id', '-')::numeric[] AS id,
         lag(string_to_array(data::json ->> 'id', '-')::numeric[]) OVER (ORDER BY n) AS before
    FROM h.changes('sub', 'omit', 'ts') WITH ORDINALITY d(data, n)) ids;

-- prepared transactions are sent when they are committed, not before
CALL h.skip('sub');
CALL h.skip('sub_two_phase');
BEGIN;
INSERT INTO sub VALUES (20, 'prepared first, committed second');
SAVEPOINT s;
INSERT INTO sub VALUES (21, 'in a savepoint');
PREPARE TRANSACTION 'first';
BEGIN;
INSERT INTO sub VALUES (22, 'rolled back');
PREPARE TRANSACTION 'second';
INSERT INTO sub VALUES (23, 'committed first');
SELECT s, h.changes(s) FROM unnest('{sub,sub_two_phase}'::text[]) s;
ROLLBACK PREPARED 'second';
COMMIT PREPARED 'first';
SELECT s, h.changes(s) FROM unnest('{sub,sub_two_phase}'::text[]) s;
-- with the time and the LSN of the commit, not of the preparation
SELECT count(DISTINCT data) FROM (SELECT h.changes(s, 'omit', 'op') AS data FROM unnest('{sub,sub_two_phase}'::text[]) s) d;
SELECT min((data::json ->> 'ts')::timestamptz) < max((data::json ->> 'ts')::timestamptz) FROM h.changes('sub', 'omit', 'id') data;

-- spilled to disk
CALL h.skip('sub');
SET logical_decoding_work_mem = '64kB';
BEGIN;
INSERT INTO sub SELECT g, repeat('x', 100) FROM generate_series(1000, 3000) g;
SAVEPOINT s;
INSERT INTO sub SELECT g, repeat('y', 100) FROM generate_series(3001, 5000) g;
ROLLBACK TO s;
SAVEPOINT t;
INSERT INTO sub SELECT g, repeat('z', 100) FROM generate_series(3001, 5000) g;
UPDATE sub SET v = v || 'u' WHERE id > 4000;
COMMIT;
SELECT count(*), count(DISTINCT data::json -> 'after' ->> 'id'), max(length(data)) FROM h.changes('sub');
SELECT count(*), max(split_part(data::json ->> 'id', '-', 2)::int) FROM h.changes('sub', 'omit', 'xid');
RESET logical_decoding_work_mem;
CALL h.drop('sub', 'sub_two_phase');
DROP TABLE sub;
