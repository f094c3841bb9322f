-- Publications decide what is sent, as they do for pgoutput: tables, schemas,
-- operations, rows, columns, and any union of them.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
\if :since_15
\else
\quit
\endif
CREATE SCHEMA pub_a;
CREATE SCHEMA "Pub B";
CREATE TABLE orders (id int PRIMARY KEY, status text, amount int, secret text, region text);
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE keyless (v int);
CREATE TABLE with_full (id int PRIMARY KEY, v int, w text);
ALTER TABLE with_full REPLICA IDENTITY FULL;
CREATE TABLE pub_a.t (id int PRIMARY KEY, v text);
CREATE TABLE "Pub B"."T" (id int PRIMARY KEY, v text);
CREATE TABLE generated (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED, z text);
CREATE TABLE turned (z text, gone int, id int PRIMARY KEY, a text);
ALTER TABLE turned DROP gone;
SET client_min_messages = error;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION nothing;
CREATE PUBLICATION orders_only FOR TABLE orders;
CREATE PUBLICATION two_tables FOR TABLE orders, customers;
CREATE PUBLICATION "Schemas, both" FOR TABLES IN SCHEMA pub_a, "Pub B";
CREATE PUBLICATION one_schema FOR TABLES IN SCHEMA pub_a, TABLE orders;
CREATE PUBLICATION inserts FOR TABLE orders, keyless WITH (publish = 'insert');
CREATE PUBLICATION updates FOR ALL TABLES WITH (publish = 'update');
CREATE PUBLICATION deletes FOR TABLE customers, with_full WITH (publish = 'delete, truncate');
CREATE PUBLICATION big FOR TABLE orders WHERE (id > 2);
CREATE PUBLICATION small FOR TABLE orders WHERE (id <= 1);
CREATE PUBLICATION big_inserts FOR TABLE orders WHERE (amount > 20) WITH (publish = 'insert');
CREATE PUBLICATION full_filter FOR TABLE with_full WHERE (v > 10 AND w IS NOT NULL), customers WHERE (id % 2 = 0);
CREATE PUBLICATION never FOR TABLE orders WHERE (false);
CREATE PUBLICATION null_filter FOR TABLE orders WHERE (NULL::bool);
CREATE PUBLICATION some_columns FOR TABLE orders (region, id, status), customers (id);
CREATE PUBLICATION columns_and_rows FOR TABLE orders (id, amount) WHERE (id > 2), generated (id, z), turned (id, a);
CREATE PUBLICATION no_key FOR TABLE orders (status, amount) WITH (publish = 'insert');
CREATE PUBLICATION generated_too FOR TABLE generated, turned;
RESET client_min_messages;
CALL h.slot('pubs');
CALL h.slot('pubs_pgoutput', 'pgoutput');
INSERT INTO orders VALUES (1, 'new', 10, 'secret', 'eu'), (2, 'new', 20, NULL, 'us'), (3, NULL, 30, 'secret', NULL);
INSERT INTO customers VALUES (1, 'one'), (2, 'two');
INSERT INTO keyless VALUES (1);
INSERT INTO with_full VALUES (1, 5, 'x'), (2, 15, 'y'), (3, 15, NULL);
INSERT INTO pub_a.t VALUES (1, 'x');
INSERT INTO "Pub B"."T" VALUES (1, 'x');
INSERT INTO generated VALUES (1, 2, DEFAULT, 'z');
INSERT INTO turned VALUES ('z', 1, 'a');
BEGIN;
UPDATE orders SET amount = amount + 1;
UPDATE orders SET id = id + 1 WHERE id = 3;
UPDATE orders SET id = 3 WHERE id = 2;
UPDATE orders SET id = 0 WHERE id = 4;
UPDATE orders SET status = 'paid' WHERE id = 1;
UPDATE customers SET id = id + 10, name = 'new';
UPDATE customers SET id = id * 3;
UPDATE with_full SET v = v + 10;
UPDATE with_full SET w = NULL WHERE id = 2;
UPDATE with_full SET w = 'w', v = 11 WHERE id = 3;
UPDATE with_full SET v = 0;
UPDATE pub_a.t SET v = 'y';
UPDATE "Pub B"."T" SET v = 'y';
UPDATE generated SET a = 3;
UPDATE turned SET a = 'b';
COMMIT;
DELETE FROM orders;
DELETE FROM customers;
DELETE FROM with_full;
DELETE FROM turned;
TRUNCATE orders, customers, with_full, pub_a.t;
SELECT p, h.compare_pgoutput('pubs', 'pubs_pgoutput', p)
  FROM unnest(ARRAY['everything', 'nothing', 'orders_only', 'two_tables', '"Schemas, both"', 'one_schema', 'inserts', 'updates', 'deletes', 'big', 'small',
    'big_inserts', 'full_filter', 'never', 'null_filter', 'some_columns', 'columns_and_rows', 'no_key', 'generated_too',
    'big,small', 'big,never', 'big,orders_only', 'big_inserts,updates', 'big_inserts,small', 'inserts,deletes', 'full_filter,deletes',
    'never,everything', 'nothing,one_schema', 'null_filter,big', ' big , "small" ', 'BIG,big', 'one_schema,big', 'full_filter,two_tables']) p;
-- what a filter makes of updates, and columns that are left out
SELECT h.changes('pubs', 'publications', 'big');
SELECT h.changes('pubs', 'publications', 'some_columns');
SELECT h.changes('pubs', 'publications', 'no_key');
SELECT h.changes('pubs', 'publications', 'generated_too');
-- several lists are united, where pgoutput would stop
SELECT h.changes('pubs', 'publications', 'no_key,columns_and_rows') LIMIT 3;
-- ids are those of the whole
SELECT count(*), count(*) FILTER (WHERE split_part(data::json ->> 'id', '-', 2) <> '0') FROM h.changes('pubs', 'omit', 'ts', 'publications', 'big,small') data;
SELECT p, (SELECT count(*) FROM h.changes('pubs', 'omit', 'ts,op', 'publications', p) d
            WHERE d::json ->> 'id' NOT IN (SELECT e::json ->> 'id' FROM h.changes('pubs', 'omit', 'ts,op') e))
  FROM unnest(ARRAY['big', 'full_filter', 'some_columns']) p;
-- half a key is none
CREATE TABLE two_keys (a int, b int, v text, PRIMARY KEY (a, b));
CREATE PUBLICATION half FOR TABLE two_keys (a, v) WITH (publish = 'insert');
CREATE PUBLICATION other_half FOR TABLE two_keys (b) WITH (publish = 'insert');
CALL h.skip('pubs');
INSERT INTO two_keys VALUES (1, 2, 'v');
SELECT h.changes('pubs', 'publications', 'half');
SELECT h.changes('pubs', 'publications', 'half,other_half');
CALL h.drop('pubs', 'pubs_pgoutput');
DROP PUBLICATION half, other_half;
DROP TABLE two_keys;
DROP PUBLICATION everything, nothing, orders_only, two_tables, "Schemas, both", one_schema, inserts, updates, deletes, big, small, big_inserts, full_filter, never,
  null_filter, some_columns, columns_and_rows, no_key, generated_too;
DROP TABLE orders, customers, keyless, with_full, generated, turned;
SET client_min_messages = warning;
DROP SCHEMA pub_a, "Pub B" CASCADE;
