-- Tables of all types that the dialect has a form for. Those whose names begin with odd_ have what the dialect does not follow.
CREATE EXTENSION hstore;
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN price AS numeric(10, 2);
CREATE DOMAIN cheap AS price CHECK (VALUE < 1000);
CREATE DOMAIN word AS text;

CREATE TABLE times (
    id int PRIMARY KEY, ts timestamp, ts0 timestamp(0), ts3 timestamp(3), ts4 timestamp(4), tz timestamptz, tz0 timestamptz(0),
    tz3 timestamptz(3), t time, t0 time(0), t3 time(3), t5 time(5), ttz timetz, ttz0 timetz(0), ttz3 timetz(3), d date, i interval,
    is2 interval second(2), iym interval year to month);

CREATE TABLE numbers (
    id int PRIMARY KEY, s int2, i int4, b int8, f4 float4, f8 float8, n numeric, n10 numeric(10), n102 numeric(10, 2),
    n50 numeric(50, 20), p price, c cheap, m money, o oid, ok bool);

CREATE TABLE texts (
    id int PRIMARY KEY, t text, v varchar(20), c char(5), ct citext, w word, x xml, u uuid, j json, jb jsonb, e mood, h hstore,
    lt ltree, by bytea, b1 bit(1), b10 bit(10), b bit(64), vb varbit, vb5 varbit(5), ip inet, net cidr, mac macaddr, mac8 macaddr8,
    p point, ir int4range, br int8range, nr numrange, tr tsrange, zr tstzrange, dr daterange, tv tsvector);

CREATE TABLE arrays (
    id int PRIMARY KEY, s int2[], i int[], b int8[], f4 float4[], f8 float8[], n numeric[], n51 numeric(5, 1)[], t text[], v varchar(9)[],
    c char(3)[], ok bool[], d date[], ts timestamp[], ts3 timestamp(3)[], tz timestamptz[], tm time[], u uuid[], e mood[],
    j json[], jb jsonb[], by bytea[], ip inet[], ir int4range[]);

-- No column may be NULL: a delete has the key only, and values that stand for the rest.
CREATE TABLE strict (
    id int PRIMARY KEY, t text NOT NULL, c char(3) NOT NULL, s int2 NOT NULL, i int NOT NULL, b int8 NOT NULL, f4 float4 NOT NULL,
    f8 float8 NOT NULL, n numeric NOT NULL, n52 numeric(5, 2) NOT NULL, m money NOT NULL, ok bool NOT NULL, by bytea NOT NULL,
    d date NOT NULL, tm time NOT NULL, tm3 time(3) NOT NULL, ts timestamp NOT NULL, ts3 timestamp(3) NOT NULL, tz timestamptz NOT NULL,
    ttz timetz NOT NULL, iv interval NOT NULL, j json NOT NULL, jb jsonb NOT NULL, u uuid NOT NULL, e mood NOT NULL, x xml NOT NULL,
    ip inet NOT NULL, h hstore NOT NULL, b1 bit(1) NOT NULL, b8 bit(8) NOT NULL, vb varbit NOT NULL, o oid NOT NULL, ia int[] NOT NULL,
    ta text[] NOT NULL, ir int4range NOT NULL, p price NOT NULL, pt point NOT NULL);

CREATE TABLE toasted (
    id int PRIMARY KEY, n int, t text, v varchar, j json, jb jsonb, by bytea, x xml, h hstore, ta text[], ia int[], ba int8[], ua uuid[],
    da date[], tsa timestamp[], tma time[], oa oid[], fa float8[], na numeric[], oka bool[], nn text NOT NULL, num numeric);
DO $$
DECLARE
  c name;
BEGIN
  FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'toasted'::regclass AND attnum > 2 AND attname <> 'num' LOOP
    EXECUTE format('ALTER TABLE toasted ALTER %I SET STORAGE EXTERNAL', c);
  END LOOP;
END $$;

CREATE TABLE full_row (id int PRIMARY KEY, big text, n numeric(6, 2), ts timestamp, nothing int);
ALTER TABLE full_row ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
CREATE TABLE full_keyless (v text, n int);
ALTER TABLE full_keyless REPLICA IDENTITY FULL;
CREATE TABLE by_index (a int NOT NULL, b text NOT NULL, c text);
CREATE UNIQUE INDEX by_index_b ON by_index (b);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_b;
CREATE TABLE by_other_index (a int PRIMARY KEY, b text NOT NULL, c text);
CREATE UNIQUE INDEX by_other_index_b ON by_other_index (b);
ALTER TABLE by_other_index REPLICA IDENTITY USING INDEX by_other_index_b;
CREATE TABLE keyless (v text, n numeric);
CREATE TABLE keys (
    u uuid, n numeric(8, 3), d date, ts timestamp, tz timestamptz, t text, by bytea, v int,
    PRIMARY KEY (u, n, d, ts, tz, t, by));
CREATE SCHEMA "Other one";
CREATE TABLE "Other one"."Table ä" ("Key ü" int PRIMARY KEY, "say ""hi""" text);
CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (200);
CREATE TABLE emptied (id int PRIMARY KEY, v text);
CREATE TABLE emptied_too (id int PRIMARY KEY REFERENCES emptied);
CREATE TABLE generated (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE hstores (id int PRIMARY KEY, h hstore);

-- What documents of the dialect have another form for, or none.
CREATE TABLE odd_types (
    id int PRIMARY KEY, composite pair, box box, circle circle, line line, lseg lseg, path path, polygon polygon, name name,
    int4multirange int4multirange, pg_lsn pg_lsn, jsonpath jsonpath, "char" "char", regclass regclass, composites pair[], points point[]);
CREATE TABLE odd_defaults (
    id int PRIMARY KEY, n int NOT NULL DEFAULT 7, t text NOT NULL DEFAULT 'so', ok bool NOT NULL DEFAULT true);
CREATE DOMAIN moods AS mood[];
CREATE DOMAIN a_time AS timestamp(3);
CREATE DOMAIN a_date AS date;
CREATE DOMAIN a_number AS numeric;
CREATE DOMAIN flags AS bit(12);
CREATE DOMAIN flag AS bit(1);
CREATE DOMAIN ids AS int[];
CREATE TABLE mixed (
    ok bool, e mood, n int8, ts3 a_time, dd a_date, an a_number, fl flags, f1 flag, ii ids, two int[], n_neg numeric(3, -2), n_small numeric(2, 5),
    c1 char, ctt citext[], oids oid[], money_array money[], bits bit(3)[], bits1 bit(1)[], vbits varbit[], tz_array timetz[], intervals interval[], macs macaddr[],
    hs hstore[], xmls xml[], ltrees ltree[], chars "char"[], name_array name[], prices price[], cheaps cheap[], words word[], stamps timestamptz(0)[], times0 time(0)[],
    PRIMARY KEY (e, ok, n));
CREATE TABLE "select" ("from" int, "a.b" int, "__op" text, "$" text, "after" text, PRIMARY KEY ("from", "a.b"));
CREATE TABLE finish (id int PRIMARY KEY);

CREATE PUBLICATION all_tables FOR ALL TABLES;
