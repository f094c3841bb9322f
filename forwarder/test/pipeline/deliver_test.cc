#include "pipeline/deliver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "test/source/messages.h"

namespace walspout {
namespace {

using test::transaction;
using testing::ElementsAre;
using testing::HasSubstr;

// A clock that only sleep() moves.
class FakeTime : public Timekeeper {
 public:
  TimePoint now() override { return now_; }
  int64_t wall() override { return 2'000'000; }
  void sleep(Duration time) override {
    now_ += time;
    slept.push_back(time);
    if (on_sleep) on_sleep();
    if (slept.size() > 10'000) on_flood();
  }

  std::vector<Duration> slept;
  std::function<void()> on_sleep;
  std::function<void()> on_flood = [] { FAIL() << "it retries for ever"; };

 private:
  TimePoint now_{};
};

// A sink that follows a script, one step a call, and then takes everything.
class FakeSink : public Sink {
 public:
  using Step = std::function<Delivery(std::span<const Event>, Progress&)>;

  std::string_view type() const override { return "fake"; }
  std::string_view endpoint() const override { return "nowhere"; }
  BatchLimits limits() const override { return {max_events, 1 << 20, barriers_alone}; }
  Result<void> check(const SourceState& source, TimePoint) override {
    position = source.wal_position;
    if (checks.empty()) return {};
    Result<void> result = checks.front();
    checks.pop_front();
    return result;
  }
  Delivery deliver(std::span<const Event> events, TimePoint, Progress& progress) override {
    calls++;
    Delivery result;
    if (!script.empty()) {
      Step step = script.front();
      script.pop_front();
      result = step(events, progress);
    } else if (always) {
      result = always(events, progress);
    }
    for (size_t i = 0; i < events.size(); i++) {
      if ((result && !progress.is_paused()) || progress.is_done(i))
        taken.emplace_back(EventId(events[i]).view());
    }
    if (queue && taken.size() + set_aside >= expected) queue->close();
    return result;
  }

  void idle() override { idles++; }
  Result<void> reopen() override {
    reopened++;
    return {};
  }

  size_t max_events = 4;
  bool barriers_alone = true;
  std::deque<Result<void>> checks;
  std::deque<Step> script;
  Step always;  // after the script; empty: takes everything
  std::vector<std::string> taken;
  size_t calls = 0;
  size_t idles = 0;
  size_t reopened = 0;
  size_t expected = 0;
  size_t set_aside = 0;
  EventQueue* queue = nullptr;
  Lsn position;
};

// A receiver that fails while `broken` is true for an event of the attempt. Like a webhook, it does
// not say which of several events is bad.
FakeSink::Step requests(std::function<bool(const Event&)> broken, ErrorKind kind) {
  return [=](std::span<const Event> events, Progress&) -> Delivery {
    if (std::none_of(events.begin(), events.end(), broken)) return {};
    const Scope scope = events.size() > 1 ? Scope::kBatch : Scope::kEvent;
    return tl::unexpected(
        DeliveryError{Error{kind, "bad", "hook", scope}, 0, std::nullopt, events.size()});
  };
}

FakeSink::Step blame(Scope scope, ErrorKind kind = ErrorKind::kRetry, size_t event = 0) {
  return [=](std::span<const Event> events, Progress&) -> Delivery {
    return tl::unexpected(
        DeliveryError{Error{kind, "no", "nowhere", scope}, event, std::nullopt, events.size()});
  };
}

FakeSink::Step fail(ErrorKind kind, size_t event = 0, std::vector<size_t> done = {},
                    std::optional<Milliseconds> retry_after = std::nullopt) {
  return [=](std::span<const Event>, Progress& progress) -> Delivery {
    for (size_t i : done) progress.durable(i);
    DeliveryError error{Error{kind, "no", "nowhere"}, event, retry_after};
    return tl::unexpected(error);
  };
}

class FakeLetters : public DeadLetters {
 public:
  Result<void> put(const Event& event, std::string_view, const Error& reason) override {
    if (failures > 0) {
      failures--;
      return retry("disk full");
    }
    ids.emplace_back(EventId(event).view());
    reasons.push_back(reason.what);
    if (last) last->close();
    return {};
  }
  EventQueue* last = nullptr;  // to be closed after the first letter
  std::vector<std::string> ids, reasons;
  int failures = 0;
};

class DelivererTest : public testing::Test {
 protected:
  // Delivers transactions at 10, 20, ... with the given numbers of events, until `taken` were
  // taken.
  Result<void> run(std::vector<size_t> sizes, size_t taken) {
    uint64_t lsn = 0;
    for (size_t size : sizes) queue.push(transaction(lsn += 10, size));
    sink.queue = &queue;
    sink.expected = taken;
    time.on_flood = [this] { queue.close(); };
    Deliverer deliverer(sink, queue, 0, config, letters, stats, time,
                        [] { return SourceState{Lsn{77}}; });
    return deliverer.run();
  }

