// exactly_once against a broker: what a reader of committed messages sees.

#include "sink/kafka/exactly_once.h"

#include <gmock/gmock.h>

#include <thread>

#include "kafka/ends.h"
#include "kafka/handle.h"
#include "sink/kafka/kafka.h"
#include "test/sink/contract.h"
#include "test/sink/kafka/kafka_broker.h"
#include "test/sink/names.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::HasSubstr;

char kAny[] = "x";  // a value; not const, for the library

std::string unique(const std::string& prefix) {
  static int count = 0;
  return prefix + "-once-" + std::to_string(++count);
}

SourceState source_of(const std::string& slot, Lsn wal = {}) {
  return {wal, false, "7300000000000000001 " + slot + " app"};
}

std::unique_ptr<Sink> sink_for(const KafkaConfig& config, const SourceState& source) {
  auto made = KafkaSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  const auto checked = (*made)->check(source, in_seconds(60));
  EXPECT_TRUE(checked) << checked.error().message();
  return std::move(*made);
}

KafkaConfig config_for(const std::string& topic) {
  KafkaConfig config;
  config.brokers = {KafkaBroker::get().address()};
  config.topic.fallback = topic;
  config.exactly_once = true;
  config.create_topics.emplace();
  config.create_topics->partitions = 1;
  return config;
}

std::vector<std::string> values_in(const std::string& topic) {
  std::vector<std::string> values;
  for (KafkaMessage& message : KafkaClient().messages(topic)) {
    values.push_back(std::move(message.value).value_or("null"));
  }
  return values;
}

class OnceHarness final : public Harness {
 public:
  OnceHarness() {
    KafkaBroker::get();
    if (testing::Test::HasFatalFailure()) return;
    KafkaClient().create(name_, 1, {{"max.message.bytes", "50000000"}});
  }

  std::unique_ptr<Sink> make_sink() override {
    KafkaConfig config = config_for(name_);
    config.connect_timeout = Milliseconds(5'000);
    return sink_for(config, source_of(name_));
  }
  std::vector<std::string> received() override { return values_in(name_); }
  void start_server() override { KafkaBroker::get(); }
  void stop_server() override { KafkaBroker::get().stop(); }
  void freeze_server() override { KafkaBroker::get().freeze(); }
  void thaw_server() override { KafkaBroker::get().thaw(); }

 private:
  const std::string name_ = unique("contract");
};

std::unique_ptr<Harness> make_once_harness() {
  return std::make_unique<OnceHarness>();
}

INSTANTIATE_TEST_SUITE_P(KafkaExactlyOnce, SinkContract, testing::Values(&make_once_harness));

class KafkaOnceTest : public testing::Test {
 protected:
  KafkaOnceTest() : config_(config_for(topic_)), source_(source_of(topic_)) {
    for (int i = 0; i < 10; ++i) events_.add(i);
  }

  std::unique_ptr<Sink> make() { return sink_for(config_, source_); }

  // One call in a term of the slot.
  Delivery deliver(Sink& sink, std::span<const Event> events, uint64_t term = 1,
                   double seconds = 60) {
    progress_ = Progress(events.size(), {}, term);
    return sink.deliver(events, in_seconds(seconds), progress_);
  }
  std::string problem(const Delivery& delivery) {
    if (delivery) return "delivered";
    EXPECT_EQ(delivery.error().error.kind, ErrorKind::kFatal) << delivery.error().error.message();
    EXPECT_EQ(delivery.error().error.scope(), Scope::kConfiguration);
    return delivery.error().error.message();
  }
  // The position that a reader finds for this source; empty: none.
  std::string position() {
    std::string last;
    for (const KafkaMessage& message : client_.messages(config_.positions)) {
      if (message.key == kafka_position_key("kafka", source_.identity)) last = *message.value;
    }
    return last;
  }

  const std::string topic_ = unique("topic");
  KafkaClient client_;
  KafkaConfig config_;
  SourceState source_;
  Events events_;
  Progress progress_{0};
};

TEST_F(KafkaOnceTest, ASourceWhoseIdsDoNotGrowIsRejected) {
  source_.ordered = false;
  auto sink = KafkaSink::create(config_);
  ASSERT_TRUE(sink) << sink.error().message();
  const auto checked = (*sink)->check(source_, in_seconds(60));
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message(), HasSubstr("events are numbered"));
  EXPECT_THAT(problem(deliver(**sink, events_.span())), HasSubstr("events are numbered"));
  EXPECT_TRUE(client_.messages(topic_).empty());
}

