-- A value of every built-in type, alone and in an array, is what row_to_json()
-- makes of it. The types come from pg_type, so that none is forgotten: those
-- for which this file has no sample value are listed.
\set helpers `echo "$PG_ABS_SRCDIR/sql/include/helpers.sql"`
\i :helpers
CALL h.slot('every_type');

-- tables and rows for types that have no constants
CREATE TABLE sampled (id int PRIMARY KEY, a int DEFAULT 7 + 1, b int);
INSERT INTO sampled SELECT g, g % 10, g % 5 FROM generate_series(1, 1000) g;
CREATE STATISTICS sampled_statistics (ndistinct, dependencies, mcv) ON a, b FROM sampled;
ANALYZE sampled;

-- samples by type: input texts, or queries for those that have no input
CREATE TEMP TABLE sample (type regtype, texts text[], query text);
CREATE TEMP TABLE given (type text, texts text[]);
INSERT INTO given VALUES
  ('bool', '{t,f}'),
  ('int2', '{0,-1,32767,-32768,9,10,99,100,999,1000,9999,10000}'),
  ('int4', '{0,-1,2147483647,-2147483648,9,10,99,100,99999,100000,1000000,999999999,1000000000}'),
  ('int8', '{0,-1,9223372036854775807,-9223372036854775808,4294967296,9007199254740993,1000000000000000000}'),
  ('float4', '{0,-0,1,-1.5,NaN,Infinity,-Infinity,3.4028235e38,1.17549435e-38,1e-45,1e20,123456.7,1e6,1e15,1e16,0.0001,0.00001,16777216,16777217,0.1,1e-7}'),
  ('float8', '{0,-0,1,-1.5,NaN,Infinity,-Infinity,1.7976931348623157e308,2.2250738585072014e-308,5e-324,1e15,1e16,1e20,1e21,123456789012345.6,0.0001,0.00001,0.1,0.30000000000000004,9007199254740993,1e22,1e23,-1e-5}'),
  ('numeric', '{0,0.0,-0,0.000,1,-1,NaN,Infinity,-Infinity,0.1,-0.1,0.00001,1e-20,1.10,10000,99999999,100000000,1e20,12345.67890,0.0001,0.00010001,9999.9999,10000.0001,1e-1000,1e1000}'),
  ('money', '{0,1,-1,0.01,-0.01,999.99,1000,-1234567.89,92233720368547758.07,-92233720368547758.08}'),
  ('text', '{"",x,"with \" and \\",null,"a\nb\tc",é,日本語,😀}'),
  ('varchar', '{"",x,"with \" and \\"}'),
  ('bpchar', '{"","x  ","with \" and \\"}'),
  ('name', '{"",x,"with \" and \\",abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz12345678901,日本語}'),
  ('"char"', '{"",x,"\"","\\",~}'),
  ('bytea', '{"\\x","\\x00","\\xdeadbeef","\\x225c0a0d"}'),
  ('date', '{2024-02-29,1999-12-31,2000-01-01,1970-01-01,infinity,-infinity,"4713-01-01 BC","0001-12-31 BC",0001-01-01,"0045-03-15 BC",5874897-12-31,10000-01-01,99999-12-31,1900-02-28}'),
  ('time', '{00:00:00,24:00:00,23:59:59.999999,12:34:56.7,01:02:03.000001,00:00:00.5}'),
  ('timetz', '{00:00:00+00,24:00:00-15:59,23:59:59.999999+15:59,12:34:56.7+05:30,12:34:56-03:30:15,00:00:00+00:00:01,00:00:00-00:30}'),
  ('timestamp', '{2024-02-29T12:34:56.789,infinity,-infinity,"4713-01-01 BC","0001-12-31 23:59:59.999999 BC","294276-12-31 23:59:59.999999",1999-12-31T23:59:59.000001,2000-01-01,1970-01-01T00:00:00.1}'),
  ('timestamptz', '{2024-02-29T12:34:56.789+02,infinity,-infinity,"4713-01-01 00:00+00 BC","0001-12-31 23:59:59.999999 BC","294276-12-31 23:59:59.999999+00",1999-12-31T23:59:59.000001,2000-01-01}'),
  ('interval', '{0,"1 day","-1 day","1 year 2 mons 3 days 04:05:06.789","-1 year +2 mons -3 days +04:05:06","1 mon","2 mons",-00:00:01,"-1 mon 1 day","178000000 years","-178000000 years","2147483647 days","2562047788:00:54.775807","-2562047788:00:54.775807",00:00:00.000001,"-1 day -00:00:00.000001","1 day -00:00:01"}'),
  ('uuid', '{00000000-0000-0000-0000-000000000000,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,ffffffff-ffff-ffff-ffff-ffffffffffff}'),
  ('json', '{null,1,"\"x\"","{ }","[ 1 , 2 ]","{\"a\" : {\"b\":[null,true]}, \"a\":1}","1e400"}'),
  ('jsonb', '{null,1,"\"x\"","{}","[]","{\"a\":{\"b\":[null,true,false,-1.50,1e30]},\"bb\":1}"}'),
  ('jsonpath', '{$,"$.a[*] ? (@.b == \"x\\\"y\")","strict $.\"k\".type()"}'),
  ('bit', '{0,1}'),
  ('varbit', '{"",0,1,10101010101}'),
  ('inet', '{0.0.0.0,255.255.255.255,192.168.1.1/24,10.1.2.3/32,10.0.0.0/8,0.0.0.0/0,::,::1,::1/64,::ffff:1.2.3.4,2001:db8::1/128,fe80::/10,2001:db8:1:2:3:4:5:6}'),
  ('cidr', '{0.0.0.0/0,10.0.0.0/8,192.168.1.0/24,192.168.1.1/32,::/0,2001:db8::/32,::1/128,::ffff:1.2.3.4/128}'),
  ('macaddr', '{08:00:2b:01:02:03,00:00:00:00:00:00,ff:ff:ff:ff:ff:ff}'),
  ('macaddr8', '{08:00:2b:ff:fe:01:02:03,00:00:00:00:00:00:00:00}'),
  ('point', '{"(0,0)","(1.5,-2.25)","(NaN,Infinity)","(1e300,1e-300)"}'),
  ('line', '{"{1,2,3}","{-0.5,0,1e10}"}'),
  ('lseg', '{"[(0,0),(1,1)]"}'),
  ('box', '{"(1,1),(0,0)"}'),
  ('path', '{"((0,0),(1,1),(2,0))","[(0,0),(1,1)]"}'),
  ('polygon', '{"((0,0),(1,1),(2,0))"}'),
  ('circle', '{"<(0,0),1.5>"}'),
  ('tsvector', '{"","a:1 b:2A,3 ''it''''s'':4"}'),
  ('tsquery', '{"","a & !b | c:*A <-> ''it''''s''"}'),
  ('xml', '{<a/>,"<a b=\"c\">\n &amp;</a>",text}'),
  ('pg_lsn', '{0/0,FFFFFFFF/FFFFFFFF,16/B374D848}'),
  ('oid', '{0,4294967295,16384}'),
  ('xid', '{0,4294967295}'),
  ('xid8', '{0,18446744073709551615}'),
  ('cid', '{0,4294967295}'),
  ('tid', '{"(0,0)","(4294967295,65535)"}'),
  ('regclass', '{0,pg_class,sampled,information_schema.tables,4294967295}'),
  ('regproc', '{0,pg_catalog.now,boolin}'),
  ('regprocedure', '{0,pg_catalog.now(),"int4pl(int,int)"}'),
  ('regoper', '{0,pg_catalog.^@}'),
  ('regoperator', '{0,"+(int,int)"}'),
  ('regtype', '{0,int,"timestamp with time zone",text[],information_schema.sql_identifier}'),
  ('regrole', '{0,pg_monitor}'),
  ('regnamespace', '{0,pg_catalog,public}'),
  ('regconfig', '{0,english}'),
  ('regdictionary', '{0,simple}'),
  ('regcollation', '{0,"\"C\"","\"default\""}'),
  ('aclitem', '{pg_monitor=r*w/pg_signal_backend,=X/pg_monitor}'),
  ('refcursor', '{"",c}'),
  ('txid_snapshot', '{"10:20:10,14,15",1:1:}'),
  ('pg_snapshot', '{"10:20:10,14,15",1:1:}'),
  ('int2vector', '{"","1 -2 3"}'),
  ('oidvector', '{"","1 2 4294967295"}'),
  ('int4range', '{empty,"[1,10)","(,5]","[5,)","(,)"}'),
  ('int8range', '{empty,"[1,10)"}'),
  ('numrange', '{empty,"[1.10,NaN)","(1,2]"}'),
  ('tsrange', '{empty,"[2024-01-01 00:00,2024-02-29 12:00:00.5)","[-infinity,infinity]","[0044-03-15 BC,)"}'),
  ('tstzrange', '{empty,"[2024-01-01 00:00+02,2024-02-29 12:00)","[,infinity]"}'),
  ('daterange', '{empty,"[2024-01-01,2024-02-29]","[0044-03-15 BC,)"}'),
  ('int4multirange', '{"{}","{[1,3),[5,7)}"}'),
  ('int8multirange', '{"{}","{[1,3),[5,)}"}'),
  ('nummultirange', '{"{}","{[1.0,3.00),[5,7]}"}'),
  ('tsmultirange', '{"{}","{[2024-01-01,2024-02-29),[2025-01-01,)}"}'),
  ('tstzmultirange', '{"{}","{[2024-01-01 00:00+02,2024-02-29),[2025-01-01,)}"}'),
  ('datemultirange', '{"{}","{[2024-01-01,2024-02-29),[2025-01-01,)}"}'),
  ('information_schema.cardinal_number', '{0,12}'),
  ('information_schema.character_data', '{"","x"}'),
  ('information_schema.sql_identifier', '{"","x"}'),
  ('information_schema.time_stamp', '{2024-02-29T12:34:56.78+02}'),
  ('information_schema.yes_or_no', '{YES,NO}'),
  ('oid8', '{0,18446744073709551615}'),
  ('regdatabase', '{0,template1}');
