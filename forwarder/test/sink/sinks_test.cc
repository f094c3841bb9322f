#include "sink/sinks.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

template <typename Options>
std::string type_of(Options options) {
  SinkConfig config;
  config.options = std::move(options);
  const auto made = make_sink(config);
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::string((*made)->type()) : "";
}

TEST(SinksTest, EachConfigurationHasItsSink) {
  EXPECT_EQ(type_of(NullConfig()), "null");
  EXPECT_EQ(type_of(StdoutConfig()), "stdout");
  FileConfig file;
  file.path = "/nonexistent/events";
  EXPECT_EQ(type_of(file), "file");
  RedisConfig redis;
  redis.url = Secret("redis://127.0.0.1");
  EXPECT_EQ(type_of(redis), "redis");
  HttpConfig http;
  http.url = "http://127.0.0.1/";
  EXPECT_EQ(type_of(http), "http");
  RabbitmqConfig rabbitmq;
  rabbitmq.url = Secret("amqp://127.0.0.1");
  EXPECT_EQ(type_of(rabbitmq), "rabbitmq");
}

TEST(SinksTest, TemplatesLearnWhereEventsComeFrom) {
  SinkConfig config;
  for (int i = 0; i < 2; ++i) {
    if (i == 0) config.options = RedisConfig();
    if (i == 1) config.options = RabbitmqConfig();
    config.name_origin({"orders", "shop"});
    const Route& route = i == 0 ? std::get<RedisConfig>(config.options).stream
                                : std::get<RabbitmqConfig>(config.options).routing_key;
    EXPECT_EQ(route.origin.pipeline, "orders");
    EXPECT_EQ(route.origin.database, "shop");
  }
  config.options = NullConfig();
  config.name_origin({"orders", "shop"});
}

TEST(SinksTest, ConfigurationsThatAreWrongAreFatal) {
  SinkConfig config;
  config.options = RedisConfig();
  EXPECT_EQ(make_sink(config).error().kind, ErrorKind::kFatal);
  config.options = HttpConfig();
  EXPECT_EQ(make_sink(config).error().kind, ErrorKind::kFatal);
  config.options = RabbitmqConfig();
  EXPECT_EQ(make_sink(config).error().kind, ErrorKind::kFatal);
}

}  // namespace
}  // namespace walspout
