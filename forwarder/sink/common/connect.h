// A TCP connection to a host that may have several addresses.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace walspout {

// Looks up the host, and tries its addresses in their order. Each address gets its share of the
// time that is left, so that one that drops packets does not keep the others from being tried.
// Returns the socket, which does not block. Error: kRetry, what is wrong with each address; the
// caller says where.
[[nodiscard]] Result<int> connect_to(const std::string& host, int port, TimePoint deadline);

// Whether the host is an address and no name.
[[nodiscard]] bool is_address(const std::string& host);

}  // namespace walspout
