// TLS for a connection to Redis: only with a hiredis that has TLS (1.0 and later).
#pragma once

#include <hiredis/hiredis.h>

#include "base/result.h"

namespace walspout {

struct RedisEndpoint;

// Does the handshake on a connected, blocking context with its timeout set. The server's
// certificate must be valid for this host. Error: kRetry, or kFatal if a file cannot be read.
[[nodiscard]] Result<void> redis_start_tls(redisContext* context, const RedisEndpoint& endpoint);

}  // namespace walspout
