// Sends events to topics of Kafka.
//
// An event becomes a message whose key is the bytes of the event's key object, and whose value is
// the document. A message is durable when all in-sync replicas have it (acks=all). Messages of one
// key go to one partition, in order. The producer is idempotent, so the death of a broker causes
// neither a repeat nor a gap.
//
// The library never gives up a message, because the caller decides how long to wait. So messages in
// flight at the deadline stay in flight, and the next call waits for them.
//
// With exactly_once, messages go in transactions (exactly_once.h), and committed messages are
// durable. A transaction ends when there is nothing to add, or when it is large or old.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sink/common/template.h"
#include "sink/common/window.h"
#include "sink/kafka/config.h"
#include "sink/kafka/exactly_once.h"
#include "sink/kafka/link.h"
#include "sink/kafka/message.h"
#include "sink/kafka/options.h"
#include "stream/sink.h"

namespace walspout {

class KafkaSink final : public Sink, private WindowClient {
 public:
  ~KafkaSink() override;
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const KafkaConfig& config);

  std::string_view type() const override { return "kafka"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override {
    // Each call waits for all its messages at its end, so calls must be large.
    return {.events = std::max<size_t>(4096, 4 * config_.unconfirmed), .bytes = kBatchBytes};
  }
  // Connects, and looks for the topics whose names are known without an event. Makes them if
  // create_topics is set. Keeps the connection.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return warnings_; }
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  void idle() override;
  // The library would send waiting messages whenever a broker is back.
  void let_go() override;
  // A fenced producer takes over again.
  [[nodiscard]] Result<void> reopen() override {
    once_.reopen();
    return {};
  }

 private:
  static constexpr size_t kBatchBytes = 32u << 20;
  // Give up the producer if it reports nothing for so long while a broker is connected: after the
  // kill of a broker, one was seen to wait forever. This is longer than the library needs to detect
  // a silent broker. Otherwise a new producer could repeat what that broker has.
  static constexpr Duration kStuck = std::chrono::minutes(2);
  // The size of documents in flight, at most; the library has copies of them.
  static constexpr size_t kFlightBytes = 32u << 20;

  KafkaSink(const KafkaConfig& config, KafkaOptions options, Router router);

  [[nodiscard]] Result<Connection> connect(TimePoint deadline) override;
  bool is_connected() const override { return link_ != nullptr; }
  [[nodiscard]] Result<bool> submit(uint64_t number, const Event& event) override;
  [[nodiscard]] tl::expected<void, Broken> poll(TimePoint until, Flight& flight) override;
  void abandon() override;
  Error late(const Flight& flight) const override;

  bool has_room() const override;
  void drop_link(Milliseconds patience);
  [[nodiscard]] Result<void> check_topics(const SourceState& source, TimePoint deadline);
  [[nodiscard]] Result<void> produce(rd_kafka_topic_t* topic, const Event& event,
                                     const KafkaMessages::Message& message, void* opaque);
  // Waits until `until` for reports, and takes all that are there.
  [[nodiscard]] tl::expected<void, Broken> take_reports(TimePoint until, Flight& flight);
  // With exactly_once: likewise, and commits if there is nothing to add.
  [[nodiscard]] tl::expected<void, Broken> settle(TimePoint until, Flight& flight);
  [[nodiscard]] tl::expected<bool, Broken> complete(TimePoint until, Flight& flight);
  [[nodiscard]] tl::expected<void, Broken> commit(TimePoint until, Flight& flight);
  void undo(Flight& flight);
  tl::unexpected<Broken> broken(Error error);
  Broken stuck(const Flight& flight) const;
  [[nodiscard]] tl::expected<void, Broken> take_events(rd_kafka_event_t* reports, Flight& flight);
  [[nodiscard]] tl::expected<void, Broken> fail(const rd_kafka_message_t& message, uint64_t number,
                                                size_t together, Flight& flight);
  Error gone(const std::string& topic) const;
  std::string where_to_look() const;
  void blame(Error error, uint64_t number, size_t together, Flight& flight);

  const KafkaConfig config_;
  const KafkaOptions options_;
  const Router router_;
  const std::string name_;
  TimePoint heard_;  // last report, or last time without messages in flight or without a broker
  Window window_;
  KafkaExactlyOnce once_;
  std::unique_ptr<KafkaLink> link_;
  std::vector<std::string> warnings_;
  TimePoint deadline_;            // of the current call
  Progress* progress_ = nullptr;  // of deliver(), during the call
  std::unordered_map<uint64_t, size_t>
      pending_reports_;             // pending reports of events with several messages
  std::optional<Error> half_sent_;  // an event with several messages was sent in part,
                                    // or a transaction did not begin
  std::string topic_name_;          // reused, to save allocations
};

}  // namespace walspout
