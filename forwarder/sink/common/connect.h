// A TCP connection to a host that may have several addresses.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace walspout {

// Looks up the host, and tries its addresses in their order. Each address gets a share of the
// remaining time, so an address that drops packets does not block the others. Returns a
// non-blocking socket. Error: kRetry, what is wrong with each address; the caller adds the place.
[[nodiscard]] Result<int> connect_to(const std::string& host, int port, TimePoint deadline);

// Whether the host is an IP address, not a name.
[[nodiscard]] bool is_address(const std::string& host);

}  // namespace walspout
