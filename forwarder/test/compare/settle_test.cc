#include "compare/settle.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

using Verdict = Settler::Verdict;

const Settler::Seen kOne{"1", "v1"};
const Settler::Seen kOneAgain{"1", "v3"};  // the same values, another version
const Settler::Seen kTwo{"2", "v2"};
const Settler::Seen kTarget{"9", "w1"};
const Settler::Seen kTargetLater{"8", "w2"};

TEST(SettleTest, ARowThatIsTheSameIsEqual) {
  Settler::Watched watched;
  EXPECT_EQ(Settler::judge(&kOne, &kOneAgain, &kTwo, false, watched), Verdict::kEqual);
  EXPECT_EQ(Settler::judge(&kTwo, &kOneAgain, &kOne, false, watched), Verdict::kEqual);
  EXPECT_EQ(Settler::judge(nullptr, nullptr, &kOne, false, watched), Verdict::kEqual);
  EXPECT_EQ(Settler::judge(&kOne, nullptr, nullptr, true, watched), Verdict::kEqual);
}

TEST(SettleTest, ARowThatDidNotChangeHasToBeInTheTarget) {
  Settler::Watched watched;
  EXPECT_EQ(Settler::judge(&kOne, &kTarget, &kOne, true, watched), Verdict::kDifferent);
  EXPECT_EQ(Settler::judge(&kOne, nullptr, &kOne, true, watched), Verdict::kMissing);
}

TEST(SettleTest, NothingIsCertainBeforeThePositionIsPassed) {
  Settler::Watched watched;
  EXPECT_EQ(Settler::judge(&kOne, &kTarget, &kOne, false, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(&kOne, nullptr, &kOne, false, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(nullptr, &kTarget, nullptr, false, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(nullptr, &kTarget, nullptr, true, watched), Verdict::kPending)
      << "the look before proves nothing";
}

TEST(SettleTest, ARowThatWasChangedAndChangedBackIsLookedAtAgain) {
  Settler::Watched watched;
  EXPECT_EQ(Settler::judge(&kOne, &kTarget, &kOneAgain, true, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(&kOne, nullptr, &kOneAgain, true, watched), Verdict::kPending);
}

TEST(SettleTest, ARowIsExtraIfItStays) {
  Settler::Watched watched;
  EXPECT_EQ(Settler::judge(nullptr, &kTarget, nullptr, true, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(nullptr, &kTarget, nullptr, true, watched), Verdict::kExtra);
}

TEST(SettleTest, ARowThatComesAndGoesIsNotExtra) {
  Settler::Watched watched;
  EXPECT_EQ(Settler::judge(nullptr, &kTarget, nullptr, true, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(nullptr, &kTargetLater, nullptr, true, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(nullptr, &kTarget, nullptr, true, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(nullptr, nullptr, nullptr, true, watched), Verdict::kEqual);
}

TEST(SettleTest, ARowThatChangesAllTheTimeIsFollowed) {
  Settler::Watched watched;
  watched.hashes = {"8"};
  EXPECT_EQ(Settler::judge(&kOne, &kTarget, &kTwo, true, watched), Verdict::kPending);
  EXPECT_EQ(Settler::judge(&kTwo, &kTargetLater, &kOne, true, watched), Verdict::kEqual);
  // A target that does not move does not follow, though the source once had its value.
  Settler::Watched still;
  still.hashes = {"9"};
  EXPECT_EQ(Settler::judge(&kOne, &kTarget, &kTwo, true, still), Verdict::kPending);
  EXPECT_EQ(Settler::judge(&kTwo, &kTarget, &kOne, true, still), Verdict::kPending);
}

}  // namespace
}  // namespace walspout
