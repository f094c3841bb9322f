#include "test/sink/kafka/kafka_broker.h"

#include <array>

// The inside of librdkafka is not instrumented.
extern "C" const char* __tsan_default_suppressions();
const char* __tsan_default_suppressions() {
  return "called_from_lib:librdkafka.so.1\n";
}

namespace walspout::test {
namespace {

constexpr int kPatience = 60'000;  // milliseconds

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

struct EndEvent {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
using Answer = std::unique_ptr<rd_kafka_event_t, EndEvent>;

Answer answer_in(rd_kafka_queue_t* queue) {
  Answer answer(rd_kafka_queue_poll(queue, kPatience));
  EXPECT_NE(answer, nullptr) << "Kafka did not answer";
  EXPECT_TRUE(answer == nullptr || rd_kafka_event_error(answer.get()) == 0);
  return answer;
}

rd_kafka_t* make_handle(rd_kafka_type_t type, const KafkaClient::Config& options) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 512> said{};
  rd_kafka_conf_set(conf, "bootstrap.servers", KafkaBroker::get().address().c_str(), nullptr, 0);
  rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
  for (const auto& [name, value] : options) {
    EXPECT_EQ(rd_kafka_conf_set(conf, name.c_str(), value.c_str(), said.data(), said.size()),
              RD_KAFKA_CONF_OK)
        << said.data();
  }
  rd_kafka_t* handle = rd_kafka_new(type, conf, said.data(), said.size());
  EXPECT_NE(handle, nullptr) << said.data();
  return handle;
}

}  // namespace

KafkaBroker::KafkaBroker() {
  Process jars;
  const std::string said = directory_.file("jars");
  EXPECT_TRUE(jars.start(
      {{std::string(WALSPOUT_TEST_SOURCES) + "/../../regress/kafka/jars"}, {}, said, "maven"}));
  EXPECT_TRUE(wait_for(std::chrono::seconds(300), [&] { return !jars.running(); }));
  jars_ = first_line(read_file(said));
  make_certificate({.cert_file = directory_.file("cert"), .key_file = directory_.file("key")});
  write_file(directory_.file("store"),
             read_file(directory_.file("key")) + read_file(directory_.file("cert")));
  const std::string login = " required user_" + std::string(kAdmin) + "=\"" + kPassword +
                            "\" user_" + kGuest + "=\"" + kPassword + "\";";
  const std::string package = "org.apache.kafka.common.security.";
  const std::string listeners =
      "PLAINTEXT://" + address() + ",TLS://127.0.0.1:" + std::to_string(tls_port_) +
      ",MUTUAL://127.0.0.1:" + std::to_string(mutual_port_) + ",SASL://" + sasl();
  const std::string advertised = "PLAINTEXT://" + address() + ",TLS://" + tls() + ",MUTUAL://" +
                                 mutual() + ",SASL://" + sasl();
  write_file(
      directory_.file("server.properties"),
      "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@" +
          at(controller_port_) + "\nlisteners=" + listeners + ",CONTROLLER://" +
          at(controller_port_) + "\nadvertised.listeners=" + advertised +
          "\ncontroller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n"
          "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,"
          "MUTUAL:SSL,SASL:SASL_PLAINTEXT\nlog.dirs=" +
          directory_.file("data") +
          "\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n"
          "transaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=4\n"
          "transaction.abort.timed.out.transaction.cleanup.interval.ms=500\n"
          "share.coordinator.state.topic.replication.factor=1\n"
          "auto.create.topics.enable=true\nnum.partitions=3\n"
          "ssl.keystore.type=PEM\nssl.keystore.location=" +
          directory_.file("store") +
          "\nssl.truststore.type=PEM\nssl.truststore.location=" + directory_.file("cert") +
          "\nlistener.name.mutual.ssl.client.auth=required\n"
          "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
          "super.users=User:ANONYMOUS;User:CN=localhost;User:" +
          kAdmin +
          "\nlistener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,"
          "SCRAM-SHA-512,OAUTHBEARER\n"
          "listener.name.sasl.plain.sasl.jaas.config=" +
          package + "plain.PlainLoginModule" + login +
          "\nlistener.name.sasl.scram-sha-256.sasl.jaas.config=" + package +
          "scram.ScramLoginModule required;\n"
          "listener.name.sasl.scram-sha-512.sasl.jaas.config=" +
          package +
          "scram.ScramLoginModule required;\n"
          "listener.name.sasl.oauthbearer.sasl.jaas.config=" +
          package +
          "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"admin\";\n");
  if (!testing::Test::HasFailure()) format();
}

std::vector<std::string> KafkaBroker::java(std::vector<std::string> words) const {
  std::vector<std::string> argv = {"java",
                                   "-Xms64m",
                                   "-Xmx768m",
                                   "-XX:TieredStopAtLevel=1",
                                   "-XX:+UseSerialGC",
                                   "-Djava.io.tmpdir=" + directory_.path(),
                                   "-cp",
                                   jars_ + "/*"};
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

void KafkaBroker::format() {
  const std::string scram = std::string("=[name=") + kAdmin + ",password=" + kPassword + "]";
  Process process;
  ASSERT_TRUE(
      process.start({java({"kafka.tools.StorageTool", "format", "-t", "bmljZS1xdWlldC1jbHVzdA",
                           "-c", directory_.file("server.properties"), "--add-scram",
                           "SCRAM-SHA-256" + scram, "--add-scram", "SCRAM-SHA-512" + scram}),
                     {},
                     directory_.file("format.log"),
                     "default-jre-headless"}));
  ASSERT_TRUE(wait_for(std::chrono::seconds(120), [&] { return !process.running(); }));
}

void KafkaBroker::start() {
  ASSERT_TRUE(jars_.starts_with('/')) << jars_;
  ASSERT_TRUE(process_.start({java({"kafka.Kafka", directory_.file("server.properties")}),
                              {},
                              directory_.file("output"),
                              "default-jre-headless"}));
  const bool up = wait_for(std::chrono::seconds(120), [this] {
    return !process_.running() ||
           (accepts(port_) && accepts(tls_port_) && accepts(mutual_port_) && accepts(sasl_port_));
  });
  ASSERT_TRUE(up && process_.running())
      << read_file(directory_.file("format.log")) << read_file(directory_.file("output"));
}

void KafkaBroker::freeze() {
  process_.freeze();
}

KafkaClient::KafkaClient()
    : handle_(make_handle(RD_KAFKA_PRODUCER, {})), queue_(rd_kafka_queue_new(handle_)) {}

KafkaClient::~KafkaClient() {
  rd_kafka_queue_destroy(queue_);
  rd_kafka_destroy(handle_);
}

void KafkaClient::create(const std::string& topic, int partitions, const Config& config) {
  rd_kafka_NewTopic_t* made = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, nullptr, 0);
  for (const auto& [name, value] : config) {
    rd_kafka_NewTopic_set_config(made, name.c_str(), value.c_str());
  }
  rd_kafka_CreateTopics(handle_, &made, 1, nullptr, queue_);
  rd_kafka_NewTopic_destroy(made);
  const Answer answer = answer_in(queue_);
  ASSERT_NE(answer, nullptr);
  size_t count = 0;
  const auto* topics =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer.get()), &count);
  ASSERT_EQ(count, 1u);
  ASSERT_EQ(rd_kafka_topic_result_error(topics[0]), 0)
      << rd_kafka_topic_result_error_string(topics[0]);
  EXPECT_TRUE(
      wait_for(std::chrono::seconds(30), [&] { return this->partitions(topic) == partitions; }));
}

