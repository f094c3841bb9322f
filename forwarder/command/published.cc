#include "command/published.h"

#include <algorithm>

#include "source/publication.h"

namespace walspout {

std::string published_query(const SourceConfig& config) {
  if (config.publications.empty()) {
    return "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c "
           "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
           "WHERE c.relkind = 'r' AND c.relpersistence = 'p' "
           "AND n.nspname NOT IN ('pg_catalog', 'information_schema')";
  }
  std::string names;
  for (const std::string& name : config.publications) {
    names += (names.empty() ? "" : ", ") + Connection::quote_literal(name);
  }
  return "SELECT DISTINCT schemaname, tablename FROM pg_catalog.pg_publication_tables "
         "WHERE pubname IN (" +
         names + ")";
}

std::string matched_query(const SourceConfig& config) {
  return "SELECT t.nspname, t.relname FROM (" + find_pattern_tables(config, true) +
         ") t(step, oid, nspname, relname) WHERE t.step <> 'remove'";
}

void judge_patterns(const SinkConfig& sink, const std::vector<Row>& tables, Findings& findings) {
  if (!sink.only) return;
  for (const std::string& text : sink.only->tables) {
    const TablePattern pattern(text);
    const bool matches = std::any_of(tables.begin(), tables.end(), [&](const Row& row) {
      return pattern.matches(walspout::text(row, 0), walspout::text(row, 1));
    });
    if (matches) continue;
    findings.warn("sink \"" + sink.name + "\": pattern \"" + text +
                      "\" of only.tables matches no table that the source sends",
                  "correct the pattern, create the table, or add the table to a publication of the "
                  "source. Names are case-sensitive");
  }
}

}  // namespace walspout
