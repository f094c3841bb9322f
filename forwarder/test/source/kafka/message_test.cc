#include "source/kafka/message.h"

#include <gmock/gmock.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace walspout {
namespace {

using testing::HasSubstr;

constexpr std::string_view kDocument =
    R"({"op":"u","key":{"id":1},"before":{"id":2},"after":{"id":1,"x":"y"}})";

// Headers as the sink writes them for kDocument, with some changed; no value: left out.
class Headers {
 public:
  Headers() = default;
  Headers& set(const std::string& name, std::optional<std::string> value) {
    if (value) {
      values_[name] = *value;
    } else {
      values_.erase(name);
    }
    return *this;
  }
  Headers& more(std::string name, std::optional<std::string> value) {
    more_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  std::vector<KafkaHeader> views() const {
    std::vector<KafkaHeader> all;
    for (const auto& [name, value] : values_) all.push_back({name, value});
    for (const auto& [name, value] : more_) all.push_back({name, value});
    return all;
  }

 private:
  std::map<std::string, std::string> values_ = {{"id", "1000-7"},
                                                {"op", "u"},
                                                {"schema", "public"},
                                                {"table", "t"},
                                                {"ts", "170000000012"},
                                                {"hash", "00000000000000ff"},
                                                {"spans", "key:16+8 before:34+8 after:51+16"}};
  std::vector<std::pair<std::string, std::optional<std::string>>> more_;
};

Result<std::optional<KafkaEvent>> read(const Headers& headers,
                                       std::optional<std::string_view> value = kDocument) {
  return kafka_event(value, headers.views());
}

std::string rejected(const Headers& headers, std::optional<std::string_view> value = kDocument) {
  const auto found = read(headers, value);
  if (found) return "accepted";
  EXPECT_EQ(found.error().kind, ErrorKind::kReject);
  return found.error().what;
}

TEST(KafkaMessage, HasTheIdOfItsDocument) {
  Headers headers;
  headers.set("spans", std::nullopt);
  EXPECT_EQ(rejected(headers, R"({"id":"1000-7","op":"u"})"), "accepted");
  EXPECT_EQ(rejected(headers, R"({"op":"u"})"), "accepted");
  EXPECT_THAT(rejected(headers, R"({"id":"1000-70","op":"u"})"), HasSubstr("header \"id\""));
  EXPECT_THAT(rejected(headers, R"({"id":"1000-8","op":"u"})"), HasSubstr("header \"id\""));
  EXPECT_THAT(rejected(headers, R"({"id":"100"})"), HasSubstr("header \"id\""));
}

TEST(KafkaMessage, BecomesTheEventAgain) {
  Headers headers;
  headers.set("barrier", "1").more("other", "x").more("none", {});
  const auto found = read(headers);
  ASSERT_TRUE(found && *found) << found.error().what;
  const Event& event = (*found)->event;
  EXPECT_EQ(EventId(event).view(), "1000-7");
  EXPECT_EQ(event.op, 'u');
  EXPECT_EQ((*found)->schema, "public");
  EXPECT_EQ((*found)->table, "t");
  EXPECT_EQ(event.commit_time, 170000000012);
  EXPECT_EQ(event.key_hash, 0xffu);
  EXPECT_EQ(event.key(), R"({"id":1})");
  EXPECT_EQ(event.before(), R"({"id":2})");
  EXPECT_EQ(event.after(), R"({"id":1,"x":"y"})");
  EXPECT_TRUE(event.barrier);
  EXPECT_EQ(event.document.data(), kDocument.data());
}

TEST(KafkaMessage, LacksWhatTheEventLacked) {
  const auto found = read(Headers().set("op", "t").set("ts", {}).set("spans", {}), R"({"op":"t"})");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->event.key(), "");
  EXPECT_EQ((*found)->event.commit_time, 0);
  EXPECT_FALSE((*found)->event.barrier);
  Headers message;
  message.set("op", "m").set("schema", {}).set("table", {}).set("spans", {});
  const auto bare = read(message);
  ASSERT_TRUE(bare && *bare);
  EXPECT_EQ((*bare)->event.prefix(), "");
  const auto logical = read(message.set("prefix", "outbox"));
  ASSERT_TRUE(logical && *logical);
  EXPECT_EQ((*logical)->event.prefix(), "outbox");
}

TEST(KafkaMessage, TombstonesAreNoEvents) {
  const auto found = read(Headers().set("hash", {}).set("spans", {}).set("op", "d"), std::nullopt);
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_FALSE(*found);
  EXPECT_THAT(rejected(Headers().set("id", {}), std::nullopt), HasSubstr("no header \"id\""));
}

TEST(KafkaMessage, RowsNeedAnotherSetting) {
  const auto found = read(Headers().set("hash", {}).set("spans", {}), R"({"id":1})");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::kFatal);
  EXPECT_THAT(found.error().what, HasSubstr("value: envelope"));
}

