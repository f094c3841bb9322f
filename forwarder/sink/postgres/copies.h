// The tables that the sink writes, for commands other than `run`.
#pragma once

#include <memory>

#include "sink/common/copies.h"
#include "sink/postgres/config.h"

namespace walspout {

// Error: kFatal, as PostgresSink::create().
[[nodiscard]] Result<std::unique_ptr<Copies>> postgres_copies(const PostgresConfig& config);

}  // namespace walspout
