#include "pipeline/deliver.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace walspout {

namespace {

constexpr Duration kPatience = std::chrono::seconds(1);
constexpr Duration kSourcePoll = std::chrono::milliseconds(100);

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
      backoff_(config_.retry) {}

Result<void> Deliverer::run() {
  Result<void> result = connect();
  std::vector<Event> batch;
  while (result && !queue_.closed()) {
    stats_.pulse.back_by(time_.now() + kPatience);
    queue_.take(cursor_, sink_.limits(), kPatience, batch);
    if (batch.empty()) {
      between_batches();
      continue;
    }
    stats_.taken_at.store(time_.wall(), std::memory_order_relaxed);
    result = deliver(batch);
    if (result && batch.empty()) queue_.done(cursor_);
    if (reopen_) between_batches();
  }
  stats_.pulse.away();
  if (!result) {
    stats_.last_error.set(result.error().message());
    stats_.state = SinkState::kStopped;
  }
  return result;
}

Result<void> Deliverer::connect() {
  while (!queue_.closed()) {
    std::optional<SourceState> source = source_();
    if (!source) {
      stats_.pulse.back_by(time_.now() + kSourcePoll);
      time_.sleep(kSourcePoll);
      continue;
    }
    const TimePoint until = deadline();
    stats_.pulse.back_by(until);
    Result<void> checked = sink_.check(*source, until);
    if (checked) {
      log(LogLevel::kInfo, "sink is ready",
          {{"pipeline", config_.pipeline}, {"sink", config_.sink}, {"endpoint", sink_.endpoint()}});
      succeeded();
      break;
    }
    if (checked.error().kind != ErrorKind::kRetry) return checked;
    back_off(checked.error(), std::nullopt);
  }
  return {};
}

Result<void> Deliverer::deliver(std::vector<Event>& pending) {
  while (!pending.empty() && !queue_.closed()) {
    Progress progress(pending.size());
    const TimePoint until = deadline();
    stats_.pulse.back_by(until);
    Delivery delivery = sink_.deliver(pending, until, progress);
    stats_.batches.fetch_add(1, std::memory_order_relaxed);
    if (delivery) {
      for (size_t i = 0; i < pending.size(); i++) {
        if (!progress.is_done(i)) progress.durable(i);
      }
      settle(pending, progress);
      succeeded();
      continue;
    }
    // Where the rejected event will be found once those that are done are gone.
    DeliveryError error = std::move(delivery.error());
    size_t before = 0;
    for (size_t i = 0; i < std::min(error.event, pending.size()); i++) {
      before += progress.is_done(i) ? 0 : 1;
    }
    error.event = before;
    if (progress.durable_count() + progress.dropped_count() > 0) backoff_.reset();
    settle(pending, progress);
    Result<void> handled = failed(pending, error);
    if (!handled) return handled;
  }
  return {};
}

// Counts the events that are done and removes them from `pending`.
void Deliverer::settle(std::vector<Event>& pending, const Progress& progress) {
  if (progress.durable_count() + progress.dropped_count() == 0) return;
  int64_t now = time_.wall();
  uint64_t bytes = 0;
  int64_t commit_time = 0;
  uint64_t same = 0;  // events in a row with that commit time
  size_t kept = 0;
  auto flush = [&] {
    if (same && commit_time) stats_.latency.add(now - commit_time, same);
    same = 0;
  };
  for (size_t i = 0; i < pending.size(); i++) {
    const Event& event = pending[i];
    if (!progress.is_done(i)) {
      if (kept != i) pending[kept] = event;
      kept++;
      continue;
    }
    bytes += event.document.size();
    if (event.commit_time != commit_time) flush();
    commit_time = event.commit_time;
    same++;
  }
  flush();
  pending.resize(kept);
  stats_.events.fetch_add(progress.durable_count(), std::memory_order_relaxed);
  stats_.dropped.fetch_add(progress.dropped_count(), std::memory_order_relaxed);
  stats_.bytes.fetch_add(bytes, std::memory_order_relaxed);
  stats_.progress_at.store(now, std::memory_order_relaxed);
}

Result<void> Deliverer::failed(std::vector<Event>& pending, const DeliveryError& error) {
  if (error.error.kind == ErrorKind::kFatal) return Failure(error.error);
  if (pending.empty()) {
    back_off(error.error, error.retry_after);
    return {};
  }
  size_t troubled = std::min(error.event, pending.size() - 1);
  const Event& event = pending[troubled];
  if (event.lsn == troubled_lsn_ && event.index == troubled_index_) {
    troubled_times_++;
  } else {
    troubled_lsn_ = event.lsn;
    troubled_index_ = event.index;
    troubled_times_ = 1;
  }

  if (error.error.kind == ErrorKind::kReject) {
    stats_.rejects.fetch_add(1, std::memory_order_relaxed);
    if (dead_letters_) return bury(pending, troubled, error.error);
    Error stop = error.error;
    stop.what = "event " + std::string(EventId(event)) + " was refused: " + stop.what +
                ". Mend what refuses it, or configure dead_letter to set such events aside";
    return Failure(std::move(stop));
  }
  if (dead_letters_ && config_.dead_letter_after && troubled_times_ >= config_.dead_letter_after) {
    if (reachable()) return bury(pending, troubled, error.error);
    troubled_times_ = 0;
  }
  back_off(error.error, error.retry_after);
  return {};
}

// Whether a failure may be the event's. While the receiver is away nothing is: setting events aside
// one after the other would make of an outage a hole.
bool Deliverer::reachable() {
  return sink_.check(source_().value_or(SourceState{}), deadline()).has_value();
}

// Sets an event aside; it counts as handled once that is on disk.
Result<void> Deliverer::bury(std::vector<Event>& pending, size_t event, const Error& reason) {
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
  pending.erase(pending.begin() + static_cast<ptrdiff_t>(event));
  troubled_times_ = 0;
  return {};
}

void Deliverer::back_off(const Error& error, std::optional<Milliseconds> at_least) {
  if (failures_++ == 0) failing_since_ = time_.now();
  Milliseconds wait = backoff_.next();
  if (at_least) wait = std::max(wait, *at_least);
  stats_.retries.fetch_add(1, std::memory_order_relaxed);
  stats_.failures.store(failures_, std::memory_order_relaxed);
  stats_.last_error.set(error.message());
  stats_.state = SinkState::kRetrying;
  log(LogLevel::kWarn, "could not deliver, will try again",
      {{"pipeline", config_.pipeline},
       {"sink", config_.sink},
       {"attempt", failures_},
       {"wait_ms", wait.count()},
       {"error", error.message()}});
  stats_.pulse.back_by(time_.now() + wait);
  time_.sleep(wait);
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
  stats_.failures.store(0, std::memory_order_relaxed);
}

void Deliverer::between_batches() {
  if (reopen_.exchange(false)) {
    Result<void> reopened = sink_.reopen();
    if (!reopened) {
      log(LogLevel::kError, "could not open again",
          {{"pipeline", config_.pipeline},
           {"sink", config_.sink},
           {"error", reopened.error().message()}});
    }
  }
  sink_.idle();
}

TimePoint Deliverer::deadline() {
  return std::min(time_.now() + config_.timeout, TimePoint(Duration(limit_.load())));
}

}  // namespace walspout
