// Whose fault an error of the target is, by its SQLSTATE.
#pragma once

#include "base/result.h"
#include "postgres/connection.h"

namespace walspout {

enum class PostgresFault { kEvent, kConfiguration, kDestination };

// In doubt it is the destination's: an event that is set aside wrongly costs more than one that
// waits.
[[nodiscard]] PostgresFault postgres_fault(const ServerError& error);

// The error as the deliverer takes it, with a remedy where one is known.
[[nodiscard]] Error postgres_error(const ServerError& error);

}  // namespace walspout
