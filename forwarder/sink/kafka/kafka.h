// Events to topics of Kafka.
//
// An event becomes a message whose key is the bytes of the event's key object, and whose value is
// the document. Durable is what all replicas in sync have (acks=all). Messages of one key go to one
// partition, in their order: the producer is idempotent, so that neither a repetition nor a gap
// comes of a broker that dies.
//
// The library never gives a message up: how long to wait is the caller's policy. So what is in
// flight at the deadline stays in flight, and the next call waits for the same messages.
//
// With exactly_once the messages go in transactions (exactly_once.h), and what is committed is
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
    // The end of a call waits for all of it: that is to be seldom.
    return {.events = std::max<size_t>(4096, 4 * config_.unconfirmed), .bytes = kBatchBytes};
  }
  // Connects, and looks for the topics whose names are known without an event; makes them if that
  // is configured. The connection is kept.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return warnings_; }
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  void idle() override { window_.idle(); }
  // A producer that was fenced takes over again.
  [[nodiscard]] Result<void> reopen() override {
    once_.reopen();
    return {};
  }

 private:
  static constexpr size_t kBatchBytes = 32u << 20;
  // Without any report while a broker is connected, the library's producer is given up: it has been
  // seen to wait for ever after a broker was killed. Longer than the library takes to notice that a
  // broker is silent, so that no new producer repeats what that one has.
  static constexpr Duration kStuck = std::chrono::minutes(2);
  // Of documents in flight, which the library has copies of.
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
  // Waits until `until` for reports; takes in all that are there.
  [[nodiscard]] tl::expected<void, Broken> take_reports(TimePoint until, Flight& flight);
  // With exactly_once: the same, and commits where nothing is to be added.
  [[nodiscard]] tl::expected<void, Broken> settle(TimePoint until, Flight& flight);
  [[nodiscard]] tl::expected<bool, Broken> complete(TimePoint until, Flight& flight);
  [[nodiscard]] tl::expected<void, Broken> commit(TimePoint until, Flight& flight);
  void undo(Flight& flight);
  tl::unexpected<Broken> broken(Error error);
  Broken stuck(const Flight& flight) const;
  [[nodiscard]] tl::expected<void, Broken> hear(rd_kafka_event_t* reports, Flight& flight);
  [[nodiscard]] tl::expected<void, Broken> fail(const rd_kafka_message_t& message, uint64_t number,
                                                size_t together, Flight& flight);
  Error gone(const std::string& topic) const;
  void blame(Error error, uint64_t number, size_t together, Flight& flight);

  const KafkaConfig config_;
  const KafkaOptions options_;
  const Router router_;
  const std::string name_;
  TimePoint heard_;  // the last report, or when nothing was in flight, or no broker connected
  Window window_;
  KafkaExactlyOnce once_;
  std::unique_ptr<KafkaLink> link_;
  std::vector<std::string> warnings_;
  TimePoint deadline_;            // of the call
  Progress* progress_ = nullptr;  // of deliver(), while that runs
  std::unordered_map<uint64_t, size_t>
      several_;                     // reports to come, of events with several messages
  std::optional<Error> half_sent_;  // of an event with several messages, some of which are sent;
                                    // or of a transaction that did not begin
  std::string topic_name_;          // kept for its memory
};

}  // namespace walspout
