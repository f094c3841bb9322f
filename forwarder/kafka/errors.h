// What an error of Kafka means for us: its kind, its scope, and a sentence that names the remedy.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/tls.h"

namespace walspout {

// Why a message, or a request about a topic, failed. Without a topic's name, a remedy has TOPIC in
// its place. Pure.
[[nodiscard]] Error kafka_error(rd_kafka_resp_err_t code, std::string_view topic,
                                const std::string& where);

// What the library says of a connection, with a remedy where the text shows one. Pure.
[[nodiscard]] Error kafka_trouble(rd_kafka_resp_err_t code, std::string text, const TlsConfig& tls,
                                  const std::string& where);

}  // namespace walspout
