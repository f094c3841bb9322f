#include "base/farewell.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

namespace walspout {
namespace {

using namespace std::chrono_literals;

TEST(FarewellTest, WaitsForWhatEndsInTime) {
  std::atomic<bool> ended{false};
  EXPECT_TRUE(end_within([&] { ended = true; }, 60s));
  EXPECT_TRUE(ended);
  EXPECT_EQ(threads_still_ending(), 0U);
}

TEST(FarewellTest, LeavesWhatDoesNot) {
  const auto may_end = std::make_shared<std::promise<void>>();
  EXPECT_FALSE(end_within([may_end] { may_end->get_future().wait(); }, 10ms));
  EXPECT_EQ(threads_still_ending(), 1U);
  may_end->set_value();
  for (int i = 0; i < 6000 && threads_still_ending() > 0; i++) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(threads_still_ending(), 0U);
}

}  // namespace
}  // namespace walspout
