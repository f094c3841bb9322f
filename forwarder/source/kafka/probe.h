// What `walspout check` looks at before a source reads topics of Kafka. Changes nothing, and is no
// member of the group.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "source/kafka/config.h"

namespace walspout {

struct KafkaFinding {
  enum class Level { kGood, kDoubtful, kBad };

  Level level = Level::kGood;
  std::string what;
  std::string remedy{};
};

// The brokers, the topics, where the group is, and whether the last messages are walspout's.
[[nodiscard]] std::vector<KafkaFinding> kafka_probe(const KafkaSourceConfig& config,
                                                    Duration patience);

}  // namespace walspout
