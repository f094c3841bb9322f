// The tables that the sink writes, as other commands than `run` look at them.
#pragma once

#include <memory>

#include "sink/common/copies.h"
#include "sink/postgres/config.h"

namespace walspout {

// Error: kFatal, as of the sink itself.
[[nodiscard]] Result<std::unique_ptr<Copies>> postgres_copies(const PostgresConfig& config);

}  // namespace walspout
