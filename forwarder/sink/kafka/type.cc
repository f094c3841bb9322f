#include "sink/common/keys.h"
#include "sink/kafka/kafka.h"
#include "sink/types.h"

namespace walspout {
namespace {

KeyTable<KafkaSasl> sasl_table() {
  using Mechanism = KafkaSasl::Mechanism;
  KeyTable<KafkaSasl> table;
  table
      .choice<Mechanism>("mechanism", &KafkaSasl::mechanism,
                         {{"plain", Mechanism::kPlain},
                          {"scram-sha-256", Mechanism::kScramSha256},
                          {"scram-sha-512", Mechanism::kScramSha512},
                          {"oauthbearer", Mechanism::kOauthBearer}},
                         "How to log in")
      .required()
      .key("user", &KafkaSasl::user, "User of `plain` and `scram-…`")
      .key("password", &KafkaSasl::password, "Password of the user")
      .key("token", &KafkaSasl::token,
           "Token of `oauthbearer`; as `file:PATH` it is read again when it gets old")
      .rule([](KafkaSasl& sasl, const Section::Has& has) -> std::optional<KeyProblem> {
        const bool oauth = sasl.mechanism == Mechanism::kOauthBearer;
        const TextList wanted = oauth ? TextList{"token"} : TextList{"user", "password"};
        for (const std::string& key : wanted) {
          if (has("mechanism") && !has(key)) {
            return KeyProblem{"mechanism", "this mechanism needs \"" + key + "\""};
          }
        }
        return std::nullopt;
      });
  return table;
}

KeyTable<KafkaTopics> topics_table() {
  KeyTable<KafkaTopics> table;
  table.key("partitions", &KafkaTopics::partitions, "Partitions of a topic that is made")
      .between(1, 100'000)
      .initially("the broker's")
      .key("replication_factor", &KafkaTopics::replication_factor, "Replicas of its partitions")
      .between(1, 1'000)
      .initially("the broker's")
      .key("config", &KafkaTopics::config, "Options of the topic, such as `retention.ms`");
  return table;
}

// host:port, or [address]:port.
std::string broker_problem(const std::string& broker) {
  const size_t colon = broker.rfind(':');
  const std::string port = colon == std::string::npos ? "" : broker.substr(colon + 1);
  const bool number = !port.empty() && port.size() <= 5 &&
                      port.find_first_not_of("0123456789") == std::string::npos;
  if (colon == 0 || !number || broker.find_first_of("/, @") != std::string::npos) {
    return "must name brokers as HOST:PORT";
  }
  return "";
}

KeyTable<KafkaConfig> table() {
  using Words = std::string;
  KeyTable<KafkaConfig> table;
  table
      .key("brokers", &KafkaConfig::brokers,
           "Brokers to begin with, `[\"host:port\"]`; they name the others")
      .required()
      .each(broker_problem);
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
      .initially("not at all")
      .key("unconfirmed", &KafkaConfig::unconfirmed,
           "Messages sent before their confirms are awaited")
      .between(1, 1'000'000)
      .key("exactly_once", &KafkaConfig::exactly_once,
           "Readers of what is committed (`read_committed`) get each event once: events go in "
           "transactions of Kafka, which also keep the position")
      .key("positions", &KafkaConfig::positions,
           "With `exactly_once`: the compacted topic of the positions")
      .section("create_topics", &KafkaConfig::create_topics, topics_table(),
               "Makes topics that are missing")
      .section("sasl", &KafkaConfig::sasl, sasl_table(), "Logs in")
      .section("tls", &KafkaConfig::tls, tls_table(), "TLS, which is used if this is there")
      .key("connect_timeout", &KafkaConfig::connect_timeout, "Time limit of connecting")
      .key("librdkafka", &KafkaConfig::librdkafka, "Options of librdkafka, as its manual has them");
  return table;
}

}  // namespace

SinkType kafka_type() {
  SinkType type =
      sink_type<KafkaConfig>("kafka", "Sends a message to a topic of Kafka", table(),
                             [](const KafkaConfig& config) { return KafkaSink::create(config); });
  type.route = [](std::any& options) { return &std::any_cast<KafkaConfig&>(options).topic; };
  // Two sinks of a slot have positions of their own.
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
