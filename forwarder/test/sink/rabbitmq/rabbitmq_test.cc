#include "sink/rabbitmq/rabbitmq.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#if __has_include(<rabbitmq-c/tcp_socket.h>)
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_tcp_socket.h>
#endif

#include <csignal>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "sink/rabbitmq/errors.h"
#include "sink/sinks.h"
#include "test/sink/certificates.h"
#include "test/sink/contract.h"
#include "test/sink/names.h"
#include "test/sink/server_process.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kPrograms = "/usr/lib/rabbitmq/bin/";
constexpr int kAttempts = 3;
constexpr std::chrono::seconds kPatience{240};  // with programs of Erlang, on a busy machine

// A private broker: one for all tests, because it takes seconds to start. Each test has its own
// exchanges and queues.
class Broker {
 public:
  static Broker& get() {
    static std::unique_ptr<Broker> broker;
    // Another program may take a free port before the broker does: then the broker gets others.
    for (int attempt = 1; broker == nullptr; ++attempt) {
      broker.reset(new Broker());
      broker->launch();
      if (broker->process_.running() || attempt == kAttempts) break;
      std::cerr << "RabbitMQ did not start: " << read_file(broker->directory_.file("output"));
      broker.reset();
    }
    if (!broker->process_.running()) broker->start();
    return *broker;
  }

  void start() {
    launch();
    ASSERT_TRUE(process_.running()) << read_file(directory_.file("output"));
  }

  // Starts it, and waits until it can be used or has ended.
  void launch() {
    if (!epmd_.running()) {
      ASSERT_TRUE(
          epmd_.start({{"epmd", "-port", std::to_string(epmd_port_), "-address", "127.0.0.1"},
                       {},
                       directory_.file("epmd.log"),
                       "rabbitmq-server"}));
      // If it ends, as where its port is taken, the broker starts an epmd or ends, too.
      ASSERT_TRUE(wait_for(kPatience, [this] { return !epmd_.running() || accepts(epmd_port_); }));
    }
    Process::Command command;
    command.argv = {std::string(kPrograms) + "rabbitmq-server"};
    command.env = environment();
    // Without it the script would stay in between, but the broker must get the signals.
    command.env.push_back("RABBITMQ_ALLOW_INPUT=1");
    command.output = directory_.file("output");
    command.package = "rabbitmq-server";
    ASSERT_TRUE(process_.start(command));
    const bool up = wait_for(kPatience, [this] {
      return !process_.running() || (accepts(port_) && accepts(tls_port_));
    });
    ASSERT_TRUE(up) << read_file(directory_.file("output"));
  }

  // Killed: confirmed messages must be on its disk. The broker writes new queues and bindings at
  // any later time.
  void stop() {
    control({"eval", "mnesia:sync_log()."});
    process_.stop(SIGKILL);
    epmd_.stop(SIGKILL);  // the name of a killed broker stays registered there for a moment
  }
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  // rabbitmqctl.
  void control(std::vector<std::string> words) {
    words.insert(words.begin(), {std::string(kPrograms) + "rabbitmqctl", "--quiet"});
    const std::string log = directory_.file("control.log");
    write_file(log, "");
    Process process;
    ASSERT_TRUE(process.start({words, environment(), log, "rabbitmq-server"}));
    ASSERT_TRUE(wait_for(kPatience, [&] { return !process.running(); }));
    ASSERT_TRUE(process.succeeded()) << read_file(log);
  }

  // The broker believes that it is short of memory, and blocks publishers.
  void alarm() { control({"set_vm_memory_high_watermark", "absolute", "1"}); }
  void calm() { control({"set_vm_memory_high_watermark", "0.4"}); }

  // Connections of sinks.
  size_t connections() {
    control({"list_connections", "client_properties"});
    size_t count = 0;
    std::istringstream lines(read_file(directory_.file("control.log")));
    for (std::string line; std::getline(lines, line);) {
      count += line.find("\"walspout\"") != std::string::npos ? 1 : 0;
    }
    return count;
  }

  std::string url() const { return "amqp://guest:guest@127.0.0.1:" + std::to_string(port_) + "/"; }
  std::string tls_url() const {
    return "amqps://guest:guest@localhost:" + std::to_string(tls_port_) + "/";
  }
  std::string ca_file() const { return directory_.file("cert"); }
  int port() const { return port_; }

 private:
  Broker() {
    Process openssl;
    EXPECT_TRUE(
        openssl.start({{"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", directory_.file("key"), "-out", directory_.file("cert")},
                       {},
                       directory_.file("openssl.log"),
                       "openssl"}));
    EXPECT_TRUE(wait_for(std::chrono::seconds(20), [&] { return !openssl.running(); }));
    write_file(directory_.file("rabbitmq.conf"),
               "listeners.tcp.1 = 127.0.0.1:" + std::to_string(port_) +
                   "\nlisteners.ssl.1 = 127.0.0.1:" + std::to_string(tls_port_) +
                   "\nssl_options.certfile = " + directory_.file("cert") +
                   "\nssl_options.keyfile = " + directory_.file("key") +
                   "\nssl_options.verify = verify_none" +
                   "\ndisk_free_limit.absolute = 1MB\nmax_message_size = 33554432\n");
    write_file(directory_.file("plugins"), "[].");
    write_file(directory_.file("env.conf"), "");
  }

