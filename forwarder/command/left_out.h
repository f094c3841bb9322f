// Which publications leave out columns that the server needs to log updates and deletes: by a list
// of columns, by a row filter that uses others, or because they are generated. The server then
// rejects the application's UPDATE and DELETE.
#pragma once

#include <string>

#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

class Findings;

// A query of the catalogs: a row for each table and publication like that, of the tables that the
// source reads. Empty: this server has no such publications.
[[nodiscard]] std::string left_out_query(const SourceConfig& config, int server_version);

// Says what a row of that query means.
void judge_left_out(const Row& row, Findings& findings);

}  // namespace walspout
