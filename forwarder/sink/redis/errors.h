// What an error reply of Redis means for us: its kind, and a sentence that names the remedy.
// Pure; the table is the list of the outcomes that the sink promises.
#pragma once

#include <string_view>

#include "base/result.h"

namespace walspout {

// The reply to a command that Redis refused. `stream` is the key the command was about, or empty;
// `where` the server.
// Errors that are not in the table are Retry: the next attempt may fare better, and the text is
// shown meanwhile.
[[nodiscard]] Error redis_error(std::string_view reply, std::string_view stream,
                                std::string_view where);

// The hash that holds how far each stream is filled (sink/redis/streams.h).
inline constexpr std::string_view kRedisPositions = "walspout:positions";

// The reply to a command about that hash.
[[nodiscard]] Error redis_position_error(std::string_view reply, std::string_view where);

// Whether XADD was refused because the stream's top has this id or a larger one.
[[nodiscard]] bool redis_says_not_larger(std::string_view reply);

}  // namespace walspout
