#include "command/columns.h"

#include <algorithm>
#include <map>
#include <span>

#include "command/user_casts.h"
#include "source/columns.h"
#include "stream/only.h"

namespace walspout {

namespace {

constexpr size_t kMostSaid = 20;  // tables with the same kind of objection

enum Column : size_t { kSchema, kTable, kName, kInKey };

std::string name_of(const Row& row) {
  return text(row, kSchema) + "." + text(row, kTable);
}

bool is_same_table(const Row& a, const Row& b) {
  return text(a, kSchema) == text(b, kSchema) && text(a, kTable) == text(b, kTable);
}

// Patterns that match nothing.
void judge_patterns(const TextMaps& rules, const std::vector<Row>& columns, Findings& findings) {
  for (const auto& [table, changes] : rules) {
    const TablePattern pattern(table);
    std::vector<const Row*> matched;
    for (const Row& row : columns) {
      if (pattern.matches(text(row, kSchema), text(row, kTable))) matched.push_back(&row);
    }
    if (matched.empty()) {
      findings.warn(
          "pattern \"" + table + "\" of columns matches no table that the source sends",
          "correct the pattern, create the table, or add the table to a publication of the "
          "source. Names are case-sensitive");
      continue;
    }
    for (const auto& [column, change] : changes) {
      const bool matches =
          std::any_of(matched.begin(), matched.end(), [&pattern = column](const Row* row) {
            return column_matches(pattern, text(*row, kName));
          });
      if (matches) continue;
      findings.warn(
          "column \"" + column + "\" of columns is in no table that \"" + table + "\" matches",
          "correct the name, or take the rule out. Names are case-sensitive");
    }
  }
}

// The changes to the columns of one table.
std::vector<ColumnChange> changes_of(const TextMaps& rules, std::span<const Row> columns) {
  std::vector<ColumnChange> all(columns.size());
  for (const auto& [table, changes] : rules) {
    if (!TablePattern(table).matches(text(columns[0], kSchema), text(columns[0], kTable))) continue;
    for (const auto& [column, change] : changes) {
      for (size_t i = 0; i < columns.size(); i++) {
        if (column_matches(column, text(columns[i], kName))) all[i] = column_change(change);
      }
    }
  }
  return all;
}

class Judge {
 public:
  Judge(const SourceConfig& config, Findings& findings) : config_(config), findings_(findings) {}

  void look_at(std::span<const Row> columns) {
    const std::vector<ColumnChange> changes = changes_of(config_.columns, columns);
    std::map<std::string, size_t> names;
    for (size_t i = 0; i < columns.size(); i++) {
      if (changes[i].omits) continue;
      names[changes[i].name.empty() ? text(columns[i], kName) : changes[i].name]++;
    }
    for (size_t i = 0; i < columns.size(); i++) look_at(columns[i], changes[i], names);
    for (const auto& [name, value] : config_.set) {
      if (!names.contains(name)) continue;
      warn("\"" + name + "\" of set is not added to table " + name_of(columns[0]) +
               ": the table has a column of that name",
           "choose another name");
    }
  }

 private:
  void look_at(const Row& column, const ColumnChange& change,
               const std::map<std::string, size_t>& names) {
    if (text(column, kInKey) == "t" && (change.omits || !change.suits_key)) {
      findings_.wrong("column " + text(column, kName) + " of the key of table " + name_of(column) +
                          " is left out or masked, and documents of two rows would look alike",
                      "let a rule hash that column, or leave it as it is");
    }
    const auto found = names.find(change.name);
    if (!change.name.empty() && found != names.end() && found->second > 1) {
      warn("column " + text(column, kName) + " of table " + name_of(column) +
               " keeps its name: another column has the name \"" + change.name + "\", too",
           "choose another name");
    }
  }

  void warn(const std::string& what, const std::string& remedy) {
    if (said_++ < kMostSaid) findings_.warn(what, remedy);
  }

  const SourceConfig& config_;
  Findings& findings_;
  size_t said_ = 0;
};

}  // namespace

std::string columns_query(const SourceConfig& config, int server_version) {
  return "SELECT n.nspname, c.relname, a.attname, EXISTS (SELECT FROM pg_catalog.pg_index i WHERE "
         "i.indrelid = c.oid AND i.indisvalid AND CASE WHEN c.relreplident = 'i' THEN "
         "i.indisreplident ELSE i.indisprimary AND c.relreplident <> 'n' END AND a.attnum = ANY "
         "((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1])) FROM pg_catalog.pg_class c JOIN "
         "pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON "
         "a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.relkind IN ('r', 'p') "
         "AND " +
         published_columns(config, server_version) + " ORDER BY n.nspname, c.relname, a.attnum";
}

void judge_columns(const SourceConfig& config, const std::vector<Row>& columns,
                   Findings& findings) {
  judge_patterns(config.columns, columns, findings);
  Judge judge(config, findings);
  for (size_t begin = 0; begin < columns.size();) {
    size_t end = begin + 1;
    while (end < columns.size() && is_same_table(columns[begin], columns[end])) end++;
    judge.look_at(std::span(columns).subspan(begin, end - begin));
    begin = end;
  }
}

}  // namespace walspout
