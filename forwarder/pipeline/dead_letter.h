// Events that a sink will not take, when the configuration says that they are set aside: lines of
// JSON, each with the reason, the event's document, and what delivering it again needs. Pure;
// dead_letter_file.h has the file.
//
// A line begins with {"sent":0, whose digit becomes 1 when `walspout replay` has delivered it: one
// byte in its place, so that a crash leaves either, and the line stays JSON.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "stream/event.h"

namespace walspout {

class DeadLetters {
 public:
  virtual ~DeadLetters() = default;

  // Returns when the event is on disk. Called from any sink's thread.
  virtual Result<void> put(const Event& event, std::string_view sink, const Error& reason) = 0;
};

// In place of a sink's name: the source could make no event of what it read. No sink has such a
// name, so no replay sends the line.
inline constexpr std::string_view kOfTheSource = "(source)";

// Where in a line the digit is.
constexpr size_t kSentDigit = 8;

// The line that is written, its line break included.
std::string dead_letter_line(const Event& event, std::string_view pipeline, std::string_view sink,
                             const Error& reason);

struct DeadLetter {
  bool sent = false;
  std::string id;
  std::string pipeline;
  std::string sink;
  std::string reason;
  Table table;         // of the event, unless that is a logical message
  std::string prefix;  // if it is one
  Event event;         // a view of the line, without its table: see view()

  // The event as sinks take it. A view of the line and of this.
  Event view() const {
    Event viewed = event;
    viewed.table = has_table(event.op) ? &table : nullptr;
    if (event.op == 'm') viewed.set_prefix(prefix);
    return viewed;
  }
};

// Reads a line, without its line break, that dead_letter_line() has made. Error: kReject, says what
// is wrong; a line that was cut short or put together from two is not taken for a whole one.
Result<DeadLetter> parse_dead_letter(std::string_view line);

}  // namespace walspout
