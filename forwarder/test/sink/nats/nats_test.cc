#include "sink/nats/nats.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "sink/sinks.h"
#include "test/sink/certificates.h"
#include "test/sink/contract.h"
#include "test/sink/names.h"
#include "test/sink/nats/nats_keys.h"
#include "test/sink/nats/nats_server.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kStream = "changes";
constexpr const char* kSubjects = "walspout.>";
constexpr const char* kSubject = "walspout.public.orders";

std::unique_ptr<Sink> sink_for(const NatsConfig& config) {
  auto made = NatsSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::move(*made) : nullptr;
}

NatsConfig config_for(const std::string& url) {
  NatsConfig config;
  config.servers = {Secret(url)};
  config.connect_timeout = Milliseconds(20'000);  // the machine may be busy
  return config;
}

class NatsHarness final : public Harness {
 public:
  NatsHarness() { NatsClient(server_.url()).add_stream(kStream, kSubjects); }

  std::unique_ptr<Sink> make_sink() override { return sink_for(config_for(server_.url())); }
  std::vector<std::string> received() override { return NatsClient(server_.url()).bodies(kStream); }
  void start_server() override { server_.start(); }
  void stop_server() override { server_.stop(); }
  void freeze_server() override { server_.freeze(); }
  void thaw_server() override { server_.thaw(); }

 private:
  NatsProcess server_;
};

std::unique_ptr<Harness> make_nats_harness() {
  return std::make_unique<NatsHarness>();
}

INSTANTIATE_TEST_SUITE_P(Nats, SinkContract, testing::Values(&make_nats_harness));

class NatsSinkTest : public testing::Test {
 protected:
  NatsSinkTest() {
    for (int i = 0; i < 10; ++i) events_.add(i);
  }

  // A server with this configuration, and a stream.
  void start(const std::string& more = "", const std::string& who = "") {
    server_ = std::make_unique<NatsProcess>(more);
    config_ = config_for(server_->url());
    client_ = std::make_unique<NatsClient>(server_->url(who));
    client_->add_stream(kStream, kSubjects);
  }

  DeliveryError failure(Sink& sink, std::span<const Event> events, double seconds = 20) {
    progress_ = Progress(events.size());
    const auto delivery = sink.deliver(events, in_seconds(seconds), progress_);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  DeliveryError failure(Sink& sink) { return failure(sink, events_.span()); }
  void expect_each_once() { EXPECT_EQ(client_->bodies(kStream), events_.documents()); }

  std::unique_ptr<NatsProcess> server_;
  std::unique_ptr<NatsClient> client_;
  NatsConfig config_;
  Events events_;
  Progress progress_{0};
};

TEST_F(NatsSinkTest, MessagesCarryTheEvents) {
  SHOWS("nats.servers");
  SHOWS("nats.subject");
  start();
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  const auto messages = client_->messages(kStream);
  ASSERT_EQ(messages.size(), 10u);
  EXPECT_EQ(messages[3].body, events_.documents()[3]);
  EXPECT_EQ(messages[3].subject, kSubject);
  EXPECT_EQ(messages[3].headers,
            (std::map<std::string, std::string>{{"Nats-Msg-Id", "1000-3"},
                                                {"id", "1000-3"},
                                                {"op", "c"},
                                                {"schema", "public"},
                                                {"table", "orders"},
                                                {"ts", "2023-11-14T22:13:20.123456Z"}}));
}

TEST_F(NatsSinkTest, OddNamesMakeSubjectsOfTheirOwn) {
  start();
  static const Table odd{"a.b", "c *>%\nd"};
  Events events;
  events.add(1);
  Event event = events.span()[0];
  event.index = 1;
  event.table = &odd;
  events.add(event, "{\"odd\":1}");
  event.index = 2;
  event.table = nullptr;
  event.op = 'm';
  event.set_prefix("mail");
  events.add(event, "{\"message\":1}");
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink, events.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_EQ(error.event, 2u);
  EXPECT_THAT(error.error.what, HasSubstr("\"message\""));
  config_.subject.tables = {{"message", "walspout.messages"}};
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span().subspan(2)));
  const auto messages = client_->messages(kStream);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[1].subject, "walspout.a%2Eb.c%20%2A%3E%25%0Ad");
  EXPECT_EQ(messages[1].headers.at("table"), "c *>%25%0Ad");
  EXPECT_EQ(messages[2].subject, "walspout.messages");
  EXPECT_EQ(messages[2].headers.at("prefix"), "mail");
}

TEST_F(NatsSinkTest, TablesHaveSubjectsOfTheirOwn) {
  SHOWS("nats.subject");
  SHOWS("nats.unmapped");
  start();
  config_.subject.tables = {{"public.orders", "walspout.mine.{op}"}};
  config_.subject.fallback.reset();
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(client_->messages(kStream).at(0).subject, "walspout.mine.c");
  config_.subject.tables = {{"public.others", "walspout.mine.{op}"}};
  EXPECT_EQ(failure(*sink_for(config_)).error.kind, ErrorKind::kReject);
  config_.subject.unmapped = Unmapped::kDrop;
  Progress progress(10);
  EXPECT_TRUE(sink_for(config_)->deliver(events_.span(), in_seconds(20), progress));
  EXPECT_EQ(progress.dropped_count(), 10u);
}

