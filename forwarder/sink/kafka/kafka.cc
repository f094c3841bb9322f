#include "sink/kafka/kafka.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "kafka/errors.h"

namespace walspout {
namespace {

// How often to ask whether brokers that are away are back.
constexpr Milliseconds kLook{1'000};

}  // namespace

KafkaSink::KafkaSink(const KafkaConfig& config, KafkaOptions options, Router router)
    : config_(config),
      options_(std::move(options)),
      router_(std::move(router)),
      name_(kafka_name(config)),
      window_(*this,
              {.order = Order::kKey, .messages = config.unconfirmed, .bytes = kFlightBytes}) {}

Result<std::unique_ptr<Sink>> KafkaSink::create(const KafkaConfig& config) {
  if (config.brokers.empty()) return misconfigured("brokers names no broker");
  if (config.unconfirmed == 0) return fatal("unconfirmed must be at least 1");
  auto router = Router::create(config.topic);
  if (!router) return in("topic", router.error());
  auto options = kafka_options(config);
  if (!options) return tl::unexpected(options.error());
  return std::unique_ptr<Sink>(new KafkaSink(config, std::move(*options), std::move(*router)));
}

Result<WindowClient::Connection> KafkaSink::connect(TimePoint deadline) {
  deadline_ = deadline;
  if (window_.flight().pending() == 0) heard_ = Clock::now();
  if (link_ != nullptr) return Connection::kSame;
  auto opened = KafkaLink::open(config_, options_, name_,
                                std::min(deadline, Clock::now() + config_.connect_timeout));
  if (!opened) return tl::unexpected(opened.error());
  link_ = std::move(*opened);
  heard_ = Clock::now();
  return Connection::kNew;
}

void KafkaSink::abandon() {
  link_.reset();
  several_.clear();
  half_sent_.reset();
}

Result<void> KafkaSink::check(const SourceState&, TimePoint deadline) {
  if (auto connected = window_.connect(deadline); !connected) return connected;
  if (auto reached = link_->reach(std::min(deadline, Clock::now() + config_.connect_timeout));
      !reached) {
    return reached;
  }
  for (const std::string& name : router_.fixed_names()) {
    if (auto topic = link_->topic(name, deadline); !topic) {
      Error error = std::move(topic.error());
      if (error.kind == ErrorKind::kReject) error.kind = ErrorKind::kFatal;
      return tl::unexpected(std::move(error));
    }
  }
  return {};
}

Result<bool> KafkaSink::submit(uint64_t number, const Event& event) {
  const auto routed = router_.route(event, topic_name_);
  if (!routed) return tl::unexpected(routed.error());
  if (!*routed) return false;
  const auto topic = link_->topic(topic_name_, deadline_);
  if (!topic) return tl::unexpected(topic.error());
  const KafkaMessages messages(event, config_);
  void* opaque = kafka_opaque(number, kafka_place(event));
  bool first = true;
  for (const KafkaMessages::Message& message : messages.all()) {
    const auto sent = produce(*topic, event, message, opaque);
    if (!sent && first) return tl::unexpected(sent.error());
    if (!sent) half_sent_ = sent.error();
    first = false;
  }
  if (messages.all().size() > 1) several_[number] = messages.all().size();
  return true;
}

// The library copies what it is given. It holds messages beyond the call, and takes their memory in
// one piece with its own.
Result<void> KafkaSink::produce(rd_kafka_topic_t* topic, const Event& event,
                                const KafkaMessages::Message& message, void* opaque) {
  KafkaHeaders headers(event, message.is_document);
  const std::string_view value = message.value.value_or(std::string_view());
  std::array<rd_kafka_vu_t, 6> parts;
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = topic;
  parts[1].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[1].u.mem.ptr = message.value ? const_cast<char*>(value.data()) : nullptr;
  parts[1].u.mem.size = value.size();
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;
  parts[2].u.mem.ptr = message.key.empty() ? nullptr : const_cast<char*>(message.key.data());
  parts[2].u.mem.size = message.key.size();
  parts[3].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[3].u.i = RD_KAFKA_MSG_F_COPY;
  parts[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[4].u.ptr = opaque;
  parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[5].u.headers = headers.get();
  rd_kafka_error_t* failed = rd_kafka_produceva(link_->handle(), parts.data(), parts.size());
  if (failed == nullptr) {
    headers.taken();
    return {};
  }
  const auto code = rd_kafka_error_code(failed);
  rd_kafka_error_destroy(failed);
  return tl::unexpected(kafka_error(code, topic_name_, name_));
}

tl::expected<void, Broken> KafkaSink::poll(TimePoint until, Flight& flight) {
  if (half_sent_) return tl::unexpected(Broken{*half_sent_});
  if (flight.pending() == 0) heard_ = Clock::now();
  for (;;) {
    auto reports = link_->next(std::min(until, Clock::now() + kLook));
    if (!reports) return tl::unexpected(Broken{reports.error()});
    if (*reports != nullptr || link_->is_down()) heard_ = Clock::now();
    if (Clock::now() - heard_ > kStuck) return tl::unexpected(stuck(flight));
    if (*reports != nullptr) {
      if (auto heard = hear(reports->get(), flight); !heard) return heard;
      until = TimePoint();  // what is there already is taken in as well
    } else if (Clock::now() >= until) {
      return {};
    } else if (link_->is_down()) {
      if (auto back = link_->reach(std::min(until, Clock::now() + config_.connect_timeout));
          !back) {
        return tl::unexpected(Broken{.error = back.error(), .stays = true});
      }
    }
  }
}

Broken KafkaSink::stuck(const Flight& flight) const {
  return {{ErrorKind::kRetry,
           "Kafka has confirmed nothing for two minutes, although a broker is connected: another "
           "producer sends the " +
               std::to_string(flight.pending()) + " messages again, with the same ids",
           name_}};
}

tl::expected<void, Broken> KafkaSink::hear(rd_kafka_event_t* reports, Flight& flight) {
  const size_t count = rd_kafka_event_message_count(reports);
  bool confirmed = false;
  while (const rd_kafka_message_t* message = rd_kafka_event_message_next(reports)) {
    const uint64_t number = kafka_number(message->_private, flight.first());
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (auto over = fail(*message, number, count, flight); !over) return over;
      continue;
    }
    if (!several_.empty()) {
      if (auto waiting = several_.find(number); waiting != several_.end()) {
        if (--waiting->second > 0) continue;
        several_.erase(waiting);
      }
    }
    flight.done(number);
    confirmed = true;
  }
  if (confirmed) link_->forget_trouble();
  return {};
}

// Messages that were sent together fail together, so that it may be another one's fault.
tl::expected<void, Broken> KafkaSink::fail(const rd_kafka_message_t& message, uint64_t number,
                                           size_t together, Flight& flight) {
  const std::string topic = message.rkt != nullptr ? rd_kafka_topic_name(message.rkt) : "";
  several_.erase(number);
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      flight.undone(number);
      return {};
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      // The next producer looks for the topic, and makes it if that is configured.
      return tl::unexpected(
          Broken{{ErrorKind::kRetry, "topic \"" + topic + "\" is gone, and is looked for", name_}});
    case RD_KAFKA_RESP_ERR__FATAL: {
      std::array<char, 512> said{};
      const auto cause = rd_kafka_fatal_error(link_->handle(), said.data(), said.size());
      return tl::unexpected(Broken{kafka_trouble(cause, said.data(), {}, name_)});
    }
    default:
      break;
  }
  Error error = kafka_error(message.err, topic, name_);
  if (error.kind == ErrorKind::kReject && together > 1) {
    error.blamed = Scope::kBatch;
    if (flight.failures() == 0) {
      flight.failed_together(number, together, std::move(error));
    } else {
      flight.undone(number);
    }
    return {};
  }
  flight.failed(number, std::move(error));
  return {};
}

Error KafkaSink::late(const Flight& flight) const {
  const std::string kept =
      std::to_string(flight.pending()) + " messages stay under way with the same producer";
  if (link_->trouble()) {
    Error error = *link_->trouble();
    error.what += ". " + kept;
    return error;
  }
  return {ErrorKind::kRetry, "Kafka did not confirm in time (deliver_timeout). " + kept, name_};
}

}  // namespace walspout
