-- Frames tell where each column is in "after", for rows that have unchanged columns,
-- and where the old key is in "before", for updates that changed it; and for no others.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE parts (id int PRIMARY KEY, big text, "é" text, gone int, n numeric, last text);
ALTER TABLE parts ALTER big SET STORAGE EXTERNAL, ALTER last SET STORAGE EXTERNAL, DROP gone;
INSERT INTO parts VALUES (1, repeat('b', 3000), 'é"', 1.50, repeat('l', 3000)), (2, 'b', NULL, 2, 'l'), (3, repeat('b', 3000), 'x', NULL, 'l');
CALL h.slot('members');
-- what is told of the last relation before each event, in the order of the stream
CREATE FUNCTION pg_temp.told(VARIADIC options text[] DEFAULT '{}')
RETURNS TABLE (kind text, flags int, unchanged json, members text[], old_key text) LANGUAGE sql AS $$
  SELECT f.kind, f.flags, f.document::json -> 'unchanged',
         CASE WHEN f.flags & 16 = 16 THEN
           h.members_of(r.body, f.after, f.members[:(SELECT count(*) FROM h.frame_columns(r.body))]) END,
         CASE WHEN f.flags & 64 = 64 THEN h.old_key_of(r.body, f.before, f.members) END
    FROM h.frames('members', VARIADIC options) WITH ORDINALITY f,
         LATERAL (SELECT r.body FROM h.frames('members', VARIADIC options) WITH ORDINALITY r
                   WHERE r.kind = 'R' AND r.relation = f.relation AND r.ordinality < f.ordinality
                   ORDER BY r.ordinality DESC LIMIT 1) r
   WHERE f.kind BETWEEN 'a' AND 'z' ORDER BY f.ordinality
$$;
UPDATE parts SET n = n + 1;
UPDATE parts SET big = 'new' WHERE id = 1;
UPDATE parts SET id = 4 WHERE id = 1;
UPDATE parts SET last = 'new' WHERE id = 4;
INSERT INTO parts VALUES (5, 'b', 'x', 1, 'l');
UPDATE parts SET big = repeat('B', 5000), "é" = repeat('é', 400) WHERE id = 3;
UPDATE parts SET n = 0 WHERE id = 3;
DELETE FROM parts WHERE id = 3;
SELECT kind, flags, unchanged, h.short(members::text) FROM pg_temp.told();
-- elided columns
SELECT kind, flags, unchanged, h.short(members::text) FROM pg_temp.told('max_value_bytes', '600');
-- the documents are the same as without
SELECT count(*), count(*) FILTER (WHERE f.document = j.data)
  FROM (SELECT document, row_number() OVER () AS n FROM h.frames('members') WHERE kind BETWEEN 'a' AND 'z') f
  FULL JOIN (SELECT data, row_number() OVER () AS n FROM h.changes('members')) j USING (n);
-- a table of one column, which is unchanged; all columns are
CALL h.skip('members');
CREATE TABLE parts_of_one (big text);
ALTER TABLE parts_of_one ALTER big SET STORAGE EXTERNAL;
INSERT INTO parts_of_one VALUES (repeat('b', 3000));
UPDATE parts_of_one SET big = big;
SELECT * FROM pg_temp.told();
-- under FULL nothing is unchanged
CALL h.skip('members');
ALTER TABLE parts REPLICA IDENTITY FULL;
INSERT INTO parts VALUES (6, repeat('b', 3000), 'x', 1, 'l');
UPDATE parts SET n = 2 WHERE id = 6;
SELECT * FROM pg_temp.told();
-- two tables by turns, one of which has it
CALL h.skip('members');
ALTER TABLE parts REPLICA IDENTITY DEFAULT;
CREATE TABLE parts_whole (id int PRIMARY KEY, v text);
INSERT INTO parts_whole VALUES (1, 'v');
BEGIN;
UPDATE parts SET n = 3 WHERE id = 6;
UPDATE parts_whole SET v = 'w';
UPDATE parts SET n = 4 WHERE id = 6;
UPDATE parts_whole SET v = 'x';
UPDATE parts SET n = 5, big = '' WHERE id = 6;
UPDATE parts SET n = 6 WHERE id = 6;
COMMIT;
SELECT kind, flags, unchanged, h.short(members::text) FROM pg_temp.told();
-- old keys: of several columns, with others between them, under FULL, of an index, and with what JSON escapes
CALL h.skip('members');
CREATE TABLE parts_keyed (v text, b jsonb, "n""" int, w text, a text, PRIMARY KEY (a, b, "n"""));
ALTER TABLE parts_keyed ALTER w SET STORAGE EXTERNAL;
INSERT INTO parts_keyed VALUES ('v', '{"x":[1,"}"]}', 1, repeat('w', 3000), E'a"\\,');
UPDATE parts_keyed SET v = 'w';
UPDATE parts_keyed SET b = '"{,"';
UPDATE parts_keyed SET a = 'é', w = 'w';
ALTER TABLE parts_keyed REPLICA IDENTITY FULL;
UPDATE parts_keyed SET v = '"b":3';
UPDATE parts_keyed SET "n""" = 2;
UPDATE parts_keyed SET b = '[]', a = '';
CREATE UNIQUE INDEX parts_keyed_w ON parts_keyed (w);
ALTER TABLE parts_keyed ALTER w SET NOT NULL, REPLICA IDENTITY USING INDEX parts_keyed_w;
UPDATE parts_keyed SET w = 'x', a = 'y';
UPDATE parts_keyed SET a = 'z';
DELETE FROM parts_keyed;
SELECT kind, flags, unchanged, h.short(members::text), old_key FROM pg_temp.told();
-- one whose old key is elided
CALL h.skip('members');
INSERT INTO parts_keyed VALUES ('v', '1', 1, repeat('w', 700), 'a');
UPDATE parts_keyed SET w = 'x';
UPDATE parts_keyed SET w = 'y';
SELECT kind, flags, old_key FROM pg_temp.told('max_value_bytes', '600');
-- the documents are those without frames
SELECT count(*), count(*) FILTER (WHERE f.document = j.data)
  FROM (SELECT document, row_number() OVER () AS n FROM h.frames('members') WHERE kind BETWEEN 'a' AND 'z') f
  FULL JOIN (SELECT data, row_number() OVER () AS n FROM h.changes('members')) j USING (n);
CALL h.drop('members');
DROP TABLE parts, parts_of_one, parts_whole, parts_keyed;
