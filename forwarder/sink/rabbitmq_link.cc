#include "sink/rabbitmq_link.h"

#include <openssl/ssl.h>

#if __has_include(<rabbitmq-c/ssl_socket.h>)
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

#include <algorithm>
#include <array>
#include <system_error>

#include "sink/rabbitmq_errors.h"

namespace walspout {
namespace {

constexpr amqp_channel_t kChannel = 1;
constexpr int kFrameMax = 131072;

amqp_bytes_t bytes(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}

std::string text(const amqp_bytes_t& from) {
  return from.len == 0 ? "" : std::string(static_cast<const char*>(from.bytes), from.len);
}

timeval time_until(TimePoint time) {
  const auto left = std::chrono::ceil<std::chrono::microseconds>(time - Clock::now()).count();
  const int64_t most = std::max<int64_t>(left, 0);
  return {static_cast<time_t>(most / 1'000'000), static_cast<suseconds_t>(most % 1'000'000)};
}

amqp_table_entry_t entry(const char* key, bool value) {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(key);
  made.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  made.value.value.boolean = value ? 1 : 0;
  return made;
}

amqp_table_entry_t entry(const char* key, const amqp_table_t& value) {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(key);
  made.value.kind = AMQP_FIELD_KIND_TABLE;
  made.value.value.table = value;
  return made;
}

amqp_table_entry_t entry(const char* key, const char* value) {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(key);
  made.value.kind = AMQP_FIELD_KIND_UTF8;
  made.value.value.bytes = amqp_cstring_bytes(value);
  return made;
}

RabbitmqNews closed(uint16_t code, std::string why) {
  RabbitmqNews news;
  news.kind = RabbitmqNews::Kind::kClosed;
  news.code = code;
  news.text = std::move(why);
  return news;
}

RabbitmqNews confirmed(RabbitmqNews::Kind kind, uint64_t tag, bool multiple) {
  RabbitmqNews news;
  news.kind = kind;
  news.tag = tag;
  news.multiple = multiple;
  return news;
}

}  // namespace

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

RabbitmqLink::RabbitmqLink(std::string name)
    : state_(amqp_new_connection()), name_(std::move(name)) {}

RabbitmqLink::~RabbitmqLink() {
  watchdog_.watch(-1);
}

Failure RabbitmqLink::broken(int status, std::string_view doing) const {
  return retry("could not " + std::string(doing) + ": " + amqp_error_string2(status), name_);
}

Result<void> RabbitmqLink::judge(const amqp_rpc_reply_t& reply, std::string_view doing) const {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return {};
  if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) {
    if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
      const auto& close = *static_cast<const amqp_connection_close_t*>(reply.reply.decoded);
      return tl::unexpected(rabbitmq_error(close.reply_code, text(close.reply_text), doing, name_));
    }
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
      const auto& close = *static_cast<const amqp_channel_close_t*>(reply.reply.decoded);
      return tl::unexpected(rabbitmq_error(close.reply_code, text(close.reply_text), doing, name_));
    }
  }
  return broken(reply.library_error, doing);
}

Result<std::unique_ptr<RabbitmqLink>> RabbitmqLink::open(const RabbitmqEndpoint& endpoint,
                                                         const RabbitmqConfig& config,
                                                         TimePoint deadline) {
  std::unique_ptr<RabbitmqLink> link;
  try {
    link.reset(new RabbitmqLink(endpoint.name()));
  } catch (const std::system_error& error) {  // the watchdog's thread
    return retry(std::string("could not start a thread: ") + error.what(), endpoint.name());
  }
  auto outcome = link->connect(endpoint, config.tls, deadline);
  if (outcome) {
    link->watchdog_.watch(amqp_get_sockfd(link->state_.get()));
    const RabbitmqWatchdog::Guard guard(link->watchdog_, deadline);
    outcome = link->login(endpoint, config, deadline);
    if (outcome) outcome = link->prepare(config);
  }
  if (!outcome) return tl::unexpected(outcome.error());
  return link;
}

