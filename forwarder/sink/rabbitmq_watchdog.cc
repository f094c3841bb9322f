#include "sink/rabbitmq_watchdog.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace walspout {

RabbitmqWatchdog::RabbitmqWatchdog() : thread_([this] { run(); }) {}

RabbitmqWatchdog::~RabbitmqWatchdog() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_one();
  thread_.join();
  if (fd_ >= 0) close(fd_);
}

void RabbitmqWatchdog::watch(int fd) {
  const std::lock_guard lock(mutex_);
  if (fd_ >= 0) close(fd_);
  fd_ = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void RabbitmqWatchdog::arm(TimePoint deadline) {
  const std::lock_guard lock(mutex_);
  deadline_ = deadline;
  // A deadline that is later than the one slept for is noticed when that one is over.
  if (deadline < sleeping_until_) changed_.notify_one();
}

void RabbitmqWatchdog::run() {
  std::unique_lock lock(mutex_);
  while (!done_) {
    if (Clock::now() >= deadline_) {
      if (fd_ >= 0) shutdown(fd_, SHUT_RDWR);
      deadline_ = TimePoint::max();
    }
    sleeping_until_ = deadline_;
    if (deadline_ == TimePoint::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, deadline_);
    }
  }
}

}  // namespace walspout
