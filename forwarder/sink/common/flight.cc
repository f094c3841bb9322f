#include "sink/common/flight.h"

#include <unordered_set>
#include <utility>

namespace walspout {
namespace {

int gravity(const DeliveryError& error) {
  switch (error.error.kind) {
    case ErrorKind::kFatal:
      return 2;
    case ErrorKind::kReject:
      return 1;
    case ErrorKind::kRetry:
      break;
  }
  return 0;
}

}  // namespace

const Flight::Message* Flight::find(uint64_t number) const {
  if (number < first_ || number >= next()) return nullptr;
  return &messages_[number - first_];
}

Flight::Message* Flight::pending_message(uint64_t number) {
  if (number < first_ || number >= next()) return nullptr;
  Message& message = messages_[number - first_];
  return message.state == State::kPending ? &message : nullptr;
}

bool Flight::is_pending(uint64_t number) const {
  const Message* message = find(number);
  return message != nullptr && message->state == State::kPending;
}

void Flight::decide(Message& message, State state) {
  message.state = state;
  --pending_;
  bytes_ -= message.size;
}

void Flight::done(uint64_t number) {
  if (Message* message = pending_message(number)) decide(*message, State::kDone);
}

void Flight::done_through(uint64_t number) {
  for (uint64_t each = first_; each <= number && each < next(); ++each) done(each);
}

void Flight::undone(uint64_t number) {
  Message* message = pending_message(number);
  if (message == nullptr) return;
  decide(*message, State::kUndone);
  ++undone_;
}

void Flight::failed(uint64_t number, Error error, std::optional<Milliseconds> retry_after) {
  failed_together(number, 1, std::move(error), retry_after);
}

void Flight::failed_together(uint64_t number, size_t size, Error error,
                             std::optional<Milliseconds> retry_after) {
  Message* message = pending_message(number);
  if (message == nullptr) return;
  decide(*message, State::kFailed);
  message->error =
      std::make_unique<DeliveryError>(DeliveryError{std::move(error), 0, retry_after, size});
  ++failed_;
}

void Flight::add(const Event& event, size_t position) {
  messages_.push_back(Message{.lsn = event.lsn,
                              .index = event.index,
                              .key_hash = event.key_hash,
                              .size = event.document.size(),
                              .event = position,
                              .barrier = event.barrier,
                              .op = event.op});
  ++pending_;
  bytes_ += event.document.size();
}

void Flight::clear() {
  forget();
  first_ = 1;
}

void Flight::forget() {
  first_ = next();
  messages_.clear();
  pending_ = bytes_ = failed_ = undone_ = settled_ = 0;
}

std::optional<size_t> Flight::resume(std::span<const Event> events) {
  const auto is = [](const Message& message, const Event& event) {
    return message.lsn == event.lsn && message.index == event.index && message.op == event.op;
  };
  // No message was settled since the last call, so the caller hands in the same events again.
  const size_t all = messages_.size();
  if (all > 0 && settled_ == 0 && events.size() >= all && messages_.front().event == 0 &&
      messages_.back().event == all - 1 && is(messages_.front(), events[0]) &&
      is(messages_.back(), events[all - 1])) {
    return all;
  }
  size_t known = 0;
  for (Message& message : messages_) {
    message.event = kNoEvent;
    if (message.state == State::kSettled || known >= events.size()) continue;
    if (!is(message, events[known])) return {};
    message.event = known++;
  }
  return known;
}

void Flight::settle(Message& message) {
  progress_->durable(message.event);
  message.state = State::kSettled;
  ++settled_;
}

void Flight::settle(Order order, bool all) {
  if (progress_ == nullptr) return;
  while (!messages_.empty()) {
    Message& message = messages_.front();
    if (message.state == State::kDone && message.event != kNoEvent) settle(message);
    if (message.state != State::kSettled) break;
    messages_.pop_front();
    --settled_;
    ++first_;
  }
  if (!all || order == Order::kAll) return;
  std::unordered_set<uint64_t> behind;  // keys with an event that is not done
  for (Message& message : messages_) {
    if (message.state == State::kSettled) continue;
    const bool blocked = order == Order::kKey && (behind.contains(message.key_hash) ||
                                                  (message.barrier && !behind.empty()));
    if (message.state == State::kDone && message.event != kNoEvent && !blocked) {
      settle(message);
    } else if (order == Order::kKey && message.barrier) {
      return;
    } else {
      behind.insert(message.key_hash);
    }
  }
}

std::optional<DeliveryError> Flight::failure(bool gravest) const {
  const Message* worst = nullptr;
  for (const Message& message : messages_) {
    if (message.error == nullptr || message.event == kNoEvent) continue;
    if (worst != nullptr && gravity(*message.error) <= gravity(*worst->error)) continue;
    worst = &message;
    if (!gravest) break;
  }
  if (worst == nullptr) return {};
  DeliveryError error = *worst->error;
  error.event = worst->event;
  return error;
}

}  // namespace walspout
