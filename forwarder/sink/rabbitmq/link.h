// One connection to RabbitMQ with one channel in confirm mode.
//
// Hides that a broker may say anything at any time: what comes in is turned into the few things
// that a publisher needs to know. Nothing waits for a broker that does not read: what it leaves
// unread waits here, and goes out in its order whenever the broker reads again.
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

// Something that the broker said.
struct RabbitmqNews {
  enum class Kind {
    kAck,
    kNack,
    kReturn,     // no queue for it; the confirm follows
    kBlocked,    // publish no more
    kUnblocked,  // go on
    kProbed,     // the broker takes messages: see probe()
    kClosed,     // the channel or the connection is over
  };

  Kind kind = Kind::kAck;
  uint64_t tag = 0;         // kAck, kNack: of the message, counted from 1 on this connection
  bool multiple = false;    // and of all before it
  std::string id;           // kReturn: of the message
  std::string routing_key;  // likewise
  uint16_t code = 0;        // kClosed, kReturn
  std::string text;         // kClosed, kReturn, kBlocked: why
};

class RabbitmqLink {
 public:
  // Connects, logs in, sees to the exchange. Error: kRetry if the broker is not there or not ready,
  // kFatal if it does not want us as configured.
  [[nodiscard]] static Result<std::unique_ptr<RabbitmqLink>> open(const RabbitmqEndpoint& endpoint,
                                                                  const RabbitmqConfig& config,
                                                                  TimePoint deadline);
  // What the broker has not been sent yet is dropped.
  ~RabbitmqLink();
  RabbitmqLink(const RabbitmqLink&) = delete;
  RabbitmqLink& operator=(const RabbitmqLink&) = delete;

  // Whether there is room for another message. If not, listen() makes some.
  bool has_room() const { return body_.empty() && output_.size() < kRoom; }

  // Takes a message, for which there is room. Its body stays where it is until it is sent, which
  // listen() sees to, or until keep_body().
  void publish(const RabbitmqMessage& message);

  // Copies what is not sent of the last message's body, so that its bytes may go.
  void keep_body();

  // Whether bytes of messages wait for the broker to read.
  bool has_unsent() const { return !output_.empty() || !body_.empty() || socket_->has_sealed(); }

  // Sends what the broker takes, and says the next thing that the broker said, waiting for it up to
  // `until`. Nothing: the time has come, or there is room again. Sends and expects heartbeats.
  // Error: kRetry, the connection is of no use.
  [[nodiscard]] Result<std::optional<RabbitmqNews>> listen(TimePoint until);

  // Asks whether the broker takes messages now, which it says only to who publishes: by a message
  // to a queue that does not exist. The answer is kProbed or kBlocked. False: this cannot be asked.
  [[nodiscard]] bool probe();

  // Says good-bye. Only if nothing is under way.
  void close();

  // Tag of the message that was published last.
  uint64_t published() const { return published_; }

 private:
  static constexpr size_t kRoom = 256 * 1024;

  // The answer to a method of ours: decoded, until the next frame is read.
  struct Reply {
    amqp_method_number_t id = 0;
    const void* arguments = nullptr;
  };
  // A message that comes back.
  struct Returned {
    RabbitmqNews news;
    bool has_head = false;
    uint64_t left = 0;  // of its body
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
  [[nodiscard]] Result<void> beat();
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
  std::unique_ptr<amqp_pool_t, EmptyPool> pool_;  // what the last method was decoded into
  std::vector<char> input_;                       // kept for its memory

  std::string output_;  // not sent yet: whole frames, the first of them from where it was sent to
  size_t sent_ = 0;     // bytes of output_
  std::string_view body_;  // of the last message, what is not in output_ yet
  std::string kept_body_;
  uint64_t published_ = 0;

  std::deque<RabbitmqNews> news_;
  std::optional<Reply> reply_;
  std::optional<Returned> returned_;
  bool probing_ = false;
  bool probe_channel_ = false;  // is open
  uint16_t channels_ = 1;
  size_t frame_ = 0;        // the most that a frame's payload may have
  Duration heartbeat_{0};   // zero: none
  TimePoint heard_, said_;  // anything, from and to the broker
};

}  // namespace walspout
