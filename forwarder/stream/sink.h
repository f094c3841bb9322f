// What a sink is: something that takes responsibility for events.
//
// A sink moves bytes and says what became of them, and whose fault an error is. A sink owns no
// policy: its caller decides when to try again, how long to wait, what to do with a rejected event,
// and what to confirm to the server. A sink does not log; it returns errors that name the remedy.
//
// All functions are called on one thread. A sink connects when it is first used and whenever it
// finds itself without a connection; a constructor does no I/O.
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

// Which events of a batch are done with. What is not marked is handed in again, in the same order.
class Progress {
 public:
  // `may_go_on`: whether the slot is still known to be ours; without it, it is. `term`: how often
  // this process got the slot so far.
  explicit Progress(size_t events, std::function<bool()> may_go_on = {}, uint64_t term = 0)
      : done_(events, false), may_go_on_(std::move(may_go_on)), term_(term) {}

  // Asked by sinks that hand over a batch in several steps, before each one. False: another process
  // may have the slot, so nothing more may be begun. deliver() then returns as soon as it can, with
  // all that is done and an error of any kind.
  bool may_go_on() {
    if (!halted_ && may_go_on_ && !may_go_on_()) halted_ = true;
    return !halted_;
  }
  bool is_halted() const { return halted_; }
  uint64_t term() const { return term_; }

  // The caller can say whether it has events behind those of the call.
  void offer(std::function<bool()> has_more) { has_more_ = std::move(has_more); }
  // A sink with room for more may then return before all is durable, with a pause: the next call
  // begins with what is not done, and has more behind that.
  bool has_more() const { return has_more_ && has_more_(); }

  // The caller can say whether the transaction of the last event goes on with events that are still
  // to come. A sink that keeps transactions together may then return with a pause, too.
  void offer_rest(std::function<bool()> goes_on) { goes_on_ = std::move(goes_on); }
  bool goes_on() const { return goes_on_ && goes_on_(); }

  // The receiver has taken responsibility for event i (or had it already).
  void durable(size_t i) {
    if (!done_[i]) durable_++;
    done_[i] = true;
  }

  // The same for all events before i.
  void durable_before(size_t i) {
    for (size_t j = 0; j < i; j++) durable(j);
  }

  // The receiver lacked rows that events were to change.
  void lacked(uint64_t rows) { lacked_ += rows; }

  // Event i goes nowhere, because the configuration says so.
  void drop(size_t i) {
    if (!done_[i]) dropped_++;
    done_[i] = true;
  }

  // Nothing has failed. What is not done was not begun, for lack of time; or it stays under way,
  // as deliver() says, and the sink asks for more.
  void pause() { paused_ = true; }

  bool is_done(size_t i) const { return done_[i]; }
  size_t size() const { return done_.size(); }
  bool is_paused() const { return paused_; }
  size_t durable_count() const { return durable_; }
  size_t dropped_count() const { return dropped_; }
  uint64_t lacked_count() const { return lacked_; }

 private:
  std::vector<bool> done_;
  std::function<bool()> may_go_on_;
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
  size_t event = 0;                         // scope event: which one; scope batch: its first one
  std::optional<Milliseconds> retry_after;  // kRetry: the receiver asked for at least this
  size_t size = 1;                          // scope batch: how many events failed together
};

using Delivery = tl::expected<void, DeliveryError>;

// After may_go_on() has said no.
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

// How much one call of deliver() is given at most. A single event may be larger.
struct BatchLimits {
  size_t events = 4096;
  size_t bytes = 4u << 20;
  bool barriers_alone = true;  // a sink that keeps one order may do without
};

// What a sink may want to know of the source before anything is delivered.
struct SourceState {
  Lsn wal_position;  // how far the server's log reaches: no event has a greater LSN yet. 0: unknown
  // Dead letters are delivered, events of the past: that the receiver has later ones does not say
  // that it has these.
  bool replay = false;
  // The sequence of events that this source sends: the same text means that ids of events can be
  // compared. For people it reads "<system identifier> <slot> <database>". Empty: unknown.
  std::string identity{};
  // A longer value is left out of its event. 0: there is no such limit, or it is not known.
  uint64_t max_value_bytes = 0;
  // Ids of events grow. If not, they do so only among events of one key.
  bool ordered = true;
  // Numbers in documents are the database's, and not strings.
  bool plain_numbers = true;
  // Levels that a document nests; what is deeper is a string in it. 0: there is no such limit.
  uint64_t max_depth = 0;
  // Of dead letters: rows of the receiver may be overwritten, although they may be newer.
  bool overwrite = false;
};

class Sink {
 public:
  virtual ~Sink() = default;

  // "redis", "http", ...
  virtual std::string_view type() const = 0;

  // Where it delivers to, for people: no credentials.
  virtual std::string_view endpoint() const = 0;

  virtual BatchLimits limits() const { return {}; }

  // Connects if need be and looks whether the receiver is reachable and would accept events,
  // without delivering any. Called by the doctor, and before the first delivery. kRetry: not
  // reachable now. kFatal: reachable and not acceptable.
  virtual Result<void> check(const SourceState& source, TimePoint deadline) = 0;

  // What check() found that works and may do harm, with the remedy, for people.
  virtual std::vector<std::string> warnings() const { return {}; }

  // Delivers events, in order: events of one key always, all of them if the sink keeps one order.
  // Returns when every event is durable at the receiver, or an error whose kind and scope decide
  // what happens next; then `progress` says which events are done. After a failed event, no later
  // event of the same lane may be delivered in that call. Events that fail together (one request,
  // one connection closed with a cause that names no event) are an error of scope batch.
  //
  // A span holds either no barrier, or one barrier and nothing else, unless limits() says
  // otherwise: sinks that work in lanes finish all lanes before they return and need not look at
  // barriers.
  //
  // Returns soon after the deadline, with kRetry if not all is durable. A sink that could only
  // begin what the deadline would cut may return before: without an error, with a paused
  // `progress`. So may a sink that keeps its connection, where `progress` has more events.
  //
  // What was sent and not answered when the call ends is not durable. Either the sink gives up the
  // connection, so that no late answer is mistaken. Or the sink keeps the connection, remembers
  // what is under way, and goes on waiting for that when the next call begins with the same events.
  // A call with other events then gives up the connection.
  virtual Delivery deliver(std::span<const Event> events, TimePoint deadline,
                           Progress& progress) = 0;

  // About once a second while there is nothing to deliver, or while the caller waits before the
  // next attempt: heartbeats.
  virtual void idle() {}

  // Who is told each line that the receiver says beside its answers, for the log: printable, and
  // not too many. Called before anything else; the listener is called within other calls.
  using Listener = std::function<void(std::string_view line)>;
  virtual void listen(Listener /*listener*/) {}

  // SIGHUP: files are opened again.
  virtual Result<void> reopen() { return {}; }

  // This sink, which is new, takes the place of `old`. Both have the same configuration, but for
  // their secrets. Takes what `old` knows of the receiver beyond a connection; `old` is then of no
  // more use.
  virtual void succeed(Sink& old) { static_cast<void>(old); }
};

}  // namespace walspout
