#include "sink/nats/wire.h"

#include <gmock/gmock.h>

#include "sink/nats/endpoint.h"
#include "sink/nats/errors.h"
#include "sink/nats/json.h"
#include "sink/nats/stream.h"

namespace walspout::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(NatsWireTest, HeadersAreLines) {
  const Table table{"pub\r\nlic", " 50% o f "};
  Event event;
  event.lsn = Lsn{16};
  event.index = 3;
  event.op = 'u';
  event.table = &table;
  event.commit_time = 1'732'101'753'000'042;
  std::string headers;
  append_nats_headers(headers, event);
  EXPECT_EQ(headers,
            "NATS/1.0\r\nNats-Msg-Id: 16-3\r\nid: 16-3\r\nop: u\r\nschema: pub%0D%0Alic\r\n"
            "table: %2050%25 o f%20\r\nts: 2024-11-20T11:22:33.000042Z\r\n\r\n");
  event.table = nullptr;
  event.op = 'm';
  event.set_prefix("mail\x01");
  event.commit_time = 0;
  headers.clear();
  append_nats_headers(headers, event);
  EXPECT_EQ(headers,
            "NATS/1.0\r\nNats-Msg-Id: 16-3\r\nid: 16-3\r\nop: m\r\nprefix: mail%01\r\n\r\n");
}

TEST(NatsWireTest, TimesAreTheCalendars) {
  const auto time_of = [](int64_t micros) {
    Event event;
    event.commit_time = micros;
    std::string headers;
    append_nats_headers(headers, event);
    const size_t at = headers.find("ts: ") + 4;
    return headers.substr(at, headers.find('\r', at) - at);
  };
  EXPECT_EQ(time_of(1), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(time_of(951'782'399'999'999), "2000-02-28T23:59:59.999999Z");
  EXPECT_EQ(time_of(951'782'400'000'000), "2000-02-29T00:00:00.000000Z");
  EXPECT_EQ(time_of(4'102'444'800'000'000), "2100-01-01T00:00:00.000000Z");
}

TEST(NatsWireTest, PublishesWithAndWithoutHeaders) {
  std::string out;
  append_publish(out, "a.b", "in.1", "NATS/1.0\r\n\r\n", 5);
  EXPECT_EQ(out, "HPUB a.b in.1 12 17\r\nNATS/1.0\r\n\r\n");
  out.clear();
  append_publish(out, "a", "r", "", 0);
  EXPECT_EQ(out, "PUB a r 0\r\n");
}

// For every split of the bytes.
TEST(NatsWireTest, ReadsWhatComesInAnyPieces) {
  const std::string all =
      "INFO {\"max_payload\":7} \r\nPING\r\n+OK\r\nMSG in.7 1 4\r\nP\r\nG\r\n"
      "HMSG in.8 1 other 16 16\r\nNATS/1.0 503\r\n\r\n\r\n-ERR 'Stale Connection'\r\npong\r\n";
  for (size_t piece = 1; piece <= all.size(); ++piece) {
    NatsFrameReader reader;
    std::vector<std::string> said;
    for (size_t at = 0; at < all.size(); at += piece) {
      reader.feed(std::string_view(all).substr(at, piece));
      for (;;) {
        const auto frame = reader.next();
        ASSERT_TRUE(frame) << frame.error().what;
        if (!*frame) break;
        said.push_back(std::to_string(static_cast<int>((*frame)->kind)) + " " +
                       std::string((*frame)->text) + std::string((*frame)->subject) + " " +
                       std::string((*frame)->body) + " " + std::to_string((*frame)->status()));
      }
    }
    EXPECT_THAT(said, ElementsAre("0  {\"max_payload\":7}   0", "2   0", "4   0", "1 in.7 P\r\nG 0",
                                  "1 in.8  503", "5 Stale Connection  0", "3   0"));
    EXPECT_TRUE(reader.is_empty());
  }
}

TEST(NatsWireTest, WhatIsNoNatsIsSaidToBeNone) {
  for (const std::string bytes :
       {"HTTP/1.1 400 Bad Request\r\n", "MSG a 1\r\n", "MSG a 1 x\r\n", "MSG a 1 99999999999\r\n",
        "HMSG a 1 9 4\r\n", "MSG a 1 b c d e 1\r\n", "\r\n"}) {
    NatsFrameReader reader;
    reader.feed(bytes);
    const auto frame = reader.next();
    ASSERT_FALSE(frame) << bytes;
    EXPECT_EQ(frame.error().kind, ErrorKind::kRetry);
  }
  NatsFrameReader reader;
  reader.feed(std::string(3u << 20, 'x'));
  EXPECT_FALSE(reader.next());
}

TEST(NatsJsonTest, FindsMembers) {
  const std::string json =
      R"({"a":{"b":"}\"{","c":[1,{"b":2}]}, "b" : "x\u00fc\n\"" ,"n":-17,"t":true,"l":["p","q"]})";
  EXPECT_EQ(json_text(json, "b"), "x\xc3\xbc \"");
  EXPECT_EQ(json_number(json, "n"), -17);
  EXPECT_TRUE(json_flag(json, "t"));
  EXPECT_EQ(json_number(json, "missing", 5), 5);
  EXPECT_EQ(json_text(json_member(json, "a").value(), "b"), "}\"{");
  EXPECT_THAT(json_items(json_member(json, "l").value()), ElementsAre("\"p\"", "\"q\""));
  EXPECT_EQ(json_member("[1]", "a"), std::nullopt);
}

