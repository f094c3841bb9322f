#include "sink/redis/redis.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "sink/redis/errors.h"
#include "sink/redis/link.h"
#include "test/sink/certificates.h"
#include "test/sink/contract.h"
#include "test/sink/names.h"
#include "test/sink/redis/redis_server.h"
#include "test/sink/server_process.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::HasSubstr;

constexpr const char* kPositions = "walspout:positions";

class RedisHarness final : public Harness {
 public:
  explicit RedisHarness(bool tcp) : tcp_(tcp) {}

  std::unique_ptr<Sink> make_sink() override {
    return sink_for(config_for(tcp_ ? "redis://127.0.0.1:" + std::to_string(server_.port()) + "/0"
                                    : server_.url()));
  }
  std::vector<std::string> received() override {
    std::vector<std::string> documents;
    for (auto& [id, document] : server_.entries(kStream)) documents.push_back(std::move(document));
    return documents;
  }
  void start_server() override { server_.start(); }
  void stop_server() override { server_.stop(); }
  void freeze_server() override { server_.freeze(); }
  void thaw_server() override { server_.thaw(); }

 private:
  bool tcp_;
  RedisServer server_;
};

std::unique_ptr<Harness> make_redis_harness() {
  return std::make_unique<RedisHarness>(false);
}

std::unique_ptr<Harness> make_redis_tcp_harness() {
  return std::make_unique<RedisHarness>(true);
}

INSTANTIATE_TEST_SUITE_P(Redis, SinkContract,
                         testing::Values(&make_redis_harness, &make_redis_tcp_harness));

class RedisSinkTest : public testing::Test {
 protected:
  RedisSinkTest() {
    for (int i = 0; i < 10; ++i) events_.add(i);
  }

  DeliveryError failure(Sink& sink, std::span<const Event> events) {
    progress_ = Progress(events.size());
    const auto delivery = sink.deliver(events, in_seconds(5), progress_);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  DeliveryError failure(Sink& sink) { return failure(sink, events_.span()); }

  std::vector<std::string> documents(const std::string& stream = kStream) {
    std::vector<std::string> found;
    for (auto& [id, document] : server_.entries(stream)) found.push_back(std::move(document));
    return found;
  }

  RedisServer server_{std::vector<std::string>{"--appendonly", "no"}};
  Events events_;
  Progress progress_{0};
};

TEST_F(RedisSinkTest, RedisMakesIdsByChoice) {
  SHOWS("redis.ids");
  RedisConfig config = config_for(server_.url());
  SourceState unordered{};
  unordered.ordered = false;
  const auto refused = sink_for(config)->check(unordered, in_seconds(5));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().scope(), Scope::kConfiguration);
  EXPECT_THAT(refused.error().what, HasSubstr("ids: redis"));
  config.own_ids = true;
  auto sink = sink_for(config);
  ASSERT_TRUE(sink->check(unordered, in_seconds(5)));
  // Later events are sent first, and some are repeated.
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(5)));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(6)));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  const auto found = documents();
  ASSERT_EQ(found.size(), 12u);
  EXPECT_EQ(found[0], events_.documents()[5]);
  EXPECT_EQ(found[5], events_.documents()[0]);
  EXPECT_EQ(found[10], events_.documents()[5]);
  EXPECT_EQ(found[11], events_.documents()[0]);
  EXPECT_EQ(server_.ask({"EXISTS", kPositions}), "0");
}

TEST_F(RedisSinkTest, EntriesHaveTheEventsIds) {
  SHOWS("redis.url");
  auto sink = sink_for(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  const auto entries = server_.entries(kStream);
  ASSERT_EQ(entries.size(), 10u);
  EXPECT_EQ(entries[0].first, "1000-0");
  EXPECT_EQ(entries[9].first, "1000-9");
  EXPECT_EQ(entries[9].second, events_.documents()[9]);
}

TEST_F(RedisSinkTest, ResendsAddNothing) {
  auto sink = sink_for(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(6)));
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  ASSERT_TRUE(deliver_all(*sink_for(config_for(server_.url())), events_.span()));
  ASSERT_TRUE(deliver_all(*sink_for(config_for(server_.url())), events_.span().first(1)));
  EXPECT_EQ(documents(), events_.documents());
}

TEST_F(RedisSinkTest, FieldsAreThoseConfigured) {
  SHOWS("redis.fields");
  RedisConfig config = config_for(server_.url());
  config.fields = {"op", "data", "id", "schema", "table", "key"};
  auto sink = sink_for(config);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(server_.entries(kStream, "op")[3], Pair("1000-3", "c"));
  EXPECT_EQ(server_.entries(kStream, "id")[3], Pair("1000-3", "1000-3"));
  EXPECT_EQ(server_.entries(kStream, "schema")[3], Pair("1000-3", "public"));
  EXPECT_EQ(server_.entries(kStream, "table")[3], Pair("1000-3", "orders"));
  EXPECT_EQ(server_.entries(kStream, "key")[3], Pair("1000-3", "{\"id\":3}"));
  EXPECT_EQ(documents(), events_.documents());
  config.fields = {"date"};
  const auto refused = RedisSink::create(config);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("\"date\""));
  config.fields = {"data", "id", "data"};
  EXPECT_THAT(RedisSink::create(config).error().what, HasSubstr("\"data\" twice"));
  config.fields = {};
  EXPECT_FALSE(RedisSink::create(config));
}

TEST_F(RedisSinkTest, StreamsAreTrimmedAbout) {
  SHOWS("redis.maxlen");
  RedisConfig config = config_for(server_.url());
  config.maxlen = 100;
  auto sink = sourced_sink(config);
  Events many;
  for (int i = 0; i < 5000; ++i) many.add(i);
  ASSERT_TRUE(deliver_all(*sink, many.span()));
  const auto left = documents();
  EXPECT_GE(left.size(), 100u);
  EXPECT_LE(left.size(), 300u);
  EXPECT_EQ(left.back(), many.documents().back());
  // A repeated event whose entry was trimmed counts as delivered.
  ASSERT_TRUE(deliver_all(*sourced_sink(config), many.span()));
  EXPECT_EQ(documents(), left);
}

