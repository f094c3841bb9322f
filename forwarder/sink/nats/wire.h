// The protocol of NATS as bytes: messages that we publish, and what a server says. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "stream/event.h"

namespace walspout {

// The headers of an event, one after the other, as a message has them. Names are printed as they
// are, but for %, control characters, and spaces at the ends, which become %25 and so on: a header
// is a line, and readers strip spaces. `id_prefix` stands before the id that the stream goes by.
void append_nats_headers(std::string& out, const Event& event, std::string_view id_prefix = {});

// The beginning of a message, up to its body of that size, which CR LF must follow.
void append_publish(std::string& out, std::string_view subject, std::string_view reply,
                    std::string_view headers, size_t body);

// What comes of a server, one at a time.
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

  // Of a message that says what became of ours in its headers; 0: it does not.
  int status() const;
};

// Takes bytes as they come, gives frames, which are valid until more is fed.
class NatsFrameReader {
 public:
  void feed(std::string_view bytes);

  // The next one; none until more has come. Error: kRetry, this is not NATS.
  [[nodiscard]] Result<std::optional<NatsFrame>> next();

  // Whether all that was fed has been given out.
  bool is_empty() const { return begin_ == buffer_.size(); }

 private:
  [[nodiscard]] Result<std::optional<NatsFrame>> message(std::string_view line, size_t line_size,
                                                         bool with_headers);

  std::string buffer_;
  size_t begin_ = 0;  // what is before it was given out
};

}  // namespace walspout
