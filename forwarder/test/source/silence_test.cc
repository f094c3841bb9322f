#include "source/silence.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

using std::chrono::seconds;

TimePoint at(int second) {
  return TimePoint(seconds(1000 + second));
}

TEST(Silence, AsksAfterHalfAndGivesUpAfterAllOfTheTimeout) {
  Silence silence;
  silence.server_timeout(seconds(10));
  silence.broken(at(0));
  EXPECT_EQ(silence.next(), at(5));
  EXPECT_FALSE(silence.should_ask(at(4)));
  EXPECT_TRUE(silence.should_ask(at(5)));
  silence.asked(at(6));
  EXPECT_FALSE(silence.should_ask(at(7)));
  EXPECT_EQ(silence.next(), at(16));
  EXPECT_FALSE(silence.is_over(at(15)));
  EXPECT_TRUE(silence.is_over(at(16)));
}

TEST(Silence, AReplyEndsIt) {
  Silence silence;
  silence.server_timeout(seconds(10));
  silence.broken(at(0));
  silence.asked(at(5));
  silence.broken(at(6));
  EXPECT_FALSE(silence.is_over(at(100)));
  EXPECT_EQ(silence.next(), at(11));
}

TEST(Silence, IsNeverOverUnasked) {
  Silence silence;
  silence.broken(at(0));
  EXPECT_FALSE(silence.is_over(at(1'000'000)));
}

TEST(Silence, AServerThatWaitsForEverIsNotWaitedForForEver) {
  Silence silence;
  silence.server_timeout(Duration::zero());
  silence.broken(at(0));
  EXPECT_EQ(silence.next(), at(30));
  silence.asked(at(30));
  EXPECT_EQ(silence.next(), at(90));
}

TEST(Silence, WhoWasGivenUpGetsLongerUntilItSendsData) {
  Silence silence;
  silence.server_timeout(seconds(10));
  for (int longer : {10, 20, 40}) {
    silence.broken(at(0));
    silence.asked(at(5));
    EXPECT_EQ(silence.next(), at(5 + longer));
    silence.given_up();
  }
  silence.broken(at(0));  // each connection begins with a keepalive
  silence.asked(at(5));
  EXPECT_EQ(silence.next(), at(85));
  for (int i = 0; i < 100; i++) silence.given_up();
  EXPECT_EQ(silence.next(), at(645));
  silence.progress();
  EXPECT_EQ(silence.next(), at(15));
}

}  // namespace
}  // namespace walspout
