// Dead letters: events that a sink does not take, as lines of JSON. Each has the reason, the
// event's document, and what a later delivery needs. Pure; dead_letter_file.h has the file.
//
// A line begins with {"sent":0, whose digit becomes 1 when `walspout replay` has delivered the
// event. Only one byte changes, so the line stays valid JSON in a crash.
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

// Stands for a sink's name if the source could not make an event of a message. No sink has this
// name, so no replay sends the line.
inline constexpr std::string_view kOfTheSource = "(source)";

// The digit's offset in a line.
constexpr size_t kSentDigit = 8;

// The line to write, with its line break.
std::string dead_letter_line(const Event& event, std::string_view pipeline, std::string_view sink,
                             const Error& reason);

struct DeadLetter {
  bool sent = false;
  std::string id;
  std::string pipeline;
  std::string sink;
  std::string reason;
  Table table;         // of the event; empty for a logical message
  std::string prefix;  // of a logical message
  Event event;         // a view of the line, without the table: see view()

  // The event for sinks. A view of the line and of this object.
  Event view() const {
    Event viewed = event;
    viewed.table = has_table(event.op) ? &table : nullptr;
    if (event.op == 'm') viewed.set_prefix(prefix);
    return viewed;
  }
};

// Parses a line of dead_letter_line(), without its line break. Error: kReject, with what is wrong.
// Lines that are truncated or joined from two are rejected.
Result<DeadLetter> parse_dead_letter(std::string_view line);

}  // namespace walspout
