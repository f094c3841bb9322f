#include "source/kafka/offsets.h"

#include <gmock/gmock.h>

#include <map>
#include <random>

namespace walspout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

const KafkaOffsets::Key kA{"a", 0};
const KafkaOffsets::Key kB{"a", 1};

// One message of the partition, handed over at once as an event.
void event(KafkaOffsets& offsets, const KafkaOffsets::Key& key, int64_t offset, uint64_t& events) {
  KafkaOffsets::Place* place = offsets.find(key);
  ASSERT_NE(place, nullptr);
  offsets.take(*place, offset, offset + 1);
  offsets.pushed(++events);
}

TEST(KafkaOffsets, NothingIsCommittedThatIsNotDoneWith) {
  KafkaOffsets offsets;
  uint64_t events = 0;
  offsets.assign(kA, 5);
  offsets.assign(kB, KafkaOffsets::kUnknown);
  event(offsets, kA, 5, events);
  event(offsets, kB, 100, events);
  event(offsets, kA, 7, events);
  // The group has no offset in B, so it begins at the first message.
  EXPECT_THAT(offsets.to_commit(), ElementsAre(Pair(kB, 100)));
  offsets.committed(kB, 100);
  offsets.handled(1);
  EXPECT_THAT(offsets.to_commit(), ElementsAre(Pair(kA, 6)));
  offsets.handled(2);
  EXPECT_THAT(offsets.to_commit(), ElementsAre(Pair(kA, 6), Pair(kB, 101)));
  offsets.committed(kA, 6);
  EXPECT_THAT(offsets.to_commit(), ElementsAre(Pair(kB, 101)));
  offsets.handled(3);
  EXPECT_THAT(offsets.to_commit(), ElementsAre(Pair(kA, 8), Pair(kB, 101)));
}

TEST(KafkaOffsets, MessagesWithoutAnEventWaitForThoseBefore) {
  KafkaOffsets offsets;
  uint64_t events = 0;
  offsets.assign(kA, 0);
  event(offsets, kA, 0, events);
  offsets.take(*offsets.find(kA), 1, 2);
  offsets.pushed(events);
  EXPECT_THAT(offsets.to_commit(), IsEmpty());
  offsets.handled(1);
  EXPECT_THAT(offsets.to_commit(), ElementsAre(Pair(kA, 2)));
}

TEST(KafkaOffsets, APartitionThatWentAndCameBackIsAnotherOne) {
  KafkaOffsets offsets;
  uint64_t events = 0;
  offsets.assign(kA, 0);
  event(offsets, kA, 0, events);
  offsets.revoke(kA);
  EXPECT_EQ(offsets.find(kA), nullptr);
  offsets.assign(kA, 0);
  offsets.handled(1);
  EXPECT_THAT(offsets.to_commit(), IsEmpty());
}

TEST(KafkaOffsets, WhatIsForgottenIsReadAgain) {
  KafkaOffsets offsets;
  uint64_t events = 0;
  offsets.assign(kA, 0);
  event(offsets, kA, 0, events);
  event(offsets, kA, 1, events);
  offsets.handled(1);
  offsets.forget();
  EXPECT_EQ(offsets.find(kA)->next, 1);
  EXPECT_TRUE(KafkaOffsets::is_new(*offsets.find(kA), 1));
  EXPECT_FALSE(KafkaOffsets::is_new(*offsets.find(kA), 0));
  offsets.handled(2);  // discarded events count as handled
  EXPECT_THAT(offsets.to_commit(), ElementsAre(Pair(kA, 1)));
}

TEST(KafkaOffsets, TellsHowMuchIsLeft) {
  KafkaOffsets offsets;
  uint64_t events = 0;
  offsets.assign(kA, 10);
  offsets.ends(kA, 30);
  offsets.ends(kA, KafkaOffsets::kUnknown);
  EXPECT_EQ(offsets.lag(), 20u);
  event(offsets, kA, 10, events);
  EXPECT_EQ(offsets.lag(), 20u);
  offsets.handled(1);
  EXPECT_EQ(offsets.lag(), 19u);
}

// Against a model: each event has its partition and offset, in the order of the queue.
TEST(KafkaOffsets, RandomlyNeverBeyondAnEventThatIsNotDone) {
  std::mt19937 random(7);
  const auto pick = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  for (int round = 0; round < 200; ++round) {
    KafkaOffsets offsets;
    std::vector<std::pair<KafkaOffsets::Key, int64_t>> pushed;
    std::map<KafkaOffsets::Key, int64_t> next;
    uint64_t handled = 0;
    for (int step = 0; step < 200; ++step) {
      const KafkaOffsets::Key key{"t", pick(4)};
      switch (pick(8)) {
        case 0:
          offsets.revoke(key);
          break;
        case 1:
          if (offsets.find(key) == nullptr) offsets.assign(key, next[key]);
          break;
        case 2:
          handled += static_cast<uint64_t>(pick(static_cast<int>(pushed.size() - handled) + 1));
          offsets.handled(handled);
          break;
        default:
          if (KafkaOffsets::Place* place = offsets.find(key)) {
            const int64_t at = next[key] + pick(3);
            offsets.take(*place, at, at + 1);
            next[key] = at + 1;
            if (pick(4)) pushed.emplace_back(key, at);
            offsets.pushed(pushed.size());
          }
      }
      for (const auto& [committed, offset] : offsets.to_commit()) {
        const auto* place = offsets.find(committed);
        for (uint64_t i = handled; i < pushed.size(); ++i) {
          if (pushed[i].first == committed && place->events > handled) {
            EXPECT_LE(offset, std::max(pushed[i].second, place->committed));
            break;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace walspout
