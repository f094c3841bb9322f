-- The rows that a table has, as events "r" in frames: in the order of the key, in
-- pieces, with the same bytes as the stream's.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE stored (id int PRIMARY KEY, v text, dropped int, big text, n numeric);
ALTER TABLE stored DROP dropped, ALTER big SET STORAGE EXTERNAL;
CALL h.slot('stored');
INSERT INTO stored SELECT g, 'v' || g, CASE WHEN g % 3 = 0 THEN repeat('b', 3000) END, g / 4.0 FROM generate_series(-3, 10) g WHERE g NOT IN (0, 5);
SELECT message, kind, flags, index, h.short(document), key, columns, members FROM h.rows('stored', '{omit,"id,ts"}', NULL, 3);
-- the id is left open, the time is that of the reading, and there is no transaction
SELECT flags, regexp_replace(h.short(document), '"ts":"[^"]*"', '"ts":"..."'),
       abs(extract(epoch FROM now() - (document::json ->> 'ts')::timestamptz)) < 60
  FROM h.rows('stored', '{}', NULL, 1) WHERE kind = 'r';
SELECT h.short(document) FROM h.rows('stored', '{omit,"id,op,schema,table,ts,xid,origin"}', NULL, 1) WHERE kind = 'r';
-- as the stream
CALL h.read('stored');
SELECT h.compare_rows('stored');
CALL h.read('stored', 'max_value_bytes', '600', 'numbers', 'string');
SELECT h.compare_rows('stored', 'max_value_bytes', '600', 'numbers', 'string');
SELECT elided.document::json -> 'elided', elided.flags, elided.members
  FROM h.rows('stored', '{max_value_bytes,600}') elided WHERE key = '{"id":3}';
-- hashes are those of the stream, so that a key has one lane
SELECT count(*), count(*) FILTER (WHERE r.hash = s.hash AND r.relation = s.relation)
  FROM h.rows('stored') r JOIN h.frames('stored') s USING (key) WHERE s.kind = 'c';

-- limits: of rows, of bytes, of time; at least one row is read, unless none is wanted
SELECT kind, flags, index, columns FROM h.rows('stored', '{}', NULL, 0) WHERE kind <> 'R';
SELECT kind, flags, index, columns FROM h.rows('stored', '{}', NULL, 12) WHERE kind = 'K';
SELECT kind, flags, index, columns FROM h.rows('stored', '{}', '{10}', 12) WHERE kind <> 'R';
SELECT kind, flags, index, columns FROM h.rows('stored', '{}', NULL, NULL, 1) WHERE kind = 'K';
SELECT kind, flags, index, columns FROM h.rows('stored', '{}', NULL, NULL, 0) WHERE kind = 'K';
SELECT kind, flags, index, columns FROM h.rows('stored', '{omit,"id,ts"}', NULL, NULL, 4000) WHERE kind = 'K';
SELECT kind, flags, index, columns FROM h.rows('stored', '{}', NULL, NULL, NULL, 0) WHERE kind = 'K';
SELECT kind, flags, index, columns FROM h.rows('stored', '{}', NULL, NULL, NULL, 1000000) WHERE kind = 'K';
-- messages
SELECT count(DISTINCT message), count(*) FILTER (WHERE kind = 'R'), count(*) FILTER (WHERE kind = 'r'), count(*) FILTER (WHERE kind = 'K') FROM h.rows('stored', '{batch_bytes,1}');
SELECT count(DISTINCT message), max(length(body)) FROM h.rows('stored', '{batch_bytes,16MB}');
-- pieces of any size give all rows once, in order
SELECT size, count(*), count(DISTINCT row_key), max(piece), array_agg((row_key::json ->> 'id')::int ORDER BY n) = (SELECT array_agg(id ORDER BY id) FROM stored) AS in_order
  FROM unnest('{1,2,5,11,12,13,1000}'::int[]) size, LATERAL h.in_pieces('stored', size) WITH ORDINALITY p(piece, row_key, n) GROUP BY size ORDER BY size;
-- an empty table; one without columns, with a key of none
CREATE TABLE stored_empty (id int PRIMARY KEY);
SELECT kind, flags, index, columns FROM h.rows('stored_empty');
CREATE TABLE stored_bare ();
INSERT INTO stored_bare DEFAULT VALUES;
SELECT kind, flags, document, after, index FROM h.rows('stored_bare');
-- without a key it is read at once
CREATE TABLE stored_keyless (v text);
INSERT INTO stored_keyless VALUES ('a'), (NULL), ('a');
SELECT kind, flags, document, index, columns FROM h.rows('stored_keyless');

-- a condition: rows that do not meet it are read, and left out
SELECT kind, key, index, columns FROM h.rows('stored', '{}', NULL, 5, NULL, NULL, 'v > ''v2'' OR stored.big IS NOT NULL') WHERE kind <> 'R';
SELECT kind, key, index, columns FROM h.rows('stored', '{}', NULL, 5, NULL, NULL, 'false -- nothing') WHERE kind <> 'R';
SELECT kind, key, index, columns FROM h.rows('stored', '{}', '{8}', NULL, NULL, NULL, 'id IN (SELECT max(id) FROM stored) AND tableoid = ''stored''::regclass') WHERE kind <> 'R';
SELECT kind, key, index FROM h.rows('stored', '{}', '{8}', NULL, NULL, NULL, 'NULL') WHERE kind <> 'R';

