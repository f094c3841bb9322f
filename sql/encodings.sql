-- Databases in other encodings than UTF-8: what is sent is UTF-8, and what the
-- SQL functions return is that, in the database's encoding. Bytes that are no
-- characters become U+FFFD.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\set encoding `echo "$PG_ABS_SRCDIR/sql/include/encoding.sql"`
\set before :DBNAME
CREATE DATABASE walspout_latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE walspout_win1252 TEMPLATE template0 ENCODING 'WIN1252' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE walspout_euc_jp TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE walspout_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';

\c walspout_latin1
\encoding UTF8
\set chars 'éß ÿ'
\i :helpers
\i :encoding
-- every character; a control character of the upper half is one
CALL h.slot('encoded');
CREATE TABLE every (id serial PRIMARY KEY, v text);
INSERT INTO every (v) SELECT chr(g) || 'x' FROM generate_series(1, 255) g;
INSERT INTO every (v) SELECT string_agg(chr(g), '') FROM generate_series(1, 255) g;
SELECT h.compare('encoded', 'every');
CALL h.drop('encoded');

\c walspout_win1252
\encoding UTF8
\set chars '€“ž'
\i :helpers
\i :encoding
-- five bytes have no meaning
CALL h.slot('encoded');
CREATE TABLE every (id serial PRIMARY KEY, v text);
INSERT INTO every (v) SELECT chr(g) || 'x' FROM generate_series(1, 255) g WHERE g NOT IN (129, 141, 143, 144, 157);
SELECT h.compare('encoded', 'every');
CALL h.skip('encoded');
INSERT INTO every (v) VALUES ('a' || chr(129) || '€' || chr(141) || chr(143)), (chr(157)), (repeat('€', 5000) || chr(144) || repeat('“', 5000));
SELECT h.short(h.changes('encoded'));
SELECT id ~ '^\d+-\d+$', jsonb_typeof(envelope) FROM walspout.peek('encoded');
-- messages have any byte
CALL h.skip('encoded');
SELECT pg_logical_emit_message(true, 'p', b) IS NOT NULL FROM unnest('{"\\x80","\\x81","\\x228122","\\x00"}'::bytea[]) b;
SELECT h.changes('encoded');
CALL h.drop('encoded');

\c walspout_euc_jp
\encoding UTF8
\set chars '日本丂ｱé'
\i :helpers
\i :encoding
CALL h.slot('encoded');
SELECT pg_logical_emit_message(true, 'p', b) IS NOT NULL FROM unnest('{"\\xa4a2","\\xa4","\\x8fb0a1","\\xa9fe","\\xff"}'::bytea[]) b;
-- characters of the encoding that Unicode does not have
CREATE TABLE unmapped (v text);
INSERT INTO unmapped SELECT convert_from('\x61a9fe62a4a2'::bytea, 'EUC_JP');
SELECT h.changes('encoded');
CALL h.drop('encoded');

\c walspout_ascii
\encoding UTF8
\set chars 'é日😀'
\i :helpers
\i :encoding
CALL h.slot('encoded');
CREATE TABLE bytes (id serial PRIMARY KEY, v text, j json, jb jsonb, n name);
INSERT INTO bytes (v, j, jb, n)
SELECT t, ('"' || t || '"')::json, jsonb_build_object(t, t), t
  FROM unnest(ARRAY[E'\xff', E'a\xc3', E'\xc3(', E'\xe9\xa9', E'\xed\xa0\x80', E'\xc0\x80', E'\xf0\x9f\x98', E'\xf4\x90\x80\x80', E'\xc3\xa9\xff\xc3\xa9', E'\xf0\x9f\x98\x80']) t;
INSERT INTO bytes (v) SELECT repeat(E'\xc3\xa9', 5000) || E'\xc3';
SELECT pg_logical_emit_message(true, E'\xff', b) IS NOT NULL FROM unnest('{"\\xff","\\x22c3a922","\\xc3"}'::bytea[]) b;
SELECT h.short(h.changes('encoded'));
CALL h.drop('encoded');

\c :before
DROP DATABASE walspout_latin1;
DROP DATABASE walspout_win1252;
DROP DATABASE walspout_euc_jp;
DROP DATABASE walspout_ascii;
