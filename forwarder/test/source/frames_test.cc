#include "source/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "source/members.h"
#include "test/source/messages.h"

namespace walspout {
namespace {

using test::MessageBuilder;
using testing::HasSubstr;

std::vector<Column> columns() {
  return {{"id", "bigint", 20, -1, true, true},
          {"näme", "character varying(40)", 1043, 44, false, false},
          {"mood", "public.mood", 16390, -1, false, true}};
}

MessageBuilder sample() {
  MessageBuilder builder;
  builder.begin(100, 5'000'000)
      .relation(7, "public", "orders", columns())
      .event('c', 0, R"({"key":{"id":7},"after":{"id":7}})", 7, 42)
      .event('u', 3, R"({"before":{"x":1},"after":{"x":2}})", 7, 43, 1)
      .event('m', 4, R"({"m":1})")
      .commit(100, 140, 3);
  return builder;
}

std::string error_of(const MessageBuilder& builder) {
  FrameDecoder decoder;
  Result<Chunk> chunk = decoder.decode(builder.message());
  return chunk ? "no error" : chunk.error().what;
}

TEST(FrameDecoder, ReadsATransaction) {
  FrameDecoder decoder;
  Result<Chunk> chunk = decoder.decode(sample().message());
  ASSERT_TRUE(chunk) << chunk.error().what;
  ASSERT_EQ(chunk->events.size(), 3u);
  const Event& insert = chunk->events[0];
  EXPECT_EQ(insert.op, 'c');
  EXPECT_EQ(insert.lsn, Lsn{100});
  EXPECT_EQ(insert.commit_time, 5'000'000);
  EXPECT_EQ(insert.schema(), "public");
  EXPECT_EQ(insert.table_name(), "orders");
  EXPECT_EQ(insert.key(), R"({"id":7})");
  EXPECT_EQ(insert.before(), "");
  EXPECT_EQ(insert.after(), R"({"id":7})");
  EXPECT_NE(insert.key().data(), insert.after().data());
  EXPECT_EQ(insert.table->columns, columns());
  EXPECT_EQ(insert.key_hash, 42u);
  EXPECT_FALSE(insert.barrier);
  EXPECT_TRUE(chunk->events[1].barrier);
  EXPECT_EQ(chunk->events[1].index, 3u);
  EXPECT_EQ(chunk->events[1].key(), "");
  EXPECT_EQ(chunk->events[1].before(), R"({"x":1})");
  EXPECT_EQ(chunk->events[1].after(), R"({"x":2})");
  EXPECT_EQ(chunk->events[2].table, nullptr);
  EXPECT_EQ(chunk->events[2].before(), "");
  EXPECT_EQ(chunk->events[2].after(), "");
  ASSERT_EQ(chunk->commits.size(), 1u);
  EXPECT_EQ(chunk->commits[0].end_lsn, Lsn{140});
  EXPECT_EQ(chunk->commits[0].events_before, 3u);
  EXPECT_EQ(chunk->tables.size(), 1u);
  EXPECT_FALSE(decoder.in_transaction());
}

// The bytes that the plugin's own tests print: not made by the forwarder's code.
TEST(FrameDecoder, ReadsWhatThePluginWrites) {
  using std::string_literals::operator""s;
  const std::string bytes =
      "WS\2\0"
      "B\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\3"
      "R\0\0\0\0\0\0\x51\xDE\xAD\xBE\xEF\0\6\0\7\0\2publicb\xC3\xBC"
      "cher"
      "\3\0\0\0\x17\xFF\xFF\xFF\xFF\0\2\0\7idinteger"
      "\0\0\0\4\x13\0\0\0\x2C\0\2\0\x15\xC3\xA9"
      "character varying(40)"
      "u\xE\0\6\0\0\0\x3B\xDE\xAD\xBE\xEF\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
      "{\"key\":{},\"before\":{},\"after\":{}}"
      "\7\2\xA\2\x9\2"s;
  FrameDecoder decoder;
  const Result<Chunk> chunk = decoder.decode(MessageBuilder::copy(bytes));
  ASSERT_TRUE(chunk) << chunk.error().what;
  const Event& event = chunk->events.at(0);
  EXPECT_EQ(event.table_name(),
            "b\xC3\xBC"
            "cher");
  const std::vector<Column> expected = {{"id", "integer", 23, -1, true, true},
                                        {"\xC3\xA9", "character varying(40)", 1043, 44}};
  EXPECT_EQ(event.table->columns, expected);
  EXPECT_EQ(event.key_span.begin, 7u);
  EXPECT_EQ(event.before_span().begin, 19u);
  EXPECT_EQ(event.after_span().begin, 30u);
  EXPECT_EQ(event.key(), "{}");
  EXPECT_EQ(event.before(), "{}");
  EXPECT_EQ(event.after(), "{}");
}

TEST(FrameDecoder, DocumentsAreSlicesOfTheMessage) {
  FrameDecoder decoder;
  Chunk chunk = std::move(decoder.decode(sample().message()).value());
  std::string_view bytes = chunk.messages.front().bytes();
  for (const Event& event : chunk.events) {
    EXPECT_GE(event.document.data(), bytes.data());
    EXPECT_LE(event.document.data() + event.document.size(), bytes.data() + bytes.size());
  }
  Chunk moved = std::move(chunk);
  EXPECT_EQ(moved.events[2].document, R"({"m":1})");
}

TEST(FrameDecoder, ATransactionMaySpanMessages) {
  FrameDecoder decoder;
  MessageBuilder one, two, three;
  one.begin(100).relation(1, "s", "t").event('c', 0, "{}", 1);
  two.event('c', 1, "{}", 1);
  three.commit(100, 200, 2);
  EXPECT_TRUE(decoder.decode(one.message()));
  EXPECT_TRUE(decoder.in_transaction());
  Chunk second = std::move(decoder.decode(two.message()).value());
  EXPECT_EQ(second.events[0].lsn, Lsn{100});
  EXPECT_EQ(second.events[0].table_name(), "t");
  EXPECT_EQ(second.tables.size(), 1u);
  Chunk third = std::move(decoder.decode(three.message()).value());
  EXPECT_EQ(third.commits[0].events_before, 0u);
  EXPECT_FALSE(decoder.in_transaction());
}

TEST(FrameDecoder, ARenamedTableIsAnotherOne) {
  FrameDecoder decoder;
  MessageBuilder builder;
  builder.begin(1)
      .relation(1, "s", "old")
      .event('c', 0, "{}", 1)
      .relation(1, "s", "new")
      .event('c', 1, "{}", 1)
      .commit(1, 2, 2);
  Chunk chunk = std::move(decoder.decode(builder.message()).value());
  EXPECT_EQ(chunk.events[0].table_name(), "old");
  EXPECT_EQ(chunk.events[1].table_name(), "new");
}

TEST(FrameDecoder, AnAlteredTableIsAnotherOne) {
  FrameDecoder decoder;
  MessageBuilder builder;
  std::vector<Column> altered = columns();
  altered[1].type_modifier = 45;
  builder.begin(1)
      .relation(1, "s", "t", columns())
      .event('c', 0, "{}", 1)
      .relation(1, "s", "t", altered)
      .event('c', 1, "{}", 1)
      .relation(1, "s", "t", altered)
      .event('c', 2, "{}", 1)
      .commit(1, 2, 3);
  const Chunk chunk = std::move(decoder.decode(builder.message()).value());
  EXPECT_EQ(chunk.events[0].table->columns, columns());
  EXPECT_EQ(chunk.events[1].table->columns, altered);
  EXPECT_EQ(chunk.events[1].table, chunk.events[2].table);
  EXPECT_EQ(chunk.tables.size(), 2u);
}

// Partitions that are published as their root have different ids.
TEST(FrameDecoder, RelationsOfOneShapeAreOneTable) {
  FrameDecoder decoder;
  MessageBuilder builder;
  std::vector<Column> keyless = columns();
  keyless[0].in_key = false;
  builder.begin(1)
      .relation(1, "s", "root", columns())
      .relation(2, "s", "root", columns())
      .relation(3, "s", "root", keyless);
  for (uint64_t i = 0; i < 6; i++) builder.event('c', i, "{}", static_cast<uint32_t>(i % 3 + 1));
  const Chunk chunk = std::move(decoder.decode(builder.commit(1, 2, 6).message()).value());
  EXPECT_EQ(chunk.events[0].table, chunk.events[1].table);
  EXPECT_EQ(chunk.events[0].table, chunk.events[3].table);
  EXPECT_NE(chunk.events[0].table, chunk.events[2].table);
  EXPECT_EQ(chunk.events[5].table->columns, keyless);
}

TEST(FrameDecoder, AKeptTableOutlivesItsRelation) {
  FrameDecoder decoder;
  MessageBuilder one, two;
  one.begin(1).relation(1, "s", "t", columns()).event('c', 0, "{}", 1).commit(1, 2, 1);
  two.begin(3).relation(1, "s", "t").event('c', 0, "{}", 1).commit(3, 4, 1);
  const Chunk first = std::move(decoder.decode(one.message()).value());
  const Chunk second = std::move(decoder.decode(two.message()).value());
  decoder.reset();
  EXPECT_EQ(first.events[0].table->columns, columns());
  EXPECT_TRUE(second.events[0].table->columns.empty());
}

TEST(FrameDecoder, ObjectsMayBeAnywhereInADocument) {
  const std::string far(1 << 17, ' ');
  const std::string big = "{\"v\":\"" + std::string(1 << 22, 'x') + "\"}";
  const std::string document =
      "{" + far + "\"key\":{\"id\":7}" + far + ",\"before\":" + big + ",\"after\":{\"v\":1}}";
  FrameDecoder decoder;
  MessageBuilder builder;
  builder.begin(1).relation(1, "s", "t").event('u', 0, document, 1).commit(1, 2, 1);
  const Chunk chunk = std::move(decoder.decode(builder.message()).value());
  const Event& event = chunk.events[0];
  EXPECT_EQ(event.key_span.begin, far.size() + 7);
  EXPECT_EQ(event.key(), R"({"id":7})");
  EXPECT_EQ(event.before(), big);
  EXPECT_EQ(event.after(), R"({"v":1})");
  EXPECT_GT(event.after_span().begin, big.size());
}

// In dialects other than the default.
TEST(Frames, AKeyMayStandBehindItsDocument) {
  const auto with = [](std::string_view body, uint64_t begin, uint64_t size, uint8_t flags) {
    MessageBuilder builder;
    builder.begin(10).raw_event('c', 0, body, 0, 42, flags,
                                MessageBuilder::packed(begin) + MessageBuilder::packed(size));
    return builder.commit(10, 18, 1);
  };
  FrameDecoder decoder;
  const auto chunk = decoder.decode(with(R"({"a":1}{"id":7})", 7, 8, 0x82).message());
  ASSERT_TRUE(chunk) << chunk.error().what;
  EXPECT_EQ(chunk->events[0].document, R"({"a":1})");
  EXPECT_EQ(chunk->events[0].key(), R"({"id":7})");
  EXPECT_TRUE(chunk->events[0].key_is_aside());
  for (const MessageBuilder& wrong :
       {with(R"({"a":1}{"id":7})", 7, 8, 0x80), with(R"({"a":1}{"id":7}x)", 7, 8, 0x82),
        with(R"({"id":7})", 0, 8, 0x82)}) {
    EXPECT_THAT(error_of(wrong), HasSubstr("malformed"));
  }
}

// Each is "the key begins at 1 and has 2 bytes" of {{}{}{}}, with one mistake.
TEST(FrameDecoder, ObjectsAreWithinTheirDocument) {
  const std::string document = "{{}{}{}}";
  const auto decoded = [&](uint8_t flags, const std::string& spans, char op = 'u') {
    MessageBuilder builder;
    builder.begin(1).raw_event(op, 0, document, 0, 0, flags, spans);
    return FrameDecoder().decode(builder.message());
  };
  const auto packed = MessageBuilder::packed;
  const std::string one = packed(1) + packed(2);
  const std::string next = packed(0) + packed(2);
  EXPECT_TRUE(decoded(2, one));
  EXPECT_TRUE(decoded(14, one + next + next));
  EXPECT_TRUE(decoded(10, one + next));
  EXPECT_TRUE(decoded(0, one));  // bytes that a later version may know
  EXPECT_TRUE(decoded(2, one + "whatever"));
  EXPECT_TRUE(decoded(2, "\x81" + std::string("\0", 1) + packed(2)));  // longer than necessary
  for (const std::string& spans :
       {std::string(), packed(1), packed(1) + packed(0), packed(1) + packed(1),
        packed(1) + packed(3), packed(2) + packed(2), packed(0) + packed(2), packed(8) + packed(2),
        packed(9) + packed(2), packed(7) + packed(2), packed(1) + packed(UINT32_MAX),
        packed(UINT32_MAX) + packed(2), packed(UINT32_MAX) + packed(UINT32_MAX),
        packed(1) + packed(uint64_t{1} << 32 | 2), packed((uint64_t{1} << 32) + 1) + packed(2),
        std::string("\xff\xff\xff\xff\xff\x01\2"), std::string("\x81\x80\x80\x80\x80\0\2", 7),
        std::string("\x81"), one.substr(0, 1) + "\x82"}) {
    EXPECT_FALSE(decoded(2, spans)) << testing::PrintToString(spans);
    EXPECT_FALSE(decoded(4, spans)) << testing::PrintToString(spans);
    EXPECT_FALSE(decoded(8, spans, 'm')) << testing::PrintToString(spans);
  }
  EXPECT_FALSE(decoded(6, one));
  EXPECT_FALSE(decoded(14, one + next));
  EXPECT_FALSE(decoded(6, one + packed(4) + packed(2)));
  EXPECT_THAT(decoded(6, one).error().what, HasSubstr("not in its document"));
}

TEST(FrameDecoder, APrefixIsThatOfTheMessageBehindIt) {
  FrameDecoder decoder;
  MessageBuilder one, two;
  one.begin(1).relation(1, "s", "t").frame('P', "out\"box").event('m', 0, "{}").event('m', 1, "{}");
  one.frame('P', "").event('m', 2, "{}").frame('P', "table").event('c', 3, "{}", 1);
  one.event('m', 4, "{}").frame('P', "lost");
  two.event('m', 5, "{}").commit(1, 2, 6);
  const Chunk first = std::move(decoder.decode(one.message()).value());
  const Chunk second = std::move(decoder.decode(two.message()).value());
  ASSERT_EQ(first.events.size(), 5u);
  EXPECT_EQ(first.events[0].prefix(), "out\"box");
  for (size_t i = 1; i < 5; i++) EXPECT_EQ(first.events[i].prefix(), "") << i;
  EXPECT_EQ(second.events[0].prefix(), "");
}

TEST(FrameDecoder, AResetForgetsRelationsAndTheOpenTransaction) {
  FrameDecoder decoder;
  MessageBuilder open, again;
  open.begin(1).relation(1, "s", "t").event('c', 0, "{}", 1);
  again.begin(1).event('c', 0, "{}", 1);
  ASSERT_TRUE(decoder.decode(open.message()));
  decoder.reset();
  EXPECT_FALSE(decoder.in_transaction());
  EXPECT_THAT(decoder.decode(again.message()).error().what, HasSubstr("has not been named"));
}

std::vector<uint64_t> indexes(const Chunk& chunk) {
  std::vector<uint64_t> all;
  for (const Event& event : chunk.events) all.push_back(event.lsn.value * 100 + event.index);
  return all;
}

TEST(FrameDecoder, WhatCameBeforeYieldsNothingWhenItComesAgain) {
  FrameDecoder decoder;
  decoder.reset({Lsn{20}, 1, 5, false});
  EXPECT_TRUE(decoder.may_have_sent(Lsn{20}));
  EXPECT_FALSE(decoder.may_have_sent(Lsn{21}));
  MessageBuilder builder;
  builder.begin(10, 4).event('c', 7, "{}").commit(10, 12, 1);
  builder.begin(20, 5)
      .event('c', 0, "{}")
      .event('c', 1, "{}")
      .event('c', 2, "{}")
      .commit(20, 22, 3);
  builder.begin(30, 6).event('c', 0, "{}").commit(30, 32, 1);
  Chunk chunk = std::move(decoder.decode(builder.message()).value());
  EXPECT_THAT(indexes(chunk), testing::ElementsAre(2002, 3000));
  ASSERT_EQ(chunk.commits.size(), 3u);
  EXPECT_EQ(chunk.commits[0].events_before, 0u);
  EXPECT_EQ(chunk.commits[1].events_before, 1u);
  EXPECT_EQ(chunk.commits[2].events_before, 2u);
  EXPECT_TRUE(decoder.may_have_sent(Lsn{1000}));
}

TEST(FrameDecoder, ACompleteTransactionNeedNotComeAgain) {
  FrameDecoder decoder;
  decoder.reset({Lsn{20}, 1, 5, true});
  MessageBuilder builder;
  builder.begin(30, 6).event('c', 0, "{}").commit(30, 32, 1);
  EXPECT_EQ(decoder.decode(builder.message()).value().events.size(), 1u);
}

TEST(FrameDecoder, APartOfATransactionThatDoesNotComeAgainIsAnotherLog) {
  for (const auto& [lsn, time] : {std::pair{20, 6}, {21, 5}, {30, 7}}) {
    FrameDecoder decoder;
    decoder.reset({Lsn{20}, 1, 5, false});
    MessageBuilder builder;
    builder.begin(static_cast<uint64_t>(lsn), time).event('c', 0, "{}");
    EXPECT_FALSE(decoder.decode(builder.message()));
    EXPECT_TRUE(decoder.is_other_log());
  }
}

TEST(FrameDecoder, SkipsWhatALaterVersionMayAdd) {
  MessageBuilder builder;
  builder.begin(1)
      .frame('Z', "whatever")
      .event('c', 0, "{}")
      .frame('C', std::string("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1more", 28), 0x80);
  FrameDecoder decoder;
  Result<Chunk> chunk = decoder.decode(builder.message());
  ASSERT_TRUE(chunk) << chunk.error().what;
  EXPECT_EQ(chunk->events.size(), 1u);
}

TEST(FrameDecoder, NamesWhatIsWrong) {
  auto start = [] { return MessageBuilder().begin(1).relation(1, "s", "t"); };
  EXPECT_THAT(error_of(MessageBuilder("{}")), HasSubstr("not in the format"));
  EXPECT_THAT(error_of(MessageBuilder(std::string("WS\x01\0", 4))),
              HasSubstr("upgrade the walspout plugin on the server"));
  EXPECT_THAT(error_of(MessageBuilder(std::string("WS\x03\0", 4))),
              AllOf(HasSubstr("version 3"), HasSubstr("upgrade this program")));
  EXPECT_THAT(error_of(MessageBuilder().event('c', 0, "{}")), HasSubstr("outside"));
  EXPECT_THAT(error_of(start().begin(2)), HasSubstr("within another"));
  EXPECT_THAT(error_of(start().event('c', 0, "{}", 9)), HasSubstr("relation 9"));
  EXPECT_THAT(error_of(start().event('c', 0, "", 1)), HasSubstr("without a document"));
  EXPECT_THAT(error_of(start().raw_event('c', 0, "", 1, 0, 0, "spans only")),
              HasSubstr("without a document"));
  EXPECT_THAT(error_of(start().frame('c', std::string(30, '\0'), 0, 11)), HasSubstr("too short"));
  EXPECT_THAT(error_of(start().relation(0, "s", "t")), HasSubstr("the id 0"));
  EXPECT_THAT(error_of(start().event('c', 1, "{}", 1).event('c', 1, "{}", 1)),
              HasSubstr("do not grow"));
  EXPECT_THAT(error_of(start().commit(2, 3, 0)), HasSubstr("has not begun"));
  EXPECT_THAT(error_of(start().commit(1, 0, 0)), HasSubstr("before its commit"));
  EXPECT_THAT(error_of(start().event('c', 0, "{}", 1).commit(1, 2, 2)),
              HasSubstr("2 events came with 1"));
  EXPECT_THAT(error_of(start().frame('c', "short")), HasSubstr("too short"));
  EXPECT_THAT(error_of(start().frame('!', "")), HasSubstr("kind 33"));
}

TEST(FrameDecoder, ARelationIsWhole) {
  MessageBuilder whole;
  whole.relation(7, "s", "t", columns());
  const std::string body = whole.bytes().substr(4 + 8);
  for (size_t size = 0; size < body.size(); size++) {
    EXPECT_THAT(error_of(MessageBuilder().frame('R', body.substr(0, size))),
                HasSubstr("too short"));
  }
  EXPECT_EQ(error_of(MessageBuilder().frame('R', body + "more")), "no error");
  std::string many = body;
  many[8] = many[9] = '\xff';
  EXPECT_THAT(error_of(MessageBuilder().frame('R', many)), HasSubstr("too short"));
}

TEST(FrameDecoder, MessagesGatherInAChunk) {
  FrameDecoder decoder;
  Chunk chunk;
  MessageBuilder first, second, bad;
  first.begin(100).relation(1, "s", "t").event('c', 0, "{1}", 1).commit(100, 110, 1);
  second.begin(200).event('c', 0, "{2}", 1);
  bad.event('c', 1, "{3}", 1).event('c', 1, "{4}", 1);
  ASSERT_TRUE(decoder.decode(first.message(), chunk));
  ASSERT_TRUE(decoder.decode(second.message(), chunk));
  EXPECT_FALSE(decoder.decode(bad.message(), chunk));
  ASSERT_EQ(chunk.events.size(), 2u);
  EXPECT_EQ(chunk.events[0].document, "{1}");
  EXPECT_EQ(chunk.events[1].document, "{2}");
  ASSERT_EQ(chunk.commits.size(), 1u);
  EXPECT_EQ(chunk.commits[0].events_before, 1u);
  EXPECT_EQ(chunk.messages.size(), 2u);
  EXPECT_EQ(chunk.message_bytes, first.bytes().size() + second.bytes().size());
  EXPECT_EQ(chunk.tables.size(), 1u);
}

TEST(FrameDecoder, EveryTruncationIsAnErrorOrAPrefix) {
  std::string bytes = sample().bytes();
  for (size_t size = 0; size < bytes.size(); size++) {
    FrameDecoder decoder;
    Result<Chunk> chunk = decoder.decode(MessageBuilder::copy(bytes.substr(0, size)));
    EXPECT_TRUE(!chunk || chunk->commits.empty());
  }
}

TEST(FrameDecoder, SurvivesRandomDamage) {
  std::mt19937 random(1);
  std::string bytes = sample().bytes();
  for (int round = 0; round < 20'000; round++) {
    std::string damaged = bytes;
    for (int i = 0; i < 3; i++) damaged[random() % damaged.size()] = static_cast<char>(random());
    FrameDecoder decoder;
    Result<Chunk> chunk = decoder.decode(MessageBuilder::copy(damaged));
    if (!chunk) continue;
    std::string_view whole = chunk->messages.front().bytes();
    for (const Event& event : chunk->events) {
      EXPECT_LE(event.document.data() + event.document.size(), whole.data() + whole.size());
      for (std::string_view object : {event.key(), event.before(), event.after()}) {
        EXPECT_TRUE(object.empty() || (object.front() == '{' && object.back() == '}'));
      }
    }
  }
}

const std::string kOpen = R"({"id":"00000000000000000000-00000000000000000000",)";

MessageBuilder rows() {
  MessageBuilder builder;
  builder.relation(7, "public", "orders", columns())
      .event('r', 0, kOpen + R"("key":{"id":7},"after":{"id":7,"n":1}})", 7, 42, 0x30,
             MessageBuilder::members({6, 5, -70'000}))
      .cursor(true, 3, {"7", "a"});
  return builder;
}

TEST(FrameDecoder, ReadsAMark) {
  FrameDecoder decoder;
  Chunk chunk;
  ASSERT_TRUE(decoder.decode(
      MessageBuilder().begin(100, 5, 77).mark("nonce 1").commit(100, 140, 0).message(), chunk));
  ASSERT_EQ(chunk.marks.size(), 1u);
  EXPECT_EQ(chunk.marks[0].content, "nonce 1");
  EXPECT_EQ(chunk.marks[0].lsn, Lsn{100});
  EXPECT_EQ(chunk.marks[0].end_lsn, Lsn{140});
  EXPECT_EQ(chunk.marks[0].xid, 77u);
  ASSERT_EQ(chunk.commits.size(), 1u);
  EXPECT_EQ(chunk.commits[0].xid, 77u);
  EXPECT_TRUE(chunk.events.empty());
  EXPECT_THAT(error_of(MessageBuilder().mark("x")), HasSubstr("mark outside"));
}

TEST(FrameDecoder, TellsOfTheMembersOfARow) {
  FrameDecoder decoder;
  Chunk chunk;
  const std::string members = MessageBuilder::members({6, 0, -3});
  MessageBuilder builder;
  builder.begin(100)
      .relation(7, "public", "orders", columns())
      .event('c', 0, R"({"key":{"id":7},"after":{"id":7}})", 7)
      .event('u', 1, R"({"key":{"id":7},"after":{"id":7}})", 7, 42, 0x10, members)
      .commit(100, 140, 2);
  ASSERT_TRUE(decoder.decode(builder.message(), chunk));
  ASSERT_EQ(chunk.details.size(), 1u);
  EXPECT_EQ(chunk.details[0].event, 1u);
  EXPECT_EQ(chunk.details[0].members, members);
  EXPECT_FALSE(chunk.details[0].open_id);
}

TEST(FrameDecoder, RejectsMembersThatAreNotThere) {
  const auto error = [](const std::vector<int64_t>& sizes, std::string_view after) {
    return error_of(MessageBuilder()
                        .begin(100)
                        .relation(7, "public", "orders", columns())
                        .event('u', 1, R"({"after":)" + std::string(after) + "}", 7, 42, 0x10,
                               MessageBuilder::members(sizes))
                        .commit(100, 140, 1));
  };
  EXPECT_EQ(error({5, 5, 0}, R"({"a":1,"b":2})"), "no error");
  EXPECT_EQ(error({0, 0, 0}, "{}"), "no error");
  EXPECT_THAT(error({5, 4, 0}, R"({"a":1,"b":2})"), HasSubstr("members"));
  EXPECT_THAT(error({5, 6, 0}, R"({"a":1,"b":2})"), HasSubstr("members"));
  EXPECT_THAT(error({4, 6, 0}, R"({"a":1,"b":2})"), HasSubstr("members"));
  EXPECT_THAT(error({5, 5}, R"({"a":1,"b":2})"), HasSubstr("members"));
  EXPECT_THAT(error({INT64_MAX / 2, 5, 0}, R"({"a":1,"b":2})"), HasSubstr("members"));
}

// An update with the flag and numbers of an old key of two columns.
MessageBuilder moved(std::string_view before,
                     const std::vector<std::pair<uint64_t, uint64_t>>& told,
                     const std::string& members = "", uint8_t flags = 0x41) {
  const std::vector<Column> two = {{"a", "int", 23, -1, true, true},
                                   {"v", "text", 25, -1, false, false},
                                   {"b", "jsonb", 3802, -1, true, true}};
  const std::string row = R"("before":)" + std::string(before) + R"(,"after":{"a":7}})";
  const size_t begin = row.find(':') + 2;  // behind the brace in front of the row
  const size_t after = row.rfind('{');
  MessageBuilder builder;
  return builder.begin(100)
      .relation(7, "public", "orders", two)
      .raw_event('u', 0, "{" + row, 7, 42, static_cast<uint8_t>(flags | 12),
                 MessageBuilder::packed(begin) + MessageBuilder::packed(before.size()) +
                     MessageBuilder::packed(after + 1 - begin - before.size()) +
                     MessageBuilder::packed(row.size() - 1 - after) + members +
                     MessageBuilder::old_key(told))
      .commit(100, 140, 1);
}

TEST(FrameDecoder, TellsOfTheOldKey) {
  const auto key = [](const MessageBuilder& builder) {
    FrameDecoder decoder;
    Chunk chunk;
    Result<void> decoded = decoder.decode(builder.message(), chunk);
    if (!decoded) return decoded.error().what;
    const Event& event = chunk.events.front();
    EXPECT_EQ(chunk.details.size(), 1u);
    return old_key(chunk.details.front().old_key, event.before());
  };
  EXPECT_EQ(key(moved(R"({"a":1,"v":"\"},","b":{"q":[2]}})", {{1, 5}, {12, 13}})),
            R"({"a":1,"b":{"q":[2]}})");
  EXPECT_EQ(key(moved(R"({"a":1,"b":2})", {{1, 5}, {1, 5}})), R"({"a":1,"b":2})");
  EXPECT_EQ(
      key(moved(R"({"a":1,"b":2})", {{1, 5}, {1, 5}}, MessageBuilder::members({5, 0, 0}), 0x51)),
      R"({"a":1,"b":2})");
  // Without details.
  EXPECT_EQ(key(moved(R"({"a":1,"b":2})", {}, MessageBuilder::members({5, 0, 0}), 0x11)), "");
}

TEST(FrameDecoder, RejectsAnOldKeyThatIsNotThere) {
  const auto error = [](const std::vector<std::pair<uint64_t, uint64_t>>& told, uint8_t flags) {
    return error_of(moved(R"({"a":1,"b":2})", told, "", flags));
  };
  EXPECT_EQ(error({{1, 5}, {1, 5}}, 0x41), "no error");
  using Told = std::vector<std::pair<uint64_t, uint64_t>>;
  for (const Told& told :
       {Told{}, Told{{1, 5}}, Told{{1, 5}, {1, 6}}, Told{{1, 5}, {1, 4}}, Told{{0, 6}, {1, 5}},
        Told{{2, 4}, {1, 5}}, Told{{1, 5}, {0, 6}}, Told{{1, 0}, {1, 5}}, Told{{1, 5}, {7, 1}},
        Told{{1, 5}, {UINT32_MAX, 5}}, Told{{1, UINT64_MAX}, {1, 5}},
        Told{{UINT64_MAX, 5}, {1, 5}}}) {
    EXPECT_THAT(error(told, 0x41), HasSubstr("old key"));
  }
  // Without an old row, or a table.
  MessageBuilder no_row;
  no_row.begin(100)
      .relation(7, "public", "orders", columns())
      .event('u', 0, R"({"after":{"id":7}})", 7, 42, 0x41, MessageBuilder::old_key({{1, 5}}))
      .commit(100, 140, 1);
  EXPECT_THAT(error_of(no_row), HasSubstr("old key"));
  MessageBuilder no_table;
  no_table.begin(100)
      .event('u', 0, R"({"before":{"id":7}})", 0, 42, 0x41, MessageBuilder::old_key({{1, 5}}))
      .commit(100, 140, 1);
  EXPECT_THAT(error_of(no_table), HasSubstr("old key"));
}

TEST(FrameDecoder, SurvivesRandomDamageToOldKeys) {
  const std::string bytes = moved(R"({"a":1,"v":"x","b":2})", {{1, 5}, {9, 5}}).bytes();
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; round++) {
    std::string damaged = bytes;
    for (int i = 0; i < 2; i++) damaged[random() % damaged.size()] = static_cast<char>(random());
    FrameDecoder decoder;
    Result<Chunk> chunk = decoder.decode(MessageBuilder::copy(damaged));
    if (!chunk) continue;
    for (const EventDetail& detail : chunk->details) {
      const std::string_view before = chunk->events[detail.event].before();
      EXPECT_LE(old_key(detail.old_key, before).size(), before.size());
    }
  }
}

TEST(FrameDecoder, ReadsRows) {
  FrameDecoder decoder;
  Chunk chunk;
  std::optional<RowsRead> read;
  Result<void> decoded = decoder.decode_rows(rows().message(), chunk, read);
  ASSERT_TRUE(decoded) << decoded.error().what;
  ASSERT_EQ(chunk.events.size(), 1u);
  EXPECT_EQ(chunk.events[0].op, 'r');
  EXPECT_EQ(chunk.events[0].key(), R"({"id":7})");
  EXPECT_TRUE(chunk.details[0].open_id);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->end);
  EXPECT_EQ(read->rows, 3u);
  EXPECT_THAT(read->last, testing::ElementsAre("7", "a"));
}

TEST(FrameDecoder, ReadsTheSchemaOfRows) {
  const std::string open = R"({"id":"00000000000000000000-00000000000000000000",)";
  MessageBuilder builder;
  builder.relation(7, "public", "orders", columns()).event('s', 0, open + "}", 7, 0xab, 0x21);
  FrameDecoder decoder;
  Chunk chunk;
  std::optional<RowsRead> read;
  EXPECT_FALSE(decoder.decode_rows(builder.message(), chunk, read)) << "a row is missing";
  builder.event('r', 0, open + R"("key":{"id":7}})", 7, 1, 0x20);
  ASSERT_TRUE(decoder.decode_rows(builder.message(), chunk, read));
  ASSERT_EQ(chunk.events.size(), 2u);
  EXPECT_TRUE(chunk.events[0].is_schema() && chunk.details[0].open_id);
  EXPECT_EQ(chunk.events[0].key_hash, 0xabu);
}

TEST(FrameDecoder, RejectsWhatIsNotOfRows) {
  const auto error = [](const MessageBuilder& builder) {
    FrameDecoder decoder;
    Chunk chunk;
    std::optional<RowsRead> read;
    Result<void> decoded = decoder.decode_rows(builder.message(), chunk, read);
    return decoded ? std::string("no error") : decoded.error().what;
  };
  MessageBuilder change;
  change.relation(7, "public", "orders", columns()).event('c', 0, R"({"after":{}})", 7);
  EXPECT_THAT(error(change), HasSubstr("change among rows"));
  EXPECT_THAT(error(sample()), HasSubstr("transaction among rows"));
  MessageBuilder id;
  id.relation(7, "public", "orders", columns())
      .event('r', 0, R"({"id":"1","key":{"id":7},"after":{"id":7}})", 7, 42, 0x20);
  EXPECT_THAT(error(id), HasSubstr("id that is not"));
  EXPECT_THAT(error(MessageBuilder().frame('K', "short")), HasSubstr("cursor is too short"));
  // In the stream a row would have no place.
  EXPECT_THAT(error_of(rows()), HasSubstr("outside of a transaction"));
}

TEST(FrameDecoder, NeverReadsBeyondCutRows) {
  const std::string whole = rows().bytes();
  std::mt19937 random(1);
  for (size_t i = 0; i < 3000; i++) {
    std::string bytes = whole;
    if (i < whole.size()) {
      bytes.resize(i);
    } else {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    FrameDecoder decoder;
    Chunk chunk;
    std::optional<RowsRead> read;
    (void)decoder.decode_rows(MessageBuilder::copy(bytes), chunk, read);
  }
}

MessageBuilder with_schema() {
  MessageBuilder builder;
  builder.begin(100)
      .relation(7, "public", "orders", columns())
      .event('s', 0, R"({"op":"s"})", 7, 0xab, 1)
      .event('c', 0, R"({"a":1})", 7, 1)
      .event('s', 4, R"({"op":"s","x":1})", 7, 0xcd, 1)
      .event('u', 4, R"({"a":2})", 7, 1)
      .commit(100, 140, 2);
  return builder;
}

TEST(FrameDecoder, ASchemaCountsNothing) {
  FrameDecoder decoder;
  Result<Chunk> chunk = decoder.decode(with_schema().message());
  ASSERT_TRUE(chunk) << chunk.error().what;
  ASSERT_EQ(chunk->events.size(), 4u);
  EXPECT_EQ(chunk->commits[0].events_before, 4u);
  const Event& schema = chunk->events[2];
  EXPECT_TRUE(schema.is_schema() && schema.barrier);
  EXPECT_EQ(schema.table_name(), "orders");
  EXPECT_EQ(EventId(schema).view(), "100-s00000000000000cd");
  EXPECT_EQ(EventId(chunk->events[3]).view(), "100-4");
}

TEST(FrameDecoder, ASchemaComesAgainWithItsEvent) {
  FrameDecoder decoder;
  decoder.reset({Lsn{100}, 0, 1'000'000, false});
  Result<Chunk> chunk = decoder.decode(with_schema().message());
  ASSERT_TRUE(chunk) << chunk.error().what;
  ASSERT_EQ(chunk->events.size(), 2u);
  EXPECT_TRUE(chunk->events[0].is_schema());
  EXPECT_EQ(chunk->events[1].index, 4u);
}

TEST(FrameDecoder, ASchemaThatWasToldDoesNotComeAgain) {
  MessageBuilder builder;
  builder.begin(100).relation(7, "public", "orders", columns()).relation(8, "public", "items");
  for (const uint64_t index : {0, 1, 2, 3}) {
    builder.event('s', index, "{}", index == 2 ? 8 : 7, index == 3 ? 0xcd : 0xab, 1)
        .event('c', index, "{}", index == 2 ? 8 : 7);
  }
  builder.commit(100, 140, 4);
  FrameDecoder decoder;
  const auto ops = [&] {
    Result<Chunk> chunk = decoder.decode(builder.message());
    EXPECT_TRUE(chunk) << chunk.error().what;
    std::string all;
    for (const Event& event : chunk->events) all += event.op;
    return all;
  };
  EXPECT_EQ(ops(), "sccscsc");
  EXPECT_EQ(ops(), "scccsc");
  decoder.told_schemas().forget();
  EXPECT_EQ(ops(), "sccscsc");
  decoder.reset();
  EXPECT_EQ(ops(), "sccscsc");
}

TEST(FrameDecoder, RejectsASchemaWithoutItsEvent) {
  const auto begun = [] {
    MessageBuilder builder;
    builder.begin(100).relation(7, "public", "orders").event('s', 3, "{}", 7, 1, 1);
    return builder;
  };
  EXPECT_THAT(error_of(begun()), HasSubstr("something is missing"));
  EXPECT_THAT(error_of(begun().commit(100, 140, 0)), HasSubstr("something is missing"));
  EXPECT_THAT(error_of(begun().event('c', 4, "{}", 7)), HasSubstr("something is missing"));
  EXPECT_EQ(error_of(begun().event('c', 3, "{}", 7).commit(100, 140, 1)), "no error");
  MessageBuilder nameless;
  nameless.begin(100).event('s', 0, "{}", 0, 1).event('m', 0, "{}").commit(100, 140, 1);
  EXPECT_THAT(error_of(nameless), HasSubstr("a schema of no relation"));
}

TEST(FrameDecoder, TheEndsOfATransactionCountNothing) {
  MessageBuilder whole;
  whole.begin(800)
      .relation(7, "public", "orders")
      .event('b', 0, R"({"op":"begin"})", 0, 0, 1)
      .event('s', 0, "{}", 7, 0xab, 1)
      .event('c', 0, "{}", 7)
      .event('e', 5, R"({"op":"commit"})", 0, 0, 1)
      .commit(800, 840, 1);
  FrameDecoder decoder;
  Result<Chunk> chunk = decoder.decode(whole.message());
  ASSERT_TRUE(chunk) << chunk.error().what;
  ASSERT_EQ(chunk->events.size(), 4u);
  EXPECT_EQ(EventId(chunk->events[0]).view(), "800-begin");
  EXPECT_EQ(EventId(chunk->events[3]).view(), "800-commit");
  EXPECT_LT(EventPlace::behind(chunk->events[0]), EventPlace::behind(chunk->events[2]));
  EXPECT_GT(EventPlace::behind(chunk->events[3]), EventPlace::behind(chunk->events[2]));

  const auto begun = [] {
    MessageBuilder builder;
    builder.begin(800);
    return builder;
  };
  EXPECT_THAT(error_of(begun().event('b', 0, "{}")), HasSubstr("something is missing"));
  EXPECT_THAT(error_of(begun().event('b', 0, "{}").commit(800, 840, 0)),
              HasSubstr("something is missing"));
  EXPECT_THAT(error_of(begun().event('m', 0, "{}").event('e', 1, "{}")),
              HasSubstr("something is missing"));
  EXPECT_THAT(error_of(begun().event('e', 0, "{}").event('m', 1, "{}")),
              HasSubstr("something is missing"));
  EXPECT_THAT(error_of(begun().event('m', 0, "{}").event('b', 1, "{}")),
              HasSubstr("begins within itself"));
}

TEST(EventPlace, BehindASchemaIsBeforeItsEvent) {
  Event event;
  event.lsn = Lsn{800};
  event.index = 3;
  EXPECT_EQ(EventPlace::behind(event), (EventPlace{Lsn{800}, 3}));
  event.op = 's';
  EXPECT_EQ(EventPlace::behind(event), (EventPlace{Lsn{800}, 2}));
  event.index = 0;
  EXPECT_LT(EventPlace::behind(event), (EventPlace{Lsn{800}, 0}));
  EXPECT_GT(EventPlace::behind(event), (EventPlace{Lsn{792}, UINT64_MAX}));
}

TEST(EventId, IsReadAsItIsWritten) {
  for (const char* text :
       {"1-0", "18446744073709551615-18446744073709551615", "27439048-s00000000000000ff",
        "1-sffffffffffffffff", "1-begin", "18446744073709551615-commit"}) {
    Event event;
    EXPECT_TRUE(EventId::parse(text, event)) << text;
    EXPECT_EQ(EventId(event).view(), text);
  }
  for (const char* text : {"", "-", "1", "1-", "-1", "1-01", "1-s", "1-sff", "1-s00000000000000FF",
                           "1-s00000000000000ff0", "1-s0x000000000000ff", "1-1 ", "a-1", "1-beg",
                           "1-begin ", "1-commi", "1-commits", "1-e"}) {
    Event event;
    EXPECT_FALSE(EventId::parse(text, event)) << text;
  }
}

}  // namespace
}  // namespace walspout
