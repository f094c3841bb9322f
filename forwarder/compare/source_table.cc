#include "compare/source_table.h"

#include <algorithm>
#include <set>
#include <utility>

#include "source/columns.h"
#include "stream/only.h"

namespace walspout {
namespace {

constexpr int kLists = 150000;      // column lists and row filters
constexpr int kGenerated = 180000;  // publications name generated columns

std::string quote(std::string_view text) {
  return Connection::quote_literal(text);
}

// What the publications publish of the table.
struct Published {
  bool everything = true;         // no column list
  std::set<std::string> columns;  // the columns of the lists
  std::string filter;
  bool sends_updates = true;
  bool sends_deletes = true;
};

std::string find_entries(const SourceConfig& config, const std::string& schema,
                         const std::string& name, bool lists) {
  std::string names;
  for (const std::string& one : config.publications) {
    names += (names.empty() ? "" : ", ") + quote(one);
  }
  return "SELECT p.pubinsert, p.pubupdate, p.pubdelete, " +
         std::string(lists ? "pg_catalog.to_json(t.attnames), t.rowfilter" : "NULL, NULL") +
         " FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_tables t ON t.pubname = "
         "p.pubname WHERE p.pubname IN (" +
         names + ") AND t.schemaname = " + quote(schema) + " AND t.tablename = " + quote(name);
}

// Names of columns, one a row, in the column lists of all publications.
std::string find_listed(const SourceConfig& config, const std::string& schema,
                        const std::string& name) {
  return "SELECT DISTINCT c.attname FROM (" + find_entries(config, schema, name, true) +
         ") e(i, u, d, columns, filter), pg_catalog.json_array_elements_text(e.columns) c(attname)";
}

Result<Published> look_at_publications(Connection& connection, const SourceConfig& config,
                                       const std::string& schema, const std::string& name,
                                       TimePoint deadline) {
  Published published;
  if (config.publications.empty()) return published;
  const bool lists = connection.server_version() >= kLists;
  auto entries = connection.query(find_entries(config, schema, name, lists), deadline);
  if (!entries) return Failure(std::move(entries.error().error));
  if (entries->empty()) return published;  // the table has just left the publications
  published.sends_updates = published.sends_deletes = false;
  bool has_filter = true;
  for (const Row& row : *entries) {
    published.sends_updates = published.sends_updates || text(row, 1) == "t";
    published.sends_deletes = published.sends_deletes || text(row, 2) == "t";
    if (text(row, 0) != "t") continue;  // the filter of this operation only
    has_filter = has_filter && row[4].has_value();
    if (row[4]) published.filter += (published.filter.empty() ? "(" : " OR (") + *row[4] + ")";
  }
  if (!has_filter) published.filter.clear();
  if (!lists) return published;
  auto columns = connection.query(find_listed(config, schema, name), deadline);
  if (!columns) return Failure(std::move(columns.error().error));
  published.everything = false;
  for (const Row& row : *columns) published.columns.insert(text(row, 0));
  return published;
}

// The key's columns, in the order of the index: name and position. A partitioned table without a
// key of its own gets that of its first partition.
std::string find_key(const std::string& oid) {
  return "SELECT a.attname FROM (SELECT i.indrelid, i.indkey, i.indnkeyatts FROM "
         "pg_catalog.pg_partition_tree(" +
         oid +
         ") p JOIN pg_catalog.pg_class c ON c.oid = p.relid JOIN pg_catalog.pg_index i ON "
         "i.indrelid = c.oid AND i.indisvalid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary "
         "AND i.indimmediate WHEN 'i' THEN i.indisreplident WHEN 'f' THEN i.indisprimary ELSE "
         "false "
         "END WHERE p.isleaf OR p.level = 0 ORDER BY p.level, c.oid LIMIT 1) k CROSS JOIN LATERAL "
         "pg_catalog.generate_series(0, k.indnkeyatts - 1) n JOIN pg_catalog.pg_attribute a ON "
         "a.attrelid = k.indrelid AND a.attnum = k.indkey[n] ORDER BY n";
}

// pg_partition_tree() knows partitioned tables and partitions only.
std::string find_key_of_ordinary(const std::string& oid) {
  return "SELECT a.attname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indrelid = "
         "c.oid AND i.indisvalid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND "
         "i.indimmediate WHEN 'i' THEN i.indisreplident WHEN 'f' THEN i.indisprimary ELSE false "
         "END "
         "CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) n JOIN "
         "pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[n] WHERE c.oid "
         "= " +
         oid + " ORDER BY n";
}

// The last rule that matches decides.
std::string rule_of(const SourceConfig& config, const Table& table, const std::string& column) {
  std::string found;
  for (const auto& [pattern, columns] : config.columns) {
    if (!TablePattern(pattern).matches(table.schema, table.name)) continue;
    for (const auto& [name, change] : columns) {
      if (column_matches(name, column)) found = change;
    }
  }
  return found;
}

void add_constants(const SourceConfig& config, SentTable& sent) {
  for (const auto& [name, value] : config.set) {
    const bool is_taken =
        std::any_of(sent.table.columns.begin(), sent.table.columns.end(),
                    [&name = name](const Column& one) { return one.name == name; });
    if (is_taken) continue;
    Column& column = sent.table.columns.emplace_back();
    column.name = name;
    column.type = "text";
    sent.columns.push_back({"", value, ""});
  }
}

}  // namespace

Result<SentTable> look_at_sent(Connection& connection, const SourceConfig& config,
                               const std::string& schema, const std::string& name,
                               const std::string& oid, TimePoint deadline) {
  const auto published = look_at_publications(connection, config, schema, name, deadline);
  if (!published) return Failure(published.error());
  auto kind = connection.query("SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = " + oid,
                               deadline);
  if (!kind) return Failure(std::move(kind.error().error));
  if (kind->empty()) return retry("table " + schema + "." + name + " is gone");
  const bool is_partitioned = text(kind->front(), 0) == "p";
  auto key = connection.query(is_partitioned ? find_key(oid) : find_key_of_ordinary(oid), deadline);
  if (!key) return Failure(std::move(key.error().error));
  std::vector<std::string> in_key;
  for (const Row& row : *key) in_key.push_back(text(row, 0));

  auto columns = connection.query(
      "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, "
      "a.attgenerated FROM pg_catalog.pg_attribute a WHERE a.attrelid = " +
          oid + " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
      deadline);
  if (!columns) return Failure(std::move(columns.error().error));
  SentTable sent;
  sent.table = {schema, name, {}};
  sent.from = std::string(is_partitioned ? "" : "ONLY ") + Connection::quote_name(schema) + "." +
              Connection::quote_name(name);
  sent.filter = published->filter;
  sent.sends_updates = published->sends_updates;
  sent.sends_deletes = published->sends_deletes;
  std::vector<std::pair<std::string, std::string>> names;  // of the table, and of documents
  for (const Row& row : *columns) {
    const std::string column = text(row, 0);
    const std::string generated = text(row, 3);
    const bool may_be_generated = published->everything && config.publications.empty()
                                      ? generated == "s"
                                      : connection.server_version() >= kGenerated;
    if (!generated.empty() && !may_be_generated) continue;
    if (!published->everything && !published->columns.contains(column)) continue;
    const std::string rule = rule_of(config, sent.table, column);
    const ColumnChange change = column_change(rule);
    if (change.omits) continue;
    const bool is_changed = !rule.empty() && (change.hashes || !change.suits_key);
    Column& added = sent.table.columns.emplace_back();
    added.name = change.name.empty() ? column : change.name;
    added.type = is_changed ? "text" : text(row, 1);
    added.not_null = text(row, 2) == "t";
    added.in_key = std::find(in_key.begin(), in_key.end(), column) != in_key.end();
    sent.columns.push_back({column, "", is_changed ? rule : ""});
    names.emplace_back(column, added.name);
  }
  for (const std::string& column : in_key) {
    for (const auto& [own, in_documents] : names) {
      if (own == column) sent.key.push_back(in_documents);
    }
  }
  // Documents have only whole keys.
  if (sent.key.size() != in_key.size()) sent.key.clear();
  if (sent.key.empty()) {
    for (Column& column : sent.table.columns) column.in_key = false;
  }
  add_constants(config, sent);
  return sent;
}

}  // namespace walspout
