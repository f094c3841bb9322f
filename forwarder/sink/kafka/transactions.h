// The transactions of one producer, one after the other.
//
// Reports the result of each step, and what is at fault. After init(), a new producer of the same
// id finds the last commit settled, whatever its outcome.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "sink/kafka/link.h"

namespace walspout {

class KafkaTransactions {
 public:
  // `id`: the transactional id, for errors. The link must outlive this.
  KafkaTransactions(KafkaLink& link, std::string id, std::string where);

  // Fences other producers of the id, and ends their open transactions. Stops when `may_continue`
  // returns false.
  [[nodiscard]] Result<void> init(const std::function<bool()>& may_continue, TimePoint deadline);

  [[nodiscard]] Result<void> begin();
  bool is_open() const { return open_; }
  TimePoint begun() const { return begun_; }  // boot_time()

  // Call it when all messages have reports. After an error, give up the producer; only another one
  // can find out whether the transaction was committed.
  [[nodiscard]] Result<void> commit(TimePoint deadline);

  // Whether the open transaction can go on. Returns errors that the library does not put into a
  // report.
  [[nodiscard]] Result<void> look();

  // Aborts the transaction, if that succeeds in time. Afterwards, give up the producer.
  void abort(TimePoint deadline);

  // Whether another producer of the id took over, so that this one can no longer write; fenced() is
  // the error.
  bool is_fenced() const { return fenced_; }
  [[nodiscard]] Error fenced() const;

  // The error, or a better one if the library knows more.
  [[nodiscard]] Error explained(Error error);

 private:
  [[nodiscard]] Error judge(rd_kafka_error_t* failed, const char* what);
  bool note_fence(rd_kafka_resp_err_t code);

  KafkaLink& link_;
  const std::string id_;
  const std::string where_;
  Duration timeout_;  // timeout of a transaction
  TimePoint begun_{};
  bool open_ = false;
  bool in_doubt_ = false;  // a commit failed
  bool fenced_ = false;
};

}  // namespace walspout
