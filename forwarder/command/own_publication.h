// What `check` reports about a publication that walspout maintains, and about the rights for a
// backfill.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "command/findings.h"
#include "postgres/connection.h"
#include "source/config.h"
#include "source/publication.h"

namespace walspout {

// The rows of a query; none if it failed, which is then already reported.
using Asker = std::function<std::vector<Row>(const std::string& statement)>;

// Reports what `run` would create and change, and which rights it lacks for that. Returns whether
// the publication exists.
bool judge_own_publication(const SourceConfig& config, int server_version, const Asker& rows,
                           Findings& findings);

// Reports which rights the role lacks for the configured backfills.
void judge_backfill_rights(const SourceConfig& config, int server_version, const Asker& rows,
                           Findings& findings);

}  // namespace walspout