  FakeSink sink;
  FakeTime time;
  EventQueue queue{1, 1 << 20, [] {}};
  DeliverConfig config{"pipe", "fake", {Milliseconds(100), Milliseconds(1000)}, Duration(1), 0};
  FakeLetters dead_letters;
  DeadLetters* letters = nullptr;
  SinkStats stats;
};

TEST_F(DelivererTest, DeliversInOrder) {
  ASSERT_TRUE(run({2, 1}, 3));
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-1", "20-0"));
  EXPECT_EQ(stats.events, 3u);
  EXPECT_EQ(stats.bytes, 30u);
  EXPECT_EQ(queue.handled(), 3u);
  EXPECT_EQ(sink.position, Lsn{77});
  uint64_t measured = 0;
  for (size_t i = 0; i < LatencyHistogram::kBuckets; i++) measured += stats.latency.count(i);
  EXPECT_EQ(measured, 3u);
  EXPECT_EQ(stats.latency.sum_micros(), 3'000'000u);
}

TEST_F(DelivererTest, AHeldSinkGetsNothingAndKeepsItsConnection) {
  for (const uint64_t lsn : {10, 20}) queue.push(transaction(lsn, 1));
  sink.queue = &queue;
  sink.expected = 2;
  Deliverer deliverer(sink, queue, 0, config, letters, stats, time,
                      [] { return SourceState{Lsn{77}}; });
  sink.script = {[&](std::span<const Event> events, Progress& progress) -> Delivery {
    deliverer.hold(true);
    return fail(ErrorKind::kRetry)(events, progress);
  }};
  size_t held = 0;
  time.on_sleep = [&] {
    if (stats.state != SinkState::kHeld) return;
    EXPECT_TRUE(sink.taken.empty());
    if (++held == 50) deliverer.hold(false);
  };
  ASSERT_TRUE(deliverer.run());
  EXPECT_EQ(held, 50u);
  EXPECT_GE(sink.idles, 50u);
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "20-0"));
  EXPECT_EQ(stats.state, SinkState::kDelivering);
}

TEST_F(DelivererTest, ARetryEndsAPauseBetweenAttempts) {
  queue.push(transaction(10, 1));
  sink.queue = &queue;
  sink.expected = 1;
  config.retry = {Milliseconds(1'000'000), Milliseconds(1'000'000)};
  Deliverer deliverer(sink, queue, 0, config, letters, stats, time,
                      [] { return SourceState{Lsn{77}}; });
  sink.script = {fail(ErrorKind::kRetry)};
  time.on_sleep = [&] { deliverer.retry(); };
  ASSERT_TRUE(deliverer.run());
  EXPECT_LE(time.slept.size(), 3u);
  EXPECT_THAT(sink.taken, ElementsAre("10-0"));
}

std::string ids(std::span<const Event> events) {
  std::string text;
  for (const Event& event : events) text += std::string(EventId(event).view()) + " ";
  return text;
}

TEST_F(DelivererTest, ASinkWithRoomGetsMoreBehindWhatIsUnderWay) {
  sink.script = {[&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(ids(events), "10-0 10-1 ");
                   EXPECT_FALSE(progress.has_more());
                   queue.push(transaction(20, 5));
                   EXPECT_TRUE(progress.has_more());
                   progress.durable(1);
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(ids(events), "10-0 20-0 20-1 20-2 ") << "as many as it takes at once";
                   EXPECT_FALSE(progress.has_more());
                   EXPECT_EQ(queue.handled(), 0u);
                   progress.durable(0);
                   progress.durable(2);
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(ids(events), "20-0 20-2 ");
                   EXPECT_TRUE(progress.has_more());
                   EXPECT_EQ(queue.handled(), 2u) << "what came first is given back first";
                   return fail(ErrorKind::kRetry)(events, progress);
                 }};
  ASSERT_TRUE(run({2}, 7));
  EXPECT_THAT(sink.taken, ElementsAre("10-1", "10-0", "20-1", "20-0", "20-2", "20-3", "20-4"));
  EXPECT_EQ(queue.handled(), 7u);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(stats.events, 7u);
  EXPECT_EQ(time.slept.size(), 1u);
}

TEST_F(DelivererTest, ABarrierStaysAloneWhereASinkGetsMore) {
  sink.script = {[&](std::span<const Event>, Progress& progress) -> Delivery {
                   queue.push(transaction(20, 1, 1));
                   queue.push(transaction(30, 2));
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(ids(events), "10-0 10-1 ");
                   EXPECT_FALSE(progress.has_more()) << "the barrier waits for these";
                   return {};
                 },
                 [&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(ids(events), "20-0 ");
                   EXPECT_TRUE(progress.has_more());
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress&) -> Delivery {
                   EXPECT_EQ(ids(events), "20-0 ");
                   return {};
                 }};
  ASSERT_TRUE(run({2}, 5));
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-1", "20-0", "30-0", "30-1"));
  EXPECT_EQ(queue.handled(), 5u);
}

TEST_F(DelivererTest, ABarrierIsAmongOthersWhereASinkKeepsOneOrder) {
  sink.barriers_alone = false;
  sink.script = {[&](std::span<const Event>, Progress& progress) -> Delivery {
                   queue.push(transaction(20, 1));
                   queue.push(transaction(30, 3, 1));
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress&) -> Delivery {
                   EXPECT_EQ(ids(events), "10-0 20-0 30-0 30-1 30-2 ");
                   return {};
                 }};
  sink.max_events = 10;
  ASSERT_TRUE(run({1}, 5));
}

// A sink that counts the messages of an event instead of events must not repeat one event forever.
TEST_F(DelivererTest, ABatchOfOneEventIsThatEvent) {
  letters = &dead_letters;
  dead_letters.last = &queue;
  const DeliveryError two{Error{ErrorKind::kReject, "too large", "nowhere", Scope::kBatch}, 0,
                          std::nullopt, 2};
  sink.always = [&](std::span<const Event>, Progress&) -> Delivery { return tl::unexpected(two); };
  ASSERT_TRUE(run({1}, 1));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-0"));
}

TEST_F(DelivererTest, AnAttemptAfterASplitEndsWithATransaction) {
  std::vector<std::string> attempts;
  const auto note = [&](std::span<const Event> events, Progress&) -> Delivery {
    attempts.push_back(ids(events));
    return {};
  };
  sink.max_events = 10;
  sink.script = {blame(Scope::kBatch), note, note, note, note};
  ASSERT_TRUE(run({2, 2, 2, 1}, 7));
  EXPECT_EQ(attempts.front(), "10-0 10-1 ") << "half of 7, and not half of a transaction";
}

TEST_F(DelivererTest, AFullBatchThatEndsWithinATransactionSaysSo) {
  sink.barriers_alone = false;
  sink.max_events = 3;
  sink.script = {[&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(ids(events), "10-0 10-1 20-0 ");
                   EXPECT_FALSE(progress.has_more()) << "there is no room for it yet";
                   EXPECT_TRUE(progress.transaction_continues());
                   progress.durable_before(2);
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(ids(events), "20-0 ");
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress&) -> Delivery {
                   EXPECT_EQ(ids(events), "20-0 20-1 ");
                   return {};
                 }};
  ASSERT_TRUE(run({2, 2}, 4));
}

// A sink that asks for more events must not make a lost receiver look as if it were back.
TEST_F(DelivererTest, APauseWithoutProgressIsNoSuccess) {
  sink.script = {fail(ErrorKind::kRetry),
                 [&](std::span<const Event>, Progress& progress) -> Delivery {
                   queue.push(transaction(20, 1));
                   progress.pause();
                   return {};
                 },
                 [&](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(stats.state.load(), SinkState::kRetrying);
                   EXPECT_EQ(stats.failures, 1u);
                   return fail(ErrorKind::kRetry)(events, progress);
                 }};
  ASSERT_TRUE(run({1}, 2));
  EXPECT_EQ(stats.state.load(), SinkState::kDelivering);
}

TEST_F(DelivererTest, WhatTheSinkDoesNotWantIsCountedAsDropped) {
  queue.only(0, {{"public.t"}, {"c"}});
  test::MessageBuilder builder;
  builder.begin(5).relation(1, "public", "t").event('d', 0, "{}", 1).event('c', 1, "{}", 1);
  builder.event('t', 2, "{}", 1, 0, 1).event('c', 3, "{}", 1).commit(5, 6, 4);
  FrameDecoder decoder;
  queue.push(std::move(decoder.decode(builder.message()).value()));
  ASSERT_TRUE(run({1}, 3));
  EXPECT_THAT(sink.taken, ElementsAre("5-1", "5-3", "10-0"));
  EXPECT_EQ(sink.calls, 1u);
  EXPECT_EQ(stats.events, 3u);
  EXPECT_EQ(stats.dropped, 2u);
  EXPECT_EQ(queue.handled(), 5u);
}

TEST_F(DelivererTest, WhatTheSinkDoesNotWantDoesNotWaitForTheReceiver) {
  queue.only(0, {{}, {"d"}});
  config.retry = {std::chrono::hours(1), std::chrono::hours(1)};
  sink.checks = {retry("down")};
  time.on_sleep = [&] {
    if (time.slept.size() == 1) {
      EXPECT_EQ(queue.handled(), 0u);
    }
    if (time.slept.size() == 3) queue.close();
  };
  ASSERT_TRUE(run({2, 1}, 100));
  EXPECT_EQ(queue.handled(), 3u);
  EXPECT_EQ(stats.dropped, 3u);
  EXPECT_EQ(stats.events, 0u);
}

TEST_F(DelivererTest, NothingThatTheSinkDoesNotWantStaysInTheQueue) {
  constexpr size_t kMany = 100'000;
  queue.only(0, {{}, {"d"}});
  config.retry = {std::chrono::hours(1), std::chrono::hours(1)};
  sink.checks = {retry("down")};
  time.on_sleep = [&] {
    if (time.slept.size() == 2) {
      EXPECT_EQ(queue.handled(), kMany);
      queue.close();
    }
  };
  ASSERT_TRUE(run({kMany}, 1));
  EXPECT_EQ(stats.dropped, kMany);
}

TEST_F(DelivererTest, ASighupEndsAPause) {
  config.retry = {std::chrono::hours(1), std::chrono::hours(1)};
  sink.script = {blame(Scope::kConfiguration), blame(Scope::kDestination)};
  sink.checks = {retry("down"), fatal("wrong")};
  queue.push(transaction(10, 1));
  sink.queue = &queue;
  sink.expected = 1;
  Deliverer deliverer(sink, queue, 0, config, letters, stats, time,
                      [] { return SourceState{Lsn{77}}; });
  time.on_sleep = [&] { deliverer.reopen(); };
  ASSERT_TRUE(deliverer.run());
  EXPECT_THAT(sink.taken, ElementsAre("10-0"));
  EXPECT_EQ(sink.reopened, 4u);
  EXPECT_LT(time.now() - TimePoint{}, std::chrono::minutes(1));
}

TEST_F(DelivererTest, RetriesTheSameEventsAfterTheBackoff) {
  sink.script = {fail(ErrorKind::kRetry), fail(ErrorKind::kRetry)};
  ASSERT_TRUE(run({2}, 2));
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-1"));
  EXPECT_EQ(sink.calls, 3u);
  ASSERT_EQ(time.slept.size(), 2u);
  EXPECT_LE(time.slept[0], Milliseconds(100));
  EXPECT_LE(time.slept[1], Milliseconds(200));
  EXPECT_EQ(stats.retries, 2u);
  EXPECT_EQ(stats.failures, 0u);
  EXPECT_EQ(stats.state.load(), SinkState::kDelivering);
}

TEST_F(DelivererTest, RetriesOnlyWhatIsNotDone) {
  sink.script = {fail(ErrorKind::kRetry, 0, {0, 2})};
  ASSERT_TRUE(run({4}, 4));
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-2", "10-1", "10-3"));
  EXPECT_EQ(stats.events, 4u);
}

TEST_F(DelivererTest, WaitsAsLongAsTheReceiverAsks) {
  sink.script = {fail(ErrorKind::kRetry, 0, {}, Milliseconds(5000))};
  ASSERT_TRUE(run({1}, 1));
  EXPECT_EQ(time.now() - TimePoint{}, Milliseconds(5000));
}

TEST_F(DelivererTest, KeepsTheSinkAliveWhileItWaits) {
  sink.script = {fail(ErrorKind::kRetry, 0, {}, Milliseconds(5000))};
  ASSERT_TRUE(run({1}, 1));
  EXPECT_GE(sink.idles, 4u);
  for (Duration slept : time.slept) EXPECT_LE(slept, Milliseconds(1000));
}

TEST_F(DelivererTest, WhatASinkHasNotBegunIsHandedInAgainAtOnce) {
  sink.script = {[](std::span<const Event>, Progress& progress) -> Delivery {
                   progress.durable(0);
                   progress.durable(2);
                   progress.pause();
                   return {};
                 },
                 [](std::span<const Event> events, Progress& progress) -> Delivery {
                   EXPECT_EQ(events.size(), 2u);
                   EXPECT_EQ(progress.durable_count(), 0u);
                   return {};
                 }};
  ASSERT_TRUE(run({4}, 4));
  EXPECT_EQ(sink.calls, 2u);
  EXPECT_EQ(stats.events, 4u);
  EXPECT_TRUE(time.slept.empty());
}

TEST_F(DelivererTest, RetriesForEverByDefault) {
  for (int i = 0; i < 1000; i++) sink.script.push_back(fail(ErrorKind::kRetry));
  ASSERT_TRUE(run({1}, 1));
  EXPECT_EQ(sink.calls, 1001u);
  for (Duration slept : time.slept) EXPECT_LE(slept, Milliseconds(1000));
}

TEST_F(DelivererTest, ARejectParksTheSinkWithoutDeadLetters) {
  sink.script = {fail(ErrorKind::kReject, 1, {0}), blame(Scope::kEvent, ErrorKind::kReject)};
  ASSERT_TRUE(run({3}, 3));
  EXPECT_THAT(time.slept, ElementsAre(Milliseconds(1000), Milliseconds(1000)));
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-1", "10-2"));
  EXPECT_THAT(stats.last_error.get(), HasSubstr("10-1"));
  EXPECT_THAT(stats.last_error.get(), HasSubstr("dead_letter"));
  EXPECT_EQ(queue.handled(), 3u);
}

TEST_F(DelivererTest, AParkedSinkAcknowledgesNothing) {
  sink.always = blame(Scope::kConfiguration, ErrorKind::kFatal);
  ASSERT_TRUE(run({1}, 1));
  EXPECT_EQ(queue.handled(), 0u);
  EXPECT_EQ(stats.state.load(), SinkState::kParked);
  for (Duration slept : time.slept) EXPECT_EQ(slept, Milliseconds(1000));
}

TEST_F(DelivererTest, AParkedSinkGoesOnOnceTheCauseIsFixed) {
  sink.checks = {fatal("no such exchange"), fatal("no such exchange"), {}};
  sink.script = {blame(Scope::kConfiguration, ErrorKind::kFatal)};
  ASSERT_TRUE(run({2}, 2));
  EXPECT_EQ(time.slept.size(), 3u);
  EXPECT_EQ(stats.state.load(), SinkState::kDelivering);
  EXPECT_EQ(queue.handled(), 2u);
}

TEST_F(DelivererTest, WherePeopleWaitNothingParks) {
  config.unattended = false;
  sink.script = {blame(Scope::kConfiguration, ErrorKind::kFatal)};
  EXPECT_FALSE(run({1}, 1));
  EXPECT_EQ(queue.handled(), 0u);
}

TEST_F(DelivererTest, AReceiverThatIsGoneStops) {
  sink.script = {blame(Scope::kDestination, ErrorKind::kFatal)};
  EXPECT_FALSE(run({1}, 1));
  EXPECT_EQ(stats.state.load(), SinkState::kStopped);
}

TEST_F(DelivererTest, ARejectedEventIsSetAside) {
  letters = &dead_letters;
  sink.set_aside = 1;
  sink.script = {fail(ErrorKind::kReject, 2, {0})};
  ASSERT_TRUE(run({4}, 4));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-2"));
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-1", "10-3"));
  EXPECT_EQ(stats.dead_letters, 1u);
  EXPECT_EQ(stats.rejects, 1u);
  EXPECT_EQ(queue.handled(), 4u);
}

TEST_F(DelivererTest, ADeadLetterCountsOnlyOnceItIsWritten) {
  letters = &dead_letters;
  dead_letters.failures = 2;
  for (int i = 0; i < 3; i++) sink.script.push_back(fail(ErrorKind::kReject));
  sink.set_aside = 1;
  ASSERT_TRUE(run({2}, 2));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-0"));
  EXPECT_EQ(time.slept.size(), 2u);
  EXPECT_EQ(queue.handled(), 2u);
}

TEST_F(DelivererTest, AnEventThatFailsTooOftenIsSetAside) {
  letters = &dead_letters;
  config.dead_letter_after = 3;
  sink.set_aside = 1;
  sink.always = [](std::span<const Event> events, Progress& progress) -> Delivery {
    if (EventId(events[0]).view() == "10-0") return blame(Scope::kEvent)(events, progress);
    return {};
  };
  ASSERT_TRUE(run({2}, 2));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-0"));
  EXPECT_THAT(sink.taken, ElementsAre("10-1"));
  EXPECT_EQ(time.slept.size(), 2u);
}

TEST_F(DelivererTest, AnOutageMakesNoDeadLetters) {
  letters = &dead_letters;
  config.dead_letter_after = 3;
  for (int i = 0; i < 900; i++) sink.script.push_back(blame(Scope::kDestination));
  ASSERT_TRUE(run({2}, 2));
  EXPECT_THAT(dead_letters.ids, testing::IsEmpty());
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-1"));
}

// A receiver whose database is down answers 500 to everything.
TEST_F(DelivererTest, AnOutageThatEndsBetweenTwoAttemptsMakesNoDeadLetter) {
  letters = &dead_letters;
  config.dead_letter_after = 2;
  // All events fail until the second one is tried as proof that the receiver takes others.
  sink.always = [over = false](std::span<const Event> events, Progress&) mutable -> Delivery {
    over = over || (events.size() == 1 && EventId(events[0]).view() == "10-1");
    if (over) return {};
    const Scope scope = events.size() > 1 ? Scope::kBatch : Scope::kEvent;
    return tl::unexpected(DeliveryError{Error{ErrorKind::kRetry, "down", "hook", scope}, 0,
                                        std::nullopt, events.size()});
  };
  ASSERT_TRUE(run({3}, 3));
  EXPECT_TRUE(dead_letters.ids.empty());
  EXPECT_EQ(sink.taken.size(), 3u);
}

TEST_F(DelivererTest, AnEventIsNotDeliveredBehindALaterOneOfItsKey) {
  letters = &dead_letters;
  config.dead_letter_after = 2;
  sink.set_aside = 1;
  sink.always = [over = false](std::span<const Event> events,
                               Progress& progress) mutable -> Delivery {
    over = over || EventId(events[0]).view() == "10-1";
    return over ? Delivery{} : blame(Scope::kEvent)(events, progress);
  };
  Chunk chunk = transaction(10, 2);
  for (Event& event : chunk.events) event.key_hash = 7;
  queue.push(std::move(chunk));
  ASSERT_TRUE(run({}, 2));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-0"));
  EXPECT_THAT(sink.taken, ElementsAre("10-1"));
}

// Otherwise the event that fails now would arrive behind a later one of its key.
TEST_F(DelivererTest, NoEventIsTriedThatMustFollowAnother) {
  letters = &dead_letters;
  config.dead_letter_after = 2;
  sink.set_aside = 1;
  sink.always = requests(
      [this](const Event& event) {
        return event.index == 0 || (event.index == 1 && dead_letters.ids.empty());
      },
      ErrorKind::kRetry);
  Chunk chunk = transaction(10, 4);
  chunk.events[2].key_hash = chunk.events[1].key_hash;
  queue.push(std::move(chunk));
  ASSERT_TRUE(run({}, 4));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-0"));
  EXPECT_THAT(sink.taken, ElementsAre("10-3", "10-1", "10-2"));
}

TEST_F(DelivererTest, NoEventIsTriedThatMustFollowABarrier) {
  letters = &dead_letters;
  config.dead_letter_after = 2;
  sink.set_aside = 1;
  sink.barriers_alone = false;
  int down = 2;
  sink.always = requests(
      [&down](const Event& event) { return event.index == 0 || (event.index == 1 && down-- > 0); },
      ErrorKind::kRetry);
  Chunk chunk = transaction(10, 3);
  chunk.events[1].barrier = true;
  queue.push(std::move(chunk));
  ASSERT_TRUE(run({}, 3));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-0"));
  EXPECT_THAT(sink.taken, ElementsAre("10-1", "10-2"));
}

TEST_F(DelivererTest, WhereEveryEventFailsNoneIsAtFault) {
  letters = &dead_letters;
  config.dead_letter_after = 3;
  for (int i = 0; i < 900; i++) sink.script.push_back(blame(Scope::kEvent));
  ASSERT_TRUE(run({2, 3, 1}, 6));
  EXPECT_THAT(dead_letters.ids, testing::IsEmpty());
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-1", "20-0", "20-1", "20-2", "30-0"));
}

TEST_F(DelivererTest, WhereEveryEventFailsNoBarrierIsAtFaultEither) {
  letters = &dead_letters;
  config.dead_letter_after = 1;
  for (int i = 0; i < 600; i++) sink.script.push_back(blame(Scope::kEvent));
  queue.push(transaction(10, 1, 1));
  queue.push(transaction(20, 1, 1));
  sink.queue = &queue;
  sink.expected = 2;
  Deliverer deliverer(sink, queue, 0, config, letters, stats, time, [] { return SourceState{}; });
  ASSERT_TRUE(deliverer.run());
  EXPECT_THAT(dead_letters.ids, testing::IsEmpty());
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "20-0"));
}

