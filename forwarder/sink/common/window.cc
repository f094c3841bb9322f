#include "sink/common/window.h"

#include <algorithm>
#include <utility>

namespace walspout {
void Window::give_up() {
  client_.abandon();
  flight_.clear();
}

void Window::idle() {
  if (!client_.is_connected()) return;
  flight_.report_to(nullptr);
  const auto polled = client_.poll(Clock::now(), flight_);
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

// Until all has a verdict, or the caller has more, or the deadline has come.
Delivery Window::run(Call& call, size_t begin) {
  Delivery outcome = submit_all(call, begin);
  while (outcome && !is_over() && !wants_more(call)) outcome = wait(call, &Window::is_over);
  return outcome;
}

// Messages in flight are never waited for while there are others to send. A call costs something,
// so it is not made for the last places in the window.
bool Window::wants_more(const Call& call) const {
  const bool plenty = 4 * flight_.pending() <= 3 * limits_.messages;
  return limits_.keeps && plenty && alone_ == 0 && flight_.failures() == 0 && !call.unfit &&
         !call.stopped && has_room() && call.progress.has_more();
}

// Nothing is awaited any more: also not what an earlier call began, and this one does not have.
bool Window::is_over() const {
  if (flight_.pending() == 0) return true;
  if (flight_.failures() > 0) return false;
  const Flight::Message* oldest = flight_.find(flight_.first());
  return oldest != nullptr && oldest->event == Flight::kNoEvent;
}

// After a failure nothing more is sent, and room is not waited for.
bool Window::has_room() const {
  if (flight_.failures() > 0) return true;
  if (!client_.has_room()) return false;
  return flight_.pending() < (alone_ > 0 ? 1 : limits_.messages) &&
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
    if (ask && !call.progress.may_go_on()) {
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

// Whether a message is in flight now.
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
  if (alone_ > 0) --alone_;
  return true;
}

Delivery Window::look(Call& call) {
  return poll(call, Clock::now());
}

Delivery Window::wait(Call& call, bool (Window::*enough)() const) {
  if (auto polled = poll(call, call.deadline); !polled) return polled;
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

// What the call comes to. A failure that is known is reported once nothing is pending, so that the
// events behind it are not handed in again while they may still arrive.
Delivery Window::conclude(Call& call, Delivery outcome) {
  // To look at every message takes a while, and those behind others can wait if all goes well.
  flight_.settle(limits_.order, !outcome || flight_.pending() == 0 || flight_.failures() > 0);
  const bool failed = flight_.failures() > 0;
  const bool rejected = !outcome && outcome.error().error.kind == ErrorKind::kReject;
  // A message that failed stops those behind it, which may have arrived and come again.
  if (limits_.pipelined && (failed || call.unfit || rejected)) alone_ = limits_.messages;
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
    flight_.forget();  // all of it comes again
  } else if (client_.is_connected()) {
    client_.keep_bytes();
  }
  return outcome;
}

}  // namespace walspout
