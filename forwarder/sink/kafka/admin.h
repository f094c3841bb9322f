// What brokers say of how topics are configured.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "sink/kafka/link.h"

namespace walspout {

// The value of an option of a topic, with the broker's default. Empty: the broker does not let us
// see it, or has no such option. Error: kRetry.
[[nodiscard]] Result<std::string> kafka_topic_option(KafkaLink& link, const std::string& topic,
                                                     const std::string& option,
                                                     const std::string& where, TimePoint deadline);
// The same of a broker.
[[nodiscard]] Result<std::string> kafka_broker_option(KafkaLink& link, const std::string& option,
                                                      const std::string& where, TimePoint deadline);

}  // namespace walspout
