-- Documents in the forms of other programs. What wal2json writes is compared
-- with wal2json itself, end to end.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('dialects');

-- The documents without positions, times, and the name of the database.
CREATE FUNCTION h.form(data text) RETURNS text LANGUAGE sql AS $$
  SELECT replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(data, '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z', 'TIME', 'g'),
           '(_ms|_us|_ns|"txId|"xid)":\d+', '\1":N', 'g'), '\m\d{7,}\M', 'LSN', 'g'), '"idempotency_key":"[^"]*"', '"idempotency_key":"KEY"'),
           '"id":"\d+:LSN"', '"id":"N:LSN"'), current_database(), 'DB')
$$;
CREATE FUNCTION h.forms(dialect text, VARIADIC options text[] DEFAULT '{}') RETURNS SETOF text LANGUAGE sql AS $$
  SELECT h.form(data) FROM pg_logical_slot_peek_changes('dialects', NULL, NULL, VARIADIC ARRAY['dialect', dialect] || options)
$$;

CREATE TABLE told (id int PRIMARY KEY, n numeric(10,2), t text);
ALTER TABLE told ALTER t SET STORAGE EXTERNAL;
CREATE TABLE whole (id int PRIMARY KEY, v text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE keyless (v text);
CALL h.skip('dialects');
BEGIN;
INSERT INTO told VALUES (1, 1.5, repeat('x', 3000));
UPDATE told SET n = 2;
UPDATE told SET id = 2;
DELETE FROM told;
INSERT INTO whole VALUES (1, 'a');
UPDATE whole SET v = 'b';
DELETE FROM whole;
INSERT INTO keyless VALUES ('q"');
DELETE FROM keyless;
TRUNCATE told;
SELECT pg_logical_emit_message(true, 'p', '{"a": 1}') IS NOT NULL;
COMMIT;
SELECT h.short(f) FROM h.forms('wal2json', 'include-types', 'false') f;
SELECT h.short(f) FROM h.forms('row') f;
SELECT h.short(f) FROM h.forms('psql-streamer', 'host', 'db1') f;
SELECT h.short(f) FROM h.forms('pg2sink') f;
SELECT h.short(f) FROM h.forms('cloudevents') f;
SELECT h.short(f) FROM h.forms('sequin') f;
SELECT h.short(f) FROM h.forms('debezium') f;
SELECT h.short(f) FROM h.forms('debezium', 'provide.transaction.metadata', 'on', 'skipped.operations', 'u,d',
  'decimal.handling.mode', 'double', 'topic.prefix', 'shop', 'unavailable.value.placeholder', 'gone') f;
-- the default one, by its name
SELECT count(*) FROM h.changes('dialects', 'dialect', 'walspout') a JOIN h.changes('dialects') b USING (data);

-- In frames the key is behind the document: flag 128.
SELECT d.dialect, count(*), count(*) FILTER (WHERE flags & 128 > 0) AS aside, string_agg(key, ' ' ORDER BY index) AS keys,
       string_agg(index::text, ' ' ORDER BY index) AS indexes
  FROM (VALUES ('wal2json'), ('row'), ('psql-streamer'), ('pg2sink'), ('cloudevents'), ('sequin'), ('debezium')) d(dialect),
       pg_logical_slot_peek_binary_changes('dialects', NULL, NULL, 'format', 'frames', 'dialect', d.dialect) m, h.frames_of(m.data)
 WHERE kind ~ '[a-z]' GROUP BY 1 ORDER BY 1;

-- The documents around a transaction are events of their own there. In debezium these have keys, too.
SELECT d.dialect, kind, index, regexp_replace(h.form(left(document, -coalesce(nullif(length(key), 0), -length(document)))), '"0/[^"]*"', '"LSN"', 'g') AS document, h.form(key) AS key
  FROM (VALUES ('walspout'), ('wal2json'), ('debezium')) d(dialect),
       pg_logical_slot_peek_binary_changes('dialects', NULL, NULL, 'format', 'frames', 'transactions', 'true', 'dialect', d.dialect) m,
       h.frames_of(m.data)
 WHERE kind IN ('b', 'e') ORDER BY 1 DESC, index;

-- rules and constants
SELECT h.short(f) FROM h.forms('wal2json', 'columns', 'public.told: n omit, t mask "***" as secret; public.whole: v keep 0', 'set', 'sid=eu') f WHERE f ~ '"I"|"U"';
SELECT h.short(f) FROM h.forms('debezium', 'columns', 'public.told: t truncate 2', 'set', 'sid=eu') f WHERE f ~ 'told' LIMIT 2;

-- years that ISO 8601 writes with a sign, and the end of a day
CREATE TABLE years (d date, ts timestamp, tz timestamptz, t time, ttz timetz);
CALL h.skip('dialects');
INSERT INTO years VALUES ('0044-03-15 BC', '0044-03-15 12:00:00.5 BC', '0044-03-15 12:00:00.25+00 BC', '24:00', '24:00+00'),
  ('0001-12-31 BC', '0001-12-31 23:59:59.999999 BC', '0001-12-31 23:59:59.999999+00 BC', '23:59:59.999999', '24:00-02'),
  ('0001-01-01', '0001-01-01', '0001-01-01 00:00+00', '00:00', '00:00+02'), ('9999-12-31', '9999-12-31', '9999-12-31 23:59+00', NULL, NULL),
  ('10000-01-01', '10000-01-01', '10000-01-01 00:00+00', NULL, NULL), ('4713-11-24 BC', '4713-11-24 BC', '4713-11-24 00:00+00 BC', NULL, NULL),
  ('infinity', '-infinity', 'infinity', NULL, NULL), ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', NULL, NULL);
SELECT data::json ->> 'after' FROM pg_logical_slot_peek_changes('dialects', NULL, NULL, 'dialect', 'debezium', 'time.precision.mode', 'isostring') WHERE data LIKE '%"years"%';
DROP TABLE years;
CALL h.skip('dialects');

-- what is wrong
SELECT h.forms('maxwell');
SELECT h.forms('row', 'include-lsn', 'true');
SELECT h.forms('sequin', 'omit', 'ts');
SELECT h.forms('debezium', 'numbers', 'string');
SELECT h.forms('wal2json', 'user_casts', 'true');
SELECT h.forms('wal2json', 'format-version', '1');
SELECT h.forms('sequin', 'transactions', 'true');
SELECT h.forms('wal2json', 'schemas', 'true');
SELECT h.forms('row', 'schema_format', 'avro');
SELECT h.forms('debezium', 'decimal.handling.mode', 'exact');
SELECT h.forms('walspout', 'host', 'db1');
SELECT count(*) FROM walspout.read_rows('told', ARRAY['dialect', 'row'], NULL, 10, 1000, 1000, NULL);
CALL h.drop('dialects');
DROP TABLE told, whole, keyless;