TEST_F(NatsSinkTest, SchemasHaveASubjectOfTheirOwn) {
  SHOWS("nats.schemas_to");
  start();
  config_.subject.schemas = "walspout.schemas.{table}";
  Events events;
  events.add_schema(0xab);
  events.add(1);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  const auto messages = client_->messages(kStream);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].subject, "walspout.schemas.orders");
  EXPECT_EQ(messages[0].headers.at("Nats-Msg-Id"), "1000-s00000000000000ab");
  EXPECT_EQ(messages[1].subject, kSubject);
}

TEST_F(NatsSinkTest, TheStreamDropsRepeats) {
  start();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  expect_each_once();
}

// Two sources of one stream may have events with the same id.
TEST_F(NatsSinkTest, SourcesThatShareAStreamHavePrefixes) {
  SHOWS("nats.id_prefix");
  start();
  for (const char* prefix : {"", "shop:", "mail:"}) {
    config_.id_prefix = prefix;
    ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  }
  const auto messages = client_->messages(kStream);
  ASSERT_EQ(messages.size(), 30u);
  EXPECT_EQ(messages[13].headers.at("Nats-Msg-Id"), "shop:1000-3");
  EXPECT_EQ(messages[13].headers.at("id"), "1000-3");
}

TEST(NatsConfigTest, SourcesThatShareAStreamAreNoticed) {
  NatsConfig a = config_for("nats://h:1");
  NatsConfig b = config_for("tls://u:p@h:1");
  EXPECT_THAT(NatsSink::common_place(a, b).value(), HasSubstr("subject"));
  b.subject.fallback = "other.{table}";
  EXPECT_FALSE(NatsSink::common_place(a, b));
  a.create_stream = b.create_stream = NatsStreamConfig{"s"};
  EXPECT_THAT(NatsSink::common_place(a, b).value(), HasSubstr("\"s\""));
  b.id_prefix = "b";
  EXPECT_FALSE(NatsSink::common_place(a, b));
  b.id_prefix = "";
  b.servers = {Secret("nats://h:2")};
  EXPECT_FALSE(NatsSink::common_place(a, b));
}

TEST_F(NatsSinkTest, UnconfirmedBoundsWhatIsUnderWay) {
  SHOWS("nats.unconfirmed");
  start();
  config_.unconfirmed = 3;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  expect_each_once();
  client_->purge(kStream);
  client_->add_stream("small", "small.*", [](jsStreamConfig& config) {
    config.MaxMsgs = 1;
    config.Discard = js_DiscardNew;
  });
  config_.unconfirmed = 1;
  config_.subject.fallback = "small.{table}";
  EXPECT_EQ(failure(*sink_for(config_)).event, 1u);
}

TEST_F(NatsSinkTest, AMissingStreamIsFatalWithTheCommand) {
  start();
  config_.subject.fallback = "elsewhere.{schema}.{table}";
  auto sink = sink_for(config_);
  const auto checked = sink->check({}, in_seconds(20));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("nats stream add"));
  EXPECT_THAT(checked.error().what, HasSubstr("--subjects 'elsewhere.*.*'"));
  EXPECT_EQ(failure(*sink).error.scope(), Scope::kConfiguration);
  client_->add_stream("elsewhere", "elsewhere.>");
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(client_->bodies("elsewhere"), events_.documents());
}

TEST_F(NatsSinkTest, AStreamThatGoesAwayIsNoticed) {
  start();
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  client_->delete_stream(kStream);
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal) << error.error.message();
  EXPECT_THAT(error.error.what, HasSubstr(kSubject));
  EXPECT_THAT(error.error.what, HasSubstr("nats stream add"));
  EXPECT_EQ(progress_.durable_count(), 0u);
  client_->add_stream(kStream, kSubjects);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  expect_each_once();
}

TEST_F(NatsSinkTest, AStreamThatTakesOtherSubjectsIsNamed) {
  start();
  client_->add_stream("some", "some.public.others");
  config_.subject.fallback = "some.{schema}.{table}";
  auto sink = sink_for(config_);
  ASSERT_TRUE(sink->check({}, in_seconds(20)));
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("some.public.orders"));
}

