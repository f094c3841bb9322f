#include "stream/fence.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace walspout {

Fence::~Fence() {
  if (socket_ >= 0) ::close(socket_);
}

void Fence::close() {
  std::lock_guard lock(mutex_);
  state_ = State::kClosed;
  wanted_ = false;
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void Fence::open(int socket, Duration lease) {
  {
    std::lock_guard lock(mutex_);
    if (socket_ >= 0) ::close(socket_);
    socket_ = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    lease_ = Lease(lease);
    heard_ = boot_time().time_since_epoch().count();
    ticked_ = heard_.load();
    doubt_ = false;
    wanted_ = false;
    state_ = State::kOpen;
    ++term_;
  }
  changed_.notify_all();
}

bool Fence::tick() {
  const TimePoint now = boot_time();
  const TimePoint before{Duration(ticked_.exchange(now.time_since_epoch().count()))};
  if (!Lease::was_frozen(before, now)) return true;
  doubt_ = true;
  return false;
}

void Fence::heard(bool proof) {
  // If the process was frozen just now, the answer itself may be old.
  if (tick() && proof) doubt_ = false;
  // The connection may have ended after the data that was read.
  if (doubt_ || ended()) return;
  heard_ = boot_time().time_since_epoch().count();
  wanted_.store(false, std::memory_order_relaxed);
  if (!waiting_) return;
  std::unique_lock(mutex_).unlock();
  changed_.notify_all();
}

void Fence::give_up() {
  {
    std::lock_guard lock(mutex_);
    given_up_ = true;
  }
  changed_.notify_all();
}

// Whether the other side has closed the connection. Without a duplicate of the socket, only the
// lease protects.
bool Fence::ended() const {
  if (socket_ < 0) return false;
  pollfd fd{socket_, POLLRDHUP, 0};
  return ::poll(&fd, 1, 0) != 0;
}

bool Fence::passable() {
  bool ask = false;
  bool may = true;
  {
    std::lock_guard lock(mutex_);
    if (state_ == State::kNone) return true;
    if (state_ == State::kClosed) return false;
    tick();
    const TimePoint heard{Duration(heard_.load())};
    const TimePoint time = boot_time();
    const bool doubt = doubt_;
    if (!doubt && lease_.is_new(heard, time)) return true;
    ask = (doubt || lease_.is_to_renew(heard, time)) && !wanted_.exchange(true);
    if (doubt) {
      may = false;
    } else if (ended()) {
      ask = true;  // the source may not be reading
      may = false;
    } else {
      may = !lease_.is_over(heard, time);
    }
  }
  if (ask) wake_();
  return may;
}

bool Fence::is_closed() {
  std::lock_guard lock(mutex_);
  return state_ == State::kClosed;
}

bool Fence::wait(Duration patience) {
  // In case a call of heard() is missed.
  constexpr Duration kSlice = std::chrono::milliseconds(100);
  if (passable()) return true;
  const auto until = Clock::now() + patience;
  waiting_++;
  bool may = passable();
  while (!may && Clock::now() < until) {
    {
      std::unique_lock lock(mutex_);
      if (given_up_) break;
      changed_.wait_until(lock, std::min(until, Clock::now() + kSlice));
    }
    may = passable();
  }
  waiting_--;
  return may;
}

}  // namespace walspout
