// The options of the sink for Redis Streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "base/tls.h"
#include "sink/common/route.h"

namespace walspout {

// How many replicas must have an event before it counts as delivered.
struct RedisWait {
  uint64_t replicas = 0;  // 0: the primary alone suffices
  Milliseconds timeout{1'000};
};

struct RedisConfig {
  Secret url;  // redis://[user:password@]host[:port][/db], rediss://..., unix:///path[?db=n]
  Route stream{{},
               "walspout:{database}:{schema}.{table}",
               Unmapped::kError,
               {},
               "%:.",
               "which would create a stream for each key, without limit: leave it out, and add "
               "\"key\" to \"fields\" if readers need the key",
               false,
               {},
               "walspout:{database}:{pipeline}:schemas"};
  std::optional<uint64_t> maxlen;           // approximate; none: never trimmed
  std::vector<std::string> fields{"data"};  // of an entry: data id op schema table key
  std::string username;                     // ACL user; wins over the URL's
  Secret password;                          // wins over the URL's
  TlsConfig tls;
  size_t pipeline = 1024;  // events in one transaction, at most
  RedisWait wait;
  bool own_ids = false;  // Redis makes the entries' ids; nothing is compared
  std::string memory;    // file for the end of each stream; empty: none
  Milliseconds connect_timeout{5'000};
};

}  // namespace walspout
