// What may be confirmed to the server: the end of a transaction when every sink is done with all of
// its events. When nothing is in flight: the position that a keepalive names.
//
// Two kinds of numbers, never mixed. *Received*: how many events were received since the process
// started, over all connections. An event that is repeated after a reconnect counts again.
// *Confirmed*: a WAL position. A mark ties the two together: "a sink that has handled the first n
// received events has handled all WAL before this position".
//
// Pure and not synchronized: the source's thread owns the tracker, and reports how far the sinks
// are.
#pragma once

#include <cstdint>
#include <deque>

#include "base/lsn.h"

namespace walspout {

class AckTracker {
 public:
  // An event was received; its number, counted from 1.
  uint64_t receive() { return receive(1); }

  // Several events were received; returns the number of the last event.
  uint64_t receive(uint64_t events) {
    open_ = open_ || events > 0;
    return received_ += events;
  }

  // The transaction of the events received last is complete.
  void commit(Lsn end_lsn);

  // The server says that it has sent everything before this position.
  void keepalive(Lsn sent_lsn);

  // The connection is gone: the server will send an incomplete transaction again from its start.
  void disconnect() { open_ = false; }

  // From now on positions belong to another history of the WAL, of which nothing has been received
  // yet.
  void forget() {
    disconnect();
    marks_.clear();
    confirmed_ = received_end_ = Lsn{};
  }

  // All sinks are done with the first `events` received events. Never falls.
  void handled(uint64_t events);

  // The position to confirm. Only forget() lowers it. 0 before the first position. A server that
  // gets 0 in a status update takes it for "nothing new".
  Lsn confirmed() const { return confirmed_; }

  // The end of the last complete transaction that was received, or a later keepalive.
  Lsn received_end() const { return received_end_; }

  uint64_t received() const { return received_; }
  uint64_t handled() const { return handled_; }

  // Whether something received is not confirmed yet.
  bool in_flight() const { return open_ || handled_ < received_ || !marks_.empty(); }

 private:
  struct Mark {
    uint64_t events;
    Lsn lsn;
  };
  void mark(Lsn lsn);
  void advance();

  std::deque<Mark> marks_;  // both members grow, events strictly
  uint64_t received_ = 0;
  uint64_t handled_ = 0;
  Lsn confirmed_;
  Lsn received_end_;
  bool open_ = false;  // the last received event's transaction is not complete
};

}  // namespace walspout
