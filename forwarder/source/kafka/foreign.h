// Error messages about foreign messages and other problems of a consumer.
#pragma once

#include <librdkafka/rdkafka.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "source/kafka/config.h"
#include "source/kafka/message.h"
#include "source/kafka/offsets.h"

namespace walspout {

// Replaces `headers` with those of the message. False: they are malformed.
[[nodiscard]] bool kafka_headers(const rd_kafka_message_t& message,
                                 std::vector<KafkaHeader>& headers);

// "message 5 of partition 0 of topic \"orders\""
[[nodiscard]] std::string kafka_message_name(const rd_kafka_message_t& message);

// Why reading stops at this message, with the remedy.
[[nodiscard]] std::string kafka_foreign_error(const rd_kafka_message_t& message, const Error& why,
                                              const KafkaSourceConfig& config);

// The whole message as one JSON object on one line.
[[nodiscard]] std::string kafka_foreign_document(const rd_kafka_message_t& message);

// The error for messages that were removed before the group read them.
[[nodiscard]] std::string kafka_gap_error(const KafkaOffsets::Key& partition,
                                          const KafkaSourceConfig& config);

// An error that lasts until an operator acts, and keeps messages from coming; nothing: another
// code. `said`: the library's message, which names the topic.
[[nodiscard]] std::optional<Error> kafka_source_trouble(rd_kafka_resp_err_t code,
                                                        std::string_view said,
                                                        const KafkaSourceConfig& config,
                                                        const std::string& where);

}  // namespace walspout
