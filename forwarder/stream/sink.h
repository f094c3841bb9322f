// A sink delivers events to a receiver that takes responsibility for them.
//
// A sink moves bytes, and reports the result and whose fault an error is. A sink owns no policy.
// The caller decides about retries, waits, rejected events, and what to confirm to the server. A
// sink does not log; it returns errors that name the remedy.
//
// All functions are called on one thread. A sink connects at its first use and whenever it has no
// connection; the constructor does no I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/result.h"
#include "stream/event.h"

namespace walspout {

// Which events of a batch are done. Unmarked events are passed again, in the same order.
class Progress {
 public:
  // `may_continue`: whether the slot is still known to be ours; empty: always. `term`: how many
  // times this process has got the slot.
  explicit Progress(size_t events, std::function<bool()> may_continue = {}, uint64_t term = 0)
      : done_(events, false), may_continue_(std::move(may_continue)), term_(term) {}

  // A sink that delivers a batch in several steps asks before each step. False: another process may
  // have the slot, so the sink must begin nothing more. deliver() then returns soon, with all done
  // events marked and any error.
  bool may_continue() {
    if (!halted_ && may_continue_ && !may_continue_()) halted_ = true;
    return !halted_;
  }
  bool is_halted() const { return halted_; }
  uint64_t term() const { return term_; }

  // `has_more` says whether the caller has more events behind those of the call.
  void offer(std::function<bool()> has_more) { has_more_ = std::move(has_more); }
  // A sink with room for more may then return with pause() before all is durable. The next call
  // begins with the events that are not done, followed by more.
  bool has_more() const { return has_more_ && has_more_(); }

  // `goes_on` says whether more events of the last event's transaction will follow. Then a sink
  // that keeps transactions together may also return with pause().
  void offer_rest(std::function<bool()> transaction_continues) {
    goes_on_ = std::move(transaction_continues);
  }
  bool transaction_continues() const { return goes_on_ && goes_on_(); }

  // The receiver has taken responsibility for event i, now or earlier.
  void durable(size_t i) {
    if (!done_[i]) durable_++;
    done_[i] = true;
  }

  // The same for all events before i.
  void durable_before(size_t i) {
    for (size_t j = 0; j < i; j++) durable(j);
  }

  // The receiver lacked this many rows that events change.
  void lacked(uint64_t rows) { lacked_ += rows; }

  // The configuration gives event i no destination.
  void drop(size_t i) {
    if (!done_[i]) dropped_++;
    done_[i] = true;
  }

  // Nothing has failed. Events that are not done were not begun for lack of time. Or they stay in
  // flight, see deliver(), and the sink asks for more events.
  void pause() { paused_ = true; }

  bool is_done(size_t i) const { return done_[i]; }
  size_t size() const { return done_.size(); }
  bool is_paused() const { return paused_; }
  size_t durable_count() const { return durable_; }
  size_t dropped_count() const { return dropped_; }
  uint64_t lacked_count() const { return lacked_; }

