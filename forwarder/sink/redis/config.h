// Redis Streams: what the sink needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "sink/common/route.h"
#include "sink/common/tls.h"

namespace walspout {

struct RedisConfig {
  Secret url;  // redis://[user:password@]host[:port][/db], rediss://..., unix:///path[?db=n]
  Route stream{{}, "walspout:{database}:{schema}.{table}", Unmapped::kError, {}, true};
  std::optional<uint64_t> maxlen;           // about; none: never trimmed
  std::vector<std::string> fields{"data"};  // of an entry: data id op schema table key
  std::string username;                     // ACL user; wins over the URL's
  Secret password;                          // wins over the URL's
  TlsConfig tls;
  size_t pipeline = 1024;  // events in one transaction, at most
  Milliseconds connect_timeout{5'000};
};

}  // namespace walspout
