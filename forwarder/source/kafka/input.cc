#include "source/kafka/input.h"

#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/log.h"
#include "source/kafka/foreign.h"

namespace walspout {

namespace {

constexpr size_t kChunkBytes = 256 * 1024;  // handed over together
constexpr size_t kChunkEvents = 4096;
constexpr size_t kMostTables = 10'000;
constexpr Duration kTick = std::chrono::seconds(1);
constexpr Duration kCommit = std::chrono::milliseconds(500);
constexpr Duration kProof = std::chrono::milliseconds(300);
constexpr Duration kAnswer = std::chrono::seconds(5);
// If the queue is full for a shorter time, the library keeps what it has read ahead.
constexpr Duration kFull = std::chrono::seconds(2);

}  // namespace

KafkaInput::KafkaInput(std::string pipeline, const KafkaSourceConfig& config, EventQueue& queue,
                       const Wake& wake, BackoffConfig retry, SetAside set_aside)
    : pipeline_(std::move(pipeline)),
      config_(config),
      queue_(queue),
      wake_(wake),
      set_aside_(std::move(set_aside)),
      backoff_(retry) {}

void KafkaInput::renew() {
  renew_ = true;
  wake_();
}

void KafkaInput::stop(TimePoint drain_until) {
  drain_until_ = drain_until.time_since_epoch().count();
  stop_ = true;
  queue_.wake_always();
  wake_();
}

std::vector<InputFigure> KafkaInput::figures() const {
  return {
      {.value = config_.group, .member = "group"},
      {.value = lag_.load(),
       .member = "lag_messages",
       .metric = "walspout_lag_messages",
       .help = "Messages of this member's partitions that some sink is not done with."},
      {.value = partitions_.load(),
       .member = "partitions",
       .metric = "walspout_source_partitions",
       .help = "Partitions that the group has given to this member."},
      {.value = foreign_.load(),
       .member = "foreign",
       .metric = "walspout_source_foreign_total",
       .help = "Messages that walspout had not written.",
       .counts = true},
  };
}

std::optional<SourceState> KafkaInput::state() const {
  if (!began_) return std::nullopt;
  SourceState state{};
  state.ordered = false;
  return state;
}

Result<void> KafkaInput::run() {
  queue_.fence().close();
  Result<void> result = run_until_stopped();
  queue_.fence().close();
  stats_.state = SourcePhase::kStopped;
  stats_.pulse.away();
  return result;
}

Result<void> KafkaInput::run_until_stopped() {
  while (!stopping()) {
    const Result<void> ended = consume_once();
    if (stopping() || ended) continue;
    stats_.last_error.set(ended.error().message());
    if (ended.error().kind == ErrorKind::kFatal) return ended;
    stats_.state = SourcePhase::kConnecting;
    const Milliseconds wait = backoff_.next();
    log(LogLevel::kWarn, "source failed, will connect again",
        {{"pipeline", pipeline_},
         {"attempt", backoff_.attempts()},
         {"wait_ms", wait.count()},
         {"error", ended.error().message()}});
    pause(wait);
  }
  return {};
}

// Secrets in files may have changed.
void KafkaInput::renew_secrets() {
  std::vector<Secret*> secrets;
  if (config_.sasl) secrets = {&config_.sasl->password, &config_.sasl->token};
  for (auto& [option, value] : config_.librdkafka) secrets.push_back(&value);
  for (Secret* secret : secrets) {
    Result<std::optional<Secret>> again = secret->reread();
    if (again && *again) *secret = std::move(**again);
    if (!again) note_trouble(again.error());
  }
}

Result<void> KafkaInput::consume_once() {
  stats_.state = SourcePhase::kConnecting;
  const TimePoint until = Clock::now() + config_.connect_timeout;
  stats_.pulse.set_return_time(until + kAnswer);
  renew_secrets();
  const Result<KafkaOptions> options = kafka_source_options(config_);
  if (!options) return tl::unexpected(options.error());
  auto opened = KafkaConsumer::open(config_, *options, wake_, until);
  if (!opened) {
    // An operator can fix the cause without a restart.
    Error error = std::move(opened.error());
    if (error.kind == ErrorKind::kFatal) error.blamed = Scope::kConfiguration;
    error.kind = ErrorKind::kRetry;
    return tl::unexpected(std::move(error));
  }
  consumer_ = std::move(*opened);
  joined_ = committing_ = paused_ = more_ = false;
  Result<void> ended = consume();
  hand_over();
  queue_.announce(true);
  if (stopping()) {
    drain();
  } else {
    settle(ours());
  }
  leave();
  return ended;
}

Result<void> KafkaInput::consume() {
  while (!stopping()) {
    wake_.clear();
    stats_.pulse.set_return_time(Clock::now() + kAnswer);
    const bool room = queue_.has_room();
    pause_or_resume(room);
    // We wait if the queue is full for a moment. After kFull we pause the library's reading, and
    // handle only the events of the group.
    const bool listens = room || paused_;
    if (listens) {
      if (Result<void> received = receive(); !received) return received;
    }
    hand_over();
    announce_at_ = queue_.announce();
    update_handled();
    show_life();
    commit();
    if (Result<void> there = look(); !there) return there;
    if (listens && more_) continue;
    TimePoint until = Clock::now() + kTick;
    if (announce_at_) until = std::min(until, *announce_at_);
    if (queue_.pushed() > queue_.handled() || !offsets_.to_commit().empty()) {
      until = std::min(until, std::max(commit_at_, Clock::now() + kCommit / 5));
    }
    wait(until);
  }
  return {};
}

void KafkaInput::wait(TimePoint until) {
  pollfd fd{wake_.fd(), POLLIN, 0};
  const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
  if (left > 0) poll(&fd, 1, static_cast<int>(left));
}

// Sleeps until stop() or renew() is called.
void KafkaInput::pause(Duration time) {
  const TimePoint until = Clock::now() + time;
  stats_.pulse.set_return_time(until);
  while (!stopping() && !renew_.exchange(false) && Clock::now() < until) {
    wait(until);
    wake_.clear();
  }
}

// Resumes or pauses the library's reading.
void KafkaInput::pause_or_resume(bool room) {
  if (room) {
    full_since_.reset();
    if (std::exchange(paused_, false)) consumer_->resume(ours());
    return;
  }
  if (!full_since_) {
    full_since_ = Clock::now();
    stats_.pauses++;
  }
  if (paused_ || Clock::now() - *full_since_ < kFull) return;
  consumer_->pause(ours());
  paused_ = true;
}

// Takes the library's events, up to a chunk.
Result<void> KafkaInput::receive() {
  more_ = true;
  for (size_t i = 0; i < kChunkEvents && taken_bytes_ < kChunkBytes && !stopping(); i++) {
    KafkaConsumer::Event event = consumer_->next();
    if (event == nullptr) {
      more_ = false;
      break;
    }
    if (Result<void> heard = handle_event(std::move(event)); !heard) return heard;
  }
  return {};
}

Result<void> KafkaInput::handle_event(KafkaConsumer::Event event) {
  switch (rd_kafka_event_type(event.get())) {
    case RD_KAFKA_EVENT_FETCH:
      return take(std::move(event));
    case RD_KAFKA_EVENT_REBALANCE:
      return rebalance(event.get());
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
      handle_commit(event.get());
      return {};
    case RD_KAFKA_EVENT_ERROR:
      return handle_error(event.get());
    default:
      return consumer_->handle_event(event.get());
  }
}

// Most messages have the partition of the message before.
KafkaOffsets::Place* KafkaInput::place_of(const rd_kafka_message_t& message) {
  if (message.rkt == last_topic_ && message.partition == last_partition_) return last_place_;
  last_topic_ = message.rkt;
  last_partition_ = message.partition;
  last_place_ = offsets_.find({rd_kafka_topic_name(message.rkt), message.partition});
  return last_place_;
}

Result<void> KafkaInput::take(KafkaConsumer::Event event) {
  const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get());
  if (message == nullptr || message->rkt == nullptr || message->err) return {};
  KafkaOffsets::Place* place = place_of(*message);
  if (place == nullptr || !KafkaOffsets::is_new(*place, message->offset)) return {};
  const bool read = kafka_headers(*message, headers_);
  std::optional<std::string_view> value;
  if (message->payload != nullptr) {
    value = std::string_view(static_cast<const char*>(message->payload), message->len);
  }
  Result<std::optional<KafkaEvent>> found = kafka_event(value, headers_);
  if (!read) found = reject("its headers cannot be read");
  if (!found) {
    if (Result<void> handled = foreign(*message, found.error()); !handled) return handled;
  } else if (*found) {
    Taken& taken = taken_.emplace_back();
    taken.event = (*found)->event;
    if (has_table(taken.event.op)) taken.table = table_of(**found);
    taken.event.table = taken.table.get();
    taken.message = std::move(event);
    taken_bytes_ += taken.event.document.size();
  }
  offsets_.take(*place, message->offset, message->offset + 1);
  return {};
}

