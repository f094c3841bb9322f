#include "backfill/restart_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace walspout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(RestartFile, SaysWhatWasWritten) {
  const std::string folder = testing::TempDir();
  const RestartFile file(folder, "restarts", "slot");
  file.remove();
  EXPECT_TRUE(file.is_possible());
  EXPECT_THAT(*file.read(), IsEmpty());
  ASSERT_TRUE(file.write({3, 12}));
  EXPECT_THAT(*file.read(), ElementsAre(3, 12));
  EXPECT_THAT(*RestartFile(folder, "restarts", "other").read(), IsEmpty());
  file.remove();
  EXPECT_THAT(*file.read(), IsEmpty());
}

TEST(RestartFile, SaysWhatIsWrong) {
  const RestartFile missing(testing::TempDir() + "no/such", "p", "slot");
  EXPECT_FALSE(missing.write({1}));
  const RestartFile file(testing::TempDir(), "broken", "slot");
  std::ofstream(testing::TempDir() + "/broken.backfills") << "something\n";
  EXPECT_FALSE(file.read());
  file.remove();
  EXPECT_FALSE(RestartFile("", "p", "slot").is_possible());
  EXPECT_THAT(*RestartFile("", "p", "slot").read(), IsEmpty());
}

}  // namespace
}  // namespace walspout
