#include "sink/http/http.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <set>
#include <sstream>

#include "sink/http/answer.h"
#include "sink/http/signature.h"
#include "test/sink/contract.h"
#include "test/sink/http/http_receiver.h"
#include "test/sink/server_process.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// The events of a JSON array of events made by Events.
std::vector<std::string> split_array(const std::string& body) {
  std::vector<std::string> documents;
  size_t begin = 1;
  while (begin < body.size() - 1) {
    const size_t end = std::min(body.find(",{\"id\":\"", begin), body.size() - 1);
    documents.push_back(body.substr(begin, end - begin));
    begin = end + 1;
  }
  return documents;
}

class HttpHarness final : public Harness {
 public:
  explicit HttpHarness(size_t batch, size_t lanes) {
    config_.url = server_.url();
    config_.timeout = Milliseconds(5'000);  // shorter than the deadlines of the suite
    config_.batch_events = batch;
    config_.lanes = lanes;
  }

  std::unique_ptr<Sink> make_sink() override { return sink_for(config_); }
  std::vector<std::string> received() override {
    std::vector<std::string> documents;
    for (const std::string& body : server_.bodies()) {
      if (config_.batch_events == 1) {
        documents.push_back(body);
      } else {
        for (std::string& document : split_array(body)) documents.push_back(std::move(document));
      }
    }
    // With several lanes only the order within a key is known.
    if (config_.lanes > 1) std::sort(documents.begin(), documents.end(), by_id);
    return documents;
  }
  void start_server() override { server_.start(); }
  void stop_server() override { server_.stop(); }
  void freeze_server() override { server_.freeze(); }
  void thaw_server() override { server_.thaw(); }
  size_t large() const override { return 5u << 20; }

 private:
  static bool by_id(const std::string& a, const std::string& b) {
    const auto index = [](const std::string& text) { return std::stoul(text.substr(12)); };
    return index(a) < index(b);
  }

  HttpServer server_;
  HttpConfig config_;
};

std::unique_ptr<Harness> make_http_harness() {
  return std::make_unique<HttpHarness>(1, 1);
}

std::unique_ptr<Harness> make_http_batch_harness() {
  return std::make_unique<HttpHarness>(100, 4);
}

INSTANTIATE_TEST_SUITE_P(Http, SinkContract,
                         testing::Values(&make_http_harness, &make_http_batch_harness));

class HttpSinkTest : public testing::Test {
 protected:
  HttpSinkTest() {
    config_.url = server_.url();
    for (int i = 0; i < 20; ++i) events_.add(i);
  }

  DeliveryError failure(Sink& sink, size_t count = 1, double seconds = 5) {
    progress_ = Progress(count);
    const auto delivery = sink.deliver(events_.span().first(count), in_seconds(seconds), progress_);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  DeliveryError failure_of(const std::string& behaviour) {
    server_.behave("{\"default\": " + behaviour + "}");
    auto sink = sink_for(config_);
    const DeliveryError error = failure(*sink);
    EXPECT_EQ(progress_.durable_count(), 0u);
    // The sink still works afterwards.
    server_.behave("{}");
    EXPECT_TRUE(deliver_all(*sink, events_.span().first(2)));
    return error;
  }

  HttpServer server_;
  HttpConfig config_;
  Events events_;
  Progress progress_{0};
};

TEST_F(HttpSinkTest, AnEventIsTheBodyOfARequest) {
  SHOWS("http.headers");
  config_.headers = {{"Authorization", Secret("Bearer geheim")}, {"X-Empty", Secret("")}};
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span().first(1)));
  const std::string request = server_.requests().at(0);
  EXPECT_EQ(member(request, "path"), "/hook");
  EXPECT_EQ(member(request, "body"), events_.documents()[0]);
  EXPECT_EQ(member(request, "content-type"), "application/json");
  EXPECT_EQ(member(request, "webhook-id"), "1000-0");
  EXPECT_EQ(member(request, "authorization"), "Bearer geheim");
  EXPECT_THAT(request, HasSubstr("\"x-empty\": \"\""));
  EXPECT_THAT(request, Not(HasSubstr("webhook-signature")));
  EXPECT_NEAR(std::stod(member(request, "webhook-timestamp")), std::stod(member(request, "time")),
              5);
}

TEST_F(HttpSinkTest, KeepsItsConnection) {
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  std::set<std::string> ports;
  for (const std::string& request : server_.requests()) ports.insert(member(request, "port"));
  EXPECT_EQ(ports.size(), 1u);
}

