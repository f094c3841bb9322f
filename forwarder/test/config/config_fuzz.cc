// libFuzzer: the input is a configuration file. Any content is loaded or yields an error, and
// loaded values are within their limits.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace walspout;
  const std::string text(reinterpret_cast<const char*>(data), size);
  // The loader would read these files, and some never end.
  if (text.find("file:") != std::string::npos) return 0;
  const LoadedConfig loaded = parse_config(text);
  for (const ConfigProblem& problem : loaded.problems) {
    if (problem.what.empty() || problem.line < 0 || problem.column < 0) std::abort();
  }
  if (describe("f", loaded).empty() != loaded.problems.empty()) std::abort();
  if (!loaded.problems.empty()) return 0;
  if (loaded.config.pipelines.empty()) std::abort();
  for (const PipelineConfig& pipeline : loaded.config.pipelines) {
    if (pipeline.name.empty() || pipeline.sinks.empty() || pipeline.source.slot.empty() ||
        pipeline.source.slot.size() > 63 || pipeline.memory < (1u << 20) ||
        pipeline.retry.max < pipeline.retry.initial) {
      std::abort();
    }
    for (const SinkConfig& sink : pipeline.sinks) {
      if (sink.name.empty() || sink.name.find('/') != std::string::npos) std::abort();
    }
  }
  return 0;
}
