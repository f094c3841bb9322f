// The options of the sink for RabbitMQ.
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
  size_t unconfirmed = 1024;  // messages without a confirm, at most
  std::chrono::seconds heartbeat{30};
  TlsConfig tls;
  Milliseconds connect_timeout{5'000};
};

}  // namespace walspout
