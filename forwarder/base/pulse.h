// How others see that a thread does not hang: before it does something that takes time it says by
// when it will be back at the latest.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace walspout {

class Pulse {
 public:
  // By the thread itself.
  void back_by(TimePoint time) {
    back_by_.store(time.time_since_epoch().count(), std::memory_order_relaxed);
  }

  // It waits for something that may take for ever, or has ended.
  void away() { back_by(TimePoint::max()); }

  // Whether it should have been back `grace` ago. From any thread.
  bool is_late(TimePoint now, Duration grace) const {
    return TimePoint(Duration(back_by_.load(std::memory_order_relaxed))) < now - grace;
  }

 private:
  std::atomic<TimePoint::rep> back_by_{TimePoint::max().time_since_epoch().count()};
};

}  // namespace walspout
