// Which requests may control sinks.
#include "status/control.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

TEST(SameSecret, IsTheSameInLengthAndBytes) {
  EXPECT_TRUE(is_same_secret("", ""));
  EXPECT_TRUE(is_same_secret("0123456789abcdef", "0123456789abcdef"));
  for (const char* other : {"", "0123456789abcde", "0123456789abcdeff", "0123456789abcdeF",
                            "1123456789abcdef", "0123456789abcdef0123456789abcdef"}) {
    EXPECT_FALSE(is_same_secret("0123456789abcdef", other)) << other;
    EXPECT_FALSE(is_same_secret(other, "0123456789abcdef")) << other;
  }
}

TEST(FailureLimit, ForgetsOneFailureEachInterval) {
  FailureLimit limit;
  TimePoint now{std::chrono::hours(1)};
  EXPECT_FALSE(limit.is_reached(now));
  for (int i = 0; i < FailureLimit::kAtOnce; i++) {
    EXPECT_FALSE(limit.is_reached(now));
    limit.failed(now);
  }
  EXPECT_TRUE(limit.is_reached(now));
  EXPECT_TRUE(limit.is_reached(now + FailureLimit::kInterval - Duration(1)));
  now += FailureLimit::kInterval;
  EXPECT_FALSE(limit.is_reached(now));
  limit.failed(now);
  EXPECT_TRUE(limit.is_reached(now));
  EXPECT_FALSE(limit.is_reached(now + std::chrono::hours(1)));
}

}  // namespace
}  // namespace walspout
