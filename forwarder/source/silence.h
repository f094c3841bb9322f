// When a server that says nothing is asked whether it is still there, and when it is given up.
//
// TCP notices a machine that is gone (keepalives, tcp_user_timeout); a proxy or a tunnel that has
// lost its other side answers for it, and a server that hangs has a kernel that does not. An idle
// server is silent, too: so it is asked, by a status update that wants a reply, after half of the
// time that it would wait for us (wal_sender_timeout), and given up when it has not replied within
// all of that. A server that was given up gets twice as long the next time, until it has sent data:
// a server that is at work on a very large transaction is not to begin it again for ever.
//
// Pure: it is told what time it is. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

class Silence {
 public:
  // 0: the server waits for ever; that is too long for us.
  void server_timeout(Duration timeout) {
    patience_ = timeout > Duration::zero() ? timeout : kDefault;
  }

  // The server was heard, or was not listened to: nothing can be said of the time before.
  void broken(TimePoint now) {
    since_ = now;
    asked_ = false;
  }

  // What was heard was more than a sign of life.
  void progress() { factor_ = 1; }

  bool should_ask(TimePoint now) const { return !asked_ && now >= since_ + patience_ / 2; }

  void asked(TimePoint now) {
    asked_ = true;
    asked_at_ = now;
  }

  // Whether the server is to be given up.
  bool is_over(TimePoint now) const { return asked_ && now >= asked_at_ + patience(); }

  void given_up() { factor_ = std::min(factor_ * 2, kMostFactor); }

  // When to look again.
  TimePoint next() const { return asked_ ? asked_at_ + patience() : since_ + patience_ / 2; }

  TimePoint since() const { return since_; }

 private:
  static constexpr Duration kDefault = std::chrono::seconds(60);
  static constexpr int kMostFactor = 64;

  Duration patience() const { return patience_ * factor_; }

  Duration patience_ = kDefault;
  int factor_ = 1;
  TimePoint since_;
  TimePoint asked_at_;
  bool asked_ = false;
};

}  // namespace walspout
