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
//
// What was published cannot be recalled: a broker publishes what it has received of a connection
// when it reads again, long after that was closed. So the connection is kept beyond the deadline,
// as long as it lives, with its messages under way: the next call waits for the same ones.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "sink/common/template.h"
#include "sink/rabbitmq/config.h"
#include "sink/rabbitmq/link.h"
#include "stream/sink.h"

namespace walspout {

class RabbitmqSink final : public Sink {
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
                                 Progress& progress) override;
  // Heartbeats, confirms, and the rest of messages that the broker has not read.
  void idle() override;

 private:
  static constexpr size_t kNone = SIZE_MAX;

  // A message under way.
  struct Message {
    Lsn lsn;  // and index: the event's id
    uint64_t index;
    size_t size;   // of the document
    size_t event;  // in the call under way; kNone: the call has it not
    bool confirmed = false;
    std::unique_ptr<Error> error{};  // it was refused
  };
  // The call under way.
  struct Call {
    std::span<const Event> events;
    TimePoint deadline;
    Progress& progress;
    std::optional<DeliveryError> unfit;  // an event that was not published; nothing is, after it
  };

  RabbitmqSink(RabbitmqEndpoint endpoint, const RabbitmqConfig& config, Router router);

  [[nodiscard]] Result<void> connect(TimePoint deadline);
  void give_up();
  // Finds the messages under way among the events; how many it found. Without a match the
  // connection is given up.
  size_t resume(std::span<const Event> events);
  [[nodiscard]] Delivery run(Call& call, size_t begin);
  [[nodiscard]] Delivery publish_all(Call& call, size_t begin);
  void publish(Call& call, size_t event);
  // Takes in what the broker said: waiting for something, or just what is there.
  [[nodiscard]] Delivery listen(Call& call, bool wait);
  [[nodiscard]] Delivery hear(const RabbitmqNews& news);
  void hear_confirm(const RabbitmqNews& news);
  void hear_return(const RabbitmqNews& news);
  // Marks the messages that are confirmed, up to the first that is not or was refused.
  void settle(Progress& progress);
  bool is_over() const;
  DeliveryError closed(const RabbitmqNews& news) const;
  Error late() const;

  RabbitmqEndpoint endpoint_;
  RabbitmqConfig config_;
  Router router_;
  std::string name_;
  std::unique_ptr<RabbitmqLink> link_;
  std::optional<std::string> blocked_;  // why the broker wants no messages now
  std::deque<Message> under_way_;       // of link_, in the order of their tags
  uint64_t first_tag_ = 1;              // of the first of them
  size_t waiting_ = 0;                  // of them not confirmed yet
  size_t refused_ = 0;                  // of them
  std::string routing_key_;             // kept for its memory
  size_t alone_ = 0;                    // messages that are to go one at a time
};

}  // namespace walspout
