// Which tables have no usable replica identity. If a publication has such a table, the server
// rejects the application's UPDATE and DELETE. Otherwise they come without a key.
#pragma once

#include <string>

#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

class Findings;

// A query of the catalogs: one row for each such table that the source reads. First come the tables
// whose changes the server rejects.
[[nodiscard]] std::string identity_query(const SourceConfig& config);

// Reports what a row of that query means. `has_publications`: whether the source names any.
void judge_identity(const Row& row, bool has_publications, Findings& findings);

}  // namespace walspout