TEST_F(HttpSinkTest, EverySecretSigns) {
  SHOWS("http.secret");
  // base64 of "0123456789abcdef0123456789abcdef" and of "second-key-second-key-second-key"
  config_.secrets = {Secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
                     Secret("whsec_c2Vjb25kLWtleS1zZWNvbmQta2V5LXNlY29uZC1rZXk=")};
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span().first(1)));
  const std::string request = server_.requests().at(0);
  const std::string text = member(request, "webhook-id") + "." +
                           member(request, "webhook-timestamp") + "." + member(request, "body");
  std::string expected;
  for (const std::string key :
       {"0123456789abcdef0123456789abcdef", "second-key-second-key-second-key"}) {
    unsigned char hash[32];
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash, nullptr);
    unsigned char base64[64];
    EVP_EncodeBlock(base64, hash, sizeof hash);
    expected += (expected.empty() ? "v1," : " v1,") + std::string(reinterpret_cast<char*>(base64));
  }
  EXPECT_EQ(member(request, "webhook-signature"), expected);
}

TEST_F(HttpSinkTest, ArraysAreSignedAsAWhole) {
  SHOWS("http.batch.events");
  config_.secrets = {Secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")};
  config_.batch_events = 10;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  ASSERT_EQ(server_.requests().size(), 2u);
  const std::string request = server_.requests()[0];
  const auto documents = split_array(member(request, "body"));
  EXPECT_EQ(documents.size(), 10u);
  EXPECT_THAT(member(request, "webhook-id"), testing::StartsWith("1000-0_1000-9_"));
  const auto signer = HttpSigner::create(config_.secrets);
  const std::string body = member(request, "body");
  EXPECT_EQ(
      member(request, "webhook-signature"),
      signer->sign(member(request, "webhook-id"), std::stoll(member(request, "webhook-timestamp")),
                   std::vector<std::string_view>{body}));
}

TEST_F(HttpSinkTest, ArraysWithOtherEventsHaveOtherIds) {
  config_.batch_events = 100;
  auto sink = sink_for(config_);
  std::vector<Event> some = {events_.span()[0], events_.span()[1], events_.span()[3]};
  std::vector<Event> others = {events_.span()[0], events_.span()[2], events_.span()[3]};
  ASSERT_TRUE(deliver_all(*sink, some));
  ASSERT_TRUE(deliver_all(*sink, others));
  ASSERT_TRUE(deliver_all(*sink, some));
  const auto id = [&](size_t i) { return member(server_.requests().at(i), "webhook-id"); };
  EXPECT_NE(id(0), id(1));
  EXPECT_EQ(id(0), id(2));
  EXPECT_THAT(id(0), Not(HasSubstr(".")));
}

TEST_F(HttpSinkTest, CloudEventsPutAttributesIntoHeaders) {
  SHOWS("http.cloudevents_source");
  SHOWS("http.cloudevents");
  config_.cloudevents = true;
  config_.cloudevents_source = "/shop/größe";
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span().first(1)));
  const std::string request = server_.requests().at(0);
  EXPECT_EQ(member(request, "ce-specversion"), "1.0");
  EXPECT_EQ(member(request, "ce-id"), "1000-0");
  EXPECT_EQ(member(request, "ce-source"), "/shop/gr%C3%B6%C3%9Fe");
  EXPECT_EQ(member(request, "ce-type"), "io.walspout.c");
  EXPECT_EQ(member(request, "ce-subject"), "public.orders");
  EXPECT_EQ(member(request, "ce-time"), "2023-11-14T22:13:20.123456Z");
  config_.cloudevents_source.clear();
  config_.origin.database = "my shop";
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span().first(1)));
  EXPECT_EQ(member(server_.requests().at(1), "ce-source"), "/walspout/my%20shop");
  config_.batch_events = 2;
  EXPECT_FALSE(HttpSink::create(config_));
}

TEST_F(HttpSinkTest, AKeyStaysInItsLane) {
  SHOWS("http.lanes");
  config_.lanes = 8;
  Events events;
  for (int i = 0; i < 400; ++i) events.add(i / 3 % 16);
  server_.behave("{\"default\": {\"delay\": 0.002}}");
  ASSERT_TRUE(deliver_all(*sink_for(config_), events.span()));
  std::map<std::string, std::vector<unsigned long>> by_key;
  int most = 0;
  for (const std::string& request : server_.requests()) {
    const std::string body = member(request, "body");
    by_key[body.substr(body.find("\"key\""), 15)].push_back(std::stoul(body.substr(12)));
    most = std::max(most, std::stoi(member(request, "active")));
  }
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 8);
  EXPECT_EQ(by_key.size(), 16u);
  for (const auto& [key, indexes] : by_key) {
    EXPECT_GE(indexes.size(), 24u);
    EXPECT_TRUE(std::is_sorted(indexes.begin(), indexes.end())) << key;
  }
}

