// What a pipeline counts and says of itself: written by its threads, read by the status server.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/pulse.h"

namespace walspout {

// Counts durations in buckets whose upper bounds are powers of two microseconds.
class LatencyHistogram {
 public:
  static constexpr size_t kBuckets = 32;  // bucket i: below 2^i us; the last one: all others

  void add(int64_t micros, uint64_t events) {
    uint64_t value = micros > 0 ? static_cast<uint64_t>(micros) : 0;
    size_t bucket = std::min<size_t>(std::bit_width(value), kBuckets - 1);
    counts_[bucket].fetch_add(events, std::memory_order_relaxed);
    sum_.fetch_add(value * events, std::memory_order_relaxed);
  }

  uint64_t count(size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  uint64_t sum_micros() const { return sum_.load(std::memory_order_relaxed); }
  static double bound_seconds(size_t bucket) {
    return static_cast<double>(uint64_t{1} << bucket) / 1e6;
  }

 private:
  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
  std::atomic<uint64_t> sum_{0};
};

// Text that one thread sets and others read.
class SharedText {
 public:
  void set(std::string text) {
    std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  std::string get() const {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

// kParked: an operator has to change something; the sink tries again from time to time.
enum class SinkState : int { kConnecting, kDelivering, kRetrying, kParked, kStopped };

struct SinkStats {
  std::atomic<uint64_t> events{0};  // durable at the receiver
  std::atomic<uint64_t> bytes{0};   // of their documents
  std::atomic<uint64_t> batches{0};
  std::atomic<uint64_t> retries{0};
  std::atomic<uint64_t> rejects{0};
  std::atomic<uint64_t> dead_letters{0};
  std::atomic<uint64_t> dropped{0};   // not wanted, or mapped nowhere, by configuration
  std::atomic<uint64_t> missing{0};   // rows that events were to change, and the receiver lacked
  std::atomic<uint64_t> losses{0};    // times that the receiver had lost what it had confirmed
  std::atomic<uint64_t> failures{0};  // attempts since the last success
  std::atomic<SinkState> state{SinkState::kConnecting};
  std::atomic<int64_t> progress_at{0};  // wall clock, microseconds: last event done with
  std::atomic<int64_t> taken_at{0};     // likewise: last batch begun
  LatencyHistogram latency;             // from the commit until durable
  Pulse pulse;
  SharedText last_error;
  SharedText last_loss;
};

enum class SourcePhase : int { kConnecting, kWaiting, kStreaming, kStopped };

// Of an input, as far as every kind of input has it.
struct InputStats {
  std::atomic<SourcePhase> state{SourcePhase::kConnecting};
  std::atomic<uint64_t> connects{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> events{0};
  std::atomic<uint64_t> pauses{0};  // times that the queue was full
  Pulse pulse;
  SharedText last_error;
};

}  // namespace walspout
