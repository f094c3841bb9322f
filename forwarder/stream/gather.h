// How long events gather before the sinks are woken, in a pipeline with many sinks.
//
// Each event wakes each waiting sink. With many sinks and many small transactions, wake-ups would
// be most of the work. So once several events came close together, many sinks are woken at
// intervals only. Few sinks are woken at once for each event, and so are many sinks if events are
// far apart.
//
// Pure: callers pass the time.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

class Gather {
 public:
  explicit Gather(size_t sinks)
      : pause_(std::min<Duration>(kLongest, kEach * (sinks > kFew ? sinks - kFew : 0))) {}

  // Whether pause() can ever be more than zero.
  bool active() const { return pause_ > Duration::zero(); }

  void note_event(TimePoint now) {
    near_ = now - last_event_ <= pause_ ? std::min(near_ + 1, kNear) : 0;
    last_event_ = now;
  }

  // How long to wait before waking the sinks.
  Duration pause(TimePoint now) const {
    if (near_ < kNear) return Duration::zero();
    return std::max(Duration::zero(), last_wake_up_ + pause_ - now);
  }

  void note_wake_up(TimePoint now) { last_wake_up_ = now; }

 private:
  static constexpr size_t kFew = 4;
  static constexpr Duration kEach = std::chrono::microseconds(150);
  static constexpr Duration kLongest = std::chrono::milliseconds(10);
  static constexpr int kNear = 5;  // this many events close together count as a rate

  Duration pause_;
  TimePoint last_event_{};    // time of the last event
  TimePoint last_wake_up_{};  // when the sinks were last woken
  int near_ = 0;              // events in a row that were close together
};

}  // namespace walspout