TEST_F(HttpSinkTest, OneLanesTroubleDoesNotUndoTheOthers) {
  config_.lanes = 8;
  server_.behave("{\"match\": {\"\\\"key\\\":{\\\"id\\\":3}\": {\"status\": 500}}}");
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink, 8);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_EQ(error.event, 3u);
  EXPECT_FALSE(progress_.is_done(3));
  EXPECT_GT(progress_.durable_count(), 0u);
}

TEST_F(HttpSinkTest, ARejectedArrayIsTheBatchesFault) {
  SHOWS("http.timeout");
  config_.batch_events = 10;
  config_.timeout = Milliseconds(2000);
  server_.behave("{\"match\": {\"\\\"key\\\":{\\\"id\\\":13}\": {\"status\": 422}}}");
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink, 20);
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_EQ(error.error.scope(), Scope::kBatch);
  EXPECT_EQ(error.event, 10u);
  EXPECT_EQ(error.size, 10u);
  EXPECT_EQ(progress_.durable_count(), 10u);
}

TEST_F(HttpSinkTest, WhatEachStatusMeans) {
  const auto verdict = [&](int status) {
    const DeliveryError error = failure_of("{\"status\": " + std::to_string(status) + "}");
    return std::pair(error.error.kind, error.error.scope());
  };
  for (const int status : {400, 409, 413, 422}) {
    EXPECT_EQ(verdict(status), std::pair(ErrorKind::kReject, Scope::kEvent)) << status;
  }
  for (const int status : {500, 412, 418, 423, 424, 451, 497, 499}) {
    EXPECT_EQ(verdict(status), std::pair(ErrorKind::kRetry, Scope::kEvent)) << status;
  }
  for (const int status : {404, 408, 421, 425, 429, 502, 503, 504, 507, 302, 307}) {
    EXPECT_EQ(verdict(status), std::pair(ErrorKind::kRetry, Scope::kDestination)) << status;
  }
  for (const int status : {301, 308, 401, 402, 403, 405, 406, 407, 410, 411, 414, 415, 426}) {
    EXPECT_EQ(verdict(status), std::pair(ErrorKind::kFatal, Scope::kConfiguration)) << status;
  }
}

// Many frameworks repeat the path of a request that they reject.
TEST_F(HttpSinkTest, ATokenInTheUrlIsNotRepeated) {
  SHOWS("http.url");
  config_.url = server_.url() + "/hooks/T0KEN?key=s3cr3t";
  server_.behave(
      "{\"default\": {\"status\": 422, \"body\": \"Cannot POST /hook/hooks/T0KEN?key=s3cr3t\"}}");
  auto sink = sink_for(config_);
  const DeliveryError error = failure(*sink);
  EXPECT_THAT(error.error.what, HasSubstr("Cannot POST"));
  EXPECT_THAT(error.error.message(), Not(HasSubstr("T0KEN")));
  EXPECT_THAT(error.error.message(), Not(HasSubstr("s3cr3t")));
}

TEST_F(HttpSinkTest, RetryAfterIsPassedOn) {
  const DeliveryError seconds =
      failure_of("{\"status\": 429, \"headers\": {\"Retry-After\": \"17\"}}");
  EXPECT_EQ(seconds.retry_after, Milliseconds(17'000));
  EXPECT_THAT(seconds.error.what, HasSubstr("429"));
  const DeliveryError date = failure_of(
      "{\"status\": 503, \"headers\": {\"Retry-After\": \"Fri, 31 Dec 1999 23:59:59 GMT\"}}");
  EXPECT_EQ(date.retry_after, Milliseconds(0));
  const DeliveryError none =
      failure_of("{\"status\": 503, \"headers\": {\"Retry-After\": \"soon\"}}");
  EXPECT_EQ(none.retry_after, std::nullopt);
  const DeliveryError early = failure_of("{\"status\": 503, \"early\": [\"Retry-After: 3000\"]}");
  EXPECT_EQ(early.retry_after, std::nullopt);
}

TEST_F(HttpSinkTest, BrokenAnswersAreRetry) {
  for (const char* what : {"garbage", "close"}) {
    const DeliveryError error = failure_of("{\"do\": \"" + std::string(what) + "\"}");
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry) << what;
    EXPECT_THAT(error.error.what, HasSubstr("request failed")) << what;
  }
}

// curl takes it for the end of the response.
TEST_F(HttpSinkTest, AnAnswerThatEndsWithinItsHeadersIsRetry) {
  for (const char* what :
       {"HTTP/1.1 200 OK\\r\\n", "HTTP/1.1 200 OK\\r\\nContent-Le",
        "HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n", "HTTP/1.1 422 No\\r\\nX: y\\r\\n",
        "HTTP/1.1 103 Early Hints\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\n", "HTTP/1.1 20"}) {
    const DeliveryError error =
        failure_of("{\"do\": \"behead\", \"body\": \"" + std::string(what) + "\"}");
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry) << what;
    EXPECT_THAT(error.error.what, HasSubstr("request failed")) << what;
  }
}

