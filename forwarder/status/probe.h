// Who has the port of the status server.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace walspout {

// Whether a walspout that reads all these slots answers there. Returns within some seconds.
bool is_answered_by_walspout(const StatusConfig& config, const std::vector<std::string>& slots);

}  // namespace walspout
