-- All that happened to order 7. The changes of a transaction, and the row that says who made them, have the
-- time of its commit.
SELECT o.version_start AS at, c.who, c.why, o.status
FROM orders o LEFT JOIN changes c USING (version_start)
WHERE o.id = 7
UNION ALL
SELECT o.version_end, c.who, c.why, 'deleted'
FROM orders o LEFT JOIN changes c ON c.version_start = o.version_end
WHERE o.id = 7 AND o.version_deleted
ORDER BY at;
