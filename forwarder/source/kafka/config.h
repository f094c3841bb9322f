// The configuration of a Kafka source, as plain data.
#pragma once

#include <string>

#include "kafka/config.h"

namespace walspout {

struct KafkaSourceConfig : KafkaAccess {
  // What happens to a message that walspout has not written.
  enum class Foreign { kError, kDeadLetter, kSkip };

  TextList topics;  // names, or patterns that begin with ^
  std::string group;
  Foreign foreign = Foreign::kError;
};

}  // namespace walspout
