#include "sink/kafka/kafka.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "sink/sinks.h"
#include "test/sink/contract.h"
#include "test/sink/kafka/kafka_broker.h"
#include "test/sink/names.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

std::string unique(const std::string& prefix) {
  static int count = 0;
  return prefix + "-" + std::to_string(++count);
}

std::unique_ptr<Sink> sink_for(const KafkaConfig& config) {
  auto made = KafkaSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::move(*made) : nullptr;
}

std::vector<std::string> values_in(const std::string& topic) {
  std::vector<std::string> values;
  for (KafkaMessage& message : KafkaClient().messages(topic)) {
    values.push_back(std::move(message.value).value_or("null"));
  }
  return values;
}

class KafkaHarness final : public Harness {
 public:
  KafkaHarness() {
    KafkaBroker::get();
    if (testing::Test::HasFatalFailure()) return;
    KafkaClient().create(name_, 1, {{"max.message.bytes", "50000000"}});
  }

  std::unique_ptr<Sink> make_sink() override {
    KafkaConfig config;
    config.brokers = {KafkaBroker::get().address()};
    config.topic.fallback = name_;
    config.connect_timeout = Milliseconds(5'000);
    return sink_for(config);
  }
  std::vector<std::string> received() override { return values_in(name_); }
  void start_server() override { KafkaBroker::get(); }
  void stop_server() override { KafkaBroker::get().stop(); }
  void freeze_server() override { KafkaBroker::get().freeze(); }
  void thaw_server() override { KafkaBroker::get().thaw(); }

 private:
  const std::string name_ = unique("contract");
};

std::unique_ptr<Harness> make_kafka_harness() {
  return std::make_unique<KafkaHarness>();
}

INSTANTIATE_TEST_SUITE_P(Kafka, SinkContract, testing::Values(&make_kafka_harness));

class KafkaSinkTest : public testing::Test {
 protected:
  KafkaSinkTest() {
    config_.brokers = {KafkaBroker::get().address()};
    config_.topic.fallback = topic_;
    config_.connect_timeout = Milliseconds(20'000);
    for (int i = 0; i < 10; ++i) events_.add(i);
  }

  DeliveryError failure(Sink& sink, std::span<const Event> events, double seconds = 30) {
    progress_ = Progress(events.size());
    const auto delivery = sink.deliver(events, in_seconds(seconds), progress_);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  DeliveryError failure(Sink& sink) { return failure(sink, events_.span()); }

  // The error of a configuration that the sink rejects.
  std::string refused() {
    const auto made = KafkaSink::create(config_);
    if (made) return "taken";
    EXPECT_EQ(made.error().kind, ErrorKind::kFatal);
    EXPECT_EQ(made.error().scope(), Scope::kConfiguration);
    return made.error().what;
  }

  // As `user`, on the listener that requires a user.
  void log_in(const std::string& user) {
    config_.brokers = {KafkaBroker::get().sasl()};
    config_.sasl.emplace();
    config_.sasl->user = user;
    config_.sasl->password = Secret(KafkaBroker::kPassword);
  }

  const std::string topic_ = unique("sink");
  KafkaClient client_;
  KafkaConfig config_;
  Events events_;
  Progress progress_{0};
};

TEST_F(KafkaSinkTest, MessagesCarryTheEvents) {
  SHOWS("kafka.brokers");
  client_.create(topic_, 4);
  Events events;
  for (int i = 0; i < 20; ++i) events.add(i % 5);
  Event barrier = events.span()[0];
  barrier.index = 20;
  barrier.op = 't';
  barrier.key_span = {};
  barrier.set_row({}, {});
  barrier.barrier = true;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  Events last;
  last.add(barrier, "{\"truncated\":1}");
  ASSERT_TRUE(deliver_all(*sink_for(config_), last.span()));
  std::map<int, std::vector<std::string>> of_key;
  for (const KafkaMessage& message : client_.messages(topic_)) {
    EXPECT_EQ(message.headers.at("schema"), "public");
    EXPECT_EQ(message.headers.at("table"), "orders");
    EXPECT_EQ(message.headers.at("ts"), "1700000000123456");
    EXPECT_EQ(std::stoull(message.headers.at("hash"), nullptr, 16),
              message.key ? events.span()[std::stoul(message.key->substr(6))].key_hash
                          : barrier.key_hash);
    if (!message.key) {
      EXPECT_EQ(message.headers.at("op"), "t");
      EXPECT_EQ(message.headers.at("barrier"), "1");
      EXPECT_FALSE(message.headers.contains("spans"));
      EXPECT_EQ(message.headers.at("id"), "1000-20");
      EXPECT_EQ(message.partition, KafkaClient::place("public.orders", 4));
      continue;
    }
    EXPECT_EQ(message.headers.at("op"), "c");
    EXPECT_FALSE(message.headers.contains("barrier"));
    EXPECT_EQ(message.partition, KafkaClient::place(*message.key, 4));
    unsigned begin = 0;
    unsigned size = 0;
    ASSERT_EQ(sscanf(message.headers.at("spans").c_str(), "key:%u+%u", &begin, &size), 2);
    EXPECT_EQ(message.value->substr(begin, size), *message.key);
    EXPECT_THAT(*message.value, HasSubstr("\"id\":\"" + message.headers.at("id") + "\""));
    of_key[std::stoi(message.key->substr(6))].push_back(*message.value);
  }
  ASSERT_EQ(of_key.size(), 5u);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(of_key[static_cast<int>(i % 5)].at(i / 5), events.documents()[i]);
  }
}

TEST_F(KafkaSinkTest, LogicalMessagesHaveNoTable) {
  client_.create(topic_);
  Event event;
  event.lsn = Lsn{5};
  event.op = 'm';
  event.key_hash = 0xab;
  event.set_prefix("outbox");
  Events events;
  events.add(event, "{\"m\":1}");
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  const auto messages = client_.messages(topic_);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].key, std::nullopt);
  const std::map<std::string, std::string> headers = {
      {"id", "5-0"}, {"op", "m"}, {"prefix", "outbox"}, {"hash", "00000000000000ab"}};
  EXPECT_EQ(messages[0].headers, headers);
}

