// TLS for a connection to Redis: only with a hiredis that has it (1.0 and later).
#pragma once

#include <hiredis/hiredis.h>

#include "base/result.h"

namespace walspout {

struct RedisEndpoint;

// The handshake, on a connected context that still blocks, with its timeout set. The server's
// certificate must be good and for this host. Errors: kRetry,
// or kFatal if a file cannot be read.
[[nodiscard]] Result<void> redis_start_tls(redisContext* context, const RedisEndpoint& endpoint);

}  // namespace walspout
