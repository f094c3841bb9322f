-- A value whose type was altered after it was made, in a way that ALTER TYPE rejects once a column has the
-- type: a variable held the value meanwhile. The latest minor releases raise when they take it apart. The row
-- goes out all the same, and so does what follows. Older ones read the value as if it were of the new type.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('altered');
CREATE TYPE altered AS (a int, b bigint);
CREATE TYPE around AS (inner_array altered[], c int);
DO $$
DECLARE
  many altered[] := array[row(1, 2)::altered];
  nested around[] := array[row(array[row(1, 2)::altered], 3)::around];
BEGIN
  EXECUTE 'ALTER TYPE altered ALTER ATTRIBUTE b TYPE int';
  EXECUTE 'CREATE TABLE altered_types (id int PRIMARY KEY, v altered[], n around[], w text)';
  EXECUTE 'ALTER TABLE altered_types REPLICA IDENTITY FULL';
  EXECUTE 'INSERT INTO altered_types VALUES (1, $1, NULL, ''w''), (2, NULL, $2, ''w'')' USING many, nested;
END $$;
INSERT INTO altered_types VALUES (3, array[row(5, 6)::altered], array[row(array[row(7, 8)::altered], 9)::around], 'w');
UPDATE altered_types SET w = 'x';
DELETE FROM altered_types WHERE id < 3;
SELECT data::json ->> 'op' AS op, coalesce(data::json #>> '{after,id}', data::json #>> '{before,id}') AS id,
       data::json #>> '{after,w}' AS w
  FROM h.changes('altered');
-- what fits is there
INSERT INTO altered_types VALUES (4, array[row(5, 6)::altered], array[row(array[row(7, 8)::altered], 9)::around], 'w');
SELECT data::json -> 'after' AS after FROM h.changes('altered') WHERE (data::json #>> '{after,id}')::int > 2;
CALL h.drop('altered');
DROP TABLE altered_types;
DROP TYPE around, altered;