// Handles a message that is no event.
Result<void> KafkaInput::foreign(const rd_kafka_message_t& message, const Error& why) {
  using Foreign = KafkaSourceConfig::Foreign;
  if (why.kind != ErrorKind::kReject || config_.foreign == Foreign::kError) {
    return fatal(kafka_foreign_error(message, why, config_), consumer_->where());
  }
  foreign_++;
  if (config_.foreign == Foreign::kSkip) {
    log(LogLevel::kDebug, "foreign message skipped",
        {{"pipeline", pipeline_}, {"message", kafka_message_name(message)}, {"why", why.what}});
    return {};
  }
  const std::string document = kafka_foreign_document(message);
  Error reason = why;
  reason.what = kafka_message_name(message) + " is not an event of walspout: " + why.what;
  Event event;
  event.lsn = Lsn{static_cast<uint64_t>(std::max<int64_t>(message.offset, 0))};
  event.index = static_cast<uint64_t>(std::max(message.partition, 0));
  event.op = 'm';
  event.document = document;
  if (Result<void> put = set_aside_(event, reason); !put) {
    return retry("a foreign message cannot be set aside: " + put.error().message());
  }
  log(LogLevel::kError, "foreign message set aside as a dead letter",
      {{"pipeline", pipeline_}, {"message", kafka_message_name(message)}, {"why", why.what}});
  return {};
}

