#include "pipeline/deliver.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace walspout {

namespace {

constexpr size_t kOthers = 16;  // events that are tried, to tell a bad event from an outage
constexpr Duration kPatience = std::chrono::seconds(1);
constexpr Duration kRestPoll = std::chrono::milliseconds(10);  // for the rest of a transaction
constexpr Duration kSourcePoll = std::chrono::milliseconds(100);

// Whether a receiver must get `later` after `earlier`.
bool must_follow(const Event& later, const Event& earlier) {
  return later.barrier || earlier.barrier || later.key_hash == earlier.key_hash;
}

}  // namespace

Deliverer::Deliverer(Sink& sink, EventQueue& queue, size_t cursor, DeliverConfig config,
                     DeadLetters* dead_letters, SinkStats& stats, Timekeeper& time,
                     std::function<std::optional<SourceState>()> source)
    : sink_(sink),
      queue_(queue),
      cursor_(cursor),
      config_(std::move(config)),
      dead_letters_(dead_letters),
      stats_(stats),
      time_(time),
      source_(std::move(source)),
      backoff_(config_.retry) {
  // The sink may outlive this object, and its receiver may still send lines.
  sink_.listen([pipeline = config_.pipeline, sink = config_.sink](std::string_view line) {
    log(LogLevel::kInfo, "the receiver says",
        {{"pipeline", pipeline}, {"sink", sink}, {"line", line}});
  });
}

Result<void> Deliverer::run() {
  Result<void> result = connect();
  std::vector<Event> batch;
  while (result && !queue_.closed()) {
    wait_while_held();
    if (queue_.closed()) break;
    stats_.pulse.set_return_time(time_.now() + kPatience);
    const size_t left_out = queue_.take(cursor_, sink_.limits(), kPatience, batch, &takes_);
    leave_out(left_out);
    if (batch.empty()) {
      // Events that the sink does not want may arrive all the time.
      if (!left_out || time_.now() >= idle_at_) between_batches();
      continue;
    }
    stats_.taken_at.store(time_.wall(), std::memory_order_relaxed);
    result = deliver(batch);
    if (result && batch.empty()) queue_.done(cursor_);
  }
  stats_.pulse.away();
  if (!result) {
    stats_.last_error.set(result.error().message());
    stats_.state = SinkState::kStopped;
  }
  return result;
}

// Waits while the sink is held. The sink keeps its connection, and skips events that it does not
// want.
void Deliverer::wait_while_held() {
  if (!held_) return;
  const SinkState before = stats_.state.exchange(SinkState::kHeld);
  while (held_ && !queue_.closed()) {
    stats_.pulse.set_return_time(time_.now() + kPatience);
    keep_alive();
    pass_over();
    time_.sleep(kRestPoll * 10);
  }
  // The next delivery shows the receiver's state.
  stats_.state = before;
}

// Counts events that the sink does not want.
void Deliverer::leave_out(size_t events) {
  if (!events) return;
  stats_.dropped.fetch_add(events, std::memory_order_relaxed);
  stats_.progress_at.store(time_.wall(), std::memory_order_relaxed);
}

// The sink keeps its connection, unless its events may be another process's by now. idle() sends
// what the receiver did not read before, so the server must have shown signs of life.
void Deliverer::keep_alive() {
  const bool closed = queue_.fence().is_closed();
  if (closed || !queue_.fence().wait(kPatience) || queue_.is_discarded(cursor_)) {
    sink_.let_go();
  } else {
    sink_.idle();
  }
}

// Skips all events up to the first that the sink wants. One call of the queue skips some of them,
// and what is left would fill the queue for the other sinks.
void Deliverer::pass_over() {
  while (const size_t events = queue_.pass_over(cursor_)) leave_out(events);
}

Result<void> Deliverer::connect() {
  while (!queue_.closed()) {
    wait_while_held();
    std::optional<SourceState> source = source_();
    if (!source) {
      stats_.pulse.set_return_time(time_.now() + kSourcePoll);
      time_.sleep(kSourcePoll);
      continue;
    }
    if (reopen_) reopen_files();
    const TimePoint until = deadline();
    stats_.pulse.set_return_time(until);
    Result<void> checked = sink_.check(*source, until);
    if (checked) {
      log(LogLevel::kInfo, "sink is ready",
          {{"pipeline", config_.pipeline}, {"sink", config_.sink}, {"endpoint", sink_.endpoint()}});
      succeeded();
      break;
    }
    Result<void> handled;
    note_loss(checked.error());
    if (checked.error().kind == ErrorKind::kRetry) {
      back_off(checked.error(), std::nullopt);
    } else {
      handled = park(std::move(checked.error()));
    }
    if (!handled) return handled;
  }
  return {};
}