TEST_F(NatsSinkTest, AStreamOfOursIsMadeAndMadeAgain) {
  SHOWS("nats.create_stream.name");
  SHOWS("nats.create_stream.subjects");
  SHOWS("nats.create_stream.storage");
  SHOWS("nats.create_stream.replicas");
  SHOWS("nats.create_stream.retention");
  SHOWS("nats.create_stream.discard");
  SHOWS("nats.create_stream.max_bytes");
  SHOWS("nats.create_stream.max_messages");
  SHOWS("nats.create_stream.max_message_size");
  SHOWS("nats.create_stream.max_age");
  SHOWS("nats.create_stream.duplicate_window");
  start();
  config_.subject.fallback = "own.{schema}.{table}";
  config_.create_stream = NatsStreamConfig{"own"};
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(client_->bodies("own"), events_.documents());
  client_->with_stream("own", [](const jsStreamInfo& info) {
    EXPECT_STREQ(info.Config->Subjects[0], "own.*.*");
    EXPECT_EQ(info.Config->Duplicates, 600'000'000'000);
    EXPECT_EQ(info.Config->Storage, js_FileStorage);
  });

  config_.subject.fallback = "rich.{schema}.{table}";
  config_.create_stream = NatsStreamConfig{
      "rich", {"rich.>", "richer.>"}, "memory", "interest", "new", 1, 1u << 20, 500,
      10'000, Milliseconds(60'000)};
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  client_->with_stream("rich", [](const jsStreamInfo& info) {
    EXPECT_EQ(info.Config->SubjectsLen, 2);
    EXPECT_EQ(info.Config->Storage, js_MemoryStorage);
    EXPECT_EQ(info.Config->Retention, js_InterestPolicy);
    EXPECT_EQ(info.Config->Discard, js_DiscardNew);
    EXPECT_EQ(info.Config->Replicas, 1);
    EXPECT_EQ(info.Config->MaxBytes, 1 << 20);
    EXPECT_EQ(info.Config->MaxMsgs, 500);
    EXPECT_EQ(info.Config->MaxMsgSize, 10'000);
    EXPECT_EQ(info.Config->MaxAge, 60'000'000'000);
    EXPECT_EQ(info.Config->Duplicates, 60'000'000'000);  // no longer than max_age
  });
  client_->delete_stream("rich");
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry) << error.error.message();
  EXPECT_THAT(error.error.what, HasSubstr("re-created"));
  EXPECT_TRUE(deliver_all(*sink, events_.span()));
}

TEST_F(NatsSinkTest, StreamsThatCannotBeMadeAreFatal) {
  start();
  config_.create_stream = NatsStreamConfig{"another"};
  const DeliveryError overlap = failure(*sink_for(config_));
  EXPECT_EQ(overlap.error.kind, ErrorKind::kFatal) << overlap.error.message();
  EXPECT_THAT(overlap.error.what, HasSubstr("overlap"));
  config_.subject.fallback = "own.{table}";
  config_.create_stream->replicas = 3;
  const DeliveryError replicas = failure(*sink_for(config_));
  EXPECT_EQ(replicas.error.kind, ErrorKind::kFatal) << replicas.error.message();
  EXPECT_THAT(replicas.error.what, HasSubstr("cluster"));
}

TEST_F(NatsSinkTest, AStreamMayHaveAnyName) {
  start();
  for (const std::string name : {"error", "seq"}) {
    client_->add_stream(name, name + ".*");
    config_.subject.fallback = name + ".{table}";
    ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
    EXPECT_EQ(client_->bodies(name), events_.documents());
  }
}

TEST_F(NatsSinkTest, AFullStreamIsRetry) {
  start();
  for (const bool bytes : {false, true}) {
    const std::string name = bytes ? "bytes" : "messages";
    client_->add_stream(name, name + ".*", [&](jsStreamConfig& config) {
      if (bytes) config.MaxBytes = 1500;
      if (!bytes) config.MaxMsgs = 4;
      config.Discard = js_DiscardNew;
    });
    config_.subject.fallback = name + ".{table}";
    auto sink = sink_for(config_);
    const DeliveryError error = failure(*sink);
    EXPECT_EQ(error.error.scope(), Scope::kDestination) << error.error.message();
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
    EXPECT_THAT(error.error.what, HasSubstr("max_"));
    EXPECT_TRUE(progress_.is_done(0));
    EXPECT_FALSE(progress_.is_done(9));
    const size_t done = progress_.durable_count();
    EXPECT_EQ(error.event, done);
    EXPECT_EQ(client_->bodies(name).size(), done);
    client_->purge(name);
    Progress progress(1);
    EXPECT_TRUE(sink->deliver(events_.span().subspan(done, 1), in_seconds(20), progress));
    if (bytes) continue;
    // One at a time, until as many have passed as may have been in flight.
    client_->purge(name);
    EXPECT_GT(failure(*sink, events_.span().subspan(done)).event, 0u);
    const auto bodies = client_->bodies(name);
    for (size_t i = 0; i < bodies.size(); ++i) {
      EXPECT_EQ(bodies[i], events_.documents()[done + 1 + i]);
    }
  }
}

TEST_F(NatsSinkTest, WhatTheServerCannotTakeIsRejected) {
  start("max_payload: 1000\n");
  Events events;
  events.add(1);
  events.add(1, 1000);
  events.add(1);
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink, events.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kReject) << error.error.message();
  EXPECT_EQ(error.event, 1u);
  EXPECT_THAT(error.error.what, HasSubstr("max_payload, 1000"));
  EXPECT_TRUE(progress_.is_done(0));
  EXPECT_FALSE(progress_.is_done(2));
  ASSERT_TRUE(deliver_all(*sink, events.span().subspan(2)));
  EXPECT_THAT(client_->bodies(kStream), ElementsAre(events.documents()[0], events.documents()[2]));
}

TEST_F(NatsSinkTest, WhatTheStreamCannotTakeIsRejected) {
  start();
  client_->add_stream("small", "small.*", [](jsStreamConfig& config) { config.MaxMsgSize = 1000; });
  config_.subject.fallback = "small.{table}";
  Events events;
  events.add(1);
  events.add(1, 1000);
  events.add(1);
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink, events.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kReject) << error.error.message();
  EXPECT_EQ(error.event, 1u);
  EXPECT_THAT(error.error.what, HasSubstr("max_msg_size"));
  ASSERT_TRUE(deliver_all(*sink, events.span().subspan(2)));
}

