// How long to let messages gather before they are read.
//
// The server sends each small transaction as a message of its own. A reader that takes each message
// at once pays for a wake-up, a read and a hand-over each time. At tens of thousands a second that
// costs more than the work itself, and takes CPU from a server on the same machine. So only at such
// rates the reader sleeps for a moment, and then reads all messages at once.
//
// Pure: callers pass the time. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

struct PaceConfig {
  Duration busy = std::chrono::microseconds(30);  // when messages are closer together than this
  Duration nap = std::chrono::microseconds(500);
};

class Pace {
 public:
  explicit Pace(PaceConfig config = {}) : config_(config) {}

  // All available messages were read: `messages` of them. Returns how long to wait before the next
  // read.
  Duration read(size_t messages, TimePoint now) {
    if (messages == 0) return Duration::zero();
    auto number = static_cast<Duration::rep>(messages);
    Duration apart = std::min<Duration>(now - last_, kIdle) / number;
    last_ = now;
    // A mean over about kMemory messages, so that one burst does not count as a rate.
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