TEST_F(HttpSinkTest, SilenceIsRetryAfterTheRequestsTimeout) {
  config_.timeout = Milliseconds(300);
  const TimePoint begin = Clock::now();
  const DeliveryError error = failure_of("{\"do\": \"hang\"}");
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("within timeout, 300ms"));
  EXPECT_LT(Clock::now() - begin, Milliseconds(2000));
}

TEST_F(HttpSinkTest, TheLimitThatEndsARequestIsNamed) {
  SHOWS("http.connect_timeout");
  config_.timeout = Milliseconds(60'000);
  server_.behave("{\"default\": {\"do\": \"hang\"}}");
  EXPECT_THAT(failure(*sink_for(config_), 1, 0.3).error.what, HasSubstr("deliver_timeout"));
  // A connection without an answer to TLS.
  server_.freeze();
  config_.url.insert(4, "s");
  config_.connect_timeout = Milliseconds(300);
  auto sink = sink_for(config_);
  EXPECT_THAT(failure(*sink).error.what, HasSubstr("within connect_timeout, 300ms"));
  EXPECT_THAT(sink->check({}, in_seconds(5)).error().what,
              HasSubstr("within connect_timeout, 300ms"));
  server_.thaw();
}

// A healthy receiver whose every fourth request the deadline would cut.
TEST_F(HttpSinkTest, ARequestStartsOnlyIfItsTimeIsLeft) {
  config_.timeout = Milliseconds(3000);
  server_.behave("{\"default\": {\"delay\": 1.3}}");
  auto sink = sink_for(config_);
  std::vector<Event> left(events_.span().begin(), events_.span().begin() + 5);
  while (!left.empty()) {
    Progress progress(left.size());
    const auto delivery = sink->deliver(left, in_seconds(5), progress);
    ASSERT_TRUE(delivery) << delivery.error().error.message();
    ASSERT_GT(progress.durable_count(), 0u);
    EXPECT_EQ(progress.is_paused(), progress.durable_count() < left.size());
    left.erase(left.begin(), left.begin() + static_cast<ptrdiff_t>(progress.durable_count()));
  }
  const auto documents = events_.documents();
  EXPECT_EQ(server_.bodies(), std::vector(documents.begin(), documents.begin() + 5));
}

// What may follow the status of a response, as members of a behaviour. Some versions of curl reject
// some of the headers.
std::vector<std::string> odd_endings(const std::string& status) {
  const auto raw = [&](const std::string& rest, const std::string& then) {
    return "{\"do\": \"raw\", \"body\": \"HTTP/1.1 " + status + "\\r\\n" + rest +
           "\", \"then\": " + then + "}";
  };
  const std::string chunk = "5\\r\\nhello\\r\\n";
  const std::string chunked = "Transfer-Encoding: chunked\\r\\n\\r\\n" + chunk;
  const std::string flood = "\"flood\", \"flood\": \"" + chunk + "\"";
  const std::string length = "Content-Length: 100\\r\\n\\r\\nhello";
  return {raw(chunked, flood),
          raw(chunked, flood + ", \"drip\": 0.02"),
          raw(chunked, "\"hang\""),
          raw(chunked, "\"close\""),
          raw(chunked, "\"reset\""),
          raw(chunked + "zz\\r\\nwhat", "\"close\""),
          raw(chunked + "0\\r\\nRetry-After: 9\\r\\nLocation: /\\r\\n\\r\\n", "\"hang\""),
          raw(length, "\"hang\""),
          raw(length, "\"close\""),
          raw(length, "\"reset\""),
          raw("Content-Length: 2\\r\\n\\r\\nhello", "\"hang\""),
          raw("\\r\\nhello", "\"hang\""),
          raw("Content-Encoding: gzip\\r\\nContent-Length: 5\\r\\n\\r\\nhello", "\"close\""),
          raw("Transfer-Encoding: gzip\\r\\n\\r\\nhello", "\"hang\""),
          raw("Transfer-Encoding: gzip, chunked\\r\\n\\r\\n" + chunk, "\"hang\""),
          raw("Transfer-Encoding: odd\\r\\n\\r\\nhello", "\"close\""),
          raw("Transfer-Encoding: chunked, gzip\\r\\n\\r\\n" + chunk, "\"hang\""),
          raw("Content-Length: some\\r\\n\\r\\nhello", "\"hang\""),
          raw("No colon\\r\\n\\r\\nhello", "\"hang\"")};
}

// nginx rejects the others: it answers with 502 or not at all.
bool passes_nginx(const std::string& behaviour) {
  constexpr std::array kStrange = {"zz",   "Transfer-Encoding: gzip", ", gzip", "odd", "some",
                                   "colon"};
  return std::none_of(kStrange.begin(), kStrange.end(), [&](const char* strange) {
    return behaviour.find(strange) != std::string::npos;
  });
}

TEST_F(HttpSinkTest, CompleteHeadersOfA2xxAcknowledge) {
  std::vector<std::string> behaviours;
  for (const char* status : {"200 OK", "201 Created", "204 No Content", "205 Reset Content",
                             "102 Wait\\r\\n\\r\\nHTTP/1.1 299 Odd"}) {
    for (std::string& behaviour : odd_endings(status)) behaviours.push_back(std::move(behaviour));
  }
  const TimePoint begin = Clock::now();
  for (const std::string& behaviour : behaviours) {
    server_.behave("{\"default\": " + behaviour + "}");
    const size_t before = server_.requests().size();
    Progress progress(1);
    // A new connection, because the bytes behind an answer may look like the next answer.
    auto sink = sink_for(config_);
    const auto delivery = sink->deliver(events_.span().first(1), in_seconds(60), progress);
    EXPECT_TRUE(delivery) << behaviour << delivery.error().error.message();
    EXPECT_EQ(progress.durable_count(), 1u);
    EXPECT_EQ(server_.requests().size(), before + 1) << behaviour;
  }
  // A transfer encoding is accepted but not requested.
  EXPECT_THAT(server_.requests().back(), Not(HasSubstr("\"te\":")));
  // No wait took as long as the request's timeout.
  EXPECT_LT(Clock::now() - begin, config_.timeout * static_cast<int64_t>(behaviours.size()) / 4);
}

TEST_F(HttpSinkTest, ALaneAfterTheOtherWithEndlessAnswers) {
  config_.lanes = 4;
  server_.behave("{\"default\": " + odd_endings("200 OK")[1] + "}");
  Progress progress(20);
  const auto delivery = sink_for(config_)->deliver(events_.span(), in_seconds(60), progress);
  EXPECT_TRUE(delivery) << delivery.error().error.message();
  EXPECT_EQ(progress.durable_count(), 20u);
  EXPECT_EQ(server_.requests().size(), 20u);
}

TEST_F(HttpSinkTest, AnAnswerAtTheDeadlineCounts) {
  server_.behave("{\"default\": " + odd_endings("200 OK")[2] + "}");
  Progress progress(1);
  EXPECT_TRUE(sink_for(config_)->deliver(events_.span().first(1), in_seconds(0.4), progress));
  EXPECT_EQ(progress.durable_count(), 1u);
}

TEST_F(HttpSinkTest, AStatusCountsWhateverFollows) {
  for (const std::string& behaviour : odd_endings("422 No\\r\\nRetry-After: 17")) {
    const DeliveryError error = failure_of(behaviour);
    EXPECT_EQ(error.error.kind, ErrorKind::kReject) << behaviour;
    EXPECT_THAT(error.error.what, HasSubstr("answered 422")) << behaviour;
    EXPECT_LT(error.error.what.size(), 500u);
  }
  for (const std::string& behaviour : odd_endings("503 No\\r\\nRetry-After: 17")) {
    const DeliveryError error = failure_of(behaviour);
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry) << behaviour;
    EXPECT_EQ(error.retry_after, Milliseconds(17'000)) << behaviour;
  }
}

TEST_F(HttpSinkTest, RedirectsAreFollowedWhateverTheirBody) {
  SHOWS("http.redirects");
  config_.redirects = 1;
  auto sink = sink_for(config_);
  for (const std::string& behaviour : odd_endings("307 There\\r\\nLocation: ../new?x=1")) {
    server_.behave("{\"queue\": [" + behaviour + "]}");
    const size_t before = server_.requests().size();
    Progress progress(1);
    const auto delivery = sink->deliver(events_.span().first(1), in_seconds(60), progress);
    ASSERT_TRUE(delivery) << behaviour << delivery.error().error.message();
    ASSERT_EQ(server_.requests().size(), before + 2) << behaviour;
    const std::string request = server_.requests().back();
    EXPECT_EQ(member(request, "path"), "/new?x=1");
    EXPECT_EQ(member(request, "body"), events_.documents()[0]);
    EXPECT_EQ(member(request, "webhook-id"), "1000-0");
  }
}

TEST_F(HttpSinkTest, A2xxCountsOnceTheRequestIsSent) {
  config_.timeout = Milliseconds(60'000);  // for the long body on a busy machine
  Events large;
  large.add(1, 30'000'000);
  server_.behave("{\"default\": {\"early_ok\": \"reset\"}}");
  auto sink = sink_for(config_);
  Progress progress(1);
  EXPECT_FALSE(sink->deliver(large.span(), in_seconds(60), progress));
  server_.behave("{\"default\": {\"early_ok\": \"close\"}}");
  const auto closed = sink->deliver(large.span(), in_seconds(60), progress);
  ASSERT_FALSE(closed);
  EXPECT_THAT(closed.error().error.what, HasSubstr("answered 200 before the request was sent"));
  server_.behave("{\"default\": {\"early_ok\": \"read\"}}");
  EXPECT_TRUE(sink->deliver(large.span(), in_seconds(60), progress));
  // The end of the body may still be in the buffers of the kernel.
  EXPECT_TRUE(
      wait_for(std::chrono::seconds(60), [&] { return server_.bodies() == large.documents(); }));
}

// The sink uses only the tunnel of a proxy.
TEST_F(HttpSinkTest, AProxysAnswerIsNotTheReceivers) {
  config_.proxy = Secret("http://127.0.0.1:" + std::to_string(server_.port()));
  config_.url = "https://receiver.invalid/";
  const DeliveryError error = failure(*sink_for(config_));
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.what, HasSubstr("request failed"));
}

TEST_F(HttpSinkTest, SlowAnswersAreWaitedFor) {
  server_.behave("{\"default\": {\"delay\": 0.3, \"body\": \"fine\", \"drip\": 0.05}}");
  Progress progress(1);
  EXPECT_TRUE(sink_for(config_)->deliver(events_.span().first(1), in_seconds(5), progress));
}

TEST_F(HttpSinkTest, EndlessAnswersAreCutOff) {
  server_.behave("{\"default\": {\"body_bytes\": 50000000}}");
  Progress progress(1);
  EXPECT_TRUE(sink_for(config_)->deliver(events_.span().first(1), in_seconds(5), progress));
}

TEST_F(HttpSinkTest, RedirectsAreReportedAndNotFollowed) {
  const DeliveryError error = failure_of(
      "{\"status\": 308, \"headers\": {\"Location\": \"https://example.com/geheim?token=x\"}}");
  EXPECT_THAT(error.error.what, HasSubstr("https://example.com"));
  EXPECT_THAT(error.error.what, HasSubstr("set url"));
  EXPECT_THAT(error.error.what, Not(HasSubstr("geheim")));
}

TEST_F(HttpSinkTest, RedirectsOnTheSameServerAreFollowedByChoice) {
  config_.redirects = 1;
  auto sink = sink_for(config_);
  server_.behave("{\"queue\": [{\"status\": 307, \"headers\": {\"Location\": \"/new\"}}]}");
  Progress progress(1);
  ASSERT_TRUE(sink->deliver(events_.span().first(1), in_seconds(5), progress));
  EXPECT_EQ(member(server_.requests().at(1), "path"), "/new");
  EXPECT_EQ(member(server_.requests().at(1), "body"), events_.documents()[0]);
  server_.behave("{\"default\": {\"status\": 307, \"headers\": {\"Location\": \"/loop\"}}}");
  EXPECT_EQ(failure(*sink).error.kind, ErrorKind::kRetry);
  server_.behave("{\"default\": {\"status\": 307, \"headers\": {\"Location\": \"http://127.0.0.2:" +
                 std::to_string(server_.port()) + "/other\"}}}");
  const size_t before = server_.requests().size();
  EXPECT_EQ(failure(*sink).error.kind, ErrorKind::kRetry);
  EXPECT_EQ(server_.requests().size(), before + 1);
}

TEST_F(HttpSinkTest, MessagesShowTheAnswerButNoSecret) {
  config_.headers = {{"Authorization", Secret("Bearer geheim")}};
  config_.url = "http://me:geheim@127.0.0.1:" + std::to_string(server_.port()) + "/geheim?x=geheim";
  const DeliveryError error =
      failure_of("{\"status\": 400, \"body\": \"what is Bearer geheim?\\nnothing\"}");
  EXPECT_THAT(error.error.message(), HasSubstr("what is ***? nothing"));
  EXPECT_THAT(error.error.message(), Not(HasSubstr("geheim")));
  EXPECT_THAT(sink_for(config_)->endpoint(), Not(HasSubstr("geheim")));
}

TEST_F(HttpSinkTest, RefusesConfigurationsThatCannotWork) {
  const auto refused = [](HttpConfig config, const char* name) {
    const auto made = HttpSink::create(config);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().kind, ErrorKind::kFatal);
    EXPECT_THAT(made.error().what, HasSubstr(name));
    EXPECT_THAT(made.error().what, Not(HasSubstr("geheim")));
  };
  HttpConfig config = config_;
  config.url = "ftp://geheim";
  refused(config, "http://");
  config = config_;
  config.secrets = {Secret("whsec_geheim!")};
  refused(config, "secret 1 of 1");
  config = config_;
  config.headers = {{"X-A", Secret("geheim\r\nX-B: c")}};
  refused(config, "X-A");
  config.headers = {{"X A", Secret("geheim")}};
  refused(config, "X A");
  config.headers = {{"X-A", Secret("1")}, {"x-a", Secret("geheim")}};
  refused(config, "x-a");
  for (const char* name : {"content-length", "Host", "Transfer-Encoding", "connection",
                           "Webhook-Id", "webhook-signature", "Expect", "Content-Encoding"}) {
    config.headers = {{name, Secret("geheim")}};
    refused(config, name);
  }
  config.headers = {{"ce-id", Secret("geheim")}};
  EXPECT_TRUE(HttpSink::create(config));
  config.cloudevents = true;
  refused(config, "ce-id");
  config = config_;
  config.url = "http://geheim:x/";
  refused(config, "url");
  config.url = "http://";
  refused(config, "url");
  config = config_;
  config.lanes = 0;
  refused(config, "lanes");
}

TEST_F(HttpSinkTest, BatchesAreBoundedInBytes) {
  SHOWS("http.batch.bytes");
  config_.batch_events = 100;
  config_.batch_bytes = 1000;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_GT(server_.requests().size(), 2u);
  for (const std::string& body : server_.bodies()) EXPECT_LE(body.size(), 1300u);
}

TEST_F(HttpSinkTest, ACallHasEnoughBytesForARequestOfEachLane) {
  EXPECT_EQ(sink_for(config_)->limits().bytes, 4u << 20);
  config_.batch_events = 100'000;
  config_.batch_bytes = 16u << 20;
  config_.lanes = 3;
  EXPECT_EQ(sink_for(config_)->limits().bytes, 48u << 20);
}

// nginx, for TLS and HTTP/2, with a certificate made for the test.
class HttpsTest : public testing::Test {
 protected:
  void SetUp() override {
    Process openssl;
    ASSERT_TRUE(openssl.start(
        {{"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
          "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
          directory_.file("key"), "-out", directory_.file("cert")},
         {},
         directory_.file("openssl.log"),
         "openssl"}));
    ASSERT_TRUE(wait_for(std::chrono::seconds(20), [&] { return !openssl.running(); }));
    const std::string folder = directory_.path();
    std::string paths;
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      paths += std::string(kind) + "_temp_path " + folder + "/" + kind + ";\n";
    }
    write_file(directory_.file("conf"),
               "daemon off; master_process off; pid " + folder + "/pid; error_log " + folder +
                   "/error.log;\nevents {}\nhttp {\n" + paths +
                   "client_max_body_size 100m;\nlog_format p '$server_protocol $connection "
                   "$request_length';\naccess_log " +
                   folder +
                   "/access p;\nserver { listen "
                   "127.0.0.1:" +
                   std::to_string(port_) + " ssl http2; ssl_certificate " + folder +
                   "/cert; ssl_certificate_key " + folder +
                   "/key; location / { return 204; } location /behind { proxy_buffering off; "
                   "proxy_http_version 1.1; proxy_pass " +
                   behind_.url() + "; } } }\n");
    ASSERT_TRUE(
        nginx_.start({{"nginx", "-p", folder, "-e", folder + "/error.log", "-c", folder + "/conf"},
                      {},
                      folder + "/nginx.log",
                      "nginx-light"}));
    ASSERT_TRUE(wait_for(std::chrono::seconds(20), [this] { return accepts(port_); }))
        << read_file(folder + "/nginx.log");
    config_.url = "https://localhost:" + std::to_string(port_) + "/";
    config_.tls.ca_file = directory_.file("cert");
    for (int i = 0; i < 20; ++i) events_.add(i);
  }

  std::string log() { return read_file(directory_.file("access")); }

  TempDir directory_;
  int port_ = free_port();
  HttpServer behind_;
  Process nginx_;
  HttpConfig config_;
  Events events_;
};

