// Events as lines on standard output, or on any descriptor: one document a line.
//
// Durable means written: what a pipe's reader does with it is its own affair. A slow reader
// is waited for, up to the deadline. A line that was cut off by the deadline is completed before
// anything else is written, so that lines are always whole. The process ignores SIGPIPE.
#pragma once

#include <string>

#include "sink/stdout/config.h"
#include "stream/sink.h"

namespace walspout {

class StdoutSink final : public Sink {
 public:
  // Does not own the descriptor, and leaves its flags alone: they may be shared with others.
  explicit StdoutSink(const StdoutConfig& config, int fd = 1);

  std::string_view type() const override { return "stdout"; }
  std::string_view endpoint() const override { return "stdout"; }
  BatchLimits limits() const override { return {.barriers_alone = false}; }
  // kFatal if the descriptor is closed.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  // kFatal if the reader is gone, kRetry otherwise.
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;

 private:
  // Writes from the front of `text`, which it shortens; done when nothing is left.
  [[nodiscard]] Result<void> write(std::string_view& text, TimePoint deadline) const;
  [[nodiscard]] Result<void> write_lines(std::span<const Event> events, TimePoint deadline,
                                         Progress& progress);

  int fd_;
  std::string unfinished_;  // rest of a line of which the beginning was written
  std::string buffer_;      // lines of the call under way; kept for its memory
};

}  // namespace walspout
