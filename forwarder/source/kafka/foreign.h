// Messages that are no events, and what else a consumer may meet in a cluster: in words.
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

// Replaces `headers` by those of the message. False: they are not well-formed.
[[nodiscard]] bool kafka_headers(const rd_kafka_message_t& message,
                                 std::vector<KafkaHeader>& headers);

// "message 5 of partition 0 of topic \"orders\""
[[nodiscard]] std::string kafka_message_name(const rd_kafka_message_t& message);

// Why reading stops there, with the remedy.
[[nodiscard]] std::string kafka_foreign_error(const rd_kafka_message_t& message, const Error& why,
                                              const KafkaSourceConfig& config);

// All of a message as one JSON object on one line.
[[nodiscard]] std::string kafka_foreign_document(const rd_kafka_message_t& message);

// Messages that were not read are gone.
[[nodiscard]] std::string kafka_gap_error(const KafkaOffsets::Key& partition,
                                          const KafkaSourceConfig& config);

// What keeps messages of a topic, or of all, from coming until somebody does something; nothing:
// the code is none of these. `said`: the library's words, which name the topic.
[[nodiscard]] std::optional<Error> kafka_source_trouble(rd_kafka_resp_err_t code,
                                                        std::string_view said,
                                                        const KafkaSourceConfig& config,
                                                        const std::string& where);

}  // namespace walspout
