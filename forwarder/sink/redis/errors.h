// The meaning of an error reply of Redis: its kind, and a sentence with the remedy. Pure; the table
// lists the outcomes that the sink promises.
#pragma once

#include <string_view>

#include "base/result.h"

namespace walspout {

// The error for a command that Redis refused. `stream`: the command's key, or empty; `where`: the
// server. A reply that is not in the table is kRetry: a later attempt may succeed, and the log
// shows the text.
[[nodiscard]] Error redis_error(std::string_view reply, std::string_view stream,
                                std::string_view where);

// The hash that holds how far each stream is filled (sink/redis/streams.h).
inline constexpr std::string_view kRedisPositions = "walspout:positions";

// The error for a command on that hash that Redis refused.
[[nodiscard]] Error redis_position_error(std::string_view reply, std::string_view where);

// Whether XADD was refused because the stream's top has this id or a larger one.
[[nodiscard]] bool redis_says_not_larger(std::string_view reply);

}  // namespace walspout
