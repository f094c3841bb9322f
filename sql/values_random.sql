-- Random values of the types that are formatted without their output
-- functions, over the whole range of each: what row_to_json() makes of them.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('random');
CREATE TABLE random_values (id int PRIMARY KEY, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
  n numeric, n2 numeric(30, 10), d date, t time, tz timetz, ts timestamp, tsz timestamptz,
  iv interval, m money, u uuid, b bytea, o oid);
CREATE FUNCTION big() RETURNS numeric VOLATILE LANGUAGE sql AS
  $$ SELECT trunc(random()::numeric * 4294967296) * 4294967296 + trunc(random()::numeric * 4294967296) $$;
SELECT setseed(0.25);
-- numbers are drawn over orders of magnitude, not over the range
INSERT INTO random_values
SELECT g, random() * 65535 - 32768, (random() - 0.5) * 2 ^ (random() * 31),
       (big() - 9223372036854775808) / (10 ^ (random() * 19)::int)::numeric,
       float4((random() - 0.5) * 10::float8 ^ (random() * 70 - 35)),
       (random() - 0.5) * 10::float8 ^ (random() * 600 - 300),
       CASE WHEN random() < 0.1 THEN trunc(random()::numeric * 100) * 10::numeric ^ ((random() - 0.5) * 40)::int
            ELSE round((random() - 0.5)::numeric * 10::numeric ^ (random() * 60)::int
                       / (1 + trunc(random()::numeric * 1000)), (random() * 30)::int - 10) END,
       (random() - 0.5)::numeric * 1e18,
       '4713-01-02 BC'::date + ((random() * random() * 2147483493 * 0.99)::int),
       time '00:00' + (random() * 86399) * interval '1 s',
       (timetz '00:00+00' + (random() * 86399) * interval '1 s') AT TIME ZONE (((random() - 0.5) * 57000)::int * interval '1 s'),
       '4713-01-02 BC'::timestamp + random() * random() * interval '298000 years' + random() * interval '1 day',
       '4713-01-02 BC'::timestamptz + random() * random() * interval '298000 years' + random() * interval '1 day',
       ((random() - 0.5) * 10 ^ (random() * 9))::int * interval '1 mon' * (random() < 0.7)::int
       + ((random() - 0.5) * 10 ^ (random() * 9))::int * interval '1 day' * (random() < 0.7)::int
       + ((random() - 0.5) * 10 ^ (random() * 15))::bigint * interval '1 us' * (random() < 0.7)::int,
       ((random() - 0.5) * 10 ^ (random() * 16))::numeric(20, 2)::money,
       md5(random()::text)::uuid, decode(left(md5(random()::text), (random() * 16)::int * 2), 'hex'),
       (random() * 4294967295)::bigint::oid
  FROM generate_series(1, 20000) g;

-- every day and every power of ten
INSERT INTO random_values (id, d, ts) SELECT 100000 + g, date '1899-12-25' + g, timestamp '1999-12-25' - g * interval '1 day 1 s'
  FROM generate_series(1, 3000) g;
INSERT INTO random_values (id, i8, f8, f4, n)
SELECT 200000 + g * 10 + s + 1, CASE WHEN abs(g) < 19 THEN (10::numeric ^ abs(g) + s)::int8 END,
       (10::numeric ^ g)::float8, CASE WHEN abs(g) < 38 THEN (10::numeric ^ g)::float4 END,
       10::numeric ^ g + s * 10::numeric ^ (g - 5)
  FROM generate_series(-307, 307) g, generate_series(-1, 1) s;
-- every bit of a float alone
INSERT INTO random_values (id, f8, f4)
SELECT 300000 + g, 2::float8 ^ (g - 1074), CASE WHEN g BETWEEN 925 AND 1201 THEN (2::float8 ^ (g - 1074))::float4 END
  FROM generate_series(0, 2097) g;
-- numerics with digits everywhere, and none
INSERT INTO random_values (id, n)
SELECT 400000 + g, n FROM (SELECT row_number() OVER () AS g, n FROM (
  SELECT (repeat('9', i) || '.' || repeat('9', j))::numeric AS n FROM generate_series(0, 9) i, generate_series(1, 9) j
  UNION ALL SELECT (repeat('0', i) || '.' || repeat('0', j) || '1')::numeric FROM generate_series(0, 9) i, generate_series(0, 9) j
  UNION ALL SELECT ('-1' || repeat('0', i) || '.' || repeat('0', j))::numeric FROM generate_series(0, 9) i, generate_series(1, 9) j
  UNION ALL SELECT repeat('1234567890', 6000)::numeric
  UNION ALL SELECT ('0.' || repeat('0987654321', 1600))::numeric
  UNION ALL SELECT (repeat('5', 131072) || '.' || repeat('7', 16383))::numeric
  UNION ALL SELECT ('1e131071')::numeric UNION ALL SELECT ('-1e-16383')::numeric) v) w;
-- the ends of interval; old servers cannot print the least one
\if :since_15
INSERT INTO random_values (id, iv) SELECT 500001, make_interval(hours => -2147483647) + make_interval(hours => -414564141) + make_interval(secs => -54.775808);
\else
INSERT INTO random_values (id, iv) SELECT 500001, make_interval(hours => -2147483647);
\endif
INSERT INTO random_values (id, iv) VALUES
  (500002, make_interval(months => -2147483647 - 1)), (500003, make_interval(days => -2147483647 - 1));
SELECT h.compare('random', 'random_values');
SELECT h.compare_readers('random_values');
CALL h.drop('random');
DROP TABLE random_values;
DROP FUNCTION big;
