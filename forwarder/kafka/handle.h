// A client of librdkafka, and what the library reports about its connections.
//
// Hides the library's threads: their events wait in a queue. The library's log lines are not
// printed, but kept as the cause of a later error.
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

// Frees all of the library's objects except the client, which KafkaHandle ends.
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
  // `where` names the cluster in errors. `access` must outlive the handle.
  KafkaHandle(const KafkaAccess& access, std::string where)
      : access_(access), where_(std::move(where)), mask_(kafka_mask(access)) {}
  ~KafkaHandle() { end(0); }
  KafkaHandle(const KafkaHandle&) = delete;
  KafkaHandle& operator=(const KafkaHandle&) = delete;

  // Makes the client with `options` and `extra`. Connects to nothing.
  [[nodiscard]] Result<void> make(
      rd_kafka_type_t type, const KafkaOptions& options,
      const std::vector<std::pair<const char*, std::string>>& extra = {});

  // Waits for an answer of any broker. Error: why no broker answered; kFatal: the brokers reject
  // the configuration. Discards delivery reports. Use it only for a producer, or a client that has
  // not begun other work.
  [[nodiscard]] Result<void> reach(TimePoint deadline);

  // Handles events that are not for the caller: errors, log lines, requests for a token. Error: the
  // client can no longer be used.
  [[nodiscard]] Result<void> handle_event(rd_kafka_event_t* event);

  rd_kafka_t* handle() const { return handle_; }
  rd_kafka_queue_t* queue() const { return queue_.get(); }
  const std::string& where() const { return where_; }
  const Mask& mask() const { return mask_; }

  // Whether no broker is connected, by the library's reports.
  bool is_down() const { return down_since_.has_value(); }
  // The caller has found that no broker answers.
  void note_down() {
    if (!down_since_) down_since_ = Clock::now();
  }
  // The last error of a connection.
  const std::optional<Error>& trouble() const { return trouble_; }
  void forget_trouble() {
    trouble_.reset();
    telling_until_.reset();
    down_since_.reset();
  }

 protected:
  void replace_queue(KafkaOwned<rd_kafka_queue_t> queue) { queue_ = std::move(queue); }
  using Goodbye = std::function<void(rd_kafka_t* handle, rd_kafka_queue_t* queue)>;
  // Ends the client, if there is one: calls `goodbye`, then rd_kafka_destroy_flags(). All other
  // objects of the client must be freed before. Both calls may wait for brokers, so they run on
  // another thread. After `patience` the thread goes on alone, so `goodbye` must not refer to the
  // caller.
  void end(int flags, Goodbye goodbye = {}, Milliseconds patience = kPatience);

 private:
  static constexpr Milliseconds kPatience{2'000};

  void give_token();
  void handle_log(rd_kafka_event_t* event);
  [[nodiscard]] Result<void> handle_error(rd_kafka_event_t* event);

  const KafkaAccess& access_;
  const std::string where_;
  const Mask mask_;
  rd_kafka_t* handle_ = nullptr;
  KafkaOwned<rd_kafka_queue_t> queue_;
  std::optional<Error> trouble_;
  std::optional<TimePoint> down_since_;
  // Until this time, keep `trouble_`, which says more than a refused connection.
  std::optional<TimePoint> telling_until_;
};

// The milliseconds until `until`, rounded up, and at least 0.
[[nodiscard]] int kafka_timeout(TimePoint until);

}  // namespace walspout
