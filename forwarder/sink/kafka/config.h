// The options of the sink for Kafka.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/keys.h"
#include "base/secret.h"
#include "kafka/config.h"
#include "sink/common/route.h"

namespace walspout {

// The settings of topics that the sink makes.
struct KafkaTopics {
  uint64_t partitions = 0;          // 0: the broker's default
  uint64_t replication_factor = 0;  // likewise
  SecretMap config;                 // options of the topic
};

struct KafkaConfig : KafkaAccess {
  Route topic{{}, "{schema}.{table}", Unmapped::kError, {}, {}, "which no topic's name can have"};
  bool rows = false;  // the value is the new row, not the document
  bool tombstones = false;
  std::string compression = "lz4";
  Milliseconds linger{0};
  size_t unconfirmed = 32'768;  // messages without a confirm, at most
  bool exactly_once = false;
  std::string positions = "walspout.positions";  // with exactly_once: topic of the positions
  std::string sink = "kafka";                    // likewise: the sink's name, for its position
  std::optional<KafkaTopics> create_topics;
};

}  // namespace walspout
