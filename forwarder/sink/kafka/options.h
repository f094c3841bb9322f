// Makes a producer's librdkafka options from the configuration.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>

#include "base/result.h"
#include "kafka/options.h"
#include "sink/kafka/config.h"

namespace walspout {

// Error: kFatal, names the key, with the library's message.
[[nodiscard]] Result<KafkaOptions> kafka_options(const KafkaConfig& config);

// A message's opaque value: the low bits of its number, enough to distinguish messages in flight,
// and the hash kafka_place().
[[nodiscard]] void* kafka_opaque(uint64_t number, uint32_t place);
// The message's number: the least one from `first` on that fits.
[[nodiscard]] uint64_t kafka_number(const void* opaque, uint64_t first);

}  // namespace walspout