Result<void> RabbitmqLink::set_tls(amqp_socket_t* socket, const TlsConfig& tls) const {
  amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
  amqp_ssl_socket_set_verify_peer(socket, tls.verify ? 1 : 0);
  amqp_ssl_socket_set_verify_hostname(socket, tls.verify ? 1 : 0);
  if (!tls.ca_file.empty() &&
      amqp_ssl_socket_set_cacert(socket, tls.ca_file.c_str()) != AMQP_STATUS_OK) {
    return fatal("could not read ca_file: it must be a PEM file that this process may read", name_);
  }
  if (tls.ca_file.empty()) {
    auto* settings = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
    SSL_CTX_set_default_verify_paths(settings);
  }
  if (!tls.cert_file.empty() && amqp_ssl_socket_set_key(socket, tls.cert_file.c_str(),
                                                        tls.key_file.c_str()) != AMQP_STATUS_OK) {
    return fatal(
        "could not read cert_file or key_file: they must be PEM files that this process may read",
        name_);
  }
  return {};
}

Result<void> RabbitmqLink::connect(const RabbitmqEndpoint& endpoint, const TlsConfig& tls,
                                   TimePoint deadline) {
  amqp_socket_t* socket =
      endpoint.tls ? amqp_ssl_socket_new(state_.get()) : amqp_tcp_socket_new(state_.get());
  if (socket == nullptr) return retry("could not connect: out of memory", name_);
  if (endpoint.tls) {
    if (auto set = set_tls(socket, tls); !set) return set;
  }
  const timeval left = time_until(deadline);
  const int status = amqp_socket_open_noblock(socket, endpoint.host.c_str(), endpoint.port, &left);
  if (status == AMQP_STATUS_OK) return {};
  std::string remedy;
  if (status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED ||
      status == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED || status == AMQP_STATUS_SSL_ERROR ||
      status == AMQP_STATUS_SSL_CONNECTION_FAILED) {
    remedy = ". ca_file names the certificate of the authority to trust; is this a port for TLS?";
  }
  return retry(std::string("could not connect: ") + amqp_error_string2(status) + remedy, name_);
}

Result<void> RabbitmqLink::login(const RabbitmqEndpoint& endpoint, const RabbitmqConfig& config,
                                 TimePoint deadline) {
  const timeval left = time_until(deadline);
  amqp_set_handshake_timeout(state_.get(), &left);
  amqp_set_rpc_timeout(state_.get(), &left);
  // Without the capability a broker that blocks us would not say so.
  std::array<amqp_table_entry_t, 2> abilities = {entry("connection.blocked", true),
                                                 entry("basic.nack", true)};
  const amqp_table_t capabilities = {static_cast<int>(abilities.size()), abilities.data()};
  std::array<amqp_table_entry_t, 2> facts = {entry("connection_name", "walspout"),
                                             entry("capabilities", capabilities)};
  const amqp_table_t properties = {static_cast<int>(facts.size()), facts.data()};
  const amqp_rpc_reply_t reply = amqp_login_with_properties(
      state_.get(), endpoint.vhost.c_str(), 0, kFrameMax,
      static_cast<int>(config.heartbeat.count()), &properties, AMQP_SASL_METHOD_PLAIN,
      endpoint.user.c_str(), endpoint.password.reveal().c_str());
  return judge(reply, "log in");
}

Result<void> RabbitmqLink::prepare(const RabbitmqConfig& config) {
  amqp_connection_state_t state = state_.get();
  amqp_channel_open(state, kChannel);
  if (auto opened = judge(amqp_get_rpc_reply(state), "open a channel"); !opened) return opened;
  // The exchange without a name is always there, and must not be declared.
  if (!config.exchange.empty()) {
    const std::string type = config.declare.value_or("direct");
    const bool passive = !config.declare;
    amqp_exchange_declare(state, kChannel, bytes(config.exchange), bytes(type), passive ? 1 : 0,
                          /*durable=*/1, /*auto_delete=*/0, /*internal=*/0, amqp_empty_table);
    const std::string doing =
        (passive ? "use exchange \"" : "declare exchange \"") + config.exchange + "\"";
    if (auto declared = judge(amqp_get_rpc_reply(state), doing); !declared) return declared;
  }
  amqp_confirm_select(state, kChannel);
  return judge(amqp_get_rpc_reply(state), "confirm messages");
}

