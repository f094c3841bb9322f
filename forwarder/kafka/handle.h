// A client of librdkafka, and what the library says of its connections.
//
// Hides the library's threads: whatever they say waits in a queue. What the library logs is not
// printed, but kept as the reason of what does not happen.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mask.h"
#include "base/result.h"
#include "kafka/config.h"
#include "kafka/options.h"

namespace walspout {

// All but the client itself, which KafkaHandle ends.
struct KafkaRelease {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
  void operator()(const struct rd_kafka_metadata* got) const { rd_kafka_metadata_destroy(got); }
};
template <typename T>
using KafkaOwned = std::unique_ptr<T, KafkaRelease>;

class KafkaHandle {
 public:
  // `where` names the cluster in errors. Both are outlived by what they refer to.
  KafkaHandle(const KafkaAccess& access, std::string where)
      : access_(access), where_(std::move(where)), mask_(kafka_mask(access)) {}
  ~KafkaHandle() { end(0); }
  KafkaHandle(const KafkaHandle&) = delete;
  KafkaHandle& operator=(const KafkaHandle&) = delete;

  // Makes the client, with these options beside the others. Connects to nothing.
  [[nodiscard]] Result<void> make(
      rd_kafka_type_t type, const KafkaOptions& options,
      const std::vector<std::pair<const char*, std::string>>& extra = {});

  // Asks for an answer of any broker; the error says why no broker answered. kFatal: the brokers do
  // not want us as configured. Only for a client to which nothing but that is said yet, or a
  // producer, whose delivery reports it discards.
  [[nodiscard]] Result<void> reach(TimePoint deadline);

  // Takes in what is none of the caller's: an error, a line of the log, the wish for a token.
  // Error: the client is of no use any more.
  [[nodiscard]] Result<void> hear(rd_kafka_event_t* event);

  rd_kafka_t* handle() const { return handle_; }
  rd_kafka_queue_t* queue() const { return queue_.get(); }
  const std::string& where() const { return where_; }
  const Mask& mask() const { return mask_; }

  // No broker is connected, as far as the library has said.
  bool is_down() const { return down_since_.has_value(); }
  // The caller has found that no broker answers.
  void note_down() {
    if (!down_since_) down_since_ = Clock::now();
  }
  // The last thing that went wrong with a connection.
  const std::optional<Error>& trouble() const { return trouble_; }
  void forget_trouble() {
    trouble_.reset();
    telling_until_.reset();
    down_since_.reset();
  }

 protected:
  void replace_queue(KafkaOwned<rd_kafka_queue_t> queue) { queue_ = std::move(queue); }
  using Goodbye = std::function<void(rd_kafka_t* handle, rd_kafka_queue_t* queue)>;
  // Ends the client, if there is one: `goodbye`, then rd_kafka_destroy_flags(). Nothing else of the
  // client is left. The library waits for answers of brokers there, so both are called on another
  // thread. The thread goes on alone after `patience`: `goodbye` refers to nothing of the caller's.
  void end(int flags, Goodbye goodbye = {}, Milliseconds patience = kPatience);

 private:
  static constexpr Milliseconds kPatience{2'000};

  void give_token();
  void hear_log(rd_kafka_event_t* event);
  [[nodiscard]] Result<void> hear_error(rd_kafka_event_t* event);

  const KafkaAccess& access_;
  const std::string where_;
  const Mask mask_;
  rd_kafka_t* handle_ = nullptr;
  KafkaOwned<rd_kafka_queue_t> queue_;
  std::optional<Error> trouble_;
  std::optional<TimePoint> down_since_;
  // Until then, `trouble_` says more than that a connection was refused.
  std::optional<TimePoint> telling_until_;
};

// The time up to then, in the library's terms: at least 0, and not a moment too short.
[[nodiscard]] int kafka_timeout(TimePoint until);

}  // namespace walspout
