-- walspout.read_documents() makes the rows that json_to_recordset() makes, or
-- an error of the same code. values_of_every_type and values_random have it for
-- each type.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CREATE FUNCTION pg_temp.read(documents text, columns text DEFAULT 'a int, b text') RETURNS text LANGUAGE sql AS
  $$ SELECT coalesce(h.readers_differ(documents, columns), h.read_by('walspout.read_documents($1)', documents, columns)) $$;
-- Each document as each type: how many there are, and what differs.
CREATE FUNCTION pg_temp.read_all(types text[], documents text[]) RETURNS text LANGUAGE sql AS
  $$ SELECT format('%s read', count(*)) || coalesce(E'\n' || string_agg(h.readers_differ(d, 'a ' || t), E'\n'), '') FROM unnest(types) t, unnest(documents) d $$;
CREATE FUNCTION pg_temp.members(VARIADIC vals text[]) RETURNS text[] LANGUAGE sql AS
  $$ SELECT array_agg(format('[{"a":%s}]', v)) FROM unnest(vals) v $$;
CREATE FUNCTION pg_temp.strings(VARIADIC vals text[]) RETURNS text[] LANGUAGE sql AS
  $$ SELECT array_agg(format('[{"a":"%s"}]', v)) FROM unnest(vals) v $$;

-- which members there are, and in which order
SELECT pg_temp.read('[{"a":1,"b":"x"},{"b":"y","a":2},{"b":"z"},{"a":3},{},{"c":0,"a":4,"d":[{"a":5}],"b":"u"}]');
SELECT pg_temp.read('[{"a":1,"b":"x","a":2},{"a":"no number","a":3},{"a":4,"a":null},{"b":"x","b":"y"}]');
SELECT pg_temp.read(E' [ { "a" : 1 , "b"\t:\n"x" } ,\r{ "b":"y" } , { } ] ');
SELECT pg_temp.read('[]'), pg_temp.read('[{}]');
SELECT pg_temp.read('[{"A":1,"B":"x","a ":2," b":"y","aa":3,"":4}]');
-- names with anything in them, escaped and not
SELECT pg_temp.read(json_build_array(json_build_object('a"b', 1, 'c\d', 2, E'e\tf', 3, 'é', 4, 'a', 5))::text,
                    U&'"a""b" int, "c\\d" int, "e\0009f" int, "é" int, a int');
SELECT pg_temp.read('[{"\u0061":1,"\u00e9":2,"a\"b":3}]', 'a int, "é" int, "a""b" int');
SELECT pg_temp.read('[{"a\":1,"b":2}]', '"a\" int, b int');
SELECT pg_temp.read(format('[{"%s":1,"%s":2}]', repeat('n', 63), repeat('n', 64)), repeat('n', 63) || ' int');
-- many columns, in order, the other way round, and none of them
SELECT length(r), position('instead of' IN r)
  FROM (SELECT format('[{%s}]', string_agg(format('"c%s":%s', i, i), ',' ORDER BY i)) AS up,
               format('[{%s}]', string_agg(format('"c%s":%s', i, i), ',' ORDER BY -i)) AS down,
               format('[{%s}]', string_agg(format('"d%s":%s', i, i), ',' ORDER BY i)) AS other,
               string_agg(format('c%s int', i), ',' ORDER BY i) AS columns FROM generate_series(1, 1000) i) d,
       LATERAL (VALUES (up), (down), (other)) v(documents), pg_temp.read(documents, columns) r;

-- values of another type than the column's
SELECT pg_temp.read_all('{int,text,bool,json,jsonb,int[],"numeric(5,2)",json[]}', pg_temp.members('null', 'true', 'false', '1', '-1', '-0', '1.5', '1e2',
  '99999', '123456789012', '1234567890123456789012', '""', '"x"', '"1"', '"01"', '"+1"', '" 1 "', '"-"', '"t"', '"null"', '"\u0031"',
  '"a\"b\\c\/d\b\f\n\r\t"', '"[1]"', '"{1,2}"', '"{\"x\" : 1}"', '[]', '[ ]', '{}', '{ }', '[1, 2]', '{"x" : [1 ,2]}'));
