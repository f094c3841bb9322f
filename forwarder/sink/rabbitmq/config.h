// RabbitMQ: what the sink needs.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "base/tls.h"
#include "sink/common/route.h"

namespace walspout {

struct RabbitmqConfig {
  Secret url;  // amqp[s]://user:password@host[:port]/vhost
  std::string exchange;
  std::optional<std::string> declare;  // direct, topic, fanout, headers; none: must exist
  Route routing_key{{}, "{schema}.{table}.{op}", Unmapped::kError, {}, {}};
  bool persistent = true;
  bool mandatory = true;
  size_t unconfirmed = 1024;  // messages published before their confirms are awaited
  std::chrono::seconds heartbeat{30};
  TlsConfig tls;
  Milliseconds connect_timeout{5'000};
};

}  // namespace walspout
