-- Replication origins: named in the events, left out by the option; ids do
-- not depend on it.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE replicated (id int PRIMARY KEY, v text);
SELECT pg_replication_origin_create('walspout "up" é') > 0;
SELECT pg_replication_origin_create('walspout gone') > 0;
CALL h.slot('origins');
INSERT INTO replicated VALUES (1, 'local');
SELECT pg_logical_emit_message(true, 'p', 'local') IS NOT NULL, pg_logical_emit_message(false, 'p', 'local at once') IS NOT NULL;
SELECT pg_replication_origin_session_setup('walspout "up" é');
INSERT INTO replicated VALUES (2, 'from another server');
BEGIN;
SELECT pg_replication_origin_xact_setup('0/AABBCC', '2024-02-29 12:00+00');
UPDATE replicated SET v = 'from another server' WHERE id = 1;
TRUNCATE replicated;
INSERT INTO replicated VALUES (3, 'from another server');
SELECT pg_logical_emit_message(true, 'p', 'foreign') IS NOT NULL, pg_logical_emit_message(false, 'p', 'foreign at once') IS NOT NULL;
COMMIT;
-- a session may give it up, and take it, in the middle of a transaction
BEGIN;
INSERT INTO replicated VALUES (4, 'foreign in a local transaction');
SELECT pg_replication_origin_session_reset();
INSERT INTO replicated VALUES (5, 'local');
COMMIT;
BEGIN;
INSERT INTO replicated VALUES (6, 'local in a foreign transaction');
SELECT pg_replication_origin_session_setup('walspout gone');
INSERT INTO replicated VALUES (7, 'foreign');
COMMIT;
SELECT pg_replication_origin_session_reset();
SELECT h.changes('origins');
SELECT h.changes('origins', 'origin', 'none');
SELECT h.changes('origins', 'omit', 'id,ts,xid,origin');
-- what is left has the ids that it has without the option
SELECT count(*) FROM h.changes('origins', 'origin', 'none', 'omit', 'ts') WHERE data NOT IN (SELECT h.changes('origins', 'omit', 'ts'));
SELECT regexp_replace(h.changes('origins', 'transactions', 'true'), 'lsn":"[0-9A-F]+/[0-9A-F]+', 'lsn":"X/X', 'g');
-- an origin that is gone has no name; the rows are still not local
SELECT pg_replication_origin_drop('walspout gone');
SELECT data FROM h.changes('origins') WHERE data LIKE '%foreign"%';
SELECT count(*) FROM h.changes('origins', 'origin', 'none');
SELECT pg_replication_origin_drop('walspout "up" é');
SELECT count(*) FROM h.changes('origins', 'origin', 'none');
CALL h.drop('origins');
DROP TABLE replicated;
