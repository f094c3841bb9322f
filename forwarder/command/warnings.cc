#include "command/warnings.h"

#include <algorithm>

#include "sink/sinks.h"

namespace walspout {

std::vector<Warning> warnings_of(const PipelineConfig& pipeline) {
  std::vector<Warning> warnings;
  const SourceConfig& source = pipeline.source;
  const bool has_id = source.has_envelope() || source.dialect == "cloudevents";
  const bool omits_id =
      std::find(source.omit.begin(), source.omit.end(), "id") != source.omit.end();
  if (has_id && !omits_id) return warnings;
  for (const SinkConfig& sink : pipeline.sinks) {
    if (!needs_id(sink)) continue;
    const std::string why =
        has_id ? "`omit` leaves out `id`" : "dialect \"" + source.dialect + "\" has no `id`";
    warnings.push_back(
        {"sink \"" + sink.name + "\": " + why +
             ", and nothing else names a single event there: a reader cannot "
             "recognise an event that comes again",
         has_id ? "take id out of `omit`" : "choose a sink with headers, or another dialect"});
  }
  return warnings;
}

}  // namespace walspout
