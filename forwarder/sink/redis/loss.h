// Where a stream ends, as Redis says it.
#pragma once

#include <hiredis/hiredis.h>

#include "sink/redis/memory.h"

namespace walspout {

// Out of XINFO STREAM's list of names and values. False: it does not say.
[[nodiscard]] bool parse_redis_end(const redisReply& reply, RedisEnd& end);

// The stream that XINFO STREAM was asked for does not exist.
[[nodiscard]] bool is_redis_without_key(const redisReply& reply);

}  // namespace walspout
