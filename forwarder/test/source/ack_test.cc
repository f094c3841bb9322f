#include "source/ack.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "source/feedback.h"

namespace walspout {
namespace {

TEST(AckTracker, ConfirmsTheEndOfATransactionOnceAllOfItIsHandled) {
  AckTracker acks;
  acks.receive(3);
  acks.commit(Lsn{140});
  acks.handled(2);
  EXPECT_EQ(acks.confirmed(), Lsn{});
  EXPECT_TRUE(acks.in_flight());
  acks.handled(3);
  EXPECT_EQ(acks.confirmed(), Lsn{140});
  EXPECT_FALSE(acks.in_flight());
}

TEST(AckTracker, AnOpenTransactionIsNotConfirmedByAKeepalive) {
  AckTracker acks;
  acks.receive(1);
  acks.handled(1);
  acks.keepalive(Lsn{500});
  EXPECT_EQ(acks.confirmed(), Lsn{});
  EXPECT_TRUE(acks.in_flight());
}

TEST(AckTracker, AKeepaliveMovesAnIdleSlot) {
  AckTracker acks;
  acks.keepalive(Lsn{500});
  EXPECT_EQ(acks.confirmed(), Lsn{500});
}

TEST(AckTracker, AKeepaliveBehindEventsWaitsForThem) {
  AckTracker acks;
  acks.receive(1);
  acks.commit(Lsn{140});
  acks.keepalive(Lsn{500});
  EXPECT_EQ(acks.confirmed(), Lsn{});
  acks.handled(1);
  EXPECT_EQ(acks.confirmed(), Lsn{500});
}

TEST(AckTracker, ALostTransactionComesAgain) {
  AckTracker acks;
  acks.receive(2);
  acks.handled(2);
  acks.disconnect();
  EXPECT_FALSE(acks.in_flight());
  EXPECT_EQ(acks.confirmed(), Lsn{});
  acks.receive(3);
  acks.commit(Lsn{140});
  acks.handled(4);
  EXPECT_EQ(acks.confirmed(), Lsn{});
  acks.handled(5);
  EXPECT_EQ(acks.confirmed(), Lsn{140});
}

TEST(AckTracker, NeverFallsWhenTheServerRepeatsItself) {
  AckTracker acks;
  acks.receive(1);
  acks.commit(Lsn{140});
  acks.handled(1);
  acks.disconnect();
  acks.receive(1);
  acks.commit(Lsn{120});
  acks.handled(2);
  EXPECT_EQ(acks.confirmed(), Lsn{140});
  EXPECT_FALSE(acks.in_flight());
}

TEST(AckTracker, APositionOfAnotherHistoryIsNotConfirmed) {
  AckTracker acks;
  acks.keepalive(Lsn{500});
  acks.receive(1);
  acks.commit(Lsn{600});
  acks.forget();
  acks.handled(1);
  EXPECT_EQ(acks.confirmed(), Lsn{});
  acks.receive(1);
  acks.commit(Lsn{450});
  acks.handled(2);
  EXPECT_EQ(acks.confirmed(), Lsn{450});
}

// A server whose WAL has transactions and empty stretches, sinks of any pace, and connections that
// break at any moment. The model knows which transactions are handled; the tracker only sees
// counts.
TEST(AckTracker, ConfirmsNothingThatIsNotHandled) {
  for (unsigned seed = 0; seed < 300; seed++) {
    std::mt19937 random(seed);
    struct Transaction {
      uint64_t events, end;
    };
    std::vector<Transaction> log;
    uint64_t position = 100;
    for (int i = 0; i < 40; i++) {
      log.push_back({random() % 5, position += 10 + random() % 90});
    }

    AckTracker acks;
    std::vector<std::pair<size_t, uint64_t>> received;  // transaction and event of each number
    size_t next = 0;                                    // transaction to send
    uint64_t event = 0;                                 // index in that transaction
    uint64_t handled = 0;
    uint64_t confirmed = 0;
    auto first_unhandled = [&] {
      std::vector<std::vector<bool>> done(log.size());
      for (size_t i = 0; i < log.size(); i++) done[i].resize(log[i].events, false);
      for (uint64_t n = 0; n < handled; n++) done[received[n].first][received[n].second] = true;
      for (size_t i = 0; i < log.size(); i++) {
        for (bool d : done[i]) {
          if (!d) return i;
        }
      }
      return log.size();
    };
    for (int step = 0; step < 2000; step++) {
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          if (next == log.size()) break;
          if (event < log[next].events) {
            acks.receive();
            received.emplace_back(next, event++);
          } else {
            if (log[next].events) acks.commit(Lsn{log[next].end});  // an empty one is not sent
            next++;
            event = 0;
          }
          break;
        case 3:
          if (event == 0) acks.keepalive(Lsn{next ? log[next - 1].end : 100});
          break;
        case 4:
          if (random() % 10) break;
          acks.disconnect();
          event = 0;
          next = 0;
          while (next < log.size() && log[next].end <= acks.confirmed().value) next++;
          break;
        default:
          if (handled < received.size()) handled += 1 + random() % (received.size() - handled);
          acks.handled(handled);
      }
      ASSERT_GE(acks.confirmed().value, confirmed) << "seed " << seed;
      confirmed = acks.confirmed().value;
      size_t unhandled = first_unhandled();
      if (unhandled < log.size()) {
        ASSERT_LT(confirmed, log[unhandled].end) << "seed " << seed;
      }
    }
    // At last everything is sent, handled and confirmed.
    for (; next < log.size(); next++, event = 0) {
      for (; event < log[next].events; event++) {
        acks.receive();
        received.emplace_back(next, event);
      }
      acks.commit(Lsn{log[next].end});
    }
    acks.handled(received.size());
    EXPECT_EQ(acks.confirmed(), Lsn{log.back().end});
    EXPECT_FALSE(acks.in_flight());
  }
}

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Feedback, IsSentInTimeWhenNothingHappens) {
  TimePoint start{};
  Feedback feedback({seconds(1), seconds(10)}, start);
  EXPECT_EQ(feedback.due(Lsn{}), start + seconds(10));
  feedback.sent(Lsn{5}, start + seconds(10));
  EXPECT_EQ(feedback.due(Lsn{5}), start + seconds(20));
}