TEST_F(KafkaSinkTest, TablesHaveTopics) {
  SHOWS("kafka.topic");
  SHOWS("kafka.unmapped");
  config_.topic = Route{{{"public.orders", topic_ + ".{table}.{op}"}}, {}, Unmapped::kDrop, {}};
  client_.create(topic_ + ".orders.c");
  static const Table other{"public", "other"};
  Event event = events_.span()[0];
  event.table = &other;
  event.index = 10;
  events_.add(event, "{}");
  auto sink = sink_for(config_);
  Progress progress(events_.size());
  ASSERT_TRUE(sink->deliver(events_.span(), in_seconds(30), progress));
  EXPECT_EQ(progress.dropped_count(), 1u);
  EXPECT_EQ(values_in(topic_ + ".orders.c").size(), 10u);
}

TEST_F(KafkaSinkTest, SchemasHaveATopicOfTheirOwn) {
  SHOWS("kafka.schemas_to");
  config_.topic.schemas = topic_ + ".schemas";
  client_.create(topic_);
  client_.create(topic_ + ".schemas");
  Events events;
  events.add_schema(0xab);
  events.add(1);
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  EXPECT_EQ(values_in(topic_).size(), 1u);
  const auto schemas = client_.messages(topic_ + ".schemas");
  ASSERT_EQ(schemas.size(), 1u);
  EXPECT_EQ(schemas[0].headers.at("id"), "1000-s00000000000000ab");
  EXPECT_EQ(schemas[0].headers.at("op"), "s");
  EXPECT_EQ(schemas[0].headers.at("hash"), "00000000000000ab");
}

TEST_F(KafkaSinkTest, TombstonesFollowDeletes) {
  SHOWS("kafka.tombstones");
  client_.create(topic_);
  config_.tombstones = true;
  Event gone = events_.span()[9];
  gone.index = 10;
  gone.op = 'd';
  events_.add(gone, events_.documents()[9]);
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  auto messages = client_.messages(topic_);
  ASSERT_EQ(messages.size(), 12u);
  EXPECT_EQ(messages[10].value, events_.documents()[9]);
  EXPECT_EQ(messages[11].value, std::nullopt);
  EXPECT_EQ(messages[11].key, "{\"id\":9}");
  EXPECT_EQ(messages[11].headers.at("id"), "1000-10");
}