TEST_F(RedisSinkTest, TheDatabaseIsTheUrls) {
  auto sink = sink_for(config_for(server_.url() + "?db=3"));
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_TRUE(documents().empty());
  auto bad = sink_for(config_for(server_.url() + "?db=77"));
  const auto checked = bad->check({}, in_seconds(5));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("databases"));
}

TEST_F(RedisSinkTest, TablesGoWhereTheyAreMapped) {
  RedisConfig config = config_for(server_.url());
  config.stream = Route{{{"public.orders", "o:{op}"}}, std::nullopt, Unmapped::kDrop, {}, "%:."};
  auto sink = sink_for(config);
  static const Table other{"public", "items"};
  Events events;
  events.add(1);
  Event unmapped = events.span()[0];
  unmapped.index = 1;
  unmapped.table = &other;
  events.add(unmapped, "{}");
  Progress progress(2);
  ASSERT_TRUE(sink->deliver(events.span(), in_seconds(5), progress));
  EXPECT_EQ(progress.durable_count(), 1u);
  EXPECT_EQ(progress.dropped_count(), 1u);
  EXPECT_EQ(documents("o:c").size(), 1u);

  config.stream.unmapped = Unmapped::kError;
  auto strict = sink_for(config);
  const DeliveryError error = failure(*strict, events.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_EQ(error.event, 1u);
  EXPECT_THAT(error.error.what, HasSubstr("public.items"));
  EXPECT_TRUE(progress_.is_done(0));
  EXPECT_FALSE(progress_.is_done(1));
}

TEST_F(RedisSinkTest, SchemasHaveAStreamOfTheirOwn) {
  SHOWS("redis.schemas_to");
  RedisConfig config = config_for(server_.url());
  config.stream.schemas = "schemas";
  Events events;
  events.add(1);
  events.add_schema(0xab);
  events.add(2);
  events.add_schema(0xcd);
  events.add(3);
  const auto all = events.documents();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(deliver_all(*sourced_sink(config), events.span()));
  EXPECT_THAT(documents(), testing::ElementsAre(all[0], all[2], all[4]));
  const auto schemas = server_.entries("schemas");
  ASSERT_EQ(schemas.size(), 2u);
  EXPECT_EQ(schemas[0].first, "1000-1");
  EXPECT_EQ(schemas[0].second, all[1]);

  // After a restart the schema comes before another event, and no entry has that id.
  Events again;
  again.add_schema(0xab);
  again.add(1);
  ASSERT_TRUE(deliver_all(*sourced_sink(config), again.span()));
  EXPECT_EQ(server_.entries("schemas").size(), 2u);
  Events later(2000);
  later.add_schema(0xab);
  ASSERT_TRUE(deliver_all(*sourced_sink(config), later.span()));
  EXPECT_EQ(server_.entries("schemas").size(), 3u);

  config.stream.schemas = config.stream.fallback;
  const auto refused = RedisSink::create(config);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("a stream of their own"));
  config.own_ids = true;
  ASSERT_TRUE(deliver_all(*sink_for(config), again.span()));
}

// Positions without a WAL record leave room for an entry.
TEST_F(RedisSinkTest, TheEndsOfATransactionHaveIdsAroundItsChanges) {
  Events events;
  Event end;
  end.op = kBeginOp;
  end.table = &Events::table();  // for the stream's name
  end.lsn = Lsn{1000};
  end.commit_time = 1'700'000'000'123'456;
  end.barrier = true;
  events.add(end, "{\"op\":\"begin\"}");
  events.add(1);
  events.add(2);
  end.op = kEndOp;
  end.index = 2;
  events.add(end, "{\"op\":\"commit\"}");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(deliver_all(*sink_for(config_for(server_.url())), events.span()));
  }
  const auto entries = server_.entries(kStream);
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].first, "999-0");
  EXPECT_EQ(entries[3].first, "1000-2");
  EXPECT_EQ(documents(), events.documents());
}

TEST_F(RedisSinkTest, OutOfMemoryIsRetryAndLeavesNoHole) {
  auto sink = sink_for(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  server_.ask({"CONFIG", "SET", "maxmemory", "1"});
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("maxmemory"));
  EXPECT_EQ(documents().size(), 1u);
  server_.ask({"CONFIG", "SET", "maxmemory", "0"});
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(documents(), events_.documents());
}

TEST_F(RedisSinkTest, MemoryThatComesAndGoesLeavesNoHole) {
  SHOWS("redis.pipeline");
  RedisConfig config = config_for(server_.url());
  config.pipeline = 100;  // so that one transaction is in flight while another is executed
  auto sink = sink_for(config);
  Events many;
  for (int i = 0; i < 20'000; ++i) many.add(i, 300);
  std::atomic<bool> stop = false;
  std::thread trouble([&] {
    while (!stop) {
      server_.ask({"CONFIG", "SET", "maxmemory", "1"});
      server_.ask({"CONFIG", "SET", "maxmemory", "0"});
      std::this_thread::sleep_for(Milliseconds(1));
    }
  });
  bool done = true;
  for (size_t i = 0; done && i < many.size(); i += 1000) {
    done = deliver_all(*sink, many.span().subspan(i, 1000), 60);
  }
  stop = true;
  trouble.join();
  ASSERT_TRUE(done);
  EXPECT_TRUE(documents() == many.documents());
}

TEST_F(RedisSinkTest, ReplicasAreRetry) {
  auto sink = sink_for(config_for(server_.url()));
  server_.ask({"REPLICAOF", "127.0.0.1", "1"});
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("replica"));
  server_.ask({"CONFIG", "SET", "replica-serve-stale-data", "no"});
  EXPECT_THAT(failure(*sink).error.what, HasSubstr("MASTERDOWN"));
  server_.ask({"REPLICAOF", "NO", "ONE"});
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
}

TEST_F(RedisSinkTest, TooFewReplicasAreRetry) {
  auto sink = sink_for(config_for(server_.url()));
  server_.ask({"CONFIG", "SET", "min-replicas-to-write", "1"});
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("min-replicas-to-write"));
}

