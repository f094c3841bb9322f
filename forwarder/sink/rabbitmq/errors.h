// The meaning of an exception of RabbitMQ: its kind, and a sentence with the remedy. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace walspout {

// The error for a connection.close or channel.close with this code and text. `doing`: our action.
[[nodiscard]] Error rabbitmq_error(uint16_t code, std::string_view text, std::string_view doing,
                                   std::string_view where);

// The message's size, from RabbitMQ's text about a too large message; 0: another text.
[[nodiscard]] size_t rabbitmq_refused_size(std::string_view text);

}  // namespace walspout
