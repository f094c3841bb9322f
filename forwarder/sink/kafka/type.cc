#include "kafka/keys.h"
#include "sink/common/keys.h"
#include "sink/kafka/kafka.h"
#include "sink/types.h"

namespace walspout {
namespace {

KeyTable<KafkaTopics> topics_table() {
  KeyTable<KafkaTopics> table;
  table.key("partitions", &KafkaTopics::partitions, "Partitions of a topic that is created")
      .between(1, 100'000)
      .set_default("the broker's")
      .key("replication_factor", &KafkaTopics::replication_factor, "Replicas of its partitions")
      .between(1, 1'000)
      .set_default("the broker's")
      .key("config", &KafkaTopics::config, "Options of the topic, such as `retention.ms`");
  return table;
}

KeyTable<KafkaConfig> table() {
  using Words = std::string;
  KeyTable<KafkaConfig> table;
  add_kafka_brokers(table);
  add_route(table, "topic", &KafkaConfig::topic, "Template of the topic");
  table
      .choice<bool>(
          "value", &KafkaConfig::rows, {{"envelope", false}, {"row", true}},
          "`envelope`: the document; `row`: the new row alone, and nothing after a delete")
      .key("tombstones", &KafkaConfig::tombstones,
           "A message with the key and no value follows a delete, for topics that are compacted")
      .choice<Words>("compression", &KafkaConfig::compression,
                     {{"none", "none"},
                      {"gzip", "gzip"},
                      {"snappy", "snappy"},
                      {"lz4", "lz4"},
                      {"zstd", "zstd"}},
                     "How batches are compressed")
      .key("linger", &KafkaConfig::linger, "How long a batch waits for more messages")
      .set_default("not at all")
      .key("unconfirmed", &KafkaConfig::unconfirmed, "Messages without a confirm, at most")
      .between(1, 1'000'000)
      .key("exactly_once", &KafkaConfig::exactly_once,
           "Readers of what is committed (`read_committed`) get each event once: events go in "
           "transactions of Kafka, which also keep the position")
      .key("positions", &KafkaConfig::positions,
           "With `exactly_once`: the compacted topic of the positions")
      .section("create_topics", &KafkaConfig::create_topics, topics_table(),
               "Makes topics that are missing");
  add_kafka_access(table);
  return table;
}

}  // namespace

SinkType kafka_type() {
  SinkType type =
      sink_type<KafkaConfig>("kafka", "Sends a message to a topic of Kafka", table(),
                             [](const KafkaConfig& config) { return KafkaSink::create(config); });
  type.route = [](std::any& options) { return &std::any_cast<KafkaConfig&>(options).topic; };
  // Each sink of a slot has its own position.
  type.rule = [](SinkConfig& sink, const Section::Has& has) -> std::optional<KeyProblem> {
    KafkaConfig& kafka = std::any_cast<KafkaConfig&>(sink.options);
    kafka.sink = sink.name;
    if (has("positions") && !kafka.exactly_once) {
      return KeyProblem{"positions",
                        "\"positions\" has a meaning with \"exactly_once: true\" only"};
    }
    bool taken = kafka.exactly_once && kafka.topic.fallback == kafka.positions;
    for (const auto& [table, topic] : kafka.topic.tables) {
      taken = taken || (kafka.exactly_once && topic == kafka.positions);
    }
    if (!taken) return std::nullopt;
    return KeyProblem{"topic", "topic \"" + kafka.positions +
                                   "\" holds how far sources are delivered: choose another one"};
  };
  // A change of the key also sends a tombstone with the old key, which the sink reads from the
  // document.
  type.reads_documents = [](const std::any& options, bool splits_moves) {
    const auto& kafka = std::any_cast<const KafkaConfig&>(options);
    if (kafka.rows) return "\"value: row\"";
    return kafka.tombstones && !splits_moves ? "\"tombstones\"" : "";
  };
  type.capabilities = {
      .order = Order::kKey,
      .becomes = "a message of a topic; its key is the event's key",
      .delivered = "all in-sync replicas have it (`acks=all`)",
      .repeated =
          "known by its header `id`; the library's own repeats are dropped by the broker. "
          "With `exactly_once` nothing is there twice",
      .largest = "`max.message.bytes` of the topic"};
  return type;
}

}  // namespace walspout
