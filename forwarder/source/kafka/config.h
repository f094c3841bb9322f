// Kafka as a source: what it needs, as plain data.
#pragma once

#include <string>

#include "kafka/config.h"

namespace walspout {

struct KafkaSourceConfig : KafkaAccess {
  // What follows for a message that walspout has not written.
  enum class Foreign { kError, kDeadLetter, kSkip };

  TextList topics;  // names, and patterns that begin with ^
  std::string group;
  Foreign foreign = Foreign::kError;
};

}  // namespace walspout
