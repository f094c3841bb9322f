// One connection to RabbitMQ with one channel in confirm mode.
//
// Hides the differences between versions of rabbitmq-c, and that a broker may say anything at any
// time: what comes in is turned into the few things that a publisher needs to know.
#pragma once

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sink/config.h"
#include "sink/rabbitmq_watchdog.h"
#include "sink/sink.h"

namespace walspout {

// Where RabbitMQ is and who we are there.
struct RabbitmqEndpoint {
  std::string host;
  int port = 0;
  std::string user;
  Secret password;
  std::string vhost;
  bool tls = false;

  // amqp[s]://[user:password@]host[:port][/vhost]. Error: kFatal; it does not repeat the url.
  [[nodiscard]] static Result<RabbitmqEndpoint> parse(const std::string& url);

  // For people: without user and password.
  std::string name() const;
};

struct RabbitmqMessage {
  std::string_view exchange;
  std::string_view routing_key;
  std::string_view body;
  std::string_view id;
  uint64_t timestamp = 0;  // seconds since 1970; 0: unknown
  bool persistent = true;
  bool mandatory = true;
};

// Something that the broker said.
struct RabbitmqNews {
  enum class Kind {
    kAck,
    kNack,
    kReturn,     // no queue for it; the confirm follows
    kBlocked,    // publish no more
    kUnblocked,  // go on
    kClosed,     // the channel or the connection is over
  };

  Kind kind = Kind::kAck;
  uint64_t tag = 0;       // kAck, kNack: of the message, counted from 1 on this connection
  bool multiple = false;  // and of all before it
  std::string id;         // kReturn: of the message
  uint16_t code = 0;      // kClosed, kReturn
  std::string text;       // kClosed, kReturn, kBlocked: why
};

class RabbitmqLink {
 public:
  // Connects, logs in, sees to the exchange. Error: kRetry if the broker is not there or not ready,
  // kFatal if it does not want us as configured.
  [[nodiscard]] static Result<std::unique_ptr<RabbitmqLink>> open(const RabbitmqEndpoint& endpoint,
                                                                  const RabbitmqConfig& config,
                                                                  TimePoint deadline);
  ~RabbitmqLink();
  RabbitmqLink(const RabbitmqLink&) = delete;
  RabbitmqLink& operator=(const RabbitmqLink&) = delete;

  // After an error of any of these the connection is of no use.

  // Hands a message to the kernel. Returns soon after the deadline, with kRetry.
  [[nodiscard]] Result<void> publish(const RabbitmqMessage& message, TimePoint deadline);

  // The next thing that the broker said, waiting for it up to `until`; nothing if there was none.
  // Sends and expects heartbeats. `deadline` is when to give up on half a message.
  [[nodiscard]] Result<std::optional<RabbitmqNews>> listen(TimePoint until, TimePoint deadline);

  // Tag of the message that was published last.
  uint64_t published() const { return published_; }

 private:
  struct Free {
    void operator()(amqp_connection_state_t_* state) const { amqp_destroy_connection(state); }
  };

  explicit RabbitmqLink(std::string name);
  [[nodiscard]] Result<void> connect(const RabbitmqEndpoint& endpoint, const TlsConfig& tls,
                                     TimePoint deadline);
  [[nodiscard]] Result<void> set_tls(amqp_socket_t* socket, const TlsConfig& tls) const;
  [[nodiscard]] Result<void> login(const RabbitmqEndpoint& endpoint, const RabbitmqConfig& config,
                                   TimePoint deadline);
  [[nodiscard]] Result<void> prepare(const RabbitmqConfig& config);
  [[nodiscard]] Result<void> judge(const amqp_rpc_reply_t& reply, std::string_view doing) const;
  [[nodiscard]] Result<RabbitmqNews> read_return(const amqp_basic_return_t& method);
  Failure broken(int status, std::string_view doing) const;

  std::unique_ptr<amqp_connection_state_t_, Free> state_;
  std::string name_;
  uint64_t published_ = 0;
  RabbitmqWatchdog watchdog_;
};

}  // namespace walspout
