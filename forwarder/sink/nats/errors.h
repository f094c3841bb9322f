// What a NATS server's words mean for us: whose fault it is, and the remedy. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace walspout {

// What -ERR said, while we were `doing` something; `who`: the user, for people.
[[nodiscard]] Error nats_refusal(std::string_view text, std::string_view doing,
                                 std::string_view who, std::string_view where);

// The error of an answer of JetStream: {"code":503,"err_code":10077,"description":"…"}.
[[nodiscard]] Error nats_stream_error(std::string_view error, std::string_view doing,
                                      std::string_view where);

// The subject in a text on a permission; empty: it is about none.
[[nodiscard]] std::string_view nats_denied_subject(std::string_view text);

}  // namespace walspout
