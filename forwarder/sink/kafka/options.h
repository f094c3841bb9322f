// The options of librdkafka that make a producer of a configuration.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "sink/common/mask.h"
#include "sink/kafka/config.h"

namespace walspout {

struct KafkaFree {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using KafkaOptions = std::unique_ptr<rd_kafka_conf_t, KafkaFree>;

// Error: kFatal, names the key, with the library's words.
[[nodiscard]] Result<KafkaOptions> kafka_options(const KafkaConfig& config);

// Hides what the configuration keeps secret.
[[nodiscard]] Mask kafka_mask(const KafkaConfig& config);

// An opaque value of a message: its number, as far as that distinguishes messages in flight, and
// the place of a message without a key.
[[nodiscard]] void* kafka_opaque(uint64_t number, uint32_t place);
// The number, which is `first` or the least one above it that fits.
[[nodiscard]] uint64_t kafka_number(const void* opaque, uint64_t first);

}  // namespace walspout
