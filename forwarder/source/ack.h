// What may be confirmed to the server: the ends of those transactions all of whose events every
// sink is done with, and, when nothing is under way, the position that a keepalive names.
//
// Two kinds of numbers, never mixed. *Received*: how many events have come, in this life of the
// process, over all connections; an event that comes again after a reconnect counts again.
// *Confirmed*: a position in the server's log. A mark ties one to the other: "a sink that has
// handled the first n received events has handled all of the log before this position".
//
// Pure and not synchronized: the source's thread owns it, and is told how far the sinks are.
#pragma once

#include <cstdint>
#include <deque>

#include "base/lsn.h"

namespace walspout {

class AckTracker {
 public:
  // An event was received; its number, counted from 1.
  uint64_t receive() { return receive(1); }

  // The same for several; the number of the last one.
  uint64_t receive(uint64_t events) {
    open_ = open_ || events > 0;
    return received_ += events;
  }

  // The transaction whose events came last is complete.
  void commit(Lsn end_lsn);

  // The server says that it has sent whatever there is to send before this position.
  void keepalive(Lsn sent_lsn);

  // The connection is gone: a transaction that is not complete will come again from its start.
  void disconnect() { open_ = false; }

  // From now on positions are those of another history of the WAL: what is to be confirmed in
  // it has not been received yet.
  void forget() {
    disconnect();
    marks_.clear();
    confirmed_ = received_end_ = Lsn{};
  }

  // All sinks are done with the first `events` received events. Never falls.
  void handled(uint64_t events);

  // The position to confirm. Never falls but by forget(). 0 as long as there is none: the server is
  // then told 0, which it takes for "nothing new".
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
