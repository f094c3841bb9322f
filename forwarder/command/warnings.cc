#include "command/warnings.h"

#include <algorithm>

#include "sink/sinks.h"

namespace walspout {

std::vector<Warning> warnings_of(const PipelineConfig& pipeline) {
  std::vector<Warning> warnings;
  const std::vector<std::string>& omit = pipeline.source.omit;
  if (std::find(omit.begin(), omit.end(), "id") == omit.end()) return warnings;
  for (const SinkConfig& sink : pipeline.sinks) {
    if (!needs_id(sink)) continue;
    warnings.push_back({"sink \"" + sink.name +
                            "\": `omit` leaves out `id`, and nothing else names a single event "
                            "there: a reader cannot recognise an event that comes again",
                        "take id out of `omit`"});
  }
  return warnings;
}

}  // namespace walspout
