// Tests the window with a scripted client.

#include "sink/common/window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "test/sink/contract.h"

namespace walspout::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Error kFull{ErrorKind::kRetry, "full", "here"};
const Error kBad{ErrorKind::kReject, "bad", "here"};

// Answers every message at once by default.
class FakeClient : public WindowClient {
 public:
  Result<Connection> connect(TimePoint) override {
    if (is_connected_) return Connection::kSame;
    if (is_down) return tl::unexpected(Error{ErrorKind::kRetry, "down", "here"});
    ++connections;
    is_connected_ = true;
    return Connection::kNew;
  }
  bool is_connected() const override { return is_connected_; }
  bool has_room() const override { return room > 0; }
  Result<bool> submit(uint64_t number, const Event& event) override {
    if (unfit.contains(event.index)) return tl::unexpected(kBad);
    if (nowhere.contains(event.index)) return false;
    sent.push_back(event.index);
    waiting.push_back({number, event.index});
    most = std::max(most, waiting.size());
    --room;
    return true;
  }
  tl::expected<void, Broken> poll(TimePoint until, Flight& flight) override {
    if (breaks_at > 0 && sent.size() >= breaks_at) {
      breaks_at = 0;
      return tl::unexpected(Broken{kFull});
    }
    if (until < Clock::now() && !eager) return {};
    room = 1'000;
    std::vector<std::pair<uint64_t, uint64_t>> silent;
    for (const auto& [number, index] : waiting) {
      if (ignored.contains(index)) {
        silent.push_back({number, index});
      } else if (failing.contains(index)) {
        flight.failed(number, kFull);
      } else {
        flight.done(number);
      }
    }
    waiting = silent;
    return {};
  }
  void withdraw(Flight& flight) override {
    ++withdrawals;
    if (!withdraws) return;
    for (const auto& [number, index] : waiting) flight.undone(number);
    waiting.clear();
  }
  bool can_recall() const override { return recalls; }
  void keep_bytes() override { ++kept; }
  void abandon() override {
    is_connected_ = false;
    waiting.clear();
  }
  Error late(const Flight& flight) const override {
    return {ErrorKind::kRetry, std::to_string(flight.pending()) + " late", "here"};
  }

  // Events by their index in the transaction.
  std::set<uint64_t> unfit, nowhere, ignored, failing;
  std::vector<uint64_t> sent;
  size_t breaks_at = 0;  // messages
  int room = 1'000;
  bool is_down = false;
  bool eager = false;      // answers without being waited for
  bool withdraws = false;  // messages without an answer were not begun
  bool recalls = false;
  int connections = 0, withdrawals = 0, kept = 0;
  size_t most = 0;  // messages in flight

 private:
  bool is_connected_ = false;
  std::vector<std::pair<uint64_t, uint64_t>> waiting;
};

class WindowTest : public testing::Test {
 protected:
  // Events with these keys.
  void keys(std::initializer_list<int> keys) {
    for (const int key : keys) events_.add(key);
  }
  // One call with the events that are not done. Returns the error's text.
  std::string deliver(double seconds = 5, size_t first = SIZE_MAX) {
    std::vector<Event> batch;
    std::vector<size_t> positions;
    for (size_t i = 0; i < events_.size() && batch.size() < first; ++i) {
      if (done_.contains(i)) continue;
      batch.push_back(events_.span()[i]);
      positions.push_back(i);
    }
    Progress progress(batch.size(), [this] { return ask_ ? ask_() : may_continue_; });
    progress.offer([this] { return has_more_; });
    const Delivery outcome = window().deliver(batch, in_seconds(seconds), progress);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (progress.is_done(i)) done_.insert(positions[i]);
    }
    is_paused_ = progress.is_paused();
    if (outcome && !is_paused_) {
      EXPECT_EQ(progress.durable_count() + progress.dropped_count(), batch.size());
    }
    if (outcome) return "";
    failed_event_ = positions.at(outcome.error().event);
    return outcome.error().error.what;
  }
  Window& window() {
    if (!window_) window_.emplace(client_, limits_);
    return *window_;
  }

  FakeClient client_;
  WindowLimits limits_;
  Events events_;
  std::set<size_t> done_;
  size_t failed_event_ = 0;
  bool may_continue_ = true, is_paused_ = false, has_more_ = false;
  std::function<bool()> ask_;  // in place of may_continue_

 private:
  std::optional<Window> window_;
};

