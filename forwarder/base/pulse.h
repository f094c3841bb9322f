// Shows other threads that a thread does not hang. Before anything that takes time, the thread says
// by when it will be back.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace walspout {

class Pulse {
 public:
  // Called by the thread itself.
  void set_return_time(TimePoint time) {
    back_by_.store(time.time_since_epoch().count(), std::memory_order_relaxed);
  }

  // The thread waits for something that may never happen, or has ended.
  void away() { set_return_time(TimePoint::max()); }

  // Whether the thread should have been back `grace` ago. Any thread may call it.
  bool is_late(TimePoint now, Duration grace) const {
    return TimePoint(Duration(back_by_.load(std::memory_order_relaxed))) < now - grace;
  }

 private:
  std::atomic<TimePoint::rep> back_by_{TimePoint::max().time_since_epoch().count()};
};

}  // namespace walspout
