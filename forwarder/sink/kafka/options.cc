#include "sink/kafka/options.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace walspout {
namespace {

static_assert(sizeof(void*) == 8, "an opaque value holds two numbers of 32 bits");

// Options that the sink needs as they are, or has a key for.
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

// Messages with a key go where Java's clients put them; those without one, all of a table to one
// place.
int32_t partition_of(const rd_kafka_topic_t* topic, const void* key, size_t size,
                     int32_t partitions, void* topic_opaque, void* opaque) {
  if (key != nullptr) {
    return rd_kafka_msg_partitioner_murmur2(topic, key, size, partitions, topic_opaque, opaque);
  }
  const auto place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(opaque) >> 32);
  return static_cast<int32_t>(place % static_cast<uint32_t>(partitions));
}

// What users may have otherwise.
bool set_defaults(KafkaSetter& to) {
  return to.set_all({// Brokers take no request of more than 100 MiB, unless told to.
                     {"message.max.bytes", "100000000"},
                     {"batch.num.messages", "100000"}});
}

// What no user may have otherwise.
bool set_rules(KafkaSetter& to, const KafkaConfig& config) {
  return to.set_all({{"enable.idempotence", "true"},
                     {"acks", "all"},
                     // A broker that does not know a producer yet takes any first number of it. So
                     // if it rejects a producer's first request, as while a partition is made or
                     // moves, and takes the second one, it calls the first one a repeat when that
                     // comes again, and the library reports these messages as delivered.
                     {"max.in.flight", "1"},
                     {"compression.codec", config.compression},
                     {"linger.ms", std::to_string(config.linger.count())},
                     // How long to wait the caller decides. A message that the library gives up
                     // leaves a gap, and the order would be lost behind it.
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
