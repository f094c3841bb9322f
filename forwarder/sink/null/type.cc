#include "sink/null/null.h"
#include "sink/types.h"

namespace walspout {

SinkType null_type() {
  SinkType type = sink_type<NullConfig>(
      "null", "Counts the event and discards it", KeyTable<NullConfig>(),
      [](const NullConfig& config) { return std::make_unique<NullSink>(config); });
  type.capabilities = {.becomes = "a number", .delivered = "at once", .repeated = "counted again"};
  return type;
}

}  // namespace walspout
