// What `check` says of a publication that walspout maintains, and of the rights of a backfill.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "command/findings.h"
#include "postgres/connection.h"
#include "source/config.h"
#include "source/publication.h"

namespace walspout {

// The rows of a query; none if it failed, which has been said then.
using Asker = std::function<std::vector<Row>(const std::string& statement)>;

// Says what `run` would make and change, and what it may not. Returns whether the publication is
// there.
bool judge_own_publication(const SourceConfig& config, int server_version, const Asker& rows,
                           Findings& findings);

// Says which rights the role lacks for the backfills that are configured.
void judge_backfill_rights(const SourceConfig& config, int server_version, const Asker& rows,
                           Findings& findings);

}  // namespace walspout
