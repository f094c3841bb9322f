// Kafka topics that walspout's sink has filled, as the input of a pipeline.
//
// A forwarder is a member of a consumer group, and has some of the partitions. An offset is
// committed when every sink is done with all messages before it. The library commits nothing by
// itself.
//
// When a partition goes to another member, the input waits for the delivery of its events, within
// the time that the group allows. Then it discards the rest, so that no old event follows what the
// next member delivers. Partitions that stay are read again. Events that a sink had already sent
// may be delivered twice.
//
// The queue's fence is open while the group has given us partitions. While this process was frozen,
// the group may have given them to others. Then only a successful commit opens the fence again.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/wake.h"
#include "source/kafka/config.h"
#include "source/kafka/consumer.h"
#include "source/kafka/message.h"
#include "source/kafka/offsets.h"
#include "stream/input.h"
#include "stream/queue.h"

namespace walspout {

class KafkaInput final : public Input {
 public:
  // Sets a foreign message aside; the event's document holds the whole message. Returns when the
  // message is on disk.
  using SetAside = std::function<Result<void>(const Event& event, const Error& reason)>;

  // All arguments outlive this object.
  KafkaInput(std::string pipeline, const KafkaSourceConfig& config, EventQueue& queue,
             const Wake& wake, BackoffConfig retry, SetAside set_aside);

  Result<void> run() override;
  void stop(TimePoint drain_until) override;
  void renew() override;

  const InputStats& stats() const override { return stats_; }
  std::string_view waits_for() const override { return "partitions"; }
  std::vector<InputFigure> figures() const override;
  std::optional<SourceState> state() const override;

 private:
  using Key = KafkaOffsets::Key;
  using Offsets = KafkaConsumer::Offsets;

  // An event that is not handed over yet. The library's event keeps the bytes.
  struct Taken {
    KafkaConsumer::Event message;
    Event event;
    std::shared_ptr<const Table> table;
  };

  Result<void> run_until_stopped();
  void renew_secrets();
  Result<void> consume_once();
  Result<void> consume();
  Result<void> receive();
  Result<void> handle_event(KafkaConsumer::Event event);
  Result<void> take(KafkaConsumer::Event event);
  Result<void> foreign(const rd_kafka_message_t& message, const Error& why);
  Result<void> handle_error(rd_kafka_event_t* event);
  void note_trouble(const Error& error);
  void hand_over();
  std::shared_ptr<const Table> table_of(const KafkaEvent& found);
  KafkaOffsets::Place* place_of(const rd_kafka_message_t& message);

  Result<void> rebalance(rd_kafka_event_t* event);
  Result<void> assign(const std::vector<Key>& partitions);
  Result<void> revoke(const std::vector<Key>& partitions);
  void settle(const std::vector<Key>& partitions);
  Result<void> abandon(const std::vector<Key>& gone);
  void commit_last(const std::vector<Key>& partitions);
  void leave();
  void update_phase();

  void pause_or_resume(bool room);
  void commit();
  void handle_commit(rd_kafka_event_t* event);
  void show_life();
  Result<void> look();
  Result<void> stay_down();
  void update_handled();
  void drain();
  void wait(TimePoint until);
  void pause(Duration time);
  std::vector<Key> ours() const;
  bool stopping() const { return stop_.load(); }
  TimePoint drain_until() const { return TimePoint(Duration(drain_until_.load())); }

  const std::string pipeline_;
  KafkaSourceConfig config_;  // secrets may change
  EventQueue& queue_;
  const Wake& wake_;
  const SetAside set_aside_;
  InputStats stats_;
  Backoff backoff_;
  std::unique_ptr<KafkaConsumer> consumer_;
  KafkaOffsets offsets_;
  std::vector<Taken> taken_;
  size_t taken_bytes_ = 0;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const Table>> tables_;
  std::shared_ptr<const Table> last_table_;
  std::vector<KafkaHeader> headers_;              // a member only to reuse its memory.
  const rd_kafka_topic_t* last_topic_ = nullptr;  // of the last message.
  int32_t last_partition_ = 0;                    // likewise.
  KafkaOffsets::Place* last_place_ = nullptr;     // likewise.
  bool joined_ = false;                           // the group has answered.
  bool more_ = false;                             // the library may have more events.
  bool paused_ = false;                           // the library's reading is paused.
  std::optional<TimePoint> full_since_;           // since when the queue is full.
  std::optional<TimePoint> announce_at_;
  bool committing_ = false;
  TimePoint commit_at_{};  // no commit before this time
  TimePoint prove_at_{};
  TimePoint look_at_{};  // next look() at the partitions' ends and lost brokers
  std::string trouble_said_;
  std::atomic<bool> began_{false};
  std::atomic<uint64_t> partitions_{0};
  std::atomic<uint64_t> lag_{0};
  std::atomic<uint64_t> foreign_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> renew_{false};
  std::atomic<TimePoint::rep> drain_until_{0};
};

}  // namespace walspout
