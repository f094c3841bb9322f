// Publishes events to streams of NATS JetStream.
//
// An event becomes a message whose Nats-Msg-Id is the event's id, so that the stream drops repeats
// within its duplicate window. An event is durable when the stream has acknowledged it, also as a
// repeat.
//
// Published messages cannot be recalled. So the connection stays open after the deadline, with its
// messages in flight, and the next call waits for these messages. Acknowledgements can be lost
// although the connection lives, as when a stream's leader dies. After `ack_timeout` without any,
// the sink gives up the connection, and sends the messages in flight again.
//
// The order survives: each connection sends events in order, from the first unacknowledged event
// on. The stream keeps the first of several equal messages.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mask.h"
#include "sink/common/key_mask.h"
#include "sink/common/template.h"
#include "sink/common/window.h"
#include "sink/nats/config.h"
#include "sink/nats/endpoint.h"
#include "sink/nats/link.h"
#include "sink/nats/stream.h"
#include "stream/sink.h"

namespace walspout {

class NatsSink final : public Sink, private WindowClient {
 public:
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const NatsConfig& config);
  ~NatsSink() override;

  // A stream or subject that both sinks would fill with message ids that may be equal: the stream
  // would take one's event for a repeat of the other's. Nothing: the configurations show none.
  static std::optional<std::string> common_place(const NatsConfig& a, const NatsConfig& b);

  std::string_view type() const override { return "nats"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override {
    return {.events = std::max<size_t>(4096, config_.unconfirmed), .barriers_alone = false};
  }
  // Connects, logs in, creates the stream if create_stream is set, and inspects the streams that
  // take our subjects. Keeps the connection.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return streams_.warnings(); }
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override {
    return window_.deliver(events, deadline, progress);
  }
  // Handles pings and acknowledgements, and sends the rest of unsent messages.
  void idle() override { window_.idle(); }
  void let_go() override { window_.let_go(); }

 private:
  // The subjects of messages in flight: most messages have the same subject as the one before.
  class Subjects {
   public:
    void note(uint64_t number, const std::string& subject);
    void forget_before(uint64_t number);
    const std::string& of(uint64_t number) const;
    void clear() { stretches_.clear(); }

   private:
    // From message `first` to the next stretch.
    struct Stretch {
      uint64_t first;
      std::string subject;
    };

    std::deque<Stretch> stretches_;
  };

  NatsSink(const NatsConfig& config, std::vector<NatsServer> servers, NatsLogin login,
           Router router, std::vector<std::string> filters);

  [[nodiscard]] Result<Connection> connect(TimePoint deadline) override;
  bool is_connected() const override { return link_ != nullptr; }
  bool has_room() const override { return link_->has_room(); }
  [[nodiscard]] Result<bool> submit(uint64_t number, const Event& event) override;
  [[nodiscard]] tl::expected<void, Broken> poll(TimePoint until, Flight& flight) override;
  bool can_recall() const override { return link_->can_recall(); }
  void keep_bytes() override { link_->keep_body(); }
  void abandon() override;
  Error late(const Flight& flight) const override;

  [[nodiscard]] Result<void> open(TimePoint deadline);
  Error masked(Error error) const;
  Error masked(uint64_t number, Error error) const;
  NatsLink::Answered answered(Flight& flight);
  void take_answer(uint64_t number, const NatsFrame& answer, Flight& flight);
  [[nodiscard]] tl::expected<void, Broken> judge_unplaced(Flight& flight);

  const NatsConfig config_;
  const std::vector<NatsServer> servers_;
  const NatsLogin login_;
  const Router router_;
  const bool has_key_;  // subjects contain the events' keys
  const std::string name_;
  Mask mask_;
  KeyMask keys_;
  NatsStreams streams_;
  Window window_;
  std::unique_ptr<NatsLink> link_;
  size_t server_ = 0;   // the server to try first
  bool renew_ = false;  // connect again and look for the streams again
  TimePoint heard_;     // the last acknowledgement, or the first message in flight
  Subjects subjects_;
  std::vector<uint64_t> unplaced_;  // numbers of messages that no stream took
  std::string subject_;             // reused, to save allocations; also headers_
  std::string headers_;
};

}  // namespace walspout