-- keys: order and text whatever the session's settings, and all rows once
CREATE TYPE stored_pair AS (a int, b text);
CREATE TYPE stored_mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN stored_code AS text CHECK (VALUE <> '');
CREATE TABLE stored_keys (name text, key_type text, given text[]);
INSERT INTO stored_keys VALUES
  ('bool', 'boolean', '{t,f}'), ('int2', 'smallint', '{-3,0,32767}'), ('int8', 'bigint', '{-9223372036854775808,0,9223372036854775807}'),
  ('float8', 'double precision', '{0.1,-0,1e300,NaN,-Infinity,0.30000000000000004,0.3}'), ('num', 'numeric', '{1.0,1.50,-1e-20,NaN,123456789012345678901234567890.1}'),
  ('text', 'text', '{"",a,B,b,é,"z ","\"quoted\"","a\\b",日本}'), ('varchar', 'varchar(10)', '{x,y,"x y"}'), ('bpchar', 'char(5)', '{a,b,"c d"}'),
  ('name', 'name', '{x,Y,z}'), ('uuid', 'uuid', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}'),
  ('ts', 'timestamp', '{2024-02-29 12:00:00.123456,-infinity,infinity,0044-03-15 BC,2024-02-29}'),
  ('tstz', 'timestamptz', '{2024-02-29 12:00:00.123456+02,-infinity,infinity,1900-01-01}'), ('date', 'date', '{2024-02-01,2024-01-02,infinity}'),
  ('time', 'time', '{00:00,12:00:00.5,24:00}'), ('interval', 'interval', '{1 mon,-1 mon -2 days +03:00,29 days,1 year,@ 1 day ago}'), ('bytea', 'bytea', '{"","\\x00","\\xff5c","abc"}'),
  ('money', 'money', '{1.5,-2}'), ('bits', 'bit(3)', '{101,000}'), ('varbits', 'varbit', '{101,1,""}'), ('inet', 'inet', '{10.0.0.1,10.0.0.0/8,::1}'),
  ('array', 'int[]', '{"{1,2}","{1}","{}","{NULL,3}"}'), ('texts', 'text[]', '{"{a,\"b c\"}","{}","{\"\\\"\"}"}'), ('enum', 'stored_mood', '{happy,sad,ok}'),
  ('domain', 'stored_code', '{a,"b c"}'), ('pair', 'stored_pair', '{"(1,a)","(1,\"b c\")","(0,)"}'), ('range', 'int4range', '{"[1,3)","(,5)",empty}'),
  ('jsonb', 'jsonb', '{"{\"a\": 1}","[1, 2]","\"x\"",1.50}'), ('oid', 'oid', '{1,4294967295}'), ('lsn', 'pg_lsn', '{0/1,FFFFFFFF/0}'), ('regclass', 'regclass', '{pg_class,stored,information_schema.tables}');
SET client_min_messages = warning;
DO $$
DECLARE
  t record;
  v text;
BEGIN
  FOR t IN SELECT * FROM stored_keys LOOP
    EXECUTE format('CREATE TABLE %I (k %s PRIMARY KEY, v int)', 'stored_by_' || t.name, t.key_type);
    FOREACH v IN ARRAY t.given LOOP
      EXECUTE format('INSERT INTO %I VALUES (%L, 1)', 'stored_by_' || t.name, v);
    END LOOP;
  END LOOP;
END
$$;
RESET client_min_messages;
SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'; SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = -5; SET bytea_output = 'escape'; SET lc_monetary = 'C';
SELECT name, (SELECT string_agg(row_key, ' ') FROM h.in_pieces(('stored_by_' || name)::regclass, 1))
         = (SELECT string_agg(key, ' ') FROM h.rows(('stored_by_' || name)::regclass)) AS same,
       (SELECT count(*) FROM h.in_pieces(('stored_by_' || name)::regclass, 1)) - cardinality(given) AS more,
       (SELECT columns FROM h.rows(('stored_by_' || name)::regclass, '{}', NULL, 1) WHERE kind = 'K') AS first
  FROM stored_keys ORDER BY name;
-- and the rows of these keys are found
SELECT name, (SELECT string_agg(f.key, ' ') FROM walspout.read_keys(('stored_by_' || name)::regclass, '{}',
                ARRAY(SELECT key FROM h.rows(('stored_by_' || name)::regclass) WHERE kind = 'r')) m, LATERAL h.frames_of(m) f WHERE f.kind = 'r')
         = (SELECT string_agg(key, ' ') FROM h.rows(('stored_by_' || name)::regclass)) AS same
  FROM stored_keys ORDER BY name;