// An update that changed the key: `before` as in the WAL.
Event update(Events& events, const std::string& before, const std::string& key) {
  Event event;
  event.lsn = Lsn{2000};
  event.index = events.size();
  event.table = &Events::table();
  event.op = 'u';
  event.barrier = true;
  std::string document = "{\"key\":";
  const auto put = [&](const std::string& object) {
    const Span span{static_cast<uint32_t>(document.size()), static_cast<uint32_t>(object.size())};
    document += object;
    return span;
  };
  event.key_span = put(key);
  document += ",\"before\":";
  const Span old = put(before);
  document += ",\"after\":";
  event.set_row(old, put("{\"all\":[\"new\"]}"));
  events.add(event, document + "}");
  return events.span().back();
}

TEST_F(KafkaSinkTest, AKeyThatChangesIsDeleted) {
  client_.create(topic_, 3);
  config_.tombstones = true;
  Events events;
  update(events, R"({"id":1})", R"({"id":2})");
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  auto messages = client_.messages(topic_);
  ASSERT_EQ(messages.size(), 2u);
  const size_t old = messages[0].value ? 1 : 0;
  EXPECT_EQ(messages[old].key, R"({"id":1})");
  EXPECT_EQ(messages[old].value, std::nullopt);
  EXPECT_EQ(messages[old].partition, KafkaClient::place(R"({"id":1})", 3));
  EXPECT_EQ(messages[1 - old].key, R"({"id":2})");
  EXPECT_EQ(messages[1 - old].value, events.documents()[0]);
}

TEST_F(KafkaSinkTest, OldKeysAreFoundInOldRows) {
  Events events;
  EXPECT_EQ(kafka_old_key(update(events, R"({"id":1})", R"({"id":2})")), R"({"id":1})");
  EXPECT_EQ(kafka_old_key(update(events, R"({"id":2})", R"({"id":2})")), "");
  EXPECT_EQ(kafka_old_key(update(events, R"({"x":"a\"}","id":[1,{"b":"],}"}],"b":null,"c":"\\"})",
                                 R"({"c":"","id":2})")),
            R"({"c":"\\","id":[1,{"b":"],}"}]})");
  EXPECT_EQ(kafka_old_key(update(events, R"({"b":1})", R"({"id":2,"b":1})")), "");
  EXPECT_EQ(kafka_old_key(update(events, "", R"({"id":2})")), "");
  EXPECT_EQ(kafka_old_key(events_.span()[0]), "");
}

TEST_F(KafkaSinkTest, ValuesAreRowsByChoice) {
  SHOWS("kafka.value");
  client_.create(topic_);
  config_.rows = true;
  Events events;
  events.add(1);
  update(events, R"({"id":1})", R"({"id":2})");
  Event gone = events.span()[0];
  gone.index = 7;
  gone.op = 'd';
  gone.set_row({}, {});
  events.add(gone, events.documents()[0]);
  gone.op = 't';
  gone.index = 8;
  gone.key_span = {};
  events.add(gone, R"({"op":"t"})");
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  std::vector<std::pair<std::string, std::string>> found;
  for (const KafkaMessage& message : client_.messages(topic_)) {
    found.emplace_back(message.key.value_or("-"), message.value.value_or("null"));
    EXPECT_EQ(message.headers.contains("spans"), false);
  }
  const std::string document = events.documents()[0];
  const std::string row = document.substr(document.find("\"after\":") + 8);
  const decltype(found) expected = {{R"({"id":1})", row.substr(0, row.size() - 1)},
                                    {R"({"id":1})", "null"},
                                    {R"({"id":2})", R"({"all":["new"]})"},
                                    {R"({"id":1})", "null"},
                                    {"-", R"({"op":"t"})"}};
  EXPECT_EQ(found, expected);
}

