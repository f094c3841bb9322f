// The messages in flight: those that a client has, and the verdict on each.
//
// Numbers count messages from 1, in the order in which the client gets them, and restart with each
// connection. A client notes its verdicts here; the window acts on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "sink/common/capabilities.h"
#include "stream/event.h"
#include "stream/sink.h"

namespace walspout {

class Flight {
 public:
  enum class State : uint8_t {
    kPending,  // no verdict yet
    kDone,     // the receiver has it
    kUndone,   // was not begun, and nothing has failed
    kFailed,   // see `error`
    kSettled,  // done, and reported to the caller
  };
  static constexpr size_t kNoEvent = SIZE_MAX;

  struct Message {
    Lsn lsn;             // and index: the event's id
    uint64_t index = 0;  // in its transaction
    uint64_t key_hash = 0;
    size_t size = 0;          // bytes of the document
    size_t event = kNoEvent;  // index in the current call; kNoEvent: not in that call
    bool barrier = false;
    char op = 0;
    State state = State::kPending;
    std::unique_ptr<DeliveryError> error{};

    // An event with only the fields that identify it.
    Event as_event() const {
      Event one;
      one.lsn = lsn;
      one.index = index;
      one.key_hash = key_hash;
      one.op = op;
      return one;
    }
  };

  // For clients ////////////////////////////////////////////////////////////////////////////////

  // Verdicts. A second verdict on the same message, or one on an unknown number, is ignored.
  void done(uint64_t number);
  void done_through(uint64_t number);  // and all before it that have no verdict
  void undone(uint64_t number);
  void failed(uint64_t number, Error error, std::optional<Milliseconds> retry_after = {});
  // Likewise, for `size` messages that failed together; `number` is the first. The client marks the
  // others undone.
  void failed_together(uint64_t number, size_t size, Error error,
                       std::optional<Milliseconds> retry_after = {});

  uint64_t first() const { return first_; }                    // number of the oldest
  uint64_t next() const { return first_ + messages_.size(); }  // of the next one
  const Message* find(uint64_t number) const;                  // null: not in flight
  bool is_pending(uint64_t number) const;
  size_t pending() const { return pending_; }
  size_t pending_bytes() const { return bytes_; }
  size_t failures() const { return failed_; }
  size_t not_begun() const { return undone_; }
  bool empty() const { return messages_.empty(); }

  // Whether something new may be begun; see Progress.
  bool may_continue() const { return !progress_ || progress_->may_continue(); }

  // For the window /////////////////////////////////////////////////////////////////////////////

  // The message gets next() as its number.
  void add(const Event& event, size_t position);
  void clear();   // with the connection: the next number is 1
  void forget();  // the connection stays, and numbers go on
  // Finds the messages among the events of a new call, and returns how many there are. Nothing: the
  // call does not begin with their events.
  std::optional<size_t> resume(std::span<const Event> events);
  void report_to(Progress* progress) { progress_ = progress; }
  // Reports each done message to the caller, once every message that must precede it is done.
  // `all`: checks every message, not only those before the first that is not done.
  void settle(Order order, bool all);
  // The oldest failure, or with `gravest` the gravest one.
  std::optional<DeliveryError> failure(bool gravest) const;

 private:
  Message* pending_message(uint64_t number);
  void decide(Message& message, State state);
  void settle(Message& message);

  std::deque<Message> messages_;
  uint64_t first_ = 1;
  size_t pending_ = 0;
  size_t bytes_ = 0;  // of the pending messages
  size_t failed_ = 0;
  size_t undone_ = 0;
  size_t settled_ = 0;  // settled messages still in messages_
  Progress* progress_ = nullptr;
};

}  // namespace walspout
