#include "sink/common/keys.h"
#include "sink/rabbitmq/rabbitmq.h"
#include "sink/types.h"

namespace walspout {
namespace {

KeyTable<RabbitmqConfig> table() {
  using Kind = std::optional<std::string>;
  KeyTable<RabbitmqConfig> table;
  table
      .key("url", &RabbitmqConfig::url,
           "`amqp://user:password@host[:port]/vhost`, or `amqps://…` for TLS")
      .required()
      .key("exchange", &RabbitmqConfig::exchange, "Exchange that messages are published to")
      .required()
      .choice<Kind>("declare", &RabbitmqConfig::declare,
                    {{"direct", Kind("direct")},
                     {"topic", Kind("topic")},
                     {"fanout", Kind("fanout")},
                     {"headers", Kind("headers")}},
                    "Makes the exchange of this kind, durable, if it is missing")
      .set_default("it must exist");
  add_route(table, "routing_key", &RabbitmqConfig::routing_key, "Template of the routing key");
  table.key("persistent", &RabbitmqConfig::persistent, "Messages survive a restart of the broker")
      .key("mandatory", &RabbitmqConfig::mandatory,
           "A message that no queue takes is rejected; `false`: such a message is lost")
      .key("unconfirmed", &RabbitmqConfig::unconfirmed, "Messages without a confirm, at most")
      .between(1, 65'535)
      .key("heartbeat", &RabbitmqConfig::heartbeat, "Interval of AMQP heartbeats")
      .section("tls", &RabbitmqConfig::tls, tls_table(), "TLS; the URL says whether it is used")
      .key("connect_timeout", &RabbitmqConfig::connect_timeout, "Time limit of connecting");
  return table;
}

}  // namespace

SinkType rabbitmq_type() {
  SinkType type = sink_type<RabbitmqConfig>(
      "rabbitmq", "Publishes a message to an exchange of RabbitMQ", table(),
      [](const RabbitmqConfig& config) { return RabbitmqSink::create(config); });
  type.route = [](std::any& options) {
    return &std::any_cast<RabbitmqConfig&>(options).routing_key;
  };
  type.capabilities = {.becomes = "a persistent message",
                       .delivered = "the broker confirms it, and a queue took it",
                       .repeated = "known by its `message_id`",
                       .largest = "`max_message_size` of the broker"};
  return type;
}

}  // namespace walspout
