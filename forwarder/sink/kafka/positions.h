// The compacted topic that keeps how far sources were delivered: `walspout.positions`.
//
// It has one partition, which has the records of all sinks. A record is written in the transaction
// of the events that it stands for, so that readers see both or neither.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "sink/kafka/link.h"
#include "sink/kafka/options.h"
#include "sink/kafka/position.h"

namespace walspout {

class KafkaPositions {
 public:
  // All are outlived by what they refer to.
  KafkaPositions(const KafkaConfig& config, const KafkaOptions& options, const std::string& where)
      : config_(config), options_(options), where_(where) {}

  // The topic, which is made if it is missing and that is configured. kFatal: there is none, or it
  // would lose records.
  [[nodiscard]] Result<rd_kafka_topic_t*> topic(KafkaLink& link, TimePoint deadline) const;

  // The last record of a key; nothing: there is none. `all`: of all that was written until now.
  // Then it waits for transactions of others that are open; without, their records and those behind
  // them may be missing.
  [[nodiscard]] Result<std::optional<KafkaPosition>> last(const std::string& key, bool all,
                                                          TimePoint deadline) const;

 private:
  const KafkaConfig& config_;
  const KafkaOptions& options_;
  const std::string& where_;
};

}  // namespace walspout
