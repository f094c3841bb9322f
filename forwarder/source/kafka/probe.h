// The checks of `walspout check` for a source that reads Kafka topics. They change nothing, and do
// not join the group.
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

// Checks the brokers, the topics, the group's offsets, and whether walspout wrote the last
// messages.
[[nodiscard]] std::vector<KafkaFinding> kafka_probe(const KafkaSourceConfig& config,
                                                    Duration patience);

}  // namespace walspout
