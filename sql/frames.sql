-- The format "frames" says the same as the format "json": the same documents in
-- the same order, and around them what a reader needs without parsing them.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE framed (id int PRIMARY KEY, v text);
CREATE TABLE framed_keyless (v text);
CALL h.slot('frames');
INSERT INTO framed VALUES (1, 'é'), (2, repeat('x', 5000));
BEGIN;
UPDATE framed SET v = 'b' WHERE id = 1;
UPDATE framed SET id = 3 WHERE id = 2;
INSERT INTO framed_keyless VALUES ('x');
SELECT pg_logical_emit_message(true, 'p', 'in') IS NOT NULL;
SELECT pg_logical_emit_message(false, 'p', 'at once') IS NOT NULL;
DELETE FROM framed WHERE id = 1;
COMMIT;
TRUNCATE framed, framed_keyless;
ALTER TABLE framed RENAME TO "framed é";
INSERT INTO "framed é" VALUES (1, 'renamed');
ALTER TABLE "framed é" ADD w int;
INSERT INTO "framed é" VALUES (2, 'added', 1);

-- barriers: a row that changes its key, TRUNCATE, messages
SELECT message, kind, flags, h.short(document), key, before, h.short(after) FROM h.frames('frames');
-- documents are those of json
SELECT count(*), count(*) FILTER (WHERE f.document = j.data)
  FROM (SELECT document, row_number() OVER () AS n FROM h.frames('frames', 'omit', '') WHERE kind BETWEEN 'a' AND 'z') f
  FULL JOIN (SELECT data, row_number() OVER () AS n FROM h.changes('frames', 'omit', '')) j USING (n);
-- where its objects are, its op and its index
SELECT count(*), count(*) FILTER (WHERE key IS NOT DISTINCT FROM (document::json -> 'key')::text AND before IS NOT DISTINCT FROM (document::json -> 'before')::text
                                    AND after IS NOT DISTINCT FROM (document::json -> 'after')::text AND kind = document::json ->> 'op'
                                    AND index = split_part(document::json ->> 'id', '-', 2)::numeric)
  FROM h.frames('frames', 'omit', 'ts') WHERE kind BETWEEN 'a' AND 'z';
-- begin and commit: LSN, time, xid; LSN, end LSN, number of events
SELECT message, kind, flags, sixteen, length(body),
       h.number(body, 0, 8) = first_value(h.number(body, 0, 8)) OVER (PARTITION BY message ORDER BY kind) AS same_lsn,
       CASE kind WHEN 'B' THEN (abs(h.number(body, 8, 8) / 1e6 - extract(epoch FROM now())) < 60)::text || ' ' || (h.number(body, 16, 4) > 0)::text
                 ELSE (h.number(body, 8, 8) > h.number(body, 0, 8))::text || ' ' || h.number(body, 16, 8) END AS rest
  FROM h.frames('frames') WHERE kind IN ('B', 'C');
-- ids are made of the begin frame's LSN
SELECT count(*), count(*) FILTER (WHERE split_part(e.document::json ->> 'id', '-', 1)::numeric = h.number(b.body, 0, 8))
  FROM h.frames('frames', 'omit', 'ts') e JOIN h.frames('frames', 'omit', 'ts') b ON b.message = e.message AND b.kind = 'B' WHERE e.kind BETWEEN 'a' AND 'z';
-- relations are named before they are used, and again when their name changes
SELECT kind, document, columns, relation = '"framed é"'::regclass::oid::bigint AS framed FROM h.frames('frames') WHERE kind = 'R';
SELECT count(*) FROM h.frames('frames') WITH ORDINALITY e
 WHERE e.relation <> 0 AND NOT EXISTS (SELECT FROM h.frames('frames') WITH ORDINALITY r WHERE r.kind = 'R' AND r.relation = e.relation AND r.ordinality <= e.ordinality);
-- equal keys have equal hashes, in this relation only
SELECT count(DISTINCT hash), count(DISTINCT (relation, key)), count(DISTINCT (relation, key, hash)) FROM h.frames('frames') WHERE key IS NOT NULL;
SELECT count(DISTINCT hash), count(DISTINCT relation) FROM h.frames('frames') WHERE key IS NULL;

