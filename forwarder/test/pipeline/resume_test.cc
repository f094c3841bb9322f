#include "pipeline/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace walspout {
namespace {

using testing::HasSubstr;

TEST(Resume, TheFirstTimeTheSlotKnows) {
  EXPECT_EQ(resume({}, {}).start, Lsn{});
}

TEST(Resume, WhatWasReceivedIsNotAskedForAgain) {
  Resume from = resume({true, "1", "1", Lsn{100}}, {"1", "1", Lsn{200}, Lsn{50}, {}});
  EXPECT_EQ(from.start, Lsn{100});
  EXPECT_FALSE(from.forget);
}

TEST(Resume, NothingIsSkippedOnAnotherHistory) {
  const ReceivedState received{true, "1", "1", Lsn{100}};
  const ServerState others[] = {
      {"1", "2", Lsn{200}, Lsn{50}, {}},    // promoted
      {"2", "1", Lsn{200}, Lsn{50}, {}},    // another one
      {"1", "1", Lsn{80}, Lsn{50}, {}},     // a shorter log
      {"1", "1", Lsn{200}, Lsn{150}, {}}};  // a slot that another forwarder has moved
  for (const ServerState& server : others) {
    EXPECT_EQ(resume(received, server).start, Lsn{});
    EXPECT_TRUE(resume(received, server).forget);
  }
}

const SlotRecord kRecord{"1", "2", Lsn{100}};
const ServerState kSame{"1", "2", Lsn{200}, Lsn{100}, {}};

TEST(Gap, ThereIsNoneWhereTheSlotIsWhatItWasToldOrBehind) {
  ServerState server = kSame;
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, {}, false), "");
  server.slot_confirmed = Lsn{20};  // the server crashed, and forgot what it was told
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, {}, false), "");
  server.wal_end = Lsn{150};
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, {}, false), "");
}

TEST(Gap, ASlotThatSomebodyMovedOrMadeAnewIsOne) {
  ServerState server = kSame;
  server.slot_confirmed = Lsn{101};
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, {}, false), HasSubstr("0/64, and is at 0/65"));
  // Unless another forwarder was seen to read it.
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, {}, true), "");
}

TEST(Gap, AShorterLogIsOne) {
  ServerState server = kSame;
  server.wal_end = Lsn{149};
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, {}, false), HasSubstr("ends at 0/95"));
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, {}, true), HasSubstr("ends at 0/95"));
}

TEST(Gap, AnotherServerIsOne) {
  ServerState server = kSame;
  server.system = "9";
  EXPECT_THAT(gap(kRecord, Lsn{100}, server, {}, true), HasSubstr("another server"));
}

TEST(Gap, AnotherTimelineIsOneWhereItLeftBeforeWhatWasDelivered) {
  ServerState server = kSame;
  server.timeline = "3";
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, Lsn{150}, false), "");
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, Lsn{149}, false),
              HasSubstr("left timeline 2 at 0/95"));
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, Lsn{}, false), HasSubstr("does not know"));
}

TEST(TimelineHistory, SaysWhereATimelineWasLeft) {
  const std::string history =
      "1\t0/3000060\tno recovery target specified\n\n2\t1/50000A0\tbefore 2026-01-01\n";
  EXPECT_EQ(left_at(history, "1"), Lsn{0x3000060});
  EXPECT_EQ(left_at(history, "2"), Lsn{0x1050000A0});
  EXPECT_EQ(left_at(history, "3"), Lsn{});
  EXPECT_EQ(left_at("", "1"), Lsn{});
  EXPECT_EQ(left_at("1", "1"), Lsn{});
  EXPECT_EQ(left_at("1\tnonsense", "1"), Lsn{});
}

}  // namespace
}  // namespace walspout
