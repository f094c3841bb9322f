// Detects a stopping server that only waits for our confirmation.
//
// A stopping server sends all remaining WAL, and then requests a reply. After each reply that does
// not confirm everything, it requests another at once, for ever. While a sink is down we cannot
// confirm, so the server cannot stop. Otherwise a server requests a reply only after half of
// wal_sender_timeout without one. So several requests right after our replies mean that the server
// is stopping. A request that crossed one of our replies can look the same, but only once in half
// of that timeout.
//
// Such quick requests are answered at a slower pace, so that neither side burns CPU.
//
// Pure: callers pass the time. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

class StopSigns {
 public:
  // The server's wal_sender_timeout; 0: no limit.
  void server_timeout(Duration timeout) {
    quick_ = timeout > Duration::zero() ? std::min<Duration>(timeout / 4, kQuick) : kQuick;
    pace_ = std::min<Duration>(kPace, quick_ / 2);
  }

  // A new connection, or the server sent something else: it does not wait for us.
  void none() {
    quick_requests_ = 0;
    answered_ = false;
  }

  // The server requests a reply.
  void requested(TimePoint now) {
    if (!answered_) return;  // only the first of several requests in a row counts
    answered_ = false;
    if (now - answered_at_ > quick_) {
      quick_requests_ = 0;
    } else if (quick_requests_++ == 0) {
      since_ = now;
    }
  }

  // A reply was sent.
  void answered(TimePoint now) {
    if (answered_) return;  // the server's next request may answer the first reply
    answered_ = true;
    answered_at_ = now;
  }

  // The earliest time to answer a request.
  TimePoint answer_at() const { return quick_requests_ ? answered_at_ + pace_ : TimePoint{}; }

  bool are_clear(TimePoint now) const {
    return quick_requests_ >= kRequests && now - since_ >= kTime;
  }

 private:
  static constexpr Duration kQuick = std::chrono::seconds(1);
  static constexpr Duration kPace = std::chrono::milliseconds(100);
  // Time for sinks that are almost done: then the server stops normally.
  static constexpr Duration kTime = std::chrono::milliseconds(500);
  static constexpr int kRequests = 3;

  Duration quick_ = kQuick;
  Duration pace_ = kPace;
  int quick_requests_ = 0;
  bool answered_ = false;
  TimePoint answered_at_;
  TimePoint since_;
};

}  // namespace walspout
