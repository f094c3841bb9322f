#include "command/left_out.h"

#include "command/findings.h"

namespace walspout {

namespace {

constexpr int kFirstVersion = 150000;  // the first with column lists and row filters

enum Column : size_t {
  kTable,
  kPublication,
  kOperations,
  kKind,
  kColumns,    // left-out columns, or columns that the filter uses
  kIdentity,   // relreplident
  kEntry,      // the table that the publication names: this one, or its root
  kList,       // the entry's columns; empty: all
  kLonger,     // the entry's columns, and those that the identity would need
  kFilter,     // the entry's row filter
  kNeeded,     // columns of the identity; of the primary key where the identity is FULL
  kHasNeeded,  // whether the list has all of them
  kListed,     // whether any publication has a list for the table
};

// As the server does it (RelationBuildPublicationDesc): for each table and each publication of its
// updates or deletes, the entry of the table counts. With publish_via_partition_root, the entry of
// the topmost published ancestor counts. Columns are compared by name, as partitions may have
// another order of columns. The filter's stored tree is parsed: pg_depend does not tell the columns
// of a filter from those of a list.
constexpr const char* kQuery =
    "WITH leaf AS MATERIALIZED ("
    "SELECT c.oid, c.relnamespace, c.relreplident AS identity, "
    "CASE WHEN n.nspname = 'public' THEN '' ELSE pg_catalog.concat("
    "pg_catalog.quote_ident(n.nspname), '.') END AS schema, c.relname, "
    "ARRAY(SELECT a.relid::pg_catalog.oid FROM pg_catalog.pg_partition_ancestors(c.oid) "
    "WITH ORDINALITY a(relid, far) WHERE a.relid <> c.oid ORDER BY a.far) AS ancestors, "
    "ARRAY(SELECT a.attname FROM pg_catalog.pg_index i "
    "CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY k(attnum, place) "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
    "WHERE k.place <= i.indnkeyatts AND i.indrelid = c.oid AND i.indexrelid = "
    "CASE WHEN c.relreplident <> 'f' THEN pg_catalog.pg_get_replica_identity_index(c.oid) ELSE "
    "(SELECT p.indexrelid FROM pg_catalog.pg_index p WHERE p.indrelid = c.oid AND p.indisprimary "
    "AND p.indisvalid AND p.indimmediate) END ORDER BY k.place) AS needed "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND c.relpersistence = 'p' "
    "AND (c.relreplident = 'f' OR pg_catalog.pg_get_replica_identity_index(c.oid) IS NOT NULL) "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema')), "
    // Tables that publications name, or publish as part of a schema.
    "named AS MATERIALIZED ("
    "SELECT r.prpubid AS pubid, r.prrelid AS relid FROM pg_catalog.pg_publication_rel r "
    // PostgreSQL 19 also has rows here for tables that a publication of all tables excludes.
    "WHERE COALESCE(pg_catalog.to_jsonb(r) ->> 'prexcept', 'false') <> 'true' "
    "UNION SELECT s.pnpubid, c.oid FROM pg_catalog.pg_publication_namespace s "
    "JOIN pg_catalog.pg_class c ON c.relnamespace = s.pnnspid), "
    "pairs AS MATERIALIZED ("
    "SELECT leaf.*, p.pubname, pg_catalog.to_jsonb(p) ->> 'pubgencols' AS generated, "
    "pg_catalog.concat_ws(' and ', CASE WHEN p.pubupdate THEN 'UPDATE' END, "
    "CASE WHEN p.pubdelete THEN 'DELETE' END) AS operations, "
    "e.prrelid, e.prqual, e.prattrs IS NOT NULL AS has_list, "
    "ARRAY(SELECT a.attname FROM pg_catalog.unnest(e.prattrs) WITH ORDINALITY l(attnum, place) "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = e.prrelid AND a.attnum = l.attnum "
    "ORDER BY l.place) AS list "
    "FROM leaf CROSS JOIN pg_catalog.pg_publication p "
    "LEFT JOIN pg_catalog.pg_publication_rel e ON e.prpubid = p.oid AND e.prrelid = COALESCE("
    "(SELECT a.relid FROM pg_catalog.unnest(leaf.ancestors) WITH ORDINALITY a(relid, far) "
    "WHERE p.pubviaroot AND EXISTS (SELECT FROM named WHERE named.pubid = p.oid "
    "AND named.relid = a.relid) ORDER BY a.far DESC LIMIT 1), leaf.oid) "
    "WHERE (p.pubupdate OR p.pubdelete) AND (p.puballtables OR EXISTS (SELECT FROM named "
    "WHERE named.pubid = p.oid "
    "AND named.relid = ANY (pg_catalog.array_append(leaf.ancestors, leaf.oid))))), "
    "bad AS ("
    "SELECT pairs.*, 'list' AS kind, "
    "ARRAY(SELECT pg_catalog.unnest(needed) EXCEPT SELECT pg_catalog.unnest(list)) AS columns "
    "FROM pairs WHERE has_list "
    "UNION ALL SELECT pairs.*, 'filter', "
    "ARRAY(SELECT COALESCE(a.attname, 'the whole row') FROM pg_catalog.regexp_matches("
    "prqual::pg_catalog.text, ':varattno (-?[0-9]+)', 'g') v "
    "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = prrelid "
    "AND a.attnum = v[1]::pg_catalog.int2 EXCEPT SELECT pg_catalog.unnest(needed)) "
    "FROM pairs WHERE prqual IS NOT NULL AND identity <> 'f' "
    "UNION ALL SELECT pairs.*, 'generated', "
    "ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = oid "
    "AND a.attnum > 0 AND NOT a.attisdropped AND (identity = 'f' OR a.attname = ANY (needed)) "
    "AND (a.attgenerated = 'v' OR a.attgenerated = 's' AND generated <> 's')) "
    "FROM pairs WHERE generated IS NOT NULL AND NOT has_list) "
    "SELECT pg_catalog.concat(schema, pg_catalog.quote_ident(relname)), "
    "pg_catalog.quote_ident(pubname), operations, kind, "
    "(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c), ', ' ORDER BY c) "
    "FROM pg_catalog.unnest(columns) c), identity, "
    "(SELECT pg_catalog.concat(CASE WHEN r.relkind = 'r' AND EXISTS (SELECT FROM "
    "pg_catalog.pg_inherits h WHERE h.inhparent = r.oid) THEN 'ONLY ' END, "
    "CASE WHEN n.nspname <> 'public' THEN pg_catalog.concat("
    "pg_catalog.quote_ident(n.nspname), '.') END, pg_catalog.quote_ident(r.relname)) "
    "FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace "
    "WHERE r.oid = prrelid), "
    "(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c), ', ') "
    "FROM pg_catalog.unnest(list) c), "
    "(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c), ', ') "
    "FROM pg_catalog.unnest(pg_catalog.array_cat(list, ARRAY(SELECT u FROM "
    "pg_catalog.unnest(needed) u WHERE u <> ALL (list)))) c), "
    "pg_catalog.pg_get_expr(prqual, prrelid), "
    "(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c), ', ') "
    "FROM pg_catalog.unnest(needed) c), needed <@ list, "
    "EXISTS (SELECT FROM pairs other WHERE other.oid = bad.oid AND other.has_list) "
    "FROM bad WHERE (pg_catalog.cardinality(columns) > 0 OR kind = 'list' AND identity = 'f') ";

// The statement that takes the entry out of the publication and adds it with other columns. One
// transaction, so that no change falls between the two steps.
std::string put_in(const Row& row, const std::string& columns, const std::string& filter,
                   const std::string& before = "") {
  const std::string alter = "ALTER PUBLICATION " + text(row, kPublication);
  return "BEGIN; " + before + alter + " DROP TABLE " + text(row, kEntry) + "; " + alter +
         " ADD TABLE " + text(row, kEntry) + (columns.empty() ? "" : " (" + columns + ")") +
         (filter.empty() ? "" : " WHERE (" + filter + ")") + "; COMMIT";
}

std::string remedy(const Row& row) {
  const std::string kind = text(row, kKind);
  const std::string alter = "ALTER TABLE " + text(row, kTable) + " REPLICA IDENTITY ";
  const std::string filter = text(row, kFilter);
  if (kind == "generated") {
    return "ALTER PUBLICATION " + text(row, kPublication) +
           " SET (publish_generated_columns = stored); a virtual column cannot be published: "
           "choose an identity without it";
  }
  if (kind == "filter") {
    if (text(row, kListed) != "t") {
      return alter + "FULL, or let WHERE use only " + text(row, kNeeded);
    }
    return "let WHERE use only " + text(row, kNeeded) + ": " + put_in(row, text(row, kList), "...");
  }
  if (text(row, kIdentity) != "f") return put_in(row, text(row, kLonger), filter);
  if (text(row, kNeeded).empty()) {
    return "add a primary key whose columns the list has, and " + alter +
           "DEFAULT; or publish all columns: " + put_in(row, "", filter);
  }
  if (text(row, kHasNeeded) == "t") return alter + "DEFAULT";
  return put_in(row, text(row, kLonger), filter, alter + "DEFAULT; ");
}

std::string why(const Row& row) {
  const std::string kind = text(row, kKind);
  if (kind == "filter") {
    return "uses " + text(row, kColumns) + " in WHERE, and the replica identity is " +
           text(row, kNeeded);
  }
  if (kind == "generated") {
    return "leaves out " + text(row, kColumns) +
           ", which is generated, and which the replica identity has";
  }
  if (text(row, kIdentity) == "f") {
    return "has a list of its columns, which the server does not allow under REPLICA IDENTITY FULL";
  }
  return "leaves out " + text(row, kColumns) + ", which the replica identity has";
}

}  // namespace

std::string left_out_query(const SourceConfig& config, int server_version) {
  if (server_version < kFirstVersion) return "";
  std::string query = kQuery;
  if (!config.publications.empty()) {
    std::string names;
    for (const std::string& name : config.publications) {
      names += (names.empty() ? "" : ", ") + Connection::quote_literal(name);
    }
    query +=
        "AND EXISTS (SELECT FROM pg_catalog.pg_publication_tables t "
        "JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname "
        "JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename "
        "WHERE t.pubname IN (" +
        names + ") AND c.oid = ANY (pg_catalog.array_append(bad.ancestors, bad.oid))) ";
  }
  return query + "ORDER BY 1, 2, kind";
}

void judge_left_out(const Row& row, Findings& findings) {
  findings.bad("table " + text(row, kTable) + ": the server rejects each " +
                   text(row, kOperations) + " of it, because publication " +
                   text(row, kPublication) + " " + why(row),
               remedy(row));
}

}  // namespace walspout
