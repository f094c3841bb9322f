// Events to an exchange of RabbitMQ.
//
// An event becomes a persistent message with the event's id as its message_id, published as
// mandatory: durable is what the broker confirmed and some queue took.
//
// An unroutable message is a kReject. A nack (a queue that is full and set to reject, or in
// trouble) is a kRetry. A broker that blocks publishers, short of memory or disk, is waited for up
// to the deadline.
//
// What was published cannot be recalled: a broker publishes what it has received of a connection
// when it reads again, long after that was closed. So the connection is kept beyond the deadline,
// as long as it lives, with its messages under way: the next call waits for the same ones.
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
  // Connects, logs in, looks for the exchange, or declares it, and asks whether the broker takes
  // messages now. The connection is kept.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override {
    return window_.deliver(events, deadline, progress);
  }
  // Heartbeats, confirms, and the rest of messages that the broker has not read.
  void idle() override { window_.idle(); }

 private:
  RabbitmqSink(RabbitmqEndpoint endpoint, const RabbitmqConfig& config, Router router);

  [[nodiscard]] Result<Connection> connect(TimePoint deadline) override;
  bool is_connected() const override { return link_ != nullptr; }
  bool has_room() const override { return !blocked_ && link_->has_room(); }
  [[nodiscard]] Result<bool> submit(uint64_t number, const Event& event) override;
  [[nodiscard]] tl::expected<void, Broken> poll(TimePoint until, Flight& flight) override;
  void keep_bytes() override { link_->keep_body(); }
  void abandon() override;
  Error late(const Flight& flight) const override;

  [[nodiscard]] tl::expected<void, Broken> hear(const RabbitmqNews& news, Flight& flight);
  void hear_confirm(const RabbitmqNews& news, Flight& flight);
  void hear_return(const RabbitmqNews& news, const Flight& flight);
  Broken closed(const RabbitmqNews& news, const Flight& flight) const;

  RabbitmqEndpoint endpoint_;
  RabbitmqConfig config_;
  Router router_;
  const bool has_key_;  // routing keys have the events' keys in them
  KeyMask keys_;
  std::string name_;
  Window window_;
  std::unique_ptr<RabbitmqLink> link_;
  std::optional<std::string> blocked_;  // why the broker wants no messages now
  std::map<uint64_t, Error>
      returned_;             // by tag: no queue takes the message, and the confirm follows
  std::string routing_key_;  // kept for its memory
};

}  // namespace walspout
