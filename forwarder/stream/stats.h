// The statistics of a pipeline: written by its threads, read by the status server.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "base/pulse.h"

namespace walspout {

// Counts durations in buckets with the upper bounds 1, 2.5 and 5, from 100 microseconds to 5000
// seconds.
class LatencyHistogram {
 public:
  static constexpr size_t kBounds = 24;
  static constexpr size_t kBuckets = kBounds + 1;  // the last one: all longer times

  void add(int64_t micros, uint64_t events) {
    uint64_t value = micros > 0 ? static_cast<uint64_t>(micros) : 0;
    const auto bound = std::lower_bound(kBoundMicros.begin(), kBoundMicros.end(), value);
    const auto bucket = static_cast<size_t>(bound - kBoundMicros.begin());
    counts_[bucket].fetch_add(events, std::memory_order_relaxed);
    sum_.fetch_add(value * events, std::memory_order_relaxed);
  }

  uint64_t count(size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  uint64_t sum_micros() const { return sum_.load(std::memory_order_relaxed); }
  // The upper bound of a bucket, except the last one.
  static double bound_seconds(size_t bucket) {
    return static_cast<double>(kBoundMicros[bucket]) / 1e6;
  }

 private:
  static constexpr std::array<uint64_t, kBounds> kBoundMicros = [] {
    std::array<uint64_t, kBounds> bounds{};
    uint64_t unit = 100;
    for (size_t i = 0; i < kBounds; i += 3, unit *= 10) {
      bounds[i] = unit;
      bounds[i + 1] = unit * 5 / 2;
      bounds[i + 2] = unit * 5;
    }
    return bounds;
  }();

  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
  std::atomic<uint64_t> sum_{0};
};

// A value that one thread sets and others read.
template <typename T>
class Shared {
 public:
  void set(T value) {
    std::lock_guard lock(mutex_);
    value_ = std::move(value);
  }
  T get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

using SharedText = Shared<std::string>;

// kParked: an operator has to fix something; the sink retries at intervals. kHeld: an operator has
// paused deliveries.
enum class SinkState : int { kConnecting, kDelivering, kRetrying, kParked, kHeld, kStopped };

struct SinkStats {
  std::atomic<uint64_t> events{0};  // durable at the receiver.
  std::atomic<uint64_t> bytes{0};   // of their documents.
  std::atomic<uint64_t> batches{0};
  std::atomic<uint64_t> retries{0};
  std::atomic<uint64_t> rejects{0};
  std::atomic<uint64_t> dead_letters{0};
  std::atomic<uint64_t> dropped{0};   // not wanted by the configuration.
  std::atomic<uint64_t> missing{0};   // rows to change that the receiver lacked.
  std::atomic<uint64_t> losses{0};    // times that the receiver lost confirmed events.
  std::atomic<uint64_t> failures{0};  // attempts since the last success.
  std::atomic<SinkState> state{SinkState::kConnecting};
  std::atomic<int64_t> progress_at{0};  // wall clock, microseconds: last event done with
  std::atomic<int64_t> taken_at{0};     // likewise: last batch begun
  LatencyHistogram latency;             // from the commit until durable
  Pulse pulse;
  SharedText last_error;
  SharedText last_loss;
};

enum class SourcePhase : int { kConnecting, kWaiting, kStreaming, kStopped };

// The statistics of every kind of input.
struct InputStats {
  std::atomic<SourcePhase> state{SourcePhase::kConnecting};
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> events{0};
  std::atomic<uint64_t> pauses{0};  // times that the queue was full
  // Commit time of the last received event: wall clock, microseconds; 0: unknown.
  std::atomic<int64_t> last_commit_at{0};
  Pulse pulse;
  SharedText last_error;
};

}  // namespace walspout
