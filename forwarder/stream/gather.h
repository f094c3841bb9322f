// How long events gather before the sinks of a pipeline hear of them, where it has many sinks.
//
// Each event wakes each sink that waits. With many sinks and many small transactions, that is most
// of what the forwarder does. So the sinks of a large pipeline hear of events at intervals, once
// several events came close together. Few sinks always hear of each event at once, and so does any
// number of sinks where events are far apart.
//
// Pure: it is told what time it is.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

class Gather {
 public:
  explicit Gather(size_t sinks)
      : pause_(std::min<Duration>(kLongest, kEach * (sinks > kFew ? sinks - kFew : 0))) {}

  // Whether it ever asks for a pause.
  bool active() const { return pause_ > Duration::zero(); }

  void came(TimePoint now) {
    near_ = now - came_ <= pause_ ? std::min(near_ + 1, kNear) : 0;
    came_ = now;
  }

  // How long the sinks are not to hear of what came.
  Duration pause(TimePoint now) const {
    if (near_ < kNear) return Duration::zero();
    return std::max(Duration::zero(), told_ + pause_ - now);
  }

  void told(TimePoint now) { told_ = now; }

 private:
  static constexpr size_t kFew = 4;
  static constexpr Duration kEach = std::chrono::microseconds(150);
  static constexpr Duration kLongest = std::chrono::milliseconds(10);
  static constexpr int kNear = 5;  // events close together that make a rate

  Duration pause_;
  TimePoint came_{};  // the last event
  TimePoint told_{};  // when the sinks heard of events last
  int near_ = 0;      // events in a row that came close together
};

}  // namespace walspout