TEST_F(KafkaOnceTest, APositionGoesWithTheEvents) {
  SHOWS("kafka.exactly_once");
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span()));
  EXPECT_EQ(progress_.durable_count(), 10u);
  EXPECT_EQ(values_in(topic_), events_.documents());
  EXPECT_EQ(position(), "1000-9 0/3E8 1700000000123456");
  EXPECT_EQ(client_.config(config_.positions, "cleanup.policy"), "compact");
  EXPECT_EQ(client_.partitions(config_.positions), 1);
}

TEST_F(KafkaOnceTest, WhatWasDeliveredIsNotSentAgain) {
  ASSERT_TRUE(deliver(*make(), events_.span().first(6)));
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span().first(3)));
  EXPECT_EQ(progress_.durable_count(), 3u);
  ASSERT_TRUE(deliver(*sink, events_.span()));
  EXPECT_EQ(progress_.durable_count(), 10u);
  ASSERT_TRUE(deliver(*make(), events_.span()));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

// The position after a schema differs from that of the event that the schema precedes.
TEST_F(KafkaOnceTest, AnEventBehindASchemaIsNotPassedOver) {
  Events events;
  events.add(1);
  events.add_schema(0xab);
  events.add(2);
  ASSERT_TRUE(deliver(*make(), events.span().first(2)));
  EXPECT_EQ(position(), "1000-0 0/3E8 1700000000123456");
  ASSERT_TRUE(deliver(*make(), events.span()));
  const auto values = values_in(topic_);
  EXPECT_EQ(std::count(values.begin(), values.end(), events.documents()[2]), 1);
  EXPECT_EQ(std::count(values.begin(), values.end(), events.documents()[0]), 1);
  Events first(2000);
  first.add_schema(0xcd);
  first.add(3);
  ASSERT_TRUE(deliver(*make(), first.span().first(1)));
  ASSERT_TRUE(deliver(*make(), first.span()));
  EXPECT_EQ(values_in(topic_).back(), first.documents()[1]);
}

TEST_F(KafkaOnceTest, AnEventMayBeSeveralMessages) {
  config_.tombstones = true;
  Event gone = events_.span()[9];
  gone.index = 10;
  gone.op = 'd';
  events_.add(gone, events_.documents()[9]);
  ASSERT_TRUE(deliver(*make(), events_.span()));
  ASSERT_TRUE(deliver(*make(), events_.span()));
  EXPECT_EQ(values_in(topic_).size(), 12u);
}

TEST_F(KafkaOnceTest, OtherSourcesAndOtherSinksHaveOtherPositions) {
  ASSERT_TRUE(deliver(*make(), events_.span()));
  source_.identity = "7300000000000000002 " + topic_ + " app";
  ASSERT_TRUE(deliver(*make(), events_.span()));
  EXPECT_EQ(values_in(topic_).size(), 20u);
  config_.sink = "archive";
  ASSERT_TRUE(deliver(*make(), events_.span()));
  EXPECT_EQ(values_in(topic_).size(), 30u);
}

TEST_F(KafkaOnceTest, AProducerThatIsFencedWritesNothingUntilItTakesOver) {
  auto old = make();
  ASSERT_TRUE(deliver(*old, events_.span().first(3)));
  auto standby = make();
  ASSERT_TRUE(deliver(*standby, events_.span().subspan(3, 2)));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(problem(deliver(*old, events_.span().subspan(3))), HasSubstr("has taken over"));
    EXPECT_EQ(progress_.durable_count(), 0u);
    old->idle();
  }
  ASSERT_TRUE(deliver(*standby, events_.span().subspan(5, 2))) << "it is left alone";
  EXPECT_EQ(values_in(topic_).size(), 7u);
  // The slot is the old one's again.
  ASSERT_TRUE(deliver(*old, events_.span().subspan(3, 6), 2));
  EXPECT_EQ(progress_.durable_count(), 6u);
  EXPECT_THAT(problem(deliver(*standby, events_.span().subspan(7))), HasSubstr("SIGHUP"));
  // A person decides.
  ASSERT_TRUE(standby->reopen());
  ASSERT_TRUE(deliver(*standby, events_.span().subspan(7)));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST_F(KafkaOnceTest, WhoLostTheSlotTakesNothingOver) {
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span().first(3)));
  auto stale = make();
  const auto is_lost = [] { return false; };
  Progress progress(7, is_lost, 1);
  EXPECT_FALSE(stale->deliver(events_.span().subspan(3), in_seconds(60), progress));
  EXPECT_TRUE(progress.is_halted());
  ASSERT_TRUE(deliver(*sink, events_.span().subspan(3)));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST_F(KafkaOnceTest, ACheckFencesNobody) {
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span().first(3)));
  make();
  ASSERT_TRUE(deliver(*sink, events_.span().subspan(3)));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST_F(KafkaOnceTest, AnotherHistoryIsNoticed) {
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span()));
  // A restored server: its WAL ends before what was delivered.
  const auto checked = sink->check(source_of(topic_, Lsn{900}), in_seconds(60));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("beyond the database's WAL position 0/384"));
  EXPECT_THAT(checked.error().what, HasSubstr("another `name`"));
  // Later its WAL ends beyond that, and has other events in the same place.
  auto later = sink_for(config_, source_of(topic_, Lsn{5000}));
  Events others(990);
  Event other = events_.span()[0];
  other.lsn = Lsn{990};
  other.commit_time += 1;
  others.add(other, "{}");
  EXPECT_THAT(problem(deliver(*later, others.span())), HasSubstr("event 990-0"));
  EXPECT_EQ(progress_.durable_count(), 0u);
  EXPECT_EQ(values_in(topic_).size(), 10u);
}

