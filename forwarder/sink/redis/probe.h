// Whether Redis would take what the sink sends, found out without adding anything.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "sink/redis/link.h"

namespace walspout {

struct RedisProbe {
  std::string stream;
  bool exact = true;      // false: only an example, whose name the user need not have a right to
  bool positions = true;  // whether the hash of positions is written
  bool waits = false;     // whether replicas are waited for
  std::string where;      // the server, for errors
};

// Queues all commands that deliveries use, and leaves before they are executed: rights, clusters,
// replicas and full memories show then. Afterwards the connection is to be given up.
[[nodiscard]] Result<void> redis_probe(RedisLink& link, const RedisProbe& probe,
                                       TimePoint deadline);

// What INFO's section `memory` says that endangers streams; empty: nothing.
[[nodiscard]] std::string redis_eviction_warning(std::string_view info);

}  // namespace walspout
