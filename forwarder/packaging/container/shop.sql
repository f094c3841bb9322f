-- The database of compose.yaml, when it is created.
CREATE EXTENSION walspout;
CREATE ROLE walspout LOGIN REPLICATION PASSWORD 'walspout';
CREATE TABLE orders (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status  text NOT NULL);
CREATE PUBLICATION orders FOR TABLE orders;
INSERT INTO orders (status) VALUES ('there before the start');

-- For `backfill`.
GRANT USAGE ON SCHEMA walspout TO walspout;
GRANT SELECT, INSERT, UPDATE ON walspout.backfills TO walspout;
GRANT SELECT, INSERT, DELETE ON walspout.backfill_keys TO walspout;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA walspout TO walspout;
GRANT SELECT ON orders TO walspout;
