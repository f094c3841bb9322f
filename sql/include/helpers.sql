\set ECHO none
-- What the tests share: reading a slot, comparing what it says with
-- row_to_json(), with pgoutput and with frames. Included by each test, so that
-- each can be run alone. Everything here is temporary or in the schema h; the
-- schema stays, for the slots of the next test know nothing of it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS walspout;
CREATE SCHEMA IF NOT EXISTS h;

-- The documents that were read last.
CREATE TEMP TABLE doc (n int, data text);

CREATE OR REPLACE PROCEDURE h.slot(name text, plugin text DEFAULT 'walspout',
                                   two_phase boolean DEFAULT false)
LANGUAGE plpgsql AS $$
BEGIN
  IF two_phase THEN             -- PostgreSQL 13 does not have the argument
    EXECUTE 'SELECT pg_create_logical_replication_slot($1, $2, false, true)' USING name, plugin;
  ELSE
    PERFORM pg_create_logical_replication_slot(name, plugin);
  END IF;
END
$$;

CREATE OR REPLACE PROCEDURE h.drop(VARIADIC names text[]) LANGUAGE sql AS $$
  SELECT pg_drop_replication_slot(n) FROM unnest(names) n
$$;

-- Go on from here: what was read is not read again.
CREATE OR REPLACE PROCEDURE h.skip(slot text) LANGUAGE sql AS $$
  SELECT pg_replication_slot_advance(slot, pg_current_wal_flush_lsn())
$$;

-- The documents, without what differs from run to run.
CREATE OR REPLACE FUNCTION h.changes(slot text, VARIADIC options text[] DEFAULT '{}')
RETURNS TABLE (data text) LANGUAGE sql AS $$
  SELECT data FROM pg_logical_slot_peek_changes(slot, NULL, NULL,
           VARIADIC options || CASE WHEN 'omit' = ANY (options) THEN '{}'
                                    ELSE '{omit,"id,ts,xid"}'::text[] END)
$$;