TEST_F(KafkaSinkTest, ATopicThatIsMissingIsForAnOperatorToMake) {
  auto sink = sink_for(config_);
  for (int i = 0; i < 2; ++i) {
    const DeliveryError error = failure(*sink);
    EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
    EXPECT_EQ(error.error.scope(), Scope::kConfiguration);
    EXPECT_THAT(error.error.what,
                HasSubstr("kafka-topics.sh --bootstrap-server " + KafkaBroker::get().address() +
                          " --create --topic " + topic_));
  }
  const auto checked = sink->check({}, in_seconds(30));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  // Although this broker creates each topic that a client asks for.
  EXPECT_EQ(client_.partitions(topic_), 0);
  client_.create(topic_);
  EXPECT_TRUE(sink->check({}, in_seconds(30)));
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST_F(KafkaSinkTest, TopicsAreMadeAsConfigured) {
  SHOWS("kafka.create_topics.partitions");
  SHOWS("kafka.create_topics.replication_factor");
  SHOWS("kafka.create_topics.config");
  config_.create_topics.emplace();
  config_.create_topics->partitions = 2;
  config_.create_topics->replication_factor = 1;
  config_.create_topics->config = {{"retention.ms", Secret("4321000")}};
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(client_.partitions(topic_), 2);
  EXPECT_EQ(client_.config(topic_, "retention.ms"), "4321000");
  EXPECT_EQ(values_in(topic_).size(), 10u);
  // The broker's defaults.
  config_.create_topics.emplace();
  config_.topic.fallback = topic_ + "-default";
  ASSERT_TRUE(sink_for(config_)->check({}, in_seconds(30)));
  EXPECT_EQ(client_.partitions(topic_ + "-default"), 3);
  config_.topic.fallback = topic_ + "-none";
  config_.create_topics->replication_factor = 3;
  const DeliveryError replicas = failure(*sink_for(config_));
  EXPECT_EQ(replicas.error.kind, ErrorKind::kFatal) << replicas.error.what;
  EXPECT_THAT(replicas.error.what, HasSubstr("replication_factor"));
  config_.create_topics->replication_factor = 1;
  config_.create_topics->config = {{"retention.mss", Secret("1")}};
  const DeliveryError option = failure(*sink_for(config_));
  EXPECT_EQ(option.error.kind, ErrorKind::kFatal) << option.error.what;
  EXPECT_THAT(option.error.what, HasSubstr("retention.mss"));
}

TEST_F(KafkaSinkTest, ATopicThatIsRemovedIsMadeAgain) {
  config_.create_topics.emplace();
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  client_.remove(topic_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(5), 60));
  EXPECT_EQ(values_in(topic_).size(), 5u);
}

// The library notices that itself, and then takes no message for the topic.
TEST_F(KafkaSinkTest, ATopicThatTheLibraryMissesIsMadeAgain) {
  config_.create_topics.emplace();
  config_.librdkafka = {{"topic.metadata.refresh.interval.ms", Secret("50")}};
  SourceState source{};
  source.identity = "1 removed app";
  for (const bool once : {false, true}) {
    config_.exactly_once = once;
    auto sink = sink_for(config_);
    ASSERT_TRUE(sink->check(source, in_seconds(60)));
    ASSERT_TRUE(deliver_all(*sink, events_.span().first(5), 60));
    client_.remove(topic_);
    std::this_thread::sleep_for(Milliseconds(3'000));
    ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(5), 60));
    EXPECT_EQ(values_in(topic_).size(), 5u);
  }
}

TEST_F(KafkaSinkTest, NoTopicHasSuchAName) {
  for (const std::string name : {"gr\xc3\xb6\xc3\x9f"
                                 "e",
                                 "a b", "..", "a/b"}) {
    config_.topic.fallback = name;
    const DeliveryError error = failure(*sink_for(config_));
    EXPECT_EQ(error.error.kind, ErrorKind::kReject);
    EXPECT_THAT(error.error.what, HasSubstr("\"" + name + "\""));
  }
}

// Kafka's metrics do not tell dots and underscores apart.
TEST_F(KafkaSinkTest, NoTopicIsMadeWhoseNameCollides) {
  client_.create(topic_ + ".a.b");
  config_.create_topics = KafkaTopics{};
  config_.topic.fallback = topic_ + ".a_b";
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_THAT(error.error.what,
              AllOf(HasSubstr("collides"), HasSubstr("give the table an entry of its own")));
}

