// A private Kafka broker and a client for the tests. One broker serves all tests, because it takes
// seconds to start. Each test has its own topics.
#pragma once

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test/sink/certificates.h"
#include "test/sink/server_process.h"

namespace walspout::test {

class KafkaBroker {
 public:
  static KafkaBroker& get() {
    static KafkaBroker broker;
    if (!broker.process_.running()) broker.start();
    return broker;
  }

  void start();
  void stop() { process_.stop(SIGKILL); }
  void freeze();
  void thaw() { process_.thaw(); }

  std::string address() const { return at(port_); }           // everyone may do everything
  std::string tls() const { return local(tls_port_); }        // likewise
  std::string mutual() const { return local(mutual_port_); }  // asks for a certificate
  std::string sasl() const { return at(sasl_port_); }
  std::string ca_file() const { return directory_.file("cert"); }
  std::string cert_file() const { return directory_.file("cert"); }
  std::string key_file() const { return directory_.file("key"); }
  // The bytes of the first segment of a topic's first partition.
  std::string log_of(const std::string& topic) const {
    return read_file(directory_.file("data/" + topic + "-0/00000000000000000000.log"));
  }

  // Users of sasl(). The admin may do everything, the guest only what is granted.
  static constexpr const char* kAdmin = "admin";
  static constexpr const char* kGuest = "guest";
  static constexpr const char* kPassword = "kafka-pass-word";

 private:
  KafkaBroker();
  static std::string at(int port) { return "127.0.0.1:" + std::to_string(port); }
  static std::string local(int port) { return "localhost:" + std::to_string(port); }
  std::vector<std::string> java(std::vector<std::string> words) const;
  void format();

  TempDir directory_;
  std::string jars_;
  int port_ = free_port();
  int controller_port_ = free_port();
  int tls_port_ = free_port();
  int mutual_port_ = free_port();
  int sasl_port_ = free_port();
  Process process_;
};

struct KafkaMessage {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::map<std::string, std::string> headers;
  int partition = 0;
};

// A connection for setup and checks.
class KafkaClient {
 public:
  using Config = std::map<std::string, std::string>;

  KafkaClient();
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  void create(const std::string& topic, int partitions = 1, const Config& config = {});
  void remove(const std::string& topic);
  // The number of a topic's partitions; 0: there is no such topic.
  int partitions(const std::string& topic);
  std::string config(const std::string& topic, const std::string& option);
  // Grants that to the guest: RD_KAFKA_ACL_OPERATION_WRITE, ...
  void allow(rd_kafka_ResourceType_t kind, const std::string& name,
             rd_kafka_AclOperation_t operation);
  // The partition that Java clients choose for a key.
  static int place(const std::string& key, int partitions);

  // All messages of the topic, one partition after the other.
  std::vector<KafkaMessage> messages(const std::string& topic,
                                     const std::string& isolation = "read_committed");

 private:
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
};

}  // namespace walspout::test
