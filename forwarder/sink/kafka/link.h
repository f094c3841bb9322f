// One producer or reader of librdkafka, with its connections and topics.
//
// Hides the library's threads: whatever they say waits in a queue, and is taken in by next(). What
// it logs is not printed, but kept as the reason of what does not happen.
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

// What a link is for, where that is not to produce without transactions.
struct KafkaUse {
  bool reads = false;            // what is committed, and says where that ends
  std::string transactional_id;  // empty: there are no transactions
};

class KafkaLink : public KafkaHandle {
 public:
  // Makes a producer, and waits until a broker has answered. Error: kRetry if none does, kFatal if
  // they do not want us as configured.
  [[nodiscard]] static Result<std::unique_ptr<KafkaLink>> open(const KafkaConfig& config,
                                                               const KafkaOptions& options,
                                                               const std::string& where,
                                                               TimePoint deadline,
                                                               const KafkaUse& use = {});
  // What is not confirmed is given up.
  ~KafkaLink();

  // The topic, which is looked for, and made if that is configured, when it is first asked for.
  // Error: kFatal, with the remedy, if it is missing or may not be seen; kReject if there can be no
  // topic of that name.
  [[nodiscard]] Result<rd_kafka_topic_t*> topic(const std::string& name, TimePoint deadline) {
    return topic(name, config_.create_topics.value_or(KafkaTopics{}), deadline);
  }
  // The same of a topic that is made in a way of its own, if topics are made at all.
  [[nodiscard]] Result<rd_kafka_topic_t*> topic(const std::string& name, const KafkaTopics& how,
                                                TimePoint deadline);

  // The topics that were asked for, for a person.
  std::string topic_names() const;

  // The next delivery reports. Nothing: the time has come. Error: the producer is of no use any
  // more.
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

// How to make a topic by hand.
[[nodiscard]] std::string kafka_create_command(const KafkaConfig& config, const std::string& name,
                                               const KafkaTopics& how);

}  // namespace walspout
