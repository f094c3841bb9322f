// The transactions of one producer, one after the other.
//
// Says how each step went, and whose fault an error is; draws no conclusions. Whatever the outcome
// of a commit is, a new producer of the same id finds it settled (init()).
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

  // Fences other producers of the id, and ends what they had begun. Stops when `may_go_on` says no.
  [[nodiscard]] Result<void> init(const std::function<bool()>& may_go_on, TimePoint deadline);

  [[nodiscard]] Result<void> begin();
  bool is_open() const { return open_; }
  TimePoint begun() const { return begun_; }  // boot_time()

  // All messages have their reports. After an error the producer is of no use any more, and only
  // another one can say whether the transaction is there.
  [[nodiscard]] Result<void> commit(TimePoint deadline);

  // Whether the open transaction can go on. What the library does not say in a report, it says
  // here.
  [[nodiscard]] Result<void> look();

  // Nothing of the transaction remains, if that can be done in time. The producer is of no use any
  // more.
  void abort(TimePoint deadline);

  // Another producer of the id is at work. This one cannot write any more; the error says so.
  bool is_fenced() const { return fenced_; }
  [[nodiscard]] Error fenced() const;

  // The error, or what really happened where the library knows more.
  [[nodiscard]] Error explained(Error error);

 private:
  [[nodiscard]] Error judge(rd_kafka_error_t* failed, const char* what);
  bool note_fence(rd_kafka_resp_err_t code);

  KafkaLink& link_;
  const std::string id_;
  const std::string where_;
  Duration timeout_;  // of a transaction
  TimePoint begun_{};
  bool open_ = false;
  bool in_doubt_ = false;  // a commit failed
  bool fenced_ = false;
};

}  // namespace walspout