TEST_F(NatsSinkTest, RightsThatAreMissingAreNamed) {
  SHOWS("nats.inbox_prefix");
  start(R"(authorization { users: [
    {user: all, password: x}
    {user: mute, password: x, permissions: {publish: {allow: ["$JS.API.>"]}}}
    {user: deaf, password: x, permissions: {subscribe: {allow: ["_MINE.>"]}}}
    {user: blind, password: x, permissions: {publish: {allow: ["walspout.>"]}}}
  ]})",
        "all:x@");
  config_.password = Secret("x");
  config_.user = "mute";
  const DeliveryError mute = failure(*sink_for(config_));
  EXPECT_EQ(mute.error.kind, ErrorKind::kFatal) << mute.error.message();
  EXPECT_THAT(mute.error.what, HasSubstr(kSubject));
  EXPECT_THAT(mute.error.what, HasSubstr("allow the user to publish"));
  config_.user = "deaf";
  const DeliveryError deaf = failure(*sink_for(config_));
  EXPECT_EQ(deaf.error.kind, ErrorKind::kFatal) << deaf.error.message();
  EXPECT_THAT(deaf.error.what, HasSubstr("inbox_prefix"));
  config_.inbox_prefix = "_MINE";
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  expect_each_once();
  // A user without rights on streams may publish, and only then learns that one is missing.
  config_.inbox_prefix = "_INBOX";
  config_.user = "blind";
  auto blind = sink_for(config_);
  ASSERT_TRUE(blind->check({}, in_seconds(20)));
  EXPECT_THAT(blind->warnings(), ElementsAre(HasSubstr("STREAM.NAMES")));
  ASSERT_TRUE(deliver_all(*blind, events_.span()));
  client_->delete_stream(kStream);
  const DeliveryError gone = failure(*blind);
  EXPECT_EQ(gone.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(gone.error.what, HasSubstr("nats stream add"));
}

// A key may be a name or an address, and errors go to the log.
TEST_F(NatsSinkTest, ValuesOfKeysAreNotPrinted) {
  start(R"(authorization { users: [
    {user: all, password: x}
    {user: mute, password: x, permissions: {publish: {allow: ["$JS.API.>"]}}}
  ]})",
        "all:x@");
  config_.user = "all";
  config_.password = Secret("x");
  Events events;
  events.add_with_key(R"({"mail":"geheim@example.com"})");
  const auto expect_hidden = [&](const std::string& shown) {
    const DeliveryError error = failure(*sink_for(config_), events.span());
    EXPECT_THAT(error.error.what, HasSubstr(shown));
    EXPECT_THAT(error.error.what, Not(HasSubstr("geheim")));
  };
  // Errors of the server.
  config_.subject.fallback = "walspout.{table}.{key}";
  config_.user = "mute";
  expect_hidden("walspout.orders.***");
  config_.user = "all";
  // No stream has the subject; one rejects the message.
  client_->add_stream("some", "some.orders.none");
  config_.subject.fallback = "some.{table}.{key}";
  expect_hidden("some.orders.***");
  client_->add_stream("small", "small.>", [](jsStreamConfig& config) { config.MaxMsgSize = 10; });
  config_.subject.fallback = "small.{table}.{key}";
  expect_hidden("small.orders.***");
  // The subject is invalid.
  events = Events();
  events.add_with_key(R"({"mail":"geheim)" + std::string(1100, 'x') + R"("})");
  expect_hidden("small.orders.***");
}

TEST_F(NatsSinkTest, UsersAndTheirPasswords) {
  SHOWS("nats.user");
  SHOWS("nats.password");
  start(
      "authorization { users: [ {user: me, password: \"ge\\\"heim\"}, {user: a, password: x} ] }\n",
      "a:x@");
  const DeliveryError unknown = failure(*sink_for(config_));
  EXPECT_EQ(unknown.error.kind, ErrorKind::kFatal) << unknown.error.message();
  EXPECT_THAT(unknown.error.what, HasSubstr("no user"));
  config_.user = "me";
  config_.password = Secret("falsch");
  const DeliveryError wrong = failure(*sink_for(config_));
  EXPECT_EQ(wrong.error.kind, ErrorKind::kFatal) << wrong.error.message();
  EXPECT_THAT(wrong.error.what, HasSubstr("user \"me\""));
  EXPECT_THAT(wrong.error.message(), Not(HasSubstr("falsch")));
  config_.password = Secret("ge\"heim");
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  config_.user.clear();
  config_.password = Secret();
  config_.servers = {Secret(server_->url("me:ge%22heim@"))};
  auto by_url = sink_for(config_);
  EXPECT_THAT(std::string(by_url->endpoint()), Not(HasSubstr("heim")));
  ASSERT_TRUE(deliver_all(*by_url, events_.span()));
  expect_each_once();
}

TEST_F(NatsSinkTest, TokensAndNkeys) {
  SHOWS("nats.token");
  SHOWS("nats.nkey");
  start("authorization { token: hushhush }\n", "hushhush@");
  config_.token = Secret("wrongwrong");
  const DeliveryError wrong = failure(*sink_for(config_));
  EXPECT_EQ(wrong.error.kind, ErrorKind::kFatal) << wrong.error.message();
  EXPECT_THAT(wrong.error.message(), Not(HasSubstr("wrongwrong")));
  config_.token = Secret("hushhush");
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));

  const NatsKey key('U');
  const NatsKey other('U');
  start("authorization { users: [ {nkey: " + key.open + "}, {user: a, password: x} ] }\n", "a:x@");
  config_.nkey = Secret(other.seed);
  const DeliveryError stranger = failure(*sink_for(config_));
  EXPECT_EQ(stranger.error.kind, ErrorKind::kFatal) << stranger.error.message();
  EXPECT_THAT(stranger.error.what, HasSubstr(other.open));
  EXPECT_THAT(stranger.error.message(), Not(HasSubstr(other.seed)));
  config_.nkey = Secret(key.seed);
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  expect_each_once();
}

