-- Text of every character and with escapes at every place, in every type that
-- holds text, is what row_to_json() makes of it.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('text');
CREATE TABLE texts (id serial PRIMARY KEY, v text, vs text[], c varchar, x xml, j json, jb jsonb);

-- every control character, every ASCII character
INSERT INTO texts (v) SELECT chr(g) FROM generate_series(1, 127) g;
INSERT INTO texts (v) SELECT string_agg(chr(g), '') FROM generate_series(1, 255) g;

-- every character of every plane: a column is 256 of them
INSERT INTO texts (v)
SELECT string_agg(chr(g), '' ORDER BY g) FROM generate_series(x'100'::int, x'10FFFF'::int) g
 WHERE g NOT BETWEEN x'D800'::int AND x'DFFF'::int GROUP BY g / 256;

-- an escape at each place of strings of about one, two and three words
INSERT INTO texts (v)
SELECT overlay(repeat('x', n) PLACING s FROM i FOR 1)
  FROM generate_series(1, 50) n, generate_series(1, n) i,
       unnest(ARRAY['"', E'\\', E'\n', E'\x01', E'\x1f', ' ', '!', '#', '[', ']', E'\x7f', 'é', '😀']) s
 WHERE n IN (1, 2, 7, 8, 9, 15, 16, 17, 18, 20, 31, 32, 33, 48, 50);
-- two of them
INSERT INTO texts (v)
SELECT overlay(overlay(repeat('é', n) PLACING '"' FROM i FOR 1) PLACING E'\t' FROM j FOR 1)
  FROM generate_series(8, 20, 3) n, generate_series(1, n) i, generate_series(1, n) j;
-- nothing else
INSERT INTO texts (v) SELECT repeat(s, n)
  FROM unnest(ARRAY['"', E'\x02', E'\\', E'\x0b\x0c']) s, generate_series(0, 40) n;

-- about the 8192 bytes that are escaped at a time
INSERT INTO texts (v)
SELECT overlay(repeat('x', n) PLACING s FROM n - back FOR 1)
  FROM unnest(ARRAY[8175, 8176, 8177, 8191, 8192, 8193, 8208, 16384, 16385, 24577]) n,
       generate_series(0, 17) back, unnest(ARRAY['"', E'\x01', 'é', '😀']) s;
INSERT INTO texts (v)
SELECT overlay(repeat(s, 20000) PLACING '"' FROM at FOR 1)
  FROM unnest(ARRAY[E'\x03', 'é', '😀', 'x']) s, unnest(ARRAY[1, 2047, 2048, 2049, 4096, 4097, 8191, 8192, 8193, 20000]) at;

-- the other types that print text as it is
INSERT INTO texts (vs, c, x, j, jb)
SELECT ARRAY[v, NULL, v || v], v, xmlparse(CONTENT '<a>' || translate(v, E'<&"\\', '') || '</a>'),
       to_json(v), to_jsonb(v)
  FROM texts WHERE length(v) < 60 AND v !~ E'[\x01-\x08\x0b\x0c\x0e-\x1f]' AND id % 7 = 0;
-- names in jsonb
INSERT INTO texts (jb) SELECT jsonb_build_object(v, v, v || v, jsonb_build_array(v, v)) FROM texts WHERE length(v) < 300 AND id % 11 = 0;

-- json is copied, but for line breaks: they are spaces
INSERT INTO texts (j) VALUES (E'{"a" :\n\r\n [1,\r2,\n3], "\\n":"\\r\\n\\u000a" }'), (E'\n\n"x"\n'), (E'\r\n{\n}\r\n'),
  (('[' || repeat(E'1,\n', 5000) || '2]')::json), ('1e99999'), ('-0'), ('{"a":1,"a":2}');
INSERT INTO texts (j) SELECT (repeat(E'[\n', 1000) || repeat(E'\n]', 1000))::json;

-- jsonb of every shape
INSERT INTO texts (jb) VALUES ('{}'), ('[]'), ('null'), ('true'), ('false'), ('0'), ('-0'), ('"x"'), ('""'), ('[[]]'), ('[{}]'),
  ('{"":{}}'), ('{"a":[]}'), ('1e400'), ('1e-400'), ('123456789012345678901234567890.123456789'), ('[1.10, 1e5, -5E-3, 0.0, 0e10]'),
  ('[null, [null, [null]], {"a":null}]'), ('{"bb":1,"a":2,"ccc":[true,false],"dd":{"e":"f"}}'),
  ('"\u0001\b\t\n\f\r\"\\\/\u007f\u00e9\ud83d\ude00"'), ('{"\u0001\"":"\\"}');
INSERT INTO texts (jb) SELECT jsonb_object_agg('key' || g, g) FROM generate_series(1, 300) g;
INSERT INTO texts (jb) SELECT jsonb_agg(repeat('x', g % 40)) FROM generate_series(1, 1000) g;
INSERT INTO texts (jb) SELECT jsonb_agg(g::numeric / 7 || repeat('y', g % 5)) FROM generate_series(1, 200) g;
INSERT INTO texts (jb) SELECT jsonb_agg(jsonb_build_object(repeat('k', g % 9), g::numeric / 7, 'z', repeat('y', g % 5))) FROM generate_series(1, 200) g;
INSERT INTO texts (jb) SELECT (repeat('[{"a":', 500) || '1' || repeat('}]', 500))::jsonb;
INSERT INTO texts (jb) SELECT ('1' || repeat('0', 100000))::jsonb;

SELECT regexp_replace(h.compare('text', 'texts', 'max_depth', '0'), '^120\d\d rows', '12,000 rows');

-- no line break is left anywhere, and every document is one of JSON
SELECT count(*) FROM doc WHERE data ~ '[\n\r]' OR NOT (data::json IS NOT NULL);

-- escapes that SQL cannot look at are copied, too
CALL h.skip('text');
CREATE TABLE escapes (j json);
INSERT INTO escapes VALUES ('{"\u0000": "\u0000 \ud83d\ude00 \ud800"}');
SELECT h.changes('text');
CALL h.drop('text');
DROP TABLE texts, escapes;
