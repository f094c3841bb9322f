#include "sink/common/key_mask.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

TEST(KeyMaskTest, HidesTheKeyOfAMessage) {
  KeyMask mask;
  mask.note(3, R"({"id":7})");
  mask.note(5, "");
  mask.note(6, R"({"id":8})");
  EXPECT_EQ(mask.apply(3, R"(no queue for "t.{"id":7}")"), R"(no queue for "t.***")");
  EXPECT_EQ(mask.apply(6, R"(t.{"id":7})"), R"(t.{"id":7})") << "another message's";
  for (const uint64_t number : {1, 4, 5, 9}) EXPECT_EQ(mask.apply(number, "text"), "text");
}

TEST(KeyMaskTest, HidesTheKeysOfAll) {
  KeyMask mask;
  for (uint64_t i = 1; i <= 3; ++i) mask.note(i, "{\"id\":" + std::to_string(i) + "}");
  EXPECT_EQ(mask.apply(R"(a.{"id":1} b.{"id":3} b.{"id":3})"), "a.*** b.*** b.***");
  mask.forget_before(3);
  EXPECT_EQ(mask.apply(R"({"id":1} {"id":3})"), R"({"id":1} ***)");
  mask.clear();
  EXPECT_EQ(mask.apply(R"({"id":3})"), R"({"id":3})");
}

TEST(KeyMaskTest, HidesKeysAsOthersPrintThem) {
  EXPECT_EQ(KeyMask::hide(R"({"a":"\\"})", R"(to "t.{\"a\":\"\\\\\"}")"), R"(to "t.***")");
  for (const char* cut : {"t.{\"mail\":\"me@example...", "t.{\\\"mail\\\":\\\"me@example..."}) {
    EXPECT_EQ(KeyMask::hide(R"({"mail":"me@example.com"})", cut), "t.***...");
  }
  EXPECT_EQ(KeyMask::hide("", "..."), "...");
}

}  // namespace
}  // namespace walspout
