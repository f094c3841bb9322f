#include "kafka/ends.h"

#include <algorithm>
#include <thread>

#include "kafka/handle.h"

namespace walspout {
namespace {

constexpr Milliseconds kAgain{100};

// The broker does not lead the partition yet, or no longer: as just after an outage.
bool passes(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
         code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE;
}

// rd_kafka_query_watermark_offsets() ignores its timeout if a broker is silent (seen in librdkafka
// 2.0). This function ends in time, and takes the same special offsets.
tl::expected<int64_t, rd_kafka_resp_err_t> ask(rd_kafka_t* handle, const std::string& topic,
                                               int32_t partition, int64_t which,
                                               TimePoint deadline) {
  const KafkaOwned<rd_kafka_topic_partition_list_t> list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_t* asked =
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  asked->offset = which;
  const auto code =
      rd_kafka_offsets_for_times(handle, list.get(), std::max(1, kafka_timeout(deadline)));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(code);
  if (asked->err != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected(asked->err);
  return asked->offset;
}

tl::expected<int64_t, rd_kafka_resp_err_t> offset_of(rd_kafka_t* handle, const std::string& topic,
                                                     int32_t partition, int64_t which,
                                                     TimePoint deadline) {
  for (;;) {
    auto offset = ask(handle, topic, partition, which, deadline);
    if (offset || !passes(offset.error()) || Clock::now() + kAgain >= deadline) return offset;
    std::this_thread::sleep_for(kAgain);
  }
}

}  // namespace

tl::expected<KafkaEnds, rd_kafka_resp_err_t> kafka_ends(rd_kafka_t* handle,
                                                        const std::string& topic, int32_t partition,
                                                        TimePoint deadline) {
  const auto first = offset_of(handle, topic, partition, RD_KAFKA_OFFSET_BEGINNING, deadline);
  if (!first) return tl::unexpected(first.error());
  const auto end = offset_of(handle, topic, partition, RD_KAFKA_OFFSET_END, deadline);
  if (!end) return tl::unexpected(end.error());
  return KafkaEnds{*first, *end};
}

}  // namespace walspout