TEST_F(KafkaSinkTest, TooLargeAnEventIsRejectedAndNoOther) {
  client_.create(topic_, 1, {{"max.message.bytes", "20000"}});
  config_.compression = "none";
  Events events;
  for (int i = 0; i < 20; ++i) events.add(i, 3000);
  events.add(20, 30'000);
  for (int i = 21; i < 40; ++i) events.add(i, 3000);
  auto sink = sink_for(config_);
  std::vector<Event> left(events.span().begin(), events.span().end());
  size_t at_once = left.size();
  std::vector<std::string> rejected;
  const TimePoint end = in_seconds(60);
  while (!left.empty() && Clock::now() < end) {  // as the pipeline does
    at_once = std::min(at_once, left.size());
    Progress progress(at_once);
    const auto delivery = sink->deliver(std::span(left).first(at_once), in_seconds(20), progress);
    if (!delivery) {
      const DeliveryError& error = delivery.error();
      ASSERT_EQ(error.error.kind, ErrorKind::kReject) << error.error.message();
      if (error.error.scope() == Scope::kBatch) {
        at_once = std::max<size_t>(1, at_once / 2);
      } else {
        rejected.emplace_back(EventId(left[error.event]).view());
        EXPECT_THAT(error.error.what, HasSubstr("max.message.bytes"));
        progress.durable(error.event);
      }
    }
    std::vector<Event> rest;
    for (size_t i = 0; i < left.size(); ++i) {
      if (i >= at_once || !progress.is_done(i)) rest.push_back(left[i]);
    }
    left = std::move(rest);
  }
  EXPECT_TRUE(left.empty());
  EXPECT_EQ(rejected, std::vector<std::string>{"1000-20"});
  std::set<std::string> values;
  for (const std::string& value : values_in(topic_)) values.insert(value);
  EXPECT_EQ(values.size(), 39u);
}

// Otherwise the caller would deliver half of one event, again and again.
TEST_F(KafkaSinkTest, AnEventOfTwoMessagesThatIsTooLargeIsRejected) {
  client_.create(topic_, 1, {{"max.message.bytes", "20000"}});
  config_.compression = "none";
  config_.tombstones = true;
  config_.linger = Milliseconds(300);  // both messages are in one batch
  Events events;
  events.add(0, 30'000);
  Event gone = events.span()[0];
  gone.index = 1;
  gone.op = 'd';
  events.add(gone, events.documents()[0]);
  Progress progress(1);
  const auto delivery = sink_for(config_)->deliver(events.span().last(1), in_seconds(20), progress);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kReject);
  EXPECT_EQ(delivery.error().error.scope(), Scope::kEvent);
}

TEST_F(KafkaSinkTest, ACheckWarnsOfLimitsBelowTheSource) {
  client_.create(topic_, 1, {{"max.message.bytes", "20000"}});
  auto sink = sink_for(config_);
  const auto warned = [&](uint64_t max_value_bytes) {
    EXPECT_TRUE(sink->check({{}, false, "", max_value_bytes}, in_seconds(30)));
    return sink->warnings();
  };
  EXPECT_THAT(warned(0), testing::ElementsAre(HasSubstr("leaves no value out")));
  EXPECT_THAT(warned(19'000), testing::ElementsAre(HasSubstr("topic \"" + topic_ + "\"")));
  EXPECT_THAT(warned(19'000), testing::ElementsAre(HasSubstr("20000 bytes at most")));
  EXPECT_THAT(warned(10'000), testing::IsEmpty());
  // If events choose the topic, the broker's own limit of 1 MiB counts.
  config_.topic.fallback = topic_ + ".{table}";
  sink = sink_for(config_);
  EXPECT_THAT(warned(2'000'000), testing::ElementsAre(HasSubstr("the broker takes")));
  EXPECT_THAT(warned(500'000), testing::IsEmpty());
}

TEST_F(KafkaSinkTest, PermissionsThatAreMissingAreNamed) {
  client_.create(topic_);
  log_in(KafkaBroker::kGuest);
  auto sink = sink_for(config_);
  DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal) << error.error.what;
  EXPECT_EQ(error.error.scope(), Scope::kConfiguration);
  EXPECT_THAT(error.error.what, HasSubstr("kafka-acls.sh --bootstrap-server BROKER --add"));
  client_.allow(RD_KAFKA_RESOURCE_TOPIC, topic_, RD_KAFKA_ACL_OPERATION_DESCRIBE);
  EXPECT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    error = failure(*sink);
    return error.error.what.find("IdempotentWrite") != std::string::npos;
  })) << error.error.what;
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_EQ(progress_.durable_count(), 0u);
  client_.allow(RD_KAFKA_RESOURCE_BROKER, "kafka-cluster", RD_KAFKA_ACL_OPERATION_IDEMPOTENT_WRITE);
  EXPECT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    error = failure(*sink);
    return error.error.what.find("--topic '" + topic_ + "'") != std::string::npos;
  })) << error.error.what;
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  client_.allow(RD_KAFKA_RESOURCE_TOPIC, topic_, RD_KAFKA_ACL_OPERATION_WRITE);
  EXPECT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    Progress progress(events_.size());
    return sink->deliver(events_.span(), in_seconds(20), progress).has_value();
  }));
  EXPECT_EQ(values_in(topic_).size(), 10u);
}