// Truncated input is never read beyond its end, and parsing ends.
TEST(NatsJsonTest, TakesWhatIsBroken) {
  const std::string json = R"({"a":{"b":"}\"{","c":[1,{"b":2}]},"l":["p\u00","q"],"x":1})";
  for (size_t size = 0; size <= json.size(); ++size) {
    const std::string cut = json.substr(0, size);
    static_cast<void>(json_member(cut, "x"));
    static_cast<void>(json_text(cut, "l"));
    static_cast<void>(json_items(json_member(cut, "l").value_or("[")));
  }
  for (const char* odd :
       {"{\"a\"", "{\"a\":", "{\"a\":}", "{a:1}", "{\"a\":1,,}", "{\"a\\", "[,]"}) {
    static_cast<void>(json_member(odd, "b"));
    static_cast<void>(json_items(odd));
  }
}

TEST(NatsServerTest, UnderstandsUrls) {
  const auto full = NatsServer::parse("tls://me:p%2Fw@example.com:1234/");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->host, "example.com");
  EXPECT_EQ(full->port, 1234);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password.reveal(), "p/w");
  EXPECT_TRUE(full->tls);
  EXPECT_EQ(full->name(), "tls://example.com:1234");
  EXPECT_EQ(NatsServer::parse("nats://t0ken@[::1]")->token.reveal(), "t0ken");
  EXPECT_EQ(NatsServer::parse("nats://t0ken@[::1]")->name(), "nats://[::1]:4222");
  EXPECT_EQ(NatsServer::parse("h:5")->port, 5);
  for (const char* bad : {"amqp://me:geheim@h", "nats://me:geheim@", "nats://me:geheim@h:0",
                          "nats://me:geheim@h:99999", "nats://me:geheim@h:x", "nats://h/x", "",
                          "nats://[::1", "nats://[::1]x"}) {
    const auto refused = NatsServer::parse(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().kind, ErrorKind::kFatal);
    EXPECT_THAT(refused.error().what, Not(HasSubstr("geheim")));
  }
}

TEST(NatsServerTest, SeedsHaveTheirPublicKeys) {
  // From the documentation of nkeys.
  EXPECT_EQ(nats_public_key("SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU").value(),
            "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L");
  for (const char* bad : {"", "SUAM", "file.nk", "suamlk2znl35wsmw37e7ud4vz7elpkw7dhc3bwbsd2",
                          "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBA"}) {
    EXPECT_FALSE(nats_public_key(bad)) << bad;
  }
}