  std::vector<std::string> environment() const {
    return {"HOME=" + directory_.path(),
            "ERL_EPMD_PORT=" + std::to_string(epmd_port_),
            "ERL_EPMD_ADDRESS=127.0.0.1",
            "ERL_CRASH_DUMP_SECONDS=0",
            "RABBITMQ_NODENAME=walspout@localhost",
            "RABBITMQ_DIST_PORT=" + std::to_string(distribution_port_),
            "RABBITMQ_CONF_ENV_FILE=" + directory_.file("env.conf"),
            "RABBITMQ_CONFIG_FILE=" + directory_.file("rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE=" + directory_.file("plugins"),
            "RABBITMQ_MNESIA_BASE=" + directory_.file("data"),
            "RABBITMQ_LOG_BASE=" + directory_.file("log"),
            "RABBITMQ_PID_FILE=" + directory_.file("pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput +sbwt none +S 2:2"};
  }

  TempDir directory_;
  int port_ = free_port();
  int tls_port_ = free_port();
  int epmd_port_ = free_port();
  int distribution_port_ = free_port();
  Process epmd_;
  Process process_;
};

struct CloseConnection {
  void operator()(amqp_connection_state_t_* state) const { amqp_destroy_connection(state); }
};

// The test's own connection, for setup and checks.
class Client {
 public:
  Client() : state_(amqp_new_connection()) {
    amqp_socket_t* socket = amqp_tcp_socket_new(state_.get());
    EXPECT_EQ(amqp_socket_open(socket, "127.0.0.1", Broker::get().port()), AMQP_STATUS_OK);
    const auto reply =
        amqp_login(state_.get(), "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    EXPECT_EQ(reply.reply_type, AMQP_RESPONSE_NORMAL);
    amqp_channel_open(state_.get(), 1);
    check();
  }

  void exchange(const std::string& name, const char* type = "topic") {
    amqp_exchange_declare(state_.get(), 1, bytes(name), amqp_cstring_bytes(type), 0, 1, 0, 0,
                          amqp_empty_table);
    check();
  }

  void delete_exchange(const std::string& name) {
    amqp_exchange_delete(state_.get(), 1, bytes(name), 0);
    check();
  }

  // A durable queue; with a limit it rejects messages that do not fit.
  void queue(const std::string& name, const std::string& exchange, const std::string& key,
             int limit = 0) {
    amqp_table_entry_t arguments[2];
    arguments[0].key = amqp_cstring_bytes("x-max-length");
    arguments[0].value.kind = AMQP_FIELD_KIND_I32;
    arguments[0].value.value.i32 = limit;
    arguments[1].key = amqp_cstring_bytes("x-overflow");
    arguments[1].value.kind = AMQP_FIELD_KIND_UTF8;
    arguments[1].value.value.bytes = amqp_cstring_bytes("reject-publish");
    amqp_queue_declare(state_.get(), 1, bytes(name), 0, 1, 0, 0,
                       amqp_table_t{limit > 0 ? 2 : 0, arguments});
    check();
    amqp_queue_bind(state_.get(), 1, bytes(name), bytes(exchange), bytes(key), amqp_empty_table);
    check();
  }

  using Headers = std::map<std::string, std::string>;

  // The same at an exchange of type headers: all of these headers must match.
  void queue_of_headers(const std::string& name, const std::string& exchange,
                        const Headers& headers) {
    std::vector<amqp_table_entry_t> arguments;
    for (const auto& [key, value] : headers) {
      amqp_table_entry_t entry;
      entry.key = bytes(key);
      entry.value.kind = AMQP_FIELD_KIND_UTF8;
      entry.value.value.bytes = bytes(value);
      arguments.push_back(entry);
    }
    amqp_queue_declare(state_.get(), 1, bytes(name), 0, 1, 0, 0, amqp_empty_table);
    check();
    amqp_queue_bind(state_.get(), 1, bytes(name), bytes(exchange), bytes(""),
                    amqp_table_t{static_cast<int>(arguments.size()), arguments.data()});
    check();
  }

  struct Message {
    Headers headers;
    std::string body;
    std::string id;
    std::string routing_key;
    int delivery_mode;
    uint64_t timestamp;
  };

  // All messages of the queue; they stay there.
  std::vector<Message> messages(const std::string& queue) {
    std::vector<Message> found;
    for (;;) {
      amqp_maybe_release_buffers(state_.get());
      const auto reply = amqp_basic_get(state_.get(), 1, bytes(queue), 0);
      if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        check();
        break;
      }
      if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) break;
      const auto& ok = *static_cast<amqp_basic_get_ok_t*>(reply.reply.decoded);
      Message got;
      got.routing_key = text(ok.routing_key);
      amqp_message_t message;
      if (amqp_read_message(state_.get(), 1, &message, 0).reply_type != AMQP_RESPONSE_NORMAL) break;
      got.body = text(message.body);
      got.id = text(message.properties.message_id);
      for (int i = 0; i < message.properties.headers.num_entries; ++i) {
        const amqp_table_entry_t& entry = message.properties.headers.entries[i];
        got.headers[text(entry.key)] = text(entry.value.value.bytes);
      }
      got.delivery_mode = message.properties.delivery_mode;
      got.timestamp = message.properties.timestamp;
      amqp_destroy_message(&message);
      found.push_back(std::move(got));
    }
    return found;
  }

  void unbind(const std::string& queue, const std::string& exchange, const std::string& key) {
    amqp_queue_unbind(state_.get(), 1, bytes(queue), bytes(exchange), bytes(key), amqp_empty_table);
    check();
  }

  void purge(const std::string& queue) {
    amqp_queue_purge(state_.get(), 1, bytes(queue));
    check();
  }

 private:
  static amqp_bytes_t bytes(const std::string& text) {
    return {text.size(), const_cast<char*>(text.data())};
  }
  static std::string text(const amqp_bytes_t& from) {
    return from.len == 0 ? "" : std::string(static_cast<const char*>(from.bytes), from.len);
  }
  void check() { EXPECT_EQ(amqp_get_rpc_reply(state_.get()).reply_type, AMQP_RESPONSE_NORMAL); }

  std::unique_ptr<amqp_connection_state_t_, CloseConnection> state_;
};

std::string unique(const std::string& prefix) {
  static int count = 0;
  return prefix + std::to_string(++count);
}

std::unique_ptr<Sink> sink_for(const RabbitmqConfig& config) {
  auto made = RabbitmqSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::move(*made) : nullptr;
}

std::vector<std::string> bodies_in(const std::string& queue) {
  std::vector<std::string> bodies;
  for (Client::Message& message : Client().messages(queue)) {
    bodies.push_back(std::move(message.body));
  }
  return bodies;
}

class RabbitmqHarness final : public Harness {
 public:
  RabbitmqHarness() {
    Client client;
    client.exchange(name_);
    client.queue(name_, name_, "public.#");
  }