TEST_F(KafkaSinkTest, LogsIn) {
  SHOWS("kafka.sasl.mechanism");
  SHOWS("kafka.sasl.user");
  SHOWS("kafka.sasl.password");
  client_.create(topic_);
  log_in(KafkaBroker::kAdmin);
  for (const auto mechanism : {KafkaSasl::Mechanism::kPlain, KafkaSasl::Mechanism::kScramSha256,
                               KafkaSasl::Mechanism::kScramSha512}) {
    config_.sasl->mechanism = mechanism;
    config_.sasl->password = Secret(KafkaBroker::kPassword);
    const auto checked = sink_for(config_)->check({}, in_seconds(30));
    // The library of Debian 12 cannot do that with this broker, and the error blames the library.
    const bool can = mechanism == KafkaSasl::Mechanism::kPlain || rd_kafka_version() >= 0x020601ff;
    EXPECT_EQ(checked.has_value(), can) << (checked ? "" : checked.error().message());
    if (!can) {
      EXPECT_THAT(checked.error().message(), HasSubstr("librdkafka before 2.6.1"));
    }
    config_.sasl->password = Secret("wrong-secret");
    const auto wrong = sink_for(config_)->check({}, in_seconds(30));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().kind, ErrorKind::kFatal) << wrong.error().message();
    EXPECT_THAT(wrong.error().message(), HasSubstr("password in sasl"));
    EXPECT_THAT(wrong.error().message(), Not(HasSubstr("wrong-secret")));
  }
}

TEST_F(KafkaSinkTest, LogsInWithATokenOfAFile) {
  SHOWS("kafka.sasl.token");
  client_.create(topic_);
  log_in("");
  config_.sasl->mechanism = KafkaSasl::Mechanism::kOauthBearer;
  config_.sasl->password = Secret();
  // A token that is not signed, {"alg":"none"}, as this broker takes: {"sub":"admin","iat":1,
  // "exp":9999999999}.
  TempDir directory;
  write_file(directory.file("token"),
             "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImlhdCI6MSwiZXhwIjo5OTk5OTk5OTk5fQ.\n");
  config_.sasl->token = *Secret::from_file(directory.file("token"));
  const auto checked = sink_for(config_)->check({}, in_seconds(30));
  EXPECT_TRUE(checked) << checked.error().message();
  config_.sasl->token = Secret("no-token-at-all");
  const auto wrong = sink_for(config_)->check({}, in_seconds(10));
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), Not(HasSubstr("no-token-at-all")));
  // The file's content in the meantime.
  config_.sasl->token = *Secret::from_file(directory.file("token"));
  write_file(directory.file("token"), "broken");
  EXPECT_FALSE(sink_for(config_)->check({}, in_seconds(10)));
}

