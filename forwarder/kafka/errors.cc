#include "kafka/errors.h"

#include <algorithm>
#include <array>
#include <utility>

namespace walspout {
namespace {

struct Meaning {
  rd_kafka_resp_err_t code;
  ErrorKind kind;
  std::string_view remedy;  // TOPIC stands for the topic's name
};

constexpr std::string_view kTooLarge =
    "raise max.message.bytes of the topic (and message.max.bytes of the broker, "
    "replica.fetch.max.bytes with it), or set max_value_bytes in the source";

constexpr std::array kMeanings = {
    Meaning{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ErrorKind::kReject, kTooLarge},
    Meaning{RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ErrorKind::kReject, kTooLarge},
    Meaning{RD_KAFKA_RESP_ERR_INVALID_RECORD, ErrorKind::kReject,
            "a topic with cleanup.policy compact takes only messages with a key: give the table a "
            "primary key, or a topic of its own, or leave its events out with `only`"},
    Meaning{RD_KAFKA_RESP_ERR_INVALID_MSG, ErrorKind::kRetry, ""},
    Meaning{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ErrorKind::kFatal,
            "let the user write there: kafka-acls.sh --bootstrap-server BROKER --add "
            "--allow-principal User:NAME --operation "
            "Write --operation Describe --topic 'TOPIC'; and --operation Create if create_topics "
            "is set"},
    Meaning{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ErrorKind::kFatal,
            "let the user produce without repeats: kafka-acls.sh --bootstrap-server BROKER --add "
            "--allow-principal User:NAME "
            "--operation IdempotentWrite --cluster; and --operation Create --cluster if "
            "create_topics is set"},
    Meaning{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ErrorKind::kFatal,
            "let the user use the transactional id: kafka-acls.sh --bootstrap-server BROKER --add "
            "--allow-principal "
            "User:NAME --operation Write --operation Describe --transactional-id '*'"},
    Meaning{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, ErrorKind::kRetry,
            "fewer replicas are in sync than the topic's min.insync.replicas: look after the "
            "brokers that are missing"},
    Meaning{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorKind::kRetry,
            "fewer replicas are in sync than the topic's min.insync.replicas: look after the "
            "brokers that are missing"},
    Meaning{RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, ErrorKind::kFatal, ""},
    Meaning{RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ErrorKind::kFatal,
            "the brokers have a policy against that: correct create_topics"},
    Meaning{RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, ErrorKind::kFatal,
            "correct replication_factor in create_topics: there are fewer brokers"},
    Meaning{RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, ErrorKind::kFatal,
            "correct partitions in create_topics"},
    Meaning{RD_KAFKA_RESP_ERR_INVALID_CONFIG, ErrorKind::kFatal, "correct config in create_topics"},
    Meaning{RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, ErrorKind::kFatal,
            "choose another compression"},
};

std::string filled(std::string_view remedy, std::string_view topic) {
  std::string text(remedy);
  constexpr std::string_view kTopic = "TOPIC";
  if (const size_t at = text.find(kTopic); at != std::string::npos && !topic.empty()) {
    text.replace(at, kTopic.size(), topic);
  }
  return text;
}

// librdkafka before 2.6.1 repeats its own nonce, which Kafka 4 rejects.
std::string_view about_scram(std::string_view text) {
  constexpr int kCorrected = 0x020601ff;
  if (rd_kafka_version() >= kCorrected || text.find("SCRAM") == std::string_view::npos) return {};
  return ". Kafka 4 takes no login with SCRAM of librdkafka before 2.6.1, whatever the password: "
         "then update the library, or use plain over TLS";
}

}  // namespace

Error kafka_error(rd_kafka_resp_err_t code, std::string_view topic, const std::string& where) {
  std::string what = "Kafka did not take a message";
  if (!topic.empty()) what += " for topic \"" + std::string(topic) + "\"";
  what += ": " + std::string(rd_kafka_err2str(code));
  const auto known = std::find_if(kMeanings.begin(), kMeanings.end(),
                                  [code](const Meaning& meaning) { return meaning.code == code; });
  if (known == kMeanings.end()) return {ErrorKind::kRetry, std::move(what), where};
  if (!known->remedy.empty()) what += ". Remedy: " + filled(known->remedy, topic);
  return {known->kind, std::move(what), where};
}

Error kafka_trouble(rd_kafka_resp_err_t code, std::string text, const TlsConfig& tls,
                    const std::string& where) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      // The token may be available later.
      if (text.find("OAUTHBEARER token") != std::string::npos) break;
      text += about_scram(text);
      text += ". Correct mechanism, user and password in sasl, or the user on the broker";
      return {ErrorKind::kFatal, std::move(text), where};
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
      return {ErrorKind::kFatal, std::move(text), where};
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return kafka_error(code, {}, where);
    default:
      break;
  }
  const std::string remedy = tls_remedy(text, tls);
  return {ErrorKind::kRetry, std::move(text) + remedy, where};
}

}  // namespace walspout