// hiredis would allocate memory for all of them.
TEST(RedisTroubleTest, AReplyThatClaimsBillionsOfElementsIsNotBelieved) {
  TempDir directory;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  directory.file("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  std::thread server([listener] {
    const int client = accept(listener, nullptr, nullptr);
    const std::string_view reply = "*2147483647\r\n";
    EXPECT_EQ(send(client, reply.data(), reply.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(reply.size()));
    char buffer[64];
    while (recv(client, buffer, sizeof(buffer), 0) > 0) {
    }
    close(client);
  });
  auto link = RedisLink::open(*RedisEndpoint::parse("unix://" + directory.file("socket")),
                              Clock::now() + std::chrono::seconds(5));
  ASSERT_FALSE(link);
  EXPECT_THAT(link.error().what, HasSubstr("could not understand"));
  server.join();
  close(listener);
}

TEST(RedisTroubleTest, ADiskThatCannotBeSavedToIsRetry) {
  RedisServer server({"--save", "3600 1"});
  // A directory in place of the dump: saving fails, even for root.
  std::filesystem::create_directories(server.file("dump.rdb") + "/x");
  auto sink = sink_for(config_for(server.url()));
  Events events;
  events.add(1);
  events.add(2);
  ASSERT_TRUE(deliver_all(*sink, events.span().first(1)));
  server.ask({"BGSAVE"});
  ASSERT_TRUE(wait_for(std::chrono::seconds(10), [&] {
    return server.ask({"INFO", "persistence"}).find("rdb_last_bgsave_status:err") !=
           std::string::npos;
  }));
  Progress progress(2);
  const auto delivery = sink->deliver(events.span(), in_seconds(5), progress);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry);
  EXPECT_THAT(delivery.error().error.what, HasSubstr("MISCONF"));
  EXPECT_THAT(delivery.error().error.what, HasSubstr("disk"));
  std::filesystem::remove_all(server.file("dump.rdb"));
  server.ask({"SAVE"});
  ASSERT_TRUE(deliver_all(*sink, events.span()));
}

TEST(RedisTroubleTest, LoadingIsRetryAndPasses) {
  RedisServer server({"--appendonly", "yes", "--aof-use-rdb-preamble", "no",
                      "--loading-process-events-interval-bytes", "1024", "--key-load-delay",
                      "500"});
  auto sink = sink_for(config_for(server.url()));
  Events events;
  for (int i = 0; i < 2000; ++i) events.add(i, 500);
  ASSERT_TRUE(deliver_all(*sink, events.span().first(1999)));
  server.stop();
  server.launch();
  Progress progress(1);
  const auto delivery = sink->deliver(events.span().subspan(1999), in_seconds(5), progress);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry);
  EXPECT_THAT(delivery.error().error.what, HasSubstr("LOADING"));
  ASSERT_TRUE(deliver_all(*sink, events.span().subspan(1999)));
  std::vector<std::string> documents;
  for (auto& [id, document] : server.entries(kStream)) documents.push_back(std::move(document));
  EXPECT_TRUE(documents == events.documents());
}

TEST_F(RedisSinkTest, AKeyOfAnotherTypeIsFatal) {
  server_.ask({"SET", kStream, "text"});
  auto sink = sink_for(config_for(server_.url()));
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("not a stream"));
  EXPECT_THAT(error.error.what, HasSubstr(kStream));
}

TEST_F(RedisSinkTest, AKeyThatChangesItsTypeIsFatal) {
  auto sink = sink_for(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  server_.ask({"SET", kStream, "text"});
  const DeliveryError error = failure(*sink, events_.span().subspan(5));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("WRONGTYPE"));
}

TEST_F(RedisSinkTest, AnotherWritersStreamIsRefusedAtStart) {
  SHOWS("redis.stream");
  server_.ask({"XADD", "fixed", "*", "a", "b"});
  RedisConfig config = config_for(server_.url());
  config.stream.fallback = "fixed";
  auto sink = sink_for(config);
  const auto checked = sink->check(SourceState{Lsn{5000}}, in_seconds(5));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("beyond the database's WAL position 5000"));
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_EQ(progress_.durable_count(), 0u);
}

TEST_F(RedisSinkTest, AnotherWritersStreamIsRefusedWhenItsNameIsKnown) {
  server_.ask({"XADD", kStream, "*", "a", "b"});
  auto sink = sink_for(config_for(server_.url()));
  EXPECT_TRUE(sink->check(SourceState{Lsn{5000}}, in_seconds(5)));
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("another program"));
  EXPECT_EQ(progress_.durable_count(), 0u);
}

TEST_F(RedisSinkTest, AWriterThatComesLaterIsNoticed) {
  auto sink = sink_for(config_for(server_.url()));
  EXPECT_TRUE(sink->check(SourceState{Lsn{5000}}, in_seconds(5)));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  server_.ask({"XADD", kStream, "*", "a", "b"});
  const DeliveryError error = failure(*sink, events_.span().subspan(5));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_EQ(progress_.durable_count(), 0u);
}

TEST_F(RedisSinkTest, AWriterThatComesLaterIsNoticedWhileTheNextTransactionWaits) {
  RedisConfig config = config_for(server_.url());
  config.pipeline = 2;
  auto sink = sink_for(config);
  EXPECT_TRUE(sink->check(SourceState{Lsn{5000}}, in_seconds(5)));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(2)));
  server_.ask({"XADD", kStream, "*", "a", "b"});
  const DeliveryError error = failure(*sink, events_.span().subspan(2));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("another program"));
  EXPECT_EQ(progress_.durable_count(), 0u);
  EXPECT_EQ(documents().size(), 2u);
}

// A database restored to an earlier point writes the same positions again later.
TEST_F(RedisSinkTest, AnotherHistoryOfTheDatabaseIsNoticed) {
  Events lost(1050), events(1000);
  for (int i = 0; i < 3; ++i) lost.add(i), lost.next_transaction();
  for (int i = 0; i < 6; ++i) events.add(i), events.next_transaction();
  std::vector<Event> later(events.span().begin(), events.span().end());
  for (Event& event : later) event.commit_time += 60'000'000;
  for (const size_t pipeline : {1000, 1}) {
    for (const bool trimmed : {false, true}) {
      server_.ask({"FLUSHALL"});
      ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), lost.span()));
      if (trimmed) server_.ask({"XTRIM", kStream, "MAXLEN", "0"});
      RedisConfig config = config_for(server_.url());
      config.pipeline = pipeline;
      auto sink = sourced_sink(config);
      const DeliveryError error = failure(*sink, later);
      EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
      EXPECT_EQ(error.event, 0u);
      EXPECT_THAT(error.error.what, HasSubstr("another server or timeline"));
      EXPECT_THAT(error.error.what, HasSubstr("1000-0"));
      EXPECT_THAT(error.error.what, HasSubstr(kStream));
      EXPECT_EQ(progress_.durable_count(), 0u);
    }
  }
}

