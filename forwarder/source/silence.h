// When to ask a silent server for a reply, and when to give up the connection.
//
// TCP detects a lost machine (keepalives, tcp_user_timeout). It does not detect a server that
// hangs, or one behind a proxy or tunnel that still answers. An idle server is silent too. So after
// half of wal_sender_timeout we send a status update that requests a reply. Without a reply within
// all of that timeout, we give up the connection. Each time we give up, the next wait doubles until
// the server sends data. Otherwise a very large transaction could start again for ever.
//
// Pure: callers pass the time. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace walspout {

class Silence {
 public:
  // 0: the server has no limit; then kDefault applies.
  void server_timeout(Duration timeout) {
    patience_ = timeout > Duration::zero() ? timeout : kDefault;
  }

  // The server sent something, or we did not read: the silence starts again.
  void broken(TimePoint now) {
    since_ = now;
    asked_ = false;
  }

  // The server sent data, not only a sign of life.
  void progress() { factor_ = 1; }

  bool should_ask(TimePoint now) const { return !asked_ && now >= since_ + patience_ / 2; }

  void asked(TimePoint now) {
    asked_ = true;
    asked_at_ = now;
  }

  // Whether to give up the connection.
  bool is_over(TimePoint now) const { return asked_ && now >= asked_at_ + patience(); }

  void given_up() { factor_ = std::min(factor_ * 2, kMostFactor); }

  // When to check again.
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
