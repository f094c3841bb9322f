#include "sink/kafka/options.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace walspout {
namespace {

static_assert(sizeof(void*) == 8, "an opaque value holds two numbers of 32 bits");

// Options that the sink sets itself, or has a key for.
using Owned = KafkaOwnedOption;
constexpr std::array kOwned = {
    Owned{"compression.codec", "compression"},
    Owned{"compression.type", "compression"},
    Owned{"linger.ms", "linger"},
    Owned{"queue.buffering.max.ms", "linger"},
    Owned{"queue.buffering.max.messages", "unconfirmed"},
    Owned{"queue.buffering.max.kbytes", "unconfirmed"},
    Owned{"message.timeout.ms", "deliver_timeout"},
    Owned{"delivery.timeout.ms", "deliver_timeout"},
    Owned{"transactional.id", "exactly_once"},
    Owned{"enable.idempotence", ""},
    Owned{"enable.gapless.guarantee", ""},
    Owned{"acks", ""},
    Owned{"request.required.acks", ""},
    Owned{"retries", ""},
    Owned{"message.send.max.retries", ""},
    Owned{"delivery.report.only.error", ""},
    Owned{"max.in.flight", ""},
    Owned{"max.in.flight.requests.per.connection", ""},
    Owned{"partitioner", ""},
    Owned{"sticky.partitioning.linger.ms", ""},
    Owned{"allow.auto.create.topics", "create_topics"},
    Owned{"isolation.level", ""},
    Owned{"enable.partition.eof", ""},
};

// A message with a key goes to the partition that Java's clients choose. All messages of a table
// without a key go to one partition.
int32_t partition_of(const rd_kafka_topic_t* topic, const void* key, size_t size,
                     int32_t partitions, void* topic_opaque, void* opaque) {
  if (key != nullptr) {
    return rd_kafka_msg_partitioner_murmur2(topic, key, size, partitions, topic_opaque, opaque);
  }
  const auto place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(opaque) >> 32);
  return static_cast<int32_t>(place % static_cast<uint32_t>(partitions));
}

// Sets defaults that users may change.
bool set_defaults(KafkaSetter& to) {
  return to.set_all({// By default, brokers take requests up to 100 MiB.
                     {"message.max.bytes", "100000000"},
                     {"batch.num.messages", "100000"}});
}

// Sets options that no user may change.
bool set_rules(KafkaSetter& to, const KafkaConfig& config) {
  return to.set_all({{"enable.idempotence", "true"},
                     {"acks", "all"},
                     // A broker accepts any first sequence number of a new producer. It may reject
                     // the first request, as while a partition is made or moves, and accept the
                     // second. Then it calls the repeated first one a duplicate, and the library
                     // reports these messages as delivered.
                     {"max.in.flight", "1"},
                     {"compression.codec", config.compression},
                     {"linger.ms", std::to_string(config.linger.count())},
                     // The caller decides how long to wait. If the library gave up a message, the
                     // gap would break the order behind it.
                     {"message.timeout.ms", "0"},
                     {"queue.buffering.max.messages", "10000000"},
                     {"queue.buffering.max.kbytes", "2147483647"},
                     {"sticky.partitioning.linger.ms", "0"},
                     {"allow.auto.create.topics", "false"}});
}

}  // namespace

void* kafka_opaque(uint64_t number, uint32_t place) {
  return reinterpret_cast<void*>((uintptr_t{place} << 32) | (number & UINT32_MAX));
}

uint64_t kafka_number(const void* opaque, uint64_t first) {
  const auto low = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(opaque));
  return first + static_cast<uint32_t>(low - static_cast<uint32_t>(first));
}

Result<KafkaOptions> kafka_options(const KafkaConfig& config) {
  KafkaOptions options(rd_kafka_conf_new());
  rd_kafka_topic_conf_t* topic = rd_kafka_topic_conf_new();
  rd_kafka_topic_conf_set_partitioner_cb(topic, partition_of);
  rd_kafka_conf_set_default_topic_conf(options.get(), topic);
  rd_kafka_conf_set_events(options.get(), RD_KAFKA_EVENT_DR | kafka_events(config));
  KafkaSetter to(options.get(), config);
  if (!set_defaults(to) || !to.set_access(kOwned, "sink") || !set_rules(to, config)) {
    return misconfigured(to.problem());
  }
  return options;
}

}  // namespace walspout