TEST_F(RedisSinkTest, AnEntryWithTheSameIdAndOtherBytesIsAFault) {
  for (const bool has_document : {true, false}) {
    server_.ask({"FLUSHALL"});
    RedisConfig config = config_for(server_.url());
    if (!has_document) config.fields = {"op", "key"};
    ASSERT_TRUE(deliver_all(*sourced_sink(config), events_.span().first(5)));
    std::vector<Event> events(events_.span().begin(), events_.span().end());
    std::string other(events[2].document);
    other[events[2].key_span.begin + 6] = 'X';
    events[2].document = other;
    auto sink = sourced_sink(config);
    const DeliveryError error = failure(*sink, events);
    EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
    EXPECT_EQ(error.event, 2u);
    EXPECT_THAT(error.error.what, HasSubstr("another entry with the id of the event 1000-2"));
    EXPECT_THAT(error.error.what, HasSubstr(kStream));
    EXPECT_EQ(documents().size(), has_document ? 5u : 0u);
    EXPECT_EQ(server_.ask({"XLEN", kStream}), "5");
  }
}

// The field may stand anywhere, and the entry may have other fields.
TEST_F(RedisSinkTest, AnEntryIsKnownByItsDocument) {
  RedisConfig config = config_for(server_.url());
  config.fields = {"op", "data"};
  ASSERT_TRUE(deliver_all(*sourced_sink(config), events_.span().first(5)));
  config.fields = {"data", "key", "id"};
  ASSERT_TRUE(deliver_all(*sourced_sink(config), events_.span()));
  EXPECT_EQ(documents(), events_.documents());
}

TEST_F(RedisSinkTest, AMissingEntryIsNotBelievedWithoutAPosition) {
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), events_.span().first(7)));
  server_.ask({"XTRIM", kStream, "MAXLEN", "0"});
  server_.ask({"DEL", kPositions});
  auto sink = sourced_sink(config_for(server_.url()));
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("no record says"));
  EXPECT_EQ(progress_.durable_count(), 0u);
}

// Programs that delete processed entries do so at any time and in any order.
TEST_F(RedisSinkTest, ConsumersMayDeleteWhatTheyProcessed) {
  Events events;
  for (int i = 0; i < 30; ++i) {
    events.add(i);
    if (i % 4 == 3) events.next_transaction();
  }
  for (const size_t pipeline : {1000, 7, 1}) {
    server_.ask({"FLUSHALL"});
    RedisConfig config = config_for(server_.url());
    config.pipeline = pipeline;
    for (size_t done = 5; done <= 30; done += 5) {
      ASSERT_TRUE(deliver_all(*sourced_sink(config), events.span().first(done)));
      EXPECT_EQ(documents().back(), events.documents()[done - 1]);
      for (const auto& [id, document] : server_.entries(kStream)) {
        if (id.back() % 3 != 0 || done % 2 == 0) server_.ask({"XDEL", kStream, id});
      }
    }
  }
}

// Two live copies of one server have the same identity. The ids and times of one lie between those
// of the other.
TEST_F(RedisSinkTest, AnEventThatNeverCameIsNotBelievedGone) {
  for (const size_t pipeline : {1000, 1}) {
    server_.ask({"FLUSHALL"});
    RedisConfig config = config_for(server_.url());
    config.pipeline = pipeline;
    std::vector<Event> others;
    for (const size_t i : {0, 1, 2, 5, 6}) others.push_back(events_.span()[i]);
    ASSERT_TRUE(deliver_all(*sourced_sink(config), others));
    const DeliveryError error = failure(*sourced_sink(config));
    EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
    EXPECT_THAT(error.error.what, HasSubstr("never had it"));
    EXPECT_THAT(error.error.what, HasSubstr(kStream));
    EXPECT_LE(progress_.durable_count(), 3u);
    EXPECT_EQ(documents().size(), 5u);
    // Entries deleted or trimmed before that id explain nothing.
    server_.ask({"XDEL", kStream, "1000-1"});
    server_.ask({"XTRIM", kStream, "MINID", "1000-1"});
    EXPECT_THAT(failure(*sourced_sink(config)).error.what, HasSubstr("never had it"));
    server_.ask({"XDEL", kStream, "1000-5"});
    ASSERT_TRUE(deliver_all(*sourced_sink(config), events_.span()));
    EXPECT_EQ(documents().back(), events_.documents().back());
  }
}

// A position may be ahead of the entries if its transaction was partly rejected, and the process
// died before it saw that.
TEST_F(RedisSinkTest, APositionIsNotBelievedWhereAnotherProgramAddedAfterIt) {
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), events_.span().first(5)));
  server_.ask({"XADD", kStream, "*", "a", "b"});
  server_.ask({"HSET", kPositions, kStream, "1000-9 1700000000123456 " + kSource.identity});
  server_.ask({"XTRIM", kStream, "MAXLEN", "0"});
  auto sink = sourced_sink(config_for(server_.url()));
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_EQ(progress_.durable_count(), 0u);
}

// The foreign entry between ours is gone when the sink looks for it, and later ones of ours were
// added.
TEST_F(RedisSinkTest, APositionIsTakenBackWhereTheTransactionWasPartlyRefused) {
  for (const size_t pipeline : {1000, 2}) {
    server_.ask({"FLUSHALL"});
    RedisConfig config = config_for(server_.url());
    config.pipeline = pipeline;
    auto sink = sourced_sink(config);
    ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
    server_.ask({"XADD", kStream, "1000-5", "a", "b"});
    server_.ask({"XDEL", kStream, "1000-5"});
    for (int attempt = 0; attempt < 3; ++attempt) {
      const DeliveryError error = failure(*sink, events_.span().subspan(5));
      EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
      EXPECT_EQ(error.event, 0u);
      EXPECT_EQ(progress_.durable_count(), 0u);
      EXPECT_THAT(server_.ask({"HGET", kPositions, kStream}), HasSubstr("1000-4 "));
    }
    EXPECT_EQ(failure(*sourced_sink(config), events_.span()).event, 5u);
    EXPECT_EQ(progress_.durable_count(), 0u + (pipeline == 2 ? 4 : 0));
  }
}