  std::unique_ptr<Sink> make_sink() override {
    RabbitmqConfig config;
    config.url = Secret(Broker::get().url());
    config.exchange = name_;
    return sink_for(config);
  }
  std::vector<std::string> received() override { return bodies_in(name_); }
  void start_server() override { Broker::get(); }
  void stop_server() override { Broker::get().stop(); }
  void freeze_server() override { Broker::get().freeze(); }
  void thaw_server() override { Broker::get().thaw(); }

 private:
  const std::string name_ = unique("contract");
};

std::unique_ptr<Harness> make_rabbitmq_harness() {
  return std::make_unique<RabbitmqHarness>();
}

INSTANTIATE_TEST_SUITE_P(Rabbitmq, SinkContract, testing::Values(&make_rabbitmq_harness));

class RabbitmqSinkTest : public testing::Test {
 protected:
  RabbitmqSinkTest() {
    config_.url = Secret(Broker::get().url());
    config_.exchange = name_;
    for (int i = 0; i < 10; ++i) events_.add(i);
    client_.exchange(name_);
    client_.queue(name_, name_, "public.orders.*");
  }

  DeliveryError failure(Sink& sink, std::span<const Event> events, double seconds = 10) {
    progress_ = Progress(events.size());
    const auto delivery = sink.deliver(events, in_seconds(seconds), progress_);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  DeliveryError failure(Sink& sink) { return failure(sink, events_.span()); }

  const std::string name_ = unique("sink");
  Client client_;
  RabbitmqConfig config_;
  Events events_;
  Progress progress_{0};
};

TEST_F(RabbitmqSinkTest, MessagesCarryTheEvents) {
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  const auto messages = client_.messages(name_);
  ASSERT_EQ(messages.size(), 10u);
  EXPECT_EQ(messages[3].body, events_.documents()[3]);
  EXPECT_EQ(messages[3].id, "1000-3");
  EXPECT_EQ(messages[3].routing_key, "public.orders.c");
  EXPECT_EQ(messages[3].delivery_mode, 2);
  EXPECT_EQ(messages[3].timestamp, 1'700'000'000u);
}

TEST_F(RabbitmqSinkTest, HeadersSayWhatHappenedToWhat) {
  config_.exchange = unique("headers");
  config_.declare = "headers";
  Client::Headers of_message{{"op", "m"}, {"prefix", "out\"box"}};
  client_.exchange(config_.exchange, "headers");
  client_.queue_of_headers(config_.exchange + "_inserts", config_.exchange, {{"op", "c"}});
  client_.queue_of_headers(config_.exchange + "_orders", config_.exchange,
                           {{"schema", "public"}, {"table", "orders"}});
  client_.queue_of_headers(config_.exchange + "_outbox", config_.exchange, of_message);
  client_.queue_of_headers(config_.exchange + "_messages", config_.exchange, {{"op", "m"}});
  Events events;
  events.add(1);
  Event event = events.span()[0];
  event.op = 'd';
  event.index = 1;
  events.add(event, "{\"deleted\":1}");
  event.op = 'm';
  event.table = nullptr;
  event.key_span = {};
  const std::string longest(1024, 'p');
  const std::string too_long(1025, 'p');
  for (std::string_view prefix : {std::string_view("out\"box"), std::string_view(longest),
                                  std::string_view(too_long), std::string_view()}) {
    event.index++;
    event.set_prefix(prefix);
    events.add(event, "{\"m\":" + std::to_string(event.index) + "}");
  }
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  EXPECT_EQ(bodies_in(config_.exchange + "_inserts"),
            std::vector<std::string>{events.documents()[0]});
  const auto orders = client_.messages(config_.exchange + "_orders");
  ASSERT_EQ(orders.size(), 2u);
  EXPECT_EQ(orders[0].headers,
            (Client::Headers{{"op", "c"}, {"schema", "public"}, {"table", "orders"}}));
  EXPECT_EQ(orders[1].headers.at("op"), "d");
  EXPECT_EQ(bodies_in(config_.exchange + "_outbox"), std::vector<std::string>{"{\"m\":2}"});
  const auto messages = client_.messages(config_.exchange + "_messages");
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].headers, of_message);
  EXPECT_EQ(messages[1].headers.at("prefix"), longest);
  EXPECT_EQ(messages[2].headers, (Client::Headers{{"op", "m"}}));
  EXPECT_EQ(messages[3].headers, (Client::Headers{{"op", "m"}}));
}

TEST_F(RabbitmqSinkTest, MessagesAreTransientByChoice) {
  SHOWS("rabbitmq.persistent");
  config_.persistent = false;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(client_.messages(name_).at(0).delivery_mode, 1);
}

TEST_F(RabbitmqSinkTest, UnconfirmedBoundsWhatIsUnderWay) {
  SHOWS("rabbitmq.unconfirmed");
  config_.unconfirmed = 3;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(bodies_in(name_), events_.documents());
}

TEST_F(RabbitmqSinkTest, UnroutableMessagesAreRejected) {
  SHOWS("rabbitmq.mandatory");
  config_.routing_key = Route{{{"public.lost", "nowhere"}}, "{schema}.{table}.{op}", {}};
  static const Table lost{"public", "lost"};
  Events events;
  events.add(1);
  Event stray = events.span()[0];
  stray.index = 1;
  stray.table = &lost;
  events.add(stray, "{\"stray\":" + std::string(300'000, '1') + "}");
  Event after = events.span()[0];
  after.index = 2;
  events.add(after, "{}");
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink, events.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_EQ(error.event, 1u);
  EXPECT_THAT(error.error.what, HasSubstr("\"nowhere\""));
  EXPECT_THAT(error.error.what, HasSubstr(name_));
  EXPECT_TRUE(progress_.is_done(0));
  EXPECT_FALSE(progress_.is_done(1));
  EXPECT_FALSE(progress_.is_done(2));
  // The connection continues.
  ASSERT_TRUE(deliver_all(*sink, events.span().subspan(2)));

  config_.mandatory = false;
  EXPECT_TRUE(deliver_all(*sink_for(config_), events.span().subspan(1, 1)));
}

// A key may be a name or an address, and errors go to the log.
TEST_F(RabbitmqSinkTest, ValuesOfKeysAreNotPrinted) {
  config_.routing_key.fallback = "lost.{table}.{key}";
  Events events;
  events.add_with_key(R"({"mail":"geheim@example.com"})");
  events.add_with_key(R"({"mail":"geheim)" + std::string(300, 'x') + R"("})");
  const DeliveryError unroutable = failure(*sink_for(config_), events.span());
  EXPECT_THAT(unroutable.error.what, HasSubstr("\"lost.orders.***\""));
  EXPECT_THAT(unroutable.error.what, Not(HasSubstr("geheim")));
  const DeliveryError too_long = failure(*sink_for(config_), events.span().subspan(1));
  EXPECT_EQ(too_long.error.kind, ErrorKind::kReject);
  EXPECT_THAT(too_long.error.what, Not(HasSubstr("geheim")));
}

// The broker repeats the routing key, and truncates its text after 255 bytes.
TEST_F(RabbitmqSinkTest, ValuesOfKeysAreNotRepeated) {
  Broker& broker = Broker::get();
  broker.control({"add_user", "narrow", "narrow"});
  broker.control({"set_permissions", "narrow", ".*", ".*", ".*"});
  broker.control({"set_topic_permissions", "narrow", name_, "^allowed", ".*"});
  config_.url = Secret("amqp://narrow:narrow@127.0.0.1:" + std::to_string(broker.port()) + "/");
  config_.routing_key.fallback = "lost.{table}.{key}";
  for (const size_t size : {0, 100, 220}) {
    Events events;
    events.add_with_key(R"({"mail":"geheim)" + std::string(size, 'x') + R"("})");
    const DeliveryError refused = failure(*sink_for(config_), events.span());
    EXPECT_THAT(refused.error.what, HasSubstr("lost.orders.***"));
    EXPECT_THAT(refused.error.what, Not(HasSubstr("geheim"))) << size;
  }
}

TEST_F(RabbitmqSinkTest, AFullQueueIsRetry) {
  client_.queue(name_ + "full", name_, "public.orders.c", 4);
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("queue is full"));
  EXPECT_TRUE(progress_.is_done(0));
  EXPECT_FALSE(progress_.is_done(9));
  const size_t done = progress_.durable_count();
  EXPECT_FALSE(progress_.is_done(done));
  client_.purge(name_ + "full");
  // A purged queue takes messages up to its limit again.
  Progress progress(1);
  EXPECT_TRUE(sink->deliver(events_.span().subspan(done, 1), in_seconds(5), progress));
}

// A queue that is emptied while a batch is in flight takes the batch's end, not its begin.
TEST_F(RabbitmqSinkTest, NothingOvertakesWhatIsSentAgainAfterARefusal) {
  const std::string key = "public.orders.c";
  client_.queue(name_ + "full", name_, key, 1);
  config_.unconfirmed = events_.size();
  auto sink = sink_for(config_);
  EXPECT_EQ(failure(*sink).event, 1u);
  client_.purge(name_ + "full");
  EXPECT_EQ(failure(*sink, events_.span().subspan(1)).event, 1u);
  std::vector<std::string> sent = events_.documents();
  sent.push_back(sent[1]);
  sent.push_back(sent[2]);
  EXPECT_EQ(bodies_in(name_), sent);

  // Until as many have passed as may have been in flight.
  client_.unbind(name_ + "full", name_, key);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  client_.purge(name_);
  client_.queue(name_ + "full", name_, key, 1);
  EXPECT_EQ(failure(*sink).event, 0u);
  EXPECT_EQ(bodies_in(name_), events_.documents());
}

TEST_F(RabbitmqSinkTest, AMissingExchangeIsFatalAndNamed) {
  SHOWS("rabbitmq.exchange");
  SHOWS("rabbitmq.declare");
  config_.exchange = name_ + "missing";
  auto sink = sink_for(config_);
  const auto checked = sink->check({}, in_seconds(5));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(checked.error().what, HasSubstr(config_.exchange));
  EXPECT_THAT(checked.error().what, HasSubstr("set declare"));

  config_.declare = "fanout";
  EXPECT_TRUE(sink_for(config_)->check({}, in_seconds(5)));
  config_.declare.reset();
  EXPECT_TRUE(sink_for(config_)->check({}, in_seconds(5)));
}

TEST_F(RabbitmqSinkTest, AnExchangeThatGoesAwayIsNoticed) {
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  client_.delete_exchange(name_);
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("404"));
}

// With `declare` we create it.
TEST_F(RabbitmqSinkTest, AnExchangeOfOursThatGoesAwayIsDeclaredAgain) {
  config_.declare = "topic";
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  client_.delete_exchange(name_);
  const DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry) << error.error.message();
  EXPECT_THAT(error.error.what, HasSubstr("declared again"));
  // The exchange exists, and its bindings belong to the operator.
  EXPECT_THAT(failure(*sink).error.what, HasSubstr("no queue takes messages"));
  client_.queue(name_ + "again", name_, "public.orders.*");
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(bodies_in(name_ + "again"), events_.documents());
}

