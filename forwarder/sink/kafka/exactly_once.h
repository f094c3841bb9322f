// Delivers each event once, for readers with read_committed.
//
// Events go in transactions of Kafka, and each transaction also writes the position of its last
// event (positions.h). Before the first event, the sink reads the position, and skips the events
// that it covers. So a transaction with an unknown outcome is harmless: a new producer of the same
// transactional id settles it, and the position shows the outcome.
//
// The id also keeps other producers out. A forwarder that takes over gets the id, and Kafka fences
// the former producer. That one stays fenced until its process gets the slot again, or an operator
// tells it to go on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sink/kafka/positions.h"
#include "sink/kafka/transactions.h"
#include "stream/sink.h"

namespace walspout {

class KafkaExactlyOnce {
 public:
  // All arguments must outlive this.
  KafkaExactlyOnce(const KafkaConfig& config, const KafkaOptions& options,
                   const std::string& where);

  void set_source(const SourceState& source);
  // Not for dead letters, because these are before the position.
  bool is_used() const { return config_.exactly_once && !source_.replay; }
  // Empty: not used, or the source is not known.
  std::string transactional_id() const;

  // Whether a producer could continue at the position. Fences no producer.
  [[nodiscard]] Result<void> check(KafkaLink& link, TimePoint deadline) const;

  // Why there must be no producer in this term of the slot. Null: there may be one.
  const Error* fence_error(uint64_t term) const {
    return fenced_ && term_ == term ? &*fenced_ : nullptr;
  }
  // Takes over the id and reads the position. Call it before events are sent through the link.
  // After an error, give up the link.
  [[nodiscard]] Result<void> prepare(KafkaLink& link, Progress& progress, TimePoint deadline);

  // Whether the event was delivered. Error: the position is of another history.
  [[nodiscard]] Result<bool> has(const Event& event);

  // begin() begins a transaction, unless one is open. sent(): `messages` of the event are sent.
  [[nodiscard]] Result<void> begin();
  void sent(const Event& event, size_t messages);
  void reported() { --unreported_; }
  size_t unreported() const { return unreported_; }
  bool is_open() const { return transactions_ != nullptr && transactions_->is_open(); }
  [[nodiscard]] Result<void> look() { return transactions_->look(); }
  // is_due(): the transaction has lasted long enough, as of the last look_at_clock().
  void look_at_clock() { due_ = is_open() && boot_time() - transactions_->begun() >= kLongest; }
  bool is_due() const { return due_; }

  // Sends the position, if it has changed since it was sent. Wait for its report, too.
  [[nodiscard]] Result<void> write_position();
  // As KafkaTransactions::commit().
  [[nodiscard]] Result<void> commit(TimePoint deadline);
  // Aborts an open transaction; or leaves that to the next producer.
  void abort(TimePoint deadline);
  // The link is gone.
  void forget();

  // The error, or a better one if more is known.
  [[nodiscard]] Error explained(Error error);

  // An operator tells a fenced producer to go on.
  void reopen() { fenced_.reset(); }

 private:
  [[nodiscard]] Result<void> can_number() const;
  // The longest transaction while events keep coming. A commit costs round trips; readers wait for
  // it.
  static constexpr Duration kLongest = std::chrono::milliseconds(500);

  std::string key() const;
  [[nodiscard]] Error another_history(const std::string& what) const;
  void start_over();
  void note_fence();

  const KafkaConfig& config_;
  const std::string& where_;
  const KafkaPositions positions_;
  SourceState source_;
  std::unique_ptr<KafkaTransactions> transactions_;
  rd_kafka_t* producer_ = nullptr;         // the link's
  rd_kafka_topic_t* topic_ = nullptr;      // of positions; likewise
  std::optional<KafkaPosition> position_;  // the committed position
  KafkaPosition next_;                     // the position to commit next
  int64_t latest_ = 0;                     // latest commit time of all events seen, sent or not
  bool written_ = false;                   // `next_` is in the transaction
  size_t unreported_ = 0;
  bool due_ = false;
  uint64_t term_ = 0;            // the term in which the producer was made
  std::optional<Error> fenced_;  // the error, if it was fenced in that term
};

}  // namespace walspout
