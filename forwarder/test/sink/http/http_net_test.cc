// The path to a webhook: names, proxies, trust. And the configuration's rules for answers.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "sink/http/http.h"
#include "test/sink/certificates.h"
#include "test/sink/contract.h"
#include "test/sink/http/http_receiver.h"
#include "test/sink/names.h"
#include "test/sink/shows.h"

namespace walspout::test {

// The certificate folders that any library was set to trust.
std::vector<std::string>& trusted_folders() {
  static std::vector<std::string> folders;
  return folders;
}

}  // namespace walspout::test

// Replaces OpenSSL's functions: versions of curl call different ones.
extern "C" __attribute__((visibility("default"))) int X509_STORE_load_path(X509_STORE* store,
                                                                           const char* folder) {
  using Load = int (*)(X509_STORE*, const char*);
  static const auto real = reinterpret_cast<Load>(dlsym(RTLD_NEXT, "X509_STORE_load_path"));
  if (folder != nullptr) walspout::test::trusted_folders().emplace_back(folder);
  return real(store, folder);
}
extern "C" __attribute__((visibility("default"))) int SSL_CTX_load_verify_dir(SSL_CTX* context,
                                                                              const char* folder) {
  using Load = int (*)(SSL_CTX*, const char*);
  static const auto real = reinterpret_cast<Load>(dlsym(RTLD_NEXT, "SSL_CTX_load_verify_dir"));
  if (folder != nullptr) walspout::test::trusted_folders().emplace_back(folder);
  return real(context, folder);
}
extern "C" __attribute__((visibility("default"))) int SSL_CTX_load_verify_locations(
    SSL_CTX* context, const char* file, const char* folder) {
  using Load = int (*)(SSL_CTX*, const char*, const char*);
  static const auto real =
      reinterpret_cast<Load>(dlsym(RTLD_NEXT, "SSL_CTX_load_verify_locations"));
  if (folder != nullptr) walspout::test::trusted_folders().emplace_back(folder);
  return real(context, file, folder);
}

namespace walspout::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class HttpNetTest : public testing::Test {
 protected:
  HttpNetTest() {
    config_.url = server_.url();
    for (int i = 0; i < 3; ++i) events_.add(i);
  }

