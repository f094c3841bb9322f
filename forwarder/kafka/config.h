// The options of every client of a Kafka cluster.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/keys.h"
#include "base/secret.h"
#include "base/tls.h"

namespace walspout {

struct KafkaSasl {
  enum class Mechanism { kPlain, kScramSha256, kScramSha512, kOauthBearer };

  Mechanism mechanism = Mechanism::kPlain;
  std::string user;
  Secret password;
  Secret token;  // for kOauthBearer: read again when the library wants a new token
};

struct KafkaAccess {
  TextList brokers;  // host:port
  std::optional<KafkaSasl> sasl;
  std::optional<TlsConfig> tls;  // none: no TLS
  Milliseconds connect_timeout{10'000};
  SecretMap librdkafka;  // options of the library
};

// "kafka://host:port,host:port"
[[nodiscard]] std::string kafka_name(const KafkaAccess& access);

}  // namespace walspout
