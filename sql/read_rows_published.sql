-- What is read of a table is what is published of it: rows, columns, and as which
-- table; and it has the bytes that the stream has.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
\if :since_15
\else
\quit
\endif
SET client_min_messages = error;
CREATE TABLE chosen (id int PRIMARY KEY, v text, secret text, big text, g int GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE chosen ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
CREATE PUBLICATION chosen_rows FOR TABLE chosen WHERE (length(big) > 5 OR v = 'x');
CREATE PUBLICATION chosen_columns FOR TABLE chosen (id, v);
CREATE PUBLICATION chosen_none FOR TABLE chosen WHERE (id / (id - 2) > 100);
CALL h.slot('chosen');
INSERT INTO chosen VALUES (1, 'x', 's', NULL), (2, 'y', 's', repeat('b', 3000)), (3, 'z', 's', 'b'), (4, NULL, 's', NULL), (5, 'x', NULL, repeat('c', 3000));
CALL h.read('chosen', 'publications', 'chosen_rows');
SELECT h.short(data) FROM doc;
SELECT h.compare_rows('chosen', 'publications', 'chosen_rows');
SELECT kind, flags, index, columns FROM h.rows('chosen', '{publications,chosen_rows}', '{2}', 2) WHERE kind = 'K';
CALL h.read('chosen', 'publications', 'chosen_columns');
SELECT h.compare_rows('chosen', 'publications', 'chosen_columns');
SELECT document FROM h.rows('chosen', '{publications,chosen_columns,omit,"id,ts"}', '{4}') WHERE kind = 'r';
CALL h.read('chosen', 'publications', 'chosen_rows,chosen_columns');
SELECT h.compare_rows('chosen', 'publications', 'chosen_rows,chosen_columns');
-- a filter that raises lets the row pass, here as in the stream
CALL h.read('chosen', 'publications', 'chosen_none');
SELECT h.compare_rows('chosen', 'publications', 'chosen_none');
CALL h.read('chosen');
SELECT h.compare_rows('chosen');
-- columns that are not published need no privilege
CREATE ROLE walspout_chosen;
GRANT USAGE ON SCHEMA walspout, h TO walspout_chosen;
GRANT EXECUTE ON FUNCTION walspout.read_rows TO walspout_chosen;
GRANT SELECT (id, v, big) ON chosen TO walspout_chosen;
SET ROLE walspout_chosen;
SELECT count(*) FROM h.rows('chosen', '{publications,chosen_columns}') WHERE kind = 'r';
\set SHOW_CONTEXT never
SELECT count(*) FROM h.rows('chosen', '{publications,chosen_rows}') WHERE kind = 'r';
RESET ROLE;
DROP OWNED BY walspout_chosen;
DROP ROLE walspout_chosen;
-- a key that is not published
CREATE PUBLICATION chosen_keyless FOR TABLE chosen (v) WITH (publish = 'insert');
SELECT h.rows('chosen', '{publications,chosen_keyless}');

-- partitions: as the root, with the names, order and types of its columns
CREATE TABLE tree (id int, v text, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE tree_a PARTITION OF tree FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE tree_b (gone int, at date NOT NULL, v text, id int NOT NULL, PRIMARY KEY (id, at));
ALTER TABLE tree_b DROP gone, ALTER v SET STORAGE EXTERNAL;
ALTER TABLE tree ATTACH PARTITION tree_b FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE tree_c PARTITION OF tree FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (id);
CREATE TABLE tree_c0 PARTITION OF tree_c FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE tree_c1 PARTITION OF tree_c FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE UNLOGGED TABLE tree_d PARTITION OF tree FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE PUBLICATION tree_root FOR TABLE tree WHERE (v <> 'hidden') WITH (publish_via_partition_root);
CREATE PUBLICATION tree_leaves FOR TABLE tree;
CREATE PUBLICATION tree_middle FOR TABLE tree_c WITH (publish_via_partition_root);
CALL h.skip('chosen');
INSERT INTO tree SELECT g, CASE g % 7 WHEN 0 THEN 'hidden' ELSE repeat('v', g * 200) END, date '2024-01-01' + g * 60 FROM generate_series(1, 20) g;
CALL h.read('chosen', 'publications', 'tree_root');
SELECT count(*) FROM doc;
SELECT count(*), count(DISTINCT r.relation)
  FROM (SELECT *, replace(document, '"op":"r"', '"op":"c"') AS c FROM h.rows('tree', '{publications,tree_root,omit,"id,ts"}')) r
  JOIN doc d ON d.data = r.c;
SELECT count(*) FILTER (WHERE kind = 'r'), count(*) FILTER (WHERE kind = 'R'), max(columns) FILTER (WHERE kind = 'R'), count(DISTINCT columns) FILTER (WHERE kind = 'R') FROM h.rows('tree', '{publications,tree_root}');
SELECT kind, flags, index, columns FROM h.rows('tree', '{publications,tree_root}') WHERE kind = 'K';
SELECT size, count(*), count(DISTINCT row_key) FROM unnest('{1,7,100}'::int[]) size, LATERAL h.in_pieces('tree', size, '{publications,tree_root}') GROUP BY size ORDER BY size;
SELECT f.kind, f.key, f.index FROM walspout.read_keys('tree', '{publications,tree_root}', '{"{\"id\":3,\"at\":\"2024-06-29\"}","{\"id\":7,\"at\":\"2025-02-24\"}","{\"id\":13,\"at\":\"2026-02-19\"}"}') m, LATERAL h.frames_of(m) f WHERE f.kind <> 'R';
SELECT count(*) FROM h.rows('tree', '{publications,tree_root}', NULL, NULL, NULL, NULL, 'tree.v LIKE ''vvv%'' AND tableoid <> ''tree_a''::regclass') WHERE kind = 'r';
-- as themselves
SELECT kind, document, columns FROM h.rows('tree_b', '{publications,tree_leaves}', NULL, 1) WHERE kind = 'R';
SELECT count(*) FROM h.rows('tree_a') WHERE kind = 'r';
SELECT count(*) FROM h.rows('tree_c', '{publications,tree_middle}') WHERE kind = 'r';
-- what is published as something else
SELECT h.rows('tree');
SELECT h.rows('tree', '{publications,tree_leaves}');
SELECT h.rows('tree_b', '{publications,tree_root}');
SELECT h.rows('tree_c', '{publications,"tree_root,tree_middle"}');
-- partitions with a key of their own
ALTER TABLE tree_c1 REPLICA IDENTITY NOTHING;
SELECT count(*) FROM h.rows('tree', '{publications,tree_root}');
ALTER TABLE tree_c1 REPLICA IDENTITY FULL;
SELECT count(*) FROM h.rows('tree', '{publications,tree_root}') WHERE kind = 'r';
CREATE UNIQUE INDEX tree_b_id ON tree_b (id);
ALTER TABLE tree_b REPLICA IDENTITY USING INDEX tree_b_id;
SELECT count(*) FROM h.rows('tree', '{publications,tree_root}');
-- a table with children is read alone
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2);
SELECT key FROM h.rows('parent') WHERE kind = 'r';
CALL h.drop('chosen');
DROP PUBLICATION chosen_rows, chosen_columns, chosen_none, chosen_keyless, tree_root, tree_leaves, tree_middle;
DROP TABLE chosen, tree, parent CASCADE;
