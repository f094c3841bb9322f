// What the status server says, as text: made anew for each request from the counters of the
// pipelines.
#pragma once

#include <cstdint>
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
Readiness readiness(const std::vector<const Pipeline*>& pipelines, int64_t now);

std::string status_json(const std::vector<const Pipeline*>& pipelines, int64_t now);

// In Prometheus' text format.
std::string metrics_text(const std::vector<const Pipeline*>& pipelines, int64_t now);

}  // namespace walspout