void KafkaClient::remove(const std::string& topic) {
  rd_kafka_DeleteTopic_t* gone = rd_kafka_DeleteTopic_new(topic.c_str());
  rd_kafka_DeleteTopics(handle_, &gone, 1, nullptr, queue_);
  rd_kafka_DeleteTopic_destroy(gone);
  answer_in(queue_);
  EXPECT_TRUE(wait_for(std::chrono::seconds(30), [&] { return partitions(topic) == 0; }));
}

int KafkaClient::partitions(const std::string& topic) {
  const struct rd_kafka_metadata* metadata = nullptr;
  EXPECT_EQ(rd_kafka_metadata(handle_, 1, nullptr, &metadata, kPatience), 0);
  int count = 0;
  for (int i = 0; metadata != nullptr && i < metadata->topic_cnt; ++i) {
    if (metadata->topics[i].topic == topic) count = metadata->topics[i].partition_cnt;
  }
  if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
  return count;
}

std::string KafkaClient::config(const std::string& topic, const std::string& option) {
  rd_kafka_ConfigResource_t* asked =
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
  rd_kafka_DescribeConfigs(handle_, &asked, 1, nullptr, queue_);
  rd_kafka_ConfigResource_destroy(asked);
  const Answer answer = answer_in(queue_);
  size_t count = 0;
  const auto* resources = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(answer.get()), &count);
  size_t entries = 0;
  const auto* all = rd_kafka_ConfigResource_configs(resources[0], &entries);
  for (size_t i = 0; i < entries; ++i) {
    if (rd_kafka_ConfigEntry_name(all[i]) == option) return rd_kafka_ConfigEntry_value(all[i]);
  }
  return "";
}

