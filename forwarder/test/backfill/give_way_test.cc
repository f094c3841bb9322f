#include "backfill/give_way.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

using std::chrono::milliseconds;

const TimePoint kBegin{std::chrono::hours(1)};

TEST(GiveWay, ReadsAsMuchAsItCanWhileTheStreamIsIdle) {
  GiveWay way;
  for (int i = 0; i < 10; i++) way.look(7, kBegin + i * GiveWay::kLook);
  EXPECT_FALSE(way.is_busy());
  EXPECT_EQ(way.bytes(), GiveWay::kMost);
}

TEST(GiveWay, EventsOfBeforeDoNotCount) {
  GiveWay way;
  way.look(1'000'000, kBegin);
  EXPECT_FALSE(way.is_busy());
}

TEST(GiveWay, AFewEventsASecondAreNoStream) {
  GiveWay way;
  way.look(0, kBegin);
  way.look(GiveWay::kBusy - 1, kBegin + milliseconds(1000));
  EXPECT_FALSE(way.is_busy());
  way.look(2 * GiveWay::kBusy, kBegin + milliseconds(2000));
  EXPECT_TRUE(way.is_busy());
}

TEST(GiveWay, ReadsLittleWhileTheStreamIsBusy) {
  GiveWay way;
  way.look(0, kBegin);
  way.look(1000, kBegin + milliseconds(1000));
  EXPECT_TRUE(way.is_busy());
  EXPECT_EQ(way.bytes(), GiveWay::kLeast);
}

TEST(GiveWay, LooksNowAndThenOnly) {
  GiveWay way;
  way.look(0, kBegin);
  way.look(1000, kBegin + GiveWay::kLook / 2);
  EXPECT_FALSE(way.is_busy());
}

TEST(GiveWay, RoundsGrowUntilTheSinksNeedTheTime) {
  GiveWay way;
  way.look(0, kBegin);
  way.look(1000, kBegin + milliseconds(1000));
  for (int i = 0; i < 4; i++) way.handled(way.bytes(), GiveWay::kWait / 4);
  EXPECT_EQ(way.bytes(), 16 * GiveWay::kLeast);
  way.handled(way.bytes(), GiveWay::kWait);
  EXPECT_EQ(way.bytes(), 16 * GiveWay::kLeast);
  way.handled(way.bytes(), 3 * GiveWay::kWait);
  EXPECT_EQ(way.bytes(), 8 * GiveWay::kLeast);
}

TEST(GiveWay, RoundsStayBetweenTheirBounds) {
  GiveWay way;
  way.look(0, kBegin);
  way.look(1000, kBegin + milliseconds(1000));
  for (int i = 0; i < 50; i++) way.handled(way.bytes(), Duration::zero());
  EXPECT_EQ(way.bytes(), GiveWay::kMost);
  for (int i = 0; i < 50; i++) way.handled(way.bytes(), milliseconds(500));
  EXPECT_EQ(way.bytes(), GiveWay::kLeast);
}

TEST(GiveWay, SmallRoundsSayNothingOfLargerOnes) {
  GiveWay way;
  way.look(0, kBegin);
  way.look(1000, kBegin + milliseconds(1000));
  way.handled(100, Duration::zero());
  EXPECT_EQ(way.bytes(), GiveWay::kLeast);
}

TEST(GiveWay, IsFastAgainWhenTheStreamIsIdleAgain) {
  GiveWay way;
  way.look(0, kBegin);
  way.look(1000, kBegin + milliseconds(1000));
  way.look(1001, kBegin + milliseconds(2000));
  EXPECT_FALSE(way.is_busy());
  EXPECT_EQ(way.bytes(), GiveWay::kMost);
}

TEST(GiveWay, RestsInProportionAndNotForLong) {
  EXPECT_EQ(GiveWay::rest(milliseconds(3)), milliseconds(6));
  EXPECT_EQ(GiveWay::rest(milliseconds(10'000)), milliseconds(200));
}

}  // namespace
}  // namespace walspout