TEST_F(RedisSinkTest, AStreamBelongsToOneSource) {
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), events_.span().first(5)));
  const SourceState other{Lsn{}, false, "7000000000000000001 walspout_crm crm"};
  Events later(5000);
  later.add(1);
  auto stranger = sourced_sink(config_for(server_.url()), other);
  const DeliveryError error = failure(*stranger, later.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("walspout_orders shop"));
  EXPECT_THAT(error.error.what, HasSubstr("{database} or {pipeline}"));
  EXPECT_THAT(error.error.what, HasSubstr("HDEL walspout:positions"));
  EXPECT_EQ(documents().size(), 5u);
  // `check` reports it if the name is known.
  RedisConfig fixed = config_for(server_.url());
  fixed.stream.fallback = kStream;
  const auto checked = sink_for(fixed)->check(other, in_seconds(5));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  // An operator lets another source have the stream.
  server_.ask({"HDEL", kPositions, kStream});
  ASSERT_TRUE(deliver_all(*stranger, later.span()));
  EXPECT_EQ(documents().size(), 6u);
}

TEST_F(RedisSinkTest, CheckWritesNothing) {
  RedisConfig config = config_for(server_.url());
  config.stream.fallback = "fixed";
  sourced_sink(config);
  EXPECT_EQ(server_.ask({"DBSIZE"}), "0");
}

TEST_F(RedisSinkTest, AForwarderThatWasAwayLearnsWhatAnotherOneDelivered) {
  auto first = sourced_sink(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*first, events_.span().first(2)));
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), events_.span().first(8)));
  server_.ask({"XTRIM", kStream, "MAXLEN", "0"});
  first->idle();
  ASSERT_TRUE(deliver_all(*first, events_.span()));
  EXPECT_EQ(documents().size(), 2u);
}

TEST_F(RedisSinkTest, MessagesWithoutATimeAreOfTheHistoryOfWhatCameBefore) {
  Events events;
  for (int i = 0; i < 6; ++i) {
    events.add(i);
    events.next_transaction();
  }
  std::vector<Event> mixed(events.span().begin(), events.span().end());
  for (const size_t i : {0, 3, 5}) mixed[i].commit_time = 0;
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), mixed));
  server_.ask({"XTRIM", kStream, "MAXLEN", "0"});
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), mixed));
  for (Event& event : mixed) event.commit_time += event.commit_time ? 60'000'000 : 0;
  EXPECT_EQ(failure(*sourced_sink(config_for(server_.url())), mixed).event, 1u);
}

TEST_F(RedisSinkTest, TensOfThousandsThatComeAgainAreComparedInPipelines) {
  Events many;
  for (int i = 0; i < 40'000; ++i) many.add(i, 300);
  const auto all = [&](Sink& sink) {
    for (size_t i = 0; i < many.size(); i += 8000) {
      if (!deliver_all(sink, many.span().subspan(i, 8000), 60)) return false;
    }
    return true;
  };
  ASSERT_TRUE(all(*sourced_sink(config_for(server_.url()))));
  server_.ask({"CONFIG", "RESETSTAT"});
  ASSERT_TRUE(all(*sourced_sink(config_for(server_.url()))));
  const std::string stats = server_.ask({"INFO", "commandstats"});
  EXPECT_THAT(stats, HasSubstr("cmdstat_xrange:calls=40000,"));
  EXPECT_THAT(stats, testing::Not(HasSubstr("cmdstat_xadd")));
  EXPECT_TRUE(documents() == many.documents());
}

TEST_F(RedisSinkTest, APositionGoesWithItsEntries) {
  auto sink = sourced_sink(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  EXPECT_EQ(server_.ask({"HGET", kPositions, kStream}),
            "1000-0 1700000000123456 " + kSource.identity);
  server_.ask({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(failure(*sink).error.kind, ErrorKind::kRetry);
  EXPECT_THAT(server_.ask({"HGET", kPositions, kStream}), HasSubstr("1000-0 "));
  server_.ask({"CONFIG", "SET", "maxmemory", "0"});
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_THAT(server_.ask({"HGET", kPositions, kStream}), HasSubstr("1000-9 "));
}

TEST_F(RedisSinkTest, PositionsThatAreNoHashAreFatal) {
  server_.ask({"SET", kPositions, "text"});
  auto sink = sourced_sink(config_for(server_.url()));
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr(kPositions));
  EXPECT_EQ(server_.ask({"EXISTS", kStream}), "0");
  server_.ask({"HSET", kPositions + std::string("x"), kStream, "text"});
  server_.ask({"RENAME", kPositions + std::string("x"), kPositions});
  EXPECT_EQ(failure(*sink).error.kind, ErrorKind::kFatal);
}

TEST_F(RedisSinkTest, AStreamThatWasDeletedByHandBeginsAgain) {
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), events_.span().first(5)));
  server_.ask({"DEL", kStream});
  ASSERT_TRUE(deliver_all(*sourced_sink(config_for(server_.url())), events_.span().subspan(3)));
  EXPECT_EQ(documents().size(), 7u);
}

TEST_F(RedisSinkTest, ResendsThatWereTrimmedMeanwhileAreNoOtherHistory) {
  RedisConfig config = config_for(server_.url());
  config.pipeline = 3;
  ASSERT_TRUE(deliver_all(*sourced_sink(config), events_.span().first(7)));
  server_.ask({"XTRIM", kStream, "MAXLEN", "0"});
  ASSERT_TRUE(deliver_all(*sourced_sink(config), events_.span()));
  EXPECT_EQ(documents().size(), 3u);
}

