-- The consumer's own database: ids of processed events, and the work itself.
CREATE TABLE processed (id text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE notices (order_id bigint NOT NULL, status text);
