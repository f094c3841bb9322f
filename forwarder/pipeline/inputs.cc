#include "pipeline/inputs.h"

#include <utility>

#include "source/input.h"
#include "source/kafka/input.h"

namespace walspout {

std::unique_ptr<Input> make_input(
    const PipelineConfig& config, EventQueue& queue, const Wake& wake,
    std::function<Result<void>(const Event& event, const Error& reason)> set_aside,
    std::unique_ptr<Backfill>& backfill) {
  if (config.source.kafka) {
    return std::make_unique<KafkaInput>(config.name, *config.source.kafka, queue, wake,
                                        config.retry, std::move(set_aside));
  }
  std::optional<StateFile> state;
  if (!config.state.empty()) state.emplace(config.state, config.name);
  SourceTiming timing;
  timing.reconnect = config.retry;
  return std::make_unique<SlotInput>(config.name, config.source, queue, wake, std::move(state),
                                     timing, [&](const SourceStats& stats) {
                                       backfill = std::make_unique<Backfill>(
                                           config.name, config.source, config.state, queue, stats);
                                       return backfill.get();
                                     });
}

}  // namespace walspout
