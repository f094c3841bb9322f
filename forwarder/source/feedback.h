// When to send the server a status update: at once when it asks, soon after the confirmed position
// has moved, and now and then in any case, so that it does not take us for dead.
//
// Pure: it is told what time it is. Owned by the source's thread.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "base/lsn.h"

namespace walspout {

struct FeedbackConfig {
  Duration moved = std::chrono::seconds(1);        // at most one in this time because of progress
  Duration silence = std::chrono::seconds(10);     // at least one in this time
  Duration look = std::chrono::milliseconds(100);  // how often to look how far the sinks are
};

class Feedback {
 public:
  Feedback(FeedbackConfig config, TimePoint now) : config_(config), sent_at_(now) {}

  // How long the server waits for us (wal_sender_timeout; 0: for ever) bounds our silence. A third:
  // one update may be late.
  void server_timeout(Duration timeout) {
    if (timeout > Duration::zero()) config_.silence = std::min(config_.silence, timeout / 3);
    config_.moved = std::min(config_.moved, config_.silence);
  }

  // The server asks for an update. It is not sent before `at` because of that.
  void request(TimePoint at = {}) {
    requested_ = true;
    requested_for_ = at;
  }

  // When the next update is due, if `confirmed` is what it would say.
  TimePoint due(Lsn confirmed) const {
    const TimePoint at = sent_at_ + (confirmed > sent_ ? config_.moved : config_.silence);
    return requested_ ? std::min(at, std::max(sent_at_, requested_for_)) : at;
  }

  // Until when to wait if nothing arrives. Sinks do not say that they have moved, so while
  // something is in flight they are looked at now and then; one that does not move costs next to
  // nothing.
  TimePoint wait_until(Lsn confirmed, bool in_flight, TimePoint now) const {
    TimePoint at = due(confirmed);
    return in_flight ? std::min(at, now + config_.look) : at;
  }

  void sent(Lsn confirmed, TimePoint now) {
    requested_ = false;
    sent_ = confirmed;
    sent_at_ = now;
  }

  // Another history of the log: nothing has been told yet.
  void forget() { sent_ = Lsn{}; }

  // The position that the server was last told.
  Lsn told() const { return sent_; }

 private:
  FeedbackConfig config_;
  TimePoint sent_at_;
  Lsn sent_;
  bool requested_ = false;
  TimePoint requested_for_;
};

}  // namespace walspout
