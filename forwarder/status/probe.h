// Finds out which program has the status server's port.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace walspout {

// A member of a pipeline in /status and its value, such as "slot" and a name.
using StatusMember = std::pair<std::string, std::string>;

// Whether a walspout answers there whose pipelines have all these members. Returns within seconds.
bool is_answered_by_walspout(const StatusConfig& config, const std::vector<StatusMember>& members);

}  // namespace walspout
