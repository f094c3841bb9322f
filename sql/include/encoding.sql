-- Text, names and messages of a database that is not UTF-8; :chars are
-- characters that it has.
CREATE TYPE hue AS ENUM ('a', :'chars');
CREATE TYPE pair AS (id int, :"chars" text);
CREATE TABLE :"chars" (id serial PRIMARY KEY, :"chars" text, vs text[], c varchar, n name, j json, jb jsonb,
  e hue, p pair, x xml, k "char");
CREATE PUBLICATION :"chars" FOR TABLE :"chars";
CALL h.slot('encoded');
INSERT INTO :"chars" (:"chars", vs, c, n, j, jb, e, p, x)
SELECT v, ARRAY[v, NULL, v], v, :'chars', json_build_object(v, v), jsonb_build_object(v, v), :'chars'::hue, ROW(1, v)::pair, xmlparse(CONTENT v)
  FROM (SELECT repeat('a', n) || :'chars' || repeat('"', n) || :'chars' FROM generate_series(0, 20) n) t(v);
-- each character at each place about the size that is converted at a time
INSERT INTO :"chars" (:"chars")
SELECT repeat('a', n) || repeat(:'chars', 2000) FROM generate_series(2035, 2050) n;
INSERT INTO :"chars" (:"chars") SELECT repeat(:'chars', 2000) || repeat('a', n) FROM generate_series(0, 10) n;
INSERT INTO :"chars" (:"chars") SELECT string_agg(:'chars' || repeat('x', g % 9), E'\n') FROM generate_series(1, 5000) g;
SELECT h.compare('encoded', (SELECT oid::regclass FROM pg_class WHERE relname = :'chars'));
SELECT h.compare_rows((SELECT oid::regclass FROM pg_class WHERE relname = :'chars'));
SELECT h.compare_readers((SELECT oid::regclass FROM pg_class WHERE relname = :'chars'));
-- escapes of characters that the encoding has, and does not have; servers before 16 have another code for SQL_ASCII
SELECT count(*), count(*) FILTER (WHERE replace(theirs, '0A000', '22P05') <> ours)
  FROM (SELECT h.read_by('walspout.read_documents($1)', d, 'a text') AS ours, h.read_by('json_to_recordset($1::json)', d, 'a text') AS theirs
          FROM (SELECT format('[{"a":"x\u%sy"}]', lpad(to_hex(g), 4, '0')) FROM generate_series(1, 65535, 97) g) x(d)) r;
SELECT data FROM doc WHERE data::json -> 'elided' IS NOT NULL;
SELECT h.short(data) FROM doc WHERE n IN (1, 3);
-- frames are UTF-8, here as through a walsender
SELECT count(*), count(*) FILTER (WHERE convert_to(data, 'UTF8') = document)
  FROM (SELECT substr(body, 21, length(body) - 20 - sixteen) AS document, row_number() OVER () AS n FROM h.frames('encoded') WHERE kind = 'c') f
  FULL JOIN (SELECT data, row_number() OVER () AS n FROM h.changes('encoded')) j USING (n);
SELECT document, columns FROM h.frames('encoded') WHERE kind = 'R';
SELECT count(*) FROM h.changes('encoded', 'publications', '"' || :'chars' || '"');
-- messages
CALL h.skip('encoded');
SELECT pg_logical_emit_message(true, :'chars', c) IS NOT NULL FROM unnest(ARRAY[:'chars', '"' || :'chars' || '"', '{"' || :'chars' || '":"\u00e9"}']) c;
SELECT h.changes('encoded');
SELECT h.changes('encoded', 'message_prefixes', :'chars') EXCEPT SELECT h.changes('encoded');
CALL h.drop('encoded');