-- not every version has all of them
\if :since_14
\else
UPDATE given SET texts = array_remove(array_remove(texts, 'Infinity'), '-Infinity') WHERE type = 'numeric';
\endif
\if :since_15
\else
UPDATE given SET texts = array_remove(array_remove(texts, '2562047788:00:54.775807'), '-2562047788:00:54.775807')
 WHERE type = 'interval';
\endif
INSERT INTO sample (type, texts) SELECT to_regtype(type), texts FROM given WHERE to_regtype(type) IS NOT NULL;
INSERT INTO sample (type, query) VALUES
  ('pg_node_tree', 'SELECT adbin FROM pg_attrdef WHERE adrelid = ''sampled''::regclass'),
  ('pg_ndistinct', 'SELECT stxdndistinct FROM pg_statistic_ext_data LIMIT 1'),
  ('pg_dependencies', 'SELECT stxddependencies FROM pg_statistic_ext_data LIMIT 1'),
  ('pg_mcv_list', 'SELECT stxdmcv FROM pg_statistic_ext_data LIMIT 1');
-- a row of every catalog and view, as a value of its row type
INSERT INTO sample (type, query)
SELECT t.oid, format('SELECT c FROM %s c LIMIT 2', t.oid::regtype)
  FROM pg_type t JOIN pg_class c ON c.oid = typrelid
 WHERE typtype = 'c' AND t.oid < 16384 AND relkind IN ('r', 'v')
   AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND NOT attisdropped
                      AND (atttypid = 'anyarray'::regtype
                           OR atttypid = to_regtype('pg_catalog.pg_statistic[]')))
   AND relname NOT IN ('pg_shadow', 'pg_authid', 'pg_hba_file_rules', 'pg_ident_file_mappings',
                       'pg_file_settings', 'pg_config', 'pg_shmem_allocations',
                       'pg_backend_memory_contexts', 'pg_timezone_names',
                       -- raises where the machine has no NUMA
                       'pg_shmem_allocations_numa');

