// One connection to RabbitMQ with one channel in confirm mode.
//
// A broker may send anything at any time; the link reduces that to the news that a publisher needs.
// No function waits for a broker that does not read: unsent bytes stay here, and go out in order
// when the broker reads again.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/common/socket.h"
#include "sink/rabbitmq/config.h"
#include "sink/rabbitmq/endpoint.h"
#include "sink/rabbitmq/wire.h"
#include "stream/sink.h"

namespace walspout {

// A message from the broker.
struct RabbitmqNews {
  enum class Kind {
    kAck,
    kNack,
    kReturn,     // no queue takes the message; its confirm follows
    kBlocked,    // stop publishing
    kUnblocked,  // go on
    kProbed,     // the broker takes messages: see probe()
    kClosed,     // the channel or the connection ended
  };

  Kind kind = Kind::kAck;
  uint64_t tag = 0;         // kAck, kNack: the message, counted from 1 on this connection
  bool multiple = false;    // also all messages before it
  std::string id;           // kReturn: the message's id
  std::string routing_key;  // likewise
  uint16_t code = 0;        // kClosed, kReturn
  std::string text;         // kClosed, kReturn, kBlocked: the reason
};

class RabbitmqLink {
 public:
  // Connects, logs in, checks or declares the exchange. Error: kRetry if the broker is unreachable
  // or not ready, kFatal if it rejects the configuration.
  [[nodiscard]] static Result<std::unique_ptr<RabbitmqLink>> open(const RabbitmqEndpoint& endpoint,
                                                                  const RabbitmqConfig& config,
                                                                  TimePoint deadline);
  // Drops unsent bytes.
  ~RabbitmqLink();
  RabbitmqLink(const RabbitmqLink&) = delete;
  RabbitmqLink& operator=(const RabbitmqLink&) = delete;

  // Whether there is room for another message. If not, listen() makes some.
  bool has_room() const { return body_.empty() && output_.size() < kRoom; }

  // Takes a message; requires has_room(). Its body must stay valid until listen() has sent it, or
  // until keep_body().
  void publish(const RabbitmqMessage& message);

  // Copies the unsent part of the last message's body, so that the caller may free it.
  void keep_body();

  // Whether bytes of messages wait for the broker to read.
  bool has_unsent() const { return !output_.empty() || !body_.empty() || socket_->has_sealed(); }
  // Whether bytes of messages have not reached the broker's kernel.
  bool can_recall() const { return has_unsent() || socket_->has_unsent(); }

  // Sends what the broker takes, and returns the next news, waiting until `until` at most. Nothing:
  // no news in time, or there is room again. Sends and expects heartbeats. Error: kRetry, the
  // connection can no longer be used.
  [[nodiscard]] Result<std::optional<RabbitmqNews>> listen(TimePoint until);

  // Asks whether the broker takes messages now. The broker shows that only after a publish, so this
  // publishes to a queue that does not exist. The answer is kProbed or kBlocked. False: a probe is
  // not possible.
  [[nodiscard]] bool probe();

  // Closes the connection in order. Only with nothing in flight.
  void close();

  // The tag of the last published message.
  uint64_t published() const { return published_; }

 private:
  static constexpr size_t kRoom = 256 * 1024;

  // The decoded answer to our method; valid until the next frame is read.
  struct Reply {
    amqp_method_number_t id = 0;
    const void* arguments = nullptr;
  };
  // A returned message.
  struct Returned {
    RabbitmqNews news;
    bool has_head = false;
    uint64_t left = 0;  // bytes of its body still to come
  };

  RabbitmqLink(std::string name, std::unique_ptr<Socket> socket);
  [[nodiscard]] Result<void> login(const RabbitmqEndpoint& endpoint, std::chrono::seconds heartbeat,
                                   TimePoint deadline);
  [[nodiscard]] Result<void> greet(const RabbitmqEndpoint& endpoint);
  [[nodiscard]] Result<void> tune(const amqp_connection_tune_t& offer,
                                  std::chrono::seconds heartbeat);
  [[nodiscard]] Result<void> prepare(const RabbitmqConfig& config, TimePoint deadline);
  [[nodiscard]] Result<Reply> call(amqp_channel_t channel, amqp_method_number_t id, void* arguments,
                                   amqp_method_number_t answer, TimePoint deadline,
                                   const std::string& doing);
  [[nodiscard]] Result<Reply> await(amqp_method_number_t answer, TimePoint deadline,
                                    const std::string& doing);

  [[nodiscard]] Result<void> flush();
  void frame_body();
  [[nodiscard]] Result<bool> receive();
  [[nodiscard]] Result<bool> take_frame();
  void take_method(amqp_channel_t channel, amqp_method_number_t id, const void* arguments);
  void take_confirm(amqp_channel_t channel, RabbitmqNews::Kind kind, uint64_t tag, bool multiple);
  void take_content(const RabbitmqFrame& frame);
  void say(RabbitmqNews news) { news_.push_back(std::move(news)); }
  [[nodiscard]] Result<void> check_heartbeat();
  TimePoint next_beat() const;

  struct EmptyPool {
    void operator()(amqp_pool_t* pool) const {
      empty_amqp_pool(pool);
      delete pool;
    }
  };

  const std::string name_;
  std::unique_ptr<Socket> socket_;
  RabbitmqFrameReader reader_;
  std::unique_ptr<amqp_pool_t, EmptyPool> pool_;  // memory of the last decoded method
  std::vector<char> input_;                       // reused, to save allocations

  std::string output_;     // unsent frames; the first may be sent in part
  size_t sent_ = 0;        // bytes of output_
  std::string_view body_;  // the part of the last body not yet in output_
  std::string kept_body_;
  uint64_t published_ = 0;

  std::deque<RabbitmqNews> news_;
  std::optional<Reply> reply_;
  std::optional<Returned> returned_;
  bool probing_ = false;
  bool probe_channel_ = false;  // the probe's channel is open
  uint16_t channels_ = 1;
  size_t frame_ = 0;                 // the largest payload of a frame
  Duration heartbeat_{0};            // zero: none
  TimePoint received_at_, sent_at_;  // last bytes from and to the broker
};

}  // namespace walspout
