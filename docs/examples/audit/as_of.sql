-- The order 7 at a moment: psql -v at='2026-11-20 11:22:33+00' -f as_of.sql audit
SELECT id, status FROM orders WHERE id = 7 AND version_start <= :'at' AND :'at' < version_end;
