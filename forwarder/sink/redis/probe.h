// Finds out whether Redis would accept the sink's commands, without adding anything.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "sink/redis/link.h"

namespace walspout {

struct RedisProbe {
  std::string stream;
  bool exact = true;      // false: an example; the user may lack a right to this name
  bool positions = true;  // whether deliveries write the hash of positions
  bool waits = false;     // whether deliveries wait for replicas
  std::string where;      // the server, for errors
};

// Queues all commands that deliveries use, and does not execute them. Redis then reports missing
// rights, a cluster, a replica or full memory. Afterwards, give up the connection.
[[nodiscard]] Result<void> redis_probe(RedisLink& link, const RedisProbe& probe,
                                       TimePoint deadline);

// A warning if INFO's section `memory` shows a danger to streams; empty: no danger.
[[nodiscard]] std::string redis_eviction_warning(std::string_view info);

}  // namespace walspout