Result<void> Deliverer::deliver(std::vector<Event>& pending) {
  while (!pending.empty() && !queue_.closed()) {
    wait_while_held();
    if (queue_.closed()) break;
    stats_.pulse.set_return_time(time_.now() + kPatience);
    const bool ours = queue_.fence().wait(kPatience);
    const bool discarded = queue_.is_discarded(cursor_);
    if (!ours || discarded) sink_.let_go();
    if (discarded) pending.clear();
    if (pending.empty()) break;
    if (!ours) continue;
    const size_t attempted = attempt_size(pending);
    const auto may_continue = [this] { return queue_.may_deliver(cursor_); };
    Progress progress(attempted, may_continue, queue_.fence().term());
    // More tables may have been truncated together with the last one.
    const bool has_room = attempted < sink_.limits().events || pending.back().op == 't';
    const bool may_grow = attempted == pending.size() && has_room;
    if (may_grow) progress.offer([this] { return queue_.has_more(cursor_); });
    offer_rest(pending, attempted, may_grow, progress);
    const TimePoint until = deadline();
    stats_.pulse.set_return_time(until);
    // Data written after the signal belongs in the new file.
    if (reopen_) reopen_files();
    Delivery delivery = sink_.deliver(std::span(pending).first(attempted), until, progress);
    stats_.batches.fetch_add(1, std::memory_order_relaxed);
    if (delivery) {
      for (size_t i = 0; i < attempted && !progress.is_paused(); i++) {
        if (!progress.is_done(i)) progress.durable(i);
      }
      settle(pending, progress);
      const bool paused = progress.is_paused();
      if (!paused || progress.durable_count() + progress.dropped_count() > 0) {
        succeeded();
        at_once_ = at_once_ > SIZE_MAX / 2 ? SIZE_MAX : at_once_ * 2;
      }
      if (paused && may_grow && !pending.empty()) {
        BatchLimits limits = sink_.limits();
        limits.events -= std::min(limits.events, pending.size());
        extend(pending, limits, progress.transaction_continues() ? kRestPoll : Duration::zero());
      }
      continue;
    }
    if (progress.is_halted()) {  // not the receiver's fault
      settle(pending, progress);
      continue;
    }
    // The failed event's index after the removal of events that are done.
    DeliveryError error = std::move(delivery.error());
    size_t before = 0;
    for (size_t i = 0; i < std::min(error.event, attempted); i++) {
      before += progress.is_done(i) ? 0 : 1;
    }
    error.event = before;
    const bool advanced = progress.durable_count() + progress.dropped_count() > 0;
    if (advanced) backoff_.reset();
    if (error.error.scope() == Scope::kBatch) {
      if (attempted == 1) error.error.blamed = Scope::kEvent;
      split(error, attempted);
    }
    settle(pending, progress);
    Result<void> handled = failed(pending, error, progress.durable_count() > 0);
    if (!handled) return handled;
  }
  extended_ = false;
  uncut_ = 0;
  takes_.clear();
  return {};
}

// A sink that keeps transactions together needs to know whether the last one is complete. If others
// precede the last one, it can commit them, and then has room for the rest.
void Deliverer::offer_rest(const std::vector<Event>& pending, size_t attempted, bool may_grow,
                           Progress& progress) {
  if (attempted < pending.size()) return;
  const bool several = !sink_.limits().barriers_alone && pending.front().lsn != pending.back().lsn;
  if (!may_grow && !several) return;
  progress.offer_rest([this, several] {
    return queue_.has_more(cursor_) || queue_.transaction_continues(cursor_, several);
  });
}

