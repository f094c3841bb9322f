#include "command/user_casts.h"

#include "postgres/connection.h"

namespace walspout {

std::string published_columns(const SourceConfig& config, int server_version) {
  constexpr int kColumnLists = 150000;
  if (config.publications.empty()) {
    return "c.relkind = 'r' AND c.relpersistence = 'p' "
           "AND n.nspname NOT IN ('pg_catalog', 'information_schema')";
  }
  std::string names;
  for (const std::string& name : config.publications) {
    names += (names.empty() ? "" : ", ") + Connection::quote_literal(name);
  }
  return "EXISTS (SELECT FROM pg_catalog.pg_publication_tables p WHERE p.pubname IN (" + names +
         ") AND p.schemaname = n.nspname AND p.tablename = c.relname" +
         (server_version >= kColumnLists ? " AND a.attname = ANY (p.attnames)" : "") + ")";
}

// The types inside a column's values: the type below a domain, the elements' type of an array, the
// attributes' types of a composite. Types below the first user OID have no such casts.
std::string user_casts_query(const SourceConfig& config, int server_version) {
  return "WITH RECURSIVE part (relid, name, type) AS ("
         "SELECT c.oid, a.attname, a.atttypid FROM pg_catalog.pg_class c "
         "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
         "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
         "AND NOT a.attisdropped AND a.atttypid >= 16384 WHERE " +
         published_columns(config, server_version) +
         " UNION SELECT part.relid, part.name, inner_type.type FROM part "
         "JOIN pg_catalog.pg_type t ON t.oid = part.type CROSS JOIN LATERAL ("
         "SELECT t.typbasetype WHERE t.typtype = 'd' "
         "UNION ALL SELECT t.typelem WHERE t.typelem <> 0 AND t.typlen = -1 "
         "UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' "
         "AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) inner_type (type)) "
         "SELECT DISTINCT part.relid::pg_catalog.regclass::text || '.' || "
         "pg_catalog.quote_ident(part.name), pg_catalog.format_type(part.type, NULL), "
         "f.oid::pg_catalog.regprocedure::text, l.lanname::text, "
         "pg_catalog.has_function_privilege('public', f.oid, 'EXECUTE') FROM part "
         "JOIN pg_catalog.pg_type t ON t.oid = part.type "
         "JOIN pg_catalog.pg_cast k ON k.castsource = part.type AND k.castmethod = 'f' "
         "AND k.casttarget = 'pg_catalog.json'::pg_catalog.regtype "
         "JOIN pg_catalog.pg_proc f ON f.oid = k.castfunc "
         "JOIN pg_catalog.pg_language l ON l.oid = f.prolang "
         "WHERE part.type >= 16384 AND t.typtype NOT IN ('c', 'd') "
         "AND NOT (t.typelem <> 0 AND t.typlen = -1) AND l.lanname NOT IN ('internal', 'c') "
         "ORDER BY 1, 2 LIMIT 20";
}

bool is_called(const std::string& language, bool public_may_execute) {
  return public_may_execute && (language == "sql" || language == "plpgsql");
}

}  // namespace walspout
