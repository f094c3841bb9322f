#include "sink/postgres/keys.h"

#include <algorithm>
#include <map>

#include "stream/only.h"

namespace walspout {
namespace {

std::string quoted(const std::string& name) {
  return "\"" + name + "\"";
}

// Which key fills a column of the target; two keys may not fill the same column.
class Filled {
 public:
  // Returns what is wrong; nothing: no other key fills the column.
  std::optional<KeyProblem> add(const std::string& key, const std::string& column,
                                const std::string& from) {
    if (column.empty()) {
      return KeyProblem{key, quoted(key) + " has an empty name of a column"};
    }
    const auto [known, fresh] = by_.emplace(column, from);
    if (fresh) return std::nullopt;
    return KeyProblem{key, "two things would fill column " + quoted(column) +
                               " of the target: " + known->second + ", and " + from};
  }

 private:
  std::map<std::string, std::string> by_;
};

std::optional<KeyProblem> columns_problem(const ColumnsConfig& columns, Filled& filled) {
  for (const auto& [from, to] : columns.rename) {
    if (from.empty()) return KeyProblem{"columns", "\"rename\" has an empty name of a column"};
    if (std::find(columns.leave_out.begin(), columns.leave_out.end(), from) !=
        columns.leave_out.end()) {
      return KeyProblem{"columns", "column " + quoted(from) +
                                       " is in \"rename\" and in \"leave_out\": take it out of "
                                       "one of them"};
    }
    const bool again =
        std::count_if(columns.rename.begin(), columns.rename.end(),
                      [&name = from](const auto& one) { return one.first == name; }) > 1;
    if (again) {
      return KeyProblem{"columns", "column " + quoted(from) + " is in \"rename\" twice"};
    }
    if (auto problem = filled.add("columns", to, "\"rename\", from " + quoted(from))) {
      return problem;
    }
  }
  return std::nullopt;
}

}  // namespace

KeyTable<ColumnsConfig> columns_table() {
  KeyTable<ColumnsConfig> table;
  table
      .key("rename", &ColumnsConfig::rename,
           "Other names in the target, such as `{id: order_id}`; a table that lacks the column is "
           "not affected")
      .set_default("none")
      .key("leave_out", &ColumnsConfig::leave_out, "Columns that are not written")
      .set_default("none")
      .each([](const std::string& name) {
        return name.empty() ? std::string("has an empty name") : std::string();
      });
  return table;
}

KeyTable<HistoryConfig> history_table() {
  KeyTable<HistoryConfig> table;
  table
      .choice<bool>("preset", &HistoryConfig::kuvasz, {{"walspout", false}, {"kuvasz", true}},
                    "`kuvasz`: `kvsz_id`, `kvsz_start`, `kvsz_end` and `kvsz_deleted`, where they "
                    "are not given, and 9999-01-01 in place of infinity")
      .key("id", &HistoryConfig::id, "Number of the version, given by the target")
      .key("start", &HistoryConfig::start, "When the version became current")
      .key("end", &HistoryConfig::end, "When the version stopped being current")
      .key("deleted", &HistoryConfig::deleted, "Whether the row was deleted then")
      .rule([](HistoryConfig& history, const Section::Has& has) -> std::optional<KeyProblem> {
        if (!has("preset")) return std::nullopt;
        const HistoryConfig initial;
        const auto fill = [&](const char* key, std::string HistoryConfig::*name) {
          if (!has(key)) {
            history.*name = history.kuvasz ? "kvsz_" + std::string(key) : initial.*name;
          }
        };
        fill("id", &HistoryConfig::id);
        fill("start", &HistoryConfig::start);
        fill("end", &HistoryConfig::end);
        fill("deleted", &HistoryConfig::deleted);
        return std::nullopt;
      });
  return table;
}

std::optional<KeyProblem> rows_problem(const RowsConfig& rows) {
  Filled filled;
  if (auto problem = columns_problem(rows.columns, filled)) return problem;
  for (const auto& [column, value] : rows.constants) {
    if (auto problem = filled.add("set", column, "\"set\"")) return problem;
  }
  if (rows.mode == PostgresMode::kHistory) {
    const HistoryConfig& history = rows.history;
    for (const auto& [key, column] : {std::pair<const char*, const std::string&>{"id", history.id},
                                      {"start", history.start},
                                      {"end", history.end},
                                      {"deleted", history.deleted}}) {
      const std::string from = "\"" + std::string(key) + "\" of \"history\"";
      if (auto problem = filled.add("history", column, from)) return problem;
    }
  }
  if (rows.mode == PostgresMode::kAppend && !rows.deleted_at.empty()) {
    return filled.add("deleted_at", rows.deleted_at, "\"deleted_at\"");
  }
  return std::nullopt;
}

KeyTable<TablesConfig> postgres_tables_table() {
  KeyTable<TablesConfig> table;
  table.key("table", &TablesConfig::table, "Pattern of tables, such as `public.orders_*`")
      .required()
      .key("target", &TablesConfig::target, "Template of the table, SCHEMA.TABLE");
  const std::string initial = "as for the sink";
  add_rows_keys(table, &TablesConfig::rows, initial);
  table.set_default_after(initial, 1)
      .rule([](TablesConfig& item, const Section::Has& has) -> std::optional<KeyProblem> {
        if (!has("table")) return std::nullopt;
        if (item.table.starts_with('!')) {
          return KeyProblem{"table",
                            "\"table\" excludes tables by its \"!\": name those that the settings "
                            "are for"};
        }
        const std::string wrong = TablePattern::problem(item.table);
        if (!wrong.empty()) return KeyProblem{"table", "\"table\" " + wrong};
        return std::nullopt;
      })
      .rule([](TablesConfig& item, const Section::Has& has) -> std::optional<KeyProblem> {
        if (has("target") && item.target.empty()) {
          return KeyProblem{"target", "\"target\" is empty"};
        }
        if (has("deleted_at") && item.rows.mode != PostgresMode::kAppend) {
          return KeyProblem{"deleted_at", "\"deleted_at\" is for mode: append"};
        }
        if (has("history") && item.rows.mode != PostgresMode::kHistory) {
          return KeyProblem{"history", "\"history\" is for mode: history"};
        }
        return rows_problem(item.rows);
      });
  return table;
}

}  // namespace walspout