-- tables with a column for each type and its array type, forty types each:
-- wider rows are slow to compare
CREATE TEMP TABLE place AS
SELECT t.oid, format_type(t.oid, -1) AS type, format_type(nullif(typarray, 0), -1) AS array_type, typdelim,
       texts, query, format(CASE WHEN query IS NULL THEN 'every_type_%s' ELSE 'catalog_type_%s' END,
                            row_number() OVER (ORDER BY query IS NULL, t.oid) / 40) AS tbl
  FROM sample JOIN pg_type t ON t.oid = sample.type;
\set ECHO none
SELECT format('CREATE TABLE %s (id serial PRIMARY KEY, %s)', tbl,
              string_agg(format('c%1$s %2$s, c%1$ss %3$s', oid, type, coalesce(array_type, 'bool')), ', ' ORDER BY oid))
  FROM place GROUP BY tbl ORDER BY tbl \gexec
\set ECHO all

-- each value in a row of its own, and one with all of them in an array
SET client_min_messages = warning;
DO $$
DECLARE
  p record;
  v text;
BEGIN
  FOR p IN SELECT * FROM place ORDER BY oid LOOP
    FOREACH v IN ARRAY coalesce(p.texts, '{}') LOOP
      EXECUTE format('INSERT INTO %s (c%s) VALUES (%L)', p.tbl, p.oid, v);
    END LOOP;
    IF p.query IS NOT NULL THEN
      EXECUTE format('INSERT INTO %s (c%s) %s', p.tbl, p.oid, p.query);
    END IF;
    CONTINUE WHEN p.array_type IS NULL;
    IF p.query IS NOT NULL THEN
      EXECUTE format('INSERT INTO %s (c%ss) SELECT array_agg(v) || NULL::%s FROM (%s) q(v)',
                     p.tbl, p.oid, p.type, p.query);
    ELSE
      SELECT format('{%s%sNULL}', string_agg('"' || regexp_replace(t, '[\\"]', '\\\&', 'g') || '"', p.typdelim),
                    p.typdelim)
        INTO v FROM unnest(p.texts) t;
      EXECUTE format('INSERT INTO %s (c%ss) VALUES (%L)', p.tbl, p.oid, v);
    END IF;
  END LOOP;
