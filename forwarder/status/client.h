// Asks a status server for a page.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace walspout {

// The body of the answer to a GET. Error: no answer came before the deadline, or its status is not
// 200.
Result<std::string> get_page(const std::string& host, int port, const std::string& path,
                             TimePoint until);

}  // namespace walspout
