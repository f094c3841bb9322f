// AMQP 0-9-1 as bytes: writes and reads frames. Pure; librabbitmq encodes and decodes their
// content.
#pragma once

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace walspout {

struct RabbitmqHeader {
  std::string_view name;  // at most 255 bytes
  std::string_view value;
};

struct RabbitmqMessage {
  std::string_view exchange;     // at most 255 bytes
  std::string_view routing_key;  // likewise
  std::string_view body;
  std::string_view id;
  std::span<const RabbitmqHeader> headers{};
  uint64_t timestamp = 0;  // seconds since 1970; 0: unknown
  bool persistent = true;
  bool mandatory = true;
};

inline amqp_bytes_t amqp_view(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}

inline std::string amqp_text(const amqp_bytes_t& from) {
  return from.len == 0 ? "" : std::string(static_cast<const char*>(from.bytes), from.len);
}

// Each appends a frame to `out`.
void append_frame(std::string& out, uint8_t type, amqp_channel_t channel, std::string_view payload);
// `arguments`: the method's struct. False, with nothing appended: it needs more than `most` bytes.
[[nodiscard]] bool append_method(std::string& out, amqp_channel_t channel, amqp_method_number_t id,
                                 void* arguments, size_t most);
// A message without its body, whose frames must follow.
void append_head(std::string& out, amqp_channel_t channel, const RabbitmqMessage& message);

struct RabbitmqFrame {
  uint8_t type = 0;
  amqp_channel_t channel = 0;
  std::string_view payload;  // valid until the next feed()
};

// Splits received bytes into frames.
class RabbitmqFrameReader {
 public:
  void feed(std::string_view bytes);

  // The next frame; none: more bytes are needed. Error: kRetry, this is not AMQP.
  [[nodiscard]] Result<std::optional<RabbitmqFrame>> next();

 private:
  std::string buffer_;
  size_t begin_ = 0;  // the bytes before were returned
};

}  // namespace walspout
