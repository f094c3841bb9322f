// One consumer of librdkafka: a member of the group.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/wake.h"
#include "kafka/handle.h"
#include "source/kafka/config.h"
#include "source/kafka/offsets.h"

namespace walspout {

// Error: kFatal, with the name of the key and the library's message.
[[nodiscard]] Result<KafkaOptions> kafka_source_options(const KafkaSourceConfig& config);

class KafkaConsumer : public KafkaHandle {
 public:
  using Key = KafkaOffsets::Key;
  using Offsets = std::vector<std::pair<Key, int64_t>>;
  using Event = KafkaOwned<rd_kafka_event_t>;

  // Waits until a broker has answered, and joins the group. Then next() returns events, and `wake`
  // is called when there are some. Error: kRetry.
  [[nodiscard]] static Result<std::unique_ptr<KafkaConsumer>> open(const KafkaSourceConfig& config,
                                                                   const KafkaOptions& options,
                                                                   const Wake& wake,
                                                                   TimePoint deadline);
  // Leaves the group, but waits for that at most 3 seconds.
  ~KafkaConsumer();

  // Does not wait; null: there is no event.
  Event next();

  // The committed offset of each partition; kUnknown if no offset is committed.
  [[nodiscard]] Result<Offsets> committed(const std::vector<Key>& partitions, TimePoint deadline);

  // Takes over these partitions too, and reads them from these offsets.
  [[nodiscard]] Result<void> assign(const Offsets& partitions);
  // Gives these partitions back.
  [[nodiscard]] Result<void> unassign(const std::vector<Key>& partitions);
  // The group has already given our partitions to other members.
  bool is_lost() const { return rd_kafka_assignment_lost(handle()) != 0; }

  // next() returns the answer, as RD_KAFKA_EVENT_OFFSET_COMMIT.
  [[nodiscard]] Result<void> commit(const Offsets& offsets);
  // Waits for the answer. Success shows that we are a member of the group now.
  [[nodiscard]] Result<void> commit_now(const Offsets& offsets, TimePoint deadline);

  void pause(const std::vector<Key>& partitions);
  void resume(const std::vector<Key>& partitions);
  [[nodiscard]] Result<void> seek(const Offsets& offsets, TimePoint deadline);

  // The first offset and the end of the partition, as of the last answer; kUnknown before.
  std::pair<int64_t, int64_t> limits(const Key& key) const;

  // Whether a broker answers now.
  bool answers(Milliseconds patience);

 private:
  KafkaConsumer(const KafkaSourceConfig& config, std::string where)
      : KafkaHandle(config, std::move(where)) {}

  [[nodiscard]] Result<void> answered(Result<void> result);

  bool asked_ = false;  // a rebalance waits for assign() or unassign()
};

// The partitions of a list of the library.
[[nodiscard]] std::vector<KafkaOffsets::Key> kafka_keys(
    const rd_kafka_topic_partition_list_t* list);

}  // namespace walspout
