-- What casts to json in SQL and PL/pgSQL can do when user_casts lets them run:
-- nothing that takes a privilege, leaves a trace, or speaks to the client; and
-- DROP and REVOKE count as of now, whichever change is decoded.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
SET client_min_messages = warning;
CREATE ROLE casts_bob;
CREATE SCHEMA bob AUTHORIZATION casts_bob;
GRANT USAGE ON SCHEMA bob TO PUBLIC;
RESET client_min_messages;
CALL h.slot('user_casts');
CREATE FUNCTION h.with_casts() RETURNS SETOF text LANGUAGE sql AS $$ SELECT h.changes('user_casts', 'user_casts', 'true') $$;
CREATE TYPE bob.price AS ENUM ('dear');
ALTER TYPE bob.price OWNER TO casts_bob;
CREATE TABLE bob.goods (id int PRIMARY KEY, v bob.price, vs bob.price[]);

-- a superuser's function calls what bob may replace: neither runs as a superuser
SET ROLE casts_bob;
CREATE FUNCTION bob.helper(bob.price) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN
  RETURN has_table_privilege('pg_catalog.pg_authid', 'SELECT') || ' ' || has_schema_privilege('bob', 'CREATE') || ' '
    || has_function_privilege('pg_catalog.pg_read_file(text)', 'EXECUTE');
END $$;
RESET ROLE;
CREATE FUNCTION price_json(bob.price) RETURNS json LANGUAGE sql AS $$ SELECT to_json(bob.helper($1)) $$;
CREATE CAST (bob.price AS json) WITH FUNCTION price_json(bob.price);
INSERT INTO bob.goods VALUES (1, 'dear', '{dear,dear}');
SELECT h.with_casts();
SELECT h.changes('user_casts');
ALTER FUNCTION bob.helper SECURITY DEFINER;
ALTER FUNCTION price_json SECURITY DEFINER;
INSERT INTO bob.goods VALUES (2, 'dear', '{dear,dear}');
SELECT h.with_casts();

-- what is taken away now is taken away from changes of before, too
REVOKE EXECUTE ON FUNCTION bob.helper FROM PUBLIC;
SELECT h.with_casts();
GRANT EXECUTE ON FUNCTION bob.helper TO PUBLIC;
REVOKE EXECUTE ON FUNCTION price_json FROM PUBLIC;
SELECT h.with_casts();
GRANT EXECUTE ON FUNCTION price_json TO PUBLIC;
SELECT count(*) FILTER (WHERE c LIKE '%false false false%'), count(*) FROM h.with_casts() c;
BEGIN;
REVOKE EXECUTE ON FUNCTION pg_catalog.to_json(anyelement) FROM PUBLIC;
COMMIT;
SELECT h.with_casts();
GRANT EXECUTE ON FUNCTION pg_catalog.to_json(anyelement) TO PUBLIC;
DROP CAST (bob.price AS json);
SELECT h.with_casts();
-- another function's cast is not this one's
CREATE FUNCTION other_json(bob.price) RETURNS json LANGUAGE sql AS $$ SELECT '"other"'::json $$;
CREATE CAST (bob.price AS json) WITH FUNCTION other_json(bob.price);
SELECT h.with_casts();
INSERT INTO bob.goods VALUES (3, 'dear', '{}');
SELECT h.with_casts();
DROP CAST (bob.price AS json);
DROP FUNCTION bob.helper, price_json, other_json;
SELECT h.with_casts();

-- nothing is said to the client
CALL h.skip('user_casts');
CREATE FUNCTION says(bob.price) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'a notice';
  RAISE INFO 'an info';
  RAISE WARNING 'a warning';
  RETURN '"said"';
END $$;
CREATE CAST (bob.price AS json) WITH FUNCTION says(bob.price);
INSERT INTO bob.goods VALUES (4, 'dear', '{dear}');
SELECT h.with_casts();
DO $$ BEGIN RAISE NOTICE 'this session still can'; END $$;

-- only what is immutable or stable is called: the others write, wait, or send signals
CALL h.skip('user_casts');
CREATE OR REPLACE FUNCTION says(bob.price) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  v text;
BEGIN
  EXECUTE 'SELECT (' || current_setting('walspout_test.call') || ')::text' INTO v;
  RETURN to_json(v);
END $$;
INSERT INTO bob.goods VALUES (5, 'dear', '{}');
CREATE FUNCTION h.called(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('walspout_test.call', call, false);
  RETURN (SELECT coalesce(data::json #>> '{after,v}', 'elided') FROM h.with_casts() data);
END $$;
SELECT calls, h.called(calls)
  FROM unnest(ARRAY['1 + 1', 'lower(''SECRET'')', 'now() IS NOT NULL', 'random()', 'pg_sleep(0)', 'pg_advisory_lock(1)',
    'pg_cancel_backend(pg_backend_pid())', 'pg_terminate_backend(pg_backend_pid())', 'pg_logical_emit_message(false, ''p'', ''x'')',
    'set_config(''work_mem'', ''1MB'', false)', 'xpath(''a'', ''<a/>'')', '(SELECT count(*) FROM bob.goods)',
    '(SELECT count(*) FROM information_schema.sql_features)', '(SELECT relname FROM pg_catalog.pg_class WHERE relname = ''pg_class'')',
    'query_to_xml(''SELECT 1'', true, true, '''')', 'table_to_xml(''bob.goods'', true, true, '''')', 'current_user']) calls;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';

CALL h.drop('user_casts');
DROP FUNCTION h.with_casts, h.called;
SET client_min_messages = warning;
DROP SCHEMA bob CASCADE;
DROP ROLE casts_bob;
