// A replication slot as the input of a pipeline.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "source/slot_watch.h"
#include "source/source.h"
#include "stream/input.h"

namespace walspout {

class SlotInput final : public Input {
 public:
  // Parameters as for Source. `observe` makes the observer, or returns null.
  SlotInput(const std::string& name, const SourceConfig& config, EventQueue& queue,
            const Wake& wake, std::optional<StateFile> state, SourceTiming timing,
            const std::function<StreamObserver*(const SourceStats&)>& observe)
      : slot_(config.slot),
        max_value_bytes_(config.max_value_bytes),
        max_depth_(config.max_depth),
        plain_numbers_(config.numbers == "json"),
        source_(name, config, queue, stats_, wake, std::move(state), timing, observe(stats_)),
        watch_(name, config, stats_) {}

  Result<void> run() override {
    watch_.start();
    Result<void> result = source_.run();
    watch_.stop();
    return result;
  }
  void stop(TimePoint drain_until) override { source_.stop(drain_until); }
  void renew() override { source_.renew(); }

  const InputStats& stats() const override { return stats_; }
  std::string_view waits_for() const override { return "the slot"; }
  std::vector<InputFigure> figures() const override;
  std::optional<SourceState> state() const override;

 private:
  const std::string slot_;
  const uint64_t max_value_bytes_;
  const uint64_t max_depth_;
  const bool plain_numbers_;
  SourceStats stats_;
  Source source_;
  SlotWatch watch_;
};

}  // namespace walspout