END
$$;
RESET client_min_messages;

-- built-in types that a table can have, and that were not tried; BRIN's are
-- not in every version
SELECT t.oid::regtype
  FROM pg_type t
 WHERE typtype IN ('b', 'r', 'm', 'e', 'd') AND t.oid < 16384
   AND t.oid NOT IN (SELECT type FROM sample)
   AND typname NOT LIKE 'pg_brin_%'
   AND NOT (typcategory = 'A' AND (typelem IN (SELECT type FROM sample)
       OR (SELECT typtype FROM pg_type e WHERE e.oid = t.typelem) IN ('c', 'p')))
 ORDER BY 1::text;

-- how many types and how many rows there are depends on the version
CALL h.read('every_type');
SELECT kind, count(*) > 1 AS tables, string_agg(DISTINCT said, E'\n') AS said
  FROM (SELECT split_part(tbl, '_', 1) AS kind,
               regexp_replace(h.compare_after(tbl::regclass), '^[1-9][0-9]* rows equal$', 'equal') AS said
          FROM (SELECT DISTINCT tbl FROM place) p) c
 GROUP BY kind ORDER BY kind;
-- and what is read from the tables is the same
SELECT kind, string_agg(DISTINCT said, E'\n') AS said
  FROM (SELECT split_part(tbl, '_', 1) AS kind,
               regexp_replace(h.compare_rows(tbl::regclass), '^[1-9][0-9]* rows equal$', 'equal') AS said
          FROM (SELECT DISTINCT tbl FROM place) p) c
 GROUP BY kind ORDER BY kind;

-- and a target makes the same rows of them as the server does
SET client_min_messages = warning;
SELECT split_part(tbl, '_', 1) AS kind, string_agg(DISTINCT h.compare_readers(tbl::regclass), E'\n') AS said
  FROM (SELECT DISTINCT tbl FROM place) p
 GROUP BY kind ORDER BY kind;
RESET client_min_messages;

-- nothing is left out
SELECT data FROM doc WHERE data::json -> 'elided' IS NOT NULL;

CALL h.drop('every_type');
\set ECHO none
SELECT DISTINCT format('DROP TABLE %s', tbl) FROM place \gexec
\set ECHO all
DROP TABLE sampled;
