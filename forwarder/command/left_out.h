// Which publications leave out columns that the server needs to log updates and deletes. Causes: a
// column list, a row filter that uses other columns, or generated columns. The server then rejects
// the application's UPDATE and DELETE.
#pragma once

#include <string>

#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

class Findings;

// A query of the catalogs: a row for each such table and publication, of the tables that the source
// reads. Empty: this server has no such publications.
[[nodiscard]] std::string left_out_query(const SourceConfig& config, int server_version);

// Reports what a row of that query means.
void judge_left_out(const Row& row, Findings& findings);

}  // namespace walspout