TEST(NatsServerTest, OneWayToLogInIsEnough) {
  NatsConfig config;
  config.user = "u";
  config.token = Secret("hushhush");
  const auto both = NatsLogin::create(config);
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().what, Not(HasSubstr("hushhush")));
  config.user.clear();
  const auto hello = NatsLogin::create(config)->connect(NatsServer(), "", true);
  EXPECT_EQ(json_text(*hello, "auth_token"), "hushhush");
  EXPECT_TRUE(json_flag(*hello, "tls_required"));
  config.token = Secret();
  config.credentials = Secret("/etc/nats/user.creds");
  EXPECT_THAT(NatsLogin::create(config).error().what, HasSubstr("file:PATH"));
  config.credentials = Secret();
  config.user = "a\"b";
  config.password = Secret("c\"d\\");
  const auto quoted = NatsLogin::create(config)->connect(NatsServer(), "", false);
  EXPECT_EQ(json_text(*quoted, "user"), "a\"b");
  EXPECT_EQ(json_text(*quoted, "pass"), "c\"d\\");
}

TEST(NatsSubjectTest, FiltersCover) {
  EXPECT_EQ(nats_filter("a.x-*.*"), "a.*.*");
  EXPECT_TRUE(nats_covers("a.>", "a.b.c"));
  EXPECT_TRUE(nats_covers("a.*.*", "a.b.*"));
  EXPECT_FALSE(nats_covers("a.b.*", "a.*.*"));
  EXPECT_FALSE(nats_covers("a.*", "a.b.c"));
  EXPECT_FALSE(nats_covers("a.>", "a"));
  EXPECT_FALSE(nats_covers("a.*", "a.>"));
  EXPECT_TRUE(nats_covers(">", "a.>"));
  EXPECT_EQ(nats_subject_problem("a.b"), "");
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "a.*", "a.>", "a b", "a\tb"}) {
    EXPECT_NE(nats_subject_problem(bad), "") << bad;
  }
}

TEST(NatsErrorsTest, EachHasAKind) {
  const auto kind = [](std::string_view text) { return nats_refusal(text, "x", "w", "h").kind; };
  EXPECT_EQ(kind("Authorization Violation"), ErrorKind::kFatal);
  EXPECT_EQ(kind("Permissions Violation for Publish to \"a\""), ErrorKind::kFatal);
  EXPECT_EQ(kind("Stale Connection"), ErrorKind::kRetry);
  EXPECT_EQ(kind("maximum connections exceeded"), ErrorKind::kRetry);
  EXPECT_EQ(kind("Something new"), ErrorKind::kRetry);
  const auto of = [](const std::string& error) { return nats_stream_error(error, "x", "h"); };
  EXPECT_EQ(of(R"({"code":400,"err_code":10054,"description":"message size"})").scope(),
            Scope::kEvent);
  EXPECT_EQ(of(R"({"code":503,"err_code":10077,"description":"maximum bytes exceeded"})").scope(),
            Scope::kDestination);
  EXPECT_EQ(of(R"({"code":500,"err_code":10047,"description":"insufficient"})").scope(),
            Scope::kDestination);
  EXPECT_EQ(of(R"({"code":503,"err_code":10076,"description":"not enabled"})").scope(),
            Scope::kConfiguration);
  EXPECT_EQ(of(R"({"code":503,"err_code":10077,"description":"no space left on device"})").kind,
            ErrorKind::kRetry);
  EXPECT_EQ(of("{}").kind, ErrorKind::kRetry);
  EXPECT_EQ(nats_denied_subject("Permissions Violation for Publish to \"a.b\""), "a.b");
}

}  // namespace
}  // namespace walspout::test
