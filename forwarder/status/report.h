// What the status server says, as text. Each request reads the counters of the pipelines again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace walspout {

class Pipeline;

struct Readiness {
  bool ready = true;
  std::string why;  // what is not, one line each
};

// A pipeline is ready while it streams and its sinks take events; one that has work and makes no
// progress is not. `now` is wall clock, in microseconds.
// `missing`: pipelines that could not be started, and why.
Readiness readiness(const std::vector<const Pipeline*>& pipelines, int64_t now,
                    const std::map<std::string, std::string>& missing = {});

// Age of the oldest event that a sink is not done with. `now` as above.
double lag_seconds(const Pipeline& pipeline, int64_t now);

// In bytes of WAL, or in messages of Kafka; nothing: not known.
std::optional<double> lag_of(const Pipeline& pipeline);

// `control`: whether sinks can be controlled through this server.
std::string status_json(const std::vector<const Pipeline*>& pipelines, int64_t now, bool control,
                        const std::map<std::string, std::string>& missing);

// In Prometheus' text format.
std::string metrics_text(const std::vector<const Pipeline*>& pipelines, int64_t now);

}  // namespace walspout
