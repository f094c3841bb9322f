// Postgres: what the sink needs.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "sink/common/route.h"

namespace walspout {

// What follows for a row that an update or a delete looks for, and that the target lacks.
enum class Missing { kInsert, kIgnore, kError };

enum class Truncates { kApply, kIgnore, kError };

struct PostgresConfig {
  Secret dsn;
  // A dot divides schema and table, so dots of names are written as %2E.
  Route target{
      {}, "{schema}.{table}", Unmapped::kError, {}, ".%", "which no table's name can have"};
  bool append = false;  // deletes and truncates are not applied
  Missing missing = Missing::kInsert;
  Truncates truncate = Truncates::kApply;
  bool keep_elided = false;  // columns that were left out keep their value; else that is an error
  bool create_tables = false;
  bool add_columns = false;
  bool fire_triggers = false;         // session_replication_role is origin, and not replica
  uint64_t max_transaction = 50'000;  // events
  Milliseconds connect_timeout{10'000};
  std::string sink = "postgres";  // the sink's name, for its position
};

}  // namespace walspout
