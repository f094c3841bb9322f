-- Marks of a reader of tables: messages that say where they are in the stream,
-- and are no events. The extension's own tables, which are never sent.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE marked (id int PRIMARY KEY);
CREATE FUNCTION pg_temp.mark(content text, transactional boolean DEFAULT true) RETURNS boolean LANGUAGE sql AS
  $$ SELECT pg_logical_emit_message(transactional, 'walspout.mark', content) IS NOT NULL $$;
CALL h.slot('marks');
SELECT pg_temp.mark('nonce 1');
INSERT INTO marked VALUES (1);
SELECT pg_temp.mark('');
-- as the forwarder writes them
BEGIN;
SET LOCAL synchronous_commit = local;
SELECT pg_temp.mark('nonce é 2');
COMMIT;
-- within a transaction: before its first event, between events, and behind the last one
BEGIN;
SELECT pg_temp.mark('a');
INSERT INTO marked VALUES (2);
SELECT pg_temp.mark('b'), pg_temp.mark('c');
INSERT INTO marked VALUES (3);
SELECT pg_temp.mark('d');
COMMIT;
BEGIN;
SELECT pg_temp.mark('never');
ROLLBACK;
-- what is no mark, though its prefix is reserved: at once, and too long
SELECT pg_temp.mark('at once', false), pg_temp.mark(repeat('x', 1025));
SELECT pg_temp.mark(repeat('x', 1024));
SELECT pg_logical_emit_message(true, 'walspout.marks', 'another prefix') IS NOT NULL;
SELECT message, kind, flags, sixteen, h.short(document) FROM h.frames('marks') WHERE kind <> 'R';
-- marks have a transaction like any other, with as many events as there are
SELECT message, h.number(body, 0, 8) = lead(h.number(body, 0, 8)) OVER w AS same_lsn,
       lead(h.number(body, 8, 8) > h.number(body, 0, 8)) OVER w AS end_behind, lead(h.number(body, 16, 8)) OVER w AS events
  FROM h.frames('marks') WITH ORDINALITY f WHERE kind IN ('B', 'C') WINDOW w AS (PARTITION BY message ORDER BY ordinality);
-- they count nothing: ids are the same as in json, where they are left out
SELECT h.changes('marks');
SELECT count(*), count(*) FILTER (WHERE f.document = j.data)
  FROM (SELECT document, row_number() OVER () AS n FROM h.frames('marks', 'omit', 'ts') WHERE kind BETWEEN 'a' AND 'z') f
  FULL JOIN (SELECT data, row_number() OVER () AS n FROM h.changes('marks', 'omit', 'ts')) j USING (n);
-- whatever the options say
CREATE PUBLICATION marks_none;
SELECT string_agg(kind || CASE kind WHEN 'M' THEN left(document, 7) ELSE '' END, ' ' ORDER BY message)
  FROM h.frames('marks', 'messages', 'false', 'publications', 'marks_none');
SELECT string_agg(kind || CASE kind WHEN 'M' THEN left(document, 7) ELSE '' END, ' ' ORDER BY message)
  FROM h.frames('marks', 'message_prefixes', 'x', 'publications', 'marks_none', 'batch_bytes', '1');
CALL h.skip('marks');
SELECT pg_replication_origin_create('marks') > 0, pg_replication_origin_session_setup('marks') IS NOT NULL;
SELECT pg_temp.mark('replicated');
SELECT pg_replication_origin_session_reset() IS NOT NULL, pg_replication_origin_drop('marks') IS NOT NULL;
SELECT kind, document FROM h.frames('marks', 'origin', 'none');

-- tables of the extension: not even where every table is published
CREATE PUBLICATION marks_all FOR ALL TABLES;
CREATE TABLE walspout.not_ours (id int PRIMARY KEY);
CREATE SCHEMA "Walspout";
CREATE TABLE "Walspout".backfills (id int PRIMARY KEY);
CALL h.skip('marks');
INSERT INTO walspout.backfills (slot, "table", relation) VALUES ('marks', 'public.marked', 'marked'::regclass);
UPDATE walspout.backfills SET state = 'running', cursor = '{1}';
DELETE FROM walspout.backfills;
INSERT INTO walspout.not_ours VALUES (1);
INSERT INTO "Walspout".backfills VALUES (2);
TRUNCATE walspout.backfills, walspout.backfill_keys, walspout.not_ours;
SELECT h.changes('marks');
SELECT h.changes('marks', 'publications', 'marks_all');
SELECT count(*) FROM h.frames('marks') WHERE kind = 'R' AND document ~ '^walspout';
CALL h.skip('marks');
DROP SCHEMA "Walspout" CASCADE;
DROP TABLE walspout.not_ours;
-- a schema of that name that is not the extension's
DROP EXTENSION walspout;
CREATE SCHEMA walspout;
CREATE TABLE walspout.backfills (id int PRIMARY KEY);
INSERT INTO walspout.backfills VALUES (1);
SELECT h.changes('marks');
CALL h.skip('marks');
DROP SCHEMA walspout CASCADE;
CREATE EXTENSION walspout;
CALL h.drop('marks');
DROP PUBLICATION marks_none, marks_all;
DROP TABLE marked;
