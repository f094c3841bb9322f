// The compacted topic of the delivered positions: `walspout.positions`.
//
// Its one partition has the records of all sinks. A record is written in the same transaction as
// its events, so readers see both or neither.
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
  // All arguments must outlive this.
  KafkaPositions(const KafkaConfig& config, const KafkaOptions& options, const std::string& where)
      : config_(config), options_(options), where_(where) {}

  // The topic. Makes a missing topic if create_topics is set. kFatal: the topic is missing, or
  // would lose records.
  [[nodiscard]] Result<rd_kafka_topic_t*> topic(KafkaLink& link, TimePoint deadline) const;

  // The last record of a key; nothing if the key has no record. With `all`, waits for open
  // transactions of other producers. Otherwise their records, and all records behind these, may be
  // missing.
  [[nodiscard]] Result<std::optional<KafkaPosition>> last(const std::string& key, bool all,
                                                          TimePoint deadline) const;

 private:
  const KafkaConfig& config_;
  const KafkaOptions& options_;
  const std::string& where_;
};

}  // namespace walspout
