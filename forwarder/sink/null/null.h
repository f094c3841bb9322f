// Discards events and counts them as durable: for trials, and to measure the rest of the pipeline.
#pragma once

#include <cstdint>

#include "sink/null/config.h"
#include "stream/sink.h"

namespace walspout {

class NullSink final : public Sink {
 public:
  explicit NullSink(const NullConfig&) {}

  std::string_view type() const override { return "null"; }
  std::string_view endpoint() const override { return "nowhere"; }
  BatchLimits limits() const override { return {.barriers_alone = false}; }
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;

  uint64_t events() const { return events_; }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t events_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace walspout
