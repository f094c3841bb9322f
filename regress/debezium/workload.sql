-- What both programs read. The statements outside of BEGIN and COMMIT are transactions of their own.
SET timezone = 'America/St_Johns';
SET xmloption = content;

INSERT INTO times VALUES (1, '2026-01-31 11:22:33.123456', '2026-01-31 11:22:33', '2026-01-31 11:22:33.123', '2026-01-31 11:22:33.1234',
    '2026-01-31 11:22:33.123456+00', '2026-01-31 11:22:33+00', '2026-01-31 11:22:33.120+00', '11:22:33.123456', '11:22:33', '11:22:33.5',
    '11:22:33.12345', '11:22:33.5+02', '11:22:33+02', '23:59:59.125-12', '2026-01-31', '1 mon 2 days 3.5 sec', '4.25 s', '3 years 2 mons');
INSERT INTO times (id, ts, tz, d, ts3, tz0) VALUES
    (2, 'infinity', 'infinity', 'infinity', 'infinity', 'infinity'), (3, '-infinity', '-infinity', '-infinity', '-infinity', '-infinity'),
    (4, '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999+00', '1969-12-31', '1969-12-31 23:59:59.999', '1900-01-01 00:00:00+00'),
    (5, '0001-01-01 00:00:00', '0001-01-01 00:00:00+00', '0001-01-01', '0001-01-01', '0001-01-01 00:00:00+00'),
    (6, '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '9999-12-31', '9999-12-31 23:59:59.5', '9999-12-31 00:00:00+00'),
    (7, '1582-10-10 12:00', '1582-10-10 12:00+00', '1582-10-10', '1582-10-10 12:00', '1582-10-10 12:00+00'),
    (8, '2026-02-28 10:00:00', '2026-02-28 10:00:00+00', '2024-02-29', '2026-02-28 10:00:00.1', '2026-02-28 10:00:00+00');
INSERT INTO times (id, t, t0, t3, ttz, i) VALUES
    (9, '00:00', '00:00', '00:00', '00:00+00', '0'), (10, '23:59:59.999999', '23:59:59', '23:59:59.999', '23:59:59.999999+00', '-1 day'),
    (11, '12:30', '12:30', '12:30:00.1', '00:30:00.000001+15:59', '-3 mons 10 days -02:03:04.000005'),
    (12, NULL, NULL, NULL, '23:30-01:30', '178000 years');
UPDATE times SET t = '01:02:03' WHERE id = 9;
SELECT setseed(0.5);
INSERT INTO times SELECT 1000 + g, ts, ts, ts, ts, tz, tz, tz, ts::time, ts::time, ts::time, ts::time, ts::time::timetz, ts::time::timetz, ts::time::timetz, ts::date,
    i, i, i FROM (SELECT g, timestamp '1500-01-01' + random() * interval '900 years' AS ts, timestamptz '1500-01-01' + random() * interval '900 years' AS tz,
        (random() - 0.5) * interval '20 years 7 mons 11 days 04:05:06.789' AS i FROM generate_series(1, 300) g) s;

INSERT INTO numbers VALUES
    (1, 1, 2, 3, 1.5, 2.25, 12345678901234567890123456789012345678901234567890.5000, 1234567890, -123.45, 0.00000000000000000001, 12.5, 999.99,
     12.34, 4294967295, true),
    (2, -32768, -2147483648, -9223372036854775808, '-infinity', 'infinity', 0, 0, 0, 0, 0, 0, 0, 0, false),
    (3, 32767, 2147483647, 9223372036854775807, 'nan', 'nan', -1, -1, 0.01, -99999999999999999999.5, -0.01, -1, -0.01, 1, NULL),
    (4, NULL, NULL, NULL, 1e-30, 1e300, -128, 128, 1.28, 1.28, 1.28, 1.28, '-92233720368547758.08', NULL, NULL),
    (5, NULL, NULL, NULL, 0.1, 0.1, 100, -128, -1.28, 32768, 327.68, 327.67, '92233720368547758.07', NULL, NULL),
    (6, NULL, NULL, NULL, 3.4028235e38, 5e-324, -100.10, 255, 2.55, -32768, NULL, NULL, NULL, NULL, NULL),
    (7, NULL, NULL, NULL, 16777216, 123456789012345680, 170141183460469231731687303715884105727, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (8, NULL, NULL, NULL, '-0', '-0', -170141183460469231731687303715884105728, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (9, NULL, NULL, NULL, NULL, 1e21, 1e-30, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (10, NULL, NULL, NULL, NULL, 1e-7, 1e40, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (11, NULL, NULL, NULL, NULL, 123456.789, 1.10, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (12, NULL, NULL, NULL, NULL, NULL, 'NaN', NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL),
    (13, NULL, NULL, NULL, NULL, NULL, 'infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (14, NULL, NULL, NULL, NULL, NULL, '-infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO numbers SELECT 1000 + g, (f * 32767)::int2, (f * 2147483647)::int, (f * 9.2e18)::int8, f * power(10, e), f * power(10, 5 * e),
    round((f * power(10, e))::numeric, g % 9) * power(10::numeric, g % 40), (f * 1e9)::numeric, (f * 1e7)::numeric, (f * 1e15)::numeric, (f * 1e7)::numeric,
    (f * 999)::numeric, (f * 1e12)::numeric::money, (abs(f) * 4294967295)::bigint::oid, f > 0
    FROM (SELECT g, (random() - 0.5) * 2 AS f, (random() * 14)::int - 7 AS e FROM generate_series(1, 300) g) s;
DELETE FROM numbers WHERE id < 3;

INSERT INTO texts VALUES
    (1, E'a"b\\c\n\t\u0001é€😀', 'vä', 'ab', 'CiText', 'word', '<a b="c"/>', '6F9619FF-8B86-D011-B42D-00CF4FC964FF', '{"a":  2, "a": [1, null]}',
     '{"b": 1.50, "a": "é"}', 'it''s "ok"', NULL, 'Top.Science', '\x00ff10', '1', '0000000101', repeat('10', 32)::bit(64),
     '101', '10101', '1.2.3.4/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(1.5,-2)', '[1,5)', '(,9]',
     '[1.5,2.50]', '[2026-01-01,2026-01-02 11:22:33.5)', '[2026-01-01 00:00+00,infinity)', '[2026-01-01,2026-01-31]', 'fat:2 cat:3A'),
    (2, '', '', '', '', '', '', NULL, 'null', 'null', 'sad', NULL, '', '', '0', '0000000000', 1::bit(64), '', '0', '::1', '::/0', NULL, NULL,
     '(0,1e300)', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', ''),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '"x"', '12', NULL, NULL, NULL, '\x80', NULL, '1000000000', (-1)::bigint::bit(64), '100000001',
     '1', NULL, NULL, NULL, NULL, '(infinity,nan)', '(,)', '[1,)', '(,1)', '(,)', '(,)', '(,)', NULL);
UPDATE texts SET t = 'other' WHERE id = 1;
UPDATE texts SET id = 30 WHERE id = 3;

INSERT INTO arrays VALUES
    (1, '{1,NULL}', '{1,-2}', '{9223372036854775807}', '{1.5,NULL}', '{0.1,1e300}', '{1.50,2}', '{1.5,NULL,-0.1}', '{"a,b","q\"",NULL,""}', '{v}',
     '{a}', '{t,f,NULL}', '{2026-01-31,NULL}', '{"2026-01-31 11:22:33.123456"}', '{"2026-01-31 11:22:33.123"}', '{"2026-01-31 11:22:33.5+00"}',
     '{11:22:33.5}', '{6f9619ff-8b86-d011-b42d-00cf4fc964ff}', '{sad,NULL}', ARRAY['{"a":  1}'::json], ARRAY['{"a": 1}'::jsonb],
     ARRAY['\x00ff'::bytea], '{1.2.3.4}', '{"[1,5)"}'),
    (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO strict VALUES (1, 'a', 'b', 1, 2, 3, 4, 5, 6, 7, 8, true, 'x', '2026-01-31', '11:22:33', '11:22:33', '2026-01-31', '2026-01-31',
    '2026-01-31 00:00+00', '11:22+00', '1 day', '1', '1', '6f9619ff-8b86-d011-b42d-00cf4fc964ff', 'sad', '<a/>', '1.2.3.4', 'a=>1', '1', '10101010',
    '1', 5, '{1}', '{a}', '[1,2)', 1.5, '(1,2)');
UPDATE strict SET i = 3;
UPDATE strict SET id = 2;
DELETE FROM strict;

BEGIN;
INSERT INTO toasted SELECT 1, 1, long, long, to_json(long), to_jsonb(long), long::bytea, ('<a>' || long || '</a>')::xml, hstore('k', long),
    ARRAY[long], ints, ints, array_fill('6f9619ff-8b86-d011-b42d-00cf4fc964ff'::uuid, '{3000}'), array_fill('2026-01-31'::date, '{3000}'),
    array_fill('2026-01-31'::timestamp, '{3000}'), array_fill('11:22'::time, '{3000}'), array_fill(1::oid, '{3000}'), array_fill(0.5::float8, '{3000}'),
    array_fill(1.5, '{3000}'), array_fill(true, '{9000}'), long, repeat('1234567890', 1000)::numeric
    FROM (SELECT repeat('x', 9000) AS long, array_fill(7, '{3000}') AS ints) s;
UPDATE toasted SET n = 2;
UPDATE toasted SET id = 2;
UPDATE toasted SET t = 'short', n = NULL;
DELETE FROM toasted;
COMMIT;

BEGIN;
INSERT INTO full_row VALUES (1, repeat('y', 9000), 1.5, '2026-01-31 11:22:33.5', NULL);
UPDATE full_row SET n = 2;
SAVEPOINT s;
UPDATE full_row SET n = 3;
ROLLBACK TO s;
UPDATE full_row SET id = 2;
DELETE FROM full_row;
INSERT INTO full_keyless VALUES ('a', 1);
UPDATE full_keyless SET n = 2;
DELETE FROM full_keyless;
COMMIT;

INSERT INTO by_index VALUES (1, 'a', 'x');
UPDATE by_index SET c = 'y';
UPDATE by_index SET a = 2;
UPDATE by_index SET b = 'b';
DELETE FROM by_index;
INSERT INTO by_other_index VALUES (1, 'a', 'x');
UPDATE by_other_index SET c = 'y';
UPDATE by_other_index SET b = 'b';
UPDATE by_other_index SET a = 2;
DELETE FROM by_other_index;
INSERT INTO keyless VALUES ('q', 1.25);
INSERT INTO keys VALUES ('6f9619ff-8b86-d011-b42d-00cf4fc964ff', 1.5, '2026-01-31', '2026-01-31 11:22:33.5', '2026-01-31 11:22:33.5+00', 'k"', '\x01', 1);
UPDATE keys SET v = 2;
UPDATE keys SET n = 2;
DELETE FROM keys;
INSERT INTO "Other one"."Table ä" VALUES (1, 'x');
UPDATE "Other one"."Table ä" SET "Key ü" = 2;
INSERT INTO parts VALUES (1, 'low'), (101, 'high');
UPDATE parts SET v = 'moved', id = 102 WHERE id = 1;
UPDATE parts SET v = 'same' WHERE id = 101;
DELETE FROM parts;

-- messages, in transactions and outside of them
BEGIN;
SELECT pg_logical_emit_message(true, 'p', 'hello');
INSERT INTO keyless VALUES ('between');
SELECT pg_logical_emit_message(true, 'bytes"', '\x00ff01'::bytea);
COMMIT;
SELECT pg_logical_emit_message(false, 'now', 'at once');
SELECT pg_logical_emit_message(true, 'empty', '');

INSERT INTO emptied VALUES (1, 'x');
TRUNCATE emptied, emptied_too;
TRUNCATE full_row RESTART IDENTITY;
BEGIN;
INSERT INTO emptied VALUES (2, 'y');
TRUNCATE emptied CASCADE;
INSERT INTO emptied VALUES (3, 'z');
COMMIT;
TRUNCATE parts;

SELECT pg_replication_origin_create('elsewhere');
SELECT pg_replication_origin_session_setup('elsewhere');
BEGIN;
SELECT pg_replication_origin_xact_setup('0/ABCDEF', '2026-01-31 11:22:33+00');
INSERT INTO keyless VALUES ('from elsewhere');
COMMIT;
SELECT pg_replication_origin_session_reset();

INSERT INTO odd_types VALUES (1, '(1,x)', '((1,2),(3,4))', '<(1,2),3>', '{1,2,3}', '[(1,2),(3,4)]', '((1,2),(3,4))', '((1,2),(3,4),(5,6))', 'a name',
    '{[1,5)}', '16/B374D848', '$.a', 'c', 'odd_types', ARRAY['(1,x)'::pair], ARRAY['(1,2)'::point]);
INSERT INTO odd_defaults VALUES (1, 1, 'x', false);
DELETE FROM odd_defaults;
INSERT INTO generated VALUES (1, 2);
UPDATE generated SET n = 3;
INSERT INTO hstores VALUES (1, 'a=>1, b=>NULL, "c d"=>"e\"f"');

INSERT INTO mixed VALUES (true, 'sad', 1, '2026-01-31 11:22:33.5', '2026-01-31', 1.50, '000000000101', '1', '{1,2}', '{{1,2},{3,NULL}}', 12345, 0.00012,
    'x', '{Ab,NULL}', '{1,4294967295}', '{1.5,-2}', '{101,NULL}', '{1,0}', '{1,10101010101}', '{11:22:33.5+02}', '{1 day,-1 mon}', '{08:00:2b:01:02:03}',
    ARRAY['a=>1'::hstore], ARRAY['<a/>'::xml], '{Top.A}', '{c}', '{name}', '{1.5,NULL}', '{2.5}', '{w}', '{2026-01-31 11:22:33+00}', '{11:22:33}');
UPDATE mixed SET ok = false;
UPDATE mixed SET e = 'it''s "ok"';
DELETE FROM mixed;
INSERT INTO "select" VALUES (1, 2, 'u', '${x}', '{}');
UPDATE "select" SET "a.b" = 3;
DELETE FROM "select";
INSERT INTO times (id, t, t0, t3) VALUES (13, '24:00', '24:00', '24:00');
INSERT INTO times (id, ts, ts3, tz, d) VALUES
    (14, '0044-03-15 12:00 BC', '0044-03-15 12:00:00.5 BC', '0044-03-15 12:00:00.25+00 BC', '0044-03-15 BC'),
    (15, '12026-01-31 11:22:33.5', '12026-01-31 11:22:33.5', '12026-01-31 11:22:33+00', '12026-01-31'),
    (16, '0001-12-31 23:59:59.999999 BC', '0002-01-01 BC', '0001-01-01 BC', '0001-12-31 BC');
INSERT INTO times (id, ttz, ttz0) VALUES (17, '24:00+00', '24:00-02');
INSERT INTO finish VALUES (1);
