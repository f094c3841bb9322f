#include "source/ack.h"

#include <algorithm>

namespace walspout {

void AckTracker::commit(Lsn end_lsn) {
  open_ = false;
  mark(end_lsn);
}

void AckTracker::keepalive(Lsn sent_lsn) {
  if (!open_) mark(sent_lsn);
}

void AckTracker::handled(uint64_t events) {
  handled_ = std::max(handled_, std::min(events, received_));
  advance();
}

void AckTracker::mark(Lsn lsn) {
  // After a reconnect the server may repeat transactions that were received before.
  if (lsn <= received_end_) lsn = received_end_;
  received_end_ = lsn;
  if (lsn <= confirmed_) return;
  if (!marks_.empty() && marks_.back().events == received_) {
    marks_.back().lsn = lsn;
  } else {
    marks_.push_back({received_, lsn});
  }
  advance();
}

void AckTracker::advance() {
  while (!marks_.empty() && marks_.front().events <= handled_) {
    confirmed_ = std::max(confirmed_, marks_.front().lsn);
    marks_.pop_front();
  }
}

}  // namespace walspout