// The length of the prefix of `pending` for the next attempt.
size_t Deliverer::attempt_size(const std::vector<Event>& pending) {
  size_t most = std::min(pending.size(), at_once_);
  // A sink that commits an attempt would commit a part of a transaction.
  for (size_t i = most; i > 0 && most < pending.size(); i--) {
    if (pending[i - 1].lsn == pending[i].lsn) continue;
    most = i;
    break;
  }
  if (!extended_ || !sink_.limits().barriers_alone) return most;
  for (size_t i = std::max<size_t>(1, uncut_); i < most; i++) {
    if (pending[i].barrier || pending[i - 1].barrier) return i;
    uncut_ = i;
  }
  return most;
}

// Adds newly arrived events behind those that the sink has in flight.
void Deliverer::extend(std::vector<Event>& pending, const BatchLimits& limits, Duration patience) {
  std::vector<Event> more;
  leave_out(queue_.take(cursor_, limits, patience, more, &takes_));
  if (more.empty()) return;
  stats_.taken_at.store(time_.wall(), std::memory_order_relaxed);
  extended_ = true;
  pending.insert(pending.end(), more.begin(), more.end());
}

// The next attempts have half as many events, until the event at fault stands alone.
void Deliverer::split(const DeliveryError& error, size_t attempted) {
  at_once_ = std::max<size_t>(1, std::min(attempted, std::max<size_t>(1, error.size)) / 2);
}

// Counts the done events and removes them from `pending`. `progress` covers a prefix of `pending`.
void Deliverer::settle(std::vector<Event>& pending, const Progress& progress) {
  if (progress.durable_count() + progress.dropped_count() == 0) return;
  int64_t now = time_.wall();
  uint64_t bytes = 0;
  int64_t commit_time = 0;
  uint64_t same = 0;  // events in a row with that commit time
  size_t kept = 0;
  size_t take = 0;
  size_t take_end = takes_.empty() ? SIZE_MAX : takes_.front();
  auto flush = [&] {
    if (same && commit_time) stats_.latency.add(now - commit_time, same);
    same = 0;
  };
  for (size_t i = 0; i < pending.size(); i++) {
    const Event& event = pending[i];
    if (i >= progress.size() || !progress.is_done(i)) {
      if (kept != i) pending[kept] = event;
      kept++;
      continue;
    }
    while (i >= take_end) take_end += ++take < takes_.size() ? takes_[take] : SIZE_MAX;
    if (take < takes_.size()) takes_[take]--;
    bytes += event.document.size();
    if (event.commit_time != commit_time) flush();
    commit_time = event.commit_time;
    same++;
  }
  flush();
  uncut_ -= std::min(uncut_, pending.size() - kept);
  pending.resize(kept);
  release();
  stats_.events.fetch_add(progress.durable_count(), std::memory_order_relaxed);
  stats_.dropped.fetch_add(progress.dropped_count(), std::memory_order_relaxed);
  stats_.missing.fetch_add(progress.lacked_count(), std::memory_order_relaxed);
  stats_.bytes.fetch_add(bytes, std::memory_order_relaxed);
  stats_.progress_at.store(now, std::memory_order_relaxed);
  if (progress.durable_count() > 0) set_aside_unproven_ = false;
}

void Deliverer::set_aside(std::vector<Event>& pending, size_t event) {
  size_t before = 0;  // events of earlier pieces
  for (size_t& take : takes_) {
    if (event < before + take) {
      take--;
      break;
    }
    before += take;
  }
  pending.erase(pending.begin() + static_cast<ptrdiff_t>(event));
  uncut_ -= std::min<size_t>(uncut_, 1);
  release();
}

// Releases each piece from the queue as soon as the sink is done with it, because the attempt may
// be extended for ever. The last piece is released when the sink has no events left.
void Deliverer::release() {
  size_t pieces = 0;
  for (; takes_.size() > 1 && takes_.front() == 0; pieces++) takes_.pop_front();
  if (pieces > 0) queue_.done_first(cursor_, pieces);
}

Result<void> Deliverer::failed(std::vector<Event>& pending, const DeliveryError& error,
                               bool others_passed) {
  note_loss(error.error);
  switch (error.error.scope()) {
    case Scope::kEvent:
      if (!pending.empty()) return event_failed(pending, error, others_passed);
      break;
    case Scope::kBatch:
      // The next attempts show which event is at fault. Only a temporary error needs a pause.
      if (error.error.kind == ErrorKind::kReject && error.size > 1) return {};
      break;
    case Scope::kConfiguration:
      return park(error.error);
    case Scope::kDestination:
      if (error.error.kind == ErrorKind::kFatal) return Failure(error.error);
      break;
  }
  back_off(error.error, error.retry_after);
  return {};
}

