// Postgres: what the sink needs.
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
  kHistory,  // each version of a row has a row of its own
};

// What follows for a row that an update or a delete looks for, and that the target lacks.
enum class Missing { kInsert, kIgnore, kError };

enum class Truncates { kApply, kIgnore, kError };

struct ColumnsConfig {
  TextMap rename;      // name in the source, name in the target
  TextList leave_out;  // names in the source
};

// The columns of mode `history` that say when a version was the row.
struct HistoryConfig {
  bool kuvasz = false;  // names and the end of what has no end are those of Kuvasz-streamer
  std::string id = "version_id";
  std::string start = "version_start";
  std::string end = "version_end";
  std::string deleted = "version_deleted";

  // `end` of a version that has no end.
  const char* open_end() const { return kuvasz ? "9999-01-01 00:00:00+00" : "infinity"; }
};

// How rows of a table are written.
struct RowsConfig {
  PostgresMode mode = PostgresMode::kClone;
  Missing missing = Missing::kInsert;
  Truncates truncate = Truncates::kApply;
  bool keep_elided = false;  // columns that were left out keep their value; else that is an error
  ColumnsConfig columns;
  TextMap constants;  // of columns that only the target has
  HistoryConfig history;
  std::string deleted_at;  // kAppend: the column with the time of the delete; empty: none

  // Whether an event of this kind changes nothing.
  bool passes_over(char op) const {
    const bool keeps = mode == PostgresMode::kAppend && deleted_at.empty();
    return !has_table(op) || op == kSchemaOp || (op == 'd' && keeps) ||
           (op == 't' && (keeps || truncate == Truncates::kIgnore));
  }
};

// Settings of the tables that a pattern matches.
struct TablesConfig {
  std::string table;   // the pattern
  std::string target;  // template; empty: as for other tables
  RowsConfig rows;
};

struct PostgresConfig {
  Secret dsn;
  // A dot divides schema and table, so dots of names are written as %2E.
  Route target{
      {}, "{schema}.{table}", Unmapped::kError, {}, ".%", "which no table's name can have"};
  RowsConfig rows;
  std::vector<TablesConfig> tables;  // the first one that matches has the settings of a table
  bool create_tables = false;
  bool add_columns = false;
  bool fire_triggers = false;         // session_replication_role is origin, and not replica
  uint64_t max_transaction = 50'000;  // events
  Milliseconds connect_timeout{10'000};
  std::string sink = "postgres";  // the sink's name, for its position
};

}  // namespace walspout
