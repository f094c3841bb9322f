// When to send the server a status update: at once when it asks, soon after the confirmed position
// moves, and at regular intervals. The intervals keep the server from ending the connection.
//
// Pure: callers pass the time. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "base/lsn.h"

namespace walspout {

struct FeedbackConfig {
  Duration moved = std::chrono::seconds(1);  // at most one update in this time because of progress
  Duration silence = std::chrono::seconds(10);     // at least one update in this time
  Duration look = std::chrono::milliseconds(100);  // how often to check the sinks' progress
};

class Feedback {
 public:
  Feedback(FeedbackConfig config, TimePoint now) : config_(config), sent_at_(now) {}

  // The server's patience (wal_sender_timeout; 0: no limit) bounds our silence. We use a third, so
  // that one update may be late.
  void server_timeout(Duration timeout) {
    if (timeout > Duration::zero()) config_.silence = std::min(config_.silence, timeout / 3);
    config_.moved = std::min(config_.moved, config_.silence);
  }

  // The server asks for an update. This request is answered no earlier than `at`.
  void request(TimePoint at = {}) {
    requested_ = true;
    requested_for_ = at;
  }

  // When the next update is due, if it would report `confirmed`.
  TimePoint due(Lsn confirmed) const {
    const TimePoint at = sent_at_ + (confirmed > sent_ ? config_.moved : config_.silence);
    return requested_ ? std::min(at, std::max(sent_at_, requested_for_)) : at;
  }

  // How long to wait if nothing arrives. Sinks do not report progress, so they are polled while
  // something is in flight. A poll costs next to nothing.
  TimePoint wait_until(Lsn confirmed, bool in_flight, TimePoint now) const {
    TimePoint at = due(confirmed);
    return in_flight ? std::min(at, now + config_.look) : at;
  }

  void sent(Lsn confirmed, TimePoint now) {
    requested_ = false;
    sent_ = confirmed;
    sent_at_ = now;
  }

  // Another history of the WAL: nothing has been reported yet.
  void forget() { sent_ = Lsn{}; }

  // The position last reported to the server.
  Lsn reported() const { return sent_; }

 private:
  FeedbackConfig config_;
  TimePoint sent_at_;
  Lsn sent_;
  bool requested_ = false;
  TimePoint requested_for_;
};

}  // namespace walspout