Result<void> Deliverer::event_failed(std::vector<Event>& pending, const DeliveryError& error,
                                     bool others_passed) {
  const size_t troubled = std::min(error.event, pending.size() - 1);
  const Event& event = pending[troubled];
  if (event.lsn == troubled_lsn_ && event.index == troubled_index_ && event.op == troubled_op_) {
    troubled_times_++;
  } else {
    troubled_lsn_ = event.lsn;
    troubled_index_ = event.index;
    troubled_op_ = event.op;
    troubled_times_ = 1;
  }
  if (error.error.kind == ErrorKind::kReject) {
    stats_.rejects.fetch_add(1, std::memory_order_relaxed);
    if (dead_letters_) return write_dead_letter(pending, troubled, error.error);
    Error stop = error.error;
    stop.what = "event " + std::string(EventId(event)) + " was rejected: " + stop.what +
                ". Fix what rejects the event, or configure dead_letter to set such events aside";
    return park(std::move(stop));
  }
  if (dead_letters_ && config_.dead_letter_after && troubled_times_ >= config_.dead_letter_after) {
    switch (fault(pending, troubled, others_passed)) {
      case Fault::kOfTheEvent:
        return write_dead_letter(pending, troubled, error.error);
      case Fault::kOver:
        return {};
      case Fault::kOfTheReceiver:
        troubled_times_ = 0;
    }
  }
  back_off(error.error, error.retry_after);
  return {};
}

// Finds out whether the event or the receiver is at fault: tries the next events in order. No event
// is tried that must follow another one, because that one would then arrive too late. If the
// receiver takes none of them, no event is at fault. Without later events, deliveries in other
// lanes decide, or the configured number of attempts, once. An outage may have ended between the
// attempts, so the event gets one more attempt.
Deliverer::Fault Deliverer::fault(std::vector<Event>& pending, size_t troubled,
                                  bool others_passed) {
  if (!config_.unattended) return Fault::kOfTheEvent;
  if (pending.size() == 1) extend(pending, sink_.limits(), Duration::zero());
  const size_t end = std::min(pending.size(), troubled + 1 + kOthers);
  bool taken = troubled + 1 >= end && others_passed;
  bool overtaken = false;  // by an event that must follow this one
  for (size_t i = troubled + 1; i < end && !taken; i++) {
    bool waits = false;
    for (size_t other = 0; other < i && !waits; other++) {
      waits = other != troubled && must_follow(pending[i], pending[other]);
    }
    if (waits) continue;
    overtaken = must_follow(pending[i], pending[troubled]);
    taken = passes(pending, i);
  }
  // Delivered after a later event of its key, the event would leave an old row at the receiver.
  if (taken && overtaken) return Fault::kOfTheEvent;
  if (taken) return passes(pending, troubled) ? Fault::kOver : Fault::kOfTheEvent;
  if (troubled + 1 < end || std::exchange(set_aside_unproven_, true)) return Fault::kOfTheReceiver;
  return Fault::kOfTheEvent;
}

bool Deliverer::passes(std::vector<Event>& pending, size_t other) {
  if (!queue_.may_deliver(cursor_)) return false;
  const TimePoint until = deadline();
  stats_.pulse.set_return_time(until);
  Progress one(1, {}, queue_.fence().term());
  const Delivery delivery = sink_.deliver(std::span(pending).subspan(other, 1), until, one);
  stats_.batches.fetch_add(1, std::memory_order_relaxed);
  // An event that was not begun, or has no destination, proves nothing.
  const bool taken = one.is_done(0) ? one.durable_count() > 0 : delivery && !one.is_paused();
  if (!taken) return false;
  Progress progress(pending.size());
  progress.durable(other);
  settle(pending, progress);
  return true;
}