TEST_F(HttpsTest, SpeaksHttp2WhereItIsOffered) {
  config_.lanes = 4;
  auto sink = sink_for(config_);
  EXPECT_TRUE(sink->check({}, in_seconds(5)));
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  sink.reset();
  ASSERT_TRUE(wait_for(std::chrono::seconds(5), [this] { return log().size() > 200; }));
  EXPECT_THAT(log(), HasSubstr("HTTP/2.0"));
  EXPECT_THAT(log(), Not(HasSubstr("HTTP/1.1")));
}

// nginx resets the stream when its backend breaks off.
TEST_F(HttpsTest, CompleteHeadersOfA2xxAcknowledge) {
  SHOWS("http.http2");
  config_.url += "behind";
  for (const bool http2 : {true, false}) {
    config_.http2 = http2;
    auto sink = sink_for(config_);
    for (const std::string& behaviour : odd_endings("200 OK")) {
      if (!passes_nginx(behaviour)) continue;
      behind_.behave("{\"default\": " + behaviour + "}");
      const size_t before = behind_.requests().size();
      Progress progress(1);
      const auto delivery = sink->deliver(events_.span().first(1), in_seconds(60), progress);
      EXPECT_TRUE(delivery) << behaviour << delivery.error().error.message();
      EXPECT_EQ(behind_.requests().size(), before + 1) << behaviour;
    }
  }
}

