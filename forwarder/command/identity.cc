#include "command/identity.h"

#include "command/findings.h"

namespace walspout {

namespace {

enum Column : size_t { kTable, kPublications, kOperations, kIdentity, kPrimaryKey };

// The server looks at all publications of the database, and at those of a partition's ancestors.
// pg_publication_tables names the root or the leaves, as a publication publishes them.
constexpr const char* kQuery =
    "WITH published AS MATERIALIZED ("
    "SELECT p.pubname, p.pubupdate, p.pubdelete, c.oid FROM pg_catalog.pg_publication p "
    "JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname "
    "JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname "
    "JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename), "
    "bad AS MATERIALIZED ("
    "SELECT c.oid, c.relname, n.nspname, c.relreplident, pg_catalog.array_append("
    "ARRAY(SELECT a.relid::pg_catalog.oid FROM pg_catalog.pg_partition_ancestors(c.oid) a), c.oid) "
    "AS family FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relreplident <> 'f' "
    "AND pg_catalog.pg_get_replica_identity_index(c.oid) IS NULL "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema')), "
    "asked AS ("
    "SELECT bad.*, (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(p.pubname), ', ') "
    "FROM published p WHERE p.oid = ANY (bad.family) AND (p.pubupdate OR p.pubdelete)) "
    "AS publications, "
    "(SELECT pg_catalog.concat_ws(' and ', CASE WHEN pg_catalog.bool_or(p.pubupdate) "
    "THEN 'UPDATE' END, CASE WHEN pg_catalog.bool_or(p.pubdelete) THEN 'DELETE' END) "
    "FROM published p WHERE p.oid = ANY (bad.family)) AS operations FROM bad) "
    "SELECT CASE WHEN nspname = 'public' THEN pg_catalog.quote_ident(relname) "
    "ELSE pg_catalog.concat(pg_catalog.quote_ident(nspname), '.', "
    "pg_catalog.quote_ident(relname)) END, publications, operations, relreplident, "
    "(SELECT CASE WHEN NOT i.indisvalid THEN 'invalid' WHEN i.indimmediate THEN 'usable' "
    "ELSE 'deferrable' END FROM pg_catalog.pg_index i "
    "WHERE i.indrelid = asked.oid AND i.indisprimary) FROM asked ";

std::string why(const Row& row) {
  const std::string identity = text(row, kIdentity);
  if (identity == "n") return "its identity is set to nothing";
  if (identity == "i") return "the index that was its identity is gone";
  if (text(row, kPrimaryKey) == "deferrable") return "its primary key is deferrable";
  return text(row, kPrimaryKey).empty() ? "it has no primary key" : "its primary key is not valid";
}

std::string remedy(const Row& row) {
  const std::string alter = "ALTER TABLE " + text(row, kTable) + " REPLICA IDENTITY ";
  if (text(row, kPrimaryKey) == "usable") return alter + "DEFAULT, or name an index or FULL there";
  if (text(row, kPrimaryKey) == "deferrable") {
    return alter + "FULL, or re-create its primary key without DEFERRABLE";
  }
  return alter + "FULL, or add a primary key";
}

}  // namespace

std::string identity_query(const SourceConfig& config) {
  std::string query = kQuery;
  if (!config.publications.empty()) {
    std::string names;
    for (const std::string& name : config.publications) {
      names += (names.empty() ? "" : ", ") + Connection::quote_literal(name);
    }
    query +=
        "WHERE EXISTS (SELECT FROM published p WHERE p.oid = ANY (asked.family) "
        "AND p.pubname IN (" +
        names + ")) ";
  }
  return query + "ORDER BY publications IS NULL, 1";
}

void judge_identity(const Row& row, bool has_publications, Findings& findings) {
  const std::string table =
      "table " + text(row, kTable) + " has no usable replica identity, because " + why(row);
  if (!text(row, kPublications).empty()) {
    findings.bad(table + ": the server rejects each " + text(row, kOperations) +
                     " of this table, which is in publication " + text(row, kPublications),
                 remedy(row));
  } else if (!has_publications) {
    findings.warn(table + ": its updates and deletes carry no key", remedy(row));
  }
}

}  // namespace walspout
