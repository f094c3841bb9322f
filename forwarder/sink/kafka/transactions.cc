#include "sink/kafka/transactions.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kafka/errors.h"

namespace walspout {
namespace {

// The longest time that one call of the library may take. The library's messages are not read
// meanwhile. Do not repeat a call that timed out: the library (2.0) mistakes the answer to the
// first call for that to the second.
constexpr std::chrono::seconds kLongest{10};
constexpr Milliseconds kAbortStep{20};

Duration timeout_of(rd_kafka_t* handle) {
  std::array<char, 32> value{};
  size_t size = value.size();
  rd_kafka_conf_get(rd_kafka_conf(handle), "transaction.timeout.ms", value.data(), &size);
  return Milliseconds(std::strtol(value.data(), nullptr, 10));
}

}  // namespace

KafkaTransactions::KafkaTransactions(KafkaLink& link, std::string id, std::string where)
    : link_(link),
      id_(std::move(id)),
      where_(std::move(where)),
      timeout_(timeout_of(link.handle())) {}

Result<void> KafkaTransactions::init(const std::function<bool()>& may_continue,
                                     TimePoint deadline) {
  if (!may_continue()) return retry("the stream from the server is lost", where_);
  const TimePoint until = std::min(deadline, Clock::now() + kLongest);
  rd_kafka_error_t* failed = rd_kafka_init_transactions(link_.handle(), kafka_timeout(until));
  if (failed == nullptr) return {};
  const bool late = rd_kafka_error_code(failed) == RD_KAFKA_RESP_ERR__TIMED_OUT;
  Error error = judge(failed, "cannot begin transactions");
  if (auto heard = link_.next(TimePoint()); !heard) {
    return Failure(explained(std::move(heard.error())));
  }
  return Failure(late && link_.trouble() ? *link_.trouble() : std::move(error));
}

Result<void> KafkaTransactions::begin() {
  if (rd_kafka_error_t* failed = rd_kafka_begin_transaction(link_.handle())) {
    return Failure(judge(failed, "cannot begin a transaction"));
  }
  open_ = true;
  begun_ = boot_time();
  return {};
}

Result<void> KafkaTransactions::commit(TimePoint deadline) {
  const TimePoint until = std::min(deadline, Clock::now() + kLongest);
  rd_kafka_error_t* failed = rd_kafka_commit_transaction(link_.handle(), kafka_timeout(until));
  open_ = false;
  if (failed == nullptr) return {};
  in_doubt_ = true;
  Error error = judge(failed, "a transaction is not committed");
  if (error.kind == ErrorKind::kRetry) error.what += ". Another producer finds out how it ended";
  return Failure(std::move(error));
}

// Within a transaction this call fails. The library returns another error if the transaction has
// one.
Result<void> KafkaTransactions::look() {
  rd_kafka_error_t* failed = rd_kafka_begin_transaction(link_.handle());
  if (failed == nullptr) return {};
  if (rd_kafka_error_code(failed) == RD_KAFKA_RESP_ERR__STATE) {
    rd_kafka_error_destroy(failed);
    return {};
  }
  return Failure(judge(failed, "a transaction cannot go on"));
}

// The library waits until the reports of dropped messages are read.
void KafkaTransactions::abort(TimePoint deadline) {
  if (!open_ || in_doubt_ || fenced_) return;
  rd_kafka_purge(link_.handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
  while (rd_kafka_outq_len(link_.handle()) > 0) {
    const auto reports = link_.next(std::min(deadline, Clock::now() + kAbortStep));
    if (!reports) static_cast<void>(explained(reports.error()));
    if (!reports || link_.is_down() || Clock::now() >= deadline) return;
  }
  rd_kafka_error_t* failed = rd_kafka_abort_transaction(link_.handle(), kafka_timeout(deadline));
  if (failed != nullptr) static_cast<void>(judge(failed, "a transaction is not aborted"));
  open_ = false;
}

Error KafkaTransactions::explained(Error error) {
  std::array<char, 512> said{};
  const auto cause = rd_kafka_fatal_error(link_.handle(), said.data(), said.size());
  if (cause != RD_KAFKA_RESP_ERR_NO_ERROR && note_fence(cause)) return fenced();
  return error;
}

// The fence is not another producer's if the coordinator ended the transaction.
bool KafkaTransactions::note_fence(rd_kafka_resp_err_t code) {
  if (code != RD_KAFKA_RESP_ERR__FENCED && code != RD_KAFKA_RESP_ERR_PRODUCER_FENCED &&
      code != RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH) {
    return false;
  }
  fenced_ = fenced_ || (!open_ && !in_doubt_) || boot_time() - begun_ < timeout_;
  return fenced_;
}

Error KafkaTransactions::judge(rd_kafka_error_t* failed, const char* what) {
  auto code = rd_kafka_error_code(failed);
  std::string text = std::string(what) + ": " + rd_kafka_error_string(failed);
  rd_kafka_error_destroy(failed);
  if (note_fence(code)) return fenced();
  std::array<char, 512> said{};
  if (code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR__STATE) {
    const auto cause = rd_kafka_fatal_error(link_.handle(), said.data(), said.size());
    if (cause != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (note_fence(cause)) return fenced();
      code = cause;
      text += " (" + std::string(said.data()) + ")";
    }
  }
  switch (code) {
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return kafka_error(code, {}, where_);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: {
      // The broker refuses all topics of the transaction because of one.
      Error error = kafka_error(code, {}, where_);
      error.what += ". TOPIC is one of these: " + link_.topic_names();
      return error;
    }
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
      return {ErrorKind::kFatal,
              text +
                  ". Set transaction.timeout.ms in librdkafka to at most what the brokers allow "
                  "(transaction.max.timeout.ms)",
              where_};
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
      return {ErrorKind::kFatal,
              text + ". The brokers have no transactions: leave exactly_once out", where_};
    default:
      return {ErrorKind::kRetry, std::move(text), where_};
  }
}

Error KafkaTransactions::fenced() const {
  return {ErrorKind::kFatal,
          "another producer with the transactional id \"" + id_ +
              "\" has taken over, so this one no longer writes: another forwarder, perhaps "
              "of a copy of the server. Stop that one, or give this sink another `name`. This "
              "forwarder takes over when it gets the slot again, is reloaded (SIGHUP) or started "
              "again",
          where_};
}

}  // namespace walspout