std::shared_ptr<const Table> KafkaInput::table_of(const KafkaEvent& found) {
  if (last_table_ && last_table_->schema == found.schema && last_table_->name == found.table) {
    return last_table_;
  }
  if (tables_.size() >= kMostTables) tables_.clear();
  auto& table = tables_[{std::string(found.schema), std::string(found.table)}];
  if (!table) {
    table =
        std::make_shared<const Table>(Table{std::string(found.schema), std::string(found.table)});
  }
  return last_table_ = table;
}

// Puts the received events into the queue. The bytes are copied, because a message of the library
// keeps its whole batch in memory.
void KafkaInput::hand_over() {
  if (!taken_.empty()) {
    size_t size = 0;
    for (const Taken& taken : taken_) {
      size += taken.event.document.size() + taken.event.prefix().size();
    }
    auto* block = static_cast<char*>(std::malloc(std::max<size_t>(size, 1)));
    if (block == nullptr) throw std::bad_alloc();
    Chunk chunk;
    chunk.messages.emplace_back(block, 0, size, std::free);
    chunk.message_bytes = size;
    chunk.events.reserve(taken_.size());
    const auto keep = [&block](std::string_view bytes) {
      if (!bytes.empty()) std::memcpy(block, bytes.data(), bytes.size());
      const std::string_view kept(block, bytes.size());
      block += bytes.size();
      return kept;
    };
    for (const Taken& taken : taken_) {
      Event event = taken.event;
      event.document = keep(event.document);
      if (event.op == 'm') event.set_prefix(keep(event.prefix()));
      chunk.events.push_back(event);
      if (taken.table && (chunk.tables.empty() || chunk.tables.back() != taken.table)) {
        chunk.tables.push_back(taken.table);
      }
    }
    stats_.last_commit_at.store(taken_.back().event.commit_time, std::memory_order_relaxed);
    stats_.bytes.fetch_add(size, std::memory_order_relaxed);
    stats_.events.fetch_add(taken_.size(), std::memory_order_relaxed);
    taken_.clear();
    taken_bytes_ = 0;
    queue_.push(std::move(chunk));
  }
  offsets_.pushed(queue_.pushed());
}

Result<void> KafkaInput::handle_error(rd_kafka_event_t* event) {
  const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  Key key;
  int64_t offset = -1;
  if (rd_kafka_topic_partition_t* at = rd_kafka_event_topic_partition(event)) {
    key = {at->topic, at->partition};
    offset = at->offset;
    rd_kafka_topic_partition_destroy(at);
  }
  switch (code) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: {
      // The markers at the ends of transactions have offsets, but no message.
      KafkaOffsets::Place* place = offsets_.find(key);
      if (place != nullptr && offset >= place->next) offsets_.take(*place, offset, offset);
      return {};
    }
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return fatal(kafka_gap_error(key, config_), consumer_->where());
    default:
      break;
  }
  const std::string said = consumer_->mask().apply(rd_kafka_event_error_string(event));
  if (auto trouble = kafka_source_trouble(code, said, config_, consumer_->where())) {
    note_trouble(*trouble);
    return {};
  }
  return consumer_->handle_event(event);
}

