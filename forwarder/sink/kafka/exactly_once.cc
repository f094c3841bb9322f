#include "sink/kafka/exactly_once.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kafka/errors.h"

namespace walspout {

KafkaExactlyOnce::KafkaExactlyOnce(const KafkaConfig& config, const KafkaOptions& options,
                                   const std::string& where)
    : config_(config), where_(where), positions_(config, options, where) {}

void KafkaExactlyOnce::set_source(const SourceState& source) {
  const std::string known = std::exchange(source_, source).identity;
  if (source_.identity.empty()) source_.identity = known;
}

std::string KafkaExactlyOnce::key() const {
  return kafka_position_key(config_.sink, source_.identity);
}

std::string KafkaExactlyOnce::transactional_id() const {
  return is_used() && !source_.identity.empty() ? kafka_transactional_id(key()) : "";
}

Error KafkaExactlyOnce::another_history(const std::string& what) const {
  return {ErrorKind::kFatal,
          "the position of \"" + key() + "\" in topic \"" + config_.positions + "\" " + what +
              ". The database was restored, or failed over to a server that lacks what was "
              "delivered: bring the readers in line with it. Then give this sink another `name`, "
              "which has no position yet",
          where_};
}

// Events up to the position are skipped, so ids must grow.
Result<void> KafkaExactlyOnce::can_number() const {
  if (source_.ordered) return {};
  return misconfigured("exactly_once needs a source with a slot, whose events are numbered",
                       where_);
}

Result<void> KafkaExactlyOnce::check(KafkaLink& link, TimePoint deadline) const {
  if (auto numbered = can_number(); !numbered) return numbered;
  if (auto topic = positions_.topic(link, deadline); !topic) return Failure(topic.error());
  if (source_.identity.empty()) return {};
  const auto position = positions_.last(key(), false, deadline);
  if (!position) return Failure(position.error());
  if (*position && source_.wal_position && (*position)->lsn > source_.wal_position) {
    return Failure(another_history("is " + to_string((*position)->lsn) +
                                   ", beyond the database's WAL position " +
                                   to_string(source_.wal_position)));
  }
  return {};
}

Result<void> KafkaExactlyOnce::prepare(KafkaLink& link, Progress& progress, TimePoint deadline) {
  if (transactions_ != nullptr) return {};
  if (auto numbered = can_number(); !numbered) return numbered;
  if (source_.identity.empty()) {
    return misconfigured("exactly_once needs a source with a slot, whose events are numbered",
                         where_);
  }
  auto topic = positions_.topic(link, deadline);
  if (!topic) return Failure(topic.error());
  auto transactions = std::make_unique<KafkaTransactions>(link, transactional_id(), where_);
  if (auto ready = transactions->init([&] { return progress.may_continue(); }, deadline); !ready) {
    return ready;
  }
  auto position = positions_.last(key(), true, deadline);
  if (!position) return Failure(position.error());
  position_ = *position;
  producer_ = link.handle();
  topic_ = *topic;
  transactions_ = std::move(transactions);
  term_ = progress.term();
  fenced_.reset();
  latest_ = position_ ? position_->time : 0;
  start_over();
  return {};
}

// The next transaction begins behind the committed position.
void KafkaExactlyOnce::start_over() {
  next_ = position_.value_or(KafkaPosition{});
  written_ = true;
  due_ = false;
  unreported_ = 0;
}

// Every delivered event was committed at `position_->time` or before. An event that was committed
// later is another one, whatever its id.
Result<bool> KafkaExactlyOnce::has(const Event& event) {
  if (position_ && position_->covers(event)) {
    if (event.commit_time <= position_->time) return true;
    return Failure(another_history("is " + to_string(position_->lsn) + ", and event " +
                                   std::string(EventId(event).view()) +
                                   " before it was committed later than all delivered events"));
  }
  latest_ = std::max(latest_, event.commit_time);
  return false;
}

Result<void> KafkaExactlyOnce::begin() {
  if (transactions_->is_open()) return {};
  auto begun = transactions_->begin();
  note_fence();
  return begun;
}

void KafkaExactlyOnce::note_fence() {
  if (transactions_->is_fenced() && !fenced_) fenced_ = transactions_->fenced();
}

void KafkaExactlyOnce::sent(const Event& event, size_t messages) {
  next_ = next_.after(event);
  written_ = false;
  unreported_ += messages;
}

Result<void> KafkaExactlyOnce::write_position() {
  if (written_) return {};
  next_.time = std::max(next_.time, latest_);
  const std::string name = key();
  const std::string value = next_.text();
  std::array<rd_kafka_vu_t, 5> parts;
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = topic_;
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = 0;
  parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[2].u.mem = {const_cast<char*>(value.data()), value.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_KEY;
  parts[3].u.mem = {const_cast<char*>(name.data()), name.size()};
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_COPY;
  rd_kafka_error_t* failed = rd_kafka_produceva(producer_, parts.data(), parts.size());
  if (failed != nullptr) {
    const auto code = rd_kafka_error_code(failed);
    rd_kafka_error_destroy(failed);
    return Failure(explained(kafka_error(code, config_.positions, where_)));
  }
  written_ = true;
  ++unreported_;
  return {};
}

Result<void> KafkaExactlyOnce::commit(TimePoint deadline) {
  auto committed = transactions_->commit(deadline);
  note_fence();
  if (!committed) return committed;
  position_ = next_;
  start_over();
  return {};
}

void KafkaExactlyOnce::abort(TimePoint deadline) {
  transactions_->abort(deadline);
  note_fence();
}

void KafkaExactlyOnce::forget() {
  transactions_.reset();
  producer_ = nullptr;
  topic_ = nullptr;
  unreported_ = 0;
  due_ = false;
}

Error KafkaExactlyOnce::explained(Error error) {
  if (transactions_ == nullptr) return error;
  error = transactions_->explained(std::move(error));
  note_fence();
  return error;
}

}  // namespace walspout
