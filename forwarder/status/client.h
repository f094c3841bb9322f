// Gets a page from a status server.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace walspout {

// The body of the response to a GET. Error: no response before the deadline, or a status other than
// 200.
Result<std::string> get_page(const std::string& host, int port, const std::string& path,
                             TimePoint until);

}  // namespace walspout