// Commit times are not in the order of commits.
TEST_F(KafkaOnceTest, WhatWasDroppedIsKnownByItsTimeToo) {
  config_.topic = Route{{{"public.orders", topic_}}, {}, Unmapped::kDrop, {}};
  static const Table elsewhere{"public", "elsewhere"};
  Event dropped = events_.span()[0];
  dropped.index = 10;
  dropped.table = &elsewhere;
  dropped.commit_time += 5;
  dropped.key_span = {};
  dropped.set_row({}, {});
  events_.add(dropped, "{}");
  Event last = events_.span()[0];
  last.index = 11;
  last.key_span = {};
  last.set_row({}, {});
  events_.add(last, "{}");
  ASSERT_TRUE(deliver(*make(), events_.span()));
  ASSERT_TRUE(deliver(*make(), events_.span()));
  EXPECT_EQ(values_in(topic_).size(), 11u);
}

TEST_F(KafkaOnceTest, DeadLettersAreOfThePast) {
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span()));
  const std::string before = position();
  auto replay = sink_for(config_, {Lsn{}, true});
  ASSERT_TRUE(deliver(*replay, events_.span().first(2)));
  EXPECT_EQ(progress_.durable_count(), 2u);
  EXPECT_EQ(values_in(topic_).size(), 12u);
  EXPECT_EQ(position(), before);
  events_.add(3);
  ASSERT_TRUE(deliver(*sink, events_.span().subspan(10))) << "no producer is fenced";
}

TEST_F(KafkaOnceTest, ASourceThatIsUnknownIsRefused) {
  auto sink = std::move(*KafkaSink::create(config_));
  EXPECT_THAT(problem(deliver(*sink, events_.span())), HasSubstr("a source with a slot"));
}

TEST_F(KafkaOnceTest, TheTopicOfThePositionsIsForAnOperatorToMake) {
  SHOWS("kafka.positions");
  client_.create(topic_);
  config_.positions = topic_ + ".positions";
  config_.create_topics.reset();
  auto sink = std::move(*KafkaSink::create(config_));
  auto checked = sink->check(source_, in_seconds(60));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("--create --topic " + config_.positions +
                                              " --partitions 1 --config cleanup.policy=compact"));
  EXPECT_THAT(problem(deliver(*sink, events_.span())), HasSubstr(config_.positions));
  client_.create(config_.positions);
  checked = sink->check(source_, in_seconds(60));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("--add-config cleanup.policy=compact"));
  EXPECT_TRUE(values_in(topic_).empty());
}

