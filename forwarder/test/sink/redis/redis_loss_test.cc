// Redis can lose confirmed entries: the sink detects that, and settings can prevent it.
#include <gmock/gmock.h>

#include <thread>

#include "sink/sinks.h"
#include "test/sink/contract.h"
#include "test/sink/redis/redis_server.h"
#include "test/sink/server_process.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Redis without an append-only file: its disk has what SAVE wrote last.
const std::vector<std::string> kSnapshots = {"--appendonly", "no", "--repl-diskless-sync-delay",
                                             "0"};

class RedisLossTest : public testing::Test {
 protected:
  RedisLossTest() {
    for (int i = 0; i < 10; ++i) events_.add(i);
    config_ = config_for("redis://127.0.0.1:" + std::to_string(server_.port()));
    config_.memory = directory_.file("orders@redis.streams");
  }

  DeliveryError failure(Sink& sink, size_t first, size_t count) {
    Progress progress(count);
    const auto delivery =
        sink.deliver(events_.span().subspan(first, count), in_seconds(5), progress);
    EXPECT_EQ(progress.durable_count(), 0u);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  bool deliver(Sink& sink, size_t first, size_t count) {
    return deliver_all(sink, events_.span().subspan(first, count));
  }
  // Like the forwarder: retries until it passes. Returns the losses reported meanwhile.
  std::vector<Error> losses_at_start(Sink& sink, const SourceState& source = kSource) {
    std::vector<Error> losses;
    for (int tries = 0; tries < 5; ++tries) {
      const auto checked = sink.check(source, in_seconds(5));
      if (checked) return losses;
      EXPECT_TRUE(checked.error().loss) << checked.error().message();
      losses.push_back(checked.error());
    }
    ADD_FAILURE() << "check never passes";
    return losses;
  }
  void restart_without_latest() {
    server_.stop_hard();
    server_.start();
  }
  // The other server's data replace those of this server, while its connections stay.
  void become_replica_and_primary_of(RedisServer& other) {
    server_.ask({"REPLICAOF", "127.0.0.1", std::to_string(other.port())});
    ASSERT_TRUE(wait_for(std::chrono::seconds(30), [&] {
      return server_.ask({"INFO", "replication"}).find("master_link_status:up") !=
             std::string::npos;
    }));
    server_.ask({"REPLICAOF", "NO", "ONE"});
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the sink counts this as a pause
  }

  TempDir directory_;
  RedisServer server_{kSnapshots};
  RedisConfig config_;
  Events events_;
};

TEST_F(RedisLossTest, AnOlderFileAfterBothWereKilledIsNoticed) {
  {
    auto sink = sourced_sink(config_);
    ASSERT_TRUE(deliver(*sink, 0, 3));
    server_.ask({"SAVE"});
    ASSERT_TRUE(deliver(*sink, 3, 4));
  }
  restart_without_latest();
  auto sink = sink_for(config_);
  const auto losses = losses_at_start(*sink);
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_EQ(losses[0].kind, ErrorKind::kRetry);
  EXPECT_THAT(losses[0].what, HasSubstr("4 entries of stream \"" + std::string(kStream) + "\""));
  EXPECT_THAT(losses[0].what, HasSubstr("ended with id 1000-6 and now ends with 1000-2"));
  EXPECT_THAT(losses[0].what, HasSubstr("appendonly"));
  EXPECT_TRUE(deliver(*sink, 7, 3));
  // Reported once, also to later sinks.
  EXPECT_THAT(losses_at_start(*sink_for(config_)), IsEmpty());
}

// Streams whose names depend on the events are known from the file alone.
TEST_F(RedisLossTest, StreamsOfATemplateAreRemembered) {
  config_.stream.fallback = "all\n{op}";
  ASSERT_TRUE(deliver(*sourced_sink(config_), 0, 3));
  restart_without_latest();
  auto sink = sink_for(config_);
  const auto losses = losses_at_start(*sink);
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_THAT(losses[0].what, HasSubstr("3 entries of stream \"all\nc\""));
  // A restart before any delivery reports the loss again, because it may not have been read.
  EXPECT_EQ(losses_at_start(*sink_for(config_)).size(), 1u);
  EXPECT_TRUE(deliver(*sink, 3, 1));
  EXPECT_THAT(losses_at_start(*sink_for(config_)), IsEmpty());
}

TEST_F(RedisLossTest, WhatIsThereIsNoLoss) {
  for (size_t i = 0; i < 9; i += 3) {
    auto sink = sink_for(config_);
    EXPECT_THAT(losses_at_start(*sink), IsEmpty());
    ASSERT_TRUE(deliver(*sink, 0, i + 3));
  }
  server_.ask({"XTRIM", kStream, "MAXLEN", "0"});
  EXPECT_THAT(losses_at_start(*sink_for(config_)), IsEmpty());
}

TEST_F(RedisLossTest, AnotherServerOrSourceHasLostNothing) {
  ASSERT_TRUE(deliver(*sourced_sink(config_), 0, 3));
  RedisServer other(kSnapshots);
  RedisConfig moved = config_;
  moved.url = Secret("redis://127.0.0.1:" + std::to_string(other.port()));
  EXPECT_THAT(losses_at_start(*sink_for(moved)), IsEmpty());
  server_.ask({"FLUSHALL"});
  EXPECT_THAT(losses_at_start(*sink_for(config_), {Lsn{}, false, "7 another shop"}), IsEmpty());
  EXPECT_EQ(losses_at_start(*sink_for(config_)).size(), 1u);
}

// Across a restart: only the file says which database its streams are in.
TEST_F(RedisLossTest, AnotherDatabaseOfTheServerHasLostNothing) {
  const std::string url = config_.url.reveal();
  size_t next = 0;
  for (const char* database : {"", "/1", "/2", "/0"}) {
    config_.url = Secret(url + database);
    auto sink = sink_for(config_);
    EXPECT_THAT(losses_at_start(*sink), IsEmpty()) << database;
    ASSERT_TRUE(deliver(*sink, next, 2)) << database;
    next += 2;
  }
  // A url has two forms for the first database; both are the same database.
  server_.ask({"FLUSHALL"});
  config_.url = Secret(url);
  EXPECT_EQ(losses_at_start(*sink_for(config_)).size(), 1u);
  config_.url = Secret(url + "/1");
  ASSERT_TRUE(deliver(*sourced_sink(config_), 0, 3));
  server_.ask({"FLUSHALL"});
  EXPECT_EQ(losses_at_start(*sink_for(config_)).size(), 1u);
}

TEST_F(RedisLossTest, CheckAndReplayLeaveTheFileAlone) {
  ASSERT_TRUE(deliver(*sourced_sink(config_), 0, 3));
  const std::string before = read_file(config_.memory);
  EXPECT_THAT(before, HasSubstr(kStream));
  EXPECT_TRUE(sink_for(config_)->check(kSource, in_seconds(5)));
  auto replay = sink_for(config_);
  ASSERT_TRUE(replay->check(SourceState{Lsn{}, true}, in_seconds(5)));
  ASSERT_TRUE(deliver(*replay, 5, 1));
  EXPECT_EQ(read_file(config_.memory), before);
}

TEST_F(RedisLossTest, AFileThatCannotBeUsed) {
  // Garbage is ignored, and so is half a line.
  for (const char* text : {"", "garbage", "walspout streams 1 redis"}) {
    write_file(config_.memory, text);
    EXPECT_THAT(losses_at_start(*sink_for(config_)), IsEmpty()) << text;
  }
  auto sink = sourced_sink(config_);
  ASSERT_TRUE(deliver(*sink, 0, 2));
  const std::string good = read_file(config_.memory);
  write_file(config_.memory, good.substr(0, good.size() - 1));
  server_.ask({"FLUSHALL"});
  EXPECT_THAT(losses_at_start(*sink_for(config_)), IsEmpty());
  // Delivery does not depend on the file: here its folder is gone.
  config_.memory = directory_.file("none") + "/streams";
  EXPECT_TRUE(deliver(*sourced_sink(config_), 2, 2));
}

TEST_F(RedisLossTest, ADemotionAndPromotionOnOneConnectionIsNoticed) {
  for (const bool sourced : {true, false}) {
    server_.ask({"FLUSHALL"});
    RedisServer other(kSnapshots);
    RedisConfig config = config_;
    config.memory.clear();
    auto sink = sourced ? sourced_sink(config) : sink_for(config);
    ASSERT_TRUE(deliver(*sink, 0, 3));
    become_replica_and_primary_of(other);
    const DeliveryError error = failure(*sink, 3, 4);
    EXPECT_TRUE(error.error.loss) << error.error.message();
    EXPECT_EQ(error.error.scope(), Scope::kDestination);
    EXPECT_THAT(error.error.what, HasSubstr("3 entries of stream"));
    EXPECT_THAT(error.error.what, HasSubstr("wait"));
    EXPECT_TRUE(deliver(*sink, 3, 4));
    EXPECT_EQ(server_.entries(kStream).size(), 4u);
  }
}

// On another connection, for streams that get no entries now.
TEST_F(RedisLossTest, EveryStreamIsLookedAtOnANewConnection) {
  config_.stream.tables = {{"public.orders", "orders"}};
  config_.stream.fallback = "others";
  config_.memory.clear();
  auto sink = sourced_sink(config_);
  Events other;
  Event message;
  message.op = 'm';
  message.lsn = Lsn{2000};
  other.add(message, "{}");
  ASSERT_TRUE(deliver(*sink, 0, 3));
  ASSERT_TRUE(deliver_all(*sink, other.span()));
  restart_without_latest();
  message.lsn = Lsn{3000};
  other.add(message, "{}");
  Progress progress(1);
  const auto delivery = sink->deliver(other.span().subspan(1), in_seconds(5), progress);
  ASSERT_FALSE(delivery);
  EXPECT_TRUE(delivery.error().error.loss);
  EXPECT_THAT(delivery.error().error.what, HasSubstr("3 entries of stream \"orders\""));
  EXPECT_THAT(delivery.error().error.what, HasSubstr("1 entries of stream \"others\""));
  EXPECT_TRUE(deliver_all(*sink, other.span().subspan(1)));
}

// A password file changes during the outage that loses entries: then another sink continues.
TEST_F(RedisLossTest, ASinkWithANewPasswordKnowsWhatTheOldOneKnew) {
  const std::string secret = directory_.file("password");
  const auto rule = [&](const std::string& password) {
    server_.ask({"ACL", "SETUSER", "writer", "on", "resetpass", ">" + password, "~*", "+@all"});
    write_file(secret, password);
  };
  config_.memory.clear();
  config_.username = "writer";
  for (const std::string name : {"fixed", "of {op}"}) {
    rule("one");
    config_.stream.fallback = name;
    config_.password = *Secret::from_file(secret);
    SinkConfig config = sink_config("redis");
    config.options = config_;
    auto sink = std::move(*make_sink(config));
    const SourceState source{Lsn{1000}, false, kSource.identity};
    ASSERT_THAT(losses_at_start(*sink, source), IsEmpty());
    ASSERT_TRUE(deliver(*sink, 0, 2));
    server_.ask({"SAVE"});
    ASSERT_TRUE(deliver(*sink, 2, 3));
    restart_without_latest();
    rule("two");
    std::vector<Error> losses;
    for (int tries = 0; tries < 10; ++tries) {
      Progress progress(1);
      const auto delivery = sink->deliver(events_.span().subspan(5, 1), in_seconds(5), progress);
      if (delivery) break;
      if (delivery.error().error.loss) losses.push_back(delivery.error().error);
    }
    ASSERT_EQ(losses.size(), 1u) << name;
    EXPECT_THAT(losses[0].what, HasSubstr("3 entries of stream"));
    EXPECT_THAT(losses[0].what, HasSubstr("ended with id 1000-4 and now ends with 1000-1"));
    for (size_t i = 6; i < 10; ++i) ASSERT_TRUE(deliver(*sink, i, 1));
    EXPECT_EQ(server_.ask({"XLEN", name == "fixed" ? name : "of c"}), "7");
    server_.ask({"FLUSHALL"});
  }
}

// Another server, or another database of the server, has lost nothing.
TEST_F(RedisLossTest, ANewUrlOfAnotherDatabaseIsNoLoss) {
  const std::string secret = directory_.file("url");
  const std::string url = "redis://127.0.0.1:" + std::to_string(server_.port());
  write_file(secret, url);
  config_.memory.clear();
  config_.url = *Secret::from_file(secret);
  SinkConfig config = sink_config("redis");
  config.options = config_;
  auto sink = std::move(*make_sink(config));
  ASSERT_THAT(losses_at_start(*sink), IsEmpty());
  ASSERT_TRUE(deliver(*sink, 0, 2));
  write_file(secret, url + "/1");
  ASSERT_TRUE(sink->reopen());
  EXPECT_TRUE(deliver(*sink, 2, 2));
  EXPECT_EQ(server_.ask({"XLEN", kStream}), "2");
}

TEST_F(RedisLossTest, ReplicasAreWaitedFor) {
  SHOWS("redis.wait.replicas");
  SHOWS("redis.wait.timeout");
  config_.wait.replicas = 1;
  config_.wait.timeout = Milliseconds(1'000);
  const auto unchecked = sink_for(config_)->check(kSource, in_seconds(5));
  ASSERT_FALSE(unchecked);
  EXPECT_EQ(unchecked.error().kind, ErrorKind::kRetry);
  RedisServer replica(kSnapshots);
  replica.ask({"REPLICAOF", "127.0.0.1", std::to_string(server_.port())});
  ASSERT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    return sink_for(config_)->check(kSource, in_seconds(5)).has_value();
  }));
  config_.pipeline = 2;
  auto sink = sourced_sink(config_);
  ASSERT_TRUE(deliver(*sink, 0, 5));
  EXPECT_EQ(replica.entries(kStream).size(), 5u);

  replica.freeze();
  const DeliveryError error = failure(*sink, 5, 1);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("0 of the 1 replicas"));
  // The event is in the stream, but does not count.
  EXPECT_THAT(failure(*sink, 5, 1).error.what, HasSubstr("0 of the 1 replicas"));
  replica.thaw();
  ASSERT_TRUE(deliver(*sink, 5, 5));
  ASSERT_TRUE(
      wait_for(std::chrono::seconds(10), [&] { return replica.entries(kStream).size() == 10; }));
  EXPECT_EQ(server_.entries(kStream).size(), 10u);
}

TEST_F(RedisLossTest, EvictionOfStreamsIsWarnedOf) {
  auto sink = sourced_sink(config_);
  EXPECT_THAT(sink->warnings(), IsEmpty());
  server_.ask({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  ASSERT_TRUE(sink->check(kSource, in_seconds(5)));
  ASSERT_EQ(sink->warnings().size(), 1u);
  EXPECT_THAT(sink->warnings()[0], HasSubstr("allkeys-lru"));
  EXPECT_THAT(sink->warnings()[0], HasSubstr("noeviction"));
  server_.ask({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"});
  ASSERT_TRUE(sink->check(kSource, in_seconds(5)));
  EXPECT_THAT(sink->warnings(), IsEmpty());
}

}  // namespace
}  // namespace walspout::test
