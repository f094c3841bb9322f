// The first and end offsets of a partition.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

#include "base/clock.h"

namespace walspout {

struct KafkaEnds {
  int64_t first = 0;
  int64_t end = 0;  // behind the last message; for read_committed, behind the last message that
                    // no open transaction precedes
};

// Asks the leader, until the deadline.
[[nodiscard]] tl::expected<KafkaEnds, rd_kafka_resp_err_t> kafka_ends(rd_kafka_t* handle,
                                                                      const std::string& topic,
                                                                      int32_t partition,
                                                                      TimePoint deadline);

}  // namespace walspout
