#include "source/state_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace walspout {
namespace {

using testing::HasSubstr;

class StateFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = std::filesystem::temp_directory_path() / "walspout_state.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

const SlotRecord kRecord{"7123456789",
                         "2",
                         Lsn{0x1200000034},
                         Lsn{0x700000008},
                         Received{Lsn{0x1200000010}, Lsn{0x1200000020}, -7},
                         "17"};

TEST_F(StateFileTest, WhatIsWrittenIsRead) {
  StateFile file(folder_, "orders");
  auto none = file.read("s");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  ASSERT_TRUE(file.write("s", kRecord));
  auto record = file.read("s");
  ASSERT_TRUE(record && *record);
  EXPECT_EQ((*record)->system, kRecord.system);
  EXPECT_EQ((*record)->timeline, kRecord.timeline);
  EXPECT_EQ((*record)->reported, kRecord.reported);
  EXPECT_EQ((*record)->began, kRecord.began);
  EXPECT_EQ((*record)->last, kRecord.last);
  EXPECT_EQ((*record)->options, kRecord.options);
  // Only the file is left.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(StateFileTest, AnotherSlotHasNoRecord) {
  StateFile file(folder_, "orders");
  ASSERT_TRUE(file.write("s", kRecord));
  auto record = file.read("t");
  ASSERT_TRUE(record);
  EXPECT_FALSE(*record);
}

TEST_F(StateFileTest, APositionNeverFallsOnTheSameHistory) {
  StateFile file(folder_, "orders");
  ASSERT_TRUE(file.write("s", kRecord));
  SlotRecord lower = kRecord;
  lower.reported = Lsn{1};
  lower.last = {};
  ASSERT_TRUE(file.write("s", lower));
  EXPECT_EQ((*file.read("s"))->reported, kRecord.reported);
  EXPECT_EQ((*file.read("s"))->last, kRecord.last);
  lower.began = Lsn{0x600000008};
  ASSERT_TRUE(file.write("s", lower));
  EXPECT_EQ((*file.read("s"))->reported, Lsn{1});
  ASSERT_TRUE(file.write("s", kRecord));
  lower.timeline = "3";
  ASSERT_TRUE(file.write("s", lower));
  EXPECT_EQ((*file.read("s"))->reported, Lsn{1});
}

TEST_F(StateFileTest, WhatIsNoRecordIsRefused) {
  StateFile file(folder_, "orders");
  for (const char* text : {"", "nonsense", "walspout 2\nslot s\nsystem 1\ntimeline 1\ntold 0/1\n",
                           "walspout 1\nslot s\nsystem 1\ntimeline 1\ntold x\n",
                           "walspout 1\nslot s\ntimeline 1\ntold 0/1\n"}) {
    std::ofstream(file.path()) << text;
    auto record = file.read("s");
    ASSERT_FALSE(record) << text;
    EXPECT_THAT(record.error().what, HasSubstr("Remove it"));
  }
}

TEST_F(StateFileTest, ARecordThatCannotBeWrittenIsNotLeftOld) {
  StateFile file(folder_, "orders");
  ASSERT_TRUE(file.write("s", kRecord));
  // Blocks the temporary file, for every user.
  std::filesystem::create_directory(file.path() + "." + std::to_string(getpid()));
  EXPECT_FALSE(file.write("s", kRecord));
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

}  // namespace
}  // namespace walspout