void KafkaClient::allow(rd_kafka_ResourceType_t kind, const std::string& name,
                        rd_kafka_AclOperation_t operation) {
  const std::string who = std::string("User:") + KafkaBroker::kGuest;
  rd_kafka_AclBinding_t* acl =
      rd_kafka_AclBinding_new(kind, name.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, who.c_str(),
                              "*", operation, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, nullptr, 0);
  ASSERT_NE(acl, nullptr);
  rd_kafka_CreateAcls(handle_, &acl, 1, nullptr, queue_);
  rd_kafka_AclBinding_destroy(acl);
  answer_in(queue_);
}

int KafkaClient::place(const std::string& key, int partitions) {
  return rd_kafka_msg_partitioner_murmur2(nullptr, key.data(), key.size(), partitions, nullptr,
                                          nullptr);
}

std::vector<KafkaMessage> KafkaClient::messages(const std::string& topic,
                                                const std::string& isolation) {
  std::vector<KafkaMessage> found;
  const int count = partitions(topic);
  rd_kafka_t* consumer = make_handle(RD_KAFKA_CONSUMER, {{"group.id", "test"},
                                                         {"isolation.level", isolation},
                                                         {"enable.auto.commit", "false"},
                                                         {"enable.partition.eof", "true"},
                                                         {"auto.offset.reset", "earliest"}});
  for (int partition = 0; partition < count; ++partition) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    for (bool over = false; !over;) {
      rd_kafka_message_t* got = rd_kafka_consumer_poll(consumer, kPatience);
      if (got == nullptr) {
        ADD_FAILURE() << "no end of topic " << topic;
        break;
      }
      over = got->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
      if (got->err == 0) {
        KafkaMessage message;
        message.partition = got->partition;
        if (got->key != nullptr) message.key.emplace(static_cast<char*>(got->key), got->key_len);
        if (got->payload != nullptr) {
          message.value.emplace(static_cast<char*>(got->payload), got->len);
        }
        rd_kafka_headers_t* headers = nullptr;
        rd_kafka_message_headers(got, &headers);
        const char* name = nullptr;
        const void* value = nullptr;
        size_t size = 0;
        for (size_t i = 0;
             headers != nullptr && rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0;
             ++i) {
          message.headers[name] = std::string(static_cast<const char*>(value), size);
        }
        found.push_back(std::move(message));
      } else if (!over) {
        EXPECT_EQ(got->err, RD_KAFKA_RESP_ERR__TRANSPORT) << rd_kafka_message_errstr(got);
      }
      rd_kafka_message_destroy(got);
    }
  }
  rd_kafka_destroy(consumer);
  return found;
}

}  // namespace walspout::test
