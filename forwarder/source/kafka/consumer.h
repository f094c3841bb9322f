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

// Error: kFatal, names the key, with the library's words.
[[nodiscard]] Result<KafkaOptions> kafka_source_options(const KafkaSourceConfig& config);

class KafkaConsumer : public KafkaHandle {
 public:
  using Key = KafkaOffsets::Key;
  using Offsets = std::vector<std::pair<Key, int64_t>>;
  using Event = KafkaOwned<rd_kafka_event_t>;

  // Waits until a broker has answered, and joins the group: what follows comes by next(). `wake`
  // is called when something has come. Error: kRetry.
  [[nodiscard]] static Result<std::unique_ptr<KafkaConsumer>> open(const KafkaSourceConfig& config,
                                                                   const KafkaOptions& options,
                                                                   const Wake& wake,
                                                                   TimePoint deadline);
  // Leaves the group, unless that takes longer than a moment.
  ~KafkaConsumer();

  // Does not wait; null: nothing is there.
  Event next();

  // Where the group is, for each of the partitions: kUnknown where it was never.
  [[nodiscard]] Result<Offsets> committed(const std::vector<Key>& partitions, TimePoint deadline);

  // These are ours, too, and are read from there on.
  [[nodiscard]] Result<void> assign(const Offsets& partitions);
  // These are not ours any more.
  [[nodiscard]] Result<void> unassign(const std::vector<Key>& partitions);
  // The group has given our partitions to others, and we are late to hear of it.
  bool is_lost() const { return rd_kafka_assignment_lost(handle()) != 0; }

  // The answer comes by next(), as RD_KAFKA_EVENT_OFFSET_COMMIT.
  [[nodiscard]] Result<void> commit(const Offsets& offsets);
  // Waits for the answer. Success shows that we are a member of the group now.
  [[nodiscard]] Result<void> commit_now(const Offsets& offsets, TimePoint deadline);

  void pause(const std::vector<Key>& partitions);
  void resume(const std::vector<Key>& partitions);
  [[nodiscard]] Result<void> seek(const Offsets& offsets, TimePoint deadline);

  // The end of the partition and its first offset, as of the last answer; kUnknown before.
  std::pair<int64_t, int64_t> limits(const Key& key) const;

  // Whether a broker answers now.
  bool answers(Milliseconds patience);

 private:
  KafkaConsumer(const KafkaSourceConfig& config, std::string where)
      : KafkaHandle(config, std::move(where)) {}

  [[nodiscard]] Result<void> answered(Result<void> result);

  bool asked_ = false;  // the group has said what changes, and assign() or unassign() are to follow
};

// Partitions of a list of the library's, and what was said of the first one that failed.
[[nodiscard]] std::vector<KafkaOffsets::Key> kafka_keys(
    const rd_kafka_topic_partition_list_t* list);

}  // namespace walspout
