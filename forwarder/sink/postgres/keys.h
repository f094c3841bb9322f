// The keys that say how rows are written, and their rules, for the sink and for items of `tables`.
#pragma once

#include <optional>
#include <string>

#include "base/keys.h"
#include "sink/postgres/config.h"

namespace walspout {

// The keys of an item of `tables`.
KeyTable<TablesConfig> postgres_tables_table();

// What is wrong with the combination of settings; nothing: they are good.
std::optional<KeyProblem> rows_problem(const RowsConfig& rows);

KeyTable<ColumnsConfig> columns_table();
KeyTable<HistoryConfig> history_table();

// Adds the keys of `rows`, a member of T. `initial`: the text for their defaults; empty: the
// defaults.
template <typename T>
void add_rows_keys(KeyTable<T>& table, RowsConfig T::*rows, const std::string& initial = "") {
  const auto with_initial = [&initial](auto inner) {
    if (!initial.empty()) inner.set_default_after(initial, 0);
    return inner;
  };
  const auto of = [rows](auto member) {
    return [ rows, member ](T & target) -> auto& {
      return (target.*rows).*member;
    };
  };
  table
      .template choice<PostgresMode>(
          "mode", of(&RowsConfig::mode),
          {{"clone", PostgresMode::kClone},
           {"append", PostgresMode::kAppend},
           {"history", PostgresMode::kHistory}},
          "`clone`: a copy; `append`: deletes and truncates are not applied, and tables without a "
          "key are taken, too; `history`: each version of a row is kept")
      .template choice<Missing>(
          "missing", of(&RowsConfig::missing),
          {{"insert", Missing::kInsert}, {"ignore", Missing::kIgnore}, {"error", Missing::kError}},
          "What happens to an update or a delete of a row that the target lacks: `insert` inserts "
          "an updated row, `error` rejects the event")
      .template choice<Truncates>("truncate", of(&RowsConfig::truncate),
                                  {{"apply", Truncates::kApply},
                                   {"ignore", Truncates::kIgnore},
                                   {"error", Truncates::kError}},
                                  "What happens to a TRUNCATE")
      .template choice<bool>(
          "elided", of(&RowsConfig::keep_elided), {{"error", false}, {"keep", true}},
          "What happens to columns that the source left out: `error` rejects the event, "
          "`keep` leaves what the target has")
      .section("columns", of(&RowsConfig::columns), with_initial(columns_table()),
               "What happens to the columns of the source")
      .key("set", of(&RowsConfig::constants),
           "Constants of columns that only the target has, such as `{sid: eu-1}`")
      .set_default("none")
      .section("history", of(&RowsConfig::history), with_initial(history_table()),
               "The columns that `mode: history` adds to a table")
      .key("deleted_at", of(&RowsConfig::deleted_at),
           "`mode: append`: a column that gets the time at which the source deleted the row")
      .set_default("none");
}

}  // namespace walspout
