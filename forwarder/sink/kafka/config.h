// Kafka: what the sink needs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/keys.h"
#include "base/secret.h"
#include "sink/common/route.h"
#include "sink/common/tls.h"

namespace walspout {

struct KafkaSasl {
  enum class Mechanism { kPlain, kScramSha256, kScramSha512, kOauthBearer };

  Mechanism mechanism = Mechanism::kPlain;
  std::string user;
  Secret password;
  Secret token;  // kOauthBearer: read again from its file when the library wants another one
};

// What a topic is made with.
struct KafkaTopics {
  uint64_t partitions = 0;          // 0: the broker's default
  uint64_t replication_factor = 0;  // likewise
  SecretMap config;                 // options of the topic
};

struct KafkaConfig {
  TextList brokers;  // host:port
  Route topic{{}, "{schema}.{table}", Unmapped::kError, {}};
  bool rows = false;  // the value is the new row, and not the document
  bool tombstones = false;
  std::string compression = "lz4";
  Milliseconds linger{0};
  size_t unconfirmed = 32'768;  // messages sent before their confirms are awaited
  bool exactly_once = false;
  std::string positions = "walspout.positions";  // with exactly_once: topic of the positions
  std::string sink = "kafka";                    // likewise: the sink's name, for its position
  std::optional<KafkaTopics> create_topics;
  std::optional<KafkaSasl> sasl;
  std::optional<TlsConfig> tls;  // none: no TLS
  Milliseconds connect_timeout{10'000};
  SecretMap librdkafka;  // options of the library
};

}  // namespace walspout
