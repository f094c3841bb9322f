#include "backfill/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "test/source/messages.h"

namespace walspout {
namespace {

using test::MessageBuilder;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = ReadRequest::Kind;

const std::vector<Column> kColumns = {{"id", "int", 23, -1, true, true},
                                      {"n", "int", 23, -1, false, false}};
const std::string kOpen = R"({"id":"00000000000000000000-00000000000000000000",)";

std::string key_of(int id) {
  return R"({"id":)" + std::to_string(id) + "}";
}

// A ledger with one backfill of the table public.t, and the calls of the two threads.
class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    BackfillRecord record;
    record.id = 1;
    record.relation = 7;
    record.schema = "public";
    record.name = "t";
    ledger.add(record);
    ledger.ask_barrier({1});
    ledger.set_barrier(1, 10);
    ledger.use_snapshot(see("11:11:"));
  }

  static Snapshot see(const char* text) { return *Snapshot::parse(text); }

  ReadRequest next() {
    std::vector<ReadRequest> requests = ledger.next(10, 10, {});
    EXPECT_EQ(requests.size(), 1u);
    return requests.empty() ? ReadRequest{} : requests.front();
  }

  // Reads rows with these keys. Returns the number of the round.
  uint64_t add_round(const ReadRequest& request, const std::vector<int>& ids, bool end,
                     const char* snapshot) {
    MessageBuilder builder;
    builder.relation(7, "public", "t", kColumns);
    for (const int id : ids) {
      const std::string after = R"({"id":)" + std::to_string(id) + R"(,"n":0})";
      builder.event('r', 0, kOpen + R"("key":)" + key_of(id) + R"(,"after":)" + after + "}", 7, 1,
                    0x30, MessageBuilder::members({static_cast<int64_t>(after.size()) - 8, 5}));
    }
    if (request.kind != Kind::kCheck) {
      builder.cursor(
          end, ids.size(),
          ids.empty() ? std::vector<std::string>() : std::vector{std::to_string(ids.back())});
    }
    ReadResult result{request};
    Chunk chunk;
    std::optional<RowsRead> read;
    Result<void> decoded = rows.decode_rows(builder.message(), chunk, read);
    EXPECT_TRUE(decoded) << decoded.error().what;
    if (read) result.read = *read;
    result.rows.push_back(std::move(chunk));
    Round round;
    round.number = ++rounds;
    round.snapshot = see(snapshot);
    round.reads.push_back(std::move(result));
    ledger.add_round(std::move(round));
    return rounds;
  }

  // The ids in the documents that are placed at the mark.
  std::vector<std::string> mark(uint64_t number, uint64_t lsn) {
    Mark mark;
    mark.lsn = Lsn{lsn};
    std::vector<std::string> documents;
    for (const Chunk& chunk : ledger.place(number, mark)) {
      for (const Event& event : chunk.events) documents.emplace_back(event.document);
      pushed += chunk.events.size();
    }
    ledger.placed(pushed);
    return documents;
  }

  // A change is delivered. `partial`: it lacks the column n.
  void change(uint32_t xid, uint64_t lsn, char op, int id, bool partial = false, int old = 0) {
    MessageBuilder builder;
    const std::string n = partial ? "" : R"(,"n":1)";
    std::string document = R"({"key":)" + key_of(id);
    if (old) document += R"(,"before":)" + key_of(old);
    if (op != 'd') document += R"(,"after":{"id":)" + std::to_string(id) + n + "}";
    builder.begin(lsn, 5, xid)
        .relation(7, "public", "t", kColumns)
        .event(op, 0, document + "}", 7, 1,
               static_cast<uint8_t>((old ? 0x41 : 0) | (partial ? 0x10 : 0)),
               (partial ? MessageBuilder::members(
                              {5 + static_cast<int64_t>(std::to_string(id).size()), 0})
                        : "") +
                   (old ? MessageBuilder::old_key({{1, 5 + std::to_string(old).size()}}) : ""))
        .commit(lsn, lsn + 8, 1);
    FrameDecoder decoder;
    Chunk chunk;
    Result<void> decoded = decoder.decode(builder.message(), chunk);
    ASSERT_TRUE(decoded) << decoded.error().what;
    ledger.observe(chunk, 0);
    pushed++;
  }

  BackfillRecord record() const { return ledger.records().front(); }

  // Saves unsaved state. Returns the saved keys to read again.
  std::set<std::string> save() {
    for (const Ledger::Unsaved& unsaved : ledger.unsaved()) {
      save(unsaved);
      ledger.saved(unsaved.record.id, unsaved.version, true);
    }
    return keys();
  }

