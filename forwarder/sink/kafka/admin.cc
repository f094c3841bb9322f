#include "sink/kafka/admin.h"

#include <algorithm>
#include <array>

namespace walspout {
namespace {

// The option's value in the first resource of an answer.
std::string option_in(const rd_kafka_DescribeConfigs_result_t* result, const std::string& option) {
  size_t count = 0;
  const auto* resources = rd_kafka_DescribeConfigs_result_resources(result, &count);
  if (count == 0 || rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return "";
  }
  size_t entries = 0;
  const auto* all = rd_kafka_ConfigResource_configs(resources[0], &entries);
  for (size_t i = 0; i < entries; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(all[i]);
    if (rd_kafka_ConfigEntry_name(all[i]) == option && value != nullptr) return value;
  }
  return "";
}

// `what`: the resource in words.
Result<std::string> option_of(KafkaLink& link, rd_kafka_ResourceType_t type,
                              const std::string& name, const std::string& option,
                              const std::string& what, const std::string& where,
                              TimePoint deadline) {
  rd_kafka_ConfigResource_t* asked = rd_kafka_ConfigResource_new(type, name.c_str());
  rd_kafka_AdminOptions_t* options =
      rd_kafka_AdminOptions_new(link.handle(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
  std::array<char, 512> said{};
  const int timeout = std::max(1, kafka_timeout(deadline));
  rd_kafka_AdminOptions_set_request_timeout(options, timeout, said.data(), said.size());
  KafkaOwned<rd_kafka_queue_t> answers(rd_kafka_queue_new(link.handle()));
  rd_kafka_DescribeConfigs(link.handle(), &asked, 1, options, answers.get());
  const KafkaOwned<rd_kafka_event_t> answer(rd_kafka_queue_poll(answers.get(), timeout));
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_ConfigResource_destroy(asked);
  const auto code =
      answer != nullptr ? rd_kafka_event_error(answer.get()) : RD_KAFKA_RESP_ERR__TIMED_OUT;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return retry("cannot ask for the options of " + what + ": " + rd_kafka_err2str(code), where);
  }
  return option_in(rd_kafka_event_DescribeConfigs_result(answer.get()), option);
}

}  // namespace

Result<std::string> kafka_topic_option(KafkaLink& link, const std::string& topic,
                                       const std::string& option, const std::string& where,
                                       TimePoint deadline) {
  return option_of(link, RD_KAFKA_RESOURCE_TOPIC, topic, option, "topic \"" + topic + "\"", where,
                   deadline);
}

Result<std::string> kafka_broker_option(KafkaLink& link, const std::string& option,
                                        const std::string& where, TimePoint deadline) {
  const int id = rd_kafka_controllerid(link.handle(), std::max(1, kafka_timeout(deadline)));
  if (id < 0) return retry("no broker says which of them is the controller", where);
  return option_of(link, RD_KAFKA_RESOURCE_BROKER, std::to_string(id), option, "the broker", where,
                   deadline);
}

}  // namespace walspout