TEST_F(NatsSinkTest, CredentialsSignForTheirJwt) {
  SHOWS("nats.credentials");
  const NatsKey chief('O');
  const NatsKey system('A');
  const NatsKey account('A');
  const NatsKey user('U');
  const std::string unlimited =
      "\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":-1,\"imports\":-1,\"exports\":-1,"
      "\"wildcards\":true,\"conn\":-1,\"leaf\":-1,\"mem_storage\":-1,\"disk_storage\":-1,"
      "\"streams\":-1,\"consumer\":-1},\"type\":\"account\"";
  const std::string plain =
      "\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":-1,\"imports\":-1,\"exports\":-1,"
      "\"wildcards\":true,\"conn\":-1,\"leaf\":-1},\"type\":\"account\"";
  server_ = std::make_unique<NatsProcess>(
      "operator: " + make_nats_jwt(chief, chief.open, "\"type\":\"operator\"") +
      "\nsystem_account: " + system.open + "\nresolver: MEMORY\nresolver_preload: {\n  " +
      system.open + ": " + make_nats_jwt(chief, system.open, plain) + "\n  " + account.open + ": " +
      make_nats_jwt(chief, account.open, unlimited) + "\n}\n");
  config_ = config_for(server_->url());
  config_.create_stream = NatsStreamConfig{kStream};
  EXPECT_EQ(failure(*sink_for(config_)).error.kind, ErrorKind::kFatal);
  const std::string jwt = make_nats_jwt(
      account, user.open,
      "\"pub\":{},\"sub\":{},\"subs\":-1,\"data\":-1,\"payload\":-1,\"type\":\"user\"");
  const std::string path = server_->file("user.creds");
  write_file(path, "-----BEGIN NATS USER JWT-----\n" + jwt +
                       "\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n"
                       "-----BEGIN USER NKEY SEED-----\n" +
                       user.seed + "\n------END USER NKEY SEED------\n");
  config_.credentials = Secret::from_file(path).value();
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_TRUE(sink->check({}, in_seconds(20)));
}

TEST_F(NatsSinkTest, APasswordInAFileMayChange) {
  const auto with = [](const std::string& password) {
    return "authorization { user: me, password: " + password + " }\n";
  };
  start(with("first"), "me:first@");
  const std::string path = server_->file("password");
  write_file(path, "first\n");
  config_.user = "me";
  config_.password = Secret::from_file(path).value();
  SinkConfig config = sink_config("nats");
  config.options = config_;
  const std::unique_ptr<Sink> sink = std::move(make_sink(config).value());
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  server_->stop();
  server_->configure(with("second"));
  server_->start();
  DeliveryError error;
  ASSERT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    error = failure(*sink, events_.span().subspan(5));
    return error.error.scope() == Scope::kConfiguration;
  }));
  write_file(path, "second\n");
  error = failure(*sink, events_.span().subspan(5));
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.message(), Not(HasSubstr("second")));
  EXPECT_TRUE(deliver_all(*sink, events_.span().subspan(5)));
  client_ = std::make_unique<NatsClient>(server_->url("me:second@"));
  expect_each_once();
}

class NatsTlsTest : public NatsSinkTest {
 protected:
  // A server with the certificate that has the fault.
  void start_with(const TlsFault& fault) {
    make_certificate(
        {files_.file("cert"), files_.file("key"), fault.name, fault.from_day, fault.to_day});
    std::string tls = "tls { cert_file: \"" + files_.file("cert") + "\", key_file: \"" +
                      files_.file("key") + "\"";
    if (fault.asks_for_client) tls += ", ca_file: \"" + files_.file("cert") + "\", verify: true";
    server_ = std::make_unique<NatsProcess>(tls + " }\n");
    config_ = config_for("tls://localhost:" + std::to_string(server_->port()));
    config_.create_stream = NatsStreamConfig{kStream};
    config_.tls.ca_file = files_.file("cert");
    if (fault.other_ca) {
      make_certificate({files_.file("other"), files_.file("other.key")});
      config_.tls.ca_file = files_.file("other");
    }
  }

  TempDir files_;
};

TEST_F(NatsTlsTest, EachFaultHasItsRemedy) {
  for (const TlsFault& fault : tls_faults()) {
    SCOPED_TRACE(fault.what);
    start_with(fault);
    const DeliveryError error = failure(*sink_for(config_));
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
    EXPECT_THAT(error.error.what, HasSubstr(fault.remedy));
  }
}