  void save(const Ledger::Unsaved& unsaved) {
    cursor = unsaved.cursor;
    state = unsaved.record.state;
    if (unsaved.keys.all) database.clear();
    for (const auto& [number, key] : unsaved.keys.add) database.emplace(number, key);
    for (const uint64_t number : unsaved.keys.remove) database.erase(number);
  }

  std::set<std::string> keys() const {
    std::set<std::string> all;
    for (const auto& [number, key] : database) all.insert(key);
    return all;
  }

  Ledger ledger{1 << 20, 4000};
  FrameDecoder rows;
  uint64_t rounds = 0;
  uint64_t pushed = 0;
  std::vector<std::string> cursor;  // saved, like the members below
  std::map<uint64_t, std::string> database;
  BackfillState state = BackfillState::kRequested;
};

TEST_F(LedgerTest, WaitsAtTheBarrier) {
  ledger.set_state(1, BackfillState::kPaused);
  ledger.set_state(1, BackfillState::kRequested);
  EXPECT_THAT(ledger.next(10, 10, {}), IsEmpty());
  ledger.ask_barrier({1});
  ledger.set_barrier(1, 20);
  ledger.use_snapshot(see("20:30:20"));
  EXPECT_THAT(ledger.next(10, 10, {}), IsEmpty());
  ledger.use_snapshot(see("21:30:21"));
  EXPECT_EQ(next().kind, Kind::kScan);
}

TEST_F(LedgerTest, PlacesRowsAtTheirMarkAndSavesWhatIsDurable) {
  const uint64_t first = add_round(next(), {1, 2}, false, "11:11:");
  const ReadRequest more = next();
  EXPECT_THAT(more.table.cursor, ElementsAre("2"));
  add_round(more, {3}, true, "11:11:");
  EXPECT_THAT(mark(first, 100), ElementsAre(testing::StartsWith(R"({"id":"100-0",)"),
                                            testing::StartsWith(R"({"id":"100-1",)")));
  save();
  EXPECT_THAT(cursor, IsEmpty());
  ledger.handled(1);
  save();
  EXPECT_THAT(cursor, IsEmpty());
  ledger.handled(2);
  save();
  EXPECT_THAT(cursor, ElementsAre("2"));
}

TEST_F(LedgerTest, SavesTheCursorOfAnEmptyChunkBehindWhatCameBefore) {
  change(20, 50, 'u', 1);
  EXPECT_THAT(mark(add_round(next(), {1}, true, "11:11:"), 100), IsEmpty());
  ledger.handled(0);
  save();
  EXPECT_THAT(cursor, IsEmpty());
  ledger.handled(1);
  save();
  EXPECT_THAT(cursor, ElementsAre("1"));
}

TEST_F(LedgerTest, HoldsWhatNoSnapshotHasShown) {
  EXPECT_EQ(ledger.hold(), Lsn{});
  change(20, 50, 'd', 1);
  change(21, 60, 'd', 2);
  EXPECT_EQ(ledger.hold(), Lsn{50});
  ledger.use_snapshot(see("20:21:20"));
  EXPECT_EQ(ledger.hold(), Lsn{50});
  ledger.use_snapshot(see("21:22:21"));
  EXPECT_EQ(ledger.hold(), Lsn{60});
  const uint64_t number = add_round(next(), {1, 2, 3}, true, "21:22:21");
  // A later snapshot does not remove changes that a waiting chunk needs.
  ledger.use_snapshot(see("30:30:"));
  EXPECT_EQ(ledger.hold(), Lsn{60});
  EXPECT_EQ(mark(number, 100).size(), 2u);
}

TEST_F(LedgerTest, ReadsMovedKeysAgainUntilTheyAreDurable) {
  change(20, 50, 'u', 5, true, 9);
  ledger.use_snapshot(see("30:30:"));
  EXPECT_EQ(ledger.hold(), Lsn{50});  // until the key is saved
  EXPECT_THAT(save(), ElementsAre(key_of(5)));
  EXPECT_EQ(ledger.hold(), Lsn{});
  mark(add_round(next(), {1}, true, "30:30:"), 100);
  ledger.handled(pushed);
  const ReadRequest again = next();
  ASSERT_EQ(again.kind, Kind::kAgain);
  EXPECT_THAT(again.keys, ElementsAre(key_of(5)));
  EXPECT_THAT(ledger.next(10, 10, {}), IsEmpty());
  EXPECT_EQ(mark(add_round(again, {5}, true, "30:30:"), 200).size(), 1u);
  EXPECT_THAT(save(), ElementsAre(key_of(5)));
  ledger.handled(pushed);
  EXPECT_THAT(save(), IsEmpty());
}

