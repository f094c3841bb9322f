#include "sink/rabbitmq.h"

#include <algorithm>
#include <utility>

#include "sink/rabbitmq_errors.h"

namespace walspout {
namespace {

constexpr size_t kListenEvery = 64;  // messages, without waiting, lest both sides' buffers fill
constexpr size_t kRoutingKey = 255;  // bytes, by the protocol

}  // namespace

RabbitmqSink::RabbitmqSink(RabbitmqEndpoint endpoint, const RabbitmqConfig& config, Router router)
    : endpoint_(std::move(endpoint)),
      config_(config),
      router_(std::move(router)),
      name_(endpoint_.name()) {}

Result<std::unique_ptr<Sink>> RabbitmqSink::create(const RabbitmqConfig& config) {
  auto endpoint = RabbitmqEndpoint::parse(config.url.reveal());
  if (!endpoint) return tl::unexpected(endpoint.error());
  auto router = Router::create(config.routing_key);
  if (!router) return in("routing_key", router.error());
  if (config.unconfirmed == 0) return fatal("unconfirmed must be at least 1");
  return std::unique_ptr<Sink>(new RabbitmqSink(std::move(*endpoint), config, std::move(*router)));
}

Result<void> RabbitmqSink::connect(TimePoint deadline) {
  if (link_ != nullptr) {
    idle();
    if (link_ != nullptr) return {};
  }
  blocked_.reset();
  auto opened = RabbitmqLink::open(endpoint_, config_,
                                   std::min(deadline, Clock::now() + config_.connect_timeout));
  if (!opened) return tl::unexpected(opened.error());
  link_ = std::move(*opened);
  return {};
}

void RabbitmqSink::idle() {
  while (link_ != nullptr) {
    const auto news = link_->listen(Clock::now(), Clock::now() + config_.connect_timeout);
    if (!news) {
      link_.reset();
    } else if (!*news) {
      return;
    } else if ((*news)->kind == RabbitmqNews::Kind::kClosed) {
      link_.reset();
    } else if ((*news)->kind == RabbitmqNews::Kind::kBlocked) {
      blocked_ = (*news)->text;
    } else if ((*news)->kind == RabbitmqNews::Kind::kUnblocked) {
      blocked_.reset();
    }
  }
}

Result<void> RabbitmqSink::check(const SourceState&, TimePoint deadline) {
  return connect(deadline);
}

Delivery RabbitmqSink::deliver(std::span<const Event> events, TimePoint deadline,
                               Progress& progress) {
  if (events.empty()) return {};
  if (auto connected = connect(deadline); !connected) {
    return tl::unexpected(DeliveryError{connected.error(), 0, std::nullopt});
  }
  Call call{events, deadline, link_->published(), {}, {}, 0, 0, std::nullopt};
  Delivery outcome = publish_all(call, progress);
  while (outcome && call.waiting > 0) outcome = listen(call, true);
  // What an error leaves unconfirmed may still arrive: nothing may be mistaken for its confirm.
  if (!outcome) link_.reset();
  if (outcome && call.refused) outcome = tl::unexpected(std::move(*call.refused));
  if (outcome && progress.is_halted()) outcome = halted();
  if (!outcome && (call.refused || outcome.error().error.kind == ErrorKind::kReject)) {
    alone_ = config_.unconfirmed;
  }
  for (size_t i = 0; i < call.first_unsure; ++i) {
    const size_t event = call.published[i];
    if (!outcome && outcome.error().error.kind == ErrorKind::kReject &&
        event >= outcome.error().event) {
      break;
    }
    progress.durable(event);
  }
  return outcome;
}

Delivery RabbitmqSink::publish_all(Call& call, Progress& progress) {
  for (size_t event = 0; event < call.events.size() && !call.refused; ++event) {
    bool look = event % kListenEvery == 0;
    while (blocked_ || call.waiting >= (alone_ > 0 ? 1 : config_.unconfirmed)) {
      if (auto heard = listen(call, true); !heard) return heard;
      if (call.refused) return {};
      look = true;
    }
    if (look && !progress.may_go_on()) return {};
    if (auto published = publish(call, event, progress); !published) return published;
    if (call.published.size() % kListenEvery == 0) {
      if (auto heard = listen(call, false); !heard) return heard;
    }
  }
  return {};
}

Delivery RabbitmqSink::publish(Call& call, size_t event, Progress& progress) {
  const Event& it = call.events[event];
  const auto routed = router_.route(it, routing_key_);
  if (!routed) {
    refuse(call, DeliveryError{routed.error(), event, std::nullopt});
    return {};
  }
  if (!*routed) {
    progress.drop(event);
    return {};
  }
  if (routing_key_.size() > kRoutingKey) {
    refuse(call, DeliveryError{Error{ErrorKind::kReject,
                                     "the routing key \"" + routing_key_ +
                                         "\" is longer than AMQP's 255 bytes: give the table an "
                                         "entry of its own under routing_key",
                                     name_},
                               event, std::nullopt});
    return {};
  }
  const EventId id(it);
  RabbitmqMessage message;
  message.exchange = config_.exchange;
  message.routing_key = routing_key_;
  message.body = it.document;
  message.id = id;
  message.timestamp = static_cast<uint64_t>(std::max<int64_t>(it.commit_time, 0)) / 1'000'000;
  message.persistent = config_.persistent;
  message.mandatory = config_.mandatory;
  if (auto published = link_->publish(message, call.deadline); !published) {
    // The broker may have said why before it closed.
    if (auto heard = listen(call, false); !heard) return heard;
    if (Clock::now() >= call.deadline) return tl::unexpected(late());
    return tl::unexpected(DeliveryError{published.error(), event, std::nullopt});
  }
  call.published.push_back(event);
  call.confirmed.push_back(false);
  ++call.waiting;
  if (alone_ > 0) --alone_;
  return {};
}

Delivery RabbitmqSink::listen(Call& call, bool wait) {
  for (bool more = true; more;) {
    const auto news = link_->listen(wait ? call.deadline : Clock::now(), call.deadline);
    if (wait && (!news || !*news) && Clock::now() >= call.deadline) return tl::unexpected(late());
    if (!news) return tl::unexpected(DeliveryError{news.error(), 0, std::nullopt});
    if (!*news) return {};
    if (auto heard = hear(call, **news); !heard) return heard;
    // What is there already is taken in as well.
    more = !wait;
  }
  return {};
}

Delivery RabbitmqSink::hear(Call& call, const RabbitmqNews& news) {
  switch (news.kind) {
    case RabbitmqNews::Kind::kAck:
    case RabbitmqNews::Kind::kNack:
      confirm(call, news);
      return {};
    case RabbitmqNews::Kind::kBlocked:
      blocked_ = news.text;
      return {};
    case RabbitmqNews::Kind::kUnblocked:
      blocked_.reset();
      return {};
    case RabbitmqNews::Kind::kClosed:
      return tl::unexpected(closed(call, news));
    case RabbitmqNews::Kind::kReturn:
      break;
  }
  for (const size_t event : call.published) {
    if (EventId(call.events[event]).view() != news.id) continue;
    static_cast<void>(router_.route(call.events[event], routing_key_));
    refuse(call,
           DeliveryError{Error{ErrorKind::kReject,
                               "no queue takes messages with the routing key \"" + routing_key_ +
                                   "\" from exchange \"" + config_.exchange + "\" (" + news.text +
                                   "): bind one, correct routing_key, or set mandatory: "
                                   "false to let such messages vanish",
                               name_},
                         event, std::nullopt});
    break;
  }
  return {};
}

void RabbitmqSink::confirm(Call& call, const RabbitmqNews& news) {
  if (news.tag <= call.tag_before || news.tag > call.tag_before + call.published.size()) return;
  const size_t last = news.tag - call.tag_before - 1;
  for (size_t i = news.multiple ? call.first_unsure : last; i <= last; ++i) {
    if (call.confirmed[i]) continue;
    call.confirmed[i] = true;
    --call.waiting;
    if (news.kind == RabbitmqNews::Kind::kAck) continue;
    refuse(call, DeliveryError{Error{ErrorKind::kRetry,
                                     "RabbitMQ did not take a message: a queue is full and "
                                     "rejects what is published, or is in trouble. See "
                                     "rabbitmqctl list_queues name messages policy state",
                                     name_},
                               call.published[i], std::nullopt});
  }
  // A nacked message stays unsure, and with it all that follow.
  const size_t stop = call.refused && call.refused->error.kind == ErrorKind::kRetry
                          ? call.refused->event
                          : SIZE_MAX;
  while (call.first_unsure < call.published.size() && call.confirmed[call.first_unsure] &&
         call.published[call.first_unsure] < stop) {
    ++call.first_unsure;
  }
}

void RabbitmqSink::refuse(Call& call, DeliveryError error) const {
  if (!call.refused || error.event < call.refused->event) call.refused = std::move(error);
}

DeliveryError RabbitmqSink::closed(const Call& call, const RabbitmqNews& news) const {
  DeliveryError error{rabbitmq_error(news.code, news.text,
                                     "publish to exchange \"" + config_.exchange + "\"", name_),
                      0, std::nullopt};
  if (error.error.kind != ErrorKind::kReject) return error;
  // Only its size tells which message was rejected.
  const size_t size = rabbitmq_refused_size(news.text);
  const auto large = std::find_if(call.published.begin(), call.published.end(), [&](size_t event) {
    return call.events[event].document.size() == size;
  });
  if (large == call.published.end()) {
    error.error.blamed = Scope::kBatch;
    if (call.first_unsure < call.published.size()) error.event = call.published[call.first_unsure];
    error.size = call.published.size() - call.first_unsure;
  } else {
    error.event = *large;
  }
  return error;
}

DeliveryError RabbitmqSink::late() const {
  if (!blocked_) {
    return {Error{ErrorKind::kRetry, "RabbitMQ did not confirm in time", name_}, 0, std::nullopt};
  }
  return {Error{ErrorKind::kRetry,
                "RabbitMQ blocks publishers (" + *blocked_ +
                    "): it lacks memory or disk. Free some, or change vm_memory_high_watermark or "
                    "disk_free_limit",
                name_},
          0, std::nullopt};
}

}  // namespace walspout
