// How long to wait before the next attempt: exponential, capped, with full jitter.
//
// Each endpoint has its own. Full jitter (from 0 to the cap of this attempt) spreads the clients of
// a server that is back the fastest. The first wait after a success is at most `initial`.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace walspout {

struct BackoffConfig {
  std::chrono::milliseconds initial{100};
  std::chrono::milliseconds max{30'000};
};

class Backoff {
 public:
  explicit Backoff(BackoffConfig config, uint64_t seed = std::random_device{}())
      : config_(config), random_(seed) {}

  // The time to wait before the next attempt; each call counts as a failed attempt.
  std::chrono::milliseconds next() {
    std::uniform_int_distribution<int64_t> any(0, std::max<int64_t>(0, cap().count()));
    attempts_++;
    return std::chrono::milliseconds(any(random_));
  }

  // Call it after a success.
  void reset() { attempts_ = 0; }

  // Failed attempts since the last success.
  uint64_t attempts() const { return attempts_; }

 private:
  std::chrono::milliseconds cap() const {
    if (attempts_ >= 32) return config_.max;
    int64_t most = config_.max.count();
    int64_t initial = std::max<int64_t>(1, config_.initial.count());
    if (initial >= most || initial > (most >> attempts_)) return config_.max;
    return std::chrono::milliseconds(initial << attempts_);
  }

  BackoffConfig config_;
  std::mt19937_64 random_;
  uint64_t attempts_ = 0;
};

}  // namespace walspout
