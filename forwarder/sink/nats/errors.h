// The meaning of a NATS server's error: what is at fault, and the remedy. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace walspout {

// The error for the text of -ERR. `doing`: our action; `who`: the user, for messages.
[[nodiscard]] Error nats_refusal(std::string_view text, std::string_view doing,
                                 std::string_view who, std::string_view where);

// The error of an answer of JetStream: {"code":503,"err_code":10077,"description":"…"}.
[[nodiscard]] Error nats_stream_error(std::string_view error, std::string_view doing,
                                      std::string_view where);

// The subject in a text about a permission; empty: the text is about something else.
[[nodiscard]] std::string_view nats_denied_subject(std::string_view text);

}  // namespace walspout