SELECT pg_temp.read('[{"a":"a\"\u0041\n","b":1.50,"c":{"x" : [1 ,2]},"d":[1,  2],"e":true,"f":[{ }]}]', 'a json, b json, c text, d jsonb, e text, f varchar');
-- of short types, at their ends
SELECT pg_temp.read_all('{int2,int4,int8,oid,float8,char(3),varchar(3),varchar,text,name,"\"char\"",bit(3),varbit(3)}',
  pg_temp.members('32767', '32768', '-32768', '-32769', '2147483647', '2147483648', '-2147483648', '-2147483649', '999999999999999999',
    '9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809') || pg_temp.strings('éàü', 'éàüx', 'éàü  ', '101', '1010'));
SELECT pg_temp.read_all('{date,timestamp,timestamptz,timestamp(0),timestamptz(3),time,uuid}', pg_temp.strings('2024-02-29', '2023-02-29', '2023-04-31', '2024-13-01',
  '2024-00-10', '2024-01-00', '0000-01-01', '0001-01-01', '9999-12-31', '10000-01-01', '2024-1-1', '2024-01-01T', '2024-02-29T23:59:59', '2024-02-29 23:59:59',
  '2024-02-29T24:00:00', '2024-02-29T23:60:00', '2024-02-29T23:59:60', '2024-02-29T23:59:59.', '2024-02-29T23:59:59.1', '2024-02-29T23:59:59.123456',
  '2024-02-29T23:59:59.1234567', '2024-02-29T23:59:59.999999+00:00', '2024-02-29T23:59:59+00:00', '2024-02-29T23:59:59+00', '2024-02-29T23:59:59Z',
  '2024-02-29T23:59:59+02:00', '2024-02-29T23:59:59-00:30', '2024-02-29T23:59:59+00:000', 'infinity', '2024-02-29T12:00:00 BC',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g', 'a0eebc9--9c0b-4ef8-bb6d-6bb9bd380a11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'));
SET datestyle = 'SQL, DMY';
SET timezone = 'Asia/Kathmandu';
SELECT pg_temp.read('[{"a":"2024-02-03","b":"2024-02-03T01:02:03","c":"2024-02-03T01:02:03.5+00:00"}]', 'a date, b timestamp, c timestamptz');
RESET datestyle;
RESET timezone;

-- escapes
SELECT pg_temp.read('[{"b":"\u00e9\u20ac\ud83d\ude00x\u0001"}]');
SELECT pg_temp.read_all('{text,json,jsonb,json[],text[],int}', pg_temp.strings(VARIADIC v) || pg_temp.members(VARIADIC ARRAY(SELECT format('["%s"]', x) FROM unnest(v) x))
    || ARRAY(SELECT format('[{"c":{"d":"%s"}},{"%s":1}]', x, x) FROM unnest(v) x))
  FROM (SELECT ARRAY['\u0000', 'a\u0000b', '\ud83d', '\ude00', '\ud83d\ud83d', '\ud83dx', '\ud83d\n', '\ude00\ud83d', '\uD83D\uDE00', '\u12', '\u123g', '\x', '\',
                     '\\', '\U0041'] || ARRAY(SELECT chr(i) FROM generate_series(1, 32) i)) s(v);

-- arrays
SELECT pg_temp.read_all('{int[],text[],jsonb[],varchar(2)[],"int[][]"}', pg_temp.members('[1,2,3]', '[null]', '[null,1]', '["1","x,y","\"","\\","null",""]', '[[1,2],[3,4]]',
  '[[1],[2,3]]', '[[1],2]', '[1,[2]]', '[[],[]]', '[[],[1]]', '[[1],[]]', '[[[1]],[[2]]]', '[[[1]],[2]]', '[{"x":1},2]', '[[{"x":[1]}]]', '[[[[[[1]]]]]]', '[[[[[[[1]]]]]]]',
  '[[[[[[[]]]]]]]', '[true,false]', '[ 1 , [ ] ]', '[null,[1]]', '[[null],[1]]', '[[1],null]', '5', 'true', '{"x":1}'));
SELECT pg_temp.read('[{"a":[[1,null],[3,4]],"b":["x,y","\"","null",null],"c":[[]]}]', 'a int[], b text[], c int[]');
SELECT pg_temp.read('[{"a":["(1,1),(0,0)","(3,4),(1,2)"],"b":["1.005","2"]}]', 'a box[], b numeric(4,2)[]');
SELECT pg_temp.read('[{"a":[1,2,3],"b":"1 2 3"}]', 'a int2vector, b oidvector'), pg_temp.read('[{"b":"1 2 3"}]', 'a int2vector, b oidvector');

-- types of users
CREATE DOMAIN small AS int CHECK (value < 10);
CREATE DOMAIN smaller AS small CHECK (value > 0) NOT NULL;
CREATE DOMAIN words AS text[] CHECK (cardinality(value) < 3);
CREATE DOMAIN code AS varchar(3);
CREATE TYPE mood AS ENUM ('fine', 'it''s');
CREATE TYPE pair AS (x numeric(5,2), "y z" text[], gone int, s small);
ALTER TYPE pair DROP ATTRIBUTE gone;
CREATE TYPE nested AS (p pair, ps pair[], j json);
CREATE DOMAIN good_pair AS pair CHECK ((value).x > 0);
CREATE TYPE empty AS ();
SELECT pg_temp.read_all('{small,smaller,words,small[],words[],code,mood}', ARRAY['[{}]'] || pg_temp.members('null', '1', '10', '-1', '"2"', '["a","b"]', '["a","b","c"]', '[1,2]',
  '[1,10]', '[null]', '"{x}"', '"abc"', '"abcd"', '"it''s"', '"fine"'));
SELECT pg_temp.read('[{}]', 'a small'), pg_temp.read('[{}]', 'a smaller'), pg_temp.read('[{"b":1}]', 'a int, b small'), pg_temp.read('[{"a":5,"a":50}]', 'a small');
SELECT pg_temp.read_all('{pair,pair[],good_pair,nested,empty}', ARRAY['[{}]'] || pg_temp.members('null', '{}', '{"x":1.005,"y z":["a",null],"s":3}', '{"x":1,"s":30}', '{"s":1,"x":-1}',
  '"(1,{b},4)"', '"(1,2)"', '5', '[]', '[{"x":1},{"x":2,"x":3},null]', '[[{"x":1}],[{"x":2}]]', '{"p":{"x":1},"ps":[{"x":2},{"y z":[]}],"j":{"k" : [1]}}', '{"p":5}', '{"ps":{"x":1}}', '{"p":{"s":10}}'));
SELECT pg_temp.read('[{"a":{"p":{"x":1}}},{"a":null},{"a":{"ps":[{"x":2}]}},{}]', 'a nested');

-- what is no JSON, and no array of objects
SELECT pg_temp.read_all('{int,"int, b text"}', ARRAY['', ' ', '[', ']', '[{]', '[{}', '[{},]', '[,{}]', '[{}{}]', '[{}]x', '[{}] []', '{', 'nul', 'null', '1', '"x"', '[1]', '[null]', '[[]]', '[{},1]',
  '[{"a"}]', '[{"a":}]', '[{"a":1,}]', '[{,"a":1}]', '[{"a":1 "b":"x"}]', '[{a:1}]', '[{"a":1]', '[{"a":01}]', '[{"a":-}]', '[{"a":1.}]', '[{"a":.5}]', '[{"a":1e}]', '[{"a":+1}]', '[{"a":1x}]', '[{"a":tru}]',
  '[{"a":truex}]', '[{"a":TRUE}]', '[{"a":NaN}]', '[{"b":"x}]', '[{"b":''x''}]', '[{"c":[1,}]', '[{"c":[1 2]}]', '[{"c":{"d"}}]', '[{"c":{"d":1,}}]', '[{"c":{1:1}}]', '[{"c":[}]}]', '[{"a":1}//]', E'[{"a":\u00a01}]', E'\ufeff[]', '[{"a":1}' || repeat(' ', 200) || 'x']);
-- one object is one row
SELECT * FROM walspout.read_documents(' {"b":"x","a":1} ') s(a int, b text);
SELECT * FROM walspout.read_documents('{"a":1},') s(a int, b text);
SELECT d.n, s.* FROM walspout.read_documents('[{"n":1,"after":{"a" : 1}},{"n":2,"after":{"b":"[\u0041]"}},{"n":3}]') d(n int, after text),
  LATERAL walspout.read_documents(d.after) s(a int, b text);

-- errors say what is wrong and where
SELECT * FROM walspout.read_documents('[{"a":1,"b":tru}]') s(a int, b text);
SELECT * FROM walspout.read_documents('[{"a":"x"}]') s(a int, b text);
SELECT * FROM walspout.read_documents('[{"b":"\u0000"}]') s(a int, b text);
SELECT * FROM walspout.read_documents('[{"a":5}]') s(a int[]);
SELECT * FROM walspout.read_documents('[{"a":[[1],5]}]') s(a int[]);
SELECT * FROM walspout.read_documents('[{"a":5}]') s(a pair);
SELECT * FROM walspout.read_documents('"x"') s(a int);
SELECT * FROM walspout.read_documents('[]');
SELECT walspout.read_documents('[]');
SELECT * FROM walspout.read_documents(NULL) s(a int);

-- depth: as far as the stack goes
SET max_stack_depth = '200kB';
SELECT pg_temp.read(format('[{"a":%s%s}]', repeat('[', 100000), repeat(']', 100000)), c) FROM unnest(ARRAY['a int[]', 'a json', 'a text', 'b int']) c;
SELECT pg_temp.read(format('[{"a":%s1%s}]', repeat('{"a":', 100000), repeat('}', 100000)), 'b int');
RESET max_stack_depth;
SELECT length(pg_temp.read(format('[{"a":%s%s}]', repeat('[', 500), repeat(']', 500)), 'a json'));

-- size
SELECT length(pg_temp.read(json_build_array(json_build_object('a', 1, 'b', repeat(E'é\n"x"', 300000)))::text));
SELECT length(pg_temp.read((SELECT json_agg(json_build_object('a', i, 'b', repeat('x', i % 100)))::text FROM generate_series(1, 20000) i)));
-- strings of each length end where they end
SELECT count(*) FROM generate_series(0, 70) i, LATERAL pg_temp.read(format('[{"b":"%s","a":%s}]', repeat('x', i), i)) r
 WHERE r = format('(%s,%s)', i, CASE i WHEN 0 THEN '""' ELSE repeat('x', i) END);
SELECT count(*) FROM generate_series(0, 70) i, LATERAL pg_temp.read(format('[{"b":"%s\n","a":%s}]', repeat('x', i), i)) r
 WHERE r = format(E'(%s,"%s\n")', i, repeat('x', i));

-- random documents, as they are and with a byte that is another one. Syntax is looked at
-- before values there, and together with them here: then the codes differ.
CREATE FUNCTION pg_temp.one_of(VARIADIC choices text[]) RETURNS text VOLATILE LANGUAGE sql AS
  $$ SELECT choices[1 + floor(random() * cardinality(choices))::int] $$;
CREATE FUNCTION pg_temp.value(depth int) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
BEGIN
  IF depth > 0 AND random() < 0.3 THEN
    RETURN (SELECT CASE WHEN random() < 0.5 THEN format('[%s]', string_agg(pg_temp.value(depth - 1), pg_temp.one_of(',', ' ,', ', ')))
                        ELSE format('{%s}', string_agg(format('"%s":%s', pg_temp.one_of('x', 'y z', 'p', 'ps', 'j', 's'), pg_temp.value(depth - 1)), ',')) END
              FROM generate_series(1, floor(random() * 4)::int));
  END IF;
  RETURN pg_temp.one_of('null', 'true', 'false', '0', '-1', '5', '123456', '1.5', '-2.25e3', '""', '"x"', '"7"', '"a\"b"', '"\u00e9\ud83d\ude00"', '"{1,2}"',
                        '"2024-02-29"', '"2024-02-29T12:34:56.789+00:00"', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"', '"t"', '"\\x00ff"', '"fine"', '[1,2]', '["a","b"]');
END
$$;
CREATE FUNCTION pg_temp.object() RETURNS text VOLATILE LANGUAGE sql AS $$
  SELECT format('{%s}', string_agg(format('"%s"%s%s', pg_temp.one_of('a', 'b', 'c', 'd', 'e', '\u0061', 'other'), pg_temp.one_of(':', ' : '), pg_temp.value(2)), pg_temp.one_of(',', ', ')))
    FROM generate_series(1, floor(random() * 6)::int)
$$;
SELECT setseed(0.5);
CREATE TEMP TABLE made AS
SELECT format(pg_temp.one_of('[%s]', '[%s,%s]'), pg_temp.object(), pg_temp.object()) AS documents,
       (SELECT string_agg(format('%s %s', name, pg_temp.one_of('int', 'text', 'text', 'varchar(4)', 'bool', 'numeric(6,1)', 'json', 'jsonb', 'text[]', 'int[]', 'date', 'timestamptz', 'uuid', 'bytea', 'small', 'mood', 'pair', 'nested', 'words')), ', ')
          FROM unnest(ARRAY['a', 'b', 'c', 'd', 'e']) name WHERE i > 0) AS columns
  FROM generate_series(1, 3000) i;
SELECT h.readers_differ(documents, columns) FROM made WHERE h.readers_differ(documents, columns) IS NOT NULL LIMIT 5;
SELECT count(*) > 300 FROM made WHERE length(h.read_by('walspout.read_documents($1)', documents, columns)) > 5;
SELECT count(*) > 300 FROM made WHERE length(h.read_by('walspout.read_documents($1)', documents, columns)) = 5;
UPDATE made SET documents = overlay(documents PLACING pg_temp.one_of('', '"', '\', '{', '}', '[', ']', ',', ':', ' ', '0', 'x', '-', '.', 'e', 'u') FROM 1 + floor(random() * length(documents))::int FOR floor(random() * 2)::int);
SELECT documents, columns, ours, theirs
  FROM made, h.read_by('walspout.read_documents($1)', documents, columns) ours, h.read_by('json_to_recordset($1::json)', documents, columns) theirs
 WHERE ours <> theirs AND (length(ours) > 5 OR length(theirs) > 5 OR theirs <> '22P02') AND NOT (theirs = '22023' AND left(ltrim(documents), 1) = '{') LIMIT 5;

-- who may call it
CREATE ROLE walspout_reader;
SET ROLE walspout_reader;
SELECT * FROM walspout.read_documents('[{"a":1}]') s(a int);
RESET ROLE;
GRANT USAGE ON SCHEMA walspout TO walspout_reader;
SET ROLE walspout_reader;
SELECT * FROM walspout.read_documents('[{"a":1}]') s(a int);
RESET ROLE;
REVOKE USAGE ON SCHEMA walspout FROM walspout_reader;
DROP ROLE walspout_reader;
DROP TYPE nested, good_pair, pair, empty, mood, code, words, smaller, small;
