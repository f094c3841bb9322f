// Samples of the last 15 minutes, for the charts of the status page. Kept in memory only.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "stream/stats.h"

namespace walspout {

class Pipeline;
class Pipelines;

// A quantile estimated from the buckets, in seconds; `part`: 0 to 1. 0: nothing was counted.
double quantile(const std::array<uint64_t, LatencyHistogram::kBuckets>& counts, double part);

class History {
 public:
  // `pipelines` outlives this object. A separate thread takes samples of the pipelines of the
  // moment.
  explicit History(const Pipelines& pipelines, Duration interval = std::chrono::seconds(5),
                   size_t samples = 180);
  ~History();
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // {"interval":5,"pipelines":[{"name":…,"lag_seconds":[…],"lag":[…],"events":[…],
  // "sinks":[{"name":…,"events":[…],"p50":[…],"p99":[…]}]}]}. The newest value is the last one.
  // `lag` is in bytes, or in messages of Kafka. Events are per second, quantiles in seconds, both
  // of one interval; null: there were none.
  std::string json() const;

 private:
  using Counts = std::array<uint64_t, LatencyHistogram::kBuckets>;
  struct SinkSeries {
    uint64_t events_before = 0;
    Counts counts_before{};
    std::deque<double> events;
    std::deque<double> p50;
    std::deque<double> p99;
  };
  struct Series {
    uint64_t events_before = 0;
    std::deque<double> lag_seconds;
    std::deque<double> lag;
    std::deque<double> events;
    std::map<std::string, SinkSeries> sinks;  // by name
  };

  void run();
  void sample();
  void sample(const Pipeline& pipeline, Series& series, double seconds);
  void keep(std::deque<double>& values, double value) const;

  const Pipelines& pipelines_;
  const Duration interval_;
  const size_t samples_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  TimePoint sampled_at_;
  std::map<std::string, Series> series_;  // by the name of the pipeline
  std::thread thread_;
};

}  // namespace walspout
