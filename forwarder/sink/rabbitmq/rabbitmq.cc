#include "sink/rabbitmq/rabbitmq.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sink/rabbitmq/errors.h"

namespace walspout {
namespace {

constexpr size_t kShortText = 255;      // bytes, by the protocol
constexpr size_t kLongestLogin = 3500;  // bytes; user and password must fit into the first frame
constexpr uint16_t kNotFound = 404;
// A header with a prefix, at most: all headers must fit into one frame of maybe 4 kB.
constexpr size_t kLongestPrefix = 1024;

// The headers by which an exchange of type headers can route. Views of the event.
class Headers {
 public:
  explicit Headers(const Event& event) {
    add("op", std::string_view(&event.op, 1));
    if (event.table != nullptr) {
      add("schema", event.schema());
      add("table", event.table_name());
    } else if (!event.prefix().empty() && event.prefix().size() <= kLongestPrefix) {
      add("prefix", event.prefix());
    }
  }

  std::span<const RabbitmqHeader> all() const { return {headers_.data(), count_}; }

 private:
  void add(std::string_view name, std::string_view value) { headers_[count_++] = {name, value}; }

  std::array<RabbitmqHeader, 3> headers_;
  size_t count_ = 0;
};

}  // namespace

RabbitmqSink::RabbitmqSink(RabbitmqEndpoint endpoint, const RabbitmqConfig& config, Router router)
    : endpoint_(std::move(endpoint)),
      config_(config),
      router_(std::move(router)),
      has_key_(router_.has_key()),
      name_(endpoint_.name()),
      window_(*this, {.order = Order::kAll, .messages = config.unconfirmed}) {}

RabbitmqSink::~RabbitmqSink() {
  if (link_ != nullptr && window_.flight().empty()) link_->close();
}

Result<std::unique_ptr<Sink>> RabbitmqSink::create(const RabbitmqConfig& config) {
  auto endpoint = RabbitmqEndpoint::parse(config.url.reveal());
  if (!endpoint) return tl::unexpected(endpoint.error());
  auto router = Router::create(config.routing_key);
  if (!router) return with_prefix("routing_key", router.error());
  if (config.unconfirmed == 0) return fatal("unconfirmed must be at least 1");
  if (config.exchange.size() > kShortText) {
    return fatal("the name of exchange is longer than AMQP's 255 bytes");
  }
  if (endpoint->vhost.size() > kShortText) {
    return fatal("the vhost at the end of url is longer than AMQP's 255 bytes");
  }
  if (endpoint->user.size() + endpoint->password.reveal().size() > kLongestLogin) {
    return fatal("user and password in url are longer than a broker takes, which is 4 kB");
  }
  return std::unique_ptr<Sink>(new RabbitmqSink(std::move(*endpoint), config, std::move(*router)));
}

Result<WindowClient::Connection> RabbitmqSink::connect(TimePoint deadline) {
  if (link_ != nullptr) return Connection::kSame;
  auto opened = RabbitmqLink::open(endpoint_, config_,
                                   std::min(deadline, Clock::now() + config_.connect_timeout));
  if (!opened) return tl::unexpected(opened.error());
  link_ = std::move(*opened);
  return Connection::kNew;
}

void RabbitmqSink::abandon() {
  link_.reset();
  blocked_.reset();
  returned_.clear();
  keys_.clear();
}

Result<void> RabbitmqSink::check(const SourceState&, TimePoint deadline) {
  if (auto connected = window_.connect(deadline); !connected) return connected;
  Flight& flight = window_.flight();
  if (blocked_ || !flight.empty()) return tl::unexpected(late(flight));
  if (!link_->probe()) return {};
  const TimePoint until = std::min(deadline, Clock::now() + config_.connect_timeout);
  for (;;) {
    const auto news = link_->listen(until);
    if (!news) {
      window_.give_up();
      return tl::unexpected(news.error());
    }
    if (!*news && Clock::now() >= until) {
      return retry("RabbitMQ did not answer a message in time", name_);
    }
    if (!*news) continue;
    if (auto heard = hear(**news, flight); !heard) {
      window_.give_up();
      return tl::unexpected(heard.error().error);
    }
    if (blocked_) return tl::unexpected(late(flight));
    if ((*news)->kind == RabbitmqNews::Kind::kProbed) return {};
  }
}

Result<bool> RabbitmqSink::submit(uint64_t number, const Event& event) {
  const auto routed = router_.route(event, routing_key_);
  if (!routed) return tl::unexpected(routed.error());
  if (!*routed) return false;
  if (routing_key_.size() > kShortText) {
    return tl::unexpected(Error{ErrorKind::kReject,
                                "the routing key has " + std::to_string(routing_key_.size()) +
                                    " bytes, and is longer than AMQP's 255 bytes: give the table "
                                    "an entry of its own under routing_key",
                                name_});
  }
  const EventId id(event);
  RabbitmqMessage message;
  message.exchange = config_.exchange;
  message.routing_key = routing_key_;
  message.body = event.document;
  message.id = id;
  const Headers headers(event);
  message.headers = headers.all();
  message.timestamp = static_cast<uint64_t>(std::max<int64_t>(event.commit_time, 0)) / 1'000'000;
  message.persistent = config_.persistent;
  message.mandatory = config_.mandatory;
  if (has_key_) keys_.note(number, router_.key(event));
  link_->publish(message);
  return true;
}

// When waiting, return after one confirm: the next messages can go while others are in flight, so
// the broker always has work.
tl::expected<void, Broken> RabbitmqSink::poll(TimePoint until, Flight& flight) {
  const bool waits = until > Clock::now();
  keys_.forget_before(flight.first());
  for (;;) {
    auto news = link_->listen(until);
    if (!news) {
      news.error().what = keys_.apply(std::move(news.error().what));
      return tl::unexpected(Broken{std::move(news.error())});
    }
    if (!*news) return {};
    if (auto heard = hear(**news, flight); !heard) return heard;
    if (waits) return {};
  }
}

tl::expected<void, Broken> RabbitmqSink::hear(const RabbitmqNews& news, Flight& flight) {
  switch (news.kind) {
    case RabbitmqNews::Kind::kAck:
    case RabbitmqNews::Kind::kNack:
      handle_confirm(news, flight);
      break;
    case RabbitmqNews::Kind::kReturn:
      handle_return(news, flight);
      break;
    case RabbitmqNews::Kind::kBlocked:
      blocked_ = news.text;
      break;
    case RabbitmqNews::Kind::kUnblocked:
      blocked_.reset();
      break;
    case RabbitmqNews::Kind::kProbed:
      break;
    case RabbitmqNews::Kind::kClosed:
      return tl::unexpected(closed(news, flight));
  }
  return {};
}

void RabbitmqSink::handle_return(const RabbitmqNews& news, const Flight& flight) {
  for (uint64_t tag = flight.first(); tag < flight.next(); ++tag) {
    const Flight::Message& message = *flight.find(tag);
    if (!flight.is_pending(tag) || returned_.contains(tag) ||
        EventId(message.as_event()).view() != news.id) {
      continue;
    }
    returned_.emplace(tag, Error{ErrorKind::kReject,
                                 "no queue takes messages with the routing key \"" +
                                     keys_.apply(tag, news.routing_key) + "\" from exchange \"" +
                                     config_.exchange + "\" (" + news.text +
                                     "): bind one, correct routing_key, or set mandatory: "
                                     "false to let such messages vanish",
                                 name_});
    break;
  }
}

// The broker also confirms a returned message.
void RabbitmqSink::handle_confirm(const RabbitmqNews& news, Flight& flight) {
  for (uint64_t tag = news.multiple ? flight.first() : news.tag; tag <= news.tag; ++tag) {
    if (!flight.is_pending(tag)) continue;
    if (auto returned = returned_.find(tag); returned != returned_.end()) {
      flight.failed(tag, std::move(returned->second));
      returned_.erase(returned);
    } else if (news.kind == RabbitmqNews::Kind::kAck) {
      flight.done(tag);
    } else {
      flight.failed(tag, Error{ErrorKind::kRetry,
                               "RabbitMQ did not take a message: a queue is full and rejects what "
                               "is published, or is in trouble. See rabbitmqctl list_queues name "
                               "messages policy state",
                               name_});
    }
  }
}

Broken RabbitmqSink::closed(const RabbitmqNews& news, const Flight& flight) const {
  Broken broken{rabbitmq_error(news.code, keys_.apply(news.text),
                               "publish to exchange \"" + config_.exchange + "\"", name_)};
  // The next connection declares the exchange.
  if (news.code == kNotFound && config_.declare) {
    broken.error = {ErrorKind::kRetry,
                    "exchange \"" + config_.exchange +
                        "\" is gone, and is declared again. Bind queues to it: their bindings "
                        "went with it",
                    name_};
  }
  if (broken.error.kind != ErrorKind::kReject) return broken;
  // Only the size shows which message was rejected.
  const size_t size = rabbitmq_refused_size(news.text);
  uint64_t unsure = 0;
  broken.size = 0;
  for (uint64_t tag = flight.first(); tag < flight.next(); ++tag) {
    const Flight::Message& message = *flight.find(tag);
    if (message.event == Flight::kNoEvent) continue;
    if (message.size == size) return {broken.error, tag};
    if (unsure == 0 && flight.is_pending(tag)) unsure = tag;
    if (unsure != 0) ++broken.size;
  }
  broken.error.blamed = Scope::kBatch;
  broken.number = unsure;
  return broken;
}

Error RabbitmqSink::late(const Flight& flight) const {
  const std::string kept = flight.empty() ? ""
                                          : ". " + std::to_string(flight.next() - flight.first()) +
                                                " messages stay in flight on the same connection";
  if (blocked_) {
    return {ErrorKind::kRetry,
            "RabbitMQ blocks publishers (" + *blocked_ +
                "): it lacks memory or disk. Free some, or change vm_memory_high_watermark or "
                "disk_free_limit" +
                kept,
            name_};
  }
  const char* what = link_->has_unsent() ? "RabbitMQ does not read what is published"
                                         : "RabbitMQ did not confirm in time (deliver_timeout)";
  return {ErrorKind::kRetry, what + kept, name_};
}

}  // namespace walspout
