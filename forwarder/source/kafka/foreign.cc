#include "source/kafka/foreign.h"

#include "base/base64.h"
#include "base/json.h"

namespace walspout {
namespace {

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Appends a member to an object, with a comma before it. Bytes that are not UTF-8 become base64.
void append_bytes(std::string& out, std::string_view name, std::string_view bytes) {
  out += ',';
  if (is_utf8(bytes)) {
    append_member(out, name, bytes);
  } else {
    append_member(out, std::string(name) + "_base64", base64(bytes));
  }
}

std::string reset_command(const KafkaSourceConfig& config, const std::string& topic,
                          int32_t partition, const std::string& where_to) {
  return "kafka-consumer-groups.sh --bootstrap-server " +
         (config.brokers.empty() ? "HOST:PORT" : config.brokers.front()) + " --group " +
         config.group + " --topic " + topic + ":" + std::to_string(partition) +
         " --reset-offsets " + where_to + " --execute";
}

std::string topic_of(const rd_kafka_message_t& message) {
  return message.rkt == nullptr ? "" : rd_kafka_topic_name(message.rkt);
}

}  // namespace

bool kafka_headers(const rd_kafka_message_t& message, std::vector<KafkaHeader>& headers) {
  headers.clear();
  rd_kafka_headers_t* all = nullptr;
  const auto code = rd_kafka_message_headers(&message, &all);
  if (code == RD_KAFKA_RESP_ERR__NOENT) return true;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(all, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
    KafkaHeader& header = headers.emplace_back();
    header.name = name == nullptr ? "" : name;
    if (value != nullptr) header.value = std::string_view(static_cast<const char*>(value), size);
  }
  return true;
}

std::string kafka_message_name(const rd_kafka_message_t& message) {
  return "message " + std::to_string(message.offset) + " of partition " +
         std::to_string(message.partition) + " of topic \"" + topic_of(message) + "\"";
}

std::string kafka_foreign_error(const rd_kafka_message_t& message, const Error& why,
                                const KafkaSourceConfig& config) {
  const std::string beyond = reset_command(config, topic_of(message), message.partition,
                                           "--to-offset " + std::to_string(message.offset + 1));
  if (why.kind != ErrorKind::kReject) {
    return kafka_message_name(message) + ": " + why.what + ". Or skip this message: " + beyond;
  }
  return kafka_message_name(message) + " is not an event of walspout: " + why.what +
         ". Remedy: let `topics` name only topics that walspout's sink fills; or set `foreign: "
         "dead_letter` or `foreign: skip` in the source; or skip this message while the "
         "group is stopped: " +
         beyond;
}

std::string kafka_foreign_document(const rd_kafka_message_t& message) {
  std::string out = "{";
  append_member(out, "topic", topic_of(message));
  out += ",\"partition\":" + std::to_string(message.partition);
  out += ",\"offset\":" + std::to_string(message.offset);
  if (message.key != nullptr) {
    append_bytes(out, "key", {static_cast<const char*>(message.key), message.key_len});
  }
  if (message.payload != nullptr) {
    append_bytes(out, "value", {static_cast<const char*>(message.payload), message.len});
  }
  std::vector<KafkaHeader> headers;
  static_cast<void>(kafka_headers(message, headers));
  out += ",\"headers\":[";
  for (size_t i = 0; i < headers.size(); i++) {
    out += i ? ",{" : "{";
    append_member(out, "name", headers[i].name);
    if (headers[i].value) append_bytes(out, "value", *headers[i].value);
    out += '}';
  }
  return out + "]}";
}

std::string kafka_gap_error(const KafkaOffsets::Key& partition, const KafkaSourceConfig& config) {
  return "messages of partition " + std::to_string(partition.second) + " of topic \"" +
         partition.first + "\" that group \"" + config.group +
         "\" has not read are gone: retention has removed them, or the topic was created again. "
         "Remedy: bring the receivers in line with the database; then go on with what is there: " +
         reset_command(config, partition.first, partition.second, "--to-earliest");
}

std::optional<Error> kafka_source_trouble(rd_kafka_resp_err_t code, std::string_view said,
                                          const KafkaSourceConfig& config,
                                          const std::string& where) {
  const auto trouble = [&](const std::string& remedy) {
    return Error{ErrorKind::kRetry, std::string(said) + ". Remedy: " + remedy, where,
                 Scope::kConfiguration};
  };
  const std::string add =
      "kafka-acls.sh --bootstrap-server BROKER --add --allow-principal User:NAME --operation ";
  switch (code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return trouble("correct `topics`, or start what fills the topic");
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return trouble("let the user read the topic: " + add +
                     "Read --operation Describe --topic TOPIC");
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return trouble("let the user be a member of the group: " + add + "Read --group '" +
                     config.group + "'");
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
      return trouble(
          "give the forwarders a group of their own, and all of them the same "
          "partition.assignment.strategy");
    default:
      return std::nullopt;
  }
}

}  // namespace walspout
