// The keys of Kafka as a source.
#pragma once

#include "base/keys.h"
#include "source/kafka/config.h"

namespace walspout {

[[nodiscard]] KeyTable<KafkaSourceConfig> kafka_source_table();

}  // namespace walspout
