// The meaning of an error of Kafka: its kind, its scope, and a sentence with the remedy.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/tls.h"

namespace walspout {

// Why a message, or a request about a topic, failed. If `topic` is empty, the remedy says TOPIC.
// Pure.
[[nodiscard]] Error kafka_error(rd_kafka_resp_err_t code, std::string_view topic,
                                const std::string& where);

// The library's report about a connection, with a remedy if the text suggests one. Pure.
[[nodiscard]] Error kafka_trouble(rd_kafka_resp_err_t code, std::string text, const TlsConfig& tls,
                                  const std::string& where);

}  // namespace walspout
