// One producer or reader of librdkafka, with its connections and topics.
//
// Hides the library's threads: their events wait in a queue, which next() reads. The library's log
// lines are not printed, but kept as the cause of a later error.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "kafka/handle.h"
#include "sink/kafka/config.h"
#include "sink/kafka/options.h"

namespace walspout {

// What a link is for. Default: to produce without transactions.
struct KafkaUse {
  bool reads = false;            // reads committed records, and reports the partition's end
  std::string transactional_id;  // empty: no transactions
};

class KafkaLink : public KafkaHandle {
 public:
  // Makes the client, and waits until a broker answers. Error: kRetry if none answers, kFatal if
  // the brokers reject the configuration.
  [[nodiscard]] static Result<std::unique_ptr<KafkaLink>> open(const KafkaConfig& config,
                                                               const KafkaOptions& options,
                                                               const std::string& where,
                                                               TimePoint deadline,
                                                               const KafkaUse& use = {});
  // Gives up messages that are not confirmed.
  ~KafkaLink();

  // The topic. The first call looks for it, and makes it if create_topics is set. Error: kFatal,
  // with the remedy, if it is missing or hidden from the user; kReject if the name is invalid.
  [[nodiscard]] Result<rd_kafka_topic_t*> topic(const std::string& name, TimePoint deadline) {
    return topic(name, config_.create_topics.value_or(KafkaTopics{}), deadline);
  }
  // Likewise, but a missing topic gets the settings `how`.
  [[nodiscard]] Result<rd_kafka_topic_t*> topic(const std::string& name, const KafkaTopics& how,
                                                TimePoint deadline);

  // A topic in use that is gone. Empty: none, or no broker answers.
  std::string missing_topic(TimePoint deadline) const;

  // The names of the topics in use, for messages.
  std::string topic_names() const;

  // The next delivery reports. Null: none until `until`. Error: the producer can no longer be used.
  [[nodiscard]] Result<KafkaOwned<rd_kafka_event_t>> next(TimePoint until);

 private:
  KafkaLink(const KafkaConfig& config, std::string where)
      : KafkaHandle(config, std::move(where)), config_(config) {}

  [[nodiscard]] Result<void> find_topic(const std::string& name, const KafkaTopics& how,
                                        rd_kafka_topic_t* topic, TimePoint deadline);
  [[nodiscard]] Result<void> create_topic(const std::string& name, const KafkaTopics& how,
                                          TimePoint deadline);

  const KafkaConfig& config_;
  std::map<std::string, KafkaOwned<rd_kafka_topic_t>, std::less<>> topics_;
  std::map<std::string, KafkaOwned<rd_kafka_topic_t>, std::less<>>::const_iterator last_;
};

// The command that creates a topic by hand.
[[nodiscard]] std::string kafka_create_command(const KafkaConfig& config, const std::string& name,
                                               const KafkaTopics& how);

}  // namespace walspout