TEST_F(RedisSinkTest, ATableThatIsNoLongerSentIsNoOtherHistory) {
  ASSERT_TRUE(deliver_all(*sink_for(config_for(server_.url())), events_.span().first(7)));
  std::vector<Event> others;
  for (const size_t i : {3, 4, 5, 7, 8, 9}) others.push_back(events_.span()[i]);
  ASSERT_TRUE(deliver_all(*sink_for(config_for(server_.url())), others));
  EXPECT_EQ(documents().size(), 10u);
}

TEST_F(RedisSinkTest, AnotherForwarderOfTheSameSlotIsNoForeigner) {
  for (const size_t pipeline : {1000, 2}) {
    server_.ask({"FLUSHALL"});
    RedisConfig config = config_for(server_.url());
    config.pipeline = pipeline;
    auto sink = sink_for(config);
    ASSERT_TRUE(deliver_all(*sink, events_.span().first(2)));
    ASSERT_TRUE(deliver_all(*sink_for(config), events_.span()));
    ASSERT_TRUE(deliver_all(*sink, events_.span()));
    EXPECT_EQ(documents(), events_.documents());
  }
}

TEST_F(RedisSinkTest, WithoutTransactionsNothingIsAdded) {
  SHOWS("redis.username");
  SHOWS("redis.password");
  server_.ask({"ACL", "SETUSER", "spout", "on", ">p", "~*", "+@all", "-multi"});
  RedisConfig config = config_for(server_.url());
  config.username = "spout";
  config.password = Secret("p");
  const DeliveryError error = failure(*sink_for(config));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("+multi"));
  EXPECT_TRUE(documents().empty());
}

// If a stream has continued without an event, the event cannot be added. That does not prove that
// it is there.
TEST_F(RedisSinkTest, ADeadLetterBelowTheTopIsLookedForAndRejected) {
  ASSERT_TRUE(deliver_all(*sink_for(config_for(server_.url())), events_.span().subspan(3, 3)));
  auto sink = sink_for(config_for(server_.url()));
  ASSERT_TRUE(sink->check(SourceState{Lsn{}, true}, in_seconds(5)));
  EXPECT_TRUE(deliver_all(*sink, events_.span().subspan(4, 1)));  // in the stream already
  const DeliveryError error = failure(*sink, events_.span().subspan(2, 1));
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_THAT(error.error.what, HasSubstr("--to"));
  EXPECT_EQ(progress_.durable_count(), 0u);
  EXPECT_TRUE(deliver_all(*sink, events_.span().subspan(8, 1)));  // beyond the top
  EXPECT_EQ(failure(*sink, events_.span().subspan(7, 1)).error.kind, ErrorKind::kReject);
  EXPECT_EQ(documents().size(), 4u);
}

TEST_F(RedisSinkTest, SaysOnceThatRedisCameBackEmpty) {
  auto sink = sink_for(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  server_.lose_everything();
  const DeliveryError error = failure(*sink, events_.span().subspan(5));
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("appendonly"));
  EXPECT_THAT(error.error.what, HasSubstr("1000-4"));
  Progress progress(5);
  ASSERT_TRUE(sink->deliver(events_.span().subspan(5), in_seconds(5), progress));
  EXPECT_EQ(documents().size(), 5u);
}

TEST_F(RedisSinkTest, AnEventThatRedisCannotTakeIsRejected) {
  server_.ask({"CONFIG", "SET", "proto-max-bulk-len", "1048576"});
  auto sink = sink_for(config_for(server_.url()));
  Events events;
  events.add(1);
  events.add(1);
  events.add(1, 8u << 20);
  events.add(1);
  ASSERT_TRUE(deliver_all(*sink, events.span().first(1)));
  const DeliveryError error = failure(*sink, events.span().subspan(1));
  EXPECT_EQ(error.error.kind, ErrorKind::kReject) << error.error.message();
  EXPECT_EQ(error.event, 1u);
  EXPECT_THAT(error.error.what, HasSubstr("proto-max-bulk-len"));
}