Result<void> RabbitmqLink::publish(const RabbitmqMessage& message, TimePoint deadline) {
  const RabbitmqWatchdog::Guard guard(watchdog_, deadline);
  amqp_basic_properties_t properties{};
  properties._flags =
      AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
  properties.content_type = amqp_cstring_bytes("application/json");
  properties.delivery_mode = message.persistent ? 2 : 1;
  properties.message_id = bytes(message.id);
  if (message.timestamp != 0) {
    properties._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
    properties.timestamp = message.timestamp;
  }
  const int status = amqp_basic_publish(state_.get(), kChannel, bytes(message.exchange),
                                        bytes(message.routing_key), message.mandatory ? 1 : 0, 0,
                                        &properties, bytes(message.body));
  if (status != AMQP_STATUS_OK) return broken(status, "publish");
  ++published_;
  return {};
}

Result<RabbitmqNews> RabbitmqLink::read_return(const amqp_basic_return_t& method) {
  RabbitmqNews news;
  news.kind = RabbitmqNews::Kind::kReturn;
  news.code = method.reply_code;
  news.text = text(method.reply_text);
  amqp_message_t message;
  const amqp_rpc_reply_t reply = amqp_read_message(state_.get(), kChannel, &message, 0);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    return broken(reply.library_error, "read what was returned");
  }
  news.id = text(message.properties.message_id);
  amqp_destroy_message(&message);
  return news;
}

Result<std::optional<RabbitmqNews>> RabbitmqLink::listen(TimePoint until, TimePoint deadline) {
  const RabbitmqWatchdog::Guard guard(watchdog_, deadline);
  for (;;) {
    amqp_maybe_release_buffers(state_.get());
    amqp_frame_t frame;
    const timeval left = time_until(until);
    const int status = amqp_simple_wait_frame_noblock(state_.get(), &frame, &left);
    if (status == AMQP_STATUS_TIMEOUT) return std::nullopt;
    if (status != AMQP_STATUS_OK) return broken(status, "hear from the broker");
    if (frame.frame_type != AMQP_FRAME_METHOD) continue;
    const void* decoded = frame.payload.method.decoded;
    switch (frame.payload.method.id) {
      case AMQP_BASIC_ACK_METHOD: {
        const auto& method = *static_cast<const amqp_basic_ack_t*>(decoded);
        return confirmed(RabbitmqNews::Kind::kAck, method.delivery_tag, method.multiple != 0);
      }
      case AMQP_BASIC_NACK_METHOD: {
        const auto& method = *static_cast<const amqp_basic_nack_t*>(decoded);
        return confirmed(RabbitmqNews::Kind::kNack, method.delivery_tag, method.multiple != 0);
      }
      case AMQP_BASIC_RETURN_METHOD: {
        auto news = read_return(*static_cast<const amqp_basic_return_t*>(decoded));
        if (!news) return tl::unexpected(news.error());
        return std::move(*news);
      }
      case AMQP_CONNECTION_BLOCKED_METHOD: {
        RabbitmqNews news;
        news.kind = RabbitmqNews::Kind::kBlocked;
        news.text = text(static_cast<const amqp_connection_blocked_t*>(decoded)->reason);
        return news;
      }
      case AMQP_CONNECTION_UNBLOCKED_METHOD: {
        RabbitmqNews news;
        news.kind = RabbitmqNews::Kind::kUnblocked;
        return news;
      }
      case AMQP_CHANNEL_CLOSE_METHOD: {
        const auto& method = *static_cast<const amqp_channel_close_t*>(decoded);
        return closed(method.reply_code, text(method.reply_text));
      }
      case AMQP_CONNECTION_CLOSE_METHOD: {
        const auto& method = *static_cast<const amqp_connection_close_t*>(decoded);
        return closed(method.reply_code, text(method.reply_text));
      }
      default:
        break;  // nothing that a publisher needs
    }
  }
}

}  // namespace walspout