-- A run of one character, longer than a reader likes, by its length.
CREATE OR REPLACE FUNCTION h.short(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  run text;
BEGIN
  LOOP
    run := substring(t FROM '(.)\1{99}');
    EXIT WHEN run IS NULL;
    run := substring(substr(t, strpos(t, repeat(run, 100))) FROM format('^[%s]+', run));
    t := replace(t, run, format('(%s %s)', length(run), left(run, 1)));
  END LOOP;
  RETURN t;
END
$$;

-- The same into table doc.
CREATE OR REPLACE PROCEDURE h.read(slot text, VARIADIC options text[] DEFAULT '{}')
LANGUAGE sql AS $$
  DELETE FROM doc;
  INSERT INTO doc SELECT ordinality, data
    FROM h.changes(slot, VARIADIC options) WITH ORDINALITY;
$$;

-- What row_to_json() makes of a table's rows in the session that is the
-- specification, by the values of column "id".
CREATE OR REPLACE FUNCTION h.oracle(tbl regclass) RETURNS TABLE (id text, row_text text)
LANGUAGE plpgsql
SET TimeZone = 'UTC' SET DateStyle = 'ISO, MDY' SET IntervalStyle = 'postgres'
SET bytea_output = 'hex' SET extra_float_digits = 1 SET lc_monetary = 'C'
SET quote_all_identifiers = off SET search_path = public
AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT this_row.id::text, row_to_json(this_row)::text FROM %s this_row', tbl);
END
$$;

-- Compare "after" of each row's last document in table doc with the oracle,
-- as text, column by column where they differ. Line breaks are spaces in both.
CREATE OR REPLACE FUNCTION h.compare_after(tbl regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  r record;
  c record;
  equal int := 0;
  differ int := 0;
  names text[] := ARRAY(SELECT v FROM pg_class k JOIN pg_namespace n ON n.oid = relnamespace,
                               unnest(ARRAY[nspname, relname]) v WHERE k.oid = tbl);
BEGIN
  FOR r IN
    SELECT coalesce(o.id, d.id) AS id, translate(o.row_text, E'\n\r', '  ') AS want, d.got, d.elided
      FROM h.oracle(tbl) o
      FULL JOIN (SELECT DISTINCT ON (id) j -> 'after' ->> 'id' AS id, (j -> 'after')::text AS got,
                        (j -> 'elided')::text AS elided
                   FROM (SELECT n, data::json j FROM doc) x
                  WHERE j ->> 'op' IN ('c', 'u')
                    AND (names[1] = j ->> 'schema') IS NOT FALSE
                    AND (names[2] = j ->> 'table') IS NOT FALSE
                  ORDER BY id, n DESC) d ON d.id = o.id
     ORDER BY 1
  LOOP
    IF r.want = r.got AND r.elided IS NULL THEN
      equal := equal + 1;
      CONTINUE;
    END IF;
    differ := differ + 1;
    CONTINUE WHEN differ > 10;
    IF r.want IS NULL OR r.got IS NULL THEN
      RETURN NEXT format('row %s: %s', r.id, CASE WHEN r.got IS NULL THEN 'not sent' ELSE 'not there' END);
      CONTINUE;
    END IF;
    FOR c IN SELECT coalesce(w.key, g.key) AS key, w.value::text AS want, g.value::text AS got
               FROM json_each(r.want::json) w FULL JOIN json_each(r.got::json) g ON g.key = w.key
              WHERE w.value::text IS DISTINCT FROM g.value::text
              LIMIT 3
    LOOP
      RETURN NEXT format('row %s, column %s: %s instead of %s', r.id, c.key,
                         coalesce(left(c.got, 200), 'nothing'), coalesce(left(c.want, 200), 'nothing'));
    END LOOP;
    RETURN NEXT format('row %s differs%s', r.id, coalesce(', elided ' || r.elided, ''));
  END LOOP;
  RETURN NEXT format('%s rows equal', equal) || CASE WHEN differ > 0 THEN format(', %s differ', differ) ELSE '' END;
END
$$;

-- Read the slot and compare.
CREATE OR REPLACE FUNCTION h.compare(slot text, tbl regclass, VARIADIC options text[] DEFAULT '{}')
RETURNS SETOF text LANGUAGE sql AS $$
  CALL h.read(slot, VARIADIC options);
  SELECT h.compare_after(tbl);
$$;

-- Big-endian numbers of a bytea.
CREATE OR REPLACE FUNCTION h.number(b bytea, at int, size int) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT trunc(sum(get_byte(b, at + i) * 256::numeric ^ (size - 1 - i))) FROM generate_series(0, size - 1) i
$$;

-- A number of seven bits a byte, the lowest first, and where the next one is.
CREATE OR REPLACE FUNCTION h.varint(b bytea, INOUT at int, OUT value bigint) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  shift int := 0;
BEGIN
  value := 0;
  LOOP
    value := value | ((get_byte(b, at) & 127)::bigint << shift);
    at := at + 1;
    shift := shift + 7;
    EXIT WHEN get_byte(b, at - 1) < 128;
  END LOOP;
END
$$;

-- The columns that a relation's frame names.
CREATE OR REPLACE FUNCTION h.frame_columns(body bytea)
RETURNS TABLE (name text, type_name text, type oid, type_modifier int, in_key boolean, not_null boolean)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  at int := 10 + h.number(body, 4, 2) + h.number(body, 6, 2);
  name_size int;
  type_size int;
BEGIN
  FOR i IN 1 .. h.number(body, 8, 2) LOOP
    in_key := get_byte(body, at) & 1 = 1;
    not_null := get_byte(body, at) & 2 = 2;
    type := h.number(body, at + 1, 4)::bigint::oid;
    type_modifier := h.number(body, at + 5, 4) - CASE WHEN get_byte(body, at + 5) > 127 THEN 4294967296 ELSE 0 END;
    name_size := h.number(body, at + 9, 2);
    type_size := h.number(body, at + 11, 2);
    name := convert_from(substr(body, at + 14, name_size), 'UTF8');
    type_name := convert_from(substr(body, at + 14 + name_size, type_size), 'UTF8');
    RETURN NEXT;
    at := at + 13 + name_size + type_size;
  END LOOP;
  IF at <> length(body) THEN
    RAISE 'columns end at byte % of %', at, length(body);
  END IF;
END
$$;

-- A message of the format "frames", taken apart. Columns are shown as "name type", with * behind the
-- name if it is in the key, and ! if it is NOT NULL. A cursor has its rows as index, and its values as columns.
CREATE OR REPLACE FUNCTION h.frames_of(data bytea)
RETURNS TABLE (kind text, flags int, sixteen int, relation numeric, hash numeric, index numeric, document text,
               key text, before text, after text, columns text, body bytea, members bigint[])
LANGUAGE plpgsql AS $$
DECLARE
  at int := 4;
  size int;
  last int;
  parts text[];
  number record;
  part_begin bigint;
BEGIN
  IF substr(data, 1, 4) <> '\x57530200' THEN
    RAISE 'a message has the header %', substr(data, 1, 4);
  END IF;
  WHILE at < length(data) LOOP
    kind := chr(get_byte(data, at));
    flags := get_byte(data, at + 1);
    sixteen := h.number(data, at + 2, 2);
    size := h.number(data, at + 4, 4);
    body := substr(data, at + 9, size);
    relation := NULL; hash := NULL; index := NULL; document := NULL; columns := NULL; members := NULL;
    parts := array_fill(NULL::text, '{3}');
    IF length(body) <> size THEN
      RAISE 'a frame of % bytes has % only', size, length(body);
    END IF;
    IF kind BETWEEN 'a' AND 'z' THEN
      relation := h.number(body, 0, 4);
      hash := h.number(body, 4, 8);
      index := h.number(body, 12, 8);
      document := convert_from(substr(body, 21, size - 20 - sixteen), 'UTF8');
      last := size - sixteen;
      part_begin := 20;
      FOR i IN 1 .. 3 LOOP
        CONTINUE WHEN flags & (1 << i) = 0;
        number := h.varint(body, last);
        part_begin := part_begin + number.value;
        number := h.varint(body, number.at);
        parts[i] := convert_from(substr(body, part_begin::int + 1, number.value::int), 'UTF8');
        part_begin := part_begin + number.value;
        last := number.at;
      END LOOP;
      WHILE flags & (16 | 64) <> 0 AND last < size LOOP
        number := h.varint(body, last);
        members := members || number.value;
        last := number.at;
      END LOOP;
      IF last <> size THEN
        RAISE 'an event has % bytes behind its objects', size - last;
      END IF;
    ELSIF kind IN ('P', 'M') THEN
      document := convert_from(body, 'UTF8');
    ELSIF kind = 'K' THEN
      index := h.number(body, 0, 8);
      last := 10;
      columns := '';
      FOR i IN 1 .. h.number(body, 8, 2) LOOP
        columns := columns || '<' || convert_from(substr(body, last + 5, h.number(body, last, 4)::int), 'UTF8') || '>';
        last := last + 4 + h.number(body, last, 4);
      END LOOP;
      IF last <> size THEN
        RAISE 'a cursor has % bytes behind its values', size - last;
      END IF;
    ELSIF kind = 'R' THEN
      relation := h.number(body, 0, 4);
      last := 10 + h.number(body, 4, 2);
      document := convert_from(substr(body, 11, last - 10), 'UTF8') || '.'
               || convert_from(substr(body, last + 1, h.number(body, 6, 2)::int), 'UTF8');
      columns := (SELECT string_agg(name || CASE WHEN in_key THEN '*' ELSE '' END
                         || CASE WHEN not_null THEN '!' ELSE '' END || ' ' || type_name, ', ' ORDER BY n)
                    FROM h.frame_columns(body) WITH ORDINALITY c (name, type_name, type, type_modifier, in_key, not_null, n));
    END IF;
    key := parts[1]; before := parts[2]; after := parts[3];
    RETURN NEXT;
    at := at + 8 + size;
  END LOOP;
END
$$;

-- What the slot sends in that format.
CREATE OR REPLACE FUNCTION h.frames(slot text, VARIADIC options text[] DEFAULT '{}')
RETURNS TABLE (message int, kind text, flags int, sixteen int, relation numeric, hash numeric, index numeric,
               document text, key text, before text, after text, columns text, body bytea, members bigint[])
LANGUAGE plpgsql AS $$
DECLARE
  m record;
BEGIN
  FOR m IN SELECT ordinality::int AS n, data
             FROM pg_logical_slot_peek_binary_changes(slot, NULL, NULL,
                    VARIADIC options || ARRAY['format', 'frames']
                    || CASE WHEN 'omit' = ANY (options) THEN '{}'
                            ELSE '{omit,"id,ts,xid"}'::text[] END) WITH ORDINALITY
  LOOP
    RETURN QUERY SELECT m.n, f.* FROM h.frames_of(m.data) f;
  END LOOP;
END
$$;

-- The members of "after" by what frames tell of them: "name":value, name: unchanged or elided. They have to be
-- all of it, and in the order of the relation's columns.
CREATE OR REPLACE FUNCTION h.members_of(relation_body bytea, after text, members bigint[])
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  b bytea := convert_to(after, 'UTF8');
  at int := 1;
  found text[] := '{}';
  c record;
  piece bytea;
BEGIN
  IF cardinality(members) <> (SELECT count(*) FROM h.frame_columns(relation_body)) THEN
    RAISE '% members of % columns', cardinality(members), (SELECT count(*) FROM h.frame_columns(relation_body));
  END IF;
  FOR c IN SELECT name, members[n] AS m FROM h.frame_columns(relation_body) WITH ORDINALITY
             f(name, type_name, type, type_modifier, in_key, not_null, n) ORDER BY n LOOP
    IF c.m = 0 OR c.m % 2 = 1 THEN
      found := found || (c.name || CASE WHEN c.m = 0 THEN ': unchanged' ELSE ': elided, ' || c.m / 2 END);
      CONTINUE;
    END IF;
    IF chr(get_byte(b, at - 1)) <> (CASE WHEN at = 1 THEN '{' ELSE ',' END) THEN
      RAISE 'no member begins at byte % of %', at, after;
    END IF;
    piece := substr(b, at + 1, (c.m / 2)::int);
    IF (SELECT array_agg(k) FROM json_object_keys(('{' || convert_from(piece, 'UTF8') || '}')::json) k) <> ARRAY[c.name] THEN
      RAISE 'member of % is %', c.name, convert_from(piece, 'UTF8');
    END IF;
    found := found || convert_from(piece, 'UTF8');
    at := at + 1 + (c.m / 2)::int;
  END LOOP;
  IF convert_from(substr(b, at), 'UTF8') <> (CASE WHEN at = 1 THEN '{}' ELSE '}' END) THEN
    RAISE 'members end at byte % of %', at, after;
  END IF;
  RETURN found;
END
$$;

-- The old key by what frames tell of it, as the last numbers: an object of these members of "before".
CREATE OR REPLACE FUNCTION h.old_key_of(relation_body bytea, before text, members bigint[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  b bytea := convert_to(before, 'UTF8');
  at int := 0;
  n int := cardinality(members) - 2 * (SELECT count(*) FROM h.frame_columns(relation_body) c WHERE c.in_key);
  pieces text[] := '{}';
  c record;
BEGIN
  FOR c IN SELECT name FROM h.frame_columns(relation_body) WHERE in_key LOOP
    at := at + members[n + 1];
    IF chr(get_byte(b, at - 1)) NOT IN ('{', ',') OR chr(get_byte(b, at + members[n + 2]::int)) NOT IN (',', '}') THEN
      RAISE 'no member begins at byte % of % and has % bytes', at, before, members[n + 2];
    END IF;
    pieces := pieces || convert_from(substr(b, at + 1, members[n + 2]::int), 'UTF8');
    at := at + members[n + 2];
    n := n + 2;
  END LOOP;
  IF (SELECT array_agg(k) FROM json_object_keys(('{' || array_to_string(pieces, ',') || '}')::json) k)
     <> (SELECT array_agg(name) FROM h.frame_columns(relation_body) WHERE in_key) THEN
    RAISE 'the old key is %', pieces;
  END IF;
  RETURN '{' || array_to_string(pieces, ',') || '}';
END
$$;

-- What walspout.read_rows() gives.
CREATE OR REPLACE FUNCTION h.rows("table" regclass, options text[] DEFAULT '{omit,"id,ts"}', after_key text[] DEFAULT NULL,
                                  max_rows bigint DEFAULT NULL, max_bytes bigint DEFAULT NULL, max_ms int DEFAULT NULL,
                                  condition text DEFAULT NULL)
RETURNS TABLE (message int, kind text, flags int, sixteen int, relation numeric, hash numeric, index numeric,
               document text, key text, before text, after text, columns text, body bytea, members bigint[])
LANGUAGE sql AS $$
  SELECT m.n::int, f.* FROM walspout.read_rows("table", options, after_key, max_rows, max_bytes, max_ms, condition) WITH ORDINALITY m(data, n),
         LATERAL h.frames_of(m.data) f
$$;

-- What walspout.read_keys() gives.
CREATE OR REPLACE FUNCTION h.keys("table" regclass, keys text[], options text[] DEFAULT '{omit,"id,ts"}')
RETURNS TABLE (message int, kind text, flags int, sixteen int, relation numeric, hash numeric, index numeric,
               document text, key text, before text, after text, columns text, body bytea, members bigint[])
LANGUAGE sql AS $$
  SELECT m.n::int, f.* FROM walspout.read_keys("table", options, keys) WITH ORDINALITY m(data, n), LATERAL h.frames_of(m.data) f
$$;

-- The values of a cursor.
CREATE OR REPLACE FUNCTION h.cursor_of(body bytea) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  at int := 10;
  found text[] := '{}';
BEGIN
  FOR i IN 1 .. h.number(body, 8, 2) LOOP
    found := found || convert_from(substr(body, at + 5, h.number(body, at, 4)::int), 'UTF8');
    at := at + 4 + h.number(body, at, 4);
  END LOOP;
  RETURN found;
END
$$;

-- The keys of the whole table, read in pieces of so many rows.
CREATE OR REPLACE FUNCTION h.in_pieces("table" regclass, max_rows bigint, options text[] DEFAULT '{omit,"id,ts"}')
RETURNS TABLE (piece int, row_key text) LANGUAGE plpgsql AS $$
DECLARE
  here text[];
  f record;
  at_end boolean := false;
BEGIN
  piece := 0;
  WHILE NOT at_end LOOP
    piece := piece + 1;
    FOR f IN SELECT * FROM h.rows("table", options, here, in_pieces.max_rows) LOOP
      IF f.kind = 'r' THEN
        row_key := f.key;
        RETURN NEXT;
      ELSIF f.kind = 'K' THEN
        at_end := f.flags = 1;
        IF f.index > 0 THEN
          here := h.cursor_of(f.body);
        END IF;
      END IF;
    END LOOP;
  END LOOP;
END
$$;

-- Compare rows that are read from the table with the inserts in table doc: the documents, and for some of them the
-- members that "after" is made of.
CREATE OR REPLACE FUNCTION h.compare_rows("table" regclass, VARIADIC options text[] DEFAULT '{}')
RETURNS SETOF text LANGUAGE sql AS $$
  WITH f AS MATERIALIZED (SELECT * FROM h.rows("table", options || '{omit,"id,ts,xid"}'::text[])),
       r AS (SELECT replace(f.document, '"op":"r"', '"op":"c"') AS document,
                    f.index % 20 > 0 OR h.members_of((SELECT body FROM f WHERE kind = 'R'), f.after, f.members) IS NOT NULL AS told
               FROM f WHERE f.kind = 'r'),
       c AS (SELECT count(*) FILTER (WHERE d.data IS NOT NULL AND told) AS equal, count(*) AS rows,
                    min(left(r.document, 400)) FILTER (WHERE d.data IS NULL) AS one
               FROM r LEFT JOIN (SELECT DISTINCT data FROM doc) d ON d.data = r.document)
  SELECT c.equal || ' rows equal' || CASE WHEN c.equal < c.rows THEN ', ' || c.rows - c.equal || ' differ, as ' || one ELSE '' END FROM c
$$;

-- A change in a form that both plugins' output can be brought to: all values
-- are text, the key columns only of an old row that is no whole one.
CREATE OR REPLACE FUNCTION h.read_tuple(b bytea, at int, names text[], wanted boolean[],
                                        OUT row_object jsonb, OUT unchanged jsonb, OUT next int)
LANGUAGE plpgsql AS $$
DECLARE
  size int;
BEGIN
  row_object := '{}';
  unchanged := '[]';
  next := at + 2;
  FOR i IN 1 .. h.number(b, at, 2) LOOP
    CASE chr(get_byte(b, next))
      WHEN 'n' THEN
        IF wanted IS NULL OR wanted[i] THEN
          row_object := row_object || jsonb_build_object(names[i], NULL);
        END IF;
        next := next + 1;
      WHEN 'u' THEN
        unchanged := unchanged || to_jsonb(names[i]);
        next := next + 1;
      WHEN 't' THEN
        size := h.number(b, next + 1, 4);
        row_object := row_object || jsonb_build_object(names[i],
                        convert_from(substr(b, next + 6, size), current_setting('server_encoding')));
        next := next + 5 + size;
    END CASE;
  END LOOP;
END
$$;

-- A string that ends with a zero byte, and its size with that byte.
CREATE OR REPLACE FUNCTION h.cstring_size(b bytea, at int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
  SELECT position('\x00'::bytea IN substr(b, at + 1))
$$;
CREATE OR REPLACE FUNCTION h.cstring(b bytea, at int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT convert_from(substr(b, at + 1, h.cstring_size(b, at) - 1), current_setting('server_encoding'))
$$;

CREATE OR REPLACE FUNCTION h.pgoutput(slot text, publications text)
RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
  m bytea;
  at int;
  n int;
  relations jsonb := '{}';
  rel jsonb;
  oid text;
  names text[];
  keys boolean[];
  change jsonb;
  t record;
BEGIN
  FOR m IN SELECT data FROM pg_logical_slot_peek_binary_changes(slot, NULL, NULL,
                'proto_version', '1', 'publication_names', publications)
  LOOP
    CASE chr(get_byte(m, 0))
      WHEN 'R' THEN
        oid := h.number(m, 1, 4)::text;
        at := 5;
        rel := jsonb_build_object('schema', h.cstring(m, at));
        at := at + h.cstring_size(m, at);
        rel := rel || jsonb_build_object('table', h.cstring(m, at));
        at := at + h.cstring_size(m, at) + 1;
        names := '{}';
        keys := '{}';
        FOR i IN 1 .. h.number(m, at, 2) LOOP
          keys := keys || (get_byte(m, at + 2) = 1);
          names := names || h.cstring(m, at + 3);
          at := at + 1 + h.cstring_size(m, at + 3) + 8;
        END LOOP;
        relations := relations || jsonb_build_object(oid,
                       rel || jsonb_build_object('names', names, 'keys', keys));
      WHEN 'I', 'U', 'D' THEN
        rel := relations -> h.number(m, 1, 4)::text;
        names := ARRAY(SELECT jsonb_array_elements_text(rel -> 'names'));
        keys := ARRAY(SELECT jsonb_array_elements(rel -> 'keys')::boolean);
        change := jsonb_build_object('schema', rel -> 'schema', 'table', rel -> 'table', 'op',
                    CASE chr(get_byte(m, 0)) WHEN 'I' THEN 'c' WHEN 'U' THEN 'u' ELSE 'd' END);
        at := 5;
        IF chr(get_byte(m, at)) IN ('K', 'O') THEN
          t := h.read_tuple(m, at + 1, names, keys);
          change := change || jsonb_build_object('before', t.row_object);
          at := t.next;
        END IF;
        IF at < length(m) THEN
          t := h.read_tuple(m, at + 1, names, NULL);
          -- an unchanged value that the old row has is in "after" with us
          change := change || jsonb_build_object('after', t.row_object || coalesce(
            (SELECT jsonb_object_agg(k, change -> 'before' -> k)
               FROM jsonb_array_elements_text(t.unchanged) k WHERE change -> 'before' ? k), '{}'));
          t.unchanged := (SELECT jsonb_agg(k) FROM jsonb_array_elements_text(t.unchanged) k
                           WHERE (change -> 'before' ? k) IS NOT TRUE);
          IF t.unchanged IS NOT NULL THEN
            change := change || jsonb_build_object('unchanged', t.unchanged);
          END IF;
        END IF;
        RETURN NEXT change;
      WHEN 'T' THEN
        FOR i IN 0 .. h.number(m, 1, 4) - 1 LOOP
          rel := relations -> h.number(m, 6 + i::int * 4, 4)::text;
          RETURN NEXT jsonb_build_object('op', 't', 'schema', rel -> 'schema', 'table', rel -> 'table',
            'cascade', (get_byte(m, 5) & 1) = 1, 'restart_identity', (get_byte(m, 5) & 2) = 2);
        END LOOP;
      ELSE
        NULL;
    END CASE;
  END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION h.as_text(o json) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM json_each_text(o)
$$;

-- Both plugins' changes side by side, for tables of numbers and text: those
-- that differ, and the number of those that are the same.
CREATE OR REPLACE FUNCTION h.compare_pgoutput(slot text, slot_pgoutput text, publications text)
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  r record;
  equal int := 0;
BEGIN
  FOR r IN
    SELECT ours.change AS ours, theirs.change AS theirs
      FROM (SELECT ordinality AS n,
                   (jsonb_strip_nulls(jsonb_build_object('op', j -> 'op', 'schema', j -> 'schema',
                      'table', j -> 'table', 'unchanged', j -> 'unchanged', 'cascade', j -> 'cascade',
                      'restart_identity', j -> 'restart_identity')))
                   || CASE WHEN j -> 'before' IS NULL THEN '{}'
                           ELSE jsonb_build_object('before', h.as_text(j -> 'before')) END
                   || CASE WHEN j -> 'after' IS NULL THEN '{}'
                           ELSE jsonb_build_object('after', h.as_text(j -> 'after')) END AS change
              FROM (SELECT data::json AS j, ordinality
                      FROM h.changes(slot, 'publications', publications, 'messages', 'false')
                           WITH ORDINALITY) d) ours
      FULL JOIN (SELECT change, ordinality AS n
                   FROM h.pgoutput(slot_pgoutput, publications) WITH ORDINALITY p(change)) theirs
        ON theirs.n = ours.n
     ORDER BY coalesce(ours.n, theirs.n)
  LOOP
    IF r.ours = r.theirs THEN
      equal := equal + 1;
    ELSE
      RETURN NEXT format('%s instead of %s', coalesce(r.ours::text, 'nothing'),
                         coalesce(r.theirs::text, 'nothing'));
    END IF;
  END LOOP;
  RETURN NEXT format('%s changes equal', equal);
END
$$;
-- What a function makes of documents: rows, or the code of an error.
CREATE OR REPLACE FUNCTION h.read_by(call text, documents text, columns text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  made text;
BEGIN
  EXECUTE format('SELECT string_agg(s::text, chr(10)) FROM %s s(%s)', call, columns) INTO made USING documents;
  RETURN coalesce(made, 'no rows');
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END
$$;

-- How walspout.read_documents() and json_to_recordset() differ there; null: not at all.
CREATE OR REPLACE FUNCTION h.readers_differ(documents text, columns text) RETURNS text LANGUAGE sql AS $$
  SELECT format(E'%s\nmakes %s\ninstead of %s', left(documents, 1000), left(ours, 1000), left(theirs, 1000))
    FROM (SELECT h.read_by('walspout.read_documents($1)', documents, columns) AS ours,
                 h.read_by('json_to_recordset($1::json)', documents, columns) AS theirs) r
   WHERE ours <> theirs
$$;

-- The same for the rows of a table: all at once or, if that fails, one by one.
CREATE OR REPLACE FUNCTION h.compare_readers(tbl regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  columns text := (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
                     FROM pg_attribute WHERE attrelid = tbl AND attnum > 0 AND NOT attisdropped);
  documents text[];
  difference text;
BEGIN
  EXECUTE format('SELECT array_agg(row_to_json(r)::text) FROM %s r', tbl) INTO documents;
  IF length(h.read_by('walspout.read_documents($1)', format('[%s]', array_to_string(documents, ',')), columns)) > 5 THEN
    documents := ARRAY[array_to_string(documents, ',')];
  END IF;
  SELECT string_agg(d, E'\n') INTO difference
    FROM unnest(documents) document, h.readers_differ(format('[%s]', document), columns) d;
  RETURN coalesce(difference, 'equal');
END
$$;

-- For what a version does not have: \if :since_15
SELECT current_setting('server_version_num')::int AS version \gset
SELECT :version >= 140000 AS since_14, :version >= 150000 AS since_15,
       :version >= 190000 AS since_19 \gset
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
\set ECHO all