TEST(KafkaMessage, HostileHeadersAreRejected) {
  const auto wrong = [](const std::string& header, const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      EXPECT_THAT(rejected(Headers().set(header, value)), HasSubstr("\"" + header + "\"")) << value;
    }
    EXPECT_THAT(rejected(Headers().more(header, "x")), HasSubstr("\"" + header + "\""));
    EXPECT_THAT(rejected(Headers().set(header, {}).more(header, {})),
                HasSubstr("\"" + header + "\""));
  };
  wrong("id", {"", "-", "1", "1-", "-1", "01-0", "1-00", "+1-0", "1-0 ", " 1-0", "1--1", "a-b",
               "18446744073709551616-0", "0-18446744073709551616", std::string("1-0\0", 4)});
  wrong("op", {"", "x", "cc", "C", std::string(1, '\0')});
  wrong("schema", {"", std::string("a\0b", 3), std::string(5000, 'x')});
  wrong("table", {"", std::string("\0", 1), std::string(5000, 'x')});
  wrong("ts", {"", "x", "1.5", "9223372036854775808", "1 ", "-9223372036854775808",
               "9223372036854775807"});
  wrong("hash", {"", "ff", "00000000000000fg", "000000000000000ff", "-000000000000001",
                 "0x00000000000001", " 00000000000000f"});
  wrong("spans", {"key",
                  "key:",
                  "key:1",
                  "key:16+",
                  "key:16+8 ",
                  " key:16+8",
                  "key:16+8  after:51+16",
                  "key:16+9",
                  "key:15+9",
                  "key:0+1",
                  "key:16+0",
                  "key:-16+8",
                  "key:16+-8",
                  "other:16+8",
                  "key:4294967295+4294967295",
                  "key:4294967296+8",
                  "after:60+4294967295",
                  "after:51+18",
                  "after:51+16 key:16+8",
                  "key:16+8 key:16+8",
                  "before:34+8 after:34+8",
                  "key:16+8,after:51+16",
                  "key:99+8",
                  "key:16+8 before:20+8"});
  EXPECT_THAT(rejected(Headers().set("barrier", "0")), HasSubstr("barrier"));
  EXPECT_THAT(rejected(Headers().set("barrier", "")), HasSubstr("barrier"));
  EXPECT_THAT(rejected(Headers().set("prefix", "p")), HasSubstr("prefix"));
  EXPECT_THAT(rejected(Headers().set("op", "m")), HasSubstr("table"));
  for (const char* header : {"id", "op", "schema", "table"}) {
    EXPECT_THAT(rejected(Headers().set(header, {})), HasSubstr(header));
  }
}

TEST(KafkaMessage, HostileValuesAreRejected) {
  const Headers headers = Headers().set("spans", {});
  for (const std::string_view value :
       {"", "{", "}", "x", "[]", "{}\n", "{\n}", " {}", "{} ", "null", "{\"a\":1", "\"a\":1}"}) {
    EXPECT_THAT(rejected(headers, value), HasSubstr("no document")) << value;
  }
  EXPECT_TRUE(read(headers, "{}"));
  EXPECT_THAT(rejected(Headers(), "{}"), HasSubstr("spans"));
  EXPECT_THAT(rejected(Headers(), ""), HasSubstr("no document"));
}

// An event's views are always within its message.
TEST(KafkaMessage, RandomHeadersNeverReachBeyondTheValue) {
  std::mt19937 random(1);
  const auto pick = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  const std::string letters = "key:before+after 0123456789{}-\"\n";
  for (int round = 0; round < 20'000; ++round) {
    Headers headers;
    std::string spans;
    if (pick(2)) {
      spans = "key:16+8 before:34+8 after:51+16";
      for (size_t i = 0; i < 1 + pick(3); ++i)
        spans[pick(spans.size())] = letters[pick(letters.size())];
    } else {
      for (size_t i = 0; i < pick(20); ++i) spans += letters[pick(letters.size())];
    }
    headers.set("spans", spans);
    const std::string value(kDocument.substr(0, 1 + pick(kDocument.size())));
    const auto found = read(headers, value);
    if (!found || !*found) continue;
    const Event& event = (*found)->event;
    for (const Span span : {event.key_span, event.before_span(), event.after_span()}) {
      EXPECT_LE(uint64_t{span.begin} + span.size, value.size());
    }
  }
}

}  // namespace
}  // namespace walspout
