// Events to an exchange of RabbitMQ.
//
// An event becomes a persistent message with the event's id as its message_id, published as
// mandatory: durable is what the broker confirmed and some queue took. Many messages are under way
// at a time, so after a refused one others may have arrived; they are not marked as done, and come
// again behind it. What was refused once is likely to be refused again, and then taken at some
// moment in between: so as many messages as may have been under way go one at a time after it, that
// none overtakes another.
//
// An unroutable message is a kReject. A nack (a queue that is full and set to reject, or in
// trouble) is a kRetry. A broker that blocks publishers, short of memory or disk, is waited for up
// to the deadline.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sink/config.h"
#include "sink/rabbitmq_link.h"
#include "sink/sink.h"
#include "sink/template.h"

namespace walspout {

class RabbitmqSink final : public Sink {
 public:
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const RabbitmqConfig& config);

  std::string_view type() const override { return "rabbitmq"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override { return {.barriers_alone = false}; }
  // Connects, logs in and looks for the exchange, or declares it.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  // Heartbeats.
  void idle() override;

 private:
  // The call under way.
  struct Call {
    std::span<const Event> events;
    TimePoint deadline;
    uint64_t tag_before;                   // of the connection's last message before the call
    std::vector<size_t> published;         // events, in the order of their tags
    std::vector<bool> confirmed;           // of those
    size_t waiting = 0;                    // not confirmed yet
    size_t first_unsure = 0;               // all before it are confirmed
    std::optional<DeliveryError> refused;  // the first in order; nothing is published after it
  };

  RabbitmqSink(RabbitmqEndpoint endpoint, const RabbitmqConfig& config, Router router);

  [[nodiscard]] Result<void> connect(TimePoint deadline);
  [[nodiscard]] Delivery publish_all(Call& call, Progress& progress);
  [[nodiscard]] Delivery publish(Call& call, size_t event, Progress& progress);
  // Takes in what the broker said: waiting for something, or just what is there.
  [[nodiscard]] Delivery listen(Call& call, bool wait);
  [[nodiscard]] Delivery hear(Call& call, const RabbitmqNews& news);
  void confirm(Call& call, const RabbitmqNews& news);
  void refuse(Call& call, DeliveryError error) const;
  DeliveryError closed(const Call& call, const RabbitmqNews& news) const;
  DeliveryError late() const;

  RabbitmqEndpoint endpoint_;
  RabbitmqConfig config_;
  Router router_;
  std::string name_;
  std::unique_ptr<RabbitmqLink> link_;
  std::optional<std::string> blocked_;  // why the broker wants no messages now
  std::string routing_key_;             // kept for its memory
  size_t alone_ = 0;                    // messages that are to go one at a time
};

}  // namespace walspout