 private:
  std::vector<bool> done_;
  std::function<bool()> may_continue_;
  uint64_t term_;
  std::function<bool()> has_more_;
  std::function<bool()> goes_on_;
  bool halted_ = false;
  size_t durable_ = 0;
  size_t dropped_ = 0;
  uint64_t lacked_ = 0;
  bool paused_ = false;
};

struct DeliveryError {
  Error error;
  size_t event = 0;                         // scope event: its index; scope batch: the first index
  std::optional<Milliseconds> retry_after;  // kRetry: the least wait that the receiver requested
  size_t size = 1;  // scope batch: the number of events that failed together
};

using Delivery = tl::expected<void, DeliveryError>;

// The error after may_continue() returned false.
inline tl::unexpected<DeliveryError> halted() {
  return tl::unexpected(DeliveryError{
      Error{ErrorKind::kRetry, "the stream from the server is lost", ""}, 0, std::nullopt});
}

// `return undelivered(ErrorKind::kReject, "...", endpoint, i);`
inline tl::unexpected<DeliveryError> undelivered(ErrorKind kind, std::string what,
                                                 std::string where = {}, size_t event = 0) {
  return tl::unexpected(
      DeliveryError{Error{kind, std::move(what), std::move(where)}, event, std::nullopt});
}

// The limits of one call of deliver(). A single event may be larger.
struct BatchLimits {
  size_t events = 4096;
  size_t bytes = 4u << 20;
  bool barriers_alone = true;  // false only for a sink that keeps one order
};

// What a sink may need to know about the source before the first delivery.
struct SourceState {
  Lsn wal_position;  // the end of the WAL: no event has a greater LSN yet. 0: unknown
  // Dead letters are delivered, which are old events. The receiver may have later events but lack
  // these.
  bool replay = false;
  // Identifies the source's sequence of events: with equal texts, event ids can be compared. The
  // text is "<system identifier> <slot> <database>". Empty: unknown.
  std::string identity{};
  // Longer values are left out of events. 0: no limit, or unknown.
  uint64_t max_value_bytes = 0;
  // Event ids grow. False: they grow only within one key.
  bool ordered = true;
  // Numbers in documents are JSON numbers, not strings.
  bool plain_numbers = true;
  // Nesting levels of documents; deeper values become strings. 0: no limit.
  uint64_t max_depth = 0;
  // For dead letters: overwrite rows of the receiver, even if they may be newer.
  bool overwrite = false;
};

class Sink {
 public:
  virtual ~Sink() = default;

  // "redis", "http", ...
  virtual std::string_view type() const = 0;

  // The destination, for people: no credentials.
  virtual std::string_view endpoint() const = 0;

  virtual BatchLimits limits() const { return {}; }

  // Connects if necessary, and checks that the receiver is reachable and would accept events.
  // Delivers nothing. Called by `walspout check`, and before the first delivery. kRetry: not
  // reachable now. kFatal: reachable, but not usable.
  virtual Result<void> check(const SourceState& source, TimePoint deadline) = 0;

  // Warnings of check() for people, with remedies: works, but may do harm.
  virtual std::vector<std::string> warnings() const { return {}; }

  // Delivers events in order: always for events of one key, for all events if the sink keeps one
  // order. Returns when every event is durable at the receiver, or an error. The kind and scope of
  // the error decide what follows, and `progress` says which events are done. After a failed event,
  // no later event of the same lane may be delivered in that call. Events that fail together, as in
  // one request, are an error of scope batch.
  //
  // Unless limits() says otherwise, a barrier is alone in its span. So sinks that work in lanes
  // finish all lanes before they return, and need not check for barriers.
  //
  // Returns soon after the deadline, with kRetry if not all is durable. A sink may return earlier,
  // without an error and with a paused `progress`, if the deadline would cut the next step. So may
  // a sink that keeps its connection, if `progress` has more events.
  //
  // Events without an answer at the end of the call are not durable. Either the sink closes the
  // connection, so that no late answer is mistaken for another. Or it keeps the connection and
  // remembers the events in flight. It continues to wait if the next call begins with the same
  // events; otherwise it closes the connection.
  virtual Delivery deliver(std::span<const Event> events, TimePoint deadline,
                           Progress& progress) = 0;

  // For heartbeats: called about once a second while there is nothing to deliver, or before the
  // next attempt.
  virtual void idle() {}

  // In place of idle(), if another process may deliver the events in flight by now: ends what the
  // sink would otherwise send later, behind newer events of that process.
  virtual void let_go() { idle(); }

  // Sets a listener for lines that the receiver sends beside its answers, for the log: printable,
  // and not too many. Call it first; the sink calls the listener within other calls.
  using Listener = std::function<void(std::string_view line)>;
  virtual void listen(Listener /*listener*/) {}

  // SIGHUP: reopens files.
  virtual Result<void> reopen() { return {}; }

  // This new sink replaces `old`. Both have the same configuration except for secrets. Takes over
  // what `old` knows about the receiver, except the connection. Afterwards `old` is unusable.
  virtual void take_over_from(Sink& old) { static_cast<void>(old); }
};

}  // namespace walspout
