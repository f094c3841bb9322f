#include "source/feedback.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TimePoint at(int ms) {
  return TimePoint(milliseconds(100'000 + ms));
}

TEST(Feedback, IsDueNowAndThenAndSoonAfterProgress) {
  Feedback feedback({}, at(0));
  feedback.sent(Lsn{10}, at(0));
  EXPECT_EQ(feedback.due(Lsn{10}), at(10'000));
  EXPECT_EQ(feedback.due(Lsn{11}), at(1'000));
  feedback.server_timeout(milliseconds(1'500));
  EXPECT_EQ(feedback.due(Lsn{10}), at(500));
}

TEST(Feedback, ARequestIsAnsweredAtOnceOrWhenItMayBe) {
  Feedback feedback({}, at(0));
  feedback.sent(Lsn{10}, at(0));
  feedback.request();
  EXPECT_EQ(feedback.due(Lsn{10}), at(0));
  feedback.request(at(100));
  EXPECT_EQ(feedback.due(Lsn{10}), at(100));
  feedback.request(at(20'000));
  EXPECT_EQ(feedback.due(Lsn{10}), at(10'000)) << "what is due anyway does not wait for that";
  feedback.sent(Lsn{10}, at(200));
  EXPECT_EQ(feedback.due(Lsn{10}), at(10'200));
}

}  // namespace
}  // namespace walspout
