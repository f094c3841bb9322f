// A running pipeline: a thread that reads the stream, a thread that reads rows for backfills, a
// thread for each sink, and the queue between them.
//
// It ends when it is stopped, or after a failure that only an operator can fix. Until then it
// retries, whatever happens to other pipelines.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "backfill/backfill.h"
#include "base/wake.h"
#include "config/config.h"
#include "pipeline/dead_letter_file.h"
#include "pipeline/deliver.h"
#include "pipeline/sleeper.h"
#include "stream/input.h"
#include "stream/queue.h"
#include "stream/sink.h"
#include "stream/stats.h"
#include "stream/tap.h"

namespace walspout {

class Pipeline {
 public:
  // Makes sinks and files, and does not connect. kFatal: the configuration is wrong. kRetry: a file
  // or directory is not available now. `ended` is called once, on a thread of the pipeline, when
  // the last of its threads is about to end.
  static Result<std::unique_ptr<Pipeline>> make(const PipelineConfig& config,
                                                std::function<void()> ended);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  void start();

  // Stops reading, lets the sinks finish until the deadline, confirms, and ends.
  void stop(TimePoint drain_until);

  // Call it after the end.
  void join();

  // SIGHUP: opens files and reads secrets in files again. Pending retries run now.
  void reopen();

  // Makes a sink retry at once, hold deliveries, or continue. From any thread.
  void retry(size_t sink) { lanes_[sink]->deliverer->retry(); }
  void hold(size_t sink, bool held) { lanes_[sink]->deliverer->hold(held); }
  bool is_held(size_t sink) const { return lanes_[sink]->deliverer->is_held(); }

  // The name of a thread that is late by more than `grace`; empty: none.
  std::string late_thread(TimePoint now, Duration grace) const;

  bool has_ended() const { return running_ == 0; }
  bool has_failed() const { return failed_; }
  // The pipeline has failed, and would fail again until the configuration is edited.
  bool is_misconfigured() const { return misconfigured_; }

  // For the status server.
  const PipelineConfig& config() const { return config_; }
  const Input& input() const { return *input_; }
  const SinkStats& sink_stats(size_t i) const { return lanes_[i]->stats; }
  std::string endpoint(size_t i) const { return lanes_[i]->endpoint; }
  const EventQueue& queue() const { return *queue_; }
  Tap& tap() const { return *tap_; }
  const Backfill* backfill() const { return backfill_.get(); }
  std::vector<BackfillRecord> backfills() const {
    return backfill_ != nullptr ? backfill_->records() : std::vector<BackfillRecord>{};
  }
  uint64_t waiting(size_t i) const { return queue_->pushed() - queue_->handled(i); }

 private:
  struct Lane {
    std::unique_ptr<Sink> sink;
    std::string endpoint;
    SinkStats stats;
    Sleeper sleeper;
    std::unique_ptr<Deliverer> deliverer;
  };

  explicit Pipeline(const PipelineConfig& config);
  void run(std::function<Result<void>()> body, const std::string& name);
  void close();

  const PipelineConfig config_;
  std::function<void()> ended_;
  Wake wake_;
  std::unique_ptr<Tap> tap_;
  std::unique_ptr<EventQueue> queue_;
  std::unique_ptr<DeadLetterFile> dead_letters_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<Backfill> backfill_;  // null: the input has none
  std::unique_ptr<Input> input_;
  std::vector<std::thread> threads_;
  std::atomic<size_t> running_{0};
  std::atomic<bool> failed_{false};
  std::atomic<bool> misconfigured_{false};
};

}  // namespace walspout
