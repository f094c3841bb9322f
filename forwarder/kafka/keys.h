// The keys that every client of Kafka has.
#pragma once

#include <string>

#include "base/keys.h"
#include "base/tls_keys.h"
#include "kafka/config.h"

namespace walspout {

[[nodiscard]] KeyTable<KafkaSasl> kafka_sasl_table();

// What is wrong with HOST:PORT; empty: nothing.
[[nodiscard]] std::string kafka_broker_problem(const std::string& broker);

// T is a KafkaAccess.
template <typename T>
void add_kafka_brokers(KeyTable<T>& table) {
  table
      .key("brokers", &T::brokers,
           "Brokers to try first, `[\"host:port\"]`; they report the others")
      .required()
      .each(kafka_broker_problem);
}

template <typename T>
void add_kafka_access(KeyTable<T>& table) {
  table.section("sasl", &T::sasl, kafka_sasl_table(), "Logs in")
      .section("tls", &T::tls, tls_table(), "Uses TLS if this section is there")
      .key("connect_timeout", &T::connect_timeout, "Time limit of connecting")
      .key("librdkafka", &T::librdkafka, "Options of librdkafka, named as in its manual");
}

}  // namespace walspout