TEST_F(WindowTest, DeliversInOrder) {
  keys({1, 2, 3});
  EXPECT_EQ(deliver(), "");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2));
  EXPECT_EQ(done_.size(), 3u);
  EXPECT_TRUE(window().flight().empty());
}

TEST_F(WindowTest, HasNoMoreInFlightThanItMay) {
  limits_.messages = 7;
  for (int i = 0; i < 500; ++i) events_.add(i);
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(client_.most, 7u);
}

TEST_F(WindowTest, HasNoMoreBytesInFlightThanItMay) {
  limits_.bytes = 3'000;
  for (int i = 0; i < 20; ++i) events_.add(i, 1'000);
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(client_.most, 3u);
}

TEST_F(WindowTest, OneEventMayBeLargerThanTheWindow) {
  limits_.bytes = 10;
  keys({1, 2});
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(client_.most, 1u);
}

TEST_F(WindowTest, WaitsForRoom) {
  client_.room = 1;
  keys({1, 2, 3});
  EXPECT_EQ(deliver(), "");
}

TEST_F(WindowTest, AFailureStopsAllBehindItWhereAllAreOrdered) {
  keys({1, 2, 3});
  client_.failing = {1};
  EXPECT_EQ(deliver(), "full");
  EXPECT_EQ(failed_event_, 1u);
  EXPECT_THAT(done_, ElementsAre(0));
  client_.failing.clear();
  EXPECT_EQ(deliver(), "");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 1, 2));
}

TEST_F(WindowTest, AFailureStopsItsKeyWhereKeysAreOrdered) {
  limits_.order = Order::kKey;
  keys({1, 2, 1, 3});
  client_.failing = {0};
  EXPECT_EQ(deliver(), "full");
  EXPECT_THAT(done_, ElementsAre(1, 3));
  client_.failing.clear();
  EXPECT_EQ(deliver(), "");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 3, 0, 2));
}

TEST_F(WindowTest, AFailureStopsNothingWhereNothingIsOrdered) {
  limits_.order = Order::kNone;
  keys({1, 1, 1});
  client_.failing = {0};
  EXPECT_EQ(deliver(), "full");
  EXPECT_THAT(done_, ElementsAre(1, 2));
}

TEST_F(WindowTest, AfterAFailureMessagesGoOneByOne) {
  limits_.messages = 4;
  for (int i = 0; i < 12; ++i) events_.add(i);
  client_.failing = {2};
  EXPECT_EQ(deliver(), "full");
  client_.failing.clear();
  client_.most = 0;
  EXPECT_EQ(deliver(5, 4), "");
  EXPECT_EQ(client_.most, 1u);
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(client_.most, 4u);
}

TEST_F(WindowTest, AnEventThatCannotBeSentFailsOnceAllBeforeItAreDone) {
  keys({1, 2, 3});
  client_.unfit = {1};
  EXPECT_EQ(deliver(), "bad");
  EXPECT_EQ(failed_event_, 1u);
  EXPECT_THAT(done_, ElementsAre(0));
  EXPECT_THAT(client_.sent, ElementsAre(0));
}

TEST_F(WindowTest, AnEventThatGoesNowhereIsDone) {
  keys({1, 2, 3});
  client_.nowhere = {0, 2};
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(done_.size(), 3u);
}

TEST_F(WindowTest, WhatIsInFlightAtTheDeadlineIsWaitedForAgain) {
  keys({1, 2, 3});
  client_.ignored = {1};
  EXPECT_EQ(deliver(0.01), "1 late");
  EXPECT_THAT(done_, ElementsAre(0));
  EXPECT_EQ(client_.kept, 1);
  client_.ignored.clear();
  EXPECT_EQ(deliver(), "");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2));
  EXPECT_EQ(client_.connections, 1);
}

