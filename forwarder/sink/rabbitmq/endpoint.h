// The address of RabbitMQ, and our user there.
#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "sink/common/socket.h"

namespace walspout {

struct RabbitmqEndpoint {
  std::string host;
  int port = 0;
  std::string user;
  Secret password;
  std::string vhost;
  bool tls = false;

  // amqp[s]://[user:password@]host[:port][/vhost]. Error: kFatal, without the url in its text.
  [[nodiscard]] static Result<RabbitmqEndpoint> parse(const std::string& url);

  // For messages: without user and password.
  std::string name() const;

  SocketAddress address() const { return {host, port, name(), "broker"}; }
};

}  // namespace walspout
