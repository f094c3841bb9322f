// Who has the port of the status server.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace walspout {

// A member of a pipeline in /status, and its value: "slot" and a name.
using StatusMember = std::pair<std::string, std::string>;

// Whether a walspout whose pipelines have all these answers there. Returns within some seconds.
bool is_answered_by_walspout(const StatusConfig& config, const std::vector<StatusMember>& members);

}  // namespace walspout
