#include "source/pace.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

using std::chrono::microseconds;

class PaceTest : public testing::Test {
 protected:
  // Reads messages that arrive `apart`, and sleeps as told. Returns the whole time slept.
  Duration read(size_t messages, Duration apart) {
    Duration away{};
    TimePoint until = now_ + apart * static_cast<int>(messages);
    while (now_ < until) {
      Duration nap = pace_.read(waiting_, now_);
      TimePoint before = now_;
      now_ += std::max(nap, apart);
      waiting_ = static_cast<size_t>((now_ - before) / apart);
      away += nap;
    }
    return away;
  }

  Pace pace_;
  TimePoint now_{std::chrono::hours(1)};
  size_t waiting_ = 0;
};

TEST_F(PaceTest, MessagesThatComeSeldomAreReadAtOnce) {
  EXPECT_EQ(read(10'000, microseconds(100)), Duration::zero());
  EXPECT_EQ(read(1'000, microseconds(1000)), Duration::zero());
}

TEST_F(PaceTest, AShortBurstIsReadAtOnce) {
  read(1'000, microseconds(1000));
  EXPECT_EQ(read(30, microseconds(5)), Duration::zero());
  EXPECT_EQ(read(100, microseconds(1000)), Duration::zero());
}

TEST_F(PaceTest, AFloodIsReadInBatches) {
  read(1'000, microseconds(5));
  EXPECT_GT(read(10'000, microseconds(5)), microseconds(45'000));
}

TEST_F(PaceTest, TheEndOfAFloodIsTheEndOfIt) {
  read(10'000, microseconds(5));
  EXPECT_EQ(pace_.read(0, now_), Duration::zero());
  read(5, microseconds(1000));
  EXPECT_EQ(read(1'000, microseconds(1000)), Duration::zero());
}

}  // namespace
}  // namespace walspout
