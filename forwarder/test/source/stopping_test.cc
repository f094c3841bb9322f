#include "source/stopping.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TimePoint at(int ms) {
  return TimePoint(milliseconds(100'000 + ms));
}

TEST(StopSigns, RequestsThatFollowEachReplyAtOnceAreClear) {
  StopSigns signs;
  signs.server_timeout(seconds(60));
  int requests = 0;
  int now = 0;
  signs.requested(at(now));
  for (; !signs.are_clear(at(now)) && requests < 100; requests++) {
    now = std::max<int>(now, static_cast<int>((signs.answer_at() - at(0)) / milliseconds(1)));
    signs.answered(at(now));
    now += 2;  // the round trip
    signs.requested(at(now));
  }
  EXPECT_GE(requests, 3);
  EXPECT_LT(requests, 20) << "they are answered at a slower pace";
  EXPECT_GE(now, 500) << "the sinks may be about to be done";
  EXPECT_LT(now, 1'000);
}

TEST(StopSigns, ASlowNetworkIsNoExcuse) {
  StopSigns signs;
  signs.server_timeout(Duration::zero());
  signs.requested(at(0));
  for (int i = 0; i < 3; i++) {
    signs.answered(at(i * 300 + 1));
    signs.requested(at(i * 300 + 300));
  }
  EXPECT_TRUE(signs.are_clear(at(900)));
}

TEST(StopSigns, AnIdleServerThatAsksNowAndThenIsHealthy) {
  for (int timeout : {100, 1'000, 60'000}) {
    StopSigns signs;
    signs.server_timeout(milliseconds(timeout));
    for (int i = 0; i < 1'000; i++) {
      signs.requested(at(i * timeout / 2));
      EXPECT_LE(signs.answer_at(), at(i * timeout / 2)) << "it is answered at once";
      signs.answered(at(i * timeout / 2 + 1));
      EXPECT_FALSE(signs.are_clear(at(i * timeout / 2 + 1)));
    }
  }
}

TEST(StopSigns, ARequestThatCrossedAReplyIsHealthy) {
  StopSigns signs;
  signs.server_timeout(seconds(2));
  for (int i = 0; i < 1'000; i++) {
    // A regular update was sent while the request was in flight.
    signs.answered(at(i * 1'000));
    signs.requested(at(i * 1'000 + 1));
    signs.answered(at(i * 1'000 + 2));
    EXPECT_FALSE(signs.are_clear(at(i * 1'000 + 3)));
  }
}

TEST(StopSigns, RequestsThatCameTogetherCountOnce) {
  StopSigns signs;
  signs.answered(at(0));
  for (int i = 0; i < 100; i++) signs.requested(at(1));
  EXPECT_FALSE(signs.are_clear(at(10'000)));
}

TEST(StopSigns, AServerThatSendsMoreIsNotWaiting) {
  StopSigns signs;
  for (int i = 0; i < 100; i++) {
    signs.answered(at(i * 100));
    signs.requested(at(i * 100 + 1));
    if (i % 3 == 2) signs.none();
    EXPECT_FALSE(signs.are_clear(at(i * 100 + 2)));
  }
}

}  // namespace
}  // namespace walspout