  Delivery deliver(Sink& sink, size_t count = 1) {
    Progress progress(count);
    return sink.deliver(events_.span().first(count), in_seconds(10), progress);
  }
  DeliveryError failure(Sink& sink, size_t count = 1) {
    const auto delivery = deliver(sink, count);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  DeliveryError failure_of(const std::string& behaviour, size_t count = 1) {
    server_.behave("{\"default\": " + behaviour + "}");
    return failure(*sink_for(config_), count);
  }
  // The URL that a user of this proxy would write.
  std::string proxy(const std::string& login = "") const {
    return "http://" + login + "127.0.0.1:" + std::to_string(server_.port());
  }

  HttpServer server_;
  HttpConfig config_;
  Events events_;
};

TEST_F(HttpNetTest, AChangedAddressIsNoticedSoon) {
  config_.url = "http://moves.test:" + std::to_string(server_.port()) + "/hook";
  set_addresses("moves.test", {"127.0.0.3"});
  auto sink = sink_for(config_);
  ASSERT_FALSE(deliver(*sink));
  set_addresses("moves.test", {"127.0.0.1"});
  EXPECT_TRUE(wait_for(std::chrono::seconds(20), [&] { return deliver(*sink).has_value(); }));
}

TEST_F(HttpNetTest, EachAddressOfANameIsTried) {
  const SilentPort silent("127.0.0.2", server_.port());
  set_addresses("several.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  config_.url = "http://several.test:" + std::to_string(server_.port()) + "/hook";
  EXPECT_TRUE(deliver(*sink_for(config_)));
}

// curl would wait for the resolving thread beyond all limits.
TEST_F(HttpNetTest, ASilentNameServerHoldsUpNothing) {
  auto silent = std::make_unique<SilentName>("silent.test");
  set_addresses("silent.test", {"127.0.0.1"});
  config_.url = "http://silent.test:" + std::to_string(server_.port()) + "/hook";
  config_.connect_timeout = Milliseconds(200);
  auto sink = sink_for(config_);
  std::atomic<bool> answered{false};
  std::thread rescue([&] {
    if (!wait_for(std::chrono::seconds(15), [&] { return answered.load(); })) silent.reset();
  });
  EXPECT_EQ(failure(*sink).error.kind, ErrorKind::kRetry);
  EXPECT_FALSE(sink->check({}, in_seconds(1)));
  sink.reset();
  answered = true;
  rescue.join();
  EXPECT_NE(silent, nullptr) << "it waited for the name server";
  silent.reset();
  EXPECT_TRUE(
      wait_for(std::chrono::seconds(20), [&] { return deliver(*sink_for(config_)).has_value(); }));
}

TEST_F(HttpNetTest, EachFaultOfTlsHasItsRemedy) {
  for (const TlsFault& fault : tls_faults()) {
    const TlsServer server(fault);
    config_.url = "https://localhost:" + std::to_string(server.port()) + "/";
    config_.tls.ca_file = server.ca_file();
    auto sink = sink_for(config_);
    // An alert can be lost when a reset of the connection follows.
    DeliveryError error;
    EXPECT_TRUE(wait_for(std::chrono::seconds(20), [&] {
      error = failure(*sink);
      return error.error.what.find(fault.remedy) != std::string::npos;
    })) << error.error.what;
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
    if (fault.remedy.find("ca_file") == std::string::npos) {
      EXPECT_THAT(error.error.what, Not(HasSubstr("ca_file")));
    }
    EXPECT_TRUE(wait_for(std::chrono::seconds(20), [&] {
      const auto checked = sink->check({}, in_seconds(10));
      return !checked && checked.error().what.find(fault.remedy) != std::string::npos;
    })) << fault.what;
  }
}

TEST_F(HttpNetTest, AClientCertificateIsShown) {
  TlsFault fault;
  fault.asks_for_client = true;
  const TlsServer server(fault);
  config_.url = "https://localhost:" + std::to_string(server.port()) + "/";
  config_.tls = {server.file("cert"), server.file("cert"), server.file("key"), true};
  auto sink = sink_for(config_);
  EXPECT_TRUE(sink->check({}, in_seconds(10)));
  EXPECT_TRUE(deliver(*sink));
}

// Replaces the files one after the other, like a renewal program.
TEST_F(HttpNetTest, FilesOfTlsAreReadAgain) {
  TlsServer server(TlsFault{});
  config_.url = "https://localhost:" + std::to_string(server.port()) + "/";
  config_.tls.ca_file = server.file("ca");
  write_file(config_.tls.ca_file, read_file(server.ca_file()));
  auto sink = sink_for(config_);
  ASSERT_TRUE(deliver(*sink));
  make_certificate({server.file("cert"), server.file("key")});
  server.cut();
  EXPECT_THAT(failure(*sink).error.what, HasSubstr("ca_file"));
  write_file(config_.tls.ca_file, read_file(server.ca_file()));
  EXPECT_TRUE(deliver(*sink));
}

TEST_F(HttpNetTest, TheHostIsNamedAlsoWhereItIsNotVerified) {
  const TlsServer server(TlsFault{});
  config_.url = "https://localhost:" + std::to_string(server.port()) + "/";
  config_.tls.verify = false;
  EXPECT_TRUE(deliver(*sink_for(config_)));
  EXPECT_THAT(read_file(server.file("names")), HasSubstr("localhost"));
}

TEST_F(HttpNetTest, CaFileIsAllThatIsTrusted) {
  TlsFault fault;
  const TlsServer server(fault);
  config_.url = "https://localhost:" + std::to_string(server.port()) + "/";
  trusted_folders().clear();
  config_.tls.ca_file = server.ca_file();
  EXPECT_TRUE(deliver(*sink_for(config_)));
  EXPECT_THAT(trusted_folders(), IsEmpty());
  // Without the setting the system decides: its folder shows that the test would see a certificate.
  config_.tls.ca_file.clear();
  EXPECT_FALSE(deliver(*sink_for(config_)));
  EXPECT_THAT(trusted_folders(), Not(IsEmpty()));
}

// A proxy from the environment.
class Variables {
 public:
  Variables(const std::vector<const char*>& names, const std::string& value) : names_(names) {
    for (const char* name : names_) setenv(name, value.c_str(), 1);
  }
  ~Variables() {
    for (const char* name : names_) unsetenv(name);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  std::vector<const char*> names_;
};

TEST_F(HttpNetTest, TheEnvironmentNamesNoProxy) {
  const Variables none(
      {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"},
      "http://127.0.0.1:1");
  auto sink = sink_for(config_);
  EXPECT_TRUE(sink->check({}, in_seconds(5)));
  EXPECT_TRUE(deliver(*sink));
}

TEST_F(HttpNetTest, AProxyIsUsedWhereItIsConfigured) {
  const Variables everything({"no_proxy", "NO_PROXY"}, "*");
  config_.url = "http://receiver.invalid/hook";
  SHOWS("http.proxy");
  config_.proxy = Secret(proxy("me:geheim@"));
  auto sink = sink_for(config_);
  EXPECT_TRUE(sink->check({}, in_seconds(5)));
  EXPECT_TRUE(deliver(*sink));
  ASSERT_EQ(server_.requests().size(), 1u);
  EXPECT_EQ(member(server_.requests()[0], "path"), "http://receiver.invalid/hook");
  EXPECT_EQ(member(server_.requests()[0], "proxy-authorization"), "Basic bWU6Z2VoZWlt");
}

TEST_F(HttpNetTest, ErrorsNameTheProxyAndNotItsPassword) {
  config_.url = "http://receiver.invalid/hook";
  config_.proxy = Secret(proxy("me:geheim@"));
  for (const char* status : {"404", "502"}) {
    const DeliveryError error = failure_of("{\"status\": " + std::string(status) +
                                           ", \"body\": \"me:geheim is not welcome\"}");
    EXPECT_THAT(error.error.message(), HasSubstr("the proxy " + proxy()));
    EXPECT_THAT(error.error.message(), HasSubstr("receiver.invalid"));
    EXPECT_THAT(error.error.message(), Not(HasSubstr("geheim")));
  }
  const DeliveryError login = failure_of("{\"status\": 407}");
  EXPECT_EQ(login.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(login.error.what, HasSubstr("password in proxy"));
  server_.stop();
  const DeliveryError down = failure(*sink_for(config_));
  EXPECT_EQ(down.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(down.error.message(), HasSubstr("the proxy " + proxy()));
}

TEST_F(HttpNetTest, AProxyThatOpensNoTunnelIsNamed) {
  config_.url = "https://receiver.invalid/hook";
  config_.proxy = Secret(proxy());
  const DeliveryError error = failure_of("{\"connect\": 403}");
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_THAT(error.error.message(), HasSubstr("the proxy answered 403"));
  const DeliveryError login = failure_of("{\"connect\": 407}");
  EXPECT_EQ(login.error.kind, ErrorKind::kFatal);
  EXPECT_THAT(login.error.what, HasSubstr("password in proxy"));
}

TEST_F(HttpNetTest, AProxyThatCannotBeIsAFaultOfTheConfiguration) {
  for (const char* bad : {"proxy:3128", "ftp://proxy", "http://", "http://me:geheim@",
                          "http://me:geheim@proxy/path"}) {
    config_.proxy = Secret(bad);
    const auto made = HttpSink::create(config_);
    ASSERT_FALSE(made) << bad;
    EXPECT_EQ(made.error().kind, ErrorKind::kFatal);
    EXPECT_THAT(made.error().what, HasSubstr("proxy"));
    EXPECT_THAT(made.error().what, Not(HasSubstr("geheim")));
  }
  config_.proxy = Secret("socks5h://proxy:1080/");
  EXPECT_TRUE(HttpSink::create(config_));
}

TEST_F(HttpNetTest, TheConfigurationSaysWhatCodesMean) {
  SHOWS("http.codes.reject");
  SHOWS("http.codes.suspect");
  SHOWS("http.codes.retry");
  SHOWS("http.codes.park");
  config_.codes.reject = {"404", "5xx"};
  config_.codes.suspect = {"401"};
  config_.codes.retry = {"400", "4xx"};
  config_.codes.park = {"503"};
  const auto verdict = [&](int status) {
    const DeliveryError error = failure_of("{\"status\": " + std::to_string(status) + "}");
    return std::pair(error.error.kind, error.error.scope());
  };
  for (const int status : {404, 500, 502}) {
    EXPECT_EQ(verdict(status), std::pair(ErrorKind::kReject, Scope::kEvent)) << status;
  }
  EXPECT_EQ(verdict(401), std::pair(ErrorKind::kRetry, Scope::kEvent));
  for (const int status : {400, 403, 422, 302}) {
    EXPECT_EQ(verdict(status), std::pair(ErrorKind::kRetry, Scope::kDestination)) << status;
  }
  EXPECT_EQ(verdict(503), std::pair(ErrorKind::kFatal, Scope::kConfiguration));
  EXPECT_EQ(verdict(301), std::pair(ErrorKind::kFatal, Scope::kConfiguration));
  // The events of an array are tried alone, as after any rejection.
  config_.batch_events = 3;
  EXPECT_EQ(failure_of("{\"status\": 404}", 3).error.scope(), Scope::kBatch);
}

TEST_F(HttpNetTest, RetryAfterIsHonouredUpToALimit) {
  const std::string day = "{\"status\": 503, \"headers\": {\"Retry-After\": \"86400\"}}";
  EXPECT_EQ(failure_of(day).retry_after, Milliseconds(300'000));
  SHOWS("http.retry_after_max");
  config_.retry_after_max = Milliseconds(7'000);
  EXPECT_EQ(failure_of(day).retry_after, Milliseconds(7'000));
  EXPECT_EQ(failure_of("{\"status\": 503, \"headers\": {\"Retry-After\": \"3\"}}").retry_after,
            Milliseconds(3'000));
}

}  // namespace
}  // namespace walspout::test
