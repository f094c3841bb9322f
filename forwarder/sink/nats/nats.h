// Events to streams of NATS JetStream.
//
// An event becomes a message whose Nats-Msg-Id is the event's id, so that the stream drops repeats
// within its duplicate window. Durable is what the stream acknowledged, as a repeat, too.
//
// What was published cannot be recalled. So the connection is kept beyond the deadline, as long as
// it lives, with its messages under way: the next call waits for the same ones. Acknowledgements
// can be lost without the connection, as when a stream's leader dies: after `ack_timeout` without
// any the connection is given up, and what was under way is sent again.
//
// The order survives that: each connection sends a stretch of the stream in order, from the first
// event on that is not acknowledged, and the stream keeps the first of several equal messages.
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

  // A stream, or a subject, that both would fill although their message ids may be the same: the
  // stream would take an event of one for a repeat of the other's. Nothing: there is none, as far
  // as the configuration says.
  static std::optional<std::string> common_place(const NatsConfig& a, const NatsConfig& b);

  std::string_view type() const override { return "nats"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override {
    return {.events = std::max<size_t>(4096, config_.unconfirmed), .barriers_alone = false};
  }
  // Connects, logs in, makes the stream if that is configured, and looks at the streams that take
  // our subjects. The connection is kept.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  std::vector<std::string> warnings() const override { return streams_.warnings(); }
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override {
    return window_.deliver(events, deadline, progress);
  }
  // Pings, acknowledgements, and the rest of messages that the server has not read.
  void idle() override { window_.idle(); }

 private:
  // The subjects of what is under way: most messages have that of the one before.
  class Subjects {
   public:
    void note(uint64_t number, const std::string& subject);
    void forget_before(uint64_t number);
    const std::string& of(uint64_t number) const;
    void clear() { stretches_.clear(); }

   private:
    // From this message on, up to where the next one begins.
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
  void keep_bytes() override { link_->keep_body(); }
  void abandon() override;
  Error late(const Flight& flight) const override;

  [[nodiscard]] Result<void> open(TimePoint deadline);
  Error masked(Error error) const;
  Error masked(uint64_t number, Error error) const;
  NatsLink::Answered answered(Flight& flight);
  void take_answer(uint64_t number, const NatsFrame& answer, Flight& flight);
  [[nodiscard]] tl::expected<void, Broken> judge_homeless(Flight& flight);

  const NatsConfig config_;
  const std::vector<NatsServer> servers_;
  const NatsLogin login_;
  const Router router_;
  const bool has_key_;  // subjects have the events' keys in them
  const std::string name_;
  Mask mask_;
  KeyMask keys_;
  NatsStreams streams_;
  Window window_;
  std::unique_ptr<NatsLink> link_;
  size_t server_ = 0;   // the one to begin with
  bool renew_ = false;  // streams have to be looked for again, on another connection
  TimePoint heard_;     // the last acknowledgement, or the first message after all had theirs
  Subjects subjects_;
  std::vector<uint64_t> homeless_;  // numbers of messages that no stream took
  std::string subject_;             // kept for its memory, as is the next one
  std::string headers_;
};

}  // namespace walspout
