// How long to let messages gather before they are read.
//
// The server sends each small transaction as a message of its own. A reader of each as it comes
// pays for a wake-up, a read and a hand-over each time; where tens of thousands a second come, that
// is more than the work itself, and it is taken from the server on the same machine. So at such
// rates, and only then, the reader looks away for a moment, and takes what has come in one go.
//
// Pure: it is told what time it is. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

struct PaceConfig {
  Duration busy = std::chrono::microseconds(30);  // messages come closer together than this
  Duration nap = std::chrono::microseconds(200);
};

class Pace {
 public:
  explicit Pace(PaceConfig config = {}) : config_(config) {}

  // All that had come was read: `messages` of them. Says how long to wait before reading on.
  Duration read(size_t messages, TimePoint now) {
    if (messages == 0) return Duration::zero();
    auto number = static_cast<Duration::rep>(messages);
    Duration apart = std::min<Duration>(now - last_, kIdle) / number;
    last_ = now;
    // A mean over the last kMemory messages or so: one burst is no rate.
    apart_ += (apart - apart_) * std::min(number, kMemory) / kMemory;
    return apart_ < config_.busy ? config_.nap : Duration::zero();
  }

 private:
  static constexpr Duration kIdle = std::chrono::milliseconds(1);
  static constexpr Duration::rep kMemory = 64;

  PaceConfig config_;
  TimePoint last_{};
  Duration apart_ = kIdle;  // between messages
};

}  // namespace walspout
