#include "sink/common/window.h"

#include <algorithm>
#include <utility>

namespace walspout {
namespace {

constexpr Milliseconds kAskAgain{100};  // whether the stream is lost
constexpr Milliseconds kGather{2};      // how long few events wait for more
constexpr Milliseconds kLook{1};        // for more, meanwhile

}  // namespace

void Window::give_up() {
  client_.abandon();
  flight_.clear();
}

// idle() would send more.
void Window::let_go() {
  if (flight_.pending() > 0 && client_.can_recall()) {
    give_up();
  } else {
    idle();
  }
}

void Window::idle(TimePoint until) {
  if (!client_.is_connected()) return;
  flight_.report_to(nullptr);
  const auto polled = client_.poll(until, flight_);
  if (!polled && !polled.error().stays) give_up();
}

Result<void> Window::connect(TimePoint deadline) {
  idle();
  const auto connection = client_.connect(deadline);
  if (!connection || *connection == WindowClient::Connection::kNew) flight_.clear();
  if (!connection) return tl::unexpected(connection.error());
  return {};
}

size_t Window::resume(std::span<const Event> events) {
  if (const auto known = flight_.resume(events)) return *known;
  give_up();
  return 0;
}

Delivery Window::deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) {
  if (events.empty()) return {};
  if (auto connected = connect(deadline); !connected) {
    return tl::unexpected(DeliveryError{connected.error(), 0, std::nullopt});
  }
  const size_t known = resume(events);
  if (!client_.is_connected()) {
    if (auto again = client_.connect(deadline); !again) {
      return tl::unexpected(DeliveryError{again.error(), 0, std::nullopt});
    }
  }
  Call call{events, deadline, progress};
  flight_.report_to(&progress);
  client_.begin(deadline);
  Delivery outcome = conclude(call, run(call, known));
  flight_.report_to(nullptr);
  return outcome;
}

// Runs until every message has a verdict, the caller has more events, or the deadline has passed.
Delivery Window::run(Call& call, size_t begin) {
  const auto gathered = gather(call, begin);
  if (!gathered) return tl::unexpected(gathered.error());
  if (!*gathered) return {};
  Delivery outcome = submit_all(call, begin);
  while (outcome && !is_over() && !wants_more(call)) outcome = wait(call, &Window::is_over);
  return outcome;
}

bool Window::is_worth_waiting(const Call& call, size_t begin) const {
  return limits_.keeps && call.events.size() - begin < limits_.together && flight_.pending() > 0 &&
         one_at_a_time_ == 0 && flight_.failures() == 0;
}

// Lets few new events wait for more. False: the caller has more, so return for them.
tl::expected<bool, DeliveryError> Window::gather(Call& call, size_t begin) {
  while (is_worth_waiting(call, begin)) {
    const TimePoint now = Clock::now();
    if (!gathers_until_) gathers_until_ = now + kGather;
    if (now >= std::min(call.deadline, *gathers_until_)) break;
    if (auto waited = wait(call, &Window::is_over, kLook); !waited) {
      return tl::unexpected(std::move(waited.error()));
    }
    // A failure is reported only once nothing is in flight, so do not return before.
    if (flight_.failures() == 0 && call.progress.has_more()) return false;
  }
  gathers_until_.reset();
  return true;
}

// While there are more events to send, do not wait for messages in flight. Each call has a cost, so
// do not return for a few free places in the window.
bool Window::wants_more(const Call& call) const {
  const bool plenty = 4 * flight_.pending() <= 3 * limits_.messages;
  return limits_.keeps && plenty && one_at_a_time_ == 0 && flight_.failures() == 0 && !call.unfit &&
         !call.stopped && has_room() && call.progress.has_more();
}

// No message of this call is awaited any longer. Messages that only an earlier call had do not
// count.
bool Window::is_over() const {
  if (flight_.pending() == 0) return true;
  if (flight_.failures() > 0) return false;
  const Flight::Message* oldest = flight_.find(flight_.first());
  return oldest != nullptr && oldest->event == Flight::kNoEvent;
}

// After a failure nothing more is sent, so do not wait for room.
bool Window::has_room() const {
  if (flight_.failures() > 0) return true;
  if (!client_.has_room()) return false;
  return flight_.pending() < (one_at_a_time_ > 0 ? 1 : limits_.messages) &&
         (flight_.pending() == 0 || flight_.pending_bytes() < limits_.bytes);
}

