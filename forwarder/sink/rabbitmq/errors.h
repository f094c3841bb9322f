// What an exception of RabbitMQ means for us: its kind, and a sentence that names the remedy. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace walspout {

// The reason that came with connection.close or channel.close, while we were `doing` something.
[[nodiscard]] Error rabbitmq_error(uint16_t code, std::string_view text, std::string_view doing,
                                   std::string_view where);

// The size that RabbitMQ says a message had when it refused it for being too large; 0 if the text
// says nothing of the kind.
[[nodiscard]] size_t rabbitmq_refused_size(std::string_view text);

}  // namespace walspout
