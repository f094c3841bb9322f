// Checks rules for columns, and constants, against the existing tables.
#pragma once

#include <string>
#include <vector>

#include "command/findings.h"
#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

// A query of the catalogs: schema, table, column, and whether the column is in the key, for each
// column that is published. Rows of a table stand together.
[[nodiscard]] std::string columns_query(const SourceConfig& config, int server_version);

void judge_columns(const SourceConfig& config, const std::vector<Row>& columns, Findings& findings);

}  // namespace walspout