void Window::stop(Call& call) {
  if (!std::exchange(call.stopped, true)) client_.withdraw(flight_);
}

Delivery Window::submit_all(Call& call, size_t begin) {
  flight_.settle(limits_.order, false);
  for (size_t event = begin; event < call.events.size(); ++event) {
    bool ask = event == begin || event % limits_.poll_every == 0;
    while (!has_room()) {
      if (auto waited = wait(call, &Window::has_room); !waited) return waited;
      ask = true;
    }
    if (flight_.failures() > 0) return {};
    if (ask && !call.progress.may_continue()) {
      if (limits_.keeps) return halted();
      stop(call);
      return {};
    }
    const bool sent = submit(call, event);
    if (call.unfit) {
      stop(call);
      return {};
    }
    if (sent && flight_.next() % limits_.poll_every == 0) {
      if (auto looked = look(call); !looked) return looked;
    }
  }
  return {};
}

// Returns whether the event is in flight as a message.
bool Window::submit(Call& call, size_t event) {
  const auto taken = client_.submit(flight_.next(), call.events[event]);
  if (!taken) {
    call.unfit = DeliveryError{taken.error(), event, std::nullopt};
    return false;
  }
  if (!*taken) {
    call.progress.drop(event);
    return false;
  }
  flight_.add(call.events[event], event);
  if (one_at_a_time_ > 0) --one_at_a_time_;
  return true;
}

Delivery Window::look(Call& call) {
  return poll(call, Clock::now());
}

Delivery Window::wait(Call& call, bool (Window::*enough)() const, Duration longest) {
  TimePoint until =
      longest < Duration::max() ? std::min(call.deadline, Clock::now() + longest) : call.deadline;
  if (limits_.keeps && client_.can_recall()) {
    // What is not sent must stay here if the stream is lost meanwhile.
    if (!call.progress.may_continue()) return halted();
    until = std::min(until, Clock::now() + kAskAgain);
  }
  if (auto polled = poll(call, until); !polled) return polled;
  if (limits_.keeps && call.progress.is_halted()) return halted();
  if (Clock::now() < call.deadline) return {};
  if (!limits_.keeps) stop(call);
  if ((this->*enough)()) return {};
  return tl::unexpected(DeliveryError{client_.late(flight_), 0, std::nullopt});
}

Delivery Window::poll(Call& call, TimePoint until) {
  const auto polled = client_.poll(until, flight_);
  flight_.settle(limits_.order, !polled);
  if (polled) {
    if (flight_.failures() > 0) stop(call);
    return {};
  }
  DeliveryError error{polled.error().error, 0, std::nullopt, polled.error().size};
  const Flight::Message* guilty = flight_.find(polled.error().number);
  if (guilty != nullptr && guilty->event != Flight::kNoEvent) error.event = guilty->event;
  if (!polled.error().stays) give_up();
  return tl::unexpected(std::move(error));
}

// Makes the call's result. A failure is reported once nothing is pending. Otherwise later events
// could be sent again while their first messages may still arrive.
Delivery Window::conclude(Call& call, Delivery outcome) {
  // A check of every message takes time. While all goes well, messages that wait for others need
  // none.
  flight_.settle(limits_.order, !outcome || flight_.pending() == 0 || flight_.failures() > 0);
  const bool failed = flight_.failures() > 0;
  const bool rejected = !outcome && outcome.error().error.kind == ErrorKind::kReject;
  // Messages behind the failed one may have arrived, and come again.
  if (limits_.pipelined && (failed || call.unfit || rejected)) one_at_a_time_ = limits_.messages;
  if (failed && (outcome || !limits_.keeps)) {
    if (auto failure = flight_.failure(limits_.order != Order::kAll)) {
      outcome = tl::unexpected(std::move(*failure));
    }
  } else if (outcome && call.unfit) {
    outcome = tl::unexpected(std::move(*call.unfit));
  } else if (outcome && call.progress.is_halted()) {
    outcome = halted();
  } else if (outcome &&
             call.progress.durable_count() + call.progress.dropped_count() < call.events.size()) {
    call.progress.pause();
  }
  if (!limits_.keeps) {
    give_up();
  } else if (flight_.pending() == 0 && flight_.failures() + flight_.not_begun() > 0) {
    flight_.forget();  // the caller hands in all of them again
  } else if (client_.is_connected()) {
    client_.keep_bytes();
  }
  return outcome;
}

}  // namespace walspout
