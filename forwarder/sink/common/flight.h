// The account of messages in flight: what was handed to a client, and what became of it.
//
// Numbers count messages from 1, in the order in which they were handed over, and begin again with
// each connection. A client says its verdicts here; the window draws the conclusions.
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
    kSettled,  // the caller knows that it is done
  };
  static constexpr size_t kNoEvent = SIZE_MAX;

  struct Message {
    Lsn lsn;             // and index: the event's id
    uint64_t index = 0;  // in its transaction
    uint64_t key_hash = 0;
    size_t size = 0;          // bytes of the document
    size_t event = kNoEvent;  // in the call under way; kNoEvent: the call does not have it
    bool barrier = false;
    char op = 0;
    State state = State::kPending;
    std::unique_ptr<DeliveryError> error{};

    // As far as its id goes.
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
  // The same of `size` messages that failed together, of which this is the first. The client says
  // that the others are undone.
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
  bool may_go_on() const { return !progress_ || progress_->may_go_on(); }

  // For the window /////////////////////////////////////////////////////////////////////////////

  // The message gets next() as its number.
  void add(const Event& event, size_t position);
  void clear();   // with the connection: the next number is 1
  void forget();  // the connection stays, and numbers go on
  // Finds the messages among the events of a new call; how many there are. Nothing: they are not
  // the events that the call begins with.
  std::optional<size_t> resume(std::span<const Event> events);
  void report_to(Progress* progress) { progress_ = progress; }
  // Marks what is done and has nothing before it that must be there first. `all`: looks at every
  // message, and not only as far as the first one that is not done.
  void settle(Order order, bool all);
  // The oldest failure; `gravest`: the gravest one.
  std::optional<DeliveryError> failure(bool gravest) const;

 private:
  Message* pending_message(uint64_t number);
  void decide(Message& message, State state);
  void settle(Message& message);

  std::deque<Message> messages_;
  uint64_t first_ = 1;
  size_t pending_ = 0;
  size_t bytes_ = 0;  // of those
  size_t failed_ = 0;
  size_t undone_ = 0;
  size_t settled_ = 0;  // messages that are so, and still here
  Progress* progress_ = nullptr;
};

}  // namespace walspout
