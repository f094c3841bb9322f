// Which published columns need users' code to become JSON: casts to json in SQL or a procedural
// language.
#pragma once

#include <string>

#include "source/config.h"

namespace walspout {

// A query of the catalogs: one row for each such column and cast. Its columns are the column's name
// with its table's, the type's name, the function's, its language's, and whether PUBLIC may execute
// the function.
[[nodiscard]] std::string user_casts_query(const SourceConfig& config, int server_version);

// A condition for published columns, on pg_class c, pg_namespace n and pg_attribute a.
[[nodiscard]] std::string published_columns(const SourceConfig& config, int server_version);

// Whether the plugin calls such a function when `user_casts` is true.
[[nodiscard]] bool is_called(const std::string& language, bool public_may_execute);

}  // namespace walspout