TEST_F(RabbitmqSinkTest, EachAddressOfANameIsTried) {
  const std::string port = std::to_string(Broker::get().port());
  const SilentPort silent("127.0.0.2", Broker::get().port());
  set_addresses("rabbitmq.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  config_.url = Secret("amqp://guest:guest@rabbitmq.test:" + port + "/");
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(bodies_in(name_), events_.documents());
}

TEST_F(RabbitmqSinkTest, EachFaultOfTlsHasItsRemedy) {
  for (const TlsFault& fault : tls_faults()) {
    const TlsServer server(fault);
    config_.url = Secret("amqps://guest:guest@localhost:" + std::to_string(server.port()) + "/");
    config_.tls.ca_file = server.ca_file();
    DeliveryError error;
    EXPECT_TRUE(wait_for(std::chrono::seconds(20), [&] {
      error = failure(*sink_for(config_));
      return error.error.what.find(fault.remedy) != std::string::npos;
    })) << error.error.what;
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
    if (fault.remedy.find("ca_file") == std::string::npos) {
      EXPECT_THAT(error.error.what, Not(HasSubstr("ca_file")));
    }
  }
}

TEST_F(RabbitmqSinkTest, TheHostIsNamedAlsoWhereItIsNotVerified) {
  const TlsServer server(TlsFault{});
  config_.url = Secret("amqps://guest:guest@localhost:" + std::to_string(server.port()) + "/");
  config_.tls.verify = false;
  EXPECT_EQ(failure(*sink_for(config_)).error.kind, ErrorKind::kRetry);
  EXPECT_THAT(read_file(server.file("names")), HasSubstr("localhost"));
}

TEST_F(RabbitmqSinkTest, AnotherKindOfExchangeIsFatal) {
  config_.declare = "fanout";
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(error.error.what, HasSubstr("inequivalent"));
  config_.declare = "nonsense";
  config_.exchange = unique("nonsense");
  const DeliveryError unknown = failure(*sink_for(config_));
  EXPECT_EQ(unknown.error.kind, ErrorKind::kFatal) << unknown.error.message();
}

TEST_F(RabbitmqSinkTest, AnEventThatIsTooLargeIsRejected) {
  Events events;
  events.add(1);
  events.add(1, 34u << 20);
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink, events.span(), 30);
  EXPECT_EQ(error.error.kind, ErrorKind::kReject) << error.error.message();
  EXPECT_EQ(error.event, 1u);
  EXPECT_THAT(error.error.what, HasSubstr("max_message_size"));
}