TEST_F(NatsTlsTest, TrustsAndShowsWhatItIsTold) {
  SHOWS("nats.tls.ca_file");
  SHOWS("nats.tls.cert_file");
  SHOWS("nats.tls.key_file");
  SHOWS("nats.tls.verify");
  TlsFault client;
  client.asks_for_client = true;
  start_with(client);
  config_.tls.cert_file = files_.file("cert");
  config_.tls.key_file = files_.file("key");
  Events events;
  for (int i = 0; i < 20; ++i) events.add(i, i % 5 == 0 ? 3'000'000 : 200);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events.span(), 60));
  ASSERT_TRUE(deliver_all(*sink, events.span(), 60));
  // A server that requires TLS gets TLS with any URL.
  config_.servers = {Secret("nats://localhost:" + std::to_string(server_->port()))};
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span(), 60));
  config_.tls.ca_file.clear();
  EXPECT_THAT(failure(*sink_for(config_)).error.what, HasSubstr("ca_file"));
  config_.tls.verify = false;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span(), 60));
  config_.tls.ca_file = "/nonexistent";
  EXPECT_EQ(failure(*sink_for(config_)).error.kind, ErrorKind::kFatal);
}

TEST_F(NatsSinkTest, NothingIsSaidWithoutTlsWhereItIsInsistedOn) {
  start();
  config_.servers = {Secret("tls://127.0.0.1:" + std::to_string(server_->port()))};
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("no TLS"));
}

TEST_F(NatsSinkTest, AServerThatDiesIsFollowedByTheNext) {
  SHOWS("nats.servers");
  start();
  NatsProcess second;
  NatsClient there(second.url());
  there.add_stream(kStream, kSubjects);
  config_.servers = {Secret("nats://127.0.0.1:" + std::to_string(free_port())),
                     Secret(server_->url()), Secret(second.url())};
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  server_->stop();
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(5)));
  EXPECT_EQ(there.bodies(kStream).size(), 5u);
  second.stop();
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  for (const Secret& server : config_.servers) {
    EXPECT_THAT(error.error.message(), HasSubstr(server.reveal()));
  }
}

TEST_F(NatsSinkTest, AServerThatIsAboutToEndIsLeft) {
  start();
  NatsProcess second;
  NatsClient there(second.url());
  there.add_stream(kStream, kSubjects);
  config_.servers = {Secret(server_->url()), Secret(second.url())};
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  server_->signal(SIGUSR2);  // lame duck mode
  ASSERT_TRUE(wait_for(std::chrono::seconds(20),
                       [&] { return server_->log().find("ame duck") != std::string::npos; }));
  // The server tells its clients a moment after it has logged this, and ends after ten seconds.
  EXPECT_TRUE(wait_for(std::chrono::seconds(8), [&] {
    return deliver_all(*sink, events_.span().subspan(5)) && there.bodies(kStream).size() == 5u;
  }));
}

TEST_F(NatsSinkTest, EachAddressOfANameIsTried) {
  start();
  const SilentPort silent("127.0.0.2", server_->port());
  set_addresses("nats.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  config_.servers = {Secret("nats://nats.test:" + std::to_string(server_->port()))};
  config_.connect_timeout = Milliseconds(6'000);
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span(), 60));
  expect_each_once();
}

TEST_F(NatsSinkTest, AServerThatSaysNothingIsNotWaitedFor) {
  SHOWS("nats.connect_timeout");
  const Listener silent;
  config_ = config_for("nats://127.0.0.1:" + std::to_string(silent.port()));
  config_.connect_timeout = Milliseconds(300);
  const TimePoint begin = Clock::now();
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("said nothing"));
  EXPECT_GE(Clock::now() - begin, Milliseconds(290));
  EXPECT_LT(Clock::now() - begin, Milliseconds(10'000));
}

TEST_F(NatsSinkTest, AServerThatDoesNotAnswerPingsIsGivenUp) {
  SHOWS("nats.heartbeat");
  start();
  config_.heartbeat = std::chrono::seconds(1);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  server_->freeze();
  EXPECT_THAT(failure(*sink, events_.span(), 0.3).error.what, HasSubstr("in time"));
  EXPECT_THAT(failure(*sink, events_.span(), 20).error.what, HasSubstr("pings"));
  server_->thaw();
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  expect_each_once();
}

TEST_F(NatsSinkTest, PingsKeepAnIdleConnection) {
  start("ping_interval: \"1s\"\nping_max: 1\n");
  config_.heartbeat = std::chrono::seconds(1);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(Milliseconds(400));
    sink->idle();
  }
  // At the first attempt: the server closes connections that leave its pings unanswered.
  Progress progress(9);
  EXPECT_TRUE(sink->deliver(events_.span().subspan(1), in_seconds(20), progress));
  expect_each_once();
}

TEST_F(NatsSinkTest, AcknowledgementsThatNeverComeAreNotWaitedForForEver) {
  SHOWS("nats.ack_timeout");
  start();
  client_->add_stream("mute", "mute.*", [](jsStreamConfig& config) { config.NoAck = true; });
  config_.subject.fallback = "mute.{table}";
  config_.ack_timeout = Milliseconds(500);
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("ack_timeout"));
  EXPECT_EQ(progress_.durable_count(), 0u);
  const auto checked = sink->check({}, in_seconds(20));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr("no_ack"));
}

void answer_nonsense(natsConnection* connection, natsSubscription*, natsMsg* message, void*) {
  natsConnection_PublishString(connection, natsMsg_GetReply(message), "hello");
  natsMsg_Destroy(message);
}

