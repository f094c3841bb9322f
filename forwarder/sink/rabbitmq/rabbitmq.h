// Publishes events to an exchange of RabbitMQ.
//
// An event becomes a persistent message with the event's id as its message_id, published as
// mandatory. The event is durable when the broker has confirmed it and a queue took it.
//
// An unroutable message is a kReject. A nack (a full queue that rejects, or a failing queue) is a
// kRetry. If the broker lacks memory or disk and blocks publishers, the sink waits up to the
// deadline.
//
// Published messages cannot be recalled: a broker that reads again publishes what it has received,
// even long after the connection was closed. So the connection stays open after the deadline, with
// its messages in flight, and the next call waits for these messages.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sink/common/key_mask.h"
#include "sink/common/template.h"
#include "sink/common/window.h"
#include "sink/rabbitmq/config.h"
#include "sink/rabbitmq/link.h"
#include "stream/sink.h"

namespace walspout {

class RabbitmqSink final : public Sink, private WindowClient {
 public:
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const RabbitmqConfig& config);
  ~RabbitmqSink() override;

  std::string_view type() const override { return "rabbitmq"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override {
    return {.events = std::max<size_t>(4096, config_.unconfirmed), .barriers_alone = false};
  }
  // Connects, logs in, checks or declares the exchange, and asks whether the broker takes messages
  // now. Keeps the connection.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override {
    return window_.deliver(events, deadline, progress);
  }
  // Handles heartbeats and confirms, and sends the rest of unsent messages.
  void idle() override { window_.idle(); }
  void let_go() override { window_.let_go(); }

 private:
  RabbitmqSink(RabbitmqEndpoint endpoint, const RabbitmqConfig& config, Router router);

  [[nodiscard]] Result<Connection> connect(TimePoint deadline) override;
  bool is_connected() const override { return link_ != nullptr; }
  bool has_room() const override { return !blocked_ && link_->has_room(); }
  [[nodiscard]] Result<bool> submit(uint64_t number, const Event& event) override;
  [[nodiscard]] tl::expected<void, Broken> poll(TimePoint until, Flight& flight) override;
  bool can_recall() const override { return link_->can_recall(); }
  void keep_bytes() override { link_->keep_body(); }
  void abandon() override;
  Error late(const Flight& flight) const override;

  [[nodiscard]] tl::expected<void, Broken> hear(const RabbitmqNews& news, Flight& flight);
  void handle_confirm(const RabbitmqNews& news, Flight& flight);
  void handle_return(const RabbitmqNews& news, const Flight& flight);
  Broken closed(const RabbitmqNews& news, const Flight& flight) const;

  RabbitmqEndpoint endpoint_;
  RabbitmqConfig config_;
  Router router_;
  const bool has_key_;  // routing keys contain the events' keys
  KeyMask keys_;
  std::string name_;
  Window window_;
  std::unique_ptr<RabbitmqLink> link_;
  std::optional<std::string> blocked_;  // why the broker takes no messages now
  std::map<uint64_t, Error> returned_;  // by tag: messages without a queue; the confirm follows
  std::string routing_key_;             // reused, to save allocations
};

}  // namespace walspout