TEST_F(RabbitmqSinkTest, ARoutingKeyThatIsTooLongIsRejected) {
  SHOWS("rabbitmq.routing_key");
  config_.routing_key.fallback = std::string(300, 'k');
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_THAT(error.error.what, HasSubstr("255"));
}

TEST_F(RabbitmqSinkTest, TablesHaveRoutingKeysOfTheirOwn) {
  SHOWS("rabbitmq.routing_key");
  const std::string own = unique("own");
  client_.queue(own, name_, "mine.*");
  config_.routing_key.tables = {{"public.orders", "mine.{op}"}, {"public.others", "not.{op}"}};
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(client_.messages(own).size(), 10u);
  EXPECT_EQ(client_.messages(name_).size(), 0u);
}

TEST_F(RabbitmqSinkTest, SchemasHaveARoutingKeyOfTheirOwn) {
  SHOWS("rabbitmq.schemas_to");
  const std::string own = unique("schemas");
  client_.queue(own, name_, "schemas");
  config_.routing_key.schemas = "schemas";
  Events events;
  events.add_schema(0xab);
  events.add(1);
  const DeliveryError nowhere = [&] {
    config_.routing_key.schemas = "no.queue";
    return failure(*sink_for(config_), events.span());
  }();
  EXPECT_EQ(nowhere.error.kind, ErrorKind::kReject) << nowhere.error.message();
  EXPECT_EQ(nowhere.event, 0u);
  config_.routing_key.schemas = "schemas";
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  EXPECT_EQ(client_.messages(own).size(), 1u);
}

TEST_F(RabbitmqSinkTest, RoutingKeysMayNameTheKey) {
  const std::string all = unique("all");
  client_.queue(all, name_, "#");
  config_.routing_key.fallback = "public.{table}/{key}";
  Events events;
  events.add(1);
  const auto add = [&](uint64_t index, const std::string& key) {
    Event event = events.span()[0];
    event.index = index;
    event.key_span = {7, static_cast<uint32_t>(key.size())};
    events.add(event, "{\"key\":" + key + "}");
  };
  add(1, R"({"id":7,"b":"x.y"})");
  add(2, "");
  add(3, "{\"id\":\"" + std::string(300, 'x') + "\"}");
  const DeliveryError error = failure(*sink_for(config_), events.span());
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_EQ(error.event, 3u);
  EXPECT_THAT(error.error.what, HasSubstr("255"));
  EXPECT_THAT(error.error.what, Not(HasSubstr("xxxx"))) << "rows do not belong into logs";
  const auto messages = client_.messages(all);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].routing_key, "public.orders/" + std::string(events.span()[0].key()));
  EXPECT_EQ(messages[1].routing_key, R"(public.orders/{"id":7,"b":"x.y"})");
  EXPECT_EQ(messages[2].routing_key, "public.orders/");
}

