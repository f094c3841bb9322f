-- Every option of the slot: its values, and how wrong names and values are
-- refused.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE opted (id int PRIMARY KEY, v text, b bytea);
CALL h.slot('options');
INSERT INTO opted VALUES (1, 'one', '\x01');

-- names
SELECT h.changes('options', 'formats', 'json');
SELECT h.changes('options', 'publication_names', 'p');
SELECT h.changes('options', 'nothing-like-it', 'x');
SELECT h.changes('options', '', 'x');
SELECT h.changes('options', 'Format', 'json');
SELECT h.changes('options', repeat('x', 100), 'x');
SELECT h.changes('options', 'format', 'json', 'format', 'json');
-- values
SELECT h.changes('options', 'format', 'xml');
SELECT h.changes('options', 'format', '');
SELECT h.changes('options', 'format', NULL);
SELECT h.changes('options', 'publications', '');
SELECT h.changes('options', 'publications', 'a,,b');
SELECT h.changes('options', 'publications', '"a');
SELECT h.changes('options', 'publications', 'a b');
SELECT h.changes('options', 'messages', 'maybe');
SELECT h.changes('options', 'messages', '2');
SELECT h.changes('options', 'message_prefixes', '');
SELECT h.changes('options', 'message_prefixes', 'a,,b');
SELECT h.changes('options', 'message_prefixes', 'a,');
SELECT h.changes('options', 'message_prefixes', ' ');
SELECT h.changes('options', 'message_prefixes', '"a');
SELECT h.changes('options', 'message_prefixes', 'a,"b""');
SELECT h.changes('options', 'message_prefixes', '"a"b');
SELECT h.changes('options', 'message_prefixes', '"a" "b"');
SELECT h.changes('options', 'message_prefixes', '"a",');
SELECT h.changes('options', 'origin', 'some');
SELECT h.changes('options', 'transactions', 'perhaps');
SELECT h.changes('options', 'omit', 'id,after');
SELECT h.changes('options', 'omit', 'id,,ts');
SELECT h.changes('options', 'batch_bytes', '0');
SELECT h.changes('options', 'batch_bytes', '17MB');
SELECT h.changes('options', 'batch_bytes', 'many');
SELECT h.changes('options', 'batch_bytes', '1 day');
SELECT h.changes('options', 'batch_bytes', '99999999999999999999');
SELECT h.changes('options', 'max_value_bytes', '-1');
SELECT h.changes('options', 'max_value_bytes', '1e99');
SELECT h.changes('options', 'max_value_bytes', '');
-- it says which of the two programs is too old
SELECT h.changes('options', 'proto_version', '0');
SELECT h.changes('options', 'proto_version', '1');
SELECT h.changes('options', 'proto_version', '3');
SELECT h.changes('options', 'proto_version', 'two');
-- frames are bytes
SELECT h.changes('options', 'format', 'frames');
-- nothing of all that harmed the slot
SELECT h.changes('options');

-- format, proto_version, batch_bytes: see frames
SELECT h.changes('options', 'format', 'JSON', 'proto_version', '2', 'batch_bytes', '1kB', 'max_value_bytes', '0', 'origin', 'ANY', 'messages', 'on');

-- omit: each field
SELECT f, h.changes('options', 'omit', 'id,ts,xid,' || f) FROM unnest('{op,schema,table,origin}'::text[]) f;
SELECT f, data::jsonb ? f AS there, (SELECT count(*) FROM jsonb_object_keys(data::jsonb)) AS fields
  FROM unnest('{id,op,schema,table,ts,xid}'::text[]) f,
       LATERAL h.changes('options', 'omit', f);
SELECT h.changes('options', 'omit', ' ID , op,schema , table,ts,xid,origin,ts ');
SELECT (SELECT array_agg(k) FROM json_object_keys(data::json) k), data::json -> 'after' FROM h.changes('options', 'omit', '');
-- the id is the commit's LSN and an index, the time ISO 8601 in UTC, the xid the transaction's
SELECT data::json ->> 'id' ~ '^[1-9][0-9]*-0$', data::json ->> 'ts' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$',
       abs(extract(epoch FROM (data::json ->> 'ts')::timestamptz - now())) < 60,
       (data::json ->> 'xid')::xid = (SELECT xmin FROM opted),
       split_part(data::json ->> 'id', '-', 1)::numeric
         BETWEEN (SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots WHERE slot_name = 'options') AND pg_current_wal_lsn() - '0/0'
  FROM h.changes('options', 'omit', 'op');

-- transactions
BEGIN;
INSERT INTO opted VALUES (2, 'two');
INSERT INTO opted VALUES (3, 'three');
COMMIT;
BEGIN;
CREATE TABLE empty_transaction ();
COMMIT;
SELECT regexp_replace(h.changes('options', 'transactions', 'true'), 'lsn":"[0-9A-F]+/[0-9A-F]+', 'lsn":"X/X', 'g');
SELECT h.changes('options', 'transactions', 'off');
-- what begin and commit say is what the events between them say
SELECT count(*), count(DISTINCT (j ->> 'xid', j ->> 'ts', coalesce((j ->> 'lsn')::pg_lsn - '0/0', split_part(j ->> 'id', '-', 1)::numeric))),
       bool_and((j ->> 'end_lsn')::pg_lsn > (j ->> 'lsn')::pg_lsn)
  FROM (SELECT data::json j FROM h.changes('options', 'omit', '', 'transactions', 'true') data) d;

-- max_depth, numbers: see there; user_casts: see casts_to_json
SELECT h.changes('options', 'user_casts', 'sometimes');

-- max_value_bytes: what a value has in the database; its JSON: see max_value_bytes
CALL h.skip('options');
CREATE TABLE limited (id int PRIMARY KEY, t text, b bytea, a int[], f name, n numeric, j jsonb, fixed float8);
ALTER TABLE limited ALTER t SET STORAGE EXTERNAL;
INSERT INTO limited (id, t) SELECT n, repeat('"', n) FROM unnest(ARRAY[0, 9, 10, 11, 126, 127, 3000]) n;
INSERT INTO limited VALUES (1, 'short', '\x0102030405060708090a', '{1}', 'a name', 1, '1', 1), (2, 'é67890123', '\x0102030405060708090a0b', '{}', repeat('long', 9), 1e100, '{"long":"value"}', 0.1);
UPDATE limited SET t = 'longer than ten' WHERE id = 1;
UPDATE limited SET t = 'short' WHERE id = 1;
UPDATE limited SET fixed = 2 WHERE id = 3000;
ALTER TABLE limited REPLICA IDENTITY FULL;
UPDATE limited SET t = 'longer than ten' WHERE id = 1;
UPDATE limited SET t = 'short' WHERE id = 1;
UPDATE limited SET fixed = 2 WHERE id = 3000;
DELETE FROM limited WHERE id = 2;
DELETE FROM limited WHERE id = 3000;
SELECT h.changes('options', 'max_value_bytes', '10');
SELECT data FROM h.changes('options', 'max_value_bytes', '1kB') WHERE data LIKE '%elided%';
SELECT data FROM h.changes('options', 'max_value_bytes', '3000') WHERE data LIKE '%elided%';
CREATE TABLE long_keys (k text PRIMARY KEY, v int);
CALL h.skip('options');
INSERT INTO long_keys VALUES ('a key of many bytes', 1), ('short', 2);
UPDATE long_keys SET v = 3;
DELETE FROM long_keys;
SELECT h.changes('options', 'max_value_bytes', '10');

CALL h.drop('options');
DROP TABLE opted, empty_transaction, limited, long_keys;
