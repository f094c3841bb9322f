// The end of a stream, from replies of Redis.
#pragma once

#include <hiredis/hiredis.h>

#include "sink/redis/memory.h"

namespace walspout {

// Reads XINFO STREAM's list of names and values. False: the list lacks the end.
[[nodiscard]] bool parse_redis_end(const redisReply& reply, RedisEnd& end);

// Whether XINFO STREAM replied that the stream does not exist.
[[nodiscard]] bool is_redis_without_key(const redisReply& reply);

}  // namespace walspout