TEST_F(DelivererTest, WhatIsDroppedOrNotBegunProvesNothing) {
  letters = &dead_letters;
  config.dead_letter_after = 1;
  for (const bool drop : {true, false}) {
    sink.always = [=](std::span<const Event> events, Progress& progress) -> Delivery {
      if (events.front().index == 0) return blame(Scope::kEvent)(events, progress);
      drop ? progress.drop(0) : progress.pause();
      return {};
    };
    EventQueue each(1, 1 << 20, [] {});
    each.push(transaction(10, 2));
    time.slept.clear();
    time.on_flood = [&] { each.close(); };
    Deliverer deliverer(sink, each, 0, config, letters, stats, time, [] { return SourceState{}; });
    ASSERT_TRUE(deliverer.run());
    EXPECT_THAT(dead_letters.ids, testing::IsEmpty()) << drop;
  }
}

TEST_F(DelivererTest, BadEventsOneBehindTheOtherAreSetAside) {
  letters = &dead_letters;
  config.dead_letter_after = 3;
  sink.set_aside = 2;
  sink.always = requests([](const Event& event) { return event.index < 2; }, ErrorKind::kRetry);
  ASSERT_TRUE(run({4}, 4));
  EXPECT_THAT(dead_letters.ids, testing::UnorderedElementsAre("10-0", "10-1"));
}