TEST_F(RabbitmqSinkTest, TablesThatAreMappedNowhere) {
  SHOWS("rabbitmq.unmapped");
  config_.routing_key = Route{{}, std::nullopt, Unmapped::kError};
  EXPECT_EQ(failure(*sink_for(config_)).error.kind, ErrorKind::kReject);
  config_.routing_key.unmapped = Unmapped::kDrop;
  Progress progress(10);
  EXPECT_TRUE(sink_for(config_)->deliver(events_.span(), in_seconds(5), progress));
  EXPECT_EQ(progress.dropped_count(), 10u);
}

TEST_F(RabbitmqSinkTest, ABrokerThatBlocksIsWaitedForUpToTheDeadline) {
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  Broker::get().control({"set_vm_memory_high_watermark", "absolute", "1"});
  const DeliveryError error = failure(*sink, events_.span().subspan(1), 1);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("memory"));
  EXPECT_EQ(progress_.durable_count(), 0u);
  // More than all buffers hold.
  Events large;
  for (int i = 0; i < 20; ++i) large.add(i, 1'000'000);
  const TimePoint begin = Clock::now();
  EXPECT_EQ(failure(*sink, large.span(), 1).error.kind, ErrorKind::kRetry);
  EXPECT_LT(Clock::now() - begin, Milliseconds(1500));
  Broker::get().control({"set_vm_memory_high_watermark", "0.4"});
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1)));
}

// Another process may have delivered newer events meanwhile.
TEST_F(RabbitmqSinkTest, WhatIsLetGoIsNotSentLater) {
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  Events large;
  for (int i = 0; i < 20; ++i) large.add(i, 1'000'000);
  Broker::get().freeze();
  expect_halt(*sink, large.span());
  sink->let_go();
  Broker::get().thaw();
  sink->let_go();
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span().last(1)));
  EXPECT_FALSE(testing::Value(bodies_in(name_), testing::Contains(large.documents().back())));
  ASSERT_TRUE(deliver_all(*sink, large.span(), 60));
  EXPECT_TRUE(bodies_in(name_).back() == large.documents().back());
}

// Delivers like the forwarder, with calls of this length, while the alarm lasts.
class RabbitmqAlarmTest : public RabbitmqSinkTest {
 protected:
  // For a moment the broker still lists a closed connection of the test before.
  RabbitmqAlarmTest() {
    EXPECT_TRUE(
        wait_for(std::chrono::seconds(30), [] { return Broker::get().connections() == 0; }));
  }
  ~RabbitmqAlarmTest() override {
    Broker::get().calm();
    Broker::get().control({"set_disk_free_limit", "1MB"});
  }

  // One call; false while not all is done. Removes done events from `left`.
  bool deliver(double seconds) {
    Progress progress(left_.size());
    const auto delivery = sink_->deliver(left_, in_seconds(seconds), progress);
    if (!delivery) {
      EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry);
      last_ = delivery.error().error.message();
    }
    std::vector<Event> rest;
    for (size_t i = 0; i < left_.size(); ++i) {
      if (!progress.is_done(i)) rest.push_back(left_[i]);
    }
    left_ = std::move(rest);
    EXPECT_EQ(delivery.has_value(), left_.empty());
    return left_.empty();
  }
  void deliver_for(double seconds, double each) {
    for (const TimePoint end = in_seconds(seconds); Clock::now() < end;) {
      deliver(each);
      std::this_thread::sleep_for(Milliseconds(200));
      sink_->idle();
    }
  }
  void deliver_rest() {
    for (const TimePoint end = in_seconds(60); !left_.empty() && Clock::now() < end;) deliver(2);
    EXPECT_TRUE(left_.empty()) << left_.size() << " left: " << last_;
  }
  void take(const Events& events) { left_.assign(events.span().begin(), events.span().end()); }
  // The broker takes seconds to answer; heartbeats must continue meanwhile.
  size_t connections() {
    auto count = std::async(std::launch::async, [] { return Broker::get().connections(); });
    while (count.wait_for(Milliseconds(100)) != std::future_status::ready) sink_->idle();
    return count.get();
  }
  void expect_each_once(const Events& events) {
    const auto bodies = bodies_in(name_);
    EXPECT_TRUE(bodies == events.documents()) << bodies.size() << " of " << events.size();
  }

  std::unique_ptr<Sink> sink_;
  std::vector<Event> left_;
  std::string last_;
};

TEST_F(RabbitmqAlarmTest, AnAlarmKeepsTheConnectionAndItsMessages) {
  SHOWS("rabbitmq.heartbeat");
  config_.heartbeat = std::chrono::seconds(2);
  sink_ = sink_for(config_);
  Events events;
  for (int i = 0; i < 520; ++i) events.add(i, 300);
  take(events);
  left_.resize(20);
  ASSERT_TRUE(deliver(20));
  Broker::get().alarm();
  left_.assign(events.span().begin() + 20, events.span().end());
  deliver_for(22, 2);
  EXPECT_THAT(last_, HasSubstr("blocks publishers"));
  EXPECT_THAT(last_, HasSubstr("in flight"));
  EXPECT_GE(left_.size(), 490u);
  EXPECT_EQ(connections(), 1u);
  Broker::get().calm();
  deliver_rest();
  EXPECT_EQ(connections(), 1u);
  expect_each_once(events);
}

