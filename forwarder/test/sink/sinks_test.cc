#include "sink/sinks.h"

#include <gtest/gtest.h>

#include "sink/exec/config.h"
#include "sink/file/config.h"
#include "sink/http/config.h"
#include "sink/kafka/config.h"
#include "sink/nats/config.h"
#include "sink/postgres/config.h"
#include "sink/rabbitmq/config.h"
#include "sink/redis/config.h"

namespace walspout {
namespace {

template <typename Options>
SinkConfig with(const std::string& type, Options options) {
  SinkConfig config = sink_config(type);
  config.options = std::move(options);
  return config;
}

TEST(SinksTest, EachTypeMakesItsSink) {
  std::map<std::string, SinkConfig> configs;
  for (const SinkType& type : sink_types()) configs[type.name] = sink_config(type.name);
  configs["file"] = with("file", FileConfig{"/nonexistent/events"});
  RedisConfig redis;
  redis.url = Secret("redis://127.0.0.1");
  configs["redis"] = with("redis", redis);
  HttpConfig http;
  http.url = "http://127.0.0.1/";
  configs["http"] = with("http", http);
  RabbitmqConfig rabbitmq;
  rabbitmq.url = Secret("amqp://127.0.0.1");
  configs["rabbitmq"] = with("rabbitmq", rabbitmq);
  ExecConfig exec;
  exec.command = {"/nonexistent/program"};
  configs["exec"] = with("exec", exec);
  NatsConfig nats;
  nats.servers = {Secret("nats://127.0.0.1")};
  configs["nats"] = with("nats", nats);
  KafkaConfig kafka;
  kafka.brokers = {"127.0.0.1:1"};
  configs["kafka"] = with("kafka", kafka);
  PostgresConfig postgres;
  postgres.dsn = Secret("host=127.0.0.1 dbname=d");
  configs["postgres"] = with("postgres", postgres);
  EXPECT_EQ(configs.size(), 10u);
  for (const auto& [name, config] : configs) {
    EXPECT_EQ(config.name, name);
    const auto made = make_sink(config);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ((*made)->type(), name);
  }
  EXPECT_EQ(sink_config("nonsense").type, nullptr);
}

TEST(SinksTest, KeysHaveNamesHelpAndNoTwins) {
  for (const SinkType& type : sink_types()) {
    EXPECT_FALSE(type.help.empty());
    EXPECT_FALSE(type.capabilities.becomes.empty()) << type.name;
    EXPECT_FALSE(type.capabilities.delivered.empty()) << type.name;
    EXPECT_FALSE(type.capabilities.repeated.empty()) << type.name;
    std::set<std::string> names{"type", "name", "deliver_timeout"};
    for (const Key& key : type.keys.keys) {
      EXPECT_TRUE(names.insert(key.name).second) << type.name << "." << key.name;
      EXPECT_FALSE(key.help.empty()) << type.name << "." << key.name;
    }
  }
}

TEST(SinksTest, TemplatesCanBeReached) {
  SinkConfig redis = sink_config("redis");
  route_of(redis)->origin = {"orders", "shop"};
  EXPECT_EQ(std::any_cast<RedisConfig&>(redis.options).stream.origin.pipeline, "orders");
  SinkConfig rabbitmq = sink_config("rabbitmq");
  route_of(rabbitmq)->origin = {"orders", "shop"};
  EXPECT_EQ(std::any_cast<RabbitmqConfig&>(rabbitmq.options).routing_key.origin.database, "shop");
  SinkConfig nats = sink_config("nats");
  route_of(nats)->origin = {"orders", "shop"};
  EXPECT_EQ(std::any_cast<NatsConfig&>(nats.options).subject.origin.database, "shop");
  SinkConfig null = sink_config("null");
  EXPECT_EQ(route_of(null), nullptr);
}

TEST(SinksTest, SecretsInSectionsAreFound) {
  SinkConfig kafka = sink_config("kafka");
  auto& config = std::any_cast<KafkaConfig&>(kafka.options);
  EXPECT_TRUE(secrets_of(kafka).empty());
  config.sasl.emplace();
  config.librdkafka = {{"ssl.key.password", Secret("x")}};
  EXPECT_EQ(secrets_of(kafka), (std::vector<Secret*>{&config.sasl->password, &config.sasl->token,
                                                     &config.librdkafka[0].second}));
}

TEST(SinksTest, ConfigurationsThatAreWrongAreFatal) {
  for (const char* type : {"redis", "http", "rabbitmq", "kafka", "nats", "exec", "postgres"}) {
    EXPECT_EQ(make_sink(sink_config(type)).error().kind, ErrorKind::kFatal) << type;
  }
}

}  // namespace
}  // namespace walspout