TEST_F(WindowTest, WhatIsInFlightIsFoundAgainWhereSomeKeysAreDone) {
  limits_.order = Order::kKey;
  keys({1, 2, 1, 3, 4});
  client_.ignored = {0, 3};
  EXPECT_EQ(deliver(0.01), "2 late");
  EXPECT_THAT(done_, ElementsAre(1, 4));
  client_.ignored.clear();
  EXPECT_EQ(deliver(), "");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(WindowTest, ACallWithFewerEventsLeavesTheOthersInFlight) {
  keys({1, 2, 3, 4});
  client_.ignored = {0, 1, 2, 3};
  EXPECT_EQ(deliver(0.01), "4 late");
  client_.ignored.clear();
  EXPECT_EQ(deliver(5, 2), "");
  EXPECT_THAT(done_, ElementsAre(0, 1));
  EXPECT_EQ(deliver(), "");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 3));
}

TEST_F(WindowTest, ACallWithOtherEventsGivesUpTheConnection) {
  keys({1, 2});
  client_.ignored = {0, 1};
  EXPECT_EQ(deliver(0.01), "2 late");
  client_.ignored.clear();
  done_ = {0};
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(client_.connections, 2);
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 1));
}

TEST_F(WindowTest, WhatIsInFlightIsNotWaitedForWhileThereIsMoreToSend) {
  limits_.order = Order::kKey;
  limits_.messages = 8;
  for (int i = 0; i < 12; ++i) events_.add(i);
  client_.ignored = {1, 3};
  has_more_ = true;
  EXPECT_EQ(deliver(5, 4), "");
  EXPECT_TRUE(is_paused_);
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(deliver(5, 6), "");
  EXPECT_TRUE(is_paused_);
  has_more_ = false;
  client_.ignored.clear();
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(done_.size(), 12u);
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_EQ(client_.connections, 1);
  EXPECT_LE(client_.most, 8u);
}

TEST_F(WindowTest, FewEventsWaitForMoreWhileOthersAreInFlight) {
  limits_.together = 4;
  for (int i = 0; i < 12; ++i) events_.add(i);
  client_.ignored = {0};
  has_more_ = true;
  EXPECT_EQ(deliver(5, 1), "");  // alone, and nothing is in flight: sent at once
  EXPECT_THAT(client_.sent, ElementsAre(0));
  EXPECT_EQ(deliver(5, 3), "");
  EXPECT_TRUE(is_paused_);
  EXPECT_THAT(client_.sent, ElementsAre(0));
  EXPECT_EQ(deliver(5, 5), "");  // enough
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 3, 4));
  client_.ignored.clear();
  has_more_ = false;
  EXPECT_EQ(deliver(5, 6), "");  // the others are done meanwhile
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(WindowTest, AFailureWhileFewEventsWaitIsReportedWhenNothingIsInFlight) {
  limits_.order = Order::kKey;
  limits_.together = 4;
  for (int i = 0; i < 3; ++i) events_.add(i);
  client_.ignored = {0};
  client_.failing = {1};
  has_more_ = true;
  EXPECT_EQ(deliver(5, 2), "");
  EXPECT_EQ(deliver(0.05, 3), "1 late");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1));
}

TEST_F(WindowTest, FewEventsDoNotWaitForLong) {
  limits_.together = 4;
  for (int i = 0; i < 3; ++i) events_.add(i);
  client_.ignored = {0};
  has_more_ = true;
  EXPECT_EQ(deliver(5, 1), "");
  const TimePoint end = in_seconds(5);
  while (client_.sent.size() < 2 && Clock::now() < end) {
    EXPECT_EQ(deliver(5, 2), "");
    std::this_thread::sleep_for(Milliseconds(1));
  }
  EXPECT_THAT(client_.sent, ElementsAre(0, 1));
}

TEST_F(WindowTest, AFullWindowIsWaitedFor) {
  limits_.messages = 4;
  keys({1, 2, 3, 4});
  client_.ignored = {0, 1, 2, 3};
  has_more_ = true;
  EXPECT_EQ(deliver(0.01), "4 late");
  client_.ignored = {3};
  EXPECT_EQ(deliver(), "");
  EXPECT_TRUE(is_paused_);
  EXPECT_EQ(done_.size(), 3u);
}

TEST_F(WindowTest, AfterAFailureNoMoreIsAskedFor) {
  keys({1, 2, 3});
  client_.failing = {0};
  has_more_ = true;
  EXPECT_EQ(deliver(), "");
  EXPECT_TRUE(is_paused_);
  has_more_ = false;
  EXPECT_EQ(deliver(), "full");
  client_.failing.clear();
  has_more_ = true;
  EXPECT_EQ(deliver(5, 2), "");
  EXPECT_FALSE(is_paused_) << "messages go one by one";
  EXPECT_EQ(deliver(), "");
}