// More than the socket buffers hold: frames are split.
TEST_F(RabbitmqAlarmTest, ABrokerThatDoesNotReadGetsTheRestLater) {
  SHOWS("rabbitmq.url");
  for (const bool tls : {false, true}) {
    if (tls) {
      config_.url = Secret(Broker::get().tls_url());
      config_.tls.ca_file = Broker::get().ca_file();
    }
    SCOPED_TRACE(tls ? "with TLS" : "without TLS");
    // For a moment the broker still lists a closed connection.
    ASSERT_TRUE(
        wait_for(std::chrono::seconds(30), [] { return Broker::get().connections() == 0; }));
    sink_ = sink_for(config_);
    Events events;
    for (int i = 0; i < 12; ++i) events.add(i, i % 3 == 0 ? 9'000'000 : 200'000);
    ASSERT_TRUE(sink_->check({}, in_seconds(20)));
    Broker::get().alarm();
    // Events that are passed again have other addresses.
    {
      const Events copy = events;
      std::vector<std::string> documents = copy.documents();
      take(copy);
      for (size_t i = 0; i < left_.size(); ++i) left_[i].document = documents[i];
      deliver(1);
      for (std::string& document : documents) std::fill(document.begin(), document.end(), '!');
    }
    take(events);
    deliver_for(5, 0.7);
    EXPECT_GE(left_.size(), events.size() - 1);
    EXPECT_EQ(connections(), 1u);
    Broker::get().calm();
    deliver_rest();
    expect_each_once(events);
    client_.purge(name_);
    sink_.reset();
  }
}

TEST_F(RabbitmqAlarmTest, AlarmsComeAndGo) {
  config_.unconfirmed = 50;
  sink_ = sink_for(config_);
  Events events;
  for (int i = 0; i < 3000; ++i) events.add(i, 2000);
  for (size_t round = 0; round < 6; ++round) {
    left_.insert(left_.end(), events.span().begin() + static_cast<ptrdiff_t>(round * 500),
                 events.span().begin() + static_cast<ptrdiff_t>((round + 1) * 500));
    if (round % 2 == 0) {
      Broker::get().alarm();
    } else {
      Broker::get().control({"set_disk_free_limit", "900000GB"});
    }
    deliver_for(1, 0.2);
    if (round % 2 == 0) {
      Broker::get().calm();
    } else {
      Broker::get().control({"set_disk_free_limit", "1MB"});
    }
    deliver(0.02);
  }
  deliver_rest();
  EXPECT_EQ(connections(), 1u);
  expect_each_once(events);
}

TEST_F(RabbitmqAlarmTest, ChecksOpenNoMoreConnections) {
  Broker::get().alarm();
  sink_ = sink_for(config_);
  for (int i = 0; i < 5; ++i) {
    const auto checked = sink_->check({}, in_seconds(5));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::kRetry);
    EXPECT_THAT(checked.error().what, HasSubstr("blocks publishers"));
  }
  EXPECT_EQ(connections(), 1u);
  Broker::get().calm();
  EXPECT_TRUE(wait_for(std::chrono::seconds(20),
                       [&] { return sink_->check({}, in_seconds(5)).has_value(); }));
  EXPECT_EQ(connections(), 1u);
  take(events_);
  deliver_rest();
  expect_each_once(events_);
}

TEST_F(RabbitmqAlarmTest, ABrokerThatDiesInAnAlarmGetsAllAgain) {
  sink_ = sink_for(config_);
  take(events_);
  Broker::get().alarm();
  deliver_for(2, 0.5);
  Broker::get().stop();
  deliver_for(1, 0.3);
  Broker::get();  // restarts it
  deliver_rest();
  EXPECT_EQ(connections(), 1u);
  std::vector<std::string> last_times;
  Client again;
  for (const auto& message : again.messages(name_)) last_times.push_back(message.body);
  ASSERT_GE(last_times.size(), 10u);
  last_times.erase(last_times.begin(), last_times.end() - 10);
  EXPECT_EQ(last_times, events_.documents());
}

TEST_F(RabbitmqAlarmTest, OtherEventsEndTheConnection) {
  sink_ = sink_for(config_);
  take(events_);
  Broker::get().alarm();
  deliver(1);
  // The first event was set aside meanwhile.
  left_.erase(left_.begin());
  deliver(1);
  Broker::get().calm();
  deliver_rest();
  const auto bodies = bodies_in(name_);
  ASSERT_GE(bodies.size(), 9u);
  EXPECT_EQ(bodies.back(), events_.documents().back());
  EXPECT_TRUE(wait_for(std::chrono::seconds(20), [] { return Broker::get().connections() == 1; }));
}

// The next call may begin with a part of the events in flight, as after a batch failed.
TEST_F(RabbitmqAlarmTest, PartsOfWhatIsUnderWayAreWaitedFor) {
  sink_ = sink_for(config_);
  take(events_);
  Broker::get().alarm();
  deliver(1);
  Broker::get().calm();
  for (const size_t part : {3u, 1u, 6u}) {
    std::vector<Event> rest(left_.begin() + static_cast<ptrdiff_t>(part), left_.end());
    left_.resize(part);
    deliver_rest();
    left_ = std::move(rest);
  }
  expect_each_once(events_);
}

// The broker takes and returns one message before it blocks.
TEST_F(RabbitmqAlarmTest, WhatComesBackBeforeTheDeadlineIsNotDone) {
  client_.unbind(name_, name_, "public.orders.*");
  sink_ = sink_for(config_);
  ASSERT_TRUE(sink_->check({}, in_seconds(20)));
  Broker::get().alarm();
  failure(*sink_, events_.span(), 2);
  EXPECT_EQ(progress_.durable_count(), 0u);
  Broker::get().calm();
  const DeliveryError error = failure(*sink_, events_.span(), 20);
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_EQ(error.event, 0u);
  EXPECT_EQ(progress_.durable_count(), 0u);
}

