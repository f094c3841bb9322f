// Whether Redis would take what the sink sends, found out without adding anything.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "sink/redis/link.h"

namespace walspout {

struct RedisProbe {
  std::string stream;
  bool exact = true;      // false: only an example, whose name the user need not have a right to
  bool positions = true;  // whether the hash of positions is written
  std::string where;      // the server, for errors
};

// Queues all commands that deliveries use, and leaves before they are executed: rights, clusters,
// replicas and full memories show then. Afterwards the connection is to be given up.
[[nodiscard]] Result<void> redis_probe(RedisLink& link, const RedisProbe& probe,
                                       TimePoint deadline);

}  // namespace walspout