TEST_F(NatsSinkTest, AnotherProgramsAnswerIsNoAcknowledgement) {
  start();
  client_->add_stream("mute", "mute.*", [](jsStreamConfig& config) { config.NoAck = true; });
  natsSubscription* subscription = nullptr;
  ASSERT_EQ(natsConnection_Subscribe(&subscription, client_->connection(), "mute.*",
                                     &answer_nonsense, nullptr),
            NATS_OK);
  natsConnection_Flush(client_->connection());
  config_.subject.fallback = "mute.{table}";
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("another program"));
  EXPECT_EQ(progress_.durable_count(), 0u);
  natsSubscription_Destroy(subscription);
}

TEST_F(NatsSinkTest, AServerWithoutJetStreamIsFatal) {
  server_ = std::make_unique<NatsProcess>("", "", false);
  config_ = config_for(server_->url());
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal) << error.error.message();
  EXPECT_THAT(error.error.what, HasSubstr("-js"));
}

TEST_F(NatsSinkTest, DomainsAreAskedByName) {
  SHOWS("nats.domain");
  server_ = std::make_unique<NatsProcess>("", "domain: hub\n");
  config_ = config_for(server_->url());
  config_.create_stream = NatsStreamConfig{kStream};
  config_.domain = "spoke";
  EXPECT_THAT(failure(*sink_for(config_)).error.what, HasSubstr("domain"));
  config_.domain = "hub";
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
}

TEST_F(NatsSinkTest, ChecksWarnOfStreamsThatLoseOrRepeat) {
  start();
  client_->add_stream("risky", "risky.*", [](jsStreamConfig& config) {
    config.Storage = js_MemoryStorage;
    config.MaxMsgs = 10;
    config.MaxMsgSize = 1000;
    config.Duplicates = 5'000'000'000;
  });
  config_.subject.fallback = "risky.{table}";
  auto sink = sink_for(config_);
  ASSERT_TRUE(sink->check({}, in_seconds(20)));
  EXPECT_THAT(sink->warnings(),
              ElementsAre(HasSubstr("--dupe-window"), HasSubstr("only 10 messages"),
                          HasSubstr("max_msg_size"), HasSubstr("memory")));
  config_.subject.fallback = "walspout.{table}";
  auto safe = sink_for(config_);
  ASSERT_TRUE(safe->check({}, in_seconds(20)));
  EXPECT_TRUE(safe->warnings().empty());
}

// Such streams acknowledge what they drop.
TEST_F(NatsSinkTest, ChecksWarnOfStreamsThatDropUnreadMessages) {
  start();
  client_->add_stream("unread", "unread.>",
                      [](jsStreamConfig& config) { config.Retention = js_InterestPolicy; });
  client_->add_stream("last", "last.>",
                      [](jsStreamConfig& config) { config.MaxMsgsPerSubject = 1; });
  const auto warnings = [&](const std::string& subject) {
    config_.subject.fallback = subject;
    auto sink = sink_for(config_);
    EXPECT_TRUE(sink->check({}, in_seconds(20)));
    return sink->warnings();
  };
  client_->add_stream("full", "full.>", [](jsStreamConfig& config) {
    config.MaxBytes = 100'000;
    config.Discard = js_DiscardNew;
  });
  EXPECT_THAT(warnings("full.{table}"), ElementsAre(HasSubstr("unconfirmed: 1")));
  config_.unconfirmed = 1;
  EXPECT_TRUE(warnings("full.{table}").empty());
  EXPECT_THAT(warnings("unread.{table}"), ElementsAre(HasSubstr("no consumer")));
  EXPECT_THAT(warnings("last.{table}"), ElementsAre(HasSubstr("only 1 messages of each subject")));
  EXPECT_TRUE(warnings("last.{table}.{key}").empty());
}

// Events sent while the server does not read arrive once, in order, on the same connection.
TEST_F(NatsSinkTest, AServerThatDoesNotReadGetsTheRestLater) {
  start();
  auto sink = sink_for(config_);
  Events events;
  for (int i = 0; i < 12; ++i) events.add(i, i % 3 == 0 ? 9'000'000 : 200'000);
  ASSERT_TRUE(sink->check({}, in_seconds(20)));
  server_->freeze();
  // Events that are passed again have other addresses.
  {
    const Events copy = events;
    std::vector<std::string> documents = copy.documents();
    std::vector<Event> left(copy.span().begin(), copy.span().end());
    for (size_t i = 0; i < left.size(); ++i) left[i].document = documents[i];
    failure(*sink, left, 1);
    for (std::string& document : documents) std::fill(document.begin(), document.end(), '!');
  }
  EXPECT_THAT(failure(*sink, events.span(), 0.5).error.what, HasSubstr("does not read"));
  server_->thaw();
  ASSERT_TRUE(deliver_all(*sink, events.span(), 60));
  EXPECT_TRUE(client_->bodies(kStream) == events.documents());
}

// Another process may have delivered newer events meanwhile.
TEST_F(NatsSinkTest, WhatIsLetGoIsNotSentLater) {
  start();
  auto sink = sink_for(config_);
  Events events;
  for (int i = 0; i < 12; ++i) events.add(i, 9'000'000);
  ASSERT_TRUE(sink->check({}, in_seconds(20)));
  server_->freeze();
  expect_halt(*sink, events.span());
  sink->let_go();
  server_->thaw();
  sink->let_go();
  Events newer;
  newer.next_transaction();
  newer.add(1);
  ASSERT_TRUE(deliver_all(*sink_for(config_), newer.span()));
  auto bodies = client_->bodies(kStream);
  EXPECT_FALSE(testing::Value(bodies, testing::Contains(events.documents().back())));
  ASSERT_TRUE(deliver_all(*sink, events.span(), 60));
  bodies = client_->bodies(kStream);
  EXPECT_EQ(bodies.size(), 13u);
  EXPECT_TRUE(bodies.back() == events.documents().back());
}

TEST_F(NatsSinkTest, OtherEventsEndTheConnection) {
  start();
  auto sink = sink_for(config_);
  ASSERT_TRUE(sink->check({}, in_seconds(20)));
  server_->freeze();
  failure(*sink, events_.span(), 0.3);
  server_->thaw();
  // The first event was set aside meanwhile.
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1)));
  EXPECT_EQ(client_->bodies(kStream).back(), events_.documents().back());
}