// The first table was dropped while its backfill was paused, and another table has its name.
TEST_F(LedgerTest, EachBackfillOfANameObservesIt) {
  ledger.set_state(1, BackfillState::kPaused);
  BackfillRecord record;
  record.id = 2;
  record.relation = 8;
  record.schema = "public";
  record.name = "t";
  ledger.add(record);
  ledger.ask_barrier({2});
  ledger.set_barrier(2, 10);
  ledger.use_snapshot(see("11:11:"));
  change(20, 50, 'd', 1);
  change(21, 60, 'u', 5, true, 9);
  EXPECT_THAT(mark(add_round(next(), {1, 2}, false, "20:20:"), 100),
              ElementsAre(testing::HasSubstr(key_of(2))));
  for (const Ledger::Unsaved& unsaved : ledger.unsaved()) {
    if (unsaved.record.id == 2) save(unsaved);
  }
  EXPECT_THAT(keys(), ElementsAre(key_of(5)));
}

TEST_F(LedgerTest, AWholeRowMayMoveOnceAllRowsArePlaced) {
  mark(add_round(next(), {1, 2}, true, "11:11:"), 100);
  change(20, 150, 'u', 5, true, 1);
  EXPECT_THAT(save(), IsEmpty());
}

TEST_F(LedgerTest, ARowThatEntersTheFilterIsReadAgainUntilTheEndIsSaved) {
  mark(add_round(next(), {1}, true, "11:11:"), 100);
  change(20, 150, 'c', 6, true);
  EXPECT_THAT(save(), ElementsAre(key_of(6)));
  mark(add_round(next(), {6}, true, "21:21:"), 200);
  ledger.handled(pushed);
  EXPECT_THAT(save(), IsEmpty());
  const ReadRequest check = next();
  ASSERT_EQ(check.kind, Kind::kCheck);
  mark(add_round(check, {}, true, "21:21:"), 300);
  ledger.handled(pushed);
  // Another key comes while the end is saved.
  const std::vector<Ledger::Unsaved> unsaved = ledger.unsaved();
  ASSERT_EQ(unsaved.size(), 1u);
  EXPECT_EQ(unsaved.front().record.state, BackfillState::kDone);
  change(22, 350, 'c', 7, true);
  save(unsaved.front());
  ledger.saved(1, unsaved.front().version, true);
  EXPECT_THAT(save(), ElementsAre(key_of(7)));
  EXPECT_EQ(state, BackfillState::kRunning);
  const ReadRequest again = next();
  ASSERT_EQ(again.kind, Kind::kAgain);
  EXPECT_THAT(again.keys, ElementsAre(key_of(7)));
}

TEST_F(LedgerTest, NoKeyIsNeededBeforeTheBarrier) {
  BackfillRecord other;
  other.id = 2;
  other.relation = 7;
  other.schema = "public";
  other.name = "t";
  ledger.set_state(1, BackfillState::kCanceled);
  save();
  ledger.add(other);
  change(20, 50, 'u', 5, true, 9);
  EXPECT_THAT(save(), IsEmpty());
  ledger.ask_barrier({2});
  change(21, 60, 'u', 6, true, 9);
  EXPECT_THAT(save(), ElementsAre(key_of(6)));
}

TEST_F(LedgerTest, ManyKeysAreReadAgainBeforeMoreRows) {
  mark(add_round(next(), {1}, false, "11:11:"), 100);
  for (int i = 0; i < 10; i++) change(20, 150, 'u', 100 + i, true, 50 + i);
  const ReadRequest again = next();
  ASSERT_EQ(again.kind, Kind::kAgain);
  EXPECT_EQ(again.keys.size(), 10u);
  EXPECT_THAT(ledger.next(10, 10, {}), IsEmpty());
  mark(add_round(again, {}, true, "30:30:"), 200);
  ledger.handled(pushed);
  EXPECT_EQ(next().kind, Kind::kScan);
}

