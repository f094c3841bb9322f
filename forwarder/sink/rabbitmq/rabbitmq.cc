#include "sink/rabbitmq/rabbitmq.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sink/rabbitmq/errors.h"

namespace walspout {
namespace {

constexpr size_t kListenEvery = 64;  // messages, without waiting, lest both sides' buffers fill
constexpr size_t kShortText = 255;   // bytes, by the protocol
constexpr uint16_t kNotFound = 404;
// Of a header with a prefix: all headers have to fit into one frame, which may be 4 kB.
constexpr size_t kLongestPrefix = 1024;

// What an exchange of type headers can route by. Views of the event.
class Headers {
 public:
  explicit Headers(const Event& event) {
    add("op", std::string_view(&event.op, 1));
    if (event.table != nullptr) {
      add("schema", event.schema());
      add("table", event.table_name());
    } else if (!event.prefix.empty() && event.prefix.size() <= kLongestPrefix) {
      add("prefix", event.prefix);
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
      name_(endpoint_.name()) {}

RabbitmqSink::~RabbitmqSink() {
  if (link_ != nullptr && under_way_.empty()) link_->close();
}

Result<std::unique_ptr<Sink>> RabbitmqSink::create(const RabbitmqConfig& config) {
  auto endpoint = RabbitmqEndpoint::parse(config.url.reveal());
  if (!endpoint) return tl::unexpected(endpoint.error());
  auto router = Router::create(config.routing_key);
  if (!router) return in("routing_key", router.error());
  if (config.unconfirmed == 0) return fatal("unconfirmed must be at least 1");
  if (config.exchange.size() > kShortText) {
    return fatal("the name of exchange is longer than AMQP's 255 bytes");
  }
  return std::unique_ptr<Sink>(new RabbitmqSink(std::move(*endpoint), config, std::move(*router)));
}

Result<void> RabbitmqSink::connect(TimePoint deadline) {
  idle();
  if (link_ != nullptr) return {};
  auto opened = RabbitmqLink::open(endpoint_, config_,
                                   std::min(deadline, Clock::now() + config_.connect_timeout));
  if (!opened) return tl::unexpected(opened.error());
  link_ = std::move(*opened);
  first_tag_ = 1;
  return {};
}

void RabbitmqSink::give_up() {
  link_.reset();
  blocked_.reset();
  under_way_.clear();
  waiting_ = refused_ = 0;
}

void RabbitmqSink::idle() {
  while (link_ != nullptr) {
    const auto news = link_->listen(Clock::now());
    if (!news || (*news && !hear(**news))) {
      give_up();
    } else if (!*news) {
      return;
    }
  }
}

Result<void> RabbitmqSink::check(const SourceState&, TimePoint deadline) {
  if (auto connected = connect(deadline); !connected) return connected;
  if (blocked_ || !under_way_.empty()) return tl::unexpected(late());
  if (!link_->probe()) return {};
  const TimePoint until = std::min(deadline, Clock::now() + config_.connect_timeout);
  for (;;) {
    const auto news = link_->listen(until);
    if (!news) {
      give_up();
      return tl::unexpected(news.error());
    }
    if (!*news && Clock::now() >= until) {
      return retry("RabbitMQ did not answer a message in time", name_);
    }
    if (!*news) continue;
    if (auto heard = hear(**news); !heard) {
      give_up();
      return tl::unexpected(heard.error().error);
    }
    if (blocked_) return tl::unexpected(late());
    if ((*news)->kind == RabbitmqNews::Kind::kProbed) return {};
  }
}

size_t RabbitmqSink::resume(std::span<const Event> events) {
  const size_t known = std::min(under_way_.size(), events.size());
  for (size_t i = 0; i < under_way_.size(); ++i) {
    Message& message = under_way_[i];
    message.event = i < known ? i : kNone;
    if (i >= known || (message.lsn == events[i].lsn && message.index == events[i].index)) continue;
    give_up();
    return 0;
  }
  return known;
}

Delivery RabbitmqSink::deliver(std::span<const Event> events, TimePoint deadline,
                               Progress& progress) {
  if (events.empty()) return {};
  size_t known = resume(events);
  if (auto connected = connect(deadline); !connected) {
    return tl::unexpected(DeliveryError{connected.error(), 0, std::nullopt});
  }
  if (under_way_.empty()) known = 0;  // the connection was lost meanwhile
  Call call{events, deadline, progress, std::nullopt};
  Delivery outcome = run(call, known);
  settle(progress);
  // A message that was refused stops those behind it, which may have arrived and come again.
  const bool stopped = refused_ > 0 || call.unfit;
  if (stopped || (!outcome && outcome.error().error.kind == ErrorKind::kReject)) {
    alone_ = config_.unconfirmed;
  }
  if (outcome && refused_ > 0 && under_way_.front().event != kNone) {
    Message& first = under_way_.front();
    outcome = tl::unexpected(DeliveryError{std::move(*first.error), first.event, std::nullopt});
    first_tag_ += under_way_.size();
    under_way_.clear();
    refused_ = 0;
  } else if (outcome && call.unfit) {
    outcome = tl::unexpected(std::move(*call.unfit));
  }
  if (link_ != nullptr) link_->keep_body();
  return outcome;
}

// Until all is durable, was refused, or the deadline has come. After any other error the connection
// is given up.
Delivery RabbitmqSink::run(Call& call, size_t begin) {
  Delivery outcome = publish_all(call, begin);
  while (outcome && !is_over()) {
    outcome = listen(call, true);
    settle(call.progress);
  }
  return outcome;
}

bool RabbitmqSink::is_over() const {
  if (under_way_.empty() || under_way_.front().event == kNone) return true;
  return refused_ > 0 && waiting_ == 0;
}

Delivery RabbitmqSink::publish_all(Call& call, size_t begin) {
  settle(call.progress);
  for (size_t event = begin; event < call.events.size(); ++event) {
    bool look = event == begin || event % kListenEvery == 0;
    while (blocked_ || !link_->has_room() || waiting_ >= (alone_ > 0 ? 1 : config_.unconfirmed)) {
      if (refused_ > 0) return {};
      if (auto heard = listen(call, true); !heard) return heard;
      settle(call.progress);
      look = true;
    }
    if (refused_ > 0) return {};
    if (look && !call.progress.may_go_on()) return halted();
    publish(call, event);
    if (call.unfit) return {};
    if (link_->published() % kListenEvery == 0) {
      if (auto heard = listen(call, false); !heard) return heard;
      settle(call.progress);
    }
  }
  return {};
}

void RabbitmqSink::publish(Call& call, size_t event) {
  const Event& it = call.events[event];
  const auto routed = router_.route(it, routing_key_);
  if (!routed) {
    call.unfit = DeliveryError{routed.error(), event, std::nullopt};
    return;
  }
  if (!*routed) {
    call.progress.drop(event);
    return;
  }
  if (routing_key_.size() > kShortText) {
    call.unfit = DeliveryError{Error{ErrorKind::kReject,
                                     "the routing key has " + std::to_string(routing_key_.size()) +
                                         " bytes, and is longer than AMQP's 255 bytes: give the "
                                         "table an entry of its own under routing_key",
                                     name_},
                               event, std::nullopt};
    return;
  }
  const EventId id(it);
  RabbitmqMessage message;
  message.exchange = config_.exchange;
  message.routing_key = routing_key_;
  message.body = it.document;
  message.id = id;
  const Headers headers(it);
  message.headers = headers.all();
  message.timestamp = static_cast<uint64_t>(std::max<int64_t>(it.commit_time, 0)) / 1'000'000;
  message.persistent = config_.persistent;
  message.mandatory = config_.mandatory;
  link_->publish(message);
  under_way_.push_back(Message{it.lsn, it.index, it.document.size(), event});
  ++waiting_;
  if (alone_ > 0) --alone_;
}

Delivery RabbitmqSink::listen(Call& call, bool wait) {
  for (bool more = true; more;) {
    const auto news = link_->listen(wait ? call.deadline : Clock::now());
    if (!news) {
      settle(call.progress);
      give_up();
      return tl::unexpected(DeliveryError{news.error(), 0, std::nullopt});
    }
    if (!*news && wait && Clock::now() >= call.deadline) {
      return tl::unexpected(DeliveryError{late(), 0, std::nullopt});
    }
    if (!*news) return {};
    if (auto heard = hear(**news); !heard) {
      settle(call.progress);
      give_up();
      return heard;
    }
    // What is there already is taken in as well.
    more = !wait;
  }
  return {};
}

Delivery RabbitmqSink::hear(const RabbitmqNews& news) {
  switch (news.kind) {
    case RabbitmqNews::Kind::kAck:
    case RabbitmqNews::Kind::kNack:
      hear_confirm(news);
      break;
    case RabbitmqNews::Kind::kReturn:
      hear_return(news);
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
      return tl::unexpected(closed(news));
  }
  return {};
}

void RabbitmqSink::hear_return(const RabbitmqNews& news) {
  for (Message& message : under_way_) {
    Event event;
    event.lsn = message.lsn;
    event.index = message.index;
    if (message.error != nullptr || EventId(event).view() != news.id) continue;
    message.error = std::make_unique<Error>(
        Error{ErrorKind::kReject,
              "no queue takes messages with the routing key \"" + news.routing_key +
                  "\" from exchange \"" + config_.exchange + "\" (" + news.text +
                  "): bind one, correct routing_key, or set mandatory: "
                  "false to let such messages vanish",
              name_});
    ++refused_;
    break;
  }
}

void RabbitmqSink::hear_confirm(const RabbitmqNews& news) {
  if (news.tag < first_tag_ || news.tag >= first_tag_ + under_way_.size()) return;
  const size_t last = news.tag - first_tag_;
  for (size_t i = news.multiple ? 0 : last; i <= last; ++i) {
    Message& message = under_way_[i];
    if (message.confirmed) continue;
    message.confirmed = true;
    --waiting_;
    if (news.kind == RabbitmqNews::Kind::kAck || message.error != nullptr) continue;
    message.error =
        std::make_unique<Error>(Error{ErrorKind::kRetry,
                                      "RabbitMQ did not take a message: a queue is full and "
                                      "rejects what is published, or is in trouble. See "
                                      "rabbitmqctl list_queues name messages policy state",
                                      name_});
    ++refused_;
  }
}

void RabbitmqSink::settle(Progress& progress) {
  while (!under_way_.empty()) {
    const Message& message = under_way_.front();
    if (!message.confirmed || message.error != nullptr || message.event == kNone) break;
    progress.durable(message.event);
    under_way_.pop_front();
    ++first_tag_;
  }
}

DeliveryError RabbitmqSink::closed(const RabbitmqNews& news) const {
  DeliveryError error{rabbitmq_error(news.code, news.text,
                                     "publish to exchange \"" + config_.exchange + "\"", name_),
                      0, std::nullopt};
  // The next connection declares it.
  if (news.code == kNotFound && config_.declare) {
    error.error = {ErrorKind::kRetry,
                   "exchange \"" + config_.exchange +
                       "\" is gone, and is declared again. Bind queues to it: their bindings went "
                       "with it",
                   name_};
  }
  if (error.error.kind != ErrorKind::kReject) return error;
  // Only its size tells which message was rejected.
  const size_t size = rabbitmq_refused_size(news.text);
  const auto mine = [](const Message& message) { return message.event != kNone; };
  const auto large =
      std::find_if(under_way_.begin(), under_way_.end(),
                   [&](const Message& message) { return message.size == size && mine(message); });
  if (large == under_way_.end()) {
    const auto unsure =
        std::find_if(under_way_.begin(), under_way_.end(),
                     [&](const Message& message) { return !message.confirmed && mine(message); });
    error.error.blamed = Scope::kBatch;
    if (unsure != under_way_.end()) error.event = unsure->event;
    error.size = static_cast<size_t>(std::count_if(unsure, under_way_.end(), mine));
  } else {
    error.event = large->event;
  }
  return error;
}

Error RabbitmqSink::late() const {
  const std::string kept = under_way_.empty()
                               ? ""
                               : ". " + std::to_string(under_way_.size()) +
                                     " messages stay under way on the same connection";
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