// Sets an event aside. It counts as handled once it is on disk.
Result<void> Deliverer::write_dead_letter(std::vector<Event>& pending, size_t event,
                                          const Error& reason) {
  Result<void> put = dead_letters_->put(pending[event], config_.sink, reason);
  if (!put) {
    back_off(put.error(), std::nullopt);
    return {};
  }
  log(LogLevel::kError, "event set aside as a dead letter",
      {{"pipeline", config_.pipeline},
       {"sink", config_.sink},
       {"id", EventId(pending[event])},
       {"reason", reason.message()}});
  stats_.dead_letters.fetch_add(1, std::memory_order_relaxed);
  stats_.progress_at.store(time_.wall(), std::memory_order_relaxed);
  stats_.last_error.set(reason.message());
  set_aside(pending, event);
  troubled_times_ = 0;
  return {};
}

// Lost events do not return, so the status keeps the report for good.
void Deliverer::note_loss(const Error& error) {
  if (!error.loss) return;
  stats_.losses.fetch_add(1, std::memory_order_relaxed);
  stats_.last_loss.set(error.message());
  log(LogLevel::kError, "the receiver has lost events that it had confirmed",
      {{"pipeline", config_.pipeline}, {"sink", config_.sink}, {"error", error.message()}});
}

// The sink keeps its position, and retries at intervals.
Result<void> Deliverer::park(Error error) {
  if (!config_.unattended) return Failure(std::move(error));
  if (std::string why = error.message(); why != parked_for_) {
    parked_for_ = std::move(why);
    log(LogLevel::kError, "sink is parked until an operator fixes the cause",
        {{"pipeline", config_.pipeline},
         {"sink", config_.sink},
         {"retry_ms", config_.retry.max.count()},
         {"error", parked_for_}});
  }
  wait(SinkState::kParked, config_.retry.max, error);
  return {};
}

void Deliverer::back_off(const Error& error, std::optional<Milliseconds> at_least) {
  Milliseconds time = backoff_.next();
  if (at_least) time = std::max(time, *at_least);
  log(LogLevel::kWarn, "could not deliver, will try again",
      {{"pipeline", config_.pipeline},
       {"sink", config_.sink},
       {"attempt", failures_ + 1},
       {"wait_ms", time.count()},
       {"error", error.message()}});
  wait(SinkState::kRetrying, time, error);
}

void Deliverer::wait(SinkState state, Milliseconds time, const Error& error) {
  if (failures_++ == 0) failing_since_ = time_.now();
  stats_.retries.fetch_add(1, std::memory_order_relaxed);
  stats_.failures.store(failures_, std::memory_order_relaxed);
  stats_.last_error.set(error.message());
  stats_.state = state;
  pause(time);
}

// Sleeps. The sink keeps its connection alive, and skips events that it does not want. SIGHUP ends
// the pause, because the cause may be fixed.
void Deliverer::pause(Duration time) {
  const TimePoint end = time_.now() + time;
  retry_ = false;
  stats_.pulse.set_return_time(end);
  const auto is_over = [&] {
    return time_.now() >= end || queue_.closed() || reopen_ || retry_ || held_;
  };
  time_.sleep(std::min(time, kPatience));
  pass_over();
  while (!is_over()) {
    keep_alive();
    pass_over();
    time_.sleep(std::min(end - time_.now(), kPatience));
  }
}

void Deliverer::succeeded() {
  backoff_.reset();
  stats_.state.store(SinkState::kDelivering, std::memory_order_relaxed);
  if (failures_ == 0) return;
  auto outage = std::chrono::duration_cast<Milliseconds>(time_.now() - failing_since_);
  log(LogLevel::kInfo, "delivering again",
      {{"pipeline", config_.pipeline},
       {"sink", config_.sink},
       {"attempts", failures_},
       {"outage_ms", outage.count()}});
  failures_ = 0;
  troubled_times_ = 0;
  parked_for_.clear();
  stats_.failures.store(0, std::memory_order_relaxed);
}

void Deliverer::between_batches() {
  idle_at_ = time_.now() + kPatience;
  if (reopen_) reopen_files();
  sink_.idle();
}

void Deliverer::reopen_files() {
  reopen_ = false;
  Result<void> reopened = sink_.reopen();
  if (reopened) return;
  log(LogLevel::kError, "could not open again",
      {{"pipeline", config_.pipeline},
       {"sink", config_.sink},
       {"error", reopened.error().message()}});
}

TimePoint Deliverer::deadline() {
  return std::min(time_.now() + config_.timeout, TimePoint(Duration(limit_.load())));
}

}  // namespace walspout
