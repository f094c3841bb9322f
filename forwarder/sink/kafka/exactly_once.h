// Delivers each event once, for readers of what is committed (read_committed).
//
// Events go in transactions of Kafka, and each one also writes the position of its last event
// (positions.h). Before the first event the position is read, and what it covers is not sent again.
// So a transaction whose outcome is not known needs no attention: it is settled as soon as there is
// a new producer of the same transactional id, and the position says how.
//
// That id also keeps others out. A forwarder that takes over gets the id, and Kafka fences the
// producer that had it. The fenced one stays so until this process gets the slot again, or a person
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
  // All are outlived by what they refer to.
  KafkaExactlyOnce(const KafkaConfig& config, const KafkaOptions& options,
                   const std::string& where);

  void set_source(const SourceState& source);
  // Not for dead letters: these are of the past.
  bool is_used() const { return config_.exactly_once && !source_.replay; }
  // Empty: not used, or the source is not known.
  std::string transactional_id() const;

  // Whether a producer could go on where the position is. Fences no producer.
  [[nodiscard]] Result<void> check(KafkaLink& link, TimePoint deadline) const;

  // Why there is to be no producer in this term of the slot. Null: there may be one.
  const Error* barred(uint64_t term) const {
    return fenced_ && term_ == term ? &*fenced_ : nullptr;
  }
  // Before events are sent through the link: takes the id over, and reads the position. After an
  // error the link is of no use.
  [[nodiscard]] Result<void> prepare(KafkaLink& link, Progress& progress, TimePoint deadline);

  // Whether the event is delivered already. Error: the position is of another history.
  [[nodiscard]] Result<bool> has(const Event& event);

  // A transaction. The first event begins it; so many messages of an event are sent.
  [[nodiscard]] Result<void> begin();
  void sent(const Event& event, size_t messages);
  void reported() { --unreported_; }
  size_t unreported() const { return unreported_; }
  bool is_open() const { return transactions_ != nullptr && transactions_->is_open(); }
  [[nodiscard]] Result<void> look() { return transactions_->look(); }
  // It has lasted long enough. Asked from time to time, as that looks at the clock.
  void look_at_clock() { due_ = is_open() && boot_time() - transactions_->begun() >= kLongest; }
  bool is_due() const { return due_; }

  // Sends the position, if it has changed since it was sent. Its report is to be awaited, too.
  [[nodiscard]] Result<void> write_position();
  // As KafkaTransactions::commit().
  [[nodiscard]] Result<void> commit(TimePoint deadline);
  // Ends an open transaction, of which nothing remains; or leaves that to the next producer.
  void abort(TimePoint deadline);
  // The link is gone.
  void forget();

  // The error, or what really happened where more is known.
  [[nodiscard]] Error explained(Error error);

  // A person wants it to go on.
  void reopen() { fenced_.reset(); }

 private:
  [[nodiscard]] Result<void> can_number() const;
  // As long as events keep coming. A commit costs some round trips; readers wait for it.
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
  std::optional<KafkaPosition> position_;  // what is committed
  KafkaPosition next_;                     // what is to be committed
  int64_t latest_ = 0;                     // commit time of all that was seen, sent or not
  bool written_ = false;                   // `next_` is in the transaction
  size_t unreported_ = 0;
  bool due_ = false;
  uint64_t term_ = 0;            // in which the producer was made
  std::optional<Error> fenced_;  // it was fenced in that term
};

}  // namespace walspout
