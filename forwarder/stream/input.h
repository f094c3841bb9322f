// The origin of a pipeline's events.
//
// An input reads on one thread, and puts events into the pipeline's queue while the queue has room.
// It confirms at its origin only what every sink is done with. An input retries after every
// failure, except those that only an operator can fix.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "stream/sink.h"
#include "stream/stats.h"

namespace walspout {

// A figure of one kind of input: a member of /status, a metric, or both.
struct InputFigure {
  std::variant<std::string, uint64_t> value;
  std::string_view member{};  // empty: no member of /status
  std::string_view metric{};  // empty: no metric. A metric has a number
  std::string_view help{};    // of the metric
  bool counts = false;        // a counter: falls only at a start
  std::string_view label{};   // a second label beside the pipeline; empty: none
  std::string_view label_value{};
};

class Input {
 public:
  virtual ~Input() = default;

  // Reads until stop(), then waits for the sinks until stop()'s deadline, confirms what they are
  // done with, and returns. An error needs an operator.
  virtual Result<void> run() = 0;

  // Ends run(). From any thread; may be called again with an earlier deadline.
  virtual void stop(TimePoint drain_until) = 0;

  // SIGHUP: pending retries run now. From any thread.
  virtual void renew() = 0;

  // From any thread, at any time ----------------------------------------------------------------

  virtual const InputStats& stats() const = 0;

  // What the input waits for in SourcePhase::kWaiting, such as "the slot".
  virtual std::string_view waits_for() const = 0;

  virtual std::vector<InputFigure> figures() const = 0;

  // What sinks may need to know; nothing until the input has begun to read.
  virtual std::optional<SourceState> state() const = 0;
};

}  // namespace walspout
