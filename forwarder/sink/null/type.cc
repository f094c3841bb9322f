#include "sink/null/null.h"
#include "sink/types.h"

namespace walspout {

SinkType null_type() {
  return sink_type<NullConfig>(
      "null", "Counts the event and discards it", KeyTable<NullConfig>(),
      [](const NullConfig& config) { return std::make_unique<NullSink>(config); });
}

}  // namespace walspout