TEST_F(WindowTest, WhatDoesNotKeepItsConnectionIsNotPaused) {
  limits_.keeps = false;
  keys({1, 2});
  has_more_ = true;
  EXPECT_EQ(deliver(), "");
  EXPECT_FALSE(is_paused_);
}

TEST_F(WindowTest, AFailureIsReportedWhenNothingIsInFlight) {
  keys({1, 2});
  client_.failing = {0};
  client_.ignored = {1};
  EXPECT_EQ(deliver(0.01), "1 late");
  EXPECT_THAT(done_, IsEmpty());
  client_.ignored.clear();
  EXPECT_EQ(deliver(), "full");
  EXPECT_EQ(failed_event_, 0u);
  client_.failing.clear();
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(client_.connections, 1);
}

TEST_F(WindowTest, ABrokenConnectionLosesWhatIsInFlight) {
  keys({1, 2, 3});
  client_.breaks_at = 2;
  client_.eager = true;
  EXPECT_EQ(deliver(), "full");
  EXPECT_THAT(done_, IsEmpty());
  EXPECT_EQ(deliver(), "");
  EXPECT_EQ(client_.connections, 2);
}

TEST_F(WindowTest, AReceiverThatIsDownIsAnError) {
  keys({1});
  client_.is_down = true;
  EXPECT_EQ(deliver(), "down");
  EXPECT_THAT(done_, IsEmpty());
}

TEST_F(WindowTest, NothingIsBegunWhereTheSlotMayBeAnothers) {
  keys({1, 2});
  may_continue_ = false;
  EXPECT_THAT(deliver(), HasSubstr("lost"));
  EXPECT_THAT(client_.sent, IsEmpty());
}

TEST_F(WindowTest, WhatIsNotSentIsNotWaitedForWhereTheSlotMayBeAnothers) {
  keys({1, 2});
  client_.ignored = {0, 1};
  client_.recalls = true;
  int questions = 0;
  ask_ = [&] { return ++questions <= 2; };
  EXPECT_THAT(deliver(), HasSubstr("lost"));
  EXPECT_EQ(window().flight().pending(), 2u);
  window().let_go();
  EXPECT_EQ(window().flight().pending(), 0u);
  EXPECT_FALSE(client_.is_connected());
}

TEST_F(WindowTest, WhatTheReceiverHasStaysInFlight) {
  keys({1, 2});
  client_.ignored = {0, 1};
  EXPECT_THAT(deliver(0.01), HasSubstr("2 late"));
  client_.ignored = {0};
  client_.eager = true;
  window().let_go();
  EXPECT_EQ(window().flight().pending(), 1u);
  EXPECT_TRUE(client_.is_connected());
}

TEST_F(WindowTest, WhatIsNotBegunAtTheDeadlineIsAPause) {
  limits_.keeps = false;
  keys({1, 2});
  client_.ignored = {0, 1};
  client_.withdraws = true;
  EXPECT_EQ(deliver(0.01), "");
  EXPECT_TRUE(is_paused_);
  EXPECT_EQ(client_.withdrawals, 1);
  EXPECT_THAT(done_, IsEmpty());
}

TEST_F(WindowTest, WithoutKeepingAFailureIsReportedBeforeWhatIsLate) {
  limits_ = {.order = Order::kKey, .pipelined = false, .keeps = false};
  keys({1, 2});
  client_.failing = {0};
  client_.ignored = {1};
  EXPECT_EQ(deliver(0.01), "full");
  EXPECT_EQ(deliver(0.01), "full");
  EXPECT_THAT(client_.sent, ElementsAre(0, 1, 0, 1));
}

TEST_F(WindowTest, VerdictsOnUnknownNumbersAreIgnored) {
  Flight flight;
  keys({1});
  flight.add(events_.span()[0], 0);
  flight.done(0);
  flight.done(2);
  flight.failed(7, kFull);
  EXPECT_EQ(flight.pending(), 1u);
  flight.done(1);
  flight.failed(1, kFull);
  EXPECT_EQ(flight.pending(), 0u);
  EXPECT_EQ(flight.failures(), 0u);
}

}  // namespace
}  // namespace walspout::test
