#include "source/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "test/source/messages.h"

namespace walspout {
namespace {

using test::MessageBuilder;
using testing::HasSubstr;

MessageBuilder sample() {
  MessageBuilder builder;
  builder.begin(100, 5'000'000)
      .relation(7, "public", "orders")
      .event('c', 0, R"({"key":{"id":7}})", 7, 42, 0, 7, 8)
      .event('u', 3, R"({"x":1})", 7, 43, 1)
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
  EXPECT_EQ(insert.key_hash, 42u);
  EXPECT_FALSE(insert.barrier);
  EXPECT_TRUE(chunk->events[1].barrier);
  EXPECT_EQ(chunk->events[1].index, 3u);
  EXPECT_EQ(chunk->events[1].key(), "");
  EXPECT_EQ(chunk->events[2].table, nullptr);
  ASSERT_EQ(chunk->commits.size(), 1u);
  EXPECT_EQ(chunk->commits[0].end_lsn, Lsn{140});
  EXPECT_EQ(chunk->commits[0].events_before, 3u);
  EXPECT_EQ(chunk->tables.size(), 1u);
  EXPECT_FALSE(decoder.in_transaction());
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
  EXPECT_EQ(first.events[0].prefix, "out\"box");
  for (size_t i = 1; i < 5; i++) EXPECT_EQ(first.events[i].prefix, "") << i;
  EXPECT_EQ(second.events[0].prefix, "");
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
      .event('c', 0, "{}", 0, 0, 0x80)
      .frame('C', std::string("\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1more", 28));
  FrameDecoder decoder;
  Result<Chunk> chunk = decoder.decode(builder.message());
  ASSERT_TRUE(chunk) << chunk.error().what;
  EXPECT_EQ(chunk->events.size(), 1u);
}

TEST(FrameDecoder, NamesWhatIsWrong) {
  auto start = [] { return MessageBuilder().begin(1).relation(1, "s", "t"); };
  EXPECT_THAT(error_of(MessageBuilder("{}")), HasSubstr("not in the format"));
  EXPECT_THAT(error_of(MessageBuilder(std::string("WS\x02\0", 4))), HasSubstr("version 2"));
  EXPECT_THAT(error_of(MessageBuilder().event('c', 0, "{}")), HasSubstr("outside"));
  EXPECT_THAT(error_of(start().begin(2)), HasSubstr("within another"));
  EXPECT_THAT(error_of(start().event('c', 0, "{}", 9)), HasSubstr("relation 9"));
  EXPECT_THAT(error_of(start().event('c', 0, "", 1)), HasSubstr("without a document"));
  EXPECT_THAT(error_of(start().event('c', 0, "{}", 1, 0, 0, 1, 2)), HasSubstr("key"));
  EXPECT_THAT(error_of(start().event('c', 0, "{}", 1, 0, 0, 3, UINT32_MAX)), HasSubstr("key"));
  EXPECT_THAT(error_of(start().event('c', 1, "{}", 1).event('c', 1, "{}", 1)),
              HasSubstr("do not grow"));
  EXPECT_THAT(error_of(start().commit(2, 3, 0)), HasSubstr("has not begun"));
  EXPECT_THAT(error_of(start().commit(1, 0, 0)), HasSubstr("before its commit"));
  EXPECT_THAT(error_of(start().event('c', 0, "{}", 1).commit(1, 2, 2)),
              HasSubstr("2 events came with 1"));
  EXPECT_THAT(error_of(start().frame('c', "short")), HasSubstr("too short"));
  EXPECT_THAT(error_of(start().frame('!', "")), HasSubstr("kind 33"));
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
      EXPECT_LE(event.key().size(), event.document.size());
    }
  }
}

}  // namespace
}  // namespace walspout
