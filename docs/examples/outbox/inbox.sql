-- The mailer's own database: its position in the stream, and the mails to send.
CREATE TABLE position (source text PRIMARY KEY, lsn numeric NOT NULL, number bigint NOT NULL);
INSERT INTO position VALUES ('shop', -1, -1);
CREATE TABLE mails (order_id bigint NOT NULL, template text NOT NULL);