TEST_F(KafkaOnceTest, TooLargeAnEventIsRejectedAndTheOthersComeOnce) {
  client_.create(topic_, 1, {{"max.message.bytes", "20000"}});
  config_.compression = "none";
  Events events;
  for (int i = 0; i < 20; ++i) events.add(i % 3, 3000);
  events.add(2, 30'000);
  for (int i = 21; i < 40; ++i) events.add(i % 3, 3000);
  auto sink = make();
  std::vector<Event> left(events.span().begin(), events.span().end());
  size_t at_once = left.size();
  std::vector<std::string> rejected;
  const TimePoint end = in_seconds(120);
  while (!left.empty() && Clock::now() < end) {  // as the pipeline does
    at_once = std::min(at_once, left.size());
    const auto delivery = deliver(*sink, std::span(left).first(at_once));
    if (!delivery) {
      const DeliveryError& error = delivery.error();
      ASSERT_EQ(error.error.kind, ErrorKind::kReject) << error.error.message();
      if (error.error.scope() == Scope::kBatch) {
        at_once = std::max<size_t>(1, at_once / 2);
      } else {
        rejected.emplace_back(EventId(left[error.event]).view());
        progress_.durable(error.event);
      }
    }
    std::vector<Event> rest;
    for (size_t i = 0; i < left.size(); ++i) {
      if (i >= at_once || !progress_.is_done(i)) rest.push_back(left[i]);
    }
    left = std::move(rest);
  }
  EXPECT_TRUE(left.empty());
  EXPECT_EQ(rejected, std::vector<std::string>{"1000-20"});
  std::vector<std::string> expected = events.documents();
  expected.erase(expected.begin() + 20);
  EXPECT_EQ(values_in(topic_), expected);
}

// The library retries a transaction for a missing topic forever.
TEST_F(KafkaOnceTest, ATopicThatIsRemovedIsMadeAgain) {
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span().first(5)));
  KafkaClient().remove(topic_);
  const TimePoint end = in_seconds(60);
  while (!deliver(*sink, events_.span().subspan(5), 1, 5)) ASSERT_LT(Clock::now(), end);
  EXPECT_EQ(values_in(topic_).size(), 5u);
}

TEST_F(KafkaOnceTest, ABrokerThatDiesHasEverythingOnce) {
  config_.connect_timeout = Milliseconds(20'000);
  auto sink = make();
  Events events;
  for (int i = 0; i < 4000; ++i) events.add(i, 300);
  ASSERT_TRUE(deliver(*sink, events.span().first(1)));
  for (const int wait : {0, 15}) {
    const size_t begin = wait == 0 ? 1 : 2000;
    const auto part = events.span().subspan(begin, wait == 0 ? 1999 : 2000);
    bool done = false;
    std::thread deliverer([&] { done = deliver_all(*sink, part, 300); });
    std::this_thread::sleep_for(Milliseconds(wait));
    KafkaBroker::get().stop();
    KafkaBroker::get();
    deliverer.join();
    ASSERT_TRUE(done);
  }
  EXPECT_TRUE(values_in(topic_) == events.documents());
}

// When the broker freezes during a commit, nothing says whether the transaction was committed.
TEST_F(KafkaOnceTest, AnOutcomeThatIsUnknownIsFoundOut) {
  for (int round = 0; round < 6; ++round) {
    Events events(static_cast<uint64_t>(2000 + 1000 * round));
    for (int i = 0; i < 50; ++i) events.add(i);
    auto sink = make();
    std::thread freezer([&] {
      std::this_thread::sleep_for(Milliseconds(8 * round));
      KafkaBroker::get().freeze();
    });
    static_cast<void>(deliver(*sink, events.span(), 1, 0.5));
    freezer.join();
    sink.reset();  // as if the process were killed
    KafkaBroker::get().thaw();
    ASSERT_TRUE(deliver_all(*make(), events.span(), 60));
    for (const std::string& document : events.documents()) events_.add({}, document);
  }
  const auto all = events_.documents();
  EXPECT_TRUE(values_in(topic_) == std::vector<std::string>(all.begin() + 10, all.end()));
}

TEST_F(KafkaOnceTest, ABrokerThatFreezesIsNotAskedForEver) {
  ASSERT_TRUE(deliver(*make(), events_.span()));
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", KafkaBroker::get().address().c_str(), nullptr, 0);
  const std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)> handle(
      rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0), rd_kafka_destroy);
  auto ends = kafka_ends(handle.get(), topic_, 0, in_seconds(60));
  ASSERT_TRUE(ends);
  EXPECT_EQ(ends->first, 0);
  EXPECT_EQ(ends->end, 11) << "with the end of the transaction";
  KafkaBroker::get().freeze();
  EXPECT_FALSE(kafka_ends(handle.get(), topic_, 0, in_seconds(2)));
  KafkaBroker::get().thaw();
  ends = kafka_ends(handle.get(), topic_, 0, in_seconds(60));
  ASSERT_TRUE(ends);
  EXPECT_EQ(ends->end, 11);
}

