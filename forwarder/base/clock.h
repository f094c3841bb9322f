// Time as values: whoever decides by time is told what time it is, and tests tell it what they
// like.
#pragma once

#include <chrono>
#include <cstdint>

namespace walspout {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;
using Milliseconds = std::chrono::milliseconds;

// Microseconds since 1970, for what is compared with the server's times.
inline int64_t wall_micros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace walspout
