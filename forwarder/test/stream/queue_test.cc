#include "stream/queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "test/source/messages.h"

namespace walspout {
namespace {

using std::chrono::milliseconds;
using test::transaction;

constexpr Duration kNoWait = Duration::zero();
constexpr BatchLimits kAll{1000, 1 << 20, true};

TEST(EventQueue, GivesWhatIsThere) {
  EventQueue queue(1, 1 << 20, [] {});
  std::vector<Event> batch;
  queue.take(0, kAll, kNoWait, batch);
  EXPECT_TRUE(batch.empty());
  queue.push(transaction(10, 3));
  queue.push(transaction(20, 2));
  queue.take(0, kAll, kNoWait, batch);
  ASSERT_EQ(batch.size(), 5u);
  EXPECT_EQ(batch[0].lsn, Lsn{10});
  EXPECT_EQ(batch[4].lsn, Lsn{20});
  EXPECT_EQ(batch[4].table_name(), "t");
  EXPECT_EQ(queue.handled(), 0u);
  queue.done(0);
  EXPECT_EQ(queue.handled(), 5u);
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(EventQueue, KnowsWhetherATransactionGoesOn) {
  EventQueue queue(1, 1 << 20, [] {});
  EXPECT_FALSE(queue.transaction_continues(0));
  queue.push(transaction(10, 3), true);
  EXPECT_TRUE(queue.transaction_continues(0));
  queue.transaction_ended();
  EXPECT_FALSE(queue.transaction_continues(0));
  queue.push(transaction(20, 3), true);
  queue.push(transaction(20, 3));
  EXPECT_FALSE(queue.transaction_continues(0));
  queue.push(transaction(30, 3), true);
  queue.discard();
  EXPECT_FALSE(queue.transaction_continues(0)) << "the rest is not to be delivered, either";
  queue.push(transaction(40, 3), true);
  queue.transaction_ended();
  std::vector<Event> batch;
  queue.take(0, {1, 1 << 20, true}, kNoWait, batch);
  queue.discard();
  EXPECT_TRUE(queue.transaction_continues(0)) << "what the sink holds may be incomplete";
  queue.done(0);
  EXPECT_FALSE(queue.transaction_continues(0));
  queue.close();
  EXPECT_TRUE(queue.transaction_continues(0)) << "the sink could not take the rest";
  EventQueue full(1, 1, [] {});
  full.push(transaction(10, 3), true);
  EXPECT_FALSE(full.transaction_continues(0)) << "the reader has no room for the rest";
}

TEST(EventQueue, KnowsTheOldestEventAlsoIfItHasNoCommitTime) {
  EventQueue queue(1, 1 << 20, [] {});
  EXPECT_EQ(queue.oldest_commit(), 0);
  const int64_t before = wall_micros();
  Chunk message = transaction(10, 1);
  message.events.front().commit_time = 0;
  queue.push(std::move(message));
  EXPECT_GE(queue.oldest_commit(), before);
  EXPECT_LE(queue.oldest_commit(), wall_micros());
  queue.push(transaction(20, 1));
  EXPECT_EQ(queue.oldest_commit(), 1'000'000) << "what is behind may be older";
  std::vector<Event> batch;
  queue.take(0, kAll, kNoWait, batch);
  queue.done(0);
  EXPECT_EQ(queue.oldest_commit(), 0);
}

TEST(EventQueue, BatchesKeepToTheLimits) {
  EventQueue queue(1, 1 << 20, [] {});
  queue.push(transaction(10, 5, 0, 100));
  std::vector<Event> batch;
  queue.take(0, {2, 1 << 20, true}, kNoWait, batch);
  EXPECT_EQ(batch.size(), 2u);
  queue.done(0);
  EXPECT_EQ(queue.handled(), 2u);
  queue.take(0, {10, 250, true}, kNoWait, batch);
  EXPECT_EQ(batch.size(), 2u);
  queue.done(0);
  queue.take(0, {10, 1, true}, kNoWait, batch);
  EXPECT_EQ(batch.size(), 1u) << "at least one, however large";
  EXPECT_GT(queue.bytes(), 0u);
  queue.done(0);
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(EventQueue, TablesThatAreTruncatedTogetherShareABatch) {
  EventQueue queue(1, 1 << 20, [] {});
  test::MessageBuilder builder;
  builder.begin(5).relation(1, "public", "t").event('c', 0, "{}", 1);
  for (uint64_t i = 1; i < 4; i++) builder.event('t', i, "{}", 1, 0, 1);
  builder.event('c', 4, "{}", 1).commit(5, 6, 5);
  FrameDecoder decoder;
  queue.push(std::move(decoder.decode(builder.message()).value()));
  std::vector<Event> batch;
  queue.take(0, {2, 1 << 20, false}, kNoWait, batch);
  EXPECT_EQ(batch.size(), 4u);
  queue.take(0, {2, 1 << 20, false}, kNoWait, batch);
  EXPECT_EQ(batch.size(), 1u);
}

TEST(EventQueue, WhatWasTakenFirstIsGivenBackFirst) {
  int woken = 0;
  EventQueue queue(1, 1000, [&] { woken++; });
  for (uint64_t lsn : {10, 20, 30}) queue.push(transaction(lsn, 2, 0, 500));
  EXPECT_FALSE(queue.has_room());
  std::vector<Event> batch, more;
  EXPECT_TRUE(queue.has_more(0));
  queue.take(0, {3, 1 << 20, true}, kNoWait, batch);
  queue.take(0, {2, 1 << 20, true}, kNoWait, more);
  const size_t all = queue.bytes();
  queue.done_first(0, 2);
  EXPECT_EQ(queue.handled(), 3u);
  EXPECT_LT(queue.bytes(), all) << "the first chunk is free";
  EXPECT_EQ(more[1].document, std::string(500, 'x')) << "what is in hands lives";
  EXPECT_TRUE(queue.has_more(0));
  queue.take(0, kAll, kNoWait, batch);
  EXPECT_EQ(batch.size(), 1u);
  EXPECT_FALSE(queue.has_more(0));
  queue.done_first(0, 2);
  EXPECT_EQ(queue.handled(), 5u);
  queue.done(0);
  EXPECT_EQ(queue.handled(), 6u);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(woken, 1);
}

TEST(EventQueue, EachChunkIsAPiece) {
  EventQueue queue(2, 1000, [] {});
  for (uint64_t lsn : {10, 20}) queue.push(transaction(lsn, 2, 0, 500));
  queue.push(transaction(30, 2, 0, 10), true);
  std::vector<Event> batch;
  std::deque<size_t> pieces;
  queue.take(0, {5, 1 << 20, false}, kNoWait, batch, &pieces);
  EXPECT_EQ(pieces, (std::deque<size_t>{2, 2, 1}));
  EXPECT_FALSE(queue.transaction_continues(0));
  EXPECT_TRUE(queue.transaction_continues(0, true)) << "when it has given back the rest";
  queue.done_first(0, 2);
  EXPECT_FALSE(queue.has_room()) << "the other sink has all";
  EXPECT_TRUE(queue.transaction_continues(0)) << "when the other sink has caught up";
  EXPECT_FALSE(queue.transaction_continues(1));
}

TEST(EventQueue, WhatIsGivenBackInPartsMayBeDiscarded) {
  EventQueue queue(1, 1 << 20, [] {});
  std::vector<Event> batch, more;
  queue.push(transaction(10, 4));
  queue.take(0, {1, 1 << 20, true}, kNoWait, batch);
  queue.take(0, {1, 1 << 20, true}, kNoWait, more);
  EXPECT_EQ(queue.discard(), 4u);
  EXPECT_FALSE(queue.has_more(0)) << "first it is to be done with what it has";
  queue.done_first(0, 1);
  EXPECT_TRUE(queue.is_discarded(0));
  queue.done_first(0, 1);
  EXPECT_FALSE(queue.is_discarded(0));
  EXPECT_EQ(queue.handled(), 4u);
  queue.push(transaction(20, 1));
  queue.take(0, kAll, kNoWait, batch);
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(batch[0].lsn, Lsn{20});
}

TEST(EventQueue, ABarrierIsAlone) {
  EventQueue queue(1, 1 << 20, [] {});
  queue.push(transaction(10, 2));
  queue.push(transaction(20, 1, 1));
  queue.push(transaction(30, 2));
  std::vector<Event> batch;
  for (size_t size : {2, 1, 2}) {
    queue.take(0, kAll, kNoWait, batch);
    EXPECT_EQ(batch.size(), size);
    queue.done(0);
  }
  queue.push(transaction(40, 2));
  queue.push(transaction(50, 1, 1));
  queue.take(0, {1000, 1 << 20, false}, kNoWait, batch);
  EXPECT_EQ(batch.size(), 3u) << "unless the sink keeps one order";
}

TEST(EventQueue, TheSlowestSinkCounts) {
  int woken = 0;
  EventQueue queue(2, 1000, [&] { woken++; });
  EXPECT_TRUE(queue.has_room());
  queue.push(transaction(10, 1, 0, 2000));
  EXPECT_FALSE(queue.has_room());
  std::vector<Event> batch;
  queue.take(0, kAll, kNoWait, batch);
  queue.done(0);
  EXPECT_EQ(queue.handled(), 0u);
  EXPECT_EQ(queue.handled(0), 1u);
  EXPECT_EQ(woken, 0);
  queue.take(1, kAll, kNoWait, batch);
  ASSERT_EQ(batch.size(), 1u);
  queue.done(1);
  EXPECT_EQ(queue.handled(), 1u);
  EXPECT_EQ(woken, 1);
  EXPECT_TRUE(queue.has_room());
}

TEST(EventQueue, WhatIsDiscardedCountsAsHandled) {
  EventQueue queue(2, 1 << 20, [] {});
  std::vector<Event> held, batch;
  queue.push(transaction(10, 3));
  queue.push(transaction(20, 4));
  queue.take(0, {2, 1 << 20, true}, kNoWait, held);
  ASSERT_EQ(held.size(), 2u);
  EXPECT_FALSE(queue.is_discarded(0));
  EXPECT_EQ(queue.discard(), 7u);
  EXPECT_TRUE(queue.is_discarded(0));
  EXPECT_FALSE(queue.is_discarded(1)) << "it has nothing in hands";
  EXPECT_FALSE(queue.may_deliver(0));
  EXPECT_EQ(held[1].document, "xxxxxxxxxx") << "what is in hands lives";
  EXPECT_EQ(queue.handled(0), 0u);
  EXPECT_EQ(queue.handled(1), 7u);
  queue.push(transaction(30, 1));
  queue.take(0, kAll, kNoWait, batch);
  EXPECT_TRUE(batch.empty()) << "first it is to be done with what it has";
  queue.take(1, kAll, kNoWait, batch);
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(batch[0].lsn, Lsn{30});
  EXPECT_FALSE(queue.is_discarded(1));
  queue.done(1);
  queue.done(0);
  EXPECT_EQ(queue.handled(), 7u);
  EXPECT_FALSE(queue.is_discarded(0));
  queue.take(0, kAll, kNoWait, batch);
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(batch[0].lsn, Lsn{30});
  queue.done(0);
  EXPECT_EQ(queue.handled(), 8u);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.discard(), 0u);
}

TEST(EventQueue, ADiscardMakesRoom) {
  EventQueue queue(1, 1000, [] {});
  queue.push(transaction(10, 1, 0, 2000));
  EXPECT_FALSE(queue.has_room());
  queue.discard();
  EXPECT_TRUE(queue.has_room());
}

TEST(EventQueue, CloseEndsAWait) {
  EventQueue queue(1, 1000, [] {});
  std::thread closer([&] {
    std::this_thread::sleep_for(milliseconds(20));
    queue.close();
  });
  std::vector<Event> batch;
  TimePoint start = Clock::now();
  queue.take(0, kAll, std::chrono::seconds(30), batch);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  EXPECT_TRUE(batch.empty());
  closer.join();
}

TEST(EventQueue, ThreadsSeeEveryEventOnceInOrder) {
  constexpr uint64_t kTransactions = 3000;
  std::atomic<bool> room{true};
  EventQueue queue(2, 4000, [&] { room = true; });
  std::vector<std::thread> sinks;
  std::atomic<uint64_t> seen{0};
  for (size_t sink = 0; sink < 2; sink++) {
    sinks.emplace_back([&, sink] {
      std::vector<Event> batch;
      uint64_t last = 0;
      while (!queue.closed()) {
        queue.take(sink, {7, 1000, true}, milliseconds(50), batch);
        for (const Event& event : batch) {
          uint64_t number = event.lsn.value * 10 + event.index;
          EXPECT_GT(number, last);
          last = number;
          EXPECT_EQ(event.document, "xxxxxxxxxx");
          seen++;
        }
        if (!batch.empty()) queue.done(sink);
      }
    });
  }
  for (uint64_t i = 1; i <= kTransactions; i++) {
    while (!queue.has_room()) std::this_thread::yield();
    queue.push(transaction(i * 10, 1 + i % 3));
    queue.announce();
    EXPECT_LT(queue.bytes(), 6000u);
  }
  while (queue.handled() < queue.pushed()) std::this_thread::yield();
  queue.close();
  for (std::thread& sink : sinks) sink.join();
  EXPECT_EQ(seen, 2 * queue.pushed());
}

// A transaction with an event for each letter: a capital letter is a barrier, and the table has the
// letter's name in lower case.
Chunk letters(uint64_t lsn, const std::string& text) {
  test::MessageBuilder builder;
  builder.begin(lsn);
  for (char c = 'a'; c <= 'z'; c++) builder.relation(uint32_t(c), "public", std::string(1, c));
  for (size_t i = 0; i < text.size(); i++) {
    const bool barrier = text[i] < 'a';
    const char name = static_cast<char>(barrier ? text[i] - 'A' + 'a' : text[i]);
    builder.event(barrier ? 't' : 'c', i, "xxxxxxxxxx", uint32_t(name), i, barrier ? 1 : 0);
  }
  builder.commit(lsn, lsn + 8, text.size());
  FrameDecoder decoder;
  return std::move(decoder.decode(builder.message()).value());
}

std::string names(const std::vector<Event>& batch) {
  std::string text;
  for (const Event& event : batch) text += event.table_name();
  return text;
}

TEST(EventQueue, ASinkGetsOnlyWhatItWants) {
  EventQueue queue(2, 1 << 20, [] {});
  queue.only(1, {{"public.a", "public.b"}, {}});
  queue.push(letters(10, "xaXybzz"));
  queue.push(letters(20, "zza"));
  std::vector<Event> batch;
  EXPECT_EQ(queue.take(1, kAll, kNoWait, batch), 7u);
  EXPECT_EQ(names(batch), "aba") << "what is left out divides no batch, and is no barrier";
  EXPECT_EQ(queue.handled(1), 1u) << "what is before the first event is done with";
  queue.done(1);
  EXPECT_EQ(queue.handled(1), 10u);
  EXPECT_EQ(queue.take(0, kAll, kNoWait, batch), 0u);
  EXPECT_EQ(names(batch), "xa");
}

TEST(EventQueue, ABarrierThatIsWantedIsAloneAlsoAmongOthers) {
  EventQueue queue(1, 1 << 20, [] {});
  queue.only(0, {{"public.a"}, {}});
  queue.push(letters(10, "axaXAXxXaXa"));
  std::vector<Event> batch;
  for (const char* expected : {"aa", "a", "aa"}) {
    queue.take(0, kAll, kNoWait, batch);
    EXPECT_EQ(names(batch), expected);
    queue.done(0);
  }
  EXPECT_EQ(queue.handled(), 11u);
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(EventQueue, WhatNoSinkWantsIsDoneWithAtOnce) {
  int woken = 0;
  EventQueue queue(1, 1000, [&] { woken++; });
  queue.only(0, {{}, {"d"}});
  queue.push(transaction(10, 100));
  EXPECT_FALSE(queue.has_room());
  std::vector<Event> batch;
  EXPECT_EQ(queue.take(0, kAll, kNoWait, batch), 100u);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(queue.handled(), 100u);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(woken, 1);
  EXPECT_TRUE(queue.has_room());
}

TEST(EventQueue, WhatIsLeftOutBehindAnEventInHandsWaitsForThat) {
  EventQueue queue(1, 1 << 20, [] {});
  queue.only(0, {{"public.a"}, {}});
  queue.push(letters(10, "a"));
  std::vector<Event> batch, more;
  queue.take(0, kAll, kNoWait, batch);
  queue.push(letters(20, "xxa"));
  EXPECT_EQ(queue.take(0, kAll, kNoWait, more), 2u);
  EXPECT_EQ(names(more), "a");
  EXPECT_EQ(queue.handled(), 0u);
  queue.done(0);
  EXPECT_EQ(queue.handled(), 4u);
}

TEST(EventQueue, NoCallPassesOverALotAtOnce) {
  EventQueue queue(1, 1 << 30, [] {});
  queue.only(0, {{}, {"d"}});
  for (uint64_t i = 1; i <= 100; i++) queue.push(transaction(i * 10, 1000));
  std::vector<Event> batch;
  size_t passed = 0, calls = 0;
  for (; passed < 100'000; calls++) passed += queue.take(0, kAll, kNoWait, batch);
  EXPECT_EQ(passed, 100'000u);
  EXPECT_GT(calls, 2u);
  EXPECT_EQ(queue.handled(), 100'000u);
}

// With many sinks and events close together, not every event wakes the sinks at once. No event may
// be forgotten, and a full queue must not wait.
TEST(EventQueue, ManySinksHearOfEventsInTime) {
  constexpr size_t kSinks = 200;
  EventQueue queue(kSinks, 1 << 20, [] {});
  std::atomic<uint64_t> taken{0};
  std::thread sink([&] {
    std::vector<Event> batch;
    while (!queue.closed()) {
      queue.take(0, kAll, std::chrono::hours(1), batch);
      taken += batch.size();
      queue.done(0);
    }
  });
  std::optional<TimePoint> again;
  uint64_t pushed = 0, delayed = 0;
  for (; pushed < 2000; pushed++) {
    queue.push(transaction((pushed + 1) * 10, 1));
    again = queue.announce();
    if (again) delayed++;
  }
  EXPECT_GT(delayed, 0u);
  while (again) {
    EXPECT_LE(*again, Clock::now() + milliseconds(11));
    std::this_thread::sleep_until(*again);
    again = queue.announce();
  }
  while (taken < pushed) std::this_thread::yield();
  EXPECT_EQ(queue.handled(0), pushed);
  queue.push(transaction(100'000, 1));
  EXPECT_FALSE(queue.announce(true));
  queue.push(transaction(100'010, 10'000));
  EXPECT_FALSE(queue.announce()) << "there is no room";
  while (taken < pushed + 10'001) std::this_thread::yield();
  queue.close();
  sink.join();
}

// A schema, and its event.
Chunk schema(uint64_t lsn, uint64_t fingerprint) {
  test::MessageBuilder builder;
  builder.begin(lsn).relation(1, "public", "t");
  builder.event('s', 0, "{}", 1, fingerprint, 1).event('c', 0, "{}", 1).commit(lsn, lsn + 8, 1);
  FrameDecoder decoder;
  return std::move(decoder.decode(builder.message()).value());
}

std::string ops(EventQueue& queue, size_t sink, BatchLimits limits) {
  std::string all;
  std::vector<Event> batch;
  for (;;) {
    const size_t passed = queue.take(sink, limits, kNoWait, batch);
    if (batch.empty() && passed == 0) return all;
    for (const Event& event : batch) all += event.op;
    queue.done(sink);
  }
}

TEST(EventQueue, GivesASchemaOnceWhereThatIsWanted) {
  EventQueue queue(2, 1 << 20, [] {});
  queue.only(0, {{}, {}, true});
  for (const uint64_t fingerprint : {1, 1, 2, 1}) queue.push(schema(10, fingerprint));
  // One event at a time, so that each is checked more than once.
  EXPECT_EQ(ops(queue, 0, {1, 1 << 20, true}), "sccscc");
  EXPECT_EQ(ops(queue, 1, kAll), "scscscsc");
  EXPECT_EQ(queue.handled(), 8u);
}

TEST(EventQueue, GivesASchemaAgainThatWasDiscarded) {
  EventQueue queue(1, 1 << 20, [] {});
  queue.only(0, {{}, {}, true});
  queue.push(schema(10, 1));
  std::vector<Event> batch;
  queue.take(0, kAll, kNoWait, batch);
  ASSERT_EQ(batch.size(), 1u);
  queue.discard();
  queue.done(0);
  queue.push(schema(10, 1));
  EXPECT_EQ(ops(queue, 0, kAll), "sc");
}

}  // namespace
}  // namespace walspout
