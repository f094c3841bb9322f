-- The database of compose.yaml, when it is made.
CREATE EXTENSION walspout;
CREATE ROLE walspout LOGIN REPLICATION PASSWORD 'walspout';
CREATE TABLE orders (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status  text NOT NULL);
CREATE PUBLICATION orders FOR TABLE orders;
