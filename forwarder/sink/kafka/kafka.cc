#include "sink/kafka/kafka.h"

#include <array>
#include <charconv>
#include <utility>

#include "kafka/errors.h"
#include "kafka/handle.h"
#include "sink/kafka/admin.h"

namespace walspout {
namespace {

constexpr Milliseconds kCommit{2'000};  // while there is nothing to deliver
// How often to ask whether lost brokers are back. A shorter wait than kBrief does not ask.
constexpr Milliseconds kAskAgain{1'000};
constexpr Milliseconds kBrief{100};

// The time limits of aborting a transaction.
constexpr Milliseconds kAbort{2'000};
constexpr Milliseconds kLastAbort{1'000};
// The bytes of headers and of a batch's frame besides a document's values, at most.
constexpr uint64_t kBeside = 4'096;
// A request costs the library and the broker as much as about that many messages.
constexpr size_t kTogether = 1'000;

WindowLimits window_limits(const KafkaConfig& config, size_t bytes) {
  if (!config.exactly_once) {
    return {.order = Order::kKey,
            .messages = config.unconfirmed,
            .bytes = bytes,
            .together = kTogether};
  }
  // For transactions. After a failure the whole transaction is void, so no message can be
  // overtaken.
  return {.messages = 4 * config.unconfirmed, .bytes = bytes, .pipelined = false};
}

bool is_gone(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
         code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

constexpr const char* kLargest = "max.message.bytes";

// Too large events are rejected, so warn before one arrives.
void warn_of_size(const std::string& where, const std::string& option, uint64_t max_value,
                  std::vector<std::string>& warnings) {
  uint64_t largest = 0;
  std::from_chars(option.data(), option.data() + option.size(), largest);
  if (largest == 0 || (max_value > 0 && max_value + kBeside <= largest)) return;
  const std::string what = max_value == 0
                               ? "the source leaves no value out"
                               : "max_value_bytes of the source is " + std::to_string(max_value);
  warnings.push_back(where + " takes messages of " + option + " bytes at most, and " + what +
                     ": a larger event would be rejected. Set max_value_bytes well below, or raise "
                     "that limit");
}

}  // namespace

KafkaSink::KafkaSink(const KafkaConfig& config, KafkaOptions options, Router router)
    : config_(config),
      options_(std::move(options)),
      router_(std::move(router)),
      name_(kafka_name(config)),
      window_(*this, window_limits(config, kFlightBytes)),
      once_(config_, options_, name_) {}

// Abort an open transaction, because readers would wait for it.
KafkaSink::~KafkaSink() {
  drop_link(kLastAbort);
}

Result<std::unique_ptr<Sink>> KafkaSink::create(const KafkaConfig& config) {
  if (config.brokers.empty()) return misconfigured("brokers names no broker");
  if (config.unconfirmed == 0) return fatal("unconfirmed must be at least 1");
  auto router = Router::create(config.topic);
  if (!router) return with_prefix("topic", router.error());
  auto options = kafka_options(config);
  if (!options) return tl::unexpected(options.error());
  return std::unique_ptr<Sink>(new KafkaSink(config, std::move(*options), std::move(*router)));
}

Result<WindowClient::Connection> KafkaSink::connect(TimePoint deadline) {
  deadline_ = deadline;
  if (window_.flight().pending() == 0) heard_ = Clock::now();
  const bool delivers = progress_ != nullptr && once_.is_used();
  if (delivers) {
    if (const Error* why = once_.fence_error(progress_->term())) return tl::unexpected(*why);
  }
  auto connection = Connection::kSame;
  if (link_ == nullptr) {
    auto opened = KafkaLink::open(config_, options_, name_,
                                  std::min(deadline, Clock::now() + config_.connect_timeout),
                                  {.reads = false, .transactional_id = once_.transactional_id()});
    if (!opened) return tl::unexpected(opened.error());
    link_ = std::move(*opened);
    heard_ = Clock::now();
    connection = Connection::kNew;
  }
  if (!delivers) return connection;
  if (auto ready = once_.prepare(*link_, *progress_, deadline); !ready) {
    drop_link(kAbort);
    return tl::unexpected(ready.error());
  }
  return connection;
}

// The next producer would end an open transaction, too, but readers would wait until then.
void KafkaSink::drop_link(Milliseconds patience) {
  if (once_.is_open()) once_.abort(Clock::now() + patience);
  once_.forget();
  link_.reset();
}

void KafkaSink::abandon() {
  drop_link(kAbort);
  pending_reports_.clear();
  half_sent_.reset();
}

Delivery KafkaSink::deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) {
  progress_ = &progress;
  auto delivery = window_.deliver(events, deadline, progress);
  progress_ = nullptr;
  return delivery;
}

// Readers of committed messages wait for an open transaction. No event follows soon, so commit.
void KafkaSink::idle() {
  once_.look_at_clock();
  window_.idle(once_.is_due() ? Clock::now() + kCommit : Clock::now());
}

void KafkaSink::let_go() {
  window_.idle();
  if (window_.flight().pending() > 0) window_.give_up();
}

Result<void> KafkaSink::check(const SourceState& source, TimePoint deadline) {
  const std::string before = once_.transactional_id();
  once_.set_source(source);
  if (link_ != nullptr && once_.transactional_id() != before) window_.give_up();
  if (auto connected = window_.connect(deadline); !connected) return connected;
  if (auto reached = link_->reach(std::min(deadline, Clock::now() + config_.connect_timeout));
      !reached) {
    return reached;
  }
  if (once_.is_used()) {
    if (auto good = once_.check(*link_, deadline); !good) return good;
  }
  return check_topics(source, deadline);
}

Result<void> KafkaSink::check_topics(const SourceState& source, TimePoint deadline) {
  warnings_.clear();
  for (const std::string& name : router_.fixed_names()) {
    if (auto topic = link_->topic(name, deadline); !topic) {
      Error error = std::move(topic.error());
      if (error.kind == ErrorKind::kReject) error.kind = ErrorKind::kFatal;
      return tl::unexpected(std::move(error));
    }
    const auto option = kafka_topic_option(*link_, name, kLargest, name_, deadline);
    if (!option) return tl::unexpected(option.error());
    warn_of_size("topic \"" + name + "\"", *option, source.max_value_bytes, warnings_);
  }
  if (!router_.fixed_names().empty()) return {};
  const auto option = kafka_broker_option(*link_, "message.max.bytes", name_, deadline);
  if (!option) return tl::unexpected(option.error());
  warn_of_size("the broker", *option, source.max_value_bytes, warnings_);
  return {};
}

bool KafkaSink::has_room() const {
  return !once_.is_open() || (!once_.is_due() && once_.unreported() < config_.unconfirmed);
}

Result<bool> KafkaSink::submit(uint64_t number, const Event& event) {
  const bool once = once_.is_used();
  if (once) {
    const auto there = once_.has(event);
    if (!there || *there) return there;
  }
  const auto routed = router_.route(event, topic_name_);
  if (!routed) return tl::unexpected(routed.error());
  if (!*routed) return false;
  const auto topic = link_->topic(topic_name_, deadline_);
  if (!topic) return tl::unexpected(topic.error());
  if (once) {
    if (auto begun = once_.begin(); !begun) {
      half_sent_ = begun.error();
      return tl::unexpected(begun.error());
    }
  }
  const KafkaMessages messages(event, config_);
  void* opaque = kafka_opaque(number, kafka_place(event));
  bool first = true;
  for (const KafkaMessages::Message& message : messages.all()) {
    const auto sent = produce(*topic, event, message, opaque);
    if (!sent && first) return tl::unexpected(sent.error());
    if (!sent) half_sent_ = sent.error();
    first = false;
  }
  if (once) {
    once_.sent(event, messages.all().size());
  } else if (messages.all().size() > 1) {
    pending_reports_[number] = messages.all().size();
  }
  return true;
}

// The library copies the bytes: it keeps messages after the call, and allocates each with its own
// data in one piece.
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
  if (!is_gone(code)) return tl::unexpected(kafka_error(code, topic_name_, name_));
  half_sent_ = gone(topic_name_);  // this producer never looks for the topic again
  return tl::unexpected(*half_sent_);
}

tl::expected<void, Broken> KafkaSink::poll(TimePoint until, Flight& flight) {
  if (half_sent_) return broken(*half_sent_);
  return once_.is_used() ? settle(until, flight) : take_reports(until, flight);
}

tl::unexpected<Broken> KafkaSink::broken(Error error) {
  return tl::unexpected(Broken{once_.explained(std::move(error))});
}

tl::expected<void, Broken> KafkaSink::settle(TimePoint until, Flight& flight) {
  if (!once_.is_open()) {
    flight.done_through(flight.next() - 1);  // already delivered
    return take_reports(TimePoint(), flight);
  }
  const auto whole = complete(until, flight);
  if (!whole) return tl::unexpected(whole.error());
  if (flight.failures() > 0) undo(flight);
  if (!*whole || flight.failures() > 0) return {};
  return commit(until, flight);
}

// Whether to commit the transaction now. If the caller waits for room, reports make room; otherwise
// there are no more events. If no report arrives, ask the transaction for an error.
tl::expected<bool, Broken> KafkaSink::complete(TimePoint until, Flight& flight) {
  if (auto heard = take_reports(TimePoint(), flight); !heard) return tl::unexpected(heard.error());
  once_.look_at_clock();
  for (;;) {
    if (flight.failures() > 0 || Clock::now() >= until) return false;
    const bool only_reports = !has_room() && !once_.is_due();
    if (!only_reports) {
      if (auto written = once_.write_position(); !written) return broken(written.error());
      if (once_.unreported() == 0) return true;
    }
    const size_t before = once_.unreported();
    auto heard = take_reports(std::min(until, Clock::now() + kAskAgain), flight);
    if (!heard) return tl::unexpected(heard.error());
    if (once_.unreported() == before) {
      if (!flight.may_continue()) return false;
      const auto good = once_.look();
      // The report that names the event at fault may follow the error.
      if (auto more = take_reports(TimePoint(), flight); !more) return tl::unexpected(more.error());
      if (!good && flight.failures() == 0) return broken(good.error());
      // The library retries a transaction forever if its topic is gone.
      const std::string missing = link_->missing_topic(Clock::now() + kAskAgain);
      if (!missing.empty()) return tl::unexpected(Broken{gone(missing)});
    }
    if (only_reports) return false;
  }
}

tl::expected<void, Broken> KafkaSink::commit(TimePoint until, Flight& flight) {
  if (auto committed = once_.commit(until); !committed) return broken(committed.error());
  flight.done_through(flight.next() - 1);
  link_->forget_trouble();
  heard_ = Clock::now();
  return {};
}

// The whole transaction is void, also its events that did not fail. The library has left a gap in
// its sequence numbers, so the next transaction of this producer would fail, too.
void KafkaSink::undo(Flight& flight) {
  for (uint64_t number = flight.first(); number < flight.next(); ++number) flight.undone(number);
  drop_link(kAbort);
}

tl::expected<void, Broken> KafkaSink::take_reports(TimePoint until, Flight& flight) {
  const TimePoint now = Clock::now();
  if (flight.pending() == 0) heard_ = now;
  const bool is_brief = until < now + kBrief;
  for (;;) {
    auto reports = link_->next(std::min(until, Clock::now() + kAskAgain));
    if (!reports) return broken(reports.error());
    if (*reports != nullptr || link_->is_down()) heard_ = Clock::now();
    if (Clock::now() - heard_ > kStuck) return tl::unexpected(stuck(flight));
    if (*reports != nullptr) {
      if (auto heard = take_events(reports->get(), flight); !heard) return heard;
      until = TimePoint();  // also take the reports that are already there
    } else if (Clock::now() >= until || !flight.may_continue()) {
      return {};
    } else if (link_->is_down() && !is_brief) {
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
               std::to_string(flight.pending()) + " messages again, with the same ids" +
               where_to_look(),
           name_}};
}

tl::expected<void, Broken> KafkaSink::take_events(rd_kafka_event_t* reports, Flight& flight) {
  // The events that the messages are of, at most: an event may have several messages.
  const size_t together = std::min(rd_kafka_event_message_count(reports), flight.pending());
  bool confirmed = false;
  while (const rd_kafka_message_t* message = rd_kafka_event_message_next(reports)) {
    const uint64_t number = kafka_number(message->_private, flight.first());
    if (once_.is_used()) once_.reported();
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (auto over = fail(*message, number, together, flight); !over) return over;
      continue;
    }
    if (once_.is_used()) continue;  // done only when committed
    if (!pending_reports_.empty()) {
      if (auto waiting = pending_reports_.find(number); waiting != pending_reports_.end()) {
        if (--waiting->second > 0) continue;
        pending_reports_.erase(waiting);
      }
    }
    flight.done(number);
    confirmed = true;
  }
  if (confirmed) link_->forget_trouble();
  return {};
}

// The next producer looks for the topic, and makes it if create_topics is set.
Error KafkaSink::gone(const std::string& topic) const {
  return {ErrorKind::kRetry, "topic \"" + topic + "\" is gone: the next producer looks for it",
          name_};
}

// Messages of one batch fail together, so another one may be at fault.
tl::expected<void, Broken> KafkaSink::fail(const rd_kafka_message_t& message, uint64_t number,
                                           size_t together, Flight& flight) {
  const std::string topic = message.rkt != nullptr ? rd_kafka_topic_name(message.rkt) : "";
  pending_reports_.erase(number);
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      if (!once_.is_used()) flight.undone(number);
      return {};
    case RD_KAFKA_RESP_ERR__FATAL: {
      std::array<char, 512> said{};
      const auto cause = rd_kafka_fatal_error(link_->handle(), said.data(), said.size());
      return broken(kafka_trouble(cause, said.data(), {}, name_));
    }
    default:
      break;
  }
  if (is_gone(message.err)) return tl::unexpected(Broken{gone(topic)});
  Error error = kafka_error(message.err, topic, name_);
  // The topic takes no event without a key, also not the next one.
  if (message.err == RD_KAFKA_RESP_ERR_INVALID_RECORD && message.key_len == 0) {
    error.kind = ErrorKind::kFatal;
  }
  // In a transaction, either an event is at fault, or the whole transaction fails.
  if (once_.is_used() && (error.kind != ErrorKind::kReject || topic == config_.positions)) {
    if (error.kind == ErrorKind::kReject) error.kind = ErrorKind::kFatal;
    return broken(std::move(error));
  }
  blame(std::move(error), number, together, flight);
  return {};
}

void KafkaSink::blame(Error error, uint64_t number, size_t together, Flight& flight) {
  if (error.kind != ErrorKind::kReject || together <= 1) {
    flight.failed(number, std::move(error));
  } else if (flight.failures() == 0) {
    error.blamed = Scope::kBatch;
    flight.failed_together(number, together, std::move(error));
  } else {
    flight.undone(number);
  }
}

// The library retries forever what a broker cannot take now, and does not say why.
std::string KafkaSink::where_to_look() const {
  return ". Look for partitions without a leader, or with fewer replicas in sync than "
         "min.insync.replicas: kafka-topics.sh --bootstrap-server " +
         config_.brokers.front() +
         " --describe --unavailable-partitions, and with "
         "--under-min-isr-partitions";
}

Error KafkaSink::late(const Flight& flight) const {
  const std::string kept =
      std::to_string(flight.pending()) + " messages stay in flight with the same producer";
  if (link_->trouble()) {
    Error error = *link_->trouble();
    error.what += ". " + kept;
    return error;
  }
  return {ErrorKind::kRetry,
          "Kafka did not confirm in time (deliver_timeout). " + kept + where_to_look(), name_};
}

}  // namespace walspout