TEST_F(HttpsTest, SpeaksHttp1ByChoice) {
  config_.http2 = false;
  ASSERT_TRUE(deliver_all(*sink_for(config_), events_.span()));
  EXPECT_THAT(log(), HasSubstr("HTTP/1.1"));
}

TEST_F(HttpsTest, DoesNotTrustStrangers) {
  config_.tls.ca_file.clear();
  auto sink = sink_for(config_);
  Progress progress(1);
  const auto delivery = sink->deliver(events_.span().first(1), in_seconds(5), progress);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry);
  EXPECT_THAT(delivery.error().error.what, HasSubstr("ca_file"));
  const auto checked = sink->check({}, in_seconds(5));
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().what, HasSubstr("ca_file"));
  config_.tls.verify = false;
  EXPECT_TRUE(deliver_all(*sink_for(config_), events_.span().first(1)));
}

TEST_F(HttpsTest, ACaFileThatIsNoneIsFatal) {
  config_.tls.ca_file = directory_.file("none");
  Progress progress(1);
  const auto delivery =
      sink_for(config_)->deliver(events_.span().first(1), in_seconds(5), progress);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kFatal) << delivery.error().error.message();
}

TEST(HttpAnswerTest, RetryAfterIsSecondsOrADate) {
  using std::chrono::seconds;
  EXPECT_EQ(parse_retry_after("120", 0), seconds(120));
  EXPECT_EQ(parse_retry_after("0", 0), seconds(0));
  EXPECT_EQ(parse_retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40), seconds(60));
  EXPECT_EQ(parse_retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 400), seconds(0));
  EXPECT_EQ(parse_retry_after("99999999999999999999999", 0), seconds(86400));
  EXPECT_EQ(parse_retry_after("-5", 0), seconds(0));
  EXPECT_EQ(parse_retry_after("-99999999999999999999999", 0), seconds(0));
  EXPECT_EQ(parse_retry_after("soon", 0), std::nullopt);
  EXPECT_EQ(parse_retry_after("", 0), std::nullopt);
}

