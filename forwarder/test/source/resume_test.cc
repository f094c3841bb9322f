#include "source/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace walspout {
namespace {

using testing::HasSubstr;

TEST(Resume, TheFirstTimeTheSlotKnows) {
  EXPECT_EQ(resume({}, {}).start, Lsn{});
}

TEST(Resume, WhatWasReceivedIsNotAskedForAgain) {
  Resume from =
      resume({true, "1", "1", Lsn{100}, {}, {}, Lsn{50}}, {"1", "1", Lsn{200}, Lsn{50}, {}});
  EXPECT_EQ(from.start, Lsn{100});
  EXPECT_FALSE(from.forget);
}

TEST(Resume, NothingIsSkippedOnAnotherHistory) {
  const ReceivedState received{true, "1", "1", Lsn{100}, {}, {}, Lsn{60}};
  const ServerState others[] = {
      {"1", "2", Lsn{200}, Lsn{50}, {}},   // promoted
      {"2", "1", Lsn{200}, Lsn{50}, {}},   // another server
      {"1", "1", Lsn{80}, Lsn{50}, {}},    // a shorter WAL
      {"1", "1", Lsn{200}, Lsn{150}, {}},  // a slot that another forwarder has moved
      {"1", "1", Lsn{200}, Lsn{61}, {}}};  // also if the slot is behind what was received
  for (const ServerState& server : others) {
    EXPECT_EQ(resume(received, server).start, Lsn{});
    EXPECT_TRUE(resume(received, server).forget);
  }
}

TEST(Resume, AServerThatWasStartedAnewSendsTheLastTransactionAgain) {
  const ReceivedState received{true, "1", "1", Lsn{100}, "noon", Lsn{90}, Lsn{50}};
  ServerState server{"1", "1", Lsn{200}, Lsn{50}, {}};
  server.started = "noon";
  EXPECT_EQ(resume(received, server).start, Lsn{100});
  server.started = "one";
  EXPECT_EQ(resume(received, server).start, Lsn{90});
  EXPECT_FALSE(resume(received, server).forget);
  // Only keepalives were received.
  EXPECT_EQ(resume({true, "1", "1", Lsn{100}, "noon", {}, Lsn{50}}, server).start, Lsn{100});
}

TEST(Resume, AServerThatStillRunsIsOnItsOwnHistory) {
  const ReceivedState received{true, "1", "1", Lsn{100}, "noon", Lsn{90}, Lsn{50}};
  ServerState server{"1", "2", Lsn{200}, Lsn{50}, {}};
  server.started = "noon";
  server.history = {{"1", Lsn{80}}};  // promoted under the stream
  EXPECT_EQ(resume(received, server).start, Lsn{100});
  EXPECT_FALSE(resume(received, server).forget);
  server.started = "one";  // may be another server
  EXPECT_TRUE(resume(received, server).forget);
  server.started = "noon";
  server.history = {};
  EXPECT_TRUE(resume(received, server).forget);
}

TEST(StillRuns, IsOnlySaidOfTheSameServerAndItsOwnTimelines) {
  ServerState server{"1", "3", Lsn{200}, Lsn{50}, {}};
  server.started = "noon";
  server.history = {{"1", Lsn{80}}, {"2", Lsn{90}}};
  for (const char* timeline : {"1", "2", "3"}) {
    EXPECT_TRUE(still_runs(server, "1", timeline, "noon"));
  }
  EXPECT_FALSE(still_runs(server, "1", "4", "noon"));
  EXPECT_FALSE(still_runs(server, "2", "1", "noon"));
  EXPECT_FALSE(still_runs(server, "1", "1", "one"));
  server.started = "";
  EXPECT_FALSE(still_runs(server, "1", "1", ""));
}

TEST(Expected, TheTransactionThatWasReceivedHasToComeAgain) {
  const Received last{Lsn{90}, Lsn{99}, 7};
  ExpectedTransaction expected(last, Lsn{0}, Lsn{50});
  EXPECT_TRUE(expected.matches({Lsn{60}, Lsn{70}, 5}));
  EXPECT_TRUE(expected.agrees_with(Lsn{98}));
  EXPECT_FALSE(expected.agrees_with(Lsn{99}));
  EXPECT_TRUE(expected.matches(last));
  EXPECT_TRUE(expected.agrees_with(Lsn{200}));
  EXPECT_TRUE(expected.matches({Lsn{91}, Lsn{95}, 5}));
}

TEST(Expected, AnotherOneInItsPlaceOrBehindItIsFound) {
  const Received last{Lsn{90}, Lsn{99}, 7};
  for (const Received& other : {Received{Lsn{90}, Lsn{99}, 8}, Received{Lsn{90}, Lsn{98}, 7},
                                Received{Lsn{91}, Lsn{99}, 7}, Received{Lsn{300}, Lsn{310}, 9}}) {
    ExpectedTransaction expected(last, Lsn{90}, Lsn{50});
    EXPECT_FALSE(expected.matches(other));
  }
}

TEST(Expected, NothingIsWhereTheStreamBeginsBehindIt) {
  const Received last{Lsn{90}, Lsn{99}, 7};
  EXPECT_TRUE(ExpectedTransaction(last, Lsn{99}, Lsn{50}).matches({Lsn{300}, Lsn{310}, 9}));
  EXPECT_TRUE(ExpectedTransaction(last, Lsn{0}, Lsn{99}).agrees_with(Lsn{300}));
  EXPECT_TRUE(ExpectedTransaction({}, Lsn{0}, Lsn{0}).matches({Lsn{300}, Lsn{310}, 9}));
  EXPECT_FALSE(ExpectedTransaction(last, Lsn{0}, Lsn{90}).agrees_with(Lsn{300}));
}

const SlotRecord kRecord{"1", "2", Lsn{100}};
const ServerState kSame{"1", "2", Lsn{200}, Lsn{100}, {}};

TEST(Gap, ThereIsNoneWhereTheSlotIsWhatItWasToldOrBehind) {
  ServerState server = kSame;
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, false), "");
  server.slot_confirmed = Lsn{20};  // the server crashed and lost the reported position
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, false), "");
  server.wal_end = Lsn{150};
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, false), "");
}

