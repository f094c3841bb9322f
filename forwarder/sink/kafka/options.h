// The options of librdkafka that make a producer of a configuration.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>

#include "base/result.h"
#include "kafka/options.h"
#include "sink/kafka/config.h"

namespace walspout {

// Error: kFatal, names the key, with the library's words.
[[nodiscard]] Result<KafkaOptions> kafka_options(const KafkaConfig& config);

// An opaque value of a message: its number, as far as that distinguishes messages in flight, and
// the place of a message without a key.
[[nodiscard]] void* kafka_opaque(uint64_t number, uint32_t place);
// The number, which is `first` or the least one above it that fits.
[[nodiscard]] uint64_t kafka_number(const void* opaque, uint64_t first);

}  // namespace walspout