-- batch_bytes: messages end after the event that fills them, and with the transaction
SELECT size, count(DISTINCT message) AS messages, count(*) FILTER (WHERE kind BETWEEN 'a' AND 'z') AS events, string_agg(kind, '' ORDER BY n) AS kinds,
       md5(string_agg(document, ',' ORDER BY n) FILTER (WHERE kind BETWEEN 'a' AND 'z')) = (SELECT md5(string_agg(data, ',')) FROM h.changes('frames')) AS same
  FROM unnest(ARRAY['1', '300', '1kB', '16MB']) size,
       LATERAL (SELECT *, row_number() OVER () AS n FROM h.frames('frames', 'batch_bytes', size)) f
 GROUP BY size ORDER BY size::text;
CALL h.skip('frames');
INSERT INTO "framed é" SELECT g + 10, repeat('x', 1000) FROM generate_series(1, 1000) g;
SELECT max(bytes) < 65536 + 1200, min(bytes) FILTER (WHERE NOT last) >= 65536, sum(events)
  FROM (SELECT message, 4 + sum(8 + length(body)) AS bytes, bool_or(kind = 'C') AS last, count(*) FILTER (WHERE kind = 'c') AS events
          FROM h.frames('frames') GROUP BY message) m;

-- objects anywhere: the new row behind megabytes of the old one, and of any size
CREATE TABLE framed_far (k text, v text, w text);
ALTER TABLE framed_far ALTER k SET STORAGE EXTERNAL, ALTER v SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
CALL h.skip('frames');
INSERT INTO framed_far VALUES (repeat('k', 200000), repeat('v', 2000000), 'w');
UPDATE framed_far SET w = NULL;
UPDATE framed_far SET k = 'k', v = '';
DELETE FROM framed_far;
DROP TABLE framed_far;
CREATE TABLE framed_far (k text, v text, w text);
INSERT INTO framed_far VALUES ('k', repeat('é', 100000), repeat('w', 16384));
SELECT kind, flags, strpos(document, '"before":') AS before_at, strpos(document, '"after":') AS after_at, length(before), length(after),
       before IS NOT DISTINCT FROM (document::json -> 'before')::text AND after IS NOT DISTINCT FROM (document::json -> 'after')::text AS same
  FROM h.frames('frames') WHERE kind BETWEEN 'a' AND 'z';
DROP TABLE framed_far;
-- beside a key, which is that of the index
CALL h.skip('frames');
CREATE TABLE framed_far (a text, b text, id int NOT NULL UNIQUE);
ALTER TABLE framed_far REPLICA IDENTITY USING INDEX framed_far_id_key;
INSERT INTO framed_far VALUES (repeat('a', 70000), 'b', 1);
UPDATE framed_far SET id = 2;
DELETE FROM framed_far;
SELECT kind, flags, key, before, strpos(document, '"after":') AS after_at, length(after) FROM h.frames('frames') WHERE kind BETWEEN 'a' AND 'z';
-- unchanged and elided columns stand behind the objects
SELECT kind, document, key, before, after FROM h.frames('frames', 'max_value_bytes', '600') WHERE kind BETWEEN 'a' AND 'z';
DROP TABLE framed_far;

-- nothing is sent of transactions without events
CALL h.skip('frames');
CREATE PUBLICATION none_of_it;
INSERT INTO "framed é" VALUES (5000);
SELECT count(*) FROM h.frames('frames', 'publications', 'none_of_it');
-- messages only: no relation
SELECT pg_logical_emit_message(false, 'p', 'at once') IS NOT NULL;
SELECT pg_logical_emit_message(true, 'p', 'committed') IS NOT NULL;
SELECT message, kind, flags, sixteen, relation, index, document, key, before, after FROM h.frames('frames', 'publications', 'none_of_it');
CALL h.drop('frames');
DROP PUBLICATION none_of_it;
DROP TABLE "framed é", framed_keyless;