TEST_F(RabbitmqSinkTest, ABrokerWithoutHeartbeatsIsGivenUp) {
  config_.heartbeat = std::chrono::seconds(1);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  Broker::get().freeze();
  EXPECT_THAT(failure(*sink, events_.span(), 0.3).error.what, HasSubstr("did not confirm in time"));
  EXPECT_THAT(failure(*sink, events_.span(), 20).error.what, HasSubstr("no heartbeat"));
  Broker::get().thaw();
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
}

TEST_F(RabbitmqSinkTest, UsersAndTheirRights) {
  config_.url = Secret("amqp://guest:geheim@127.0.0.1:" + std::to_string(Broker::get().port()));
  const DeliveryError wrong = failure(*sink_for(config_));
  EXPECT_EQ(wrong.error.kind, ErrorKind::kFatal) << wrong.error.message();
  EXPECT_THAT(wrong.error.message(), HasSubstr("password"));
  EXPECT_THAT(wrong.error.message(), Not(HasSubstr("geheim")));
  config_.url = Secret(Broker::get().url() + "nowhere");
  const DeliveryError vhost = failure(*sink_for(config_));
  EXPECT_EQ(vhost.error.kind, ErrorKind::kFatal) << vhost.error.message();
  EXPECT_THAT(vhost.error.message(), HasSubstr("add_vhost"));
}

TEST_F(RabbitmqSinkTest, HeartbeatsKeepAnIdleConnection) {
  config_.heartbeat = std::chrono::seconds(1);
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1)));
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(Milliseconds(800));
    sink->idle();
  }
  // At the first attempt: the broker closes connections that are silent for twice that long.
  Progress progress(9);
  EXPECT_TRUE(sink->deliver(events_.span().subspan(1), in_seconds(5), progress));
  EXPECT_EQ(bodies_in(name_), events_.documents());
}

TEST_F(RabbitmqSinkTest, TlsTrustsWhomItIsTold) {
  config_.url = Secret(Broker::get().tls_url());
  const DeliveryError stranger = failure(*sink_for(config_));
  EXPECT_EQ(stranger.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(stranger.error.what, HasSubstr("ca_file"));
  config_.tls.ca_file = Broker::get().ca_file();
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_EQ(bodies_in(name_), events_.documents());
  config_.tls.ca_file = "/nonexistent";
  EXPECT_EQ(failure(*sink_for(config_)).error.kind, ErrorKind::kFatal);
}

TEST(RabbitmqEndpointTest, UnderstandsUrls) {
  const auto full = RabbitmqEndpoint::parse("amqps://me:p%2Fw@example.com:1234/shop");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->host, "example.com");
  EXPECT_EQ(full->port, 1234);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password.reveal(), "p/w");
  EXPECT_EQ(full->vhost, "shop");
  EXPECT_TRUE(full->tls);
  EXPECT_EQ(full->name(), "amqps://example.com:1234/shop");
  EXPECT_EQ(RabbitmqEndpoint::parse("amqp://h")->vhost, "/");
  EXPECT_EQ(RabbitmqEndpoint::parse("amqp://h/")->vhost, "/");
  const auto bad = RabbitmqEndpoint::parse("http://me:geheim@h");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(bad.error().what, Not(HasSubstr("geheim")));
}

TEST_F(RabbitmqSinkTest, APasswordInAFileMayChange) {
  Broker& broker = Broker::get();
  broker.control({"add_user", "rot", "one"});
  broker.control({"set_permissions", "rot", ".*", ".*", ".*"});
  const std::string path = testing::TempDir() + name_;
  const auto put = [&](const std::string& password) {
    write_file(path,
               "amqp://rot:" + password + "@127.0.0.1:" + std::to_string(broker.port()) + "/\n");
  };
  put("one");
  config_.url = Secret::from_file(path).value();
  SinkConfig config = sink_config("rabbitmq");
  config.options = config_;
  const std::unique_ptr<Sink> sink = std::move(make_sink(config).value());
  ASSERT_TRUE(sink->check({}, in_seconds(30)));
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  broker.control({"change_password", "rot", "two"});
  broker.control({"close_all_connections", "for the test"});
  DeliveryError error;
  ASSERT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    error = failure(*sink, events_.span().subspan(5));
    return error.error.scope() == Scope::kConfiguration;
  }));
  EXPECT_THAT(error.error.message(), Not(HasSubstr("read again")));
  put("two");
  error = failure(*sink, events_.span().subspan(5));
  EXPECT_EQ(error.error.scope(), Scope::kDestination);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.message(), HasSubstr("read again"));
  EXPECT_THAT(error.error.message(), Not(HasSubstr("two")));
  EXPECT_TRUE(deliver_all(*sink, events_.span().subspan(5)));
  Client client;  // the other client has been closed too
  EXPECT_EQ(client.messages(name_).size(), 10u);
}

TEST(RabbitmqErrorsTest, EachHasAKind) {
  const auto kind = [](uint16_t code, std::string_view text) {
    return rabbitmq_error(code, text, "x", "w").kind;
  };
  EXPECT_EQ(kind(320, "CONNECTION_FORCED - broker forced connection closure"), ErrorKind::kRetry);
  EXPECT_EQ(kind(541, "INTERNAL_ERROR"), ErrorKind::kRetry);
  EXPECT_EQ(kind(403, "ACCESS_REFUSED - write access to exchange"), ErrorKind::kFatal);
  EXPECT_EQ(rabbitmq_refused_size("PRECONDITION_FAILED - message size 200 is larger than"), 200u);
  EXPECT_EQ(rabbitmq_refused_size("NOT_FOUND"), 0u);
}

}  // namespace
}  // namespace walspout::test
