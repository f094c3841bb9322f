// What is at fault for an error of the target, by its SQLSTATE.
#pragma once

#include "base/result.h"
#include "postgres/connection.h"

namespace walspout {

enum class PostgresFault { kEvent, kConfiguration, kDestination };

// In doubt, the destination is at fault: a wrong dead letter costs more than an event that waits.
[[nodiscard]] PostgresFault postgres_fault(const ServerError& error);

// The error for the deliverer, with a remedy if one is known.
[[nodiscard]] Error postgres_error(const ServerError& error);

}  // namespace walspout
