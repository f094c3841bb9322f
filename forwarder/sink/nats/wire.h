// The protocol of NATS as bytes: writes published messages, and reads a server's frames. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "stream/event.h"

namespace walspout {

// Appends the headers of an event's message. In names, %, control characters and spaces at the ends
// become %25 and so on, because a header is a line, and readers strip spaces. `id_prefix`: precedes
// the event's id in Nats-Msg-Id.
void append_nats_headers(std::string& out, const Event& event, std::string_view id_prefix = {});

// Appends a message up to its body of `body` bytes. The body and CR LF must follow.
void append_publish(std::string& out, std::string_view subject, std::string_view reply,
                    std::string_view headers, size_t body);

// A frame from a server.
struct NatsFrame {
  enum class Kind {
    kInfo,     // text: JSON
    kMessage,  // subject, headers, body
    kPing,
    kPong,
    kOk,
    kError,  // text: what is wrong
  };
  Kind kind = Kind::kOk;
  std::string_view text{};
  std::string_view subject{};
  std::string_view headers{};  // with their first line, NATS/1.0
  std::string_view body{};

  // The status in a message's headers, such as 503 for "no responders"; 0: none.
  int status() const;
};

// Splits received bytes into frames, which are valid until the next feed().
class NatsFrameReader {
 public:
  void feed(std::string_view bytes);

  // The next frame; none: more bytes are needed. Error: kRetry, this is not NATS.
  [[nodiscard]] Result<std::optional<NatsFrame>> next();

  // Whether all fed bytes were returned.
  bool is_empty() const { return begin_ == buffer_.size(); }

 private:
  [[nodiscard]] Result<std::optional<NatsFrame>> message(std::string_view line, size_t line_size,
                                                         bool with_headers);

  std::string buffer_;
  size_t begin_ = 0;  // the bytes before were returned
};

}  // namespace walspout