// An error that keeps some messages from coming, and may pass.
void KafkaInput::note_trouble(const Error& error) {
  const std::string text = error.message();
  stats_.last_error.set(text);
  if (std::exchange(trouble_said_, text) == text) return;
  log(LogLevel::kWarn, "source has trouble", {{"pipeline", pipeline_}, {"error", text}});
}

void KafkaInput::update_handled() {
  offsets_.handled(queue_.handled());
}

// Shows sinks that the partitions are still ours.
void KafkaInput::show_life() {
  if (offsets_.all().empty() || consumer_->is_lost()) return;
  Fence& fence = queue_.fence();
  fence.heard();
  if (!fence.is_in_doubt() || Clock::now() < prove_at_) return;
  Offsets known;
  for (const auto& [key, place] : offsets_.all()) {
    if (place.durable != KafkaOffsets::kUnknown) known.emplace_back(key, place.durable);
  }
  const bool proven = !known.empty() && consumer_->commit_now(known, Clock::now() + kAnswer / 2);
  if (proven) fence.heard(true);
  prove_at_ = Clock::now() + kProof;
}

void KafkaInput::commit() {
  if (committing_ || Clock::now() < commit_at_) return;
  const Offsets offsets = offsets_.to_commit();
  if (offsets.empty()) return;
  commit_at_ = Clock::now() + kCommit;
  if (Result<void> sent = consumer_->commit(offsets); !sent) return note_trouble(sent.error());
  committing_ = true;
}

void KafkaInput::handle_commit(rd_kafka_event_t* event) {
  committing_ = false;
  const auto* list = rd_kafka_event_topic_partition_list(event);
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  for (int i = 0; list != nullptr && i < list->cnt; i++) {
    const auto& one = list->elems[i];
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && one.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      offsets_.committed({one.topic, one.partition}, one.offset);
    } else if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      code = one.err;
    }
  }
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    backoff_.reset();
    return;
  }
  commit_at_ = Clock::now() + kTick;
  if (code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS) return;  // it is retried
  note_trouble({ErrorKind::kRetry,
                std::string("offsets are not committed: ") + rd_kafka_err2str(code),
                consumer_->where()});
}

// Once a second: the ends of the partitions, and whether lost brokers are back. Error: the brokers
// no longer accept us.
Result<void> KafkaInput::look() {
  if (Clock::now() < look_at_) return {};
  look_at_ = Clock::now() + kTick;
  for (const auto& [key, place] : offsets_.all()) {
    offsets_.ends(key, consumer_->limits(key).second);
  }
  lag_ = offsets_.lag();
  // The library does not always report that all brokers are down.
  const bool was_down = consumer_->is_down();
  if (was_down || consumer_->trouble()) {
    stats_.pulse.set_return_time(Clock::now() + kAnswer);
    if (consumer_->answers(Milliseconds(1000))) {
      consumer_->forget_trouble();
      if (was_down) log(LogLevel::kInfo, "brokers answer again", {{"pipeline", pipeline_}});
    } else if (Result<void> still = stay_down(); !still) {
      return still;
    }
  }
  update_phase();
  return {};
}

// No broker answers. Error: as look().
Result<void> KafkaInput::stay_down() {
  consumer_->note_down();
  const std::optional<Error>& trouble = consumer_->trouble();
  if (trouble && trouble->kind == ErrorKind::kFatal) {
    Error error = *trouble;
    error.kind = ErrorKind::kRetry;
    return tl::unexpected(std::move(error));
  }
  note_trouble(trouble.value_or(Error{ErrorKind::kRetry,
                                      "no broker answers, and the library does not say why",
                                      consumer_->where()}));
  return {};
}

// Reads nothing more, and waits while the sinks finish what they have.
void KafkaInput::drain() {
  log(LogLevel::kInfo, "draining",
      {{"pipeline", pipeline_}, {"events", queue_.pushed() - queue_.handled()}});
  while (queue_.handled() < queue_.pushed() && !queue_.closed() && Clock::now() < drain_until()) {
    wake_.clear();
    stats_.pulse.set_return_time(Clock::now() + kAnswer);
    show_life();
    wait(std::min(drain_until(), Clock::now() + kTick / 5));
  }
  log(LogLevel::kInfo, "stopped",
      {{"pipeline", pipeline_}, {"left", queue_.pushed() - queue_.handled()}});
}

std::vector<KafkaInput::Key> KafkaInput::ours() const {
  std::vector<Key> keys;
  for (const auto& [key, place] : offsets_.all()) keys.push_back(key);
  return keys;
}

}  // namespace walspout
