#include "sink/rabbitmq/endpoint.h"

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

namespace walspout {

Result<RabbitmqEndpoint> RabbitmqEndpoint::parse(const std::string& url) {
  std::string copy = url;  // the parser writes into it
  amqp_connection_info info;
  amqp_default_connection_info(&info);
  if (amqp_parse_url(copy.data(), &info) != AMQP_STATUS_OK) {
    return fatal(
        "url is not one of RabbitMQ: it looks like amqp://USER:PASSWORD@HOST[:PORT][/VHOST], or "
        "amqps://... for TLS; other characters than letters and digits in user, password and vhost "
        "are percent-encoded");
  }
  RabbitmqEndpoint endpoint;
  endpoint.host = info.host;
  endpoint.port = info.port;
  endpoint.user = info.user;
  endpoint.password = Secret(info.password);
  endpoint.vhost = info.vhost == nullptr || *info.vhost == '\0' ? "/" : info.vhost;
  endpoint.tls = info.ssl != 0;
  return endpoint;
}

std::string RabbitmqEndpoint::name() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (tls ? "amqps://" : "amqp://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port) + (vhost == "/" ? "" : "/" + vhost);
}

}  // namespace walspout