TEST_F(RedisSinkTest, UsersAndTheirRights) {
  server_.ask({"ACL", "SETUSER", "spout", "on", ">p@ss/word", "~walspout:*", "+multi", "+exec",
               "+xadd", "+xrange", "+xinfo", "+hset", "+hsetnx", "+hmget", "+select"});
  RedisConfig config = config_for(server_.url());
  config.username = "spout";
  config.password = Secret("p@ss/word");
  auto sink = sink_for(config);
  EXPECT_TRUE(sink->check(kSource, in_seconds(5)));
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  ASSERT_TRUE(deliver_all(*sink_for(config_for("unix://spout:p%40ss%2Fword@" + server_.socket())),
                          events_.span()));

  config.stream.fallback = "elsewhere";
  const DeliveryError forbidden = failure(*sink_for(config));
  EXPECT_EQ(forbidden.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(forbidden.error.what, HasSubstr("ACL SETUSER"));

  config.password = Secret("geheim");
  const DeliveryError wrong = failure(*sink_for(config));
  EXPECT_EQ(wrong.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(wrong.error.message(), testing::Not(HasSubstr("geheim")));
}

// Also for a stream whose name depends on the event.
TEST_F(RedisSinkTest, CheckFindsTheRightsThatAreMissing) {
  const std::vector<std::string> needed = {"+multi", "+exec",   "+xadd",  "+xrange", "+xinfo",
                                           "+hset",  "+hsetnx", "+hmget", "+select"};
  RedisConfig config = config_for(server_.url());
  config.username = "spout";
  config.password = Secret("p");
  const auto check = [&](std::vector<std::string> rights) {
    server_.ask({"ACL", "DELUSER", "spout"});
    std::vector<std::string> words = {"ACL", "SETUSER", "spout", "on", ">p", "~walspout:*"};
    words.insert(words.end(), rights.begin(), rights.end());
    EXPECT_EQ(server_.ask(words), "OK");
    return sink_for(config)->check(kSource, in_seconds(5));
  };
  const auto all = check(needed);
  EXPECT_TRUE(all) << all.error().message();
  for (size_t i = 0; i + 1 < needed.size(); ++i) {
    std::vector<std::string> rights = needed;
    rights.erase(rights.begin() + static_cast<ptrdiff_t>(i));
    const auto checked = check(rights);
    ASSERT_FALSE(checked) << needed[i];
    EXPECT_EQ(checked.error().kind, ErrorKind::kFatal) << needed[i];
    EXPECT_THAT(checked.error().what, HasSubstr(needed[i])) << needed[i];
  }
  config.stream.fallback = "elsewhere";
  EXPECT_FALSE(check(needed));
  EXPECT_EQ(server_.ask({"DBSIZE"}), "0");
}

TEST_F(RedisSinkTest, CheckFindsAReplica) {
  server_.ask({"REPLICAOF", "127.0.0.1", "1"});
  const auto checked = sink_for(config_for(server_.url()))->check(kSource, in_seconds(5));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kRetry);
  EXPECT_THAT(checked.error().what, HasSubstr("replica"));
}

TEST(RedisTroubleTest, CheckFindsACluster) {
  RedisServer server({"--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port())});
  server.ask({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"});
  ASSERT_TRUE(wait_for(std::chrono::seconds(20), [&] {
    return server.ask({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos;
  }));
  const auto checked = sink_for(config_for(server.url()))->check(kSource, in_seconds(5));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("clusters are not supported"));
}

TEST_F(RedisSinkTest, APasswordThatIsMissingIsFatal) {
  server_.ask({"CONFIG", "SET", "requirepass", "geheim"});
  const DeliveryError error = failure(*sink_for(config_for(server_.url())));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("NOAUTH"));
  auto sink = sink_for(config_for("redis://:geheim@127.0.0.1:" + std::to_string(server_.port())));
  EXPECT_THAT(sink->endpoint(), testing::Not(HasSubstr("geheim")));
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
}

TEST_F(RedisSinkTest, EachAddressOfANameIsTried) {
  const SilentPort silent("127.0.0.2", server_.port());
  set_addresses("redis.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  RedisConfig config = config_for("redis://redis.test:" + std::to_string(server_.port()));
  auto sink = sink_for(config);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(documents(), events_.documents());
  set_addresses("redis.test", {"127.0.0.2", "127.0.0.3"});
  config.connect_timeout = Milliseconds(400);
  const DeliveryError error = failure(*sink_for(config));
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("127.0.0.2: no answer in time"));
  EXPECT_THAT(error.error.what, HasSubstr("127.0.0.3: Connection refused"));
}

// Users without a password may use any password. For others the error says that theirs is missing.
TEST_F(RedisSinkTest, AUserWithoutAPasswordIsThatUser) {
  server_.ask({"ACL", "SETUSER", "spout", "on", "nopass", "~*", "+@all"});
  server_.ask({"ACL", "SETUSER", "default", "off"});
  RedisConfig config = config_for("redis://127.0.0.1:" + std::to_string(server_.port()));
  config.username = "spout";
  auto sink = sink_for(config);
  Progress progress(10);
  const auto delivery = sink->deliver(events_.span(), in_seconds(5), progress);
  EXPECT_TRUE(delivery) << delivery.error().error.message();
  config.username = "other";
  const DeliveryError error = failure(*sink_for(config));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("username"));
}

TEST_F(RedisSinkTest, PipelineBoundsATransaction) {
  RedisConfig config = config_for(server_.url());
  config.pipeline = 3;
  auto sink = sink_for(config);
  ASSERT_TRUE(sink->check({}, in_seconds(5)));
  server_.ask({"CONFIG", "RESETSTAT"});
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(documents(), events_.documents());
  EXPECT_THAT(server_.ask({"INFO", "commandstats"}), HasSubstr("cmdstat_exec:calls=4,"));
}

TEST_F(RedisSinkTest, ReconnectsUnnoticedAfterBeingCutOff) {
  auto sink = sink_for(config_for(server_.url()));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  server_.ask({"CLIENT", "KILL", "TYPE", "normal"});
  Progress progress(5);
  EXPECT_TRUE(sink->deliver(events_.span().subspan(5), in_seconds(5), progress));
  EXPECT_EQ(documents(), events_.documents());
}

#ifdef WALSPOUT_REDIS_TLS

TEST(RedisTlsTest, TrustsWhomItIsTold) {
  SHOWS("redis.tls.verify");
  SHOWS("redis.tls.ca_file");
  TempDir directory;
  Process openssl;
  ASSERT_TRUE(
      openssl.start({{"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                      "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                      "-keyout", directory.file("key"), "-out", directory.file("cert")},
                     {},
                     directory.file("log"),
                     "openssl"}));
  ASSERT_TRUE(wait_for(std::chrono::seconds(20), [&] { return !openssl.running(); }));
  const std::string port = std::to_string(free_port());
  RedisServer server({"--tls-port", port, "--tls-cert-file", directory.file("cert"),
                      "--tls-key-file", directory.file("key"), "--tls-auth-clients", "no"});
  RedisConfig config = config_for("rediss://localhost:" + port);
  config.tls.ca_file = directory.file("cert");
  Events events;
  for (int i = 0; i < 2000; ++i) events.add(i, 500);
  events.add(1, 5u << 20);
  auto sink = sink_for(config);
  ASSERT_TRUE(deliver_all(*sink, events.span()));
  std::vector<std::string> documents;
  for (auto& [id, document] : server.entries(kStream)) documents.push_back(std::move(document));
  EXPECT_TRUE(documents == events.documents());

  const auto failure = [&](const RedisConfig& bad) {
    const auto checked = sink_for(bad)->check({}, in_seconds(5));
    EXPECT_FALSE(checked);
    return checked ? Error() : checked.error();
  };
  RedisConfig stranger = config;
  stranger.tls.ca_file.clear();
  EXPECT_EQ(failure(stranger).kind, ErrorKind::kRetry);
  EXPECT_THAT(failure(stranger).what, HasSubstr("ca_file"));
  RedisConfig other_name = config;
  other_name.url = Secret("rediss://127.0.0.1:" + port);
  EXPECT_EQ(failure(other_name).kind, ErrorKind::kRetry);
  other_name.tls.verify = false;
  EXPECT_TRUE(sink_for(other_name)->check({}, in_seconds(5)));
  RedisConfig missing = config;
  missing.tls.ca_file = directory.file("none");
  EXPECT_EQ(failure(missing).kind, ErrorKind::kFatal);
  // A freeze in the middle of the delivery.
  server.freeze();
  Progress progress(events.size());
  const TimePoint begin = Clock::now();
  ASSERT_FALSE(sink->deliver(events.span(), in_seconds(0.5), progress));
  EXPECT_LT(Clock::now() - begin, Milliseconds(1000));
  server.thaw();
  ASSERT_TRUE(deliver_all(*sink, events.span()));
}

TEST(RedisTlsTest, EachFaultHasItsRemedy) {
  for (const TlsFault& fault : tls_faults()) {
    const TlsServer server(fault);
    RedisConfig config = config_for("rediss://localhost:" + std::to_string(server.port()));
    config.tls.ca_file = server.ca_file();
    Error error;
    EXPECT_TRUE(wait_for(std::chrono::seconds(20), [&] {
      const auto checked = sink_for(config)->check({}, in_seconds(5));
      error = checked ? Error() : checked.error();
      return error.what.find(fault.remedy) != std::string::npos;
    })) << error.what;
    EXPECT_EQ(error.kind, ErrorKind::kRetry);
  }
}

TEST(RedisTlsTest, TheHostIsNamedAlsoWhereItIsNotVerified) {
  const TlsServer server(TlsFault{});
  RedisConfig config = config_for("rediss://localhost:" + std::to_string(server.port()));
  config.tls.verify = false;
  EXPECT_FALSE(sink_for(config)->check({}, in_seconds(5)));  // it is no Redis
  EXPECT_THAT(read_file(server.file("names")), HasSubstr("localhost"));
}

#else

TEST(RedisTlsTest, IsRefusedWhereTheLibraryHasNone) {
  const auto made = RedisSink::create(config_for("rediss://localhost"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(made.error().what, HasSubstr("hiredis 1.0"));
}

#endif

TEST(RedisStreamsTest, SinksThatCanFillOneStreamAreFound) {
  const auto common = [](const std::string& url, const std::string& other_url,
                         const std::string& stream = "s", const std::string& other_stream = "s") {
    RedisConfig one = config_for(url), other = config_for(other_url);
    one.stream.fallback = stream;
    other.stream.fallback = other_stream;
    return RedisSink::common_stream(one, other);
  };
  for (const char* same : {"redis://localhost", "redis://LOCALHOST:6379/0", "redis://[::1]/",
                           "redis://u:p@127.0.0.1", "rediss://localhost"}) {
    EXPECT_EQ(common("redis://127.0.0.1:6379", same), "s") << same;
  }
  for (const char* other : {"redis://localhost:6380", "redis://localhost/1", "redis://example.com",
                            "unix:///run/redis.sock"}) {
    EXPECT_EQ(common("redis://127.0.0.1:6379", other), std::nullopt) << other;
  }
  EXPECT_EQ(common("unix:///r", "unix:///r?db=0"), "s");
  EXPECT_EQ(common("unix:///r", "unix:///r?db=1"), std::nullopt);
  EXPECT_EQ(common("redis://h", "redis://h", "{schema}.x", "public.{table}"), "public.x");
}

TEST(RedisEndpointTest, UnderstandsUrls) {
  auto full = RedisEndpoint::parse("redis://me:p%3Aw@example.com:1234/5");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->host, "example.com");
  EXPECT_EQ(full->port, 1234);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password.reveal(), "p:w");
  EXPECT_EQ(full->database, 5);
  EXPECT_EQ(full->name(), "redis://example.com:1234");
  EXPECT_EQ(full->database_name(), "redis://example.com:1234/5");
  auto v6 = RedisEndpoint::parse("rediss://[::1]:7000");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 7000);
  EXPECT_TRUE(v6->tls);
  EXPECT_EQ(v6->database_name(), v6->name());
  auto local = RedisEndpoint::parse("unix:///run/redis.sock?db=2");
  ASSERT_TRUE(local);
  EXPECT_EQ(local->unix_socket, "/run/redis.sock");
  EXPECT_EQ(local->database, 2);
  EXPECT_EQ(local->database_name(), "unix:///run/redis.sock?db=2");
}

TEST(RedisEndpointTest, RefusesOtherUrlsWithoutRepeatingThem) {
  for (const char* bad :
       {"geheim", "http://geheim@x", "redis://:geheim@", "redis://geheim@x", "redis://x:geheim",
        "redis://:geheim@x:1/y", "unix://geheim", "redis://:geheim@x:99999"}) {
    const auto parsed = RedisEndpoint::parse(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kFatal);
    EXPECT_THAT(parsed.error().what, testing::Not(HasSubstr("geheim")));
    EXPECT_THAT(parsed.error().what, HasSubstr("redis://"));
  }
}

TEST(RedisErrorsTest, EachHasAKindAndARemedy) {
  const auto kind = [](std::string_view reply) { return redis_error(reply, "s", "w").kind; };
  EXPECT_EQ(kind("LOADING Redis is loading the dataset in memory"), ErrorKind::kRetry);
  EXPECT_EQ(kind("MISCONF Redis is configured to save RDB snapshots"), ErrorKind::kRetry);
  EXPECT_EQ(kind("EXECABORT Transaction discarded because of: OOM command not allowed"),
            ErrorKind::kRetry);
  EXPECT_EQ(kind("MOVED 1234 10.0.0.1:6379"), ErrorKind::kFatal);
  EXPECT_EQ(kind("ERR unknown command 'XADD'"), ErrorKind::kFatal);
  EXPECT_EQ(kind("ERR max number of clients reached"), ErrorKind::kRetry);
  EXPECT_EQ(kind("ERR something new"), ErrorKind::kRetry);
  EXPECT_THAT(redis_error("LOADING x", "s", "w").what, HasSubstr("this passes"));
  EXPECT_THAT(redis_error("MISCONF x", "s", "w").what, HasSubstr("disk"));
}

TEST(RedisErrorsTest, DoNotRepeatArguments) {
  const Error error =
      redis_error("ERR unknown command 'AUTH', with args beginning with: 'me' 'geheim'", "", "w");
  EXPECT_THAT(error.what, testing::Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace walspout::test
