-- Documents at the begin and the end of transactions, in both formats, with the number of changes of each table.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE one (id int PRIMARY KEY);
CREATE TABLE "two ""é" (id int PRIMARY KEY);
CREATE PUBLICATION transactions_of_two FOR TABLE "two ""é";
CALL h.slot('transactions');
BEGIN;
INSERT INTO one VALUES (1), (2);
INSERT INTO "two ""é" VALUES (1);
INSERT INTO one VALUES (3);
SELECT pg_logical_emit_message(true, 'p', 'in') IS NOT NULL;
SAVEPOINT s;
INSERT INTO one VALUES (4);
ROLLBACK TO s;
ALTER TABLE one RENAME TO three;
UPDATE three SET id = 5 WHERE id = 1;
COMMIT;
SELECT pg_logical_emit_message(false, 'p', 'its own') IS NOT NULL;
TRUNCATE three, "two ""é";
SELECT pg_logical_emit_message(true, 'p', 'alone') IS NOT NULL;
SELECT pg_logical_emit_message(true, 'walspout.mark', 'no event') IS NOT NULL;
CREATE TABLE nothing_sent (id int);
CREATE FUNCTION pg_temp.plain(t text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(t, 'lsn":"[0-9A-F]+/[0-9A-F]+', 'lsn":"X/X', 'g') $$;
SELECT pg_temp.plain(data) FROM h.changes('transactions', 'transactions', 'true');
-- frames: in one message with what is next to it, and not counted by the commit frame
SELECT message, kind, flags, relation = 0 AS of_no_table, index, pg_temp.plain(left(document, 100)) AS document FROM h.frames('transactions', 'transactions', 'true', 'batch_bytes', '1');
SELECT h.number(body, 16, 8) AS events FROM h.frames('transactions', 'transactions', 'true') WHERE kind = 'C';
-- the same documents, but for the id, which only events have
SELECT count(*), count(*) FILTER (WHERE regexp_replace(f.document, '^{"id":"\d+-(begin|commit)",', '{') = j.data)
  FROM (SELECT document, row_number() OVER () AS n FROM h.frames('transactions', 'omit', '', 'transactions', 'true') WHERE kind BETWEEN 'a' AND 'z') f
  FULL JOIN (SELECT data, row_number() OVER () AS n FROM h.changes('transactions', 'omit', '', 'transactions', 'true')) j USING (n);
SELECT regexp_replace(split_part(document, ',', 1), '\d+', 'N') AS id, count(*) FROM h.frames('transactions', 'omit', '', 'transactions', 'true') WHERE kind IN ('b', 'e') GROUP BY 1 ORDER BY 1;
-- with schemas: the begin is first, and the end is last
SELECT string_agg(kind, '') FROM h.frames('transactions', 'transactions', 'true', 'schemas', 'true');
SELECT string_agg(kind, '') FROM h.frames('transactions', 'transactions', 'true', 'publications', 'transactions_of_two', 'messages', 'false');
SELECT string_agg(kind, '') FROM h.frames('transactions');
CALL h.drop('transactions');
DROP PUBLICATION transactions_of_two;
DROP TABLE three, "two ""é", nothing_sent;