TEST_F(NatsSinkTest, KillsWhileMuchIsUnderWayLoseAndRepeatNothing) {
  start();
  config_.unconfirmed = 500;
  Events events;
  for (int i = 0; i < 4000; ++i) events.add(i % 7, 300);
  bool done = false;
  std::thread deliverer([&] {
    auto sink = sink_for(config_);
    done = true;
    for (size_t i = 0; done && i < events.size(); i += 1000) {
      done = deliver_all(*sink, events.span().subspan(i, 1000), 120);
    }
  });
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(Milliseconds(30));
    server_->stop();
    server_->start();
  }
  deliverer.join();
  ASSERT_TRUE(done);
  client_ = std::make_unique<NatsClient>(server_->url());
  EXPECT_TRUE(client_->bodies(kStream) == events.documents());
}

// Each of three servers is killed in turn, the stream's leader among them: acknowledgements are
// lost, and for a while no server takes a message.
TEST_F(NatsSinkTest, AClusterLosesAndRepeatsNothingWhileItsServersDie) {
  std::vector<int> ports;
  std::string routes;
  for (int i = 0; i < 3; ++i) {
    ports.push_back(free_port());
    routes += (i == 0 ? "\"nats://127.0.0.1:" : ", \"nats://127.0.0.1:") +
              std::to_string(ports.back()) + "\"";
  }
  std::vector<std::unique_ptr<NatsProcess>> servers;
  config_.connect_timeout = Milliseconds(20'000);
  for (const int port : ports) {
    servers.push_back(std::make_unique<NatsProcess>(
        "cluster { name: test, listen: \"127.0.0.1:" + std::to_string(port) + "\", routes: [" +
        routes + "] }\n"));
    config_.servers.push_back(Secret(servers.back()->url()));
  }
  config_.create_stream = NatsStreamConfig{kStream};
  config_.create_stream->replicas = 3;
  config_.unconfirmed = 200;
  config_.ack_timeout = Milliseconds(2'000);
  auto sink = sink_for(config_);
  ASSERT_TRUE(wait_for(std::chrono::seconds(60), [&] {
    return sink->check({}, in_seconds(20)).has_value();
  })) << sink->check({}, in_seconds(20)).error().message();
  Events events;
  for (int i = 0; i < 6000; ++i) events.add(i % 7, 200);
  std::atomic<bool> over = false;
  bool done = true;
  std::thread deliverer([&] {
    for (size_t i = 0; done && i < events.size(); i += 500) {
      done = deliver_all(*sink, events.span().subspan(i, 500), 120);
      std::this_thread::sleep_for(Milliseconds(100));
    }
    over = true;
  });
  for (size_t i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(Milliseconds(300));
    servers[i]->stop();
    std::this_thread::sleep_for(Milliseconds(500));
    servers[i]->start();
    // The other servers have a majority only once this one has caught up.
    std::this_thread::sleep_for(Milliseconds(2000));
  }
  deliverer.join();
  ASSERT_TRUE(done && over);
  std::vector<std::string> bodies;
  ASSERT_TRUE(wait_for(std::chrono::seconds(60), [&] {
    bodies = NatsClient(servers[0]->url()).bodies(kStream);
    return bodies.size() >= events.size();
  }));
  EXPECT_TRUE(bodies == events.documents());
}

TEST(NatsConfigTest, WhatIsWrongAtFirstSightIsFatal) {
  const auto wrong = [](const NatsConfig& config) {
    const auto made = NatsSink::create(config);
    EXPECT_FALSE(made);
    return made ? "" : made.error().message();
  };
  EXPECT_THAT(wrong(NatsConfig()), HasSubstr("servers"));
  NatsConfig config = config_for("nats://127.0.0.1");
  for (const char* subject : {"a.*", "a.>", "a b", "a..{table}", ".a", "a.", "{nonsense}"}) {
    config.subject.fallback = subject;
    EXPECT_THAT(wrong(config), HasSubstr("subject")) << subject;
  }
  config = config_for("nats://127.0.0.1");
  config.subject.tables = {{"message", "walspout.{schema}.m"}};
  EXPECT_THAT(wrong(config), HasSubstr("between two dots"));
  config = config_for("nats://127.0.0.1");
  config.nkey = Secret("/etc/nats/seed.nk");
  EXPECT_THAT(wrong(config), HasSubstr("file:PATH"));
  config.nkey = Secret();
  config.unconfirmed = 0;
  EXPECT_THAT(wrong(config), HasSubstr("unconfirmed"));
}

}  // namespace
}  // namespace walspout::test