TEST_F(KafkaSinkTest, TrustsAndShowsCertificates) {
  SHOWS("kafka.tls.ca_file");
  SHOWS("kafka.tls.cert_file");
  SHOWS("kafka.tls.key_file");
  SHOWS("kafka.tls.verify");
  client_.create(topic_);
  KafkaBroker& broker = KafkaBroker::get();
  config_.brokers = {broker.tls()};
  config_.tls.emplace();
  config_.tls->ca_file = broker.ca_file();
  auto checked = sink_for(config_)->check({}, in_seconds(30));
  EXPECT_TRUE(checked) << checked.error().message();
  config_.tls->ca_file.clear();
  config_.connect_timeout = Milliseconds(5'000);
  checked = sink_for(config_)->check({}, in_seconds(30));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kRetry);
  EXPECT_THAT(checked.error().message(), HasSubstr("ca_file names the certificate"));
  config_.tls->verify = false;
  config_.connect_timeout = Milliseconds(20'000);
  checked = sink_for(config_)->check({}, in_seconds(30));
  EXPECT_TRUE(checked) << checked.error().message();
  config_.brokers = {broker.mutual()};
  config_.tls->cert_file = broker.cert_file();
  config_.tls->key_file = broker.key_file();
  checked = sink_for(config_)->check({}, in_seconds(30));
  EXPECT_TRUE(checked) << checked.error().message();
  config_.tls->cert_file.clear();
  config_.tls->key_file.clear();
  config_.connect_timeout = Milliseconds(5'000);
  EXPECT_FALSE(sink_for(config_)->check({}, in_seconds(30)));
  config_.tls->ca_file = "/nonexistent/ca";
  checked = sink_for(config_)->check({}, in_seconds(30));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().message(), HasSubstr("ssl.ca.location"));
}

TEST_F(KafkaSinkTest, OptionsOfTheLibraryAreLookedAtFirst) {
  config_.librdkafka = {{"no.such.option", Secret("1")}};
  EXPECT_THAT(refused(), HasSubstr("No such configuration property: \"no.such.option\""));
  config_.librdkafka = {{"socket.timeout.ms", Secret("soon")}};
  EXPECT_THAT(refused(), HasSubstr("\"socket.timeout.ms\": Invalid value"));
  config_.librdkafka = {{"acks", Secret("1")}};
  EXPECT_THAT(refused(), HasSubstr("\"acks\" cannot be set: the sink relies on"));
  config_.librdkafka = {{"bootstrap.servers", Secret("x")}};
  EXPECT_THAT(refused(), HasSubstr("set \"brokers\" of the sink instead"));
  config_.librdkafka = {{"sasl.password", Secret("x")}};
  EXPECT_EQ(refused(), "taken");
  config_.sasl.emplace();
  EXPECT_THAT(refused(), HasSubstr("\"sasl.password\" cannot be set: it belongs to \"sasl\""));
  config_.librdkafka = {{"ssl.ca.location", Secret("x")}};
  config_.tls.emplace();
  EXPECT_THAT(refused(), HasSubstr("it belongs to \"tls\""));
}

TEST_F(KafkaSinkTest, OptionsReachTheLibrary) {
  SHOWS("kafka.librdkafka");
  client_.create(topic_);
  config_.librdkafka = {{"message.max.bytes", Secret("2000")}};
  Events events;
  events.add(1);
  events.add(2, 5000);
  const DeliveryError error = failure(*sink_for(config_), events.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kReject) << error.error.what;
  EXPECT_EQ(error.event, 1u);
  EXPECT_TRUE(progress_.is_done(0));
  config_.librdkafka.clear();
  EXPECT_TRUE(deliver_all(*sink_for(config_), events.span()));
}

TEST_F(KafkaSinkTest, BatchesAreCompressedAsConfigured) {
  SHOWS("kafka.compression");
  Events events;
  events.add(1, 5000);
  for (const char* how : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    config_.compression = how;
    config_.topic.fallback = topic_ + how;
    client_.create(topic_ + how);
    ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
    EXPECT_EQ(values_in(topic_ + how), events.documents());
    const bool plain =
        KafkaBroker::get().log_of(topic_ + how).find(events.documents()[0]) != std::string::npos;
    EXPECT_EQ(plain, how == std::string("none")) << how;
  }
}

TEST_F(KafkaSinkTest, BatchesWaitIfThatIsWanted) {
  SHOWS("kafka.linger");
  client_.create(topic_);
  config_.linger = Milliseconds(1'500);
  auto sink = sink_for(config_);
  ASSERT_TRUE(sink->check({}, in_seconds(30)));
  const TimePoint begin = Clock::now();
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_GE(Clock::now() - begin, Milliseconds(1'400));
}

TEST_F(KafkaSinkTest, AFrozenBrokerIsWaitedForWithTheSameMessages) {
  SHOWS("kafka.unconfirmed");
  client_.create(topic_);
  config_.unconfirmed = 3;
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  KafkaBroker::get().freeze();
  for (int i = 0; i < 3; ++i) {
    const DeliveryError error = failure(*sink, events_.span().subspan(1), 0.3);
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
    EXPECT_THAT(error.error.what, HasSubstr("3 messages stay in flight"));
    EXPECT_THAT(error.error.what, HasSubstr("--under-min-isr-partitions"));
  }
  KafkaBroker::get().thaw();
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1)));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST_F(KafkaSinkTest, ALostStreamEndsTheWait) {
  client_.create(topic_);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  KafkaBroker::get().freeze();
  expect_halt(*sink, events_.span().subspan(1));
  KafkaBroker::get().thaw();
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1)));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

