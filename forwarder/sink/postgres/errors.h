// What is at fault for an error of the target, by its SQLSTATE.
#pragma once

#include <string_view>

#include "base/result.h"
#include "postgres/connection.h"

namespace walspout {

inline constexpr std::string_view kNoPrivilege = "42501";

enum class PostgresFault { kEvent, kConfiguration, kDestination };

// In doubt, the destination is at fault: a wrong dead letter costs more than an event that waits.
[[nodiscard]] PostgresFault postgres_fault(const ServerError& error);

// The error for the deliverer, with a remedy if one is known.
[[nodiscard]] Error postgres_error(const ServerError& error);

}  // namespace walspout