TEST(HttpAnswerTest, NothingThatAReceiverSaysBreaksALine) {
  const HttpAnswer answer{302, "", "https://a\x1b[2J\n\x7f/x", "b\r\nody"};
  const Delivery delivery = judge_answer(answer, {}, 0);
  ASSERT_FALSE(delivery);
  for (char c : delivery.error().error.what) EXPECT_TRUE(c >= ' ' && c != 0x7f);
}

TEST(HttpAnswerTest, UrlsAreShownWithoutSecrets) {
  EXPECT_EQ(printable_url("https://a:b@example.com:8443/x/y?z#w"), "https://example.com:8443/...");
  EXPECT_EQ(printable_url("http://example.com"), "http://example.com");
  EXPECT_EQ(printable_url("http://example.com?x=y@z"), "http://example.com/...");
  EXPECT_EQ(printable_url("/relative"), "/...");
}

TEST(HttpSignatureTest, SecretsAreBase64OrText) {
  const std::string text(24, 't');
  EXPECT_TRUE(HttpSigner::create(std::vector{Secret("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3OA")}));
  EXPECT_TRUE(HttpSigner::create(std::vector{Secret(text)}));
  EXPECT_FALSE(HttpSigner::create(std::vector{Secret("")}));
  EXPECT_FALSE(HttpSigner::create(std::vector{Secret("whsec_")}));
  EXPECT_FALSE(HttpSigner::create(std::vector{Secret(text), Secret("whsec_M")}));
  EXPECT_FALSE(HttpSigner::create({})->enabled());
}

TEST(HttpSignatureTest, AKeyThatCanBeGuessedIsRejected) {
  const auto says = [](const std::string& secret) {
    const auto signer = HttpSigner::create(std::vector{Secret(secret)});
    return signer ? "" : signer.error().message();
  };
  EXPECT_EQ(says(std::string(24, 't')), "");
  EXPECT_THAT(says(std::string(23, 't')), HasSubstr("a key of 23 bytes"));
  EXPECT_THAT(says("whsec_YWI="), HasSubstr("a key of 2 bytes, and it must have at least 24"));
  EXPECT_THAT(says("whsec_YWI="), Not(HasSubstr("YWI")));
}

}  // namespace
}  // namespace walspout::test
