#include "stream/gather.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class GatherTest : public testing::Test {
 protected:
  // Sends events at these intervals, and wakes the sinks as soon as allowed. Returns the number of
  // wake-ups.
  int tell(Gather& gather, Duration apart, int events) {
    int times = 0;
    for (int i = 0; i < events; i++) {
      gather.note_event(now += apart);
      if (gather.pause(now) > Duration::zero()) continue;
      gather.note_wake_up(now);
      times++;
    }
    return times;
  }

  TimePoint now{milliseconds(1000)};
};

TEST_F(GatherTest, FewSinksHearOfEachEvent) {
  for (size_t sinks : {0, 1, 2, 4}) {
    Gather gather(sinks);
    EXPECT_FALSE(gather.active());
    EXPECT_EQ(tell(gather, microseconds(1), 1000), 1000);
  }
}

TEST_F(GatherTest, ManySinksHearOfSeveralEventsAtOnce) {
  Gather some(10), many(50), most(5000);
  EXPECT_LT(tell(some, microseconds(100), 1000), 200);
  EXPECT_LT(tell(many, milliseconds(1), 1000), 150);
  EXPECT_LT(tell(many, microseconds(100), 1000), 20);
  EXPECT_GE(tell(most, milliseconds(1), 1000), 100) << "no pause is longer than 10 ms";
}

TEST_F(GatherTest, AnyNumberOfSinksHearsOfEventsThatAreFarApart) {
  Gather gather(50);
  EXPECT_EQ(tell(gather, milliseconds(20), 100), 100);
  EXPECT_EQ(tell(gather, microseconds(10), 4), 4) << "a few close ones";
  tell(gather, microseconds(10), 1000);
  EXPECT_EQ(tell(gather, milliseconds(20), 1), 1) << "the first one after a pause";
}

TEST_F(GatherTest, APauseIsOverInTime) {
  Gather gather(50);
  tell(gather, microseconds(10), 1000);
  const Duration pause = gather.pause(now);
  EXPECT_GT(pause, Duration::zero());
  EXPECT_LE(pause, milliseconds(10));
  EXPECT_EQ(gather.pause(now + pause), Duration::zero());
}

}  // namespace
}  // namespace walspout