// Its operator must choose another topic: nothing is set aside meanwhile.
TEST_F(KafkaSinkTest, ACompactedTopicTakesNoEventWithoutAKey) {
  client_.create(topic_, 1, {{"cleanup.policy", "compact"}});
  std::vector<Event> keyless(events_.span().begin(), events_.span().end());
  keyless[1].key_span = {};
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, std::span(keyless).first(1)));
  const DeliveryError error = failure(*sink, std::span(keyless).subspan(1, 1));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_EQ(error.error.scope(), Scope::kConfiguration);
  EXPECT_THAT(error.error.what, HasSubstr("primary key"));
}

// Another process may have delivered newer events meanwhile.
TEST_F(KafkaSinkTest, WhatIsLetGoIsNotSentLater) {
  client_.create(topic_);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  KafkaBroker::get().stop();
  failure(*sink, events_.span().subspan(1, 3), 5);
  sink->let_go();
  KafkaBroker::get();
  auto other = sink_for(config_);
  ASSERT_TRUE(deliver_all(*other, events_.span().last(1), 60));
  for (int i = 0; i < 50; ++i) {
    sink->idle();
    std::this_thread::sleep_for(Milliseconds(100));
  }
  EXPECT_THAT(values_in(topic_),
              testing::ElementsAre(events_.documents().front(), events_.documents().back()));
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1, 3), 60));
  EXPECT_EQ(values_in(topic_).size(), 5u);
}

TEST_F(KafkaSinkTest, OtherEventsEndWhatWasUnderWay) {
  client_.create(topic_);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  KafkaBroker::get().freeze();
  failure(*sink, events_.span().subspan(1, 3), 0.3);
  failure(*sink, events_.span().subspan(3, 3), 0.3);
  KafkaBroker::get().thaw();
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(3)));
  const auto values = values_in(topic_);
  for (size_t i = 3; i < events_.size(); ++i) {
    EXPECT_THAT(values, testing::Contains(events_.documents()[i]));
  }
}

// The broker detects repeats, also after a crash. The only duplicates are those of a stuck producer
// that was replaced.
TEST_F(KafkaSinkTest, ABrokerThatDiesLosesNothing) {
  client_.create(topic_);
  auto sink = sink_for(config_);
  Events events;
  for (int i = 0; i < 4000; ++i) events.add(i, 300);
  ASSERT_TRUE(deliver_all(*sink, events.span().first(1)));
  bool done = false;
  std::thread deliverer([&] { done = deliver_all(*sink, events.span().subspan(1), 300); });
  std::this_thread::sleep_for(Milliseconds(10));
  KafkaBroker::get().stop();
  KafkaBroker::get();
  deliverer.join();
  ASSERT_TRUE(done);
  std::set<std::string> seen;
  std::vector<std::string> first_times;
  for (const std::string& value : values_in(topic_)) {
    if (seen.insert(value).second) first_times.push_back(value);
  }
  EXPECT_TRUE(first_times == events.documents());
}

TEST_F(KafkaSinkTest, AnOutageIsSaidBeforeTheDeadline) {
  client_.create(topic_);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  KafkaBroker::get().stop();
  config_.connect_timeout = Milliseconds(2'000);
  const DeliveryError error = failure(*sink, events_.span().subspan(1), 300);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_EQ(error.error.scope(), Scope::kDestination);
  // The library is silent about an error that it reported a short time ago.
  EXPECT_THAT(error.error.what, AnyOf(HasSubstr("Connect"), HasSubstr("Disconnect"),
                                      HasSubstr("no broker answered")));
  KafkaBroker::get();
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1), 60));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST_F(KafkaSinkTest, WhoTakesAConnectionAndSaysNothingIsNotWaitedFor) {
  SHOWS("kafka.connect_timeout");
  Listener silent;
  config_.brokers = {"127.0.0.1:" + std::to_string(silent.port())};
  config_.connect_timeout = Milliseconds(700);
  const TimePoint begin = Clock::now();
  const auto checked = sink_for(config_)->check({}, in_seconds(300));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kRetry);
  EXPECT_GE(Clock::now() - begin, Milliseconds(650));
  EXPECT_LE(Clock::now() - begin, Milliseconds(60'000));
}

TEST(KafkaOpaque, TellsMessagesInFlightApart) {
  for (const uint64_t first : {uint64_t{1}, uint64_t{UINT32_MAX} - 1, uint64_t{1} << 40}) {
    for (uint64_t number = first; number < first + 5; ++number) {
      EXPECT_EQ(kafka_number(kafka_opaque(number, UINT32_MAX), first), number);
    }
  }
}

}  // namespace
}  // namespace walspout::test
