// The texts of the status server. Each request reads the pipelines' counters again.
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
  std::string why;  // what is not ready, one line each
};

// A pipeline is ready while it streams and its sinks take events. A sink with work and no progress
// makes it not ready. `now`: wall clock, microseconds. `missing`: pipelines that could not be
// started, and why.
Readiness readiness(const std::vector<const Pipeline*>& pipelines, int64_t now,
                    const std::map<std::string, std::string>& missing = {});

// Seconds since the oldest event that a sink is not done with. `now` as above.
double lag_seconds(const Pipeline& pipeline, int64_t now);

// In bytes of WAL or in Kafka messages; nothing: unknown.
std::optional<double> lag_of(const Pipeline& pipeline);

// `control`: whether sinks can be controlled through this server.
std::string status_json(const std::vector<const Pipeline*>& pipelines, int64_t now, bool control,
                        const std::map<std::string, std::string>& missing);

// In Prometheus' text format.
std::string metrics_text(const std::vector<const Pipeline*>& pipelines, int64_t now);

}  // namespace walspout
