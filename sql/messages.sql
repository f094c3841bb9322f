-- Logical messages: JSON as it is, other text as a string, bytes in base 64;
-- at once or with their transaction.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE TABLE told (id int PRIMARY KEY);
CALL h.slot('messages');
CREATE FUNCTION pg_temp.say(content text, prefix text DEFAULT 'p') RETURNS void LANGUAGE sql AS
  $$ SELECT pg_logical_emit_message(true, prefix, content) $$;
CREATE FUNCTION pg_temp.say(content bytea) RETURNS void LANGUAGE sql AS
  $$ SELECT pg_logical_emit_message(true, 'p', content) $$;
\set ECHO none
\o /dev/null
SELECT pg_temp.say(c) FROM unnest(ARRAY['{"a": 1}', '[1,2]', 'null', 'true', '-1.5e3', '"text"', E' {"a":\n[1,\r\n2]} \n',
  '', ' ', 'text', 'with "quotes" and \', E'two\nlines\r\ttabs\x01', '{"a":1', '{"a":1} x', '01', 'nul', '{''a'':1}', 'é 日本 😀', '{"é":"😀"}', '"\u0000"', '"\ud800"',
  '{"a":1,"a":2}', '1e999999', '[1,]', '"a' || E'\n' || 'b"', 'NaN', '[[[[[[[[]]]]]]]]']) c;
SELECT pg_temp.say(c) FROM unnest(ARRAY['\x', '\x00', '\x0001', '\x000102', '\x00010203', '\xff', '\x7b7d', '\xc3a9', '\xc3', '\xeda080', '\xc080', '\xf4908080', '\xe9', '\x61006200', '\xf09f9880']::bytea[]) c;
SELECT pg_temp.say('1', p) FROM unnest(ARRAY['', 'with "quotes"', E'line\nbreak', 'é', repeat('long', 100)]) p;
\o
\set ECHO all
SELECT h.changes('messages');

-- each one is one line of JSON, and text comes back as it was
SELECT count(*) FROM h.changes('messages') WHERE data ~ E'[\n\r]' OR data::json IS NULL;
CALL h.skip('messages');
SELECT count(pg_temp.say(chr(g) || 'x')) FROM generate_series(1, 60000, 3) g WHERE g NOT BETWEEN 55296 AND 57343;
SELECT count(*), count(*) FILTER (WHERE c = 'string' AND s = chr(g::int) || 'x') FROM (
  SELECT n * 3 - 2 + CASE WHEN n * 3 - 2 > 55295 THEN 2049 ELSE 0 END AS g, data::json ->> 'content' AS s, json_typeof(data::json -> 'content') AS c
    FROM h.changes('messages') WITH ORDINALITY d(data, n)) t;
CALL h.skip('messages');
SELECT pg_temp.say(decode(string_agg(md5(g::text), ''), 'hex')) FROM generate_series(1, 10000) g;
SELECT decode(data::json ->> 'content_base64', 'base64') = (SELECT decode(string_agg(md5(g::text), ''), 'hex') FROM generate_series(1, 10000) g) FROM h.changes('messages');

-- without max_depth JSON may nest 10,000 levels; what is deeper is text
CALL h.skip('messages');
\set ECHO none
\o /dev/null
SELECT pg_temp.say(repeat('[', n) || repeat(']', n)) FROM unnest('{1000,9999,10000,10001,100000}'::int[]) n;
SELECT pg_temp.say(repeat('{"a":', n) || '1' || repeat('}', n)) FROM unnest('{9999,10000,10001,100000}'::int[]) n;
SELECT pg_temp.say(repeat('[', 1000000));
\o
\set ECHO all
SELECT substr(data, 1, 70), length(data) FROM h.changes('messages', 'max_depth', '0');

-- at once: whatever becomes of the transaction, before it, and without its xid
CALL h.skip('messages');
BEGIN;
INSERT INTO told VALUES (1);
SELECT pg_logical_emit_message(false, 'now', '{"in":"a transaction"}') IS NOT NULL;
SELECT pg_logical_emit_message(true, 'then', 'with it') IS NOT NULL;
SAVEPOINT s;
SELECT pg_logical_emit_message(true, 'then', 'rolled back') IS NOT NULL;
SELECT pg_logical_emit_message(false, 'now', 'rolled back') IS NOT NULL;
ROLLBACK TO s;
INSERT INTO told VALUES (2);
COMMIT;
BEGIN;
SELECT pg_logical_emit_message(true, 'then', 'never') IS NOT NULL;
SELECT pg_logical_emit_message(false, 'now', 'never, but sent') IS NOT NULL;
ROLLBACK;
SELECT pg_logical_emit_message(true, 'then', 'alone') IS NOT NULL;
SELECT h.changes('messages');
SELECT data::json ->> 'op', count(*) FROM h.changes('messages', 'transactions', 'true') data GROUP BY 1 ORDER BY 1;
SELECT (SELECT array_agg(k) FROM json_object_keys(data::json) k) FROM h.changes('messages', 'omit', '') WHERE data LIKE '%"m"%';
-- indexes count messages, too; one that is sent at once has its own LSN and 0
SELECT regexp_replace(data::json ->> 'id', '.*-', '') AS index, data::json ->> 'prefix' AS prefix FROM h.changes('messages', 'omit', 'ts') data;
SELECT count(*) = count(DISTINCT data::json ->> 'id') FROM h.changes('messages', 'omit', 'ts') data;

-- which of them: ids stay the same
SELECT h.changes('messages', 'messages', 'false');
SELECT h.changes('messages', 'message_prefixes', 'now');
SELECT count(*) FROM h.changes('messages', 'message_prefixes', ' now , then ');
SELECT count(*) FROM h.changes('messages', 'message_prefixes', 'no,now ,other');
SELECT count(*) FROM h.changes('messages', 'message_prefixes', 'Now');
SELECT count(*) FROM h.changes('messages', 'message_prefixes', 'now', 'messages', 'false');
SELECT o, count(*) FROM unnest(ARRAY['{messages,false}', '{message_prefixes,then}', '{messages,true}']) o, LATERAL h.changes('messages', VARIADIC o::text[] || '{omit,ts}') d
 WHERE d NOT IN (SELECT h.changes('messages', 'omit', 'ts')) GROUP BY o;

-- max_value_bytes
SELECT h.changes('messages', 'max_value_bytes', '5', 'message_prefixes', 'then');

-- prefixes in double quotes hold commas, quotes and spaces; without them, case counts, too
CALL h.skip('messages');
SELECT count(pg_temp.say('1', p)) FROM unnest(ARRAY['a,b', 'a', 'b', 'Q"', '"Q"', 'Mail', 'mail', ' sp ', 'sp', '', 'in side', 'a"b', E'tab\t', 'é']) p;
CREATE FUNCTION pg_temp.with_prefixes(list text) RETURNS json LANGUAGE sql AS
  $$ SELECT json_agg(data::json -> 'prefix') FROM h.changes('messages', 'message_prefixes', list) data $$;
SELECT pg_temp.with_prefixes('"a,b", "Q""", " sp ", Mail');
SELECT pg_temp.with_prefixes('"Mail","mail"');
SELECT pg_temp.with_prefixes('""');
SELECT pg_temp.with_prefixes('"" , a');
SELECT pg_temp.with_prefixes('"""Q""",Q"');
SELECT pg_temp.with_prefixes(' in side , "sp" ,a"b');
SELECT pg_temp.with_prefixes(E'"tab\t","é"');
SELECT pg_temp.with_prefixes('"a","a",a');
SELECT pg_temp.with_prefixes('MAIL,"A",none');
CALL h.drop('messages');
DROP TABLE told;