RESET ALL;
SET client_min_messages = warning;
-- several columns, in the order of the index
CREATE TABLE stored_several (v int, b text COLLATE "C", a numeric, PRIMARY KEY (a, b));
INSERT INTO stored_several SELECT g, chr(96 + g % 3), g / 3 FROM generate_series(0, 19) g;
SELECT kind, key, columns FROM h.rows('stored_several', '{}', '{2,b}', 3) WHERE kind <> 'R';
SELECT size, count(*), count(DISTINCT row_key) FROM unnest('{1,3,20}'::int[]) size, LATERAL h.in_pieces('stored_several', size) GROUP BY size ORDER BY size;
SELECT f.kind, f.key, f.flags, f.index FROM walspout.read_keys('stored_several', '{}', '{"{\"a\":2,\"b\":\"a\"}","{\"b\":\"b\",\"a\":2.00}","{\"a\":99,\"b\":\"a\"}"}') m, LATERAL h.frames_of(m) f;
-- the index of the replica identity: its collation, its operators, its direction
CREATE TABLE stored_identity (id int PRIMARY KEY, k text NOT NULL, d int NOT NULL);
CREATE UNIQUE INDEX stored_identity_k ON stored_identity (k COLLATE "C" DESC, d);
ALTER TABLE stored_identity REPLICA IDENTITY USING INDEX stored_identity_k;
INSERT INTO stored_identity SELECT g, k, 1 FROM unnest('{a,B,b,A,é,C}'::text[]) WITH ORDINALITY u(k, g);
SELECT string_agg(row_key, ' ') FROM h.in_pieces('stored_identity', 1);
CREATE UNIQUE INDEX stored_identity_pattern ON stored_identity (k text_pattern_ops);
ALTER TABLE stored_identity REPLICA IDENTITY USING INDEX stored_identity_pattern;
SELECT string_agg(row_key, ' ') FROM h.in_pieces('stored_identity', 2);
-- under FULL: the primary key
ALTER TABLE stored_identity REPLICA IDENTITY FULL;
SELECT string_agg(row_key, ' ') FROM h.in_pieces('stored_identity', 4);
-- a key that is stored elsewhere
CREATE TABLE stored_long (k text PRIMARY KEY, big text);
ALTER TABLE stored_long ALTER k SET STORAGE EXTERNAL, ALTER big SET STORAGE EXTERNAL;
INSERT INTO stored_long SELECT repeat(k, 2300), repeat('b', 3000) FROM unnest('{a,b,c}'::text[]) k;
SELECT piece, h.short(row_key) FROM h.in_pieces('stored_long', 1);

-- the plan uses the index, with any settings
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT count(*), count(DISTINCT row_key) FROM h.in_pieces('stored', 5);
RESET ALL;
SHOW enable_seqscan;

-- read_keys: values of the envelope, as the options print them
SELECT f.kind, f.flags, f.index, h.short(f.document) FROM walspout.read_keys('stored', '{omit,"id,ts",numbers,string}', '{"{\"id\":\"3\"}","{\"id\":4}","{\"id\":5}"}') m, LATERAL h.frames_of(m) f;
SELECT f.kind, f.flags, f.index FROM walspout.read_keys('stored', '{}', '{}') m, LATERAL h.frames_of(m) f;
SELECT count(DISTINCT m), count(*) FROM walspout.read_keys('stored', '{batch_bytes,1}', '{"{\"id\":3}","{\"id\":4}"}') m;

-- a query that stops early, and the next one in the same session
BEGIN;
DECLARE early CURSOR FOR SELECT walspout.read_rows('stored', '{batch_bytes,1}', NULL, NULL, NULL, NULL, NULL);
MOVE 2 early;
SELECT walspout.read_rows('stored', '{}', NULL, NULL, NULL, NULL, NULL);
ROLLBACK;
BEGIN;
DECLARE early CURSOR FOR SELECT walspout.read_rows('stored', '{batch_bytes,1}', NULL, NULL, NULL, NULL, NULL);
MOVE 2 early;
CLOSE early;
SELECT count(*) FROM h.rows('stored') WHERE kind = 'r';
COMMIT;
SELECT count(*) FROM (SELECT walspout.read_rows('stored', '{batch_bytes,1}', NULL, NULL, NULL, NULL, NULL) LIMIT 2) x;
SELECT length(walspout.read_rows('stored', '{batch_bytes,1}', NULL, 2, NULL, NULL, NULL)) > 0, generate_series(1, 4);
SELECT name, read.n FROM stored_keys, LATERAL (SELECT count(*) AS n FROM walspout.read_rows('stored', '{batch_bytes,1}', NULL, cardinality(given), NULL, NULL, NULL)) read WHERE name IN ('bool', 'int2');
SELECT count(*) FROM h.changes('stored', 'numbers', 'string') WHERE data ~ '"id":"';
CALL h.drop('stored');
SELECT format('DROP TABLE %I', 'stored_by_' || name) FROM stored_keys \gexec
DROP TABLE stored, stored_empty, stored_bare, stored_keyless, stored_keys, stored_several, stored_identity, stored_long;
DROP TYPE stored_pair, stored_mood, stored_code;