TEST(Feedback, ProgressIsSentSoon) {
  TimePoint start{};
  Feedback feedback({seconds(1), seconds(10)}, start);
  EXPECT_EQ(feedback.due(Lsn{1}), start + seconds(1));
  feedback.sent(Lsn{1}, start + seconds(1));
  EXPECT_EQ(feedback.due(Lsn{2}), start + seconds(2));
}

TEST(Feedback, ARequestIsAnsweredAtOnce) {
  TimePoint start{};
  Feedback feedback({seconds(1), seconds(10)}, start);
  feedback.request();
  EXPECT_LE(feedback.due(Lsn{}), start);
  feedback.sent(Lsn{}, start);
  EXPECT_EQ(feedback.due(Lsn{}), start + seconds(10));
}

TEST(Feedback, TheServersPatienceBoundsOurSilence) {
  TimePoint start{};
  Feedback feedback({seconds(1), seconds(10)}, start);
  feedback.server_timeout(seconds(0));
  EXPECT_EQ(feedback.due(Lsn{}), start + seconds(10));
  feedback.server_timeout(seconds(6));
  EXPECT_EQ(feedback.due(Lsn{}), start + seconds(2));
  feedback.server_timeout(milliseconds(900));
  EXPECT_EQ(feedback.due(Lsn{1}), start + milliseconds(300));
}

TEST(Feedback, ASinkThatDoesNotMoveIsNotWaitedForBusily) {
  TimePoint start{};
  Feedback feedback({seconds(1), seconds(10), milliseconds(100)}, start);
  EXPECT_EQ(feedback.wait_until(Lsn{}, false, start + seconds(1)), start + seconds(10));
  for (TimePoint now = start; now < start + seconds(9); now += milliseconds(300)) {
    EXPECT_EQ(feedback.wait_until(Lsn{}, true, now), now + milliseconds(100));
  }
  EXPECT_EQ(feedback.wait_until(Lsn{}, true, start + milliseconds(9950)), start + seconds(10));
}

}  // namespace
}  // namespace walspout
