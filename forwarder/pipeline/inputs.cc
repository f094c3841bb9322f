#include "pipeline/inputs.h"

#include "source/input.h"

namespace walspout {

std::unique_ptr<Input> make_input(const PipelineConfig& config, EventQueue& queue,
                                  const Wake& wake) {
  std::optional<StateFile> state;
  if (!config.state.empty()) state.emplace(config.state, config.name);
  SourceTiming timing;
  timing.reconnect = config.retry;
  return std::make_unique<SlotInput>(config.name, config.source, queue, wake, std::move(state),
                                     timing);
}

}  // namespace walspout
