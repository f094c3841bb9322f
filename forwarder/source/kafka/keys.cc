#include "source/kafka/keys.h"

#include "kafka/keys.h"

namespace walspout {
namespace {

std::string topic_problem(const std::string& topic) {
  constexpr size_t kLongest = 249;
  if (topic.empty()) return "has an empty name";
  if (topic.front() == '^') return topic.size() > 1 ? "" : "has a pattern that matches no topic";
  const bool good =
      topic.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == topic.npos;
  if (good && topic.size() <= kLongest) return "";
  return "has \"" + topic + "\", which is no name of a topic: a pattern begins with ^";
}

}  // namespace

KeyTable<KafkaSourceConfig> kafka_source_table() {
  using Foreign = KafkaSourceConfig::Foreign;
  KeyTable<KafkaSourceConfig> table;
  add_kafka_brokers(table);
  table
      .key("topics", &KafkaSourceConfig::topics,
           "Topics that walspout's sink `kafka` fills; with `^` in front a regular expression")
      .required()
      .each(topic_problem)
      .key("group", &KafkaSourceConfig::group,
           "Consumer group; forwarders with the same group share the partitions")
      .required()
      .choice<Foreign>("foreign", &KafkaSourceConfig::foreign,
                       {{"error", Foreign::kError},
                        {"dead_letter", Foreign::kDeadLetter},
                        {"skip", Foreign::kSkip}},
                       "What happens to a message that walspout has not written: `error` stops "
                       "the pipeline, `dead_letter` writes the message to the file of "
                       "`dead_letter`");
  add_kafka_access(table);
  table.rule([](KafkaSourceConfig& kafka, const Section::Has& has) -> std::optional<KeyProblem> {
    if (!has("topics") || !kafka.topics.empty()) return std::nullopt;
    return KeyProblem{"topics", "\"topics\" is an empty list: name the topics to read"};
  });
  return table;
}

}  // namespace walspout
