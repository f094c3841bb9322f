// Time as values: code that decides by time gets the time as an argument, so tests can pass any.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>

namespace walspout {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;
using Milliseconds = std::chrono::milliseconds;

// Like Clock, but includes the time while the machine is suspended.
inline TimePoint boot_time() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

// Microseconds since 1970, to compare with the server's times.
inline int64_t wall_micros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace walspout
