#include "sink/stdout/stdout.h"
#include "sink/types.h"

namespace walspout {

SinkType stdout_type() {
  SinkType type = sink_type<StdoutConfig>(
      "stdout", "Writes a line to standard output", KeyTable<StdoutConfig>(),
      [](const StdoutConfig& config) { return std::make_unique<StdoutSink>(config); });
  type.capabilities = {
      .becomes = "a line", .delivered = "it is written", .repeated = "known by its `id`"};
  type.needs_id = [](const std::any&) { return true; };
  return type;
}

}  // namespace walspout