TEST_F(KafkaOnceTest, ATransactionThatLastsTooLongIsNobodysFence) {
  config_.librdkafka = {{"transaction.timeout.ms", Secret("2000")},
                        {"socket.timeout.ms", Secret("2000")}};
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span().first(1)));
  KafkaBroker::get().freeze();
  EXPECT_FALSE(deliver(*sink, events_.span().subspan(1), 1, 5));
  KafkaBroker::get().thaw();
  std::this_thread::sleep_for(Milliseconds(1'500));
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1), 60));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

// As while the sink is held.
TEST_F(KafkaOnceTest, AnOpenTransactionIsCommittedWhenNoEventFollows) {
  auto sink = make();
  Progress progress(3);
  progress.offer([] { return true; });
  ASSERT_TRUE(sink->deliver(events_.span().first(3), in_seconds(60), progress));
  EXPECT_TRUE(progress.is_paused());
  EXPECT_EQ(progress.durable_count(), 0u);
  ASSERT_TRUE(wait_for(std::chrono::seconds(20), [&] {
    sink->idle();
    return values_in(topic_).size() == 3u;
  }));
  ASSERT_TRUE(deliver_all(*sink, events_.span(), 60));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

// Readers of committed messages stop at the first open transaction.
TEST_F(KafkaOnceTest, APositionBehindAnothersTransactionIsFound) {
  auto sink = make();
  ASSERT_TRUE(deliver(*sink, events_.span().first(5)));
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", KafkaBroker::get().address().c_str(), nullptr, 0);
  rd_kafka_conf_set(conf, "transactional.id", topic_.c_str(), nullptr, 0);
  rd_kafka_t* other = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
  ASSERT_EQ(rd_kafka_init_transactions(other, 30'000), nullptr);
  ASSERT_EQ(rd_kafka_begin_transaction(other), nullptr);
  ASSERT_EQ(
      rd_kafka_producev(other, RD_KAFKA_V_TOPIC(config_.positions.c_str()), RD_KAFKA_V_PARTITION(0),
                        RD_KAFKA_V_KEY("other", 5), RD_KAFKA_V_VALUE(kAny, 1), RD_KAFKA_V_END),
      0);
  ASSERT_EQ(rd_kafka_flush(other, 30'000), 0);
  ASSERT_TRUE(deliver(*sink, events_.span().subspan(5, 3)));
  auto next = make();
  const auto early = deliver(*next, events_.span(), 1, 3);
  ASSERT_FALSE(early) << "the position is not known yet";
  EXPECT_EQ(early.error().error.kind, ErrorKind::kRetry) << early.error().error.message();
  std::thread ender([&] {
    std::this_thread::sleep_for(Milliseconds(500));
    EXPECT_EQ(rd_kafka_abort_transaction(other, 30'000), nullptr);
  });
  ASSERT_TRUE(deliver_all(*next, events_.span(), 60));
  ender.join();
  rd_kafka_destroy(other);
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST_F(KafkaOnceTest, APositionFarFromTheEndIsFound) {
  config_.positions = topic_ + ".positions";
  ASSERT_TRUE(deliver(*make(), events_.span().first(5)));
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", KafkaBroker::get().address().c_str(), nullptr, 0);
  rd_kafka_t* other = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "other " + std::to_string(i);
    ASSERT_EQ(rd_kafka_producev(other, RD_KAFKA_V_TOPIC(config_.positions.c_str()),
                                RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY(key.data(), key.size()),
                                RD_KAFKA_V_VALUE(kAny, 1), RD_KAFKA_V_END),
              0);
  }
  ASSERT_EQ(rd_kafka_flush(other, 30'000), 0);
  rd_kafka_destroy(other);
  ASSERT_TRUE(deliver(*make(), events_.span()));
  EXPECT_EQ(values_in(topic_), events_.documents());
}

TEST(KafkaPosition, IsAText) {
  const KafkaPosition position{Lsn{27439048}, 12, 1700000000123456};
  EXPECT_EQ(position.text(), "27439048-12 0/1A2AFC8 1700000000123456");
  EXPECT_EQ(KafkaPosition::parse(position.text()), position);
  for (const char* text : {"", "1", "1-2", "1-2 ", "1-2 0/1", "1-2 0/1 x", "1-2 0/1 3 ", "x",
                           "-1-2 0/1 3", "1-2 0/1 3x", "99999999999999999999-1 0/1 3"}) {
    EXPECT_EQ(KafkaPosition::parse(text), std::nullopt) << text;
  }
  EXPECT_EQ(kafka_transactional_id(kafka_position_key("kafka", "7 slot my app")),
            "walspout:kafka:7:slot:my:app");
}

}  // namespace
}  // namespace walspout::test