TEST(Gap, FindsASlotThatWasMovedOrReCreated) {
  ServerState server = kSame;
  server.slot_confirmed = Lsn{101};
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, false), HasSubstr("0/64, and is at 0/65"));
  // Unless another forwarder read the slot.
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, true), "");
}

TEST(Gap, AShorterLogIsOne) {
  ServerState server = kSame;
  server.wal_end = Lsn{149};
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, false), HasSubstr("ends at 0/95"));
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, true), HasSubstr("ends at 0/95"));
}

TEST(Gap, AnotherServerIsOne) {
  ServerState server = kSame;
  server.system = "9";
  EXPECT_THAT(gap(kRecord, Lsn{100}, server, true), HasSubstr("another server"));
}

TEST(Gap, AnotherTimelineIsOneWhereItLeftBeforeWhatWasDelivered) {
  ServerState server = kSame;
  server.timeline = "3";
  server.history = {{"1", Lsn{10}}, {"2", Lsn{150}}};
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, false), "");
  server.history[1].left = Lsn{149};
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, false), HasSubstr("left timeline 2 at 0/95"));
  server.history.pop_back();
  EXPECT_THAT(gap(kRecord, Lsn{150}, server, false), HasSubstr("does not know"));
}

TEST(Gap, ATimelineOfTheSameNumberThatBeganElsewhereIsOne) {
  SlotRecord record = kRecord;
  record.began = Lsn{10};
  ServerState server = kSame;
  server.history = {{"1", Lsn{10}}};
  EXPECT_EQ(gap(record, Lsn{150}, server, false), "");
  server.history[0].left = Lsn{12};
  EXPECT_THAT(gap(record, Lsn{150}, server, true),
              HasSubstr("timeline 2 began at 0/C, and the one that was delivered at 0/A"));
  // Also if the server left that timeline again, after what was delivered.
  server.timeline = "3";
  server.history.push_back({"2", Lsn{200}});
  EXPECT_THAT(gap(record, Lsn{150}, server, false), HasSubstr("began at 0/C"));
  // No gap if the record or the server lacks the begin.
  EXPECT_EQ(gap(kRecord, Lsn{150}, server, false), "");
  EXPECT_EQ(gap(record, Lsn{150}, kSame, false), "");
}

TEST(TimelineHistory, SaysWhereATimelineWasLeft) {
  ServerState server;
  server.history = parse_history(
      "1\t0/3000060\tno recovery target specified\n\n# a note\n2\t1/50000A0\tbefore 2026-01-01\n");
  EXPECT_EQ(left_at(server, "1"), Lsn{0x3000060});
  EXPECT_EQ(left_at(server, "2"), Lsn{0x1050000A0});
  EXPECT_EQ(left_at(server, "3"), Lsn{});
  EXPECT_EQ(began_at(server, "1"), Lsn{});
  EXPECT_EQ(began_at(server, "2"), Lsn{0x3000060});
  EXPECT_EQ(began_at(server, "3"), Lsn{0x1050000A0});
  for (const char* none : {"", "1", "1\tnonsense", "\t\n"})
    EXPECT_TRUE(parse_history(none).empty());
}

}  // namespace
}  // namespace walspout