TEST_F(LedgerTest, BeginsAgainWhereTooManyKeysAreToBeReadAgain) {
  mark(add_round(next(), {1}, false, "11:11:"), 100);
  ledger.handled(pushed);
  change(20, 150, 'u', 100, true, 50);
  EXPECT_EQ(save().size(), 1u);
  EXPECT_THAT(cursor, ElementsAre("1"));
  for (int i = 0; i < 40; i++)
    change(21, 200 + static_cast<uint64_t>(i), 'u', 200 + i, true, 50 + i);
  EXPECT_EQ(record().state, BackfillState::kRequested);
  EXPECT_EQ(ledger.begun_again().size(), 1u);
  // Until that is saved, unsaved keys must be sent again.
  ASSERT_TRUE(ledger.hold());
  EXPECT_LE(ledger.hold(), Lsn{200});
  // An earlier barrier does not count.
  ledger.set_barrier(1, 10);
  ledger.use_snapshot(see("60:60:"));
  EXPECT_THAT(ledger.next(10, 10, {}), IsEmpty());
  EXPECT_THAT(save(), IsEmpty());
  EXPECT_THAT(cursor, IsEmpty());
  EXPECT_EQ(ledger.hold(), Lsn{});
  ledger.ask_barrier({1});
  ledger.set_barrier(1, 60);
  change(61, 300, 'u', 300, true, 50);
  ledger.use_snapshot(see("61:62:61"));
  const ReadRequest first = next();
  EXPECT_EQ(first.kind, Kind::kScan);
  EXPECT_THAT(first.table.cursor, IsEmpty());
  EXPECT_THAT(save(), ElementsAre(key_of(300)));
}

TEST_F(LedgerTest, GivesUpWhatTheDatabaseCannotBeTold) {
  mark(add_round(next(), {1}, false, "11:11:"), 100);
  ledger.handled(pushed);
  save();
  EXPECT_THAT(cursor, ElementsAre("1"));
  change(20, 150, 'u', 100, true, 50);
  change(21, 160, 'd', 7);
  EXPECT_EQ(ledger.hold(), Lsn{150});
  ASSERT_THAT(ledger.holding(), ElementsAre(1));
  ledger.give_up({1});
  EXPECT_EQ(ledger.hold(), Lsn{});
  EXPECT_TRUE(ledger.any_wrong());
  // Until there is a barrier, no change holds the slot.
  change(22, 170, 'u', 101, true, 50);
  EXPECT_EQ(ledger.hold(), Lsn{});
  EXPECT_THAT(ledger.holding(), ElementsAre(1));
  const std::vector<Ledger::Unsaved> unsaved = ledger.unsaved();
  ledger.saved(1, unsaved.front().version, false);
  EXPECT_TRUE(ledger.any_wrong());
  EXPECT_THAT(save(), IsEmpty());
  EXPECT_THAT(cursor, IsEmpty());
  EXPECT_FALSE(ledger.any_wrong());
  ledger.ask_barrier({1});
  change(23, 180, 'u', 102, true, 50);
  EXPECT_EQ(ledger.hold(), Lsn{180});
}

TEST_F(LedgerTest, AProgressThatIsWrongIsNotGoneOnWith) {
  BackfillRecord record;
  record.id = 3;
  record.relation = 7;
  record.schema = "public";
  record.name = "t";
  record.state = BackfillState::kRunning;
  record.cursor = {"5"};
  record.again = {{4, key_of(9)}};
  database = {{4, key_of(9)}};
  ledger.load({record}, {3});
  EXPECT_TRUE(ledger.any_wrong());
  EXPECT_THAT(save(), IsEmpty());
  EXPECT_THAT(cursor, IsEmpty());
  EXPECT_FALSE(ledger.any_wrong());
}

TEST_F(LedgerTest, ASaveNamesWhatHasChanged) {
  for (int i = 0; i < 5; i++) change(20, 150, 'u', 100 + i, true, 50 + i);
  std::vector<Ledger::Unsaved> unsaved = ledger.unsaved();
  EXPECT_EQ(unsaved.front().keys.add.size(), 5u);
  // The save fails; perhaps only its answer was lost.
  save(unsaved.front());
  ledger.saved(1, unsaved.front().version, false);
  EXPECT_EQ(ledger.hold(), Lsn{150});
  EXPECT_EQ(save().size(), 5u);
  change(20, 160, 'u', 110, true, 60);
  unsaved = ledger.unsaved();
  EXPECT_EQ(unsaved.front().keys.add.size(), 1u);
  EXPECT_TRUE(unsaved.front().keys.remove.empty());
  EXPECT_FALSE(unsaved.front().keys.all);
}

