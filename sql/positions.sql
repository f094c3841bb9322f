-- What to confirm: end_lsn in the document of a commit, in the server's own
-- form, which is the position of the message, too; and of a message that is not
-- transactional, which has no commit.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE placed (id int PRIMARY KEY);
CREATE TEMP TABLE told (n bigint, lsn pg_lsn, j json);
CREATE PROCEDURE pg_temp.peek(VARIADIC options text[] DEFAULT '{}') LANGUAGE sql AS $$
  DELETE FROM told;
  INSERT INTO told SELECT ordinality, lsn, data::json
    FROM pg_logical_slot_peek_changes('positions', NULL, NULL, VARIADIC options) WITH ORDINALITY
$$;
-- Confirm all up to there, as a client does; then what is still to come.
CREATE FUNCTION pg_temp.after(confirmed pg_lsn) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT pg_replication_slot_advance('positions', confirmed);
  SELECT coalesce(j -> 'after' ->> 'id', j ->> 'content')
    FROM (SELECT data::json j FROM h.changes('positions')) d
$$;
CALL h.slot('positions');

-- the commit record of 2 begins where that of 1 ends
BEGIN;
INSERT INTO placed VALUES (2);
PREPARE TRANSACTION 'walspout two';
INSERT INTO placed VALUES (1);
COMMIT PREPARED 'walspout two';
SELECT pg_logical_emit_message(false, 'now', 'three') IS NOT NULL;
INSERT INTO placed VALUES (4);
CALL pg_temp.peek('transactions', 'true');
SELECT j ->> 'op' AS op, (SELECT string_agg(k, ' ') FROM json_object_keys(j) k) AS members FROM told ORDER BY n;

-- the form is the server's, and ids begin with the same position in decimal
SELECT count(*) AS positions, bool_and(p ~ '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$') AS in_form, bool_and(p !~ '(^|/)0[0-9A-F]') AS unpadded
  FROM told, LATERAL (VALUES (j ->> 'lsn'), (j ->> 'end_lsn')) v(p) WHERE p IS NOT NULL;
SELECT bool_and((j ->> 'lsn')::pg_lsn - '0/0' = (SELECT split_part(e.j ->> 'id', '-', 1)::numeric FROM told e WHERE e.j ->> 'xid' = told.j ->> 'xid' AND e.j ->> 'op' = 'c'))
  FROM told WHERE j ->> 'op' IN ('begin', 'commit');
SELECT bool_and(j ->> 'id' ~ '^\d+-0$') FROM told WHERE j ->> 'op' IN ('c', 'm');
SELECT bool_and((j ->> 'end_lsn')::pg_lsn > (j ->> 'lsn')::pg_lsn) FROM told WHERE j ->> 'op' = 'commit';
-- the message of a commit, and one that is not transactional, has the position to confirm
SELECT j ->> 'op' AS op, (j ->> 'end_lsn')::pg_lsn = lsn AS same FROM told WHERE j ->> 'end_lsn' IS NOT NULL ORDER BY n;

-- one is confirmed after the other: none comes again, and none is missing
SELECT pg_temp.after((SELECT (j ->> 'end_lsn')::pg_lsn FROM told WHERE j ->> 'end_lsn' IS NOT NULL ORDER BY n LIMIT 1));
SELECT pg_temp.after((SELECT (j ->> 'end_lsn')::pg_lsn FROM told WHERE j ->> 'end_lsn' IS NOT NULL ORDER BY n OFFSET 1 LIMIT 1));
SELECT pg_temp.after((SELECT (j ->> 'end_lsn')::pg_lsn FROM told WHERE j ->> 'end_lsn' IS NOT NULL ORDER BY n OFFSET 2 LIMIT 1));
SELECT pg_temp.after((SELECT (j ->> 'end_lsn')::pg_lsn FROM told WHERE j ->> 'end_lsn' IS NOT NULL ORDER BY n OFFSET 3 LIMIT 1));

-- a message amid a transaction that commits later: to confirm it skips nothing
CALL h.skip('positions');
BEGIN;
INSERT INTO placed VALUES (5);
SELECT pg_logical_emit_message(false, 'now', 'before five') IS NOT NULL;
INSERT INTO placed VALUES (6);
COMMIT;
CALL pg_temp.peek('transactions', 'true');
SELECT pg_temp.after((SELECT (j ->> 'end_lsn')::pg_lsn FROM told WHERE j ->> 'op' = 'm'));

-- without the documents of transactions a message says nothing of positions
SELECT data FROM h.changes('positions', 'transactions', 'false') WHERE data LIKE '%lsn%';
CALL h.skip('positions');
SELECT pg_logical_emit_message(false, 'now', 'seven') IS NOT NULL;
INSERT INTO placed VALUES (8);
SELECT h.changes('positions');
-- its own message's position is the one to confirm
CALL pg_temp.peek();
SELECT pg_temp.after((SELECT lsn FROM told WHERE j ->> 'op' = 'm'));
CALL h.drop('positions');
DROP TABLE placed;
