#include "sink/kafka/positions.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "kafka/ends.h"
#include "kafka/errors.h"
#include "sink/kafka/admin.h"

namespace walspout {
namespace {

// How many records to read first, from the end; later reads take more. The topic has a record for
// each transaction since its last compaction.
constexpr int64_t kFirstLook = 1'000;
constexpr int64_t kLookFurther = 50;  // times as many
constexpr Milliseconds kLook{200};

struct Found {
  bool any = false;  // a record or a tombstone was found
  std::optional<KafkaPosition> position;
};

struct MessageEnd {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};
using Message = std::unique_ptr<rd_kafka_message_t, MessageEnd>;

// Reads the end of the topic.
class Reader {
 public:
  Reader(KafkaLink& link, const std::string& topic, const std::string& key, std::string where)
      : link_(link),
        name_(topic),
        key_(key),
        where_(std::move(where)),
        topic_(rd_kafka_topic_new(link.handle(), topic.c_str(), nullptr)) {}

  Result<Found> read(bool all, TimePoint deadline) {
    const auto ends = kafka_ends(link_.handle(), name_, 0, deadline);
    if (!ends) return trouble(ends.error());
    for (int64_t size = kFirstLook;; size *= kLookFurther) {
      const int64_t begin = std::max(ends->first, ends->end - size);
      auto found = read_from(begin, all, deadline);
      if (!found || found->any || begin == ends->first) return found;
    }
  }

 private:
  Result<Found> read_from(int64_t begin, bool all, TimePoint deadline) {
    if (rd_kafka_consume_start(topic_.get(), 0, begin) != 0) return trouble(rd_kafka_last_error());
    auto found = read_on(all, deadline);
    rd_kafka_consume_stop(topic_.get(), 0);
    return found;
  }

  Result<Found> read_on(bool all, TimePoint deadline) {
    Found found;
    int64_t end = -1;  // the topic's end when the first records arrived
    for (;;) {
      const TimePoint until = std::min(deadline, Clock::now() + kLook);
      const Message message(rd_kafka_consume(topic_.get(), 0, kafka_timeout(until)));
      if (auto heard = link_.next(TimePoint()); !heard) return tl::unexpected(heard.error());
      if (message == nullptr) {
        if (Clock::now() >= deadline) return late(end >= 0);
        continue;
      }
      int64_t low = 0;
      if (end < 0) rd_kafka_get_watermark_offsets(link_.handle(), name_.c_str(), 0, &low, &end);
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (!all || message->offset >= end) return found;
      } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return trouble(message->err);
      } else if (auto taken = take(*message, found); !taken) {
        return tl::unexpected(taken.error());
      }
    }
  }

  Result<void> take(const rd_kafka_message_t& message, Found& found) const {
    const std::string_view key(static_cast<const char*>(message.key), message.key_len);
    if (message.key == nullptr || key != key_) return {};
    found.any = true;
    found.position.reset();
    if (message.payload == nullptr) return {};
    const std::string_view text(static_cast<const char*>(message.payload), message.len);
    found.position = KafkaPosition::parse(text);
    if (found.position) return {};
    return fatal(
        "topic \"" + name_ + "\" has a record of \"" + key_ + "\" that is no position: \"" +
            std::string(text.substr(0, 100)) +
            "\". Another program writes to it: set `positions` to a topic of walspout's own",
        where_);
  }

  Failure trouble(rd_kafka_resp_err_t code) const {
    Error error = kafka_error(code, name_, where_);
    if (error.kind == ErrorKind::kReject) error.kind = ErrorKind::kRetry;
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
      error.what = "the positions in topic \"" + name_ +
                   "\" cannot be read: let the user read there: kafka-acls.sh --bootstrap-server "
                   "BROKER --add "
                   "--allow-principal User:NAME --operation Read --operation Write --operation "
                   "Describe --topic '" +
                   name_ + "'";
    } else if (error.kind == ErrorKind::kRetry) {
      error.what = "the positions in topic \"" + name_ +
                   "\" cannot be read: " + std::string(rd_kafka_err2str(code));
    }
    return Failure(std::move(error));
  }

  Failure late(bool began) const {
    return retry("the positions in topic \"" + name_ + "\" cannot be read in time" +
                     (began ? ": a transaction of another producer is open. It ends by itself "
                              "(transaction.timeout.ms)"
                            : ""),
                 where_);
  }

  KafkaLink& link_;
  const std::string& name_;
  const std::string& key_;
  const std::string where_;
  KafkaOwned<rd_kafka_topic_t> topic_;
};

}  // namespace

Result<rd_kafka_topic_t*> KafkaPositions::topic(KafkaLink& link, TimePoint deadline) const {
  const std::string& name = config_.positions;
  KafkaTopics how;
  how.partitions = 1;
  how.config = {{"cleanup.policy", Secret("compact")}};
  // Kafka compacts records only after their segment is closed.
  if (config_.create_topics) {
    how.replication_factor = config_.create_topics->replication_factor;
    how.config.emplace_back("segment.bytes", Secret("16777216"));
  }
  auto topic = link.topic(name, how, deadline);
  if (!topic) {
    if (topic.error().kind == ErrorKind::kReject) topic.error().kind = ErrorKind::kFatal;
    return topic;
  }
  const auto policy = kafka_topic_option(link, name, "cleanup.policy", where_, deadline);
  if (!policy) return tl::unexpected(policy.error());
  if (policy->empty() || *policy == "compact") return topic;
  return misconfigured("topic \"" + name +
                           "\" would lose positions, because its cleanup.policy is " + *policy +
                           ": kafka-configs.sh --bootstrap-server " + config_.brokers.front() +
                           " --alter --entity-type topics --entity-name " + name +
                           " --add-config cleanup.policy=compact",
                       where_);
}

Result<std::optional<KafkaPosition>> KafkaPositions::last(const std::string& key, bool all,
                                                          TimePoint deadline) const {
  auto link =
      KafkaLink::open(config_, options_, where_, deadline, {.reads = true, .transactional_id = {}});
  if (!link) return tl::unexpected(link.error());
  Reader reader(**link, config_.positions, key, where_);
  auto found = reader.read(all, deadline);
  if (!found) return tl::unexpected(found.error());
  return found->position;
}

}  // namespace walspout
