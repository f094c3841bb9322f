// Where the events of a pipeline come from.
//
// An input reads on one thread, puts events into the pipeline's queue while that has room, and
// remembers at its origin what every sink is done with: nothing else may be remembered there. An
// input goes on after every failure but those that only an operator can fix.
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

// Something that only this kind of input has to say: a member of /status, a metric, or both.
struct InputFigure {
  std::variant<std::string, uint64_t> value;
  std::string_view member{};  // empty: it is no member of /status
  std::string_view metric{};  // empty: it is no metric. A metric has a number
  std::string_view help{};    // of the metric
  bool counts = false;        // the metric never falls but at a start
  std::string_view label{};   // of the metric, beside the pipeline; empty: it has no other
  std::string_view label_value{};
};

class Input {
 public:
  virtual ~Input() = default;

  // Reads until stop(), then waits for the sinks until the deadline of stop(), remembers what they
  // are done with, and returns. An error needs an operator.
  virtual Result<void> run() = 0;

  // Ends run(). From any thread; may be called again with an earlier deadline.
  virtual void stop(TimePoint drain_until) = 0;

  // SIGHUP: what waits to try again tries now. From any thread.
  virtual void renew() = 0;

  // From any thread, at any time ----------------------------------------------------------------

  virtual const InputStats& stats() const = 0;

  // What it waits for in SourcePhase::kWaiting: "the slot".
  virtual std::string_view waits_for() const = 0;

  virtual std::vector<InputFigure> figures() const = 0;

  // What sinks may want to know; nothing until it has begun to read.
  virtual std::optional<SourceState> state() const = 0;
};

}  // namespace walspout