// For an event without later events, the number of attempts decides.
TEST_F(DelivererTest, AnEventAloneIsSetAside) {
  letters = &dead_letters;
  config.dead_letter_after = 3;
  dead_letters.last = &queue;
  sink.always = blame(Scope::kEvent);
  ASSERT_TRUE(run({1}, 1));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-0"));
  EXPECT_EQ(sink.calls, 3u);
}

TEST_F(DelivererTest, ABatchIsSplitUntilTheBadEventStandsAlone) {
  letters = &dead_letters;
  config.dead_letter_after = 2;
  sink.set_aside = 2;
  sink.always = requests([](const Event& event) { return event.index == 2; }, ErrorKind::kRetry);
  ASSERT_TRUE(run({4, 4}, 8));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-2", "20-2"));
}

TEST_F(DelivererTest, ARejectedBatchIsSplitWithoutPauses) {
  letters = &dead_letters;
  sink.set_aside = 1;
  sink.always = requests([](const Event& event) { return event.index == 1; }, ErrorKind::kReject);
  ASSERT_TRUE(run({4}, 4));
  EXPECT_THAT(dead_letters.ids, ElementsAre("10-1"));
  EXPECT_THAT(sink.taken, ElementsAre("10-0", "10-2", "10-3"));
  EXPECT_TRUE(time.slept.empty());
}

TEST_F(DelivererTest, TheSinkIsCheckedFirst) {
  sink.checks = {retry("not now"), {}};
  ASSERT_TRUE(run({1}, 1));
  EXPECT_EQ(time.slept.size(), 1u);
}

}  // namespace
}  // namespace walspout
