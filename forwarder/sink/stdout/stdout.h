// Events as lines on standard output, or on any descriptor: one document a line.
//
// An event is durable when it is written, whatever a pipe's reader does with it. The sink waits for
// a slow reader, up to the deadline. It first completes a line that the deadline cut, so lines are
// always whole. The process ignores SIGPIPE.
#pragma once

#include <string>

#include "sink/stdout/config.h"
#include "stream/sink.h"

namespace walspout {

class StdoutSink final : public Sink {
 public:
  // Does not own the descriptor, and does not change its flags, which other processes may share.
  explicit StdoutSink(const StdoutConfig& config, int fd = 1);

  std::string_view type() const override { return "stdout"; }
  std::string_view endpoint() const override { return "stdout"; }
  BatchLimits limits() const override { return {.barriers_alone = false}; }
  // Error: kFatal, the descriptor is closed.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  // Error: kFatal if the reader is gone, else kRetry.
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;

 private:
  // Writes `text`, and removes what is written from its front.
  [[nodiscard]] Result<void> write(std::string_view& text, TimePoint deadline) const;
  [[nodiscard]] Result<void> write_lines(std::span<const Event> events, TimePoint deadline,
                                         Progress& progress);

  int fd_;
  std::string unfinished_;  // the rest of a line whose beginning was written
  std::string buffer_;      // lines of the current call; reused, to save allocations
};

}  // namespace walspout
