// Ends a connection that is stuck.
//
// rabbitmq-c waits without limit when it publishes and the broker does not read, which is just what
// a broker short of memory does. A thread that sleeps until the deadline shuts the socket down
// under it: the library sees a broken connection and returns.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace walspout {

class RabbitmqWatchdog {
 public:
  RabbitmqWatchdog();
  ~RabbitmqWatchdog();
  RabbitmqWatchdog(const RabbitmqWatchdog&) = delete;
  RabbitmqWatchdog& operator=(const RabbitmqWatchdog&) = delete;

  // From now on this socket, or none (-1). The caller may close its descriptor at any time.
  void watch(int fd);

  // While one exists, the socket is shut down at the deadline.
  class Guard {
   public:
    Guard(RabbitmqWatchdog& watchdog, TimePoint deadline) : watchdog_(watchdog) {
      watchdog_.arm(deadline);
    }
    ~Guard() { watchdog_.arm(TimePoint::max()); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    RabbitmqWatchdog& watchdog_;
  };

 private:
  void arm(TimePoint deadline);
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  TimePoint deadline_ = TimePoint::max();
  TimePoint sleeping_until_ = TimePoint::max();
  int fd_ = -1;  // ours: a duplicate, so that its number cannot come to mean another socket
  bool done_ = false;
  std::thread thread_;
};

}  // namespace walspout
