// Whether the server waits for nothing but our confirmation, so as to end.
//
// A server that is told to stop sends all that there is. Then it asks for a reply, and at each
// reply that does not confirm everything it asks again, at once and for ever. As long as a sink is
// down we cannot confirm, and the server cannot stop. At any other time a server asks only when it
// has not heard of us for half of wal_sender_timeout. So requests that follow our replies quickly,
// several times, are a sign of this and of nothing else: a request that crossed a reply of ours on
// the way can look like this, but not again within half of that timeout.
//
// Requests that come so quickly are answered at a slower pace, so that neither side burns its CPU.
//
// Pure: it is told what time it is. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

class StopSigns {
 public:
  // How long the server waits for us (wal_sender_timeout; 0: for ever).
  void server_timeout(Duration timeout) {
    quick_ = timeout > Duration::zero() ? std::min<Duration>(timeout / 4, kQuick) : kQuick;
    pace_ = std::min<Duration>(kPace, quick_ / 2);
  }

  // A new connection, or the server has sent something else: it is not waiting for us.
  void none() {
    quick_requests_ = 0;
    answered_ = false;
  }

  // The server wants a reply.
  void requested(TimePoint now) {
    if (!answered_) return;  // of several requests in a row the first counts
    answered_ = false;
    if (now - answered_at_ > quick_) {
      quick_requests_ = 0;
    } else if (quick_requests_++ == 0) {
      since_ = now;
    }
  }

  // It was sent one.
  void answered(TimePoint now) {
    if (answered_) return;  // the first one is what it may have answered with a request
    answered_ = true;
    answered_at_ = now;
  }

  // When a request may be answered.
  TimePoint answer_at() const { return quick_requests_ ? answered_at_ + pace_ : TimePoint{}; }

  bool are_clear(TimePoint now) const {
    return quick_requests_ >= kRequests && now - since_ >= kTime;
  }

 private:
  static constexpr Duration kQuick = std::chrono::seconds(1);
  static constexpr Duration kPace = std::chrono::milliseconds(100);
  // Sinks that are about to be done may be, and then the server ends in its own way.
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
