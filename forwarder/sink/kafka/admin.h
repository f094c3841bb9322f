// Asks brokers for the configuration of topics.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "sink/kafka/link.h"

namespace walspout {

// The value of a topic's option, or its default. Empty: the broker does not show it, or has no such
// option. Error: kRetry.
[[nodiscard]] Result<std::string> kafka_topic_option(KafkaLink& link, const std::string& topic,
                                                     const std::string& option,
                                                     const std::string& where, TimePoint deadline);
// Likewise, for an option of a broker.
[[nodiscard]] Result<std::string> kafka_broker_option(KafkaLink& link, const std::string& option,
                                                      const std::string& where, TimePoint deadline);

}  // namespace walspout
