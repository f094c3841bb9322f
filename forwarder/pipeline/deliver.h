// Delivers events from the queue to a sink, and has the policy for errors. One Deliverer and one
// thread for each sink. The scope of an error decides:
//
// - event: a rejected event becomes a dead letter. So does an event that failed as often as the
//   configuration allows, if the receiver takes other events. Without dead letters, a rejected
//   event parks the sink.
// - batch: halves, down to a single event. The sink then blames that event, or the destination.
// - destination: the same events again after the backoff, for ever. An outage never produces a
//   dead letter.
// - configuration: the sink is parked. A parked sink keeps its position, reports the remedy, and
//   retries every `retry.max`, so that no restart is needed after the fix.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/result.h"
#include "pipeline/dead_letter.h"
#include "stream/queue.h"
#include "stream/sink.h"
#include "stream/stats.h"

namespace walspout {

// The clock of a Deliverer. Tests replace it by a clock that does not wait.
class Timekeeper {
 public:
  virtual ~Timekeeper() = default;
  virtual TimePoint now() { return Clock::now(); }
  virtual int64_t wall() { return wall_micros(); }
  virtual void sleep(Duration time) = 0;  // returns early when the pipeline stops
};

struct DeliverConfig {
  std::string pipeline;  // for logs
  std::string sink;      // likewise, and in dead letters
  BackoffConfig retry;
  Duration timeout = std::chrono::seconds(60);  // of one call of the sink
  uint64_t dead_letter_after = 0;               // failed attempts of an event; 0: never
  // False: a person waits for the result. Errors that would park the sink are returned, and the
  // number of failed attempts alone blames an event.
  bool unattended = true;
};

class Deliverer {
 public:
  // All arguments outlive this object. `dead_letters` may be null: there is no file. `source`
  // returns nothing until the source streams; until then the sink is not used.
  Deliverer(Sink& sink, EventQueue& queue, size_t cursor, DeliverConfig config,
            DeadLetters* dead_letters, SinkStats& stats, Timekeeper& time,
            std::function<std::optional<SourceState>()> source);

  // Delivers until the queue is closed. Error: the receiver is gone for good.
  Result<void> run();

  // The parts of run(), for a caller without a stream of events, on one thread.
  //
  // Checks the sink until it is ready, the queue is closed, or an error stops.
  Result<void> connect();

  // Delivers events. Returns when `pending` is empty or the queue is closed, or with an error that
  // stops the pipeline.
  Result<void> deliver(std::vector<Event>& pending);

  // From now on no call of the sink may last beyond `deadline`. From any thread.
  void limit(TimePoint deadline) { limit_.store(deadline.time_since_epoch().count()); }

  // Reopens the sink's files before the next delivery, and ends a pause between attempts. From any
  // thread.
  void reopen() { reopen_ = true; }

  // Ends a pause between attempts. From any thread.
  void retry() { retry_ = true; }

  // Stops deliveries until hold(false). A delivery in flight ends first. From any thread.
  void hold(bool held) { held_ = held; }
  bool is_held() const { return held_; }

 private:
  void wait_while_held();
  void leave_out(size_t events);
  void keep_alive();
  void pass_over();
  Result<void> failed(std::vector<Event>& pending, const DeliveryError& error, bool others_passed);
  Result<void> event_failed(std::vector<Event>& pending, const DeliveryError& error,
                            bool others_passed);
  void split(const DeliveryError& error, size_t attempted);
  size_t attempt_size(const std::vector<Event>& pending);
  void offer_rest(const std::vector<Event>& pending, size_t attempted, bool may_grow,
                  Progress& progress);
  enum class Fault { kOfTheEvent, kOfTheReceiver, kOver };  // kOver: the event is delivered now
  Fault fault(std::vector<Event>& pending, size_t troubled, bool others_passed);
  bool passes(std::vector<Event>& pending, size_t other);
  Result<void> write_dead_letter(std::vector<Event>& pending, size_t event, const Error& reason);
  void extend(std::vector<Event>& pending, const BatchLimits& limits, Duration patience);
  void settle(std::vector<Event>& pending, const Progress& progress);
  void set_aside(std::vector<Event>& pending, size_t event);
  void release();
  void note_loss(const Error& error);
  Result<void> park(Error error);
  void back_off(const Error& error, std::optional<Milliseconds> at_least);
  void wait(SinkState state, Milliseconds time, const Error& error);
  void pause(Duration time);
  void succeeded();
  void between_batches();
  void reopen_files();
  TimePoint deadline();

  Sink& sink_;
  EventQueue& queue_;
  const size_t cursor_;
  const DeliverConfig config_;
  DeadLetters* const dead_letters_;
  SinkStats& stats_;
  Timekeeper& time_;
  const std::function<std::optional<SourceState>()> source_;
  Backoff backoff_;
  TimePoint failing_since_;
  uint64_t failures_ = 0;  // attempts in a row that failed
  Lsn troubled_lsn_;       // the event that failed last.
  uint64_t troubled_index_ = 0;
  char troubled_op_ = 0;
  uint64_t troubled_times_ = 0;      // its failures in a row.
  size_t at_once_ = SIZE_MAX;        // events in an attempt; halved when a batch fails.
  bool extended_ = false;            // `pending` has events of several takes.
  size_t uncut_ = 0;                 // so many first events have no barrier between them.
  std::deque<size_t> takes_;         // the number of events left of each piece taken.
  bool set_aside_unproven_ = false;  // an event was set aside since the last success.
  TimePoint idle_at_{};              // next call of the sink's idle().
  std::string parked_for_;           // the last reason logged for parking.
  std::atomic<TimePoint::rep> limit_{TimePoint::max().time_since_epoch().count()};
  std::atomic<bool> reopen_{false};
  std::atomic<bool> retry_{false};
  std::atomic<bool> held_{false};
};

}  // namespace walspout