TEST_F(LedgerTest, ARowThatWaitsToBeReadAgainIsFollowed) {
  change(20, 50, 'u', 5, true, 9);
  mark(add_round(next(), {1, 2}, true, "11:11:"), 100);
  change(21, 150, 'u', 7, true, 5);
  EXPECT_THAT(save(), ElementsAre(key_of(5), key_of(7)));
}

TEST_F(LedgerTest, AKeyThatMovesAgainStays) {
  change(20, 50, 'u', 5, true, 9);
  mark(add_round(next(), {}, true, "11:11:"), 100);
  const ReadRequest again = next();
  ASSERT_EQ(again.kind, Kind::kAgain);
  const uint64_t number = add_round(again, {5}, true, "21:21:");
  change(21, 150, 'u', 8, true, 5);
  change(22, 160, 'u', 5, true, 8);
  EXPECT_THAT(mark(number, 200), IsEmpty());
  ledger.handled(pushed);
  EXPECT_THAT(save(), ElementsAre(key_of(5), key_of(8)));
  EXPECT_EQ(next().kind, Kind::kAgain);
}

TEST_F(LedgerTest, EndsAfterAnotherLookAtTheTable) {
  mark(add_round(next(), {1}, true, "11:11:"), 100);
  const ReadRequest check = next();
  ASSERT_EQ(check.kind, Kind::kCheck);
  mark(add_round(check, {}, true, "11:11:"), 200);
  EXPECT_THAT(ledger.next(10, 10, {}), IsEmpty());
  ledger.handled(0);
  EXPECT_EQ(record().state, BackfillState::kRunning);
  ledger.handled(pushed);
  EXPECT_EQ(record().state, BackfillState::kRunning);  // until that is saved
  save();
  EXPECT_EQ(state, BackfillState::kDone);
  EXPECT_THAT(ledger.records(), IsEmpty());
  EXPECT_FALSE(ledger.any_unfinished());
}

TEST_F(LedgerTest, WhatWasNotPlacedIsReadAgainAfterAReconnect) {
  const uint64_t number = add_round(next(), {1}, false, "11:11:");
  ledger.reconnect();
  EXPECT_THAT(mark(number, 100), IsEmpty());
  EXPECT_THAT(next().table.cursor, IsEmpty());
}

TEST_F(LedgerTest, AMarkThatIsLostVoidsItsRound) {
  add_round(next(), {1}, false, "11:11:");
  const uint64_t second = add_round(next(), {2}, false, "11:11:");
  EXPECT_THAT(mark(second, 100), IsEmpty());
  EXPECT_THAT(next().table.cursor, IsEmpty());
}

TEST_F(LedgerTest, RemembersMovedKeysWhileItIsPaused) {
  mark(add_round(next(), {1, 2}, false, "11:11:"), 100);
  ledger.handled(pushed);
  ledger.set_state(1, BackfillState::kPaused);
  change(20, 150, 'u', 1, true, 9);
  EXPECT_EQ(ledger.hold(), Lsn{150});
  EXPECT_THAT(save(), ElementsAre(key_of(1)));
  EXPECT_EQ(ledger.hold(), Lsn{});
}

TEST_F(LedgerTest, DropsAChunkWhereTooMuchIsNewer) {
  Ledger small(100, 1 << 20);
  BackfillRecord record;
  record.id = 2;
  record.relation = 7;
  record.schema = "public";
  record.name = "t";
  small.add(record);
  small.ask_barrier({2});
  small.set_barrier(2, 10);
  small.use_snapshot(see("11:11:"));
  MessageBuilder builder;
  builder.begin(50, 5, 20).relation(7, "public", "t", kColumns);
  for (int i = 0; i < 10; i++) {
    builder.event('d', static_cast<uint64_t>(i), R"({"key":)" + key_of(i) + "}", 7, 1);
  }
  builder.commit(50, 58, 10);
  FrameDecoder decoder;
  Chunk chunk;
  ASSERT_TRUE(decoder.decode(builder.message(), chunk));
  small.observe(chunk, 0);
  Round round;
  round.number = 1;
  round.snapshot = see("11:11:");
  round.reads.push_back({small.next(1, 1, {}).front()});
  round.reads.front().read.last = {"5"};
  small.add_round(std::move(round));
  EXPECT_THAT(small.place(1, Mark{}), IsEmpty());
  EXPECT_THAT(small.next(1, 1, {}).front().table.cursor, IsEmpty());
  EXPECT_EQ(small.hold(), Lsn{50});
}

}  // namespace
}  // namespace walspout
