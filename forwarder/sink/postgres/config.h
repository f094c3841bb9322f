// The options of the sink for Postgres.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/keys.h"
#include "base/secret.h"
#include "sink/common/route.h"
#include "stream/event.h"

namespace walspout {

enum class PostgresMode {
  kClone,
  kAppend,   // deletes and truncates are not applied
  kHistory,  // a row for each version of a row
};

// What happens if an update or a delete needs a row that the target lacks.
enum class Missing { kInsert, kIgnore, kError };

enum class Truncates { kApply, kIgnore, kError };

struct ColumnsConfig {
  TextMap rename;      // name in the source, name in the target
  TextList leave_out;  // names in the source
};

// The columns of mode `history` that say when a version was current.
struct HistoryConfig {
  bool kuvasz = false;  // the names and the open end are those of Kuvasz-streamer
  std::string id = "version_id";
  std::string start = "version_start";
  std::string end = "version_end";
  std::string deleted = "version_deleted";

  // The value of `end` in a current version.
  const char* open_end() const { return kuvasz ? "9999-01-01 00:00:00+00" : "infinity"; }
};

// How rows of a table are written.
struct RowsConfig {
  PostgresMode mode = PostgresMode::kClone;
  Missing missing = Missing::kInsert;
  Truncates truncate = Truncates::kApply;
  bool keep_elided = false;  // elided columns keep their value; else an error
  ColumnsConfig columns;
  TextMap constants;  // for columns that only the target has
  HistoryConfig history;
  std::string deleted_at;  // kAppend: the column with the time of the delete; empty: none

  // Whether events with this op change nothing.
  bool ignores(char op) const {
    const bool keeps = mode == PostgresMode::kAppend && deleted_at.empty();
    return !has_table(op) || op == kSchemaOp || (op == 'd' && keeps) ||
           (op == 't' && (keeps || truncate == Truncates::kIgnore));
  }
};

// Settings of the tables that a pattern matches.
struct TablesConfig {
  std::string table;   // the pattern
  std::string target;  // template; empty: the sink's
  RowsConfig rows;
};

struct PostgresConfig {
  Secret dsn;
  // A dot separates schema and table, so dots in names become %2E.
  Route target{
      {}, "{schema}.{table}", Unmapped::kError, {}, ".%", "which no table's name can have"};
  RowsConfig rows;
  std::vector<TablesConfig> tables;  // the first match decides for a table
  bool create_tables = false;
  bool add_columns = false;
  bool fire_triggers = false;         // session_replication_role is origin, not replica
  uint64_t max_transaction = 50'000;  // events
  Milliseconds connect_timeout{10'000};
  std::string sink = "postgres";  // the sink's name, for its position
};

}  // namespace walspout
